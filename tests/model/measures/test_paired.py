"""McNemar's tests: against scipy where every image is a lesion of its own, and by hand where it is not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from model.measures.paired import McNemar, mcnemar


def outcomes(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_first, only_second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(1, 0), (0, 1), (3, 3), (2, 9), (25, 10), (121, 59), (400, 310), (1200, 1100)]
)
def test_of_single_images_both_tests_are_scipy_s(only_first: int, only_second: int) -> None:
    first, second = outcomes(40, only_first, only_second, 7)
    found = mcnemar(first, second, np.arange(len(first)).astype(str))
    assert (found.only_first, found.only_second) == (only_first, only_second)
    exact = binomtest(only_first, only_first + only_second, 0.5).pvalue
    assert found.p_exact == pytest.approx(exact, rel=1e-9)
    statistic, p_value = chisquare([only_first, only_second])
    assert [found.chi_squared, found.p_chi_squared] == pytest.approx([statistic, p_value], rel=1e-9)


def test_images_of_a_lesion_count_once() -> None:
    # Nine lesions, four images each: eight that only the first gets right, one that only the second does.
    first = np.repeat([True] * 8 + [False], 4)
    lesions = np.repeat(np.arange(9), 4).astype(str)
    found = mcnemar(first, ~first, lesions)
    assert found == McNemar(
        32, 4, pytest.approx(49 / 9), pytest.approx(chisquare([8, 1]).pvalue), pytest.approx(20 / 512)
    )


def test_lesions_of_several_sizes_by_trying_all_signs() -> None:
    # Leads of the first model by lesion: 3, 2, -1, 1, 2, and none in the last (one right each).
    leads = [3, 2, -1, 1, 2]
    first = np.array([lead > 0 for lead in leads for _ in range(abs(lead))] + [True, False])
    lesions = np.array([f"L{k}" for k, lead in enumerate(leads) for _ in range(abs(lead))] + ["L9", "L9"])
    found = mcnemar(first, ~first, lesions)
    sums = [np.dot(signs, leads) for signs in itertools.product([1, -1], repeat=len(leads))]
    assert found.p_exact == pytest.approx(np.mean(np.abs(sums) >= sum(leads)))
    assert found.chi_squared == pytest.approx(sum(leads) ** 2 / sum(lead**2 for lead in leads))
    assert (found.only_first, found.only_second) == (9, 2)


def test_no_difference_is_no_evidence() -> None:
    first, second = outcomes(5, 0, 0, 5)
    same, nothing = mcnemar(first, second, np.arange(10).astype(str)), mcnemar(first[:0], second[:0], np.zeros(0, str))
    for found in (same, nothing):
        assert (found.only_first, found.only_second, found.p_chi_squared, found.p_exact) == (0, 0, 1, 1)
        assert math.isnan(found.chi_squared)
    with pytest.raises(ValueError, match="one length"):
        mcnemar(first, second[1:], np.arange(10).astype(str))
