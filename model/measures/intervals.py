"""95 % intervals by bootstrap: draw whole groups with replacement, and compute each metric under all draws at once.

For means, differences and agreement; shares have intervals in `model.measures.shares`, areas in `model.measures.areas`.

A group holds the images that are not independent of each other: those of one lesion, or of one eye.

A bootstrap sample is a row of weights, how often each image was drawn, so that a thousand samples are one matrix and
a metric needs a matrix product or a cumulative sum in place of a thousand passes. With weights of one every weighted
function here equals its namesake in `model.measures.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.measures.metrics import Array, Booleans, Indices, check_aligned, mean_of_finite

Weights = NDArray[np.float32]
Groups = NDArray[np.str_]

RESAMPLES = 1000
BOOTSTRAP_SEED = 1
LEVEL = 0.95
# Bootstrap samples worked on at once in the cumulative sums: 64 of 1,500 images are 0.8 MB and stay in the cache.
_BLOCK = 64


@dataclass(frozen=True)
class Estimate:
    """A measured value and its 95 % interval by group; NaN where it cannot be said, an interval also by itself.

    The interval speaks of other groups (lesions, eyes) from the same source, not of other clinics or cameras.
    """

    value: float
    low: float
    high: float


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


def weighted_means(values: NDArray[Any], weights: Weights) -> Array:
    """Mean of (N,) values in every bootstrap sample, (B,); NaN in samples without images."""
    drawn = weights.sum(axis=1, dtype=np.float64)
    return _weigh(weights, values) / np.where(drawn > 0, drawn, np.nan)


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
        for true, false in cumulative_counts(is_positive, score, weights)
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
    for true, false in cumulative_counts(is_positive, score, weights):
        is_usable = np.isfinite(_pairs(true, false))
        for i in np.flatnonzero(is_usable):
            sensitivities[row + i] = np.interp(false_positive_rates, false[i] / false[i, -1], true[i] / true[i, -1])
        row += len(true)
    return sensitivities


def _weigh(weights: Weights, values: NDArray) -> Array:
    """Sum of values over images in every bootstrap sample; exact for counts below 2**24, where float32 ends."""
    return (weights @ values.astype(np.float32)).astype(np.float64)


def cumulative_counts(is_positive: Booleans, score: Array, weights: Weights) -> Iterator[tuple[Array, Array]]:
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
