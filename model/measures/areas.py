"""Areas under ROC curves, and the difference of two on the same images, with 95 % intervals by group, and where there
are too few groups for one.

An area is the share of pairs of a positive and a negative that stand in the right order, so its interval is Wilson's
(`model.measures.shares`), for as many trials as DeLong's variance, summed by group, leaves. In a small sample that
variance is often too low: the few images that a network ranks badly are not in it. So a high variance is added to it,
by the weight of `EXTRA_GROUPS` groups beside those there are. `model.studies.interval_coverage` measures how often the
intervals hold the true area, and how often those of a percentile bootstrap do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.measures.intervals import Estimate, Groups
from model.measures.metrics import Array, Booleans, Indices, check_aligned
from model.measures.shares import Z_95, group_numbers, sums_by_group, wilson_interval

# Fewer groups of positives or of negatives do not show how badly the worst of them are ranked, on which the area hangs.
FEWEST_GROUPS = 50
# The mean of several areas varies less than each, and holds from fewer.
FEWEST_GROUPS_OF_MEAN = 10
# Of 5, 10 and 20 the fewest that hold in 0.93 of samples from 50 groups on also where a few positives look like
# negatives (`tests/model/studies/test_interval_coverage.py`); 10 are enough for the classes of skin lesions.
EXTRA_GROUPS = 20
# The same for each area in a mean of several, where not all samples are unlucky at once.
EXTRA_GROUPS_OF_MEAN = 5


@dataclass(frozen=True)
class AreaDifference(Estimate):
    """The first of two areas on the same images minus the second, in [-1, 1], with its 95 % interval by group.

    Attributes:
        p_value: two-sided, of no difference; NaN where there is no interval, 1 where the areas cannot differ: both rank
            the images alike.
    """

    p_value: float


@dataclass(frozen=True)
class _Area:
    """One area and how sure it is.

    Attributes:
        value: the area.
        influence: (N,) what each image adds to it, sum 0.
        variance: of the value, by group.
        groups: of the side that has fewer of them.
        trials: what these are worth where images of a group are wholly alike.
    """

    value: float
    influence: Array
    variance: float
    groups: int
    trials: float

    def supplement(self, extra: int) -> float:
        """What so many groups of a high variance add to that of the value.

        Hanley & McNeil 1982: the variance of an area of exponential scores is at most that of a share of two trials for
        each image of the smaller side.
        """
        return extra / (self.groups + extra) * self.value * (1 - self.value) / (2 * self.trials)


def auroc_estimate(is_positive: Booleans, score: Array, groups: Groups) -> Estimate:
    """Area under the ROC curve, ties counting half, with its interval.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        groups: (N,) group of each image.

    Returns:
        Area in [0, 1]. The interval is NaN with fewer than `FEWEST_GROUPS` groups of positives or of negatives, and
        the area as well without either.

    Raises:
        ValueError: lengths differ.

    Source:
        DeLong et al., Biometrics 1988;44:837, doi:10.2307/2531595; Obuchowski, Biometrics 1997;53:567,
        doi:10.2307/2533958 (by group); Newcombe, Statistics in Medicine 2006;25:559, doi:10.1002/sim.2324 (score
        intervals of areas).
    """
    area = _area(is_positive, score, group_numbers(groups))
    if area is None:
        return Estimate(np.nan, np.nan, np.nan)
    return _estimate(
        area.value, area.variance + area.supplement(EXTRA_GROUPS), area.trials, area.groups >= FEWEST_GROUPS
    )


def macro_auroc_estimate(dx_true: Indices, probabilities: Array, groups: Groups) -> Estimate:
    """Mean one-against-rest area over the classes for which it can be computed, with its interval.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.
        groups: (N,) group of each image.

    Returns:
        Mean in [0, 1]; the interval is NaN where one of these classes has fewer than `FEWEST_GROUPS_OF_MEAN` groups,
        and the mean as well where there is no class.

    Raises:
        ValueError: lengths differ.
    """
    group_of = group_numbers(groups)
    found = [_area(dx_true == index, column, group_of) for index, column in enumerate(probabilities.T)]
    areas = [area for area in found if area is not None]
    if not areas:
        return Estimate(np.nan, np.nan, np.nan)
    influence = np.mean([area.influence for area in areas], axis=0)
    variance = (
        _variance(influence, group_of) + sum(area.supplement(EXTRA_GROUPS_OF_MEAN) for area in areas) / len(areas) ** 2
    )
    fewest = min(area.groups for area in areas)
    value = float(np.mean([area.value for area in areas]))
    return _estimate(value, variance, min(area.trials for area in areas), fewest >= FEWEST_GROUPS_OF_MEAN)


def auroc_difference(
    is_positive: Booleans, first: Array, second: Array, groups: Groups, fewest_groups: int = FEWEST_GROUPS
) -> AreaDifference:
    """Difference of two areas under ROC curves on the same images: DeLong's test, by group.

    Args:
        is_positive: (N,) bool, the reference.
        first, second: (N,) scores, higher means more positive.
        groups: (N,) group of each image.
        fewest_groups: of positives and of negatives; with fewer there is no interval.

    Returns:
        NaN without positives or without negatives.

    Raises:
        ValueError: lengths differ.

    Source:
        DeLong et al., Biometrics 1988;44:837, doi:10.2307/2531595; Obuchowski, Biometrics 1997;53:567,
        doi:10.2307/2533958 (by group: the covariance of positives and negatives of one group counts as well).
    """
    group_of = group_numbers(groups)
    areas = _area(is_positive, first, group_of), _area(is_positive, second, group_of)
    if areas[0] is None or areas[1] is None:
        return AreaDifference(math.nan, math.nan, math.nan, math.nan)
    influence = areas[0].influence - areas[1].influence
    sides = np.column_stack([np.where(is_positive, influence, 0.0), np.where(is_positive, 0.0, influence)])
    by_group = sums_by_group(sides, group_of)
    images_of = sums_by_group(np.column_stack([is_positive, ~is_positive]).astype(np.float64), group_of)
    # Each sum of products over its own number of groups less one.
    numbers = (images_of > 0).sum(axis=0)
    variance = (_unbiased((by_group**2).sum(axis=0), numbers)).sum()
    variance += 2 * _unbiased(np.prod(by_group, axis=1).sum(), np.array(len(by_group)))
    return _difference(areas[0].value - areas[1].value, float(variance), areas[0].groups >= fewest_groups)


def macro_auroc_difference(dx_true: Indices, first: Array, second: Array, groups: Groups) -> AreaDifference:
    """The same of the mean one-against-rest area, over the classes for which it can be computed.

    Args:
        dx_true: (N,) class indices, the reference.
        first, second: (N, C) in class order.
        groups: (N,) group of each image.

    Returns:
        No interval where one of these classes has fewer than `FEWEST_GROUPS_OF_MEAN` groups, NaN where there is none.

    Raises:
        ValueError: lengths differ.
    """
    group_of = group_numbers(groups)
    pairs = [
        (_area(dx_true == index, one, group_of), _area(dx_true == index, other, group_of))
        for index, (one, other) in enumerate(zip(first.T, second.T, strict=True))
    ]
    found = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not found:
        return AreaDifference(math.nan, math.nan, math.nan, math.nan)
    influence = np.mean([one.influence - other.influence for one, other in found], axis=0)
    value = float(np.mean([one.value - other.value for one, other in found]))
    has_interval = min(one.groups for one, _ in found) >= FEWEST_GROUPS_OF_MEAN
    return _difference(value, _variance(influence, group_of), has_interval)


def _unbiased(sums: Array, numbers: NDArray[np.integer]) -> Array:
    return sums * numbers / np.where(numbers > 1, numbers - 1, np.nan)


def _difference(value: float, variance: float, has_interval: bool) -> AreaDifference:
    if not has_interval:
        return AreaDifference(value, math.nan, math.nan, math.nan)
    # Rounding leaves a variance of about 1e-34 where both rank all images alike.
    error = math.sqrt(variance) if variance > 1e-20 else 0.0
    p_value = math.erfc(abs(value) / error / math.sqrt(2)) if error else 1.0
    return AreaDifference(value, max(value - Z_95 * error, -1.0), min(value + Z_95 * error, 1.0), p_value)


def _area(is_positive: Booleans, score: Array, group_of: Indices) -> _Area | None:
    check_aligned(is_positive, score)
    check_aligned(is_positive, group_of)
    if is_positive.all() or not is_positive.any():
        return None
    placements = _placements(is_positive, score)
    value = float(placements[is_positive].mean())
    sizes = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
    influence = (placements - value) / sizes
    variance = _variance(influence, group_of)
    images_of = sums_by_group(np.column_stack([is_positive, ~is_positive]).astype(np.float64), group_of)
    groups = int((images_of > 0).sum(axis=0).min())
    trials = float((images_of.sum(axis=0) ** 2 / (images_of**2).sum(axis=0)).min())
    return _Area(value, influence, variance, groups, trials)


def _placements(is_positive: Booleans, score: Array) -> Array:
    """Share of the other side that each image stands in the right order with, ties counting half, (N,)."""
    _, rank = np.unique(score, return_inverse=True)
    positives, negatives = (np.bincount(rank[side], minlength=rank.max() + 1) for side in (is_positive, ~is_positive))
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()
    above = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()
    return np.where(is_positive, below[rank], above[rank])


def _variance(influence: Array, group_of: Indices) -> float:
    by_group = sums_by_group(influence[:, np.newaxis], group_of)
    return float((by_group**2).sum() * len(by_group) / max(len(by_group) - 1, 1))


def _estimate(value: float, variance: float, trials: float, has_interval: bool) -> Estimate:
    if not has_interval:
        return Estimate(value, np.nan, np.nan)
    # Where every pair is in order there is no variance to see: the groups count as trials.
    n = value * (1 - value) / variance if 0 < value < 1 and variance > 0 else trials
    low, high = wilson_interval(np.array(value), np.array(n))
    return Estimate(value, float(low), float(high))
