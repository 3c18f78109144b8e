"""The heatmap viewer: original and overlay side by side, zoomed and panned together in the browser."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from dashboard.answer import wording as answer_wording
from dashboard.resources import answers
from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.analysis.prepared_image import png_of
from model.explain.maps import MAGMA_STOPS, Explanation
from model.images.framing import Framing, upright

ASSETS = Path(__file__).resolve().parents[1] / "assets"
# The browser enlarges the overlays smoothly, and a heatmap has no finer detail.
OVERLAY_SIDE = 200  # pixels


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    names = ("viewer.html", "viewer.css", "heat.js", "viewer.js")
    html, css, heat, viewer = ((ASSETS / name).read_text(encoding="utf-8") for name in names)
    return st.components.v2.component("lesionlens_viewer", html=html, css=css, js=heat + viewer)


def heatmap_viewer(analysis: Analysis, dx: str, on_demand: Mapping[str, Explanation], key: str) -> None:
    """Draw the viewer; class, method, opacity, zoom and toggle are handled in the browser without a rerun.

    The heatmaps are sent as the few numbers that they are, and drawn in the browser when they are looked at.

    Args:
        analysis: an image that was answered.
        dx: the class whose map is shown first.
        on_demand: further methods' maps by name, computed for some classes.
        key: of the component in this session.
    """
    answer = analysis.answered
    task = answer.prediction.task
    named, methods = answer.prediction.dx, {answer.explanation.method: answer.explanation, **on_demand}
    _component()(
        key=key,
        data=_image(analysis, task)
        | {
            "dx": dx,
            "classes": [{"dx": one.code, "name": one.name} for one in task.classes],
            "methods": [
                {"name": name, "layer": layer_of(explanation), "maps": _maps(task, explanation, named)}
                for name, explanation in methods.items()
            ],
            "ramp": MAGMA_STOPS,
        },
    )


def image_viewer(analysis: Analysis, task: Task, key: str) -> None:
    """Draw an image with zoom and pan, and what the network was shown of it; nothing of an answer is sent.

    Args:
        analysis: of the image.
        task: what the image shows.
        key: of the component in this session.
    """
    _component()(key=key, data=_image(analysis, task) | {"dx": "", "classes": [], "methods": [], "ramp": []})


def _image(analysis: Analysis, task: Task) -> dict[str, Any]:
    """The image as it is shown, and its size as it was uploaded: the one that is shown may be reduced."""
    height, width = analysis.image.shape[:2]
    original_width, original_height = analysis.original_size
    return {
        "image": jpeg_url(analysis),
        "alt": answer_wording.original_alt(task),
        "width": width,
        "height": height,
        "size": f"{original_width} x {original_height} px",
        "prepared": None if analysis.prepared_at is None else _prepared(analysis, analysis.prepared_at, task),
    }


def _prepared(analysis: Analysis, framing: Framing, task: Task) -> dict[str, Any]:
    """What the network was shown, and where it lies on the image, in shares of its width and height."""
    shown, (height, width) = upright(analysis.network_input, framing), analysis.network_input.shape[:2]
    left, top, box_width, box_height = framing.upright_box
    return {
        "url": f"data:image/png;base64,{base64.b64encode(png_of(shown)).decode('ascii')}",
        "alt": answer_wording.prepared_alt(task),
        "note": answer_wording.prepared_note(height, width),
        "left": left / framing.image_width,
        "top": top / framing.image_height,
        "width": box_width / framing.image_width,
        "height": box_height / framing.image_height,
    }


def _maps(task: Task, explanation: Explanation, named: str) -> dict[str, dict[str, Any]]:
    return {
        one.code: {
            "levels": levels_of(explanation, one.code),
            "hasEvidence": explanation.has_evidence(one.code),
            "alt": answer_wording.heatmap_alt(one.name),
            "note": answer_wording.heatmap_note(task, explanation, one.code, named),
        }
        for one in task.classes
        if one.code in explanation.classes
    }


def levels_of(explanation: Explanation, dx: str) -> str:
    """A class's heatmap for `heat.js`: a byte a cell, row by row, 0-255, as base64; zeros without evidence."""
    heatmap = explanation.heatmap(dx)
    shown = heatmap if explanation.has_evidence(dx) else np.zeros_like(heatmap)
    return base64.b64encode(np.rint(shown * 255).astype(np.uint8).tobytes()).decode("ascii")


def layer_of(explanation: Explanation) -> dict[str, Any]:
    """For `heat.js`: cells of the heatmaps, pixels of the picture of one, and where on it they lie."""
    rows, columns = explanation.heatmaps.shape[1:]
    framing = explanation.framing.scaled(OVERLAY_SIDE)
    return {
        "rows": rows,
        "columns": columns,
        "height": framing.image_height,
        "width": framing.image_width,
        "isTurned": framing.is_turned,
        "box": {"left": framing.left, "top": framing.top, "width": framing.width, "height": framing.height},
    }


def jpeg_url(analysis: Analysis) -> str:
    """The image of an analysis as the components show it."""
    return f"data:image/jpeg;base64,{base64.b64encode(answers.shown_image(analysis)).decode('ascii')}"
