"""Shares with Wilson's interval by group: published examples, design effects by hand, and what nothing shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.intervals import Estimate
from model.measures.shares import (
    BinaryThresholds,
    difference_of_sums,
    quantile_estimate,
    rate_estimates,
    share_estimates,
    wilson_interval,
)


def booleans(text: str) -> np.ndarray:
    """`+-+` as [True, False, True]."""
    return np.array([character == "+" for character in text], dtype=bool)


def lesions(*images_per_lesion: int) -> np.ndarray:
    """Lesion of each image: lesions(2, 1) is L0, L0, L1."""
    return np.array([f"L{i}" for i, images in enumerate(images_per_lesion) for _ in range(images)], dtype=str)


def share_of(is_hit: np.ndarray, lesion_ids: np.ndarray) -> Estimate:
    (estimate,) = share_estimates(is_hit[:, np.newaxis], np.ones((len(is_hit), 1), dtype=bool), lesion_ids)
    return estimate


def wilson(share: float, n: float) -> Estimate:
    low, high = wilson_interval(np.array(share), np.array(n))
    return Estimate(share, pytest.approx(float(low)), pytest.approx(float(high)))


def test_wilson_interval_matches_the_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20, 0 to 0.1611.
    low, high = wilson_interval(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    np.testing.assert_allclose(low, [0.2553, 0.0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_wilson_interval_of_nothing_is_nan() -> None:
    low, high = wilson_interval(np.array([0.0]), np.array([0.0]))
    assert np.isnan(low).all() and np.isnan(high).all()


def test_images_of_a_lesion_that_agree_count_as_one() -> None:
    # 40 lesions of 5 images, 30 of them wholly right: 200 images are worth 40 trials, less one of 40.
    is_right = np.repeat([True] * 30 + [False] * 10, 5)
    assert share_of(is_right, lesions(*[5] * 40)) == wilson(0.75, 39)
    assert share_of(is_right, lesions(*[1] * 200)) == wilson(0.75, 199)


def test_images_count_as_no_more_than_themselves() -> None:
    # Of every lesion one image of two: shares do not vary between lesions, but two images are worth two trials at most.
    assert share_of(booleans("+-" * 20), lesions(*[2] * 20)) == wilson(0.5, 40)


def test_unequal_lesions_by_hand() -> None:
    # Sums of h - p n: 3 - 0.5 x 4 = 1, 0 - 0.5 x 1, 0 - 0.5 x 1: squares sum to 1.5, times 3 / 2 is 2.25; a quarter
    # of 36 images squared over it is 4 trials.
    assert share_of(booleans("+++---"), lesions(4, 1, 1)) == wilson(0.5, 4)


def test_all_or_none_of_few_lesions_is_not_certain() -> None:
    # No narrower than the exact 95 % bound of n of n, 0.025 ** (1 / n). Eleven lesions of two images: 0.715.
    lesion_ids = lesions(*[2] * 11)
    assert share_of(booleans("+" * 22), lesion_ids) == Estimate(1.0, pytest.approx(0.7151, abs=1e-4), 1.0)
    assert share_of(booleans("-" * 22), lesion_ids) == Estimate(0.0, 0.0, pytest.approx(0.2849, abs=1e-4))
    assert share_of(booleans("++"), lesions(2)) == Estimate(1.0, pytest.approx(0.025), 1.0)
    # Of many, Wilson's is the wider one: 1,000 / (1,000 + 3.84).
    assert share_of(booleans("+" * 1000), lesions(*[1] * 1000)).low == pytest.approx(0.99617, abs=1e-5)


def test_images_may_be_hits_in_part() -> None:
    # Shares 1, 0.5, 0.5, 0 of four lesions: the squares about the mean sum to 0.5, times 4 / 3: 0.25 x 16 x 1.5 = 6.
    assert share_of(np.array([1, 0.5, 0.5, 0]), lesions(1, 1, 1, 1)) == wilson(0.5, 6)


def test_shares_of_nothing_are_nan() -> None:
    nothing = np.zeros((2, 1), dtype=bool)
    for rows in (2, 0):
        (estimate,) = share_estimates(nothing[:rows], nothing[:rows], lesions(1, 1)[:rows])
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_shares_refuse_unequal_lengths() -> None:
    column = np.ones((2, 1), dtype=bool)
    with pytest.raises(ValueError, match="received 2 and 3"):
        share_estimates(column, column, lesions(1, 1, 1))


def test_rates_of_a_decision_stand_in_their_order() -> None:
    # 5 positives, 4 of them called; 10 negatives, 2 of them called: 4/5, 8/10, 4/6, 8/9, 12/15.
    is_positive, is_called = booleans("+++++----------"), booleans("++++-++--------")
    rates = rate_estimates(is_positive, is_called, lesions(*[1] * 15))
    assert [rate.value for rate in rates] == pytest.approx([0.8, 0.8, 4 / 6, 8 / 9, 0.8])
    assert all(rate.low < rate.value < rate.high for rate in rates)


def test_a_threshold_calls_scores_that_equal_it() -> None:
    is_positive, score = booleans("++--"), np.array([0.9, 0.5, 0.5, 0.1])
    thresholds = BinaryThresholds(is_positive, score, lesions(1, 1, 1, 1))
    metrics = thresholds.at(0.5)
    assert (metrics.threshold, metrics.counts.true_positives, metrics.counts.false_positives) == (0.5, 2, 1)
    assert (metrics.sensitivity.value, metrics.specificity.value) == (1.0, 0.5)
    assert metrics.ppv.value == pytest.approx(2 / 3)
    assert (metrics.npv.value, metrics.accuracy.value) == (1.0, 0.75)


def test_a_threshold_above_all_scores_has_no_ppv() -> None:
    metrics = BinaryThresholds(booleans("+-"), np.array([0.9, 0.1]), lesions(1, 1)).at(0.95)
    assert np.isnan([metrics.ppv.value, metrics.ppv.low, metrics.ppv.high]).all()
    assert (metrics.sensitivity.value, metrics.specificity.value, metrics.npv.value) == (0.0, 1.0, 0.5)


def test_thresholds_refuse_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="received 2 and 1"):
        BinaryThresholds(booleans("+-"), np.array([0.9]), lesions(1, 1))


def test_difference_of_shares_has_newcombe_s_interval() -> None:
    # Table II of Newcombe 1998, the first example by method 10: 56/70 - 48/80 = 0.2, 0.0524 to 0.3339.
    first, second = (
        Estimate(share, *(float(end) for end in wilson_interval(np.array(share), np.array(n))))
        for share, n in ((56 / 70, 70), (48 / 80, 80))
    )
    difference = difference_of_sums([first], [second])
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_difference_of_sums_grows_by_what_each_share_may_be_off() -> None:
    shares = [Estimate(0.9, 0.87, 0.93), Estimate(0.5, 0.46, 0.54)]
    difference = difference_of_sums(shares, [Estimate(0.7, 0.7, 0.7), Estimate(0.4, 0.28, 0.52)])
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.3, 0.17, 0.43))
    assert math.isnan(difference_of_sums([Estimate(math.nan, math.nan, math.nan)], shares).high)


def test_quantile_reaches_as_far_as_the_bounds_of_its_share() -> None:
    # 95 of 100 independent values: Wilson's bounds for 99 trials are 0.888 and 0.978, so the 89th and 98th value.
    estimate = quantile_estimate(np.arange(1.0, 101.0)[::-1], lesions(*[1] * 100), 0.95)
    assert estimate == Estimate(95.0, 89.0, 98.0)
    # In pairs that agree the 50 lesions say less.
    paired = quantile_estimate(np.repeat(np.arange(1.0, 51.0), 2), lesions(*[2] * 50), 0.95)
    assert paired.value == 48.0 and paired.low < 44.5 and paired.high == 50.0


def test_quantile_of_one_value_is_that_value() -> None:
    assert quantile_estimate(np.array([0.3]), lesions(1), 0.5) == Estimate(0.3, 0.3, 0.3)
    assert math.isclose(quantile_estimate(np.array([0.1, 0.3]), lesions(1, 1), 0.5).value, 0.1)
