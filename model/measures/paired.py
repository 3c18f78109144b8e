"""Two sets of yes/no outcomes of the same images, compared: McNemar's tests, by group.

Images of one group (a lesion, an eye) are not independent of each other, so what they say together counts as one
observation. With one image a group both tests are McNemar's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.measures.intervals import Groups
from model.measures.metrics import Array, Booleans, Indices, check_aligned
from model.measures.shares import group_numbers, sums_by_group


@dataclass(frozen=True)
class McNemar:
    """How the outcomes of two models on the same images differ.

    Attributes:
        only_first, only_second: images that only the one, and only the other, got right.
        chi_squared: with one degree of freedom, without continuity correction; NaN where no group differs.
        p_chi_squared: two-sided, in [0, 1]; 1 where no group differs.
        p_exact: the same, exact however few differ; the chance of a difference as large where each group that differs
            might as well have done so the other way round.
    """

    only_first: int
    only_second: int
    chi_squared: float
    p_chi_squared: float
    p_exact: float


def mcnemar(is_right_first: Booleans, is_right_second: Booleans, groups: Groups | Indices) -> McNemar:
    """Whether one of two models is right more often than the other on the same images.

    Args:
        is_right_first, is_right_second: (N,) bool, aligned.
        groups: (N,) group of each image.

    Raises:
        ValueError: lengths differ.

    Source:
        McNemar, Psychometrika 1947;12:153, doi:10.1007/BF02295996; Yang, Sun, Hardin, Biometrical Journal 2010;52:638,
        doi:10.1002/bimj.201000035 (clusters: the square of the summed differences over the sum of their squares). The
        exact test turns the signs of the groups' differences, of which the binomial one is the case of single images.
    """
    check_aligned(is_right_first, is_right_second)
    check_aligned(is_right_first, groups)
    lead = is_right_first.astype(np.int64) - is_right_second.astype(np.int64)
    by_group = sums_by_group(lead[:, np.newaxis].astype(np.float64), group_numbers(groups))[:, 0].astype(np.int64)
    by_group = by_group[by_group != 0]
    squares = int((by_group**2).sum())
    chi_squared = int(by_group.sum()) ** 2 / squares if squares else math.nan
    return McNemar(
        only_first=int((lead > 0).sum()),
        only_second=int((lead < 0).sum()),
        chi_squared=chi_squared,
        p_chi_squared=math.erfc(math.sqrt(chi_squared / 2)) if squares else 1.0,
        p_exact=_share_as_far_from_zero(np.abs(by_group), abs(int(by_group.sum()))),
    )


def _share_as_far_from_zero(sizes: Indices, observed: int) -> float:
    """Of all choices of signs for whole numbers, the share whose sum lies at least so far from 0."""
    chances = np.ones(1)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        chances = np.convolve(chances, _chances_of_signs(int(size), int(count)))
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return min(float(chances[np.abs(sums) >= observed].sum()), 1.0)


def _chances_of_signs(size: int, count: int) -> Array:
    """Chance of every sum of `count` numbers +-`size`, from the lowest sum to the highest in steps of two."""
    positive = np.arange(count + 1)
    log_choices = math.lgamma(count + 1) - np.array(
        [math.lgamma(k + 1) + math.lgamma(count - k + 1) for k in positive.tolist()]
    )
    chances = np.zeros(size * count + 1)
    chances[size * positive] = np.exp(log_choices - count * math.log(2))
    return chances
