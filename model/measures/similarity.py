"""How alike two arrays of values are, position by position: correlations of values and of their ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.measures.metrics import Array


def correlation(first: NDArray, second: NDArray) -> float:
    """Pearson correlation of two arrays of one shape, in [-1, 1]; NaN where one is the same everywhere.

    Raises:
        ValueError: shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected arrays of one shape, received {first.shape} and {second.shape}")
    if first.size == 0 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first.ravel().astype(np.float64), second.ravel().astype(np.float64))[0, 1])


def rank_correlation(first: NDArray, second: NDArray) -> float:
    """Spearman correlation: that of the ranks, equal values sharing the mean of theirs; otherwise as `correlation`.

    Source:
        Spearman, Am. J. Psychol. 1904;15:72, doi:10.2307/1412159.
    """
    return correlation(_ranks(first), _ranks(second))


def _ranks(values: NDArray) -> Array:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    # The ranks of a run of equal values end at the cumulative count.
    return (np.cumsum(count) - (count - 1) / 2)[place].reshape(values.shape)
