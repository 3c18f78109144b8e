"""Correlations of values and of ranks, by hand: ties, opposites, and what is the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.similarity import correlation, rank_correlation


def test_correlations_by_hand() -> None:
    first, second = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 40.0]])
    # Deviations -1.5, -0.5, 0.5, 1.5 and -10.5, -9.5, -8.5, 28.5.
    assert correlation(first, second) == pytest.approx(59 / math.sqrt(5 * 1085), abs=1e-12)
    assert rank_correlation(first, second) == pytest.approx(1)
    assert rank_correlation(first, -second) == correlation(first, -first) == pytest.approx(-1)


def test_ties_share_the_mean_of_their_ranks() -> None:
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4: deviations -1, -1, 0.5, 1.5 and -1.5, -0.5, 0.5, 1.5.
    assert rank_correlation(np.array([0, 0, 5, 7]), np.array([1, 2, 3, 4])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


@pytest.mark.parametrize("measure", [correlation, rank_correlation])
def test_nothing_can_be_said_of_what_is_the_same_everywhere(measure) -> None:  # type: ignore[no-untyped-def]
    varied = np.arange(6.0).reshape(2, 3)
    assert math.isnan(measure(varied, np.full((2, 3), 0.1)))
    assert math.isnan(measure(np.zeros((2, 3)), varied))
    assert math.isnan(measure(np.zeros(0), np.zeros(0)))
    with pytest.raises(ValueError, match=r"expected arrays of one shape, received \(2, 3\) and \(3, 2\)"):
        measure(varied, varied.T)
