"""Text of what was measured at other clinics, on the Evaluation page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.evaluation.studies.trust_tables import FATES
from dashboard.evaluation.studies.trust_wording import estimate_in
from dashboard.shell.glossary import metric_of
from data.tasks.task import Task


def measured_on(task: Task, entry: Mapping[str, Any]) -> str:
    """What was measured: `641 images of 628 lesions, model skin 2.1`."""
    return f"{entry['images']:,} images of {entry['lesions']:,} {task.words.subjects}, model {entry['model']}"


def found(task: Task, outcomes: pd.DataFrame) -> str:
    """What became of the gravest class's images at each source's first threshold, a sentence a source.

    Args:
        task: what is told apart.
        outcomes: of `dashboard.evaluation.studies.trust_tables.outcome_frame`.
    """
    flagged, not_flagged, not_answered = (metric_of(f"images_{fate}", task) for fate in FATES)
    firsts = outcomes[outcomes["kind"] == "gravest"].drop_duplicates("source")
    return " ".join(
        f"{row['source']}: of the {kind_name(task, 'gravest')}, "
        f"{estimate_in(row, 'flagged', flagged, has_n=True)} were flagged at the threshold for "
        f"{point_name(row['point'])}, "
        f"{estimate_in(row, 'not_flagged', not_flagged)} were not flagged and "
        f"{estimate_in(row, 'not_answered', not_answered)} got no answer."
        for _, row in firsts.iterrows()
    )


def point_name(point: str) -> str:
    """`sensitivity 95 %`, as the thresholds were set for."""
    aim, _, share = point.rpartition("_")
    return f"{aim} {share} %" if share.isdecimal() else point.replace("_", " ")


def threshold_name(point: str) -> str:
    """Below the name of a row."""
    return f"threshold for {point_name(point)}"


def kind_name(task: Task, kind: str) -> str:
    """Which images are counted."""
    if kind == "gravest":
        return task.named(task.gravest).plural
    return task.question.positive if kind == "positive" else task.question.negative


def measure_name(task: Task, measure: str, dx: str) -> str:
    """A row of the second table of a source."""
    of_class = "" if dx == "all" else f", {task.named(dx).plural}"
    suffix = ", refused images as if answered" if measure.endswith("_with_refused") else ""
    gravest = task.named(task.gravest).name.lower()
    names = {
        "gravest_auroc": f"AUC, {gravest} against the rest",
        "positive_auroc": f"AUC, {task.question.positive} against {task.question.negative}",
        "calibration_error": "Calibration error",
        "coverage": "Coverage of the sets",
        "refused": "Refused",
    }
    return f"{names[measure.removesuffix('_with_refused')]}{of_class}{suffix}"
