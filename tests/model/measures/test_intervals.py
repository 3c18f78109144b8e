"""Intervals: weights of one give the plain metrics, a weight of k counts an image k times, lesions stay together."""

from __future__ import annotations

import numpy as np
import pytest

from model.measures.intervals import (
    Estimate,
    bootstrap_weights,
    estimate_of,
    percentile_interval,
    weighted_auroc,
    weighted_balanced_accuracy,
    weighted_confusion_matrices,
    weighted_sensitivity_at,
)
from model.measures.metrics import (
    auroc,
    balanced_accuracy,
    confusion_matrix,
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
    areas = weighted_auroc(is_positive, score, weights)
    for sample in range(len(times)):
        rows = np.repeat(np.arange(len(dx_true)), times[sample])
        assert (matrices[sample] == confusion_matrix(dx_true[rows], predicted[rows], 7)).all()
        assert means[sample] == pytest.approx(balanced_accuracy(dx_true[rows], predicted[rows], 7))
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
