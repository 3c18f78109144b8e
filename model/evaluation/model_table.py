"""The table of models trained here and scored on the same locked lesions; reads what `model.tabulate` wrote."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.evaluation.report import text_of
from model.inference.artifact import Artifact
from model.inference.measured import MeasuredRate, OperatingPoint
from model.measures.intervals import Estimate

RESULTS = Path(__file__).resolve().parents[2] / "results" / "models"
# Figures that others report of their own models.
REPORTED = RESULTS.parent / "reported.csv"
MODEL_FILE = "model.json"


class ResultsError(Exception):
    """A table of `results` that is not what a command of ours writes; the message says which and why."""


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: of its run.
        kind: the backbone, or trees and their features.
        init: the weights it started from; `none` for random ones or none at all.
        task: key of what it tells apart.
        classes: how many that are.
        height, width: of its input, pixels.
        images, lesions: of the locked test that it was measured on.
        balanced_accuracy, macro_auroc, positive_auroc: in [0, 1], with intervals by lesion.
        points: thresholds chosen on the fold that it was not trained on, with what they do to the locked lesions.
        parameters, counted: how many, and of what: `weights` or `nodes`.
        file_bytes: of what it answers with.
        milliseconds: of one answer on one thread, median; NaN where it was not measured.
        trained_on: images.
        epochs: or rounds of boosting.
        minutes, processor_minutes: of training; the processor's NaN where it was not measured.
    """

    name: str
    kind: str
    init: str
    task: str
    classes: int
    height: int
    width: int
    images: int
    lesions: int
    balanced_accuracy: Estimate
    macro_auroc: Estimate
    positive_auroc: Estimate
    points: tuple[OperatingPoint, ...]
    parameters: int
    counted: str
    file_bytes: int
    milliseconds: float
    trained_on: int
    epochs: int
    minutes: float
    processor_minutes: float


@dataclass(frozen=True)
class ReportedFigure:
    """A figure that somebody else states of a model of theirs, on data of theirs: a citation, not a measurement.

    Attributes:
        model: what it is of, in their words.
        like: kind of the row that it stands beside; empty where there is none.
        measure: in their words.
        value: as they write it.
        source: where it stands.
    """

    model: str
    like: str
    measure: str
    value: str
    source: str


def read_table(folder: Path = RESULTS) -> tuple[ModelRow, ...]:
    """All rows, the highest AUROC of the question first; none where the folder is not there.

    Raises:
        ResultsError: a row cannot be read.
    """
    rows = [read_row(path.parent) for path in sorted(folder.glob(f"*/{MODEL_FILE}"))]
    return tuple(sorted(rows, key=lambda row: -row.positive_auroc.value))


def read_row(folder: Path) -> ModelRow:
    """The row of one model; raises ResultsError for a folder that holds none."""
    path = folder / MODEL_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        metrics = stored["metrics"]
        return ModelRow(
            name=stored["name"],
            kind=stored["kind"],
            init=stored["init"],
            task=stored["task"],
            classes=len(stored["classes"]),
            height=stored["height"],
            width=stored["width"],
            images=metrics["images"],
            lesions=metrics["lesions"],
            **{name: _estimate(metrics[name]) for name in ("balanced_accuracy", "macro_auroc", "positive_auroc")},
            points=tuple(_point(point) for point in stored["operating_points"]),
            parameters=stored["parameters"],
            counted=stored["counted"],
            file_bytes=stored["file_bytes"],
            milliseconds=stored["milliseconds"]["median"],
            trained_on=stored["trained_on"]["images"],
            epochs=stored["epochs"],
            minutes=stored["minutes"],
            processor_minutes=stored["processor_minutes"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{path}: expected what model.tabulate writes, could not read it ({error!r}); run it again"
        ) from error


def row_of_artifact(artifact: Artifact, minutes: float) -> ModelRow:
    """The served model as a row, from its manifest.

    Args:
        artifact: checked.
        minutes: that its history adds up to.
    """
    manifest = artifact.manifest
    metrics, network = manifest["metrics"], manifest["network"]
    return ModelRow(
        name=f"{artifact.name} {artifact.version}",
        kind=f"{network['members']} networks, {network['backbone']}",
        init="",
        task=artifact.task.key,
        classes=len(artifact.task.classes),
        height=artifact.height,
        width=artifact.width,
        images=metrics["images"],
        lesions=metrics["lesions"],
        **{name: _estimate(metrics[name]) for name in ("balanced_accuracy", "macro_auroc", "positive_auroc")},
        points=artifact.operating_points,
        parameters=network["parameters"],
        counted="weights",
        file_bytes=artifact.litert_path.stat().st_size,
        milliseconds=math.nan,
        trained_on=0,
        epochs=0,
        minutes=minutes,
        processor_minutes=math.nan,
    )


def read_reported(path: Path = REPORTED) -> tuple[ReportedFigure, ...]:
    """What others report, in the order of the file."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(ReportedFigure(**row) for row in csv.DictReader(file))


def row_text(row: ModelRow) -> str:
    """A row in a line of text."""
    return (
        f"{row.kind}, {row.classes} classes, {row.images:,} images of {row.lesions:,} lesions: balanced accuracy "
        f"{text_of(row.balanced_accuracy)}, AUROC of the question {text_of(row.positive_auroc)}, "
        f"{row.file_bytes / 1e6:.1f} MB, {row.milliseconds:.1f} ms, {row.minutes:.1f} minutes of training"
    )


def _estimate(stored: Mapping[str, Any]) -> Estimate:
    """An estimate as JSON holds it, with None for NaN."""
    values = [math.nan if stored[name] is None else float(stored[name]) for name in ("value", "low", "high")]
    return Estimate(*values)


def _rate(stored: Mapping[str, Any]) -> MeasuredRate:
    rate = _estimate(stored)
    return MeasuredRate(rate.value, rate.low, rate.high, int(stored["n"]))


def _point(stored: Mapping[str, Any]) -> OperatingPoint:
    return OperatingPoint(
        stored["name"],
        float(stored["threshold"]),
        float(stored["target_sensitivity"]),
        *(_rate(stored[name]) for name in ("sensitivity", "specificity", "ppv", "npv")),
    )
