"""Every metric of a cohort with its 95 % interval by lesion, and the ROC curves with their bands."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation.predictions import Cohort
from model.evaluation.questions import question_scores
from model.measures.areas import auroc_estimate, macro_auroc_estimate
from model.measures.calibration import CalibrationError, calibration_error
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
    percentile_interval,
    weighted_balanced_accuracy,
    weighted_confusion_matrices,
    weighted_means,
    weighted_sensitivity_at,
)
from model.measures.metrics import (
    Array,
    Booleans,
    balanced_accuracy,
    confusion_matrix,
    mean_of_finite,
    reliability,
    roc_curve,
)
from model.measures.ordinal import grade_errors, kappa_of, quadratic_weighted_kappa
from model.measures.shares import rate_estimates, share_estimates

MACRO = "macro"
_WHERE_ANY = ("grade_error", "further_auroc")
ROC_GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest: the rates of the predicted class, and the AUROC of its probability."""

    dx: str
    images: int
    lesions: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Every metric of a cohort; all in [0, 1] but for the grade error, NaN where it cannot be said.

    Attributes:
        images, lesions: how many were measured.
        resamples, seed: of the bootstrap by lesion (balanced accuracy, kappa, grade error), and of what chance gives.
        balanced_accuracy: mean per-class sensitivity of the predicted class.
        macro_auroc: mean one-against-rest AUROC.
        positive_auroc: of the summed probability of the question's positive classes (malignant).
        calibration_error: of the highest probability, 15 bins, beside what chance alone gives.
        per_class: one a class, in class order.
        confusion: (C, C) int64 images, row reference, column predicted class.
        weighted_kappa: quadratic weighted kappa of grades, at most 1; None for classes that are names.
        grade_error: how many grades the predicted one misses by, on average; None for classes that are names.
        further_auroc: as `positive_auroc`, one for each further question of the task, in its order; None without any.
    """

    images: int
    lesions: int
    resamples: int
    seed: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_auroc: Estimate
    positive_auroc: Estimate
    calibration_error: CalibrationError
    per_class: tuple[ClassMetrics, ...]
    confusion: NDArray[np.int64]
    weighted_kappa: Estimate | None = None
    grade_error: Estimate | None = None
    further_auroc: tuple[Estimate, ...] | None = None


@dataclass(frozen=True)
class RocCurve:
    """One ROC curve with its pointwise 95 % band; NaN where a group is empty, the band also where the area has no
    interval.

    Attributes:
        name: a code (against the rest), `macro`, or the key of a question (`malignant`).
        false_positive_rate, sensitivity, threshold: (K,) from (0, 0) to (1, 1); the mean curve `macro` has no
            thresholds, they are NaN.
        band_grid: (101,) false-positive rates.
        band_low, band_high: (101,) bounds of the sensitivity at `band_grid`.
        auroc: area; that of `macro` is the mean of the classes' areas.
        positives, negatives: images; those of `macro` are summed over the classes in the mean.
    """

    name: str
    false_positive_rate: Array
    sensitivity: Array
    threshold: Array
    band_grid: Array
    band_low: Array
    band_high: Array
    auroc: Estimate
    positives: int
    negatives: int


def evaluate(cohort: Cohort, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Evaluation:
    """Every metric of a cohort with its 95 % interval.

    Args:
        cohort: the images; none gives NaN everywhere.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than one resample.
    """
    weights = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    truth, predicted, classes = cohort.dx_true, cohort.dx_predicted, len(cohort.task.classes)
    is_correct = (truth == predicted)[:, np.newaxis]
    return Evaluation(
        images=len(truth),
        lesions=len(np.unique(cohort.lesion_ids)),
        resamples=resamples,
        seed=seed,
        accuracy=share_estimates(is_correct, np.ones_like(is_correct), cohort.lesion_ids)[0],
        balanced_accuracy=estimate_of(
            balanced_accuracy(truth, predicted, classes),
            weighted_balanced_accuracy(truth, predicted, weights, classes),
        ),
        macro_auroc=macro_auroc_estimate(truth, cohort.probabilities, cohort.lesion_ids),
        positive_auroc=_auroc_of(cohort),
        calibration_error=calibration_error(truth, cohort.probabilities, cohort.lesion_ids, resamples, seed),
        per_class=tuple(_class_metrics(cohort, index) for index in range(classes)),
        confusion=confusion_matrix(truth, predicted, classes),
        weighted_kappa=_weighted_kappa(cohort, weights) if cohort.task.is_ordinal else None,
        grade_error=_grade_error(cohort, weights) if cohort.task.is_ordinal else None,
        further_auroc=tuple(_auroc_of(cohort.asked(question)) for question in cohort.task.further) or None,
    )


def _auroc_of(cohort: Cohort) -> Estimate:
    return auroc_estimate(cohort.is_positive, cohort.p_positive, cohort.lesion_ids)


def _grade_error(cohort: Cohort, weights: Weights) -> Estimate:
    errors = grade_errors(cohort.dx_true, cohort.dx_predicted)
    return estimate_of(float(errors.mean()) if len(errors) else math.nan, weighted_means(errors, weights))


def _weighted_kappa(cohort: Cohort, weights: Weights) -> Estimate:
    truth, predicted, classes = cohort.dx_true, cohort.dx_predicted, len(cohort.task.classes)
    return estimate_of(
        quadratic_weighted_kappa(truth, predicted, classes),
        kappa_of(weighted_confusion_matrices(truth, predicted, weights, classes)),
    )


def _class_metrics(cohort: Cohort, index: int) -> ClassMetrics:
    is_class = cohort.dx_true == index
    is_called = cohort.dx_predicted == index
    sensitivity, specificity, ppv, npv, _ = rate_estimates(is_class, is_called, cohort.lesion_ids)
    return ClassMetrics(
        dx=cohort.task.codes[index],
        images=int(is_class.sum()),
        lesions=len(np.unique(cohort.lesion_ids[is_class])),
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=ppv,
        npv=npv,
        auroc=auroc_estimate(is_class, cohort.probabilities[:, index], cohort.lesion_ids),
    )


def roc_curves(cohort: Cohort, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> tuple[RocCurve, ...]:
    """ROC curves: each class against the rest in class order, their mean `macro`, and the questions' (`malignant`).

    Args:
        cohort: the images.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than one resample.
    """
    task = cohort.task
    asked = (*task.codes, *(question.key for question in task.questions))
    questions = [(name, *question_scores(cohort, name)) for name in asked]
    # The first row of ones is the cohort as measured; one bootstrap sample a row follows.
    drawn = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    weights = np.vstack([np.ones((1, drawn.shape[1]), dtype=np.float32), drawn])
    sensitivities = np.array([weighted_sensitivity_at(*question[1:], weights, ROC_GRID) for question in questions])
    curves = [
        _roc_curve(
            name,
            roc_curve(is_positive, score),
            sensitivities[i],
            auroc_estimate(is_positive, score, cohort.lesion_ids),
            _group_sizes(is_positive),
        )
        for i, (name, is_positive, score) in enumerate(questions)
    ]
    per_class, of_questions = curves[: len(task.codes)], curves[len(task.codes) :]
    usable = [(curve.positives, curve.negatives) for curve in per_class if curve.positives and curve.negatives]
    mean_sensitivities = mean_of_finite(sensitivities[: len(per_class)])
    macro = _roc_curve(
        MACRO,
        # The grid starts at the top of the rise at false-positive rate 0; the drawn curve starts at its foot.
        (np.array([0, *ROC_GRID]), np.array([0, *mean_sensitivities[0]]), np.full(len(ROC_GRID) + 1, np.nan)),
        mean_sensitivities,
        macro_auroc_estimate(cohort.dx_true, cohort.probabilities, cohort.lesion_ids),
        (sum(positives for positives, _ in usable), sum(negatives for _, negatives in usable)),
    )
    return (*per_class, macro, *of_questions)


def _group_sizes(is_positive: Booleans) -> tuple[int, int]:
    return int(is_positive.sum()), int((~is_positive).sum())


def _roc_curve(
    name: str, points: tuple[Array, Array, Array], sensitivities: Array, area: Estimate, sizes: tuple[int, int]
) -> RocCurve:
    has_band = not math.isnan(area.low)
    low, high = percentile_interval(sensitivities[1:] if has_band else np.full_like(sensitivities[1:], np.nan))
    return RocCurve(name, *points, ROC_GRID, low, high, area, *sizes)


def reliability_bins(cohort: Cohort) -> dict[str, dict[str, NDArray[Any]]]:
    """Stated probability against observed share: of the most probable class (`top_class`), of p(positive) and of the
    further questions, by their keys.

    Returns:
        For each of them: `stated` (mean probability), `observed` (share) and `images` of each bin; NaN where a bin
        holds none.
    """
    top = cohort.probabilities.argmax(axis=1)
    questions = {
        "top_class": (top == cohort.dx_true, cohort.probabilities.max(axis=1)),
        "positive": (cohort.is_positive, cohort.p_positive),
        **{question.key: question_scores(cohort, question.key) for question in cohort.task.further},
    }
    return {
        name: dict(zip(("stated", "observed", "images"), reliability(*question), strict=True))
        for name, question in questions.items()
    }


def evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON holds it: plain numbers, text, lists and dicts, with None for NaN.

    Without what only grades and further questions have, where there are none; `weighted_kappa` is always there.
    """
    stated = asdict(evaluation)
    return to_plain({name: value for name, value in stated.items() if value is not None or name not in _WHERE_ANY})


def to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    return None if isinstance(value, float) and math.isnan(value) else value
