"""Measures of grades, against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.ordinal import (
    expected_grade,
    grade_errors,
    interval_conformity,
    kappa_of,
    nearest_grade,
    quadratic_weighted_kappa,
)

NONE = np.array([], dtype=np.int64)


def test_expected_grade_is_the_mean() -> None:
    assert expected_grade(np.array([[0.5, 0.0, 0.5], [0.1, 0.2, 0.7]])) == pytest.approx([1.0, 1.6])


def test_decision_is_the_grade_nearest_to_the_expected_one() -> None:
    # Grade 1 is likelier than none of its neighbours, but nearest to both.
    assert nearest_grade(np.array([[0.5, 0.0, 0.5], [0.6, 0.3, 0.1], [0.5, 0.5, 0.0]])).tolist() == [1, 1, 1]
    assert nearest_grade(np.array([0.9, 0.1, 0.0])) == 0


def test_interval_grows_by_the_more_probable_neighbour() -> None:
    # 2 first, then 1 (0.3 against 0.1), then 0 (0.15 against 0.1), then 3.
    conformity = interval_conformity(np.array([0.15, 0.3, 0.45, 0.1]))
    assert conformity == pytest.approx([1 - 0.75, 1 - 0.45, 1.0, 1 - 0.9])


def test_interval_takes_the_lower_neighbour_on_a_tie_and_stays_inside() -> None:
    assert interval_conformity(np.array([0.25, 0.5, 0.25])) == pytest.approx([0.5, 1.0, 0.25])
    assert interval_conformity(np.array([1.0, 0.0, 0.0])) == pytest.approx([1.0, 0.0, 0.0])


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.6, 0.95])
def test_sets_above_a_threshold_have_no_gap(threshold: float) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5) / 2, size=200)
    for held in interval_conformity(probabilities) >= threshold:
        inside = np.flatnonzero(held)
        assert len(inside) == inside[-1] - inside[0] + 1


def test_misses_are_counted_in_grades() -> None:
    assert grade_errors(np.array([0, 4, 2, 1]), np.array([0, 1, 3, 1])).tolist() == [0, 3, 1, 0]
    assert grade_errors(NONE, NONE).tolist() == []
    with pytest.raises(ValueError, match="expected"):
        grade_errors(NONE, np.array([1]))


def test_weighted_kappa_by_hand() -> None:
    # Two of three right, one off by one. Observed: 1 x 1 / 3. By chance: rows (1, 1, 1), columns (1, 2, 0): 6 / 9.
    assert quadratic_weighted_kappa(np.array([0, 1, 2]), np.array([0, 1, 1]), 3) == pytest.approx(1 - (1 / 3) / (9 / 9))


def test_far_misses_cost_more_than_near_ones() -> None:
    truth = np.array([0, 1, 2, 3, 4])
    near, far = np.array([0, 1, 2, 3, 3]), np.array([0, 1, 2, 3, 0])
    assert quadratic_weighted_kappa(truth, truth, 5) == 1
    assert quadratic_weighted_kappa(truth, far, 5) < quadratic_weighted_kappa(truth, near, 5) < 1


def test_weighted_kappa_cannot_be_said_of_nothing_or_of_one_grade() -> None:
    assert math.isnan(quadratic_weighted_kappa(NONE, NONE, 3))
    assert math.isnan(quadratic_weighted_kappa(np.array([1, 1]), np.array([1, 1]), 3))


def test_kappa_of_many_matrices_is_that_of_each() -> None:
    matrices = np.random.default_rng(1).integers(1, 9, size=(4, 3, 3)).astype(np.float64)
    assert kappa_of(matrices) == pytest.approx([float(kappa_of(matrix)) for matrix in matrices])
