"""95 % intervals: draw whole groups with replacement, and compute each metric under all draws at once.

A group holds the images that are not independent of each other: those of one lesion, or of one eye.

A bootstrap sample is a row of weights, how often each image was drawn, so that a thousand samples are one matrix and
a metric needs a matrix product or a cumulative sum in place of a thousand passes. With weights of one every weighted
function here equals its namesake in `model.measures.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.measures.metrics import (
    CALIBRATION_BINS,
    Array,
    BinaryCounts,
    Booleans,
    Indices,
    bin_of_probability,
    binary_counts,
    check_aligned,
    expected_calibration_error,
    mean_of_finite,
)

Weights = NDArray[np.float32]
Groups = NDArray[np.str_]

RESAMPLES = 1000
BOOTSTRAP_SEED = 1
LEVEL = 0.95
# Bootstrap samples worked on at once in the cumulative sums: 64 of 1,500 images are 0.8 MB and stay in the cache.
_BLOCK = 64


@dataclass(frozen=True)
class Estimate:
    """A measured value and its 95 % interval by a bootstrap of groups; NaN where it cannot be said.

    The interval speaks of other groups (lesions, eyes) from the same source, not of other clinics or cameras. Shares of
    0 or 1 get an exact bound (`share_estimates`); an AUROC of 0 or 1 does not, its interval has no width.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ThresholdMetrics:
    """What calling every score at or above a threshold does.

    Attributes:
        threshold: images with score >= threshold are called positive.
        counts: the four counts, in images.
        sensitivity, specificity, ppv, npv, accuracy: in [0, 1]; NaN where their denominator is empty.
    """

    threshold: float
    counts: BinaryCounts
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    accuracy: Estimate


def bootstrap_weights(groups: Groups, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Weights:
    """How often each image's group was drawn in each bootstrap sample.

    Whole groups are drawn with replacement, as many as there are. Images of one lesion are not independent, so
    drawing images would make the intervals too narrow.

    Args:
        groups: (N,) group of each image.
        resamples: number of bootstrap samples B, at least 1.
        seed: the same seed and groups give the same weights.

    Returns:
        (B, N) float32 whole numbers >= 0, equal for all images of a group; (B, 0) without images.

    Raises:
        ValueError: fewer than one resample.

    Source:
        Field & Welsh, J. R. Stat. Soc. B 2007;69:369, doi:10.1111/j.1467-9868.2007.00593.x (cluster bootstrap).
    """
    if resamples < 1:
        raise ValueError(f"expected at least one bootstrap sample, received {resamples}")
    unique_groups, group_of = np.unique(groups, return_inverse=True)
    count = len(unique_groups)
    if not count:
        return np.zeros((resamples, 0), dtype=np.float32)
    drawn = np.random.default_rng(seed).integers(count, size=(resamples, count))
    drawn += count * np.arange(resamples)[:, np.newaxis]
    times = np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count)
    # take, not an index: it lays the rows out one after the other, which the matrix products need to be fast.
    return np.take(times.astype(np.float32), group_of, axis=1)


def percentile_interval(values: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Lower and upper bounds of bootstrap values along axis 0.

    Args:
        values: (B, ...) values, NaN in samples where the value cannot be said; those are left out.
        level: share of the values between the bounds.

    Returns:
        low, high of shape (...); NaN where every value is NaN.

    Source:
        Efron & Tibshirani 1993, chapter 13 (percentile interval), doi:10.1201/9780429246593.
    """
    tail = (1 - level) / 2 * 100
    is_empty = ~np.isfinite(values).any(axis=0)
    low, high = np.nanpercentile(np.where(is_empty, 0.0, values), [tail, 100 - tail], axis=0)
    return np.where(is_empty, np.nan, low), np.where(is_empty, np.nan, high)


def estimate_of(value: float, resampled: Array) -> Estimate:
    """An `Estimate` of a value and its (B,) bootstrap values."""
    low, high = percentile_interval(resampled)
    return Estimate(float(value), float(low), float(high))


def share_estimates(is_hit: Booleans, is_counted: Booleans, groups: Groups, weights: Weights) -> tuple[Estimate, ...]:
    """Share of the counted images that are hits, for K pairs of columns: every rate of a yes/no decision is one.

    When all or none of the images are hits, so are those of every bootstrap sample, and the percentile interval would
    have no width, however few the groups. The exact binomial bound with the groups as trials takes its place:
    11 of 11 groups is 1 (0.72 to 1).

    Args:
        is_hit: (N, K) bool.
        is_counted: (N, K) bool, the denominators.
        groups: (N,) group of each image.
        weights: (B, N) of `bootstrap_weights`.

    Returns:
        K shares in [0, 1]; NaN when nothing is counted.

    Raises:
        ValueError: lengths differ.

    Source:
        Clopper & Pearson, Biometrika 1934;26:404, doi:10.1093/biomet/26.4.404 (exact bound).
    """
    check_aligned(is_hit, is_counted)
    check_aligned(is_hit, groups)
    # One product for all columns: under load, each call costs more than its arithmetic.
    hits, counted = np.split(_weigh(weights, np.hstack([is_hit & is_counted, is_counted])), 2, axis=1)
    low, high = percentile_interval(hits / np.where(counted > 0, counted, np.nan))
    images = is_counted.sum(axis=0)
    shares = (is_hit & is_counted).sum(axis=0) / np.where(images > 0, images, np.nan)
    return tuple(
        _exact_estimate(share, groups[is_counted[:, k]])
        if share in (0.0, 1.0)
        else Estimate(float(share), float(low[k]), float(high[k]))
        for k, share in enumerate(shares)
    )


def _exact_estimate(share: float, groups: Groups) -> Estimate:
    bound = ((1 - LEVEL) / 2) ** (1 / len(np.unique(groups)))
    return Estimate(1.0, bound, 1.0) if share == 1.0 else Estimate(0.0, 0.0, 1 - bound)


def rate_estimates(
    is_positive: Booleans, is_called: Booleans, groups: Groups, weights: Weights
) -> tuple[Estimate, ...]:
    """Sensitivity, specificity, PPV, NPV and accuracy of a yes/no decision, in this order; see `share_estimates`.

    Args:
        is_positive: (N,) bool, the reference.
        is_called: (N,) bool, the decision.
        groups: (N,) group of each image.
        weights: (B, N) of `bootstrap_weights`.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(is_positive, is_called)
    denominators = [is_positive, ~is_positive, is_called, ~is_called, np.ones_like(is_called)]
    is_correct = np.column_stack([is_positive == is_called] * len(denominators))
    return share_estimates(is_correct, np.column_stack(denominators), groups, weights)


class BinaryThresholds:
    """Scores of a yes/no question, ready to try many thresholds on: milliseconds each, as a slider needs.

    Args:
        is_positive: (N,) bool, the reference: one class against the rest, or one side of a question.
        score: (N,), higher means more positive.
        groups: (N,) group of each image.
        weights: (B, N) of `bootstrap_weights`, where the caller has them; None draws them with the default seed, which
            gives the same intervals.

    Raises:
        ValueError: lengths differ.
    """

    def __init__(self, is_positive: Booleans, score: Array, groups: Groups, weights: Weights | None = None) -> None:
        check_aligned(is_positive, score)
        check_aligned(is_positive, groups)
        self._is_positive, self._score, self._groups = is_positive, score, groups
        self._weights = bootstrap_weights(groups) if weights is None else weights

    def at(self, threshold: float) -> ThresholdMetrics:
        """What calling every score >= `threshold` positive does."""
        is_called = self._score >= threshold
        counts = binary_counts(self._is_positive, is_called)
        rates = rate_estimates(self._is_positive, is_called, self._groups, self._weights)
        return ThresholdMetrics(float(threshold), counts, *rates)


def weighted_confusion_matrices(dx_true: Indices, dx_predicted: Indices, weights: Weights, classes: int) -> Array:
    """Confusion matrix of every bootstrap sample, (B, classes, classes) float64: row reference, column prediction.

    Args:
        dx_true: (N,) class indices, the reference.
        dx_predicted: (N,) class indices, aligned with `dx_true`.
        weights: (B, N).
        classes: number of classes.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(dx_true, dx_predicted)
    is_in_cell = (dx_true * classes + dx_predicted)[:, np.newaxis] == np.arange(classes**2)
    return _weigh(weights, is_in_cell).reshape(-1, classes, classes)


def weighted_balanced_accuracy(dx_true: Indices, dx_predicted: Indices, weights: Weights, classes: int) -> Array:
    """Mean sensitivity over the classes each bootstrap sample has images of, (B,); see `balanced_accuracy`."""
    matrices = weighted_confusion_matrices(dx_true, dx_predicted, weights, classes)
    images = matrices.sum(axis=2)
    return mean_of_finite(np.diagonal(matrices, axis1=1, axis2=2) / np.where(images > 0, images, np.nan), axis=1)


def weighted_auroc(is_positive: Booleans, score: Array, weights: Weights) -> Array:
    """Area under the ROC curve of every bootstrap sample, ties counting half; see `model.measures.metrics.auroc`.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        weights: (B, N).

    Returns:
        (B,) in [0, 1]; NaN in samples where either group is empty.

    Raises:
        ValueError: lengths differ.
    """
    # The trapezium rule joins the ends of a run of ties by a straight line, which is what counting ties half means.
    doubled = [
        np.einsum("bk,bk->b", np.diff(false, axis=1), true[:, 1:] + true[:, :-1]) / _pairs(true, false)
        for true, false in _cumulative_counts(is_positive, score, weights)
    ]
    return np.concatenate(doubled) / 2


def weighted_sensitivity_at(
    is_positive: Booleans, score: Array, weights: Weights, false_positive_rates: Array
) -> Array:
    """Sensitivity of every bootstrap sample at given false-positive rates: the ROC curves on one grid, for a band.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        weights: (B, N).
        false_positive_rates: (G,) in [0, 1].

    Returns:
        (B, G) in [0, 1], linear between the points of a curve, its upper end where it rises straight up; NaN in
        samples where either group is empty.

    Raises:
        ValueError: lengths differ.

    Source:
        Fawcett, Pattern Recognition Letters 2006;27:861, doi:10.1016/j.patrec.2005.10.010 (vertical averaging).
    """
    sensitivities = np.full((len(weights), len(false_positive_rates)), np.nan)
    row = 0
    for true, false in _cumulative_counts(is_positive, score, weights):
        is_usable = np.isfinite(_pairs(true, false))
        for i in np.flatnonzero(is_usable):
            sensitivities[row + i] = np.interp(false_positive_rates, false[i] / false[i, -1], true[i] / true[i, -1])
        row += len(true)
    return sensitivities


def weighted_calibration_error(
    dx_true: Indices, probabilities: Array, weights: Weights, bins: int = CALIBRATION_BINS
) -> Array:
    """Expected calibration error of every bootstrap sample, (B,); see
    `model.measures.metrics.expected_calibration_error`.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.
        weights: (B, N).
        bins: number of equal-width bins.

    Returns:
        (B,) in [0, 1]; NaN without images.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(dx_true, probabilities)
    if not len(dx_true):
        return np.full(len(weights), np.nan)
    stated = probabilities.max(axis=1)
    is_in_bin = bin_of_probability(stated, bins)[:, np.newaxis] == np.arange(bins)
    gap = stated - (probabilities.argmax(axis=1) == dx_true)
    # |sum of stated - sum of observed| of a bin is its count times the gap of the means.
    gaps = np.abs(_weigh(weights, is_in_bin * gap[:, np.newaxis]))
    return gaps.sum(axis=1) / weights.sum(axis=1, dtype=np.float64)


def calibration_estimate(dx_true: Indices, probabilities: Array, weights: Weights) -> Estimate:
    """Expected calibration error with its interval.

    The error is a sum of absolute gaps, so noise only adds to it: that of bootstrap samples is too high, and the
    percentile interval can lie above the value. The basic interval mirrors the excess to the other side; it is
    widened to hold the value and ends at 0. Noise lifts the value itself too, the more the fewer the images: that of a
    perfectly calibrated model is not 0.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.
        weights: (B, N) of `bootstrap_weights`.

    Returns:
        Error in [0, 1]; NaN without images.

    Raises:
        ValueError: lengths differ.

    Source:
        Davison & Hinkley 1997, section 5.2 (basic interval), doi:10.1017/CBO9780511802843.
    """
    value = expected_calibration_error(dx_true, probabilities)
    low, high = percentile_interval(weighted_calibration_error(dx_true, probabilities, weights))
    return Estimate(value, float(np.clip(2 * value - high, 0, value)), float(np.clip(2 * value - low, value, 1)))


def _weigh(weights: Weights, values: NDArray) -> Array:
    """Sum of values over images in every bootstrap sample; exact for counts below 2**24, where float32 ends."""
    return (weights @ values.astype(np.float32)).astype(np.float64)


def _cumulative_counts(is_positive: Booleans, score: Array, weights: Weights) -> Iterator[tuple[Array, Array]]:
    """True and false positives at every distinct threshold, from none to all, in blocks of bootstrap samples."""
    check_aligned(is_positive, score)
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(score[order], append=-np.inf))
    positive = is_positive[order]
    for start in range(0, len(weights), _BLOCK):
        drawn = weights[start : start + _BLOCK, order].astype(np.float64)
        counts = np.zeros((2, len(drawn), len(last_of_ties) + 1))
        counts[0, :, 1:] = np.cumsum(drawn * positive, axis=1)[:, last_of_ties]
        counts[1, :, 1:] = np.cumsum(drawn * ~positive, axis=1)[:, last_of_ties]
        yield counts[0], counts[1]


def _pairs(true_positives: Array, false_positives: Array) -> Array:
    """Pairs of a positive and a negative in every bootstrap sample; NaN where there is none."""
    pairs = true_positives[:, -1] * false_positives[:, -1]
    return np.where(pairs > 0, pairs, np.nan)
