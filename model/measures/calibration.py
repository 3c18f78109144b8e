"""Calibration error beside what a perfectly calibrated model would show on as many images.

The error is a sum of absolute gaps, so chance alone keeps it above 0, the more the fewer the images. No interval that
we tried holds the true error where that is small (`model.studies.interval_coverage`); what can be said is which errors
chance alone gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.measures.intervals import BOOTSTRAP_SEED, RESAMPLES, Estimate, Groups
from model.measures.metrics import (
    CALIBRATION_BINS,
    Array,
    Indices,
    bin_of_probability,
    check_aligned,
    expected_calibration_error,
)
from model.measures.shares import group_numbers


@dataclass(frozen=True)
class CalibrationError(Estimate):
    """An expected calibration error in [0, 1] without an interval: `low` and `high` are NaN.

    Attributes:
        chance_median, chance_high: error that half, and 95 of 100, of perfectly calibrated models stay within on as
            many images with the same stated probabilities.
    """

    chance_median: float
    chance_high: float


def calibration_error(
    dx_true: Indices, probabilities: Array, groups: Groups, draws: int = RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> CalibrationError:
    """Expected calibration error (`model.measures.metrics`), and what chance alone gives.

    Chance draws anew whether each image's highest probability was right, as often as it states. Images of a group show
    the same thing, so they share a draw.

    Args:
        dx_true: (N,) class indices, the reference.
        probabilities: (N, C) in class order.
        groups: (N,) group of each image.
        draws: how often chance draws, at least 1.
        seed: of the draws; the same seed and images give the same answer.

    Returns:
        NaN without images.

    Raises:
        ValueError: lengths differ, or fewer than one draw.
    """
    check_aligned(dx_true, probabilities)
    check_aligned(dx_true, groups)
    if draws < 1:
        raise ValueError(f"expected at least one draw, received {draws}")
    if not len(dx_true):
        return CalibrationError(np.nan, np.nan, np.nan, np.nan, np.nan)
    by_chance = _errors_by_chance(probabilities.max(axis=1), group_numbers(groups), draws, seed)
    median, high = np.quantile(by_chance, [0.5, 0.95])
    value = expected_calibration_error(dx_true, probabilities)
    return CalibrationError(value, np.nan, np.nan, float(median), float(high))


def _errors_by_chance(stated: Array, group_of: Indices, draws: int, seed: int) -> Array:
    """Calibration errors of a perfectly calibrated model, (draws,)."""
    uniform = np.random.default_rng(seed).random((draws, group_of.max() + 1), dtype=np.float32)
    is_right = (uniform[:, group_of] < stated.astype(np.float32)).astype(np.float32)
    is_in_bin = bin_of_probability(stated, CALIBRATION_BINS)[:, np.newaxis] == np.arange(CALIBRATION_BINS)
    gaps = stated @ is_in_bin - is_right @ is_in_bin.astype(np.float32)
    return np.abs(gaps).sum(axis=1) / len(stated)
