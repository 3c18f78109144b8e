"""Measures of classes that are grades: an order, least first, with steps of one."""

from __future__ import annotations

import numpy as np

from model.measures.metrics import Array, Booleans, Indices, check_aligned, confusion_matrix


def expected_grade(probabilities: Array) -> Array:
    """Mean grade under the probabilities, (..., C) in, (...) float64 out in [0, C - 1]."""
    return probabilities @ np.arange(probabilities.shape[-1], dtype=np.float64)


def nearest_grade(probabilities: Array) -> Indices:
    """The grade nearest to the expected one, (..., C) in, (...) int64 out; the higher one halfway between two.

    It minimises the expected squared distance from the true grade when the probabilities are calibrated.

    Source:
        Bishop, Pattern Recognition and Machine Learning 2006, section 1.5.5 (the mean minimises squared loss).
    """
    return np.floor(expected_grade(probabilities) + 0.5).astype(np.int64)


def interval_conformity(probabilities: Array) -> Array:
    """How well each grade goes with an image, (..., C) in [0, 1], so that grades above any threshold have no gap.

    An interval grows from the most probable grade, always by the more probable neighbour (the lower one on a tie). A
    grade's conformity is 1 minus what the interval held before the grade joined it: 1 for the most probable one.

    Source:
        Lu, Angelopoulos, Pomerantz, MICCAI 2022, arXiv:2207.02238 (ordinal prediction sets).
    """
    flat = probabilities.reshape(-1, probabilities.shape[-1])
    rows, grades = np.arange(len(flat)), flat.shape[1]
    # A border of impossible grades, never more probable than what is left.
    bordered = np.pad(flat, ((0, 0), (1, 1)), constant_values=-1.0)
    low = high = flat.argmax(axis=1) + 1
    conformity = np.ones_like(flat, dtype=np.float64)
    held = flat.max(axis=1).astype(np.float64)
    for _ in range(grades - 1):
        below, above = bordered[rows, low - 1], bordered[rows, high + 1]
        goes_down = below >= above
        joins = np.where(goes_down, low - 1, high + 1)
        conformity[rows, joins - 1] = np.clip(1.0 - held, 0.0, 1.0)
        held = held + bordered[rows, joins]
        low, high = np.where(goes_down, joins, low), np.where(goes_down, high, joins)
    return conformity.reshape(probabilities.shape)


def without_gaps(is_contained: Booleans) -> Booleans:
    """Sets of grades with all grades between their lowest and their highest, (..., C) bool in and out."""
    from_below = np.logical_or.accumulate(is_contained, axis=-1)
    from_above = np.logical_or.accumulate(is_contained[..., ::-1], axis=-1)[..., ::-1]
    return from_below & from_above


def grade_errors(dx_true: Indices, dx_predicted: Indices) -> Indices:
    """How many grades each image was missed by, (N,) int64; their mean is the mean absolute grade error.

    Raises:
        ValueError: lengths differ.
    """
    check_aligned(dx_true, dx_predicted)
    return np.abs(dx_true - dx_predicted)


def quadratic_weighted_kappa(dx_true: Indices, dx_predicted: Indices, classes: int) -> float:
    """Agreement beyond chance, where a miss by two grades counts four times as much as a miss by one.

    Args:
        dx_true: (N,) grades from 0 to classes - 1, the reference.
        dx_predicted: (N,) grades, aligned with `dx_true`.
        classes: number of grades.

    Returns:
        At most 1, 0 for chance; NaN without images, or where both never leave one grade.

    Raises:
        ValueError: lengths differ, or a grade is not in 0 to classes - 1.

    Source:
        Cohen, Psychological Bulletin 1968;70:213, doi:10.1037/h0026256 (weighted kappa).
    """
    return float(kappa_of(confusion_matrix(dx_true, dx_predicted, classes).astype(np.float64)))


def kappa_of(matrices: Array) -> Array:
    """Quadratic weighted kappa of confusion matrices, (..., C, C) in, (...) out; see `quadratic_weighted_kappa`."""
    grades = np.arange(matrices.shape[-1])
    weight = (grades[:, np.newaxis] - grades) ** 2
    total = matrices.sum(axis=(-2, -1))
    by_chance = matrices.sum(axis=-1)[..., :, np.newaxis] * matrices.sum(axis=-2)[..., np.newaxis, :]
    observed = (weight * matrices).sum(axis=(-2, -1)) * total
    expected = (weight * by_chance).sum(axis=(-2, -1))
    return 1 - observed / np.where(expected > 0, expected, np.nan)
