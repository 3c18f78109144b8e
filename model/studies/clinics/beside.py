"""Every metric of labelled images of a clinic next to the same metric of the locked test images.

The locked test counts every image as answered, so its figures stand beside those of the answered images; end to end, an
image without answer was not found either. Both are of other lesions, so a difference has the interval of two
independent samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluation.comparison import FEWEST_LESIONS
from model.evaluation.results import Evaluation
from model.inference.artifact import Artifact
from model.measures.intervals import Estimate
from model.measures.metrics import Booleans
from model.measures.shares import difference_of_sums
from model.studies.clinics.labelled import Labelled, lesions_of, sides

Stored = Mapping[str, Any]

UNKNOWN: Stored = {"value": math.nan, "low": math.nan, "high": math.nan}
# Over all classes: another set of classes makes another metric of them.
OVER_CLASSES = ("balanced_accuracy", "macro_auroc", "weighted_kappa")
# What the mix of images moves, whatever the model does.
OF_THE_MIX = ("accuracy", "ppv", "npv", "calibration_error")
PER_CLASS = ("sensitivity", "specificity", "ppv", "npv", "auroc")


@dataclass(frozen=True)
class Beside:
    """A metric here and there; estimates as a manifest holds them.

    Attributes:
        metric: key, such as `balanced_accuracy` or `sensitivity`.
        question: what it is about: nothing (all classes), the key of the task's question, or a class's code.
        point: name of the operating point; empty where the decided class counts.
        is_end_to_end: whether an image without answer counts, as one that was not called rightly.
        images, locked_images: in its denominator, here and in the locked test.
        here, locked: each with its interval.
        difference: here minus locked, NaN where the mix of images alone would make one; its interval also where fewer
            than `FEWEST_LESIONS` lesions were counted.
    """

    metric: str
    question: str
    point: str
    is_end_to_end: bool
    images: int
    here: Stored
    locked_images: int
    locked: Stored
    difference: Stored


def beside_locked_test(
    images: Labelled, artifact: Artifact, evaluation: Evaluation, points: Sequence[Stored], sets: Stored
) -> Iterator[Beside]:
    """The rows: all classes, then the question at each threshold, the sets, and each class that has images here.

    Args:
        images: whose labels name every class.
        artifact: with what was measured on its locked test.
        evaluation: of the answered images.
        points, sets: sections of the entry (`model.studies.clinics.entry`).
    """
    yield from _overall(images, artifact, evaluation)
    yield from _at_points(images, artifact, points)
    yield from _sets(images, artifact, sets)
    yield from _per_class(images, artifact, evaluation)


def _overall(images: Labelled, artifact: Artifact, evaluation: Evaluation) -> Iterator[Beside]:
    locked, task, is_answered = artifact.manifest["metrics"], artifact.task, images.is_answered
    here = {row.dx: row for row in evaluation.per_class}
    has_same_classes = all(bool(row["images"]) == bool(here[row["dx"]].images) for row in locked["per_class"])
    kappa = ("weighted_kappa",) if evaluation.weighted_kappa is not None else ()
    fewest = lesions_of(images, is_answered)
    for metric in ("balanced_accuracy", *kappa, "macro_auroc", "positive_auroc", "calibration_error", "accuracy"):
        is_like = metric not in OF_THE_MIX and (has_same_classes or metric not in OVER_CLASSES)
        stored = (vars(getattr(evaluation, metric)), locked[metric])
        yield _row(metric, "", "", evaluation.images, stored, locked["images"], fewest if is_like else None)
        if metric == "positive_auroc":
            gravest = next(row for row in locked["per_class"] if row["dx"] == task.gravest)
            pair = (vars(here[task.gravest].auroc), gravest["auroc"])
            yield _row("gravest_auroc", "", "", evaluation.images, pair, locked["images"], fewest)


def _at_points(images: Labelled, artifact: Artifact, points: Sequence[Stored]) -> Iterator[Beside]:
    key, kinds = artifact.task.question.key, sides(images, artifact.task)
    for stored, measured in zip(points, artifact.operating_points, strict=True):
        calls = (("sensitivity", "positive", "flagged"), ("specificity", "negative", "not_flagged"))
        for (metric, kind, rightly), is_side in zip(calls, kinds, strict=True):
            locked = getattr(measured, metric)
            for is_end_to_end in (True, False):
                here = stored["outcomes"][kind][rightly] if is_end_to_end else stored["answered"][metric]
                counted: Booleans = is_side if is_end_to_end else is_side & images.is_answered
                pair, lesions = (here, vars(locked)), lesions_of(images, counted)
                yield _row(metric, key, measured.name, here["n"], pair, locked.n, lesions, is_end_to_end)


def _sets(images: Labelled, artifact: Artifact, sets: Stored) -> Iterator[Beside]:
    locked, codes = artifact.manifest["conformal"]["measured"], list(artifact.task.codes)
    of_class = {row["dx"]: row for row in locked["coverage_by_dx"]}
    for row in sets["coverage"]:
        is_class = np.ones_like(images.is_answered) if row["dx"] == "all" else images.dx_true == codes.index(row["dx"])
        there, question = (locked, "") if row["dx"] == "all" else (of_class[row["dx"]], row["dx"])
        pair, lesions = (row["coverage"], there["coverage"]), lesions_of(images, is_class & images.is_answered)
        yield _row("coverage", question, "", row["coverage"]["n"], pair, there["images"], lesions)
        if not question:
            pair = (sets["mean_size"], locked["mean_size"])
            yield _row("mean_size", "", "", row["coverage"]["n"], pair, locked["images"], lesions)


def _per_class(images: Labelled, artifact: Artifact, evaluation: Evaluation) -> Iterator[Beside]:
    locked = artifact.manifest["metrics"]
    for index, (here, there) in enumerate(zip(evaluation.per_class, locked["per_class"], strict=True)):
        is_class = images.dx_true == index
        counted = {"sensitivity": is_class, "specificity": ~is_class}
        for metric in PER_CLASS if here.images else ():
            lesions = lesions_of(images, counted.get(metric, is_class) & images.is_answered)
            of_class, others = here.images, evaluation.images - here.images
            there_of, there_others = there["images"], locked["images"] - there["images"]
            n = {"sensitivity": (of_class, there_of), "specificity": (others, there_others)}
            counts = n.get(metric, (evaluation.images, locked["images"]))
            pair = (vars(getattr(here, metric)), there[metric])
            yield _row(metric, here.dx, "", counts[0], pair, counts[1], None if metric in OF_THE_MIX else lesions)


def _row(
    metric: str,
    question: str,
    point: str,
    images: int,
    pair: tuple[Stored, Stored],
    locked_images: int,
    lesions: int | None,
    is_end_to_end: bool = False,
) -> Beside:
    """A row; `lesions` are those counted here, None where a difference would be one of the mix."""
    here, locked = (estimate_of_stored(stored) for stored in pair)
    difference = UNKNOWN
    if lesions is not None:
        both = difference_of_sums([here], [locked])
        difference = vars(both if lesions >= FEWEST_LESIONS else Estimate(both.value, math.nan, math.nan))
    return Beside(metric, question, point, is_end_to_end, images, pair[0], locked_images, pair[1], difference)


def estimate_of_stored(stored: Stored) -> Estimate:
    """An estimate as a manifest holds it, NaN for None."""
    return Estimate(*(math.nan if stored[name] is None else stored[name] for name in ("value", "low", "high")))
