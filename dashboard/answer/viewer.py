"""The heatmap viewer: original and overlay side by side, zoomed and panned together in the browser."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from dashboard.answer import wording as answer_wording
from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.explain.maps import MAGMA_STOPS, Explanation, evidence_layer
from model.images.rejection import RgbImage

ASSETS = Path(__file__).resolve().parents[1] / "assets"
# The browser enlarges the overlays smoothly, and a heatmap has no finer detail; one a class is sent at every rerun.
OVERLAY_SIDE = 200


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    html, css, js = ((ASSETS / f"viewer.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js"))
    return st.components.v2.component("lesionlens_viewer", html=html, css=css, js=js)


def heatmap_viewer(analysis: Analysis, dx: str, on_demand: Mapping[str, Explanation], key: str) -> None:
    """Draw the viewer; class, method, opacity, zoom and toggle are handled in the browser without a rerun.

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
                {"name": name, "maps": _maps(task, explanation, named)} for name, explanation in methods.items()
            ],
            "ramp": [f"rgb({red} {green} {blue})" for red, green, blue in MAGMA_STOPS],
        },
    )


def image_viewer(analysis: Analysis, task: Task, key: str) -> None:
    """Draw an image alone, with zoom and pan; nothing of an answer is sent to the browser.

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
        "image": jpeg_url(analysis.image),
        "alt": answer_wording.original_alt(task),
        "width": width,
        "height": height,
        "size": f"{original_width} x {original_height} px",
    }


def _maps(task: Task, explanation: Explanation, named: str) -> dict[str, dict[str, Any]]:
    return {
        one.code: {
            "url": _data_url(Image.fromarray(_layer(explanation, one.code)), "PNG", compress_level=1),
            "hasEvidence": explanation.has_evidence(one.code),
            "alt": answer_wording.heatmap_alt(one.name),
            "note": answer_wording.heatmap_note(task, explanation, one.code, named),
        }
        for one in task.classes
        if one.code in explanation.classes
    }


def _layer(explanation: Explanation, dx: str) -> np.ndarray:
    heatmap = explanation.heatmap(dx)
    shown = heatmap if explanation.has_evidence(dx) else np.zeros_like(heatmap)
    return evidence_layer(shown, explanation.framing, OVERLAY_SIDE)


def jpeg_url(image: RgbImage) -> str:
    """An (H, W, 3) uint8 RGB image as the components show it."""
    return _data_url(Image.fromarray(image), "JPEG", quality=92)


def _data_url(image: Image.Image, file_format: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return f"data:image/{file_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
