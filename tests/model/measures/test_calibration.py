"""Calibration error beside what chance alone gives: by hand, by lesion, with its seed."""

from __future__ import annotations

import numpy as np
import pytest

from model.measures.calibration import calibration_error
from model.measures.metrics import expected_calibration_error, softmax


def test_chance_of_one_image_by_hand() -> None:
    # Stated 0.8: right in 80 of 100 draws, a gap of 0.2; wrong in 20 of 100, a gap of 0.8.
    error = calibration_error(np.array([0]), np.array([[0.8, 0.2]]), np.array(["a"]))
    assert (error.value, error.chance_median, error.chance_high) == pytest.approx((0.2, 0.2, 0.8))
    assert np.isnan([error.low, error.high]).all()


def test_images_of_a_lesion_share_a_draw() -> None:
    # 100 images that state 0.5. Of one lesion all are right or none: a gap of 0.5 whatever is drawn. Each of its own:
    # the share that is right has a standard deviation of 0.05, its distance from 0.5 a median of 0.674 times that.
    dx_true, probabilities = np.zeros(100, dtype=np.int64), np.full((100, 2), 0.5)
    one = calibration_error(dx_true, probabilities, np.full(100, "a"))
    assert (one.chance_median, one.chance_high) == pytest.approx((0.5, 0.5))
    many = calibration_error(dx_true, probabilities, np.arange(100).astype(str))
    assert many.chance_median == pytest.approx(0.674 * 0.05, abs=0.01)
    assert many.chance_high == pytest.approx(1.96 * 0.05, abs=0.015)


def test_calibrated_answers_stay_within_chance_and_overconfident_ones_do_not() -> None:
    generator = np.random.default_rng(4)
    probabilities = softmax(generator.normal(size=(800, 7)) * 2)
    dx_true = (generator.random((800, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 6)
    lesion_ids = np.arange(800).astype(str)
    calibrated = calibration_error(dx_true, probabilities, lesion_ids)
    assert calibrated.value == expected_calibration_error(dx_true, probabilities)
    assert 0 < calibrated.chance_median < calibrated.chance_high and calibrated.value <= calibrated.chance_high
    sharpened = calibration_error(dx_true, softmax(3 * np.log(probabilities)), lesion_ids)
    assert sharpened.value > 2 * sharpened.chance_high


def test_the_seed_decides_the_draws() -> None:
    probabilities = softmax(np.random.default_rng(1).normal(size=(40, 3)))
    arguments = np.zeros(40, dtype=np.int64), probabilities, np.arange(40).astype(str)
    assert (
        calibration_error(*arguments) == calibration_error(*arguments, seed=1) != calibration_error(*arguments, seed=2)
    )


def test_calibration_of_no_images_is_nan_and_no_draws_are_refused() -> None:
    nothing = np.array([], dtype=np.int64), np.zeros((0, 7)), np.array([], dtype=str)
    error = calibration_error(*nothing)
    assert np.isnan([error.value, error.chance_median, error.chance_high]).all()
    with pytest.raises(ValueError, match="at least one draw, received 0"):
        calibration_error(*nothing, draws=0)
