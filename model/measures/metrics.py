"""Diagnostic metrics in plain numpy, each checked in the tests against an answer worked out by hand.

Classes are indices, positions in the order of whoever asks; nothing here knows what they are called. NaN means "cannot
be said", for example the sensitivity of a class without images, and is never replaced by 0. Intervals are the business
of `model.measures.intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]

# As in Guo et al., ICML 2017, arXiv:1706.04599.
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class BinaryCounts:
    """The four counts of a yes/no decision, in images. Ratios are in [0, 1], NaN where their denominator is 0."""

    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    @property
    def n(self) -> int:
        return self.true_positives + self.false_negatives + self.true_negatives + self.false_positives

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN). Source: Altman & Bland, BMJ 1994;308:1552, doi:10.1136/bmj.308.6943.1552."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP). Source: Altman & Bland, BMJ 1994;308:1552, doi:10.1136/bmj.308.6943.1552."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def ppv(self) -> float:
        """TP / (TP + FP). Source: Altman & Bland, BMJ 1994;309:102, doi:10.1136/bmj.309.6947.102."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def npv(self) -> float:
        """TN / (TN + FN). Source: Altman & Bland, BMJ 1994;309:102, doi:10.1136/bmj.309.6947.102."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / n."""
        return _ratio(self.true_positives + self.true_negatives, self.n)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def softmax(logits: Array) -> Array:
    """Probabilities in [0, 1] that sum to 1, of logits along the last axis; stable for large values."""
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
    check_aligned(is_positive, is_called)
    return BinaryCounts(
        true_positives=int(np.sum(is_positive & is_called)),
        false_negatives=int(np.sum(is_positive & ~is_called)),
        true_negatives=int(np.sum(~is_positive & ~is_called)),
        false_positives=int(np.sum(~is_positive & is_called)),
    )


def confusion_matrix(dx_true: Indices, dx_predicted: Indices, classes: int) -> NDArray[np.int64]:
    """Counts of images: row is the reference, column the prediction.

    Args:
        dx_true: (N,) class indices, the reference.
        dx_predicted: (N,) class indices, aligned with `dx_true`.
        classes: number of classes.

    Returns:
        (classes, classes) int64; a class without images is a row of zeros.

    Raises:
        ValueError: lengths differ, or an index is not in 0 to classes - 1.
    """
    check_aligned(dx_true, dx_predicted)
    _check_indices(dx_true, classes)
    _check_indices(dx_predicted, classes)
    return np.bincount(dx_true * classes + dx_predicted, minlength=classes**2).reshape(classes, classes)


def accuracy(dx_true: Indices, dx_predicted: Indices) -> float:
    """Share of images predicted as what they are; NaN without images.

    Never a headline: always answering the most frequent class scores that class's share.

    Args:
        dx_true: (N,) class indices, the reference.
        dx_predicted: (N,) class indices, aligned with `dx_true`.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(dx_true, dx_predicted)
    return float(np.mean(dx_true == dx_predicted)) if len(dx_true) else float("nan")


def balanced_accuracy(dx_true: Indices, dx_predicted: Indices, classes: int) -> float:
    """Mean sensitivity over the classes that have images; NaN without images.

    Args:
        dx_true: (N,) class indices, the reference.
        dx_predicted: (N,) class indices, aligned with `dx_true`.
        classes: number of classes.

    Raises:
        ValueError: lengths differ, or an index is not in 0 to classes - 1.

    Source:
        Codella et al. 2019, arXiv:1902.03368 (ISIC 2018 Task 3, "balanced multiclass accuracy").
    """
    matrix = confusion_matrix(dx_true, dx_predicted, classes)
    images = matrix.sum(axis=1)
    return float(mean_of_finite(matrix.diagonal() / np.where(images > 0, images, np.nan)))


def auroc(is_positive: Booleans, score: Array) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.

    Returns:
        Area in [0, 1]; NaN when either group is empty.

    Raises:
        ValueError: lengths differ.

    Source:
        Hanley & McNeil, Radiology 1982;143:29, doi:10.1148/radiology.143.1.7063747.
    """
    check_aligned(is_positive, score)
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

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.

    Returns:
        false_positive_rate, sensitivity, threshold, each (K,), from the point (0, 0) at threshold infinity to (1, 1);
        a score equal to the threshold is called positive. Rates are NaN when their group is empty.

    Raises:
        ValueError: lengths differ.

    Source:
        Fawcett, Pattern Recognition Letters 2006;27:861, doi:10.1016/j.patrec.2005.10.010.
    """
    check_aligned(is_positive, score)
    order = np.argsort(-score, kind="stable")
    sorted_score, sorted_positive = score[order], is_positive[order]
    last_of_ties = np.flatnonzero(np.diff(sorted_score, append=-np.inf))
    true_positives = np.concatenate([[0], np.cumsum(sorted_positive)[last_of_ties]])
    false_positives = np.concatenate([[0], np.cumsum(~sorted_positive)[last_of_ties]])
    sensitivity = true_positives / (true_positives[-1] or np.nan)
    false_positive_rate = false_positives / (false_positives[-1] or np.nan)
    return false_positive_rate, sensitivity, np.concatenate([[np.inf], sorted_score[last_of_ties]])


def macro_auroc(dx_true: Indices, probabilities: Array) -> float:
    """Mean one-against-rest AUROC over the classes for which it can be computed; NaN if there is none.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.

    Raises:
        ValueError: lengths differ.
    """
    areas = np.array([auroc(dx_true == index, probabilities[:, index]) for index in range(probabilities.shape[1])])
    return float(mean_of_finite(areas))


def positive_probability(probabilities: Array, positives: Sequence[int]) -> Array:
    """Sum of the probabilities of the classes at `positives`, (..., C) in, (...) out: of yes to a yes/no question."""
    return probabilities[..., list(positives)].sum(axis=-1)


def is_positive(dx_true: Indices, positives: Sequence[int]) -> Booleans:
    """Whether each class index is one of `positives`: (N,) int64 in, (N,) bool out."""
    return np.isin(dx_true, positives)


def bin_of_probability(probability: Array, bins: int) -> Indices:
    """Number of the equal-width bin of [0, 1] each probability falls into; 1 belongs to the last bin."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def reliability(
    is_correct: Booleans, probability: Array, bins: int = CALIBRATION_BINS
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Stated probability against observed share, in equal-width bins of [0, 1].

    Args:
        is_correct: (N,) bool, whether what the probability speaks of is the case.
        probability: (N,) in [0, 1].
        bins: number of bins.

    Returns:
        Mean stated probability, observed share and count in images, each (bins,); the first two NaN in an empty bin.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(is_correct, probability)
    bin_of = bin_of_probability(probability, bins)
    counts = np.bincount(bin_of, minlength=bins)
    images = np.where(counts > 0, counts, np.nan)
    stated = np.bincount(bin_of, weights=probability, minlength=bins) / images
    observed = np.bincount(bin_of, weights=is_correct.astype(float), minlength=bins) / images
    return stated, observed, counts


def expected_calibration_error(dx_true: Indices, probabilities: Array, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between the highest probability and how often that class was right, weighted by bin size.

    It speaks of the class with the highest probability, whatever the decision rule answers.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.
        bins: number of equal-width bins.

    Returns:
        Error in [0, 1]; NaN without images.

    Raises:
        ValueError: lengths differ.

    Source:
        Guo et al., ICML 2017, arXiv:1706.04599 (15 equal-width bins of the top probability).
    """
    check_aligned(dx_true, probabilities)
    if not len(dx_true):
        return float("nan")
    stated, observed, counts = reliability(probabilities.argmax(axis=1) == dx_true, probabilities.max(axis=1), bins)
    filled = counts > 0
    return float(np.sum(counts[filled] * np.abs(stated - observed)[filled]) / counts.sum())


def squared_errors(dx_true: Indices, probabilities: Array) -> Array:
    """Squared distance of each image's probabilities from certainty of its class, (N,) in [0, 2]; their mean is Brier's
    score.

    It is proper: no other probabilities than the true ones are expected to score lower.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.

    Raises:
        ValueError: lengths differ, or an index is not in 0 to C - 1.

    Source:
        Brier, Monthly Weather Review 1950;78:1, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    check_aligned(dx_true, probabilities)
    _check_indices(dx_true, probabilities.shape[1])
    return ((probabilities - np.eye(probabilities.shape[1])[dx_true]) ** 2).sum(axis=1)


def threshold_for_sensitivity(is_positive: Booleans, score: Array, target: float) -> float:
    """The highest threshold at which at least `target` of the positives are called (score >= threshold).

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        target: sensitivity to reach, in (0, 1].

    Raises:
        ValueError: lengths differ, no positives, or a target outside (0, 1].
    """
    check_aligned(is_positive, score)
    if not 0 < target <= 1:
        raise ValueError(f"expected a target sensitivity above 0 and up to 1, received {target}")
    positives = np.sort(score[is_positive])[::-1]
    if not len(positives):
        raise ValueError("expected at least one positive image, received none")
    # 1e-9: 0.95 * 100 must need 95 positives, not 96.
    return float(positives[max(int(np.ceil(target * len(positives) - 1e-9)), 1) - 1])


def reweigh_ppv_npv(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """Predictive values in a population with another share of positives than the test set (Bayes' theorem).

    It assumes that sensitivity and specificity are the same there, which holds only for a like mix of cases.

    Args:
        sensitivity: in [0, 1]; NaN gives NaN.
        specificity: in [0, 1]; NaN gives NaN.
        prevalence: share of positives in that population, in [0, 1].

    Returns:
        ppv, npv in [0, 1]; NaN where nobody would be called positive, or nobody negative.

    Raises:
        ValueError: a rate outside [0, 1].

    Source:
        Altman & Bland, BMJ 1994;309:102, doi:10.1136/bmj.309.6947.102.
    """
    for rate in (sensitivity, specificity, prevalence):
        if rate < 0 or rate > 1:
            raise ValueError(f"expected rates from 0 to 1, received {rate}")
    true_positives, false_positives = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_negatives, false_negatives = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return _ratio(true_positives, true_positives + false_positives), _ratio(
        true_negatives, true_negatives + false_negatives
    )


def reweigh_probability(probability: float, from_prevalence: float, to_prevalence: float) -> float:
    """A probability of being positive, moved to a population with another share of positives (Bayes' theorem).

    The odds change by the ratio of the prior odds. It assumes that positives look the same in both populations, and
    negatives too.

    Args:
        probability: in [0, 1], calibrated for `from_prevalence`; NaN gives NaN.
        from_prevalence: share of positives in the population it was calibrated for, above 0 and below 1.
        to_prevalence: share of positives in the other population, in [0, 1].

    Returns:
        In [0, 1]; NaN for a certain answer that the other population makes impossible (1 where nobody is positive).

    Raises:
        ValueError: a probability or share outside its range.

    Source:
        Saerens, Latinne, Decaestecker, Neural Computation 2002;14:21, doi:10.1162/089976602753284446
        (prior correction).
    """
    if not 0 < from_prevalence < 1:
        raise ValueError(f"expected a share above 0 and below 1 to come from, received {from_prevalence}")
    for share in (probability, to_prevalence):
        if share < 0 or share > 1:
            raise ValueError(f"expected shares from 0 to 1, received {share}")
    positive = probability * to_prevalence / from_prevalence
    negative = (1 - probability) * (1 - to_prevalence) / (1 - from_prevalence)
    return _ratio(positive, positive + negative)


def mean_of_finite(values: Array, axis: int = 0) -> Array:
    """Mean along an axis of the values that can be said; NaN, without a warning, where there is none."""
    is_finite = np.isfinite(values)
    counts = is_finite.sum(axis=axis)
    return np.where(is_finite, values, 0.0).sum(axis=axis) / np.where(counts > 0, counts, np.nan)


def check_aligned(first: NDArray, second: NDArray) -> None:
    """Raise ValueError unless two arrays have one length."""
    if len(first) != len(second):
        raise ValueError(f"expected arrays of one length, received {len(first)} and {len(second)}")


def _check_indices(dx_indices: Indices, classes: int) -> None:
    if len(dx_indices) and not 0 <= dx_indices.min() <= dx_indices.max() < classes:
        raise ValueError(
            f"expected class indices from 0 to {classes - 1}, received {dx_indices.min()} to {dx_indices.max()}"
        )
