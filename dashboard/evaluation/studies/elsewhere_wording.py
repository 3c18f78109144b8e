"""Text of what was measured at other clinics, on the Evaluation page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.evaluation.studies.trust_tables import FATES
from dashboard.evaluation.studies.trust_wording import estimate_in
from dashboard.shell.formats import one_decimal, plural
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import TOO_FEW, Metric, gain
from data.tasks.task import Task

Row = Mapping[Any, Any]

HOW_TO = (
    "**Your own images:** a folder of image files and a table with the columns `image_id` (the file's name) and `dx`; "
    "`lesion_id` says which images belong together. One command measures them, adds them here and recalibrates on half "
    "of them; with `--output FOLDER` it saves the recalibrated model, which `MODEL_DIR=FOLDER` serves."
)
COMMAND = 'python -m model.studies.external --images FOLDER --labels TABLE.csv --name "Our clinic"'
CONFUSION_TITLE = "Answered images: reference and prediction"
CONFUSION_DATA = "counts of images; a row is the reference, a column what stood out"
CSV_LABELS = {
    "thresholds": "Flagged or not (CSV)",
    "measures": "Measures (CSV)",
    "beside_locked_test": "Next to the locked test (CSV)",
}
RECALIBRATION_TITLE = "Recalibrated on half of these images"
VERDICTS = {
    "better": "**The recalibration helps here:** its log loss is lower on the half that it was not fitted on.",
    "worse": "**The recalibration does harm here:** its log loss is higher on the half that it was not fitted on.",
    "unclear": "**The recalibration is not shown to help:** the interval of the change of its log loss holds 0.",
}
# What the locked test, where every image is answered, has nothing to set beside.
NOT_IN_LOCKED_TEST = ("gravest_auroc_with_refused", "positive_auroc_with_refused", "refused")


def calibrated_for(task: Task, source: str) -> str:
    """What to make of how well a model that was recalibrated on `source` is calibrated on the locked test."""
    return (
        f"The probabilities are made for {source}, and these {task.words.subjects} are of {task.dataset.name}: dots "
        "off the diagonal are to be expected. *Other clinics* says how well calibrated they are there."
    )


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


def beside_note(task: Task) -> str:
    """How the columns of the table differ."""
    return (
        f"Locked test: {task.dataset.name}, every image as answered. Here are other {task.words.subjects}, and their "
        "mix is in the differences as well; none is given where the mix alone would make one: PPV and NPV, accuracy, "
        f"and means over other {task.words.labels}."
    )


def by_class(task: Task) -> str:
    """Over what is folded away."""
    return f"By {task.words.label}, confusion counts, refusals"


def beside_name(task: Task, row: Row) -> str:
    """What a row of the table is about."""
    name = metric_of(row["metric"], task).name
    if row["point"]:
        side = task.question.positive if row["metric"] == "sensitivity" else task.question.negative
        counted = "end to end" if row["is_end_to_end"] else "of the answered"
        return f"{name}, {side} images, {counted}"
    return f"{task.titled(row['question'])}: {name.lower()}" if row["question"] else name


def beside_threshold(row: Row) -> str:
    return threshold_name(row["point"]) if row["point"] else ""


def difference(row: Row, metric: Metric) -> tuple[str, str]:
    """A difference and its interval, or why there is none; a dash where it would say nothing."""
    value, low, high = (row[f"difference{suffix}"] for suffix in ("", "_low", "_high"))
    if math.isnan(value):
        return "–", ""
    shown, bounds = gain(value, low, high, metric)
    return shown, TOO_FEW if math.isnan(low) else bounds


def halves(task: Task, section: Row) -> str:
    """What was fitted on what, and measured on what."""
    fitted, measured = (_half(task, section[name]) for name in ("fitted", "measured"))
    factor = section["factor_temperature"]
    return f"fitted on {fitted}; measured on the others, {measured}; temperature times {factor:.2f}"


def _half(task: Task, half: Row) -> str:
    lesions = plural(half["lesions"], task.words.subject, task.words.subjects)
    return f"{plural(half['answered'], 'answered image')} of {lesions}"


def change_name(task: Task, row: Row) -> str:
    """What a row of the recalibration's table is about."""
    name = metric_of(row["metric"], task).name
    if not row["point"]:
        return name
    side = task.question.positive if row["metric"] == "sensitivity" else task.question.negative
    return f"{name}, {side} images"


def change_threshold(row: Row) -> str:
    """The threshold before and after, where a row has one."""
    if not row["point"]:
        return ""
    return f"{threshold_name(row['point'])}, {one_decimal(row['threshold_before'])} to {one_decimal(row['threshold'])}"


def without_images(task: Task, codes: Sequence[str]) -> str:
    """Which classes a recalibration has next to done away with; empty where there are none."""
    if not codes:
        return ""
    return (
        f"No image of {', '.join(codes)} to fit on: recalibrated, hardly any probability is left to these "
        f"{task.words.labels}."
    )


def not_recalibrated(why: str) -> str:
    return f"Not recalibrated on: {why}."
