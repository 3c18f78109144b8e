"""Intervals: weights of one give the plain metrics, a weight of k counts an image k times, lesions stay together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.intervals import (
    BinaryThresholds,
    Estimate,
    bootstrap_weights,
    calibration_estimate,
    estimate_of,
    percentile_interval,
    rate_estimates,
    share_estimates,
    weighted_auroc,
    weighted_balanced_accuracy,
    weighted_calibration_error,
    weighted_confusion_matrices,
    weighted_sensitivity_at,
)
from model.measures.metrics import (
    auroc,
    balanced_accuracy,
    confusion_matrix,
    expected_calibration_error,
    roc_curve,
    softmax,
)

GRID = np.linspace(0, 1, 11)


def booleans(text: str) -> np.ndarray:
    """`+-+` as [True, False, True]."""
    return np.array([character == "+" for character in text], dtype=bool)


def lesions(*images_per_lesion: int) -> np.ndarray:
    """Lesion of each image: lesions(2, 1) is L0, L0, L1."""
    return np.array([f"L{i}" for i, images in enumerate(images_per_lesion) for _ in range(images)], dtype=str)


@pytest.fixture(scope="module")
def drawn_cohort() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """300 images: diagnoses, probabilities with many ties, and how often each image counts in each of five samples."""
    generator = np.random.default_rng(7)
    dx_true = generator.integers(7, size=300)
    logits = generator.normal(size=(300, 7))
    logits[np.arange(300), dx_true] += 1.0
    times = generator.integers(0, 4, size=(5, 300))
    return dx_true, softmax(np.round(logits)), times


def test_all_images_of_a_lesion_are_drawn_together_and_lesions_add_up() -> None:
    lesion_ids = lesions(3, 1, 2, 1)
    weights = bootstrap_weights(lesion_ids, resamples=200, seed=3)
    assert weights.shape == (200, 7)
    assert weights.dtype == np.float32
    assert np.array_equal(weights[:, 0], weights[:, 1])
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 4], weights[:, 5])
    # One image a lesion: four draws in each sample, each lesion once on average.
    times = weights[:, [0, 3, 4, 6]]
    assert (times.sum(axis=1) == 4).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(4), abs=0.2)


def test_images_of_a_lesion_need_not_stand_together() -> None:
    weights = bootstrap_weights(np.array(["b", "a", "b", "c"]), resamples=50, seed=1)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert not np.array_equal(weights[:, 0], weights[:, 1])


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (bootstrap_weights(lesions(*[1] * 20), 10, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_weights_of_one_lesion_none_and_no_samples() -> None:
    assert bootstrap_weights(lesions(2), 3, 1).tolist() == [[1, 1]] * 3
    assert bootstrap_weights(np.array([], dtype=str), 3, 1).shape == (3, 0)
    with pytest.raises(ValueError, match="at least one bootstrap sample"):
        bootstrap_weights(lesions(1), 0, 1)


def test_percentile_interval() -> None:
    # 0, 1, ..., 100: the 2.5th percentile is 2.5. A sample that cannot be said is left out.
    values = np.column_stack([np.append(np.arange(101.0), np.nan), np.full(102, np.nan)])
    low, high = percentile_interval(values)
    assert low[0] == pytest.approx(2.5)
    assert high[0] == pytest.approx(97.5)
    assert np.isnan([low[1], high[1]]).all()
    assert estimate_of(50, values[:, 0]) == Estimate(50.0, pytest.approx(2.5), pytest.approx(97.5))


def test_weights_of_one_equal_the_plain_metrics(drawn_cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    dx_true, probabilities, _ = drawn_cohort
    predicted = probabilities.argmax(axis=1)
    ones = np.ones((2, len(dx_true)), dtype=np.float32)
    assert (weighted_confusion_matrices(dx_true, predicted, ones, 7) == confusion_matrix(dx_true, predicted, 7)).all()
    assert weighted_balanced_accuracy(dx_true, predicted, ones, 7) == pytest.approx(
        balanced_accuracy(dx_true, predicted, 7)
    )
    ece = expected_calibration_error(dx_true, probabilities)
    assert weighted_calibration_error(dx_true, probabilities, ones) == pytest.approx(ece, abs=1e-6)
    is_positive, score = dx_true == 4, probabilities[:, 4]
    assert weighted_auroc(is_positive, score, ones) == pytest.approx(auroc(is_positive, score))
    false_positive_rate, sensitivity, _ = roc_curve(is_positive, score)
    on_grid = np.interp(GRID, false_positive_rate, sensitivity)
    assert weighted_sensitivity_at(is_positive, score, ones, GRID) == pytest.approx(np.stack([on_grid, on_grid]))


def test_a_weight_of_k_counts_an_image_k_times(drawn_cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    dx_true, probabilities, times = drawn_cohort
    predicted = probabilities.argmax(axis=1)
    weights = times.astype(np.float32)
    is_positive, score = dx_true == 4, probabilities[:, 4]
    matrices = weighted_confusion_matrices(dx_true, predicted, weights, 7)
    means = weighted_balanced_accuracy(dx_true, predicted, weights, 7)
    errors = weighted_calibration_error(dx_true, probabilities, weights)
    areas = weighted_auroc(is_positive, score, weights)
    for sample in range(len(times)):
        rows = np.repeat(np.arange(len(dx_true)), times[sample])
        assert (matrices[sample] == confusion_matrix(dx_true[rows], predicted[rows], 7)).all()
        assert means[sample] == pytest.approx(balanced_accuracy(dx_true[rows], predicted[rows], 7))
        ece = expected_calibration_error(dx_true[rows], probabilities[rows])
        assert errors[sample] == pytest.approx(ece, abs=1e-6)
        assert areas[sample] == pytest.approx(auroc(is_positive[rows], score[rows]))


def test_many_samples_are_worked_on_in_blocks_without_loss() -> None:
    reference, score = booleans("++--"), np.array([0.9, 0.4, 0.5, 0.1])
    # Three of the four pairs are won; without the second positive, both of two.
    weights = np.ones((150, 4), dtype=np.float32)
    weights[149, 1] = 0
    areas = weighted_auroc(reference, score, weights)
    assert areas.tolist() == [0.75] * 149 + [1.0]
    assert weighted_sensitivity_at(reference, score, weights, np.array([0.0]))[[0, 149], 0].tolist() == [0.5, 1.0]


def test_weighted_auroc_counts_ties_half_and_is_nan_without_a_group() -> None:
    reference, score = booleans("+-+-"), np.full(4, 0.3)
    weights = np.array([[1, 1, 1, 1], [2, 1, 0, 5], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=np.float32)
    assert weighted_auroc(reference, score, weights)[:2].tolist() == [0.5, 0.5]
    assert np.isnan(weighted_auroc(reference, score, weights)[2:]).all()
    assert np.isnan(weighted_auroc(booleans(""), np.array([]), np.ones((2, 0), dtype=np.float32))).all()


def test_sensitivity_on_a_grid() -> None:
    # Points of the curve: (0, 0), (0, 0.5), (0.5, 1) by the tie of 0.5, (1, 1).
    reference, score = booleans("+-+-"), np.array([0.5, 0.5, 0.9, 0.1])
    weights = np.array([[1, 1, 1, 1], [1, 0, 1, 0]], dtype=np.float32)
    sensitivities = weighted_sensitivity_at(reference, score, weights, np.array([0.0, 0.25, 0.5, 1.0]))
    assert sensitivities[0].tolist() == [0.5, 0.75, 1.0, 1.0]
    assert np.isnan(sensitivities[1]).all()


def test_the_bootstrap_by_lesion_is_wider_than_by_image_where_images_of_a_lesion_agree() -> None:
    # 40 lesions of 5 images; 30 lesions are wholly right. By lesion the standard error is that of 40 draws,
    # sqrt(0.75 * 0.25 / 40) = 0.068, by image that of 200, 0.031: the interval is sqrt(5) = 2.2 times as wide.
    is_right = np.repeat([True] * 30 + [False] * 10, 5)[:, np.newaxis]
    by_lesion, by_image = lesions(*[5] * 40), lesions(*[1] * 200)
    widths = []
    for lesion_ids in (by_lesion, by_image):
        weights = bootstrap_weights(lesion_ids, 1000, 1)
        (estimate,) = share_estimates(is_right, np.ones_like(is_right), lesion_ids, weights)
        assert estimate.value == 0.75
        assert estimate.low < 0.75 < estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[0] == pytest.approx(2 * 1.96 * 0.068, rel=0.15)
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(5), rel=0.15)


def test_all_or_none_of_few_lesions_is_not_certain() -> None:
    # Exact 95 % bound of n of n: 0.025 ** (1 / n). Eleven lesions of two images: 0.715, whatever the images.
    lesion_ids = lesions(*[2] * 11)
    weights = bootstrap_weights(lesion_ids, 50, 1)
    is_counted = np.ones((22, 2), dtype=bool)
    is_hit = np.column_stack([np.ones(22, dtype=bool), np.zeros(22, dtype=bool)])
    all_hit, none_hit = share_estimates(is_hit, is_counted, lesion_ids, weights)
    assert all_hit == Estimate(1.0, pytest.approx(0.7151, abs=1e-4), 1.0)
    assert none_hit == Estimate(0.0, 0.0, pytest.approx(0.2849, abs=1e-4))
    one = share_estimates(is_hit[:2, :1], is_counted[:2, :1], lesion_ids[:2], weights[:, :2])[0]
    assert one == Estimate(1.0, pytest.approx(0.025), 1.0)


def test_shares_of_nothing_are_nan() -> None:
    nothing = np.zeros((2, 1), dtype=bool)
    (estimate,) = share_estimates(nothing, nothing, lesions(1, 1), np.ones((3, 2), dtype=np.float32))
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_shares_refuse_unequal_lengths() -> None:
    column = np.ones((2, 1), dtype=bool)
    with pytest.raises(ValueError, match="received 2 and 3"):
        share_estimates(column, column, lesions(1, 1, 1), np.ones((3, 2), dtype=np.float32))


def test_rates_of_a_decision_stand_in_their_order() -> None:
    # 5 positives, 4 of them called; 10 negatives, 2 of them called: 4/5, 8/10, 4/6, 8/9, 12/15.
    is_positive, is_called = booleans("+++++----------"), booleans("++++-++--------")
    lesion_ids = lesions(*[1] * 15)
    rates = rate_estimates(is_positive, is_called, lesion_ids, bootstrap_weights(lesion_ids, 100, 1))
    assert [rate.value for rate in rates] == pytest.approx([0.8, 0.8, 4 / 6, 8 / 9, 0.8])
    assert all(rate.low <= rate.value <= rate.high for rate in rates)


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


def test_the_calibration_interval_holds_its_value(drawn_cohort: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, probabilities, _ = drawn_cohort
    lesion_ids = lesions(*[1] * len(probabilities))
    # Diagnoses drawn from the probabilities themselves: calibrated, where noise is all there is to see.
    uniform = np.random.default_rng(2).random((len(probabilities), 1))
    dx_true = (uniform > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 6)
    estimate = calibration_estimate(dx_true, probabilities, bootstrap_weights(lesion_ids, 200, 1))
    assert estimate.value == expected_calibration_error(dx_true, probabilities)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_the_calibration_of_no_images_is_nan() -> None:
    nothing = calibration_estimate(
        np.array([], dtype=np.int64), np.zeros((0, 7)), bootstrap_weights(np.array([], dtype=str), 3, 1)
    )
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
