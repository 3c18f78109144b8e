"""Diagnostic metrics in plain numpy, each checked in the tests against an answer worked out by hand.

Arrays of reference diagnoses are class indices (positions in `DX_CODES`); NaN means "cannot be said", for example the
sensitivity of a class without images, and is never replaced by 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.diagnoses import DX_CODES, MALIGNANT_INDICES

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class BinaryCounts:
    """The four counts of a yes/no decision. Ratios are NaN where their denominator is 0."""

    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    @property
    def n(self) -> int:
        return self.true_positives + self.false_negatives + self.true_negatives + self.false_positives

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN). Source: Altman & Bland, BMJ 1994;308:1552."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP). Source: Altman & Bland, BMJ 1994;308:1552."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def ppv(self) -> float:
        """TP / (TP + FP). Source: Altman & Bland, BMJ 1994;309:102."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def npv(self) -> float:
        """TN / (TN + FN). Source: Altman & Bland, BMJ 1994;309:102."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / n."""
        return _ratio(self.true_positives + self.true_negatives, self.n)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")


def softmax(logits: Array) -> Array:
    """Probabilities of logits along the last axis; stable for large values."""
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def binary_counts(is_positive: Booleans, is_called: Booleans) -> BinaryCounts:
    """Count a yes/no decision.

    Args:
        is_positive: (N,) bool, the reference.
        is_called: (N,) bool, the decision.

    Raises:
        ValueError: lengths differ.
    """
    _check_aligned(is_positive, is_called)
    return BinaryCounts(
        true_positives=int(np.sum(is_positive & is_called)),
        false_negatives=int(np.sum(is_positive & ~is_called)),
        true_negatives=int(np.sum(~is_positive & ~is_called)),
        false_positives=int(np.sum(~is_positive & is_called)),
    )


def confusion_matrix(dx_true: Indices, dx_predicted: Indices, classes: int = len(DX_CODES)) -> NDArray[np.int64]:
    """Counts of images, (classes, classes) int64: row is the reference, column the prediction."""
    _check_aligned(dx_true, dx_predicted)
    return np.bincount(dx_true * classes + dx_predicted, minlength=classes**2).reshape(classes, classes)


def accuracy(dx_true: Indices, dx_predicted: Indices) -> float:
    """Share of images predicted as what they are; NaN without images. Never a headline: always `nv` scores 0.67."""
    _check_aligned(dx_true, dx_predicted)
    return float(np.mean(dx_true == dx_predicted)) if len(dx_true) else float("nan")


def balanced_accuracy(dx_true: Indices, dx_predicted: Indices) -> float:
    """Mean sensitivity over the classes that have images; NaN without images.

    Source:
        Codella et al. 2019, arXiv:1902.03368 (ISIC 2018 Task 3, "balanced multiclass accuracy").
    """
    matrix = confusion_matrix(dx_true, dx_predicted)
    images = matrix.sum(axis=1)
    present = images > 0
    return float(np.mean(matrix.diagonal()[present] / images[present])) if present.any() else float("nan")


def auroc(is_positive: Booleans, score: Array) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.

    Returns:
        Area in [0, 1]; NaN when either group is empty.

    Source:
        Hanley & McNeil, Radiology 1982;143:29, doi:10.1148/radiology.143.1.7063747.
    """
    _check_aligned(is_positive, score)
    positives = int(np.sum(is_positive))
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    mean_rank = last_rank - (counts - 1) / 2
    rank_sum = float(mean_rank[inverse][is_positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def roc_curve(is_positive: Booleans, score: Array) -> tuple[Array, Array, Array]:
    """Sensitivity and false-positive rate at every distinct threshold.

    Returns:
        false_positive_rate, sensitivity, threshold, each (K,), from the point (0, 0) at threshold infinity to (1, 1);
        a score equal to the threshold is called positive. Rates are NaN when their group is empty.
    """
    _check_aligned(is_positive, score)
    order = np.argsort(-score, kind="stable")
    sorted_score, sorted_positive = score[order], is_positive[order]
    last_of_ties = np.flatnonzero(np.diff(sorted_score, append=-np.inf))
    true_positives = np.concatenate([[0], np.cumsum(sorted_positive)[last_of_ties]])
    false_positives = np.concatenate([[0], np.cumsum(~sorted_positive)[last_of_ties]])
    with np.errstate(invalid="ignore"):
        sensitivity = true_positives / (true_positives[-1] or np.nan)
        false_positive_rate = false_positives / (false_positives[-1] or np.nan)
    return false_positive_rate, sensitivity, np.concatenate([[np.inf], sorted_score[last_of_ties]])


def macro_auroc(dx_true: Indices, probabilities: Array) -> float:
    """Mean one-against-rest AUROC over the classes for which it can be computed; NaN if there is none."""
    areas = np.array([auroc(dx_true == index, probabilities[:, index]) for index in range(probabilities.shape[1])])
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")


def malignant_probability(probabilities: Array) -> Array:
    """Sum of the malignant classes' probabilities along the last axis (see `data.diagnoses.MALIGNANT_DX`)."""
    return probabilities[..., MALIGNANT_INDICES].sum(axis=-1)


def is_malignant(dx_true: Indices) -> Booleans:
    """Whether each class index belongs to the malignant group."""
    return np.isin(dx_true, MALIGNANT_INDICES)


def reliability(is_correct: Booleans, confidence: Array, bins: int = 15) -> tuple[Array, Array, NDArray[np.int64]]:
    """Mean stated probability, observed share and count in equal-width bins of [0, 1]; NaN in an empty bin."""
    _check_aligned(is_correct, confidence)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        stated = np.bincount(bin_of, weights=confidence, minlength=bins) / counts
        observed = np.bincount(bin_of, weights=is_correct.astype(float), minlength=bins) / counts
    return stated, observed, counts


def expected_calibration_error(dx_true: Indices, probabilities: Array, bins: int = 15) -> float:
    """Mean gap between the highest probability and how often that class was right, weighted by bin size.

    Returns:
        Error in [0, 1]; NaN without images.

    Source:
        Guo et al., ICML 2017, arXiv:1706.04599 (15 equal-width bins of the top probability).
    """
    if not len(dx_true):
        return float("nan")
    stated, observed, counts = reliability(probabilities.argmax(axis=1) == dx_true, probabilities.max(axis=1), bins)
    filled = counts > 0
    return float(np.sum(counts[filled] * np.abs(stated - observed)[filled]) / counts.sum())


def threshold_for_sensitivity(is_positive: Booleans, score: Array, target: float) -> float:
    """The highest threshold at which at least `target` of the positives are called (score >= threshold).

    Raises:
        ValueError: no positives.
    """
    positives = np.sort(score[is_positive])[::-1]
    if not len(positives):
        raise ValueError("expected at least one positive image, received none")
    # 1e-9: 0.95 * 100 must need 95 positives, not 96.
    return float(positives[max(int(np.ceil(target * len(positives) - 1e-9)), 1) - 1])


def lesion_bootstrap(
    lesion_ids: NDArray[np.str_], statistic: Callable[[NDArray[np.int64]], Array], resamples: int, seed: int
) -> Array:
    """Values of a statistic over bootstrap samples that draw whole lesions with replacement.

    Images of one lesion are not independent, so drawing images would make intervals too narrow.

    Args:
        lesion_ids: (N,) lesion of each image.
        statistic: maps row numbers (with repeats) to a vector of K values.
        resamples: number of bootstrap samples.
        seed: seed of the draws.

    Returns:
        (resamples, K) values.
    """
    _, lesion_of = np.unique(lesion_ids, return_inverse=True)
    rows_by_lesion = np.split(np.argsort(lesion_of, kind="stable"), np.cumsum(np.bincount(lesion_of))[:-1])
    generator = np.random.default_rng(seed)
    values = [
        statistic(
            np.concatenate(
                [rows_by_lesion[i] for i in generator.integers(len(rows_by_lesion), size=len(rows_by_lesion))]
            )
        )
        for _ in range(resamples)
    ]
    return np.stack(values)


def percentile_interval(values: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper bounds of bootstrap values along axis 0; NaN where every value is NaN.

    Source:
        Efron & Tibshirani 1993, chapter 13 (percentile interval).
    """
    tail = (1 - level) / 2 * 100
    usable = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    low, high = np.nanpercentile(usable, [tail, 100 - tail], axis=0)
    is_empty = ~np.isfinite(values).any(axis=0)
    return np.where(is_empty, np.nan, low), np.where(is_empty, np.nan, high)


def _check_aligned(first: NDArray, second: NDArray) -> None:
    if len(first) != len(second):
        raise ValueError(f"expected arrays of one length, received {len(first)} and {len(second)}")
