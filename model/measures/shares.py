"""Shares with 95 % intervals by group: Wilson's interval, for as many trials as the images are worth.

Images of one group (a lesion, an eye) are not independent of each other, so n images are worth fewer trials: n over
the design effect. `model.studies.interval_coverage` measures how often these intervals hold the true share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.measures.intervals import LEVEL, Estimate, Groups
from model.measures.metrics import Array, BinaryCounts, Booleans, Indices, binary_counts, check_aligned

# Standard normal quantile of a two-sided level of 95 %.
Z_95 = 1.959963984540054


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


def wilson_interval(share: Array, n: Array) -> tuple[Array, Array]:
    """95 % score interval of shares of n independent trials; NaN where n is 0.

    Args:
        share: in [0, 1], any shape.
        n: trials, of the same shape; need not be whole.

    Source:
        Wilson, J Am Stat Assoc 1927;22:209, doi:10.1080/01621459.1927.10502953.
    """
    n = np.where(n > 0, n, np.nan)
    centre = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    # Rounding must not leave the value itself outside.
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)


def group_numbers(groups: Groups | Indices) -> Indices:
    """Number of each image's group, (N,) int64 from 0 without gaps."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def sums_by_group(values: Array, group_of: Indices) -> Array:
    """Sum of (N, K) values over the images of each group, (G, K)."""
    sums = np.zeros((group_of.max(initial=-1) + 1, values.shape[1]))
    np.add.at(sums, group_of, values)
    return sums


def share_estimates(is_hit: Booleans | Array, is_counted: Booleans, groups: Groups | Indices) -> tuple[Estimate, ...]:
    """Share of the counted images that are hits, for K pairs of columns: every rate of a yes/no decision is one.

    The trials are p (1 - p) over the variance of the share between groups, and never more than the images: that
    variance is taken to be at least that of independent images. Where all counted images are hits or none is, nothing
    shows how alike the images of a group are: they then count as wholly alike, which gives the number of groups where
    these are of one size, and the interval is no narrower than the exact one: 11 of 11 groups is 1 (0.72 to 1).

    Args:
        is_hit: (N, K) bool; or in [0, 1], where an image is a hit in part.
        is_counted: (N, K) bool, the denominators.
        groups: (N,) group of each image.

    Returns:
        K shares in [0, 1]; NaN when nothing is counted.

    Raises:
        ValueError: lengths differ.

    Source:
        Kish, Survey Sampling 1965 (design effect); Cochran, Sampling Techniques 1977, section 6.3 (variance of a
        ratio); Korn & Graubard, Survey Methodology 1998;24:193 (intervals with the effective n); Clopper & Pearson,
        Biometrika 1934;26:404, doi:10.1093/biomet/26.4.404 (exact bound).
    """
    check_aligned(is_hit, is_counted)
    check_aligned(is_hit, groups)
    counted = is_counted.astype(np.float64)
    hits = np.where(is_counted, is_hit, 0.0)
    images = np.where(counted.any(axis=0), counted.sum(axis=0), np.nan)
    shares = hits.sum(axis=0) / images
    group_of = group_numbers(groups)
    counted_of, hits_of = sums_by_group(counted, group_of), sums_by_group(hits, group_of)
    number = (counted_of > 0).sum(axis=0)
    between = ((hits_of - shares * counted_of) ** 2).sum(axis=0) * number / np.where(number > 1, number - 1, np.nan)
    among_images = (counted * (hits - shares) ** 2).sum(axis=0)
    spread = np.fmax(between, among_images)
    low, high = clustered_interval(shares, images, number, spread, (counted_of**2).sum(axis=0))
    return tuple(Estimate(*map(float, row)) for row in zip(shares, low, high, strict=True))


def clustered_interval(
    shares: Array, images: Array, groups: Array, spread: Array, squares: Array
) -> tuple[Array, Array]:
    """95 % intervals of shares of images that come in groups; see `share_estimates`.

    Args:
        shares: in [0, 1], (K,), NaN where nothing is counted.
        images: counted.
        groups: that have counted images.
        spread: sum over the groups of (hits - share * images of the group)^2, times groups / (groups - 1); at least
            that of independent images.
        squares: sum over the groups of (images of the group)^2.

    Returns:
        Lower and upper bounds, (K,); NaN where there are no groups.
    """
    wholly_alike = images**2 / np.where(groups > 0, squares, np.nan)
    is_told = (spread > 0) & (groups > 1)
    trials = np.where(is_told, shares * (1 - shares) * images**2 / np.where(is_told, spread, 1.0), wholly_alike)
    low, high = wilson_interval(shares, trials)
    exact = ((1 - LEVEL) / 2) ** (1 / trials)
    low, high = np.where(shares == 1, np.fmin(low, exact), low), np.where(shares == 0, np.fmax(high, 1 - exact), high)
    return low, high


def weighted_sum(constant: float, *parts: tuple[float, Estimate]) -> Estimate:
    """A constant and estimates times factors, with the interval of their sum; NaN where one of them is.

    Args:
        constant: added.
        parts: factor and estimate of each, measured on other groups than the others, with their 95 % intervals.

    Source:
        Zou & Donner, Stat Med 2008;27:1693, doi:10.1002/sim.3095: the distances from the value to the bounds add up as
        squares; of two shares Newcombe, Stat Med 1998;17:873 (method 10).
    """
    value = constant + sum(factor * part.value for factor, part in parts)
    # Where the factor is below 0, the upper bound of the part makes the lower one of the sum.
    below = [factor * (part.value - (part.low if factor > 0 else part.high)) for factor, part in parts]
    above = [factor * ((part.high if factor > 0 else part.low) - part.value) for factor, part in parts]
    return Estimate(value, value - math.hypot(*below), value + math.hypot(*above))


def difference_of_sums(first: Sequence[Estimate], second: Sequence[Estimate]) -> Estimate:
    """The sum of `first` minus the sum of `second`, see `weighted_sum`."""
    return weighted_sum(0.0, *((1.0, share) for share in first), *((-1.0, share) for share in second))


def quantile_estimate(values: Array, groups: Groups, share: float) -> Estimate:
    """The smallest value that at least a share of the values stay within, with its interval.

    The interval reaches from the value that the lower bound of that share stays within to the one of the upper bound.

    Args:
        values: (N,), at least one.
        groups: (N,) group of each value.
        share: above 0 and up to 1.

    Raises:
        ValueError: lengths differ.

    Source:
        Woodruff, J Am Stat Assoc 1952;47:635, doi:10.1080/01621459.1952.10483443.
    """
    ranked = np.sort(values)

    def reaching(part: float) -> float:
        # 1e-9: 0.95 * 100 must need 95 values, not 96.
        return float(ranked[max(int(np.ceil(part * len(ranked) - 1e-9)), 1) - 1])

    value = reaching(share)
    is_within = (values <= value)[:, np.newaxis]
    (within,) = share_estimates(is_within, np.ones_like(is_within), groups)
    return Estimate(value, min(reaching(within.low), value), max(reaching(within.high), value))


def rate_estimates(is_positive: Booleans, is_called: Booleans, groups: Groups | Indices) -> tuple[Estimate, ...]:
    """Sensitivity, specificity, PPV, NPV and accuracy of a yes/no decision, in this order; see `share_estimates`.

    Args:
        is_positive: (N,) bool, the reference.
        is_called: (N,) bool, the decision.
        groups: (N,) group of each image.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(is_positive, is_called)
    denominators = [is_positive, ~is_positive, is_called, ~is_called, np.ones_like(is_called)]
    is_correct = np.column_stack([is_positive == is_called] * len(denominators))
    return share_estimates(is_correct, np.column_stack(denominators), groups)


class BinaryThresholds:
    """Scores of a yes/no question, ready to try many thresholds on: a millisecond each, as a slider needs.

    Args:
        is_positive: (N,) bool, the reference: one class against the rest, or one side of a question.
        score: (N,), higher means more positive.
        groups: (N,) group of each image.

    Raises:
        ValueError: lengths differ.
    """

    def __init__(self, is_positive: Booleans, score: Array, groups: Groups) -> None:
        check_aligned(is_positive, score)
        check_aligned(is_positive, groups)
        self._is_positive, self._score, self._groups = is_positive, score, group_numbers(groups)

    def at(self, threshold: float) -> ThresholdMetrics:
        """What calling every score >= `threshold` positive does."""
        is_called = self._score >= threshold
        counts = binary_counts(self._is_positive, is_called)
        return ThresholdMetrics(float(threshold), counts, *rate_estimates(self._is_positive, is_called, self._groups))
