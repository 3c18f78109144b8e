"""How far the camera alone tells the class, from what `model.studies.shortcut` stored in the artifact's manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.resources import models
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import n_of, with_interval
from data.tasks.task import Task
from model.inference.artifact import Artifact

HEADING = "What the camera gives away"
PURPOSE = (
    "A camera may see further than another, and each was used for other {subjects}: a network can learn the camera "
    "instead of the {subject}. So a random forest was asked for the {label}, which knows nothing of an image but its "
    "camera's round field."
)
BOUNDS = ("value", "low", "high")
# Of images, by what their camera saw: among those of one kind it no longer helps.
KINDS = {"whole": "where the whole field is seen", "cut_off": "where it is cut off"}
NOT_MEASURED = "Not measured for this model. `python -m model.studies.shortcut` measures it."


def camera() -> None:
    """What a camera's field tells before and after the model's crop; nothing where images are not cropped to one."""
    artifact = models.artifact()
    if artifact.preparation.crop == "none":
        return
    st.header(HEADING)
    st.markdown(artifact.task.worded(PURPOSE))
    section = artifact.manifest.get("shortcut")
    st.markdown(camera_found(artifact, section) if section else NOT_MEASURED)


def camera_found(artifact: Artifact, section: Mapping[str, Any]) -> str:
    """What the forest tells from the field as it lies in the file, and from what the crop leaves of it."""
    clues, task = {clue["key"]: clue for clue in section["clues"]}, artifact.task
    images = f"{task.words.images} out of fold, {n_of(section['images'])}"
    told = (
        f"From where the field lies in the file: {_told(task, clues['field'])} ({images}). From what the crop of this "
        f"model leaves of that: {_told(task, clues[artifact.preparation.crop])}. From the size of the file: "
        f"{_told(task, clues['file_size'])}."
    )
    networks = "; ".join(
        f"{KINDS[one['key']]} {_told(task, one)} ({n_of(one['images'])})" for one in section.get("networks", ())
    )
    return f"{told} The networks themselves, out of fold: {networks}." if networks else told


def _told(task: Task, clue: Mapping[str, Any]) -> str:
    overall = "weighted_kappa" if clue["weighted_kappa"] else "balanced_accuracy"
    parts = []
    for name in (overall, "positive_auroc"):
        metric = metric_of(name, task)
        value, low, high = (math.nan if clue[name][part] is None else clue[name][part] for part in BOUNDS)
        parts.append(f"{metric.name} {with_interval(metric, value, low, high)}")
    return ", ".join(parts)
