"""Two models on the same images: every metric of both, with the paired difference, its interval and its tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.evaluation.predictions import Cohort
from model.evaluation.questions import question_scores
from model.evaluation.results import Evaluation, RocCurve, evaluate, roc_curves
from model.evaluation.submissions import Submission, on_the_same_images
from model.measures.areas import AreaDifference, auroc_difference, macro_auroc_difference
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
    weighted_balanced_accuracy,
    weighted_confusion_matrices,
    weighted_means,
)
from model.measures.metrics import Array, Booleans, squared_errors
from model.measures.ordinal import grade_errors, kappa_of
from model.measures.paired import McNemar, mcnemar

RATES = ("sensitivity", "specificity", "ppv", "npv")
Side = Literal["all", "positive", "negative"]
# A rate of fewer lesions differs by one image or two, which no bootstrap of them tells from more.
FEWEST_LESIONS = 10


@dataclass(frozen=True)
class PairedMetric:
    """A metric of two models on the same images.

    Attributes:
        metric: key, such as `balanced_accuracy`, `auroc` or `sensitivity`.
        question: what it is about: nothing (all classes), the key of one of the task's questions, or a class's code.
        threshold: of a yes/no decision; NaN where the decided class counts.
        images: in its denominator, as far as the references fix it: positives of a sensitivity.
        first, second: each with its interval.
        difference: first minus second. The interval and `p_value` of areas are DeLong's, other intervals a bootstrap's
            of whole lesions, the same for both models. NaN where it cannot be said.
        p_value: of areas; NaN elsewhere.
    """

    metric: str
    question: str
    threshold: float
    images: int
    first: Estimate
    second: Estimate
    difference: Estimate
    p_value: float = float("nan")


@dataclass(frozen=True)
class PairedDecision:
    """Who decides rightly where the other does not.

    Attributes:
        question: nothing where the decided class counts, else the key of the task's question.
        threshold: from which probability on an image is called positive; NaN where the decided class counts.
        side: of which images: all, or those that are truly positive, or negative.
        images: how many.
        test: McNemar's, by lesion.
    """

    question: str
    threshold: float
    side: Side
    images: int
    test: McNemar


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images.

    Attributes:
        images, lesions: how many both were measured on.
        resamples, seed: of the bootstrap.
        metrics: overall, then of the question at each threshold, then of each class.
        decisions: class, then the two sides of the question by class and at each threshold.
    """

    images: int
    lesions: int
    resamples: int
    seed: int
    metrics: tuple[PairedMetric, ...]
    decisions: tuple[PairedDecision, ...]

    def metric(self, name: str, question: str = "") -> PairedMetric:
        """The metric of a name where the decided class counts; raises ValueError where there is none."""
        for one in self.metrics:
            if (one.metric, one.question) == (name, question) and np.isnan(one.threshold):
                return one
        raise ValueError(f"expected a metric that was compared, received {name!r} of {question!r}")


@dataclass(frozen=True)
class AgainstOurs:
    """A table of another model beside our predictions.

    Attributes:
        submission: what could be read of the table.
        theirs, ours: the images that both have.
        comparison: of theirs (first) with ours (second).
        curves: ROC curves of theirs and of ours.
    """

    submission: Submission
    theirs: Cohort
    ours: Cohort
    comparison: Comparison
    curves: tuple[tuple[RocCurve, ...], tuple[RocCurve, ...]]


def against(submission: Submission, ours: Cohort, thresholds: Sequence[float]) -> AgainstOurs:
    """A submission beside our predictions of the same images.

    Args:
        submission: read with the references of `ours`.
        ours: at least the images of the submission.
        thresholds: for the task's question, tried on both.
    """
    theirs, same = on_the_same_images(submission.cohort, ours)
    return AgainstOurs(
        submission, theirs, same, compare(theirs, same, thresholds), (roc_curves(theirs), roc_curves(same))
    )


def compare(
    first: Cohort,
    second: Cohort,
    thresholds: Sequence[float] = (),
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> Comparison:
    """Every metric of two models side by side.

    Args:
        first, second: the same images in the same order (`model.evaluation.submissions.on_the_same_images`).
        thresholds: for the task's question, tried on both.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: other images, or fewer than one resample.
    """
    if first.image_ids.tolist() != second.image_ids.tolist():
        raise ValueError("expected the same images in the same order on both sides; give those that both have")
    weights = bootstrap_weights(first.lesion_ids, resamples, seed)
    evaluations = evaluate(first, resamples, seed), evaluate(second, resamples, seed)
    return Comparison(
        images=len(first.image_ids),
        lesions=len(np.unique(first.lesion_ids)),
        resamples=resamples,
        seed=seed,
        metrics=(
            *_overall(first, second, weights, evaluations),
            *(row for threshold in thresholds for row in _at_threshold(first, second, weights, threshold)),
            *_per_class(first, second, weights, evaluations),
        ),
        decisions=tuple(_decisions(first, second, thresholds)),
    )


def _overall(
    first: Cohort, second: Cohort, weights: Weights, evaluations: tuple[Evaluation, Evaluation]
) -> Iterator[PairedMetric]:
    cohorts, classes, images = (first, second), len(first.task.classes), len(first.image_ids)
    key = first.task.question.key

    def row(metric: str, difference: Estimate, p_value: float = float("nan")) -> PairedMetric:
        one, other = (getattr(evaluation, metric) for evaluation in evaluations)
        return PairedMetric(metric, "", float("nan"), images, one, other, difference, p_value)

    drawn = [weighted_balanced_accuracy(one.dx_true, one.dx_predicted, weights, classes) for one in cohorts]
    yield row("balanced_accuracy", _difference([e.balanced_accuracy.value for e in evaluations], drawn))
    macro = macro_auroc_difference(first.dx_true, first.probabilities, second.probabilities, first.lesion_ids)
    yield row("macro_auroc", _plain(macro), macro.p_value)
    areas = _auroc_difference(first, second, key)
    yield row("positive_auroc", _plain(areas), areas.p_value)
    for number, question in enumerate(first.task.further):
        areas, nothing = _auroc_difference(first, second, question.key), float("nan")
        one, other = ((evaluation.further_auroc or ())[number] for evaluation in evaluations)
        yield PairedMetric("auroc", question.key, nothing, images, one, other, _plain(areas), areas.p_value)
    matrices = [weighted_confusion_matrices(one.dx_true, one.dx_predicted, weights, classes) for one in cohorts]
    if first.task.is_ordinal:
        kappas = [e.weighted_kappa.value for e in evaluations if e.weighted_kappa is not None]
        yield row("weighted_kappa", _difference(kappas, [kappa_of(matrix) for matrix in matrices]))
        misses = [e.grade_error.value for e in evaluations if e.grade_error is not None]
        missed = [weighted_means(grade_errors(one.dx_true, one.dx_predicted), weights) for one in cohorts]
        yield row("grade_error", _difference(misses, missed))
    shares = [np.trace(matrix, axis1=1, axis2=2) / _or_nan(matrix.sum(axis=(1, 2))) for matrix in matrices]
    yield row("accuracy", _difference([e.accuracy.value for e in evaluations], shares))
    errors = [squared_errors(one.dx_true, one.probabilities) for one in cohorts]
    means = [(weights @ error) / _or_nan(weights.sum(axis=1, dtype=np.float64)) for error in errors]
    values = [float(error.mean()) if len(error) else float("nan") for error in errors]
    sides = [estimate_of(value, mean) for value, mean in zip(values, means, strict=True)]
    yield PairedMetric("brier_score", "", float("nan"), images, sides[0], sides[1], _difference(values, means))
    # Of a calibration error no interval holds (`model.measures.calibration`), so neither does that of a difference.
    gap = evaluations[0].calibration_error.value - evaluations[1].calibration_error.value
    yield row("calibration_error", Estimate(gap, float("nan"), float("nan")))


def _per_class(
    first: Cohort, second: Cohort, weights: Weights, evaluations: tuple[Evaluation, Evaluation]
) -> Iterator[PairedMetric]:
    classes = len(first.task.classes)
    matrices = [weighted_confusion_matrices(one.dx_true, one.dx_predicted, weights, classes) for one in (first, second)]
    for index, code in enumerate(first.task.codes):
        rows = [evaluation.per_class[index] for evaluation in evaluations]
        areas = _auroc_difference(first, second, code)
        images = len(first.image_ids)
        yield PairedMetric(
            "auroc", code, float("nan"), images, rows[0].auroc, rows[1].auroc, _plain(areas), areas.p_value
        )
        drawn = [_rates(matrix, index) for matrix in matrices]
        is_class = first.dx_true == index
        for rate in RATES:
            sides = [getattr(row, rate) for row in rows]
            yield _paired_rate(
                rate, code, float("nan"), sides, [one[rate] for one in drawn], is_class, first.lesion_ids
            )


def _at_threshold(first: Cohort, second: Cohort, weights: Weights, threshold: float) -> Iterator[PairedMetric]:
    key = first.task.question.key
    cohorts = (first, second)
    measured = [one.thresholds().at(threshold) for one in cohorts]
    drawn = [
        _rates(
            weighted_confusion_matrices(
                one.is_positive.astype(np.int64), (one.p_positive >= threshold).astype(np.int64), weights, 2
            ),
            1,
        )
        for one in cohorts
    ]
    for rate in RATES:
        sides = [getattr(one, rate) for one in measured]
        yield _paired_rate(
            rate, key, threshold, sides, [one[rate] for one in drawn], first.is_positive, first.lesion_ids
        )


def _paired_rate(
    rate: str,
    question: str,
    threshold: float,
    sides: Sequence[Estimate],
    drawn: Sequence[Array],
    is_positive: Booleans,
    lesion_ids: np.ndarray,
) -> PairedMetric:
    counted = {"sensitivity": is_positive, "specificity": ~is_positive}.get(rate, np.ones_like(is_positive))
    difference = _difference([side.value for side in sides], drawn)
    # PPV and NPV are moved by the smaller side as well.
    smaller = min(len(np.unique(lesion_ids[side])) for side in (is_positive, ~is_positive))
    lesions = len(np.unique(lesion_ids[counted])) if rate in ("sensitivity", "specificity") else smaller
    if lesions < FEWEST_LESIONS:
        difference = Estimate(difference.value, float("nan"), float("nan"))
    return PairedMetric(rate, question, threshold, int(counted.sum()), sides[0], sides[1], difference)


def _rates(matrices: Array, index: int) -> dict[str, Array]:
    """Rates of one class against the rest in every bootstrap sample, each (B,), of (B, C, C) confusion matrices."""
    hits = matrices[:, index, index]
    positives, called = matrices[:, index].sum(axis=1), matrices[:, :, index].sum(axis=1)
    total = matrices.sum(axis=(1, 2))
    rejected = total - positives - called + hits
    return {
        "sensitivity": hits / _or_nan(positives),
        "specificity": rejected / _or_nan(total - positives),
        "ppv": hits / _or_nan(called),
        "npv": rejected / _or_nan(total - called),
    }


def _or_nan(counts: Array) -> Array:
    return np.where(counts > 0, counts, np.nan)


def _difference(values: Sequence[float], drawn: Sequence[Array]) -> Estimate:
    """The same bootstrap samples on both sides: what they share leaves the interval."""
    return estimate_of(values[0] - values[1], drawn[0] - drawn[1])


def _auroc_difference(first: Cohort, second: Cohort, question: str) -> AreaDifference:
    is_positive, score = question_scores(first, question)
    return auroc_difference(is_positive, score, question_scores(second, question)[1], first.lesion_ids)


def _plain(difference: AreaDifference) -> Estimate:
    return Estimate(difference.value, difference.low, difference.high)


def _decisions(first: Cohort, second: Cohort, thresholds: Sequence[float]) -> Iterator[PairedDecision]:
    task, lesions = first.task, first.lesion_ids
    is_right = [one.dx_true == one.dx_predicted for one in (first, second)]
    test = mcnemar(is_right[0], is_right[1], lesions)
    yield PairedDecision("", float("nan"), "all", len(lesions), test)
    by_class = [np.isin(one.dx_predicted, task.positives) for one in (first, second)]
    calls = [(float("nan"), by_class)]
    calls += [(threshold, [one.p_positive >= threshold for one in (first, second)]) for threshold in thresholds]
    for threshold, (one, other) in calls:
        sides: tuple[tuple[Side, Booleans], ...] = (("positive", first.is_positive), ("negative", ~first.is_positive))
        for side, is_side in sides:
            is_positive = first.is_positive[is_side]
            test = mcnemar(one[is_side] == is_positive, other[is_side] == is_positive, lesions[is_side])
            yield PairedDecision(task.question.key, threshold, side, int(is_side.sum()), test)
