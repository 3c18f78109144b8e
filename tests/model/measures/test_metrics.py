"""Metrics against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.measures.metrics import (
    BinaryCounts,
    accuracy,
    auroc,
    balanced_accuracy,
    bin_of_probability,
    binary_counts,
    confusion_matrix,
    expected_calibration_error,
    is_positive,
    macro_auroc,
    mean_of_finite,
    positive_probability,
    reliability,
    reweigh_ppv_npv,
    reweigh_probability,
    roc_curve,
    softmax,
    threshold_for_sensitivity,
)

NONE = np.array([], dtype=np.int64)


def booleans(text: str) -> np.ndarray:
    """`+-+` as [True, False, True]."""
    return np.array([character == "+" for character in text], dtype=bool)


def test_softmax_sums_to_one_and_survives_large_logits() -> None:
    # log 3 and 0: shares 3 / 4 and 1 / 4.
    assert softmax(np.array([math.log(3), 0.0])) == pytest.approx([0.75, 0.25])
    assert softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]])) == pytest.approx(np.array([[0.5, 0.5], [1, 0]]))


def test_binary_counts_and_their_ratios() -> None:
    counts = binary_counts(booleans("+++++-----"), booleans("++++-+----"))
    assert counts == BinaryCounts(true_positives=4, false_negatives=1, true_negatives=4, false_positives=1)
    assert counts.n == 10
    assert (counts.sensitivity, counts.specificity, counts.ppv, counts.npv, counts.accuracy) == (
        0.8,
        0.8,
        0.8,
        0.8,
        0.8,
    )


def test_ratios_without_denominator_are_nan() -> None:
    only_called_negatives = binary_counts(booleans("---"), booleans("---"))
    assert math.isnan(only_called_negatives.sensitivity)
    assert math.isnan(only_called_negatives.ppv)
    assert (only_called_negatives.specificity, only_called_negatives.npv) == (1.0, 1.0)
    assert math.isnan(binary_counts(booleans(""), booleans("")).accuracy)


def test_binary_counts_refuse_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="received 1 and 2"):
        binary_counts(booleans("+"), booleans("++"))


def test_confusion_matrix_has_the_reference_in_rows() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 1]), classes=3)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert confusion_matrix(NONE, NONE, 7).tolist() == np.zeros((7, 7), dtype=int).tolist()


@pytest.mark.parametrize("wrong", [-1, 7])
def test_confusion_matrix_refuses_an_index_that_is_no_class(wrong: int) -> None:
    with pytest.raises(ValueError, match="class indices from 0 to 6"):
        confusion_matrix(np.array([0]), np.array([wrong]), 7)


def test_accuracy() -> None:
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])) == 0.75
    assert math.isnan(accuracy(NONE, NONE))


def test_balanced_accuracy_is_the_mean_sensitivity_of_the_classes_present() -> None:
    # Class 5: 3 of 4. Class 4: 0 of 1. The other five have no images and do not count: (0.75 + 0) / 2.
    assert balanced_accuracy(np.array([5, 5, 5, 5, 4]), np.array([5, 5, 5, 4, 5]), 7) == 0.375
    assert balanced_accuracy(np.array([3]), np.array([3]), 7) == 1.0
    assert math.isnan(balanced_accuracy(NONE, NONE, 7))


def test_always_answering_nv_is_exposed_by_balanced_accuracy() -> None:
    dx_true = np.repeat(np.arange(7), [1, 1, 1, 1, 1, 14, 1])
    always_nv = np.full_like(dx_true, SKIN.index("nv"))
    assert accuracy(dx_true, always_nv) == 0.7
    assert balanced_accuracy(dx_true, always_nv, 7) == pytest.approx(1 / 7)


def test_auroc_counts_pairs() -> None:
    # Positives 0.9, 0.4; negatives 0.5, 0.1. Pairs won: 0.9 over both, 0.4 over 0.1: 3 of 4.
    assert auroc(booleans("++--"), np.array([0.9, 0.4, 0.5, 0.1])) == 0.75
    assert auroc(booleans("+-"), np.array([0.2, 0.1])) == 1.0
    assert auroc(booleans("+-"), np.array([0.1, 0.2])) == 0.0


def test_auroc_counts_ties_half() -> None:
    assert auroc(booleans("+-+-"), np.full(4, 0.3)) == 0.5
    # Pairs of 0.5 and 0.8 with 0.5 and 0.2: tie (half), won, won, won: 3.5 of 4.
    assert auroc(booleans("++--"), np.array([0.5, 0.8, 0.5, 0.2])) == 0.875


@pytest.mark.parametrize("reference", ["", "+", "-", "+++", "---"])
def test_auroc_without_both_groups_is_nan(reference: str) -> None:
    assert math.isnan(auroc(booleans(reference), np.linspace(0, 1, len(reference))))


def test_roc_curve_has_one_point_a_distinct_threshold() -> None:
    # In falling order: 0.9 +, 0.5 + and - tied, 0.1 -.
    false_positive_rate, sensitivity, threshold = roc_curve(booleans("+-+-"), np.array([0.5, 0.5, 0.9, 0.1]))
    assert false_positive_rate.tolist() == [0, 0, 0.5, 1]
    assert sensitivity.tolist() == [0, 0.5, 1, 1]
    assert threshold.tolist() == [math.inf, 0.9, 0.5, 0.1]


def test_roc_curve_of_one_group_is_nan_in_the_other_rate() -> None:
    false_positive_rate, sensitivity, _ = roc_curve(booleans("++"), np.array([0.2, 0.1]))
    assert np.isnan(false_positive_rate).all()
    assert sensitivity.tolist() == [0, 0.5, 1]


def test_macro_auroc_leaves_out_classes_without_images() -> None:
    # akiec, image 0: its 0.6 beats 0.3 but not 0.7, 1 pair of 2. bcc, images 1 and 2: both beat 0.1, 2 of 2.
    probabilities = np.zeros((3, 7))
    probabilities[:, 0] = [0.6, 0.3, 0.7]
    probabilities[:, 1] = [0.1, 0.7, 0.3]
    assert macro_auroc(np.array([0, 1, 1]), probabilities) == 0.75
    assert math.isnan(macro_auroc(np.array([0]), probabilities[:1]))


def test_malignant_group_is_akiec_bcc_mel() -> None:
    assert [dx for dx, flag in zip(SKIN.codes, is_positive(np.arange(7), SKIN.positives), strict=True) if flag] == [
        "akiec",
        "bcc",
        "mel",
    ]
    probabilities = np.array([[0.1, 0.2, 0.05, 0.05, 0.3, 0.2, 0.1]])
    assert positive_probability(probabilities, SKIN.positives) == pytest.approx([0.6])
    assert positive_probability(probabilities[0], SKIN.positives) == pytest.approx(0.6)


def test_reliability_bins() -> None:
    # Two bins: 0.2 (wrong), 0.4 (right) and 1.0 (right); the edge 0.5 would belong to the upper bin.
    stated, observed, counts = reliability(booleans("-++"), np.array([0.2, 0.4, 1.0]), bins=2)
    assert stated == pytest.approx([0.3, 1.0])
    assert observed == pytest.approx([0.5, 1.0])
    assert counts.tolist() == [2, 1]
    assert bin_of_probability(np.array([0.0, 0.5, 1.0]), 2).tolist() == [0, 1, 1]


def test_reliability_of_an_empty_bin_is_nan() -> None:
    stated, observed, counts = reliability(booleans("+"), np.array([0.9]), bins=2)
    assert math.isnan(stated[0])
    assert math.isnan(observed[0])
    assert counts.tolist() == [0, 1]


def test_expected_calibration_error_of_four_images() -> None:
    # Top probabilities 0.9 (right), 0.8 (wrong), 0.6 (right), 0.7 (right); five bins of 0.2.
    # Bin 0.8-1.0: stated 0.85, right 1 of 2, gap 0.35. Bin 0.6-0.8: stated 0.65, right 2 of 2, gap 0.35. Mean 0.35.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    assert expected_calibration_error(np.array([0, 1, 1, 1]), probabilities, bins=5) == pytest.approx(0.35)


def test_expected_calibration_error_weighs_bins_by_size() -> None:
    # Three images at 1.0, all right: gap 0. One at 0.6, wrong: gap 0.6. 0.6 / 4.
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.6, 0.4]])
    assert expected_calibration_error(np.array([0, 0, 0, 1]), probabilities) == pytest.approx(0.15)
    assert math.isnan(expected_calibration_error(NONE, np.zeros((0, 7))))


def test_threshold_for_sensitivity_calls_19_of_20() -> None:
    positives = np.arange(1, 21) / 20
    # 95 % of 20 is 19: the lowest positive, 0.05, may be missed, and 0.10 is the highest threshold that calls 19.
    score = np.concatenate([positives, [0.99, 0.01]])
    reference = np.array([True] * 20 + [False] * 2)
    assert threshold_for_sensitivity(reference, score, 0.95) == 0.10
    assert threshold_for_sensitivity(reference, score, 0.951) == 0.05
    assert threshold_for_sensitivity(reference, score, 1.0) == 0.05
    assert threshold_for_sensitivity(reference, score, 0.01) == 1.0


def test_threshold_for_sensitivity_on_ties_and_one_positive() -> None:
    assert threshold_for_sensitivity(booleans("+-"), np.array([0.4, 0.9]), 0.95) == 0.4
    assert threshold_for_sensitivity(booleans("++++"), np.array([0.9, 0.2, 0.2, 0.2]), 0.5) == 0.2


def test_threshold_for_sensitivity_refuses_no_positives_and_odd_targets() -> None:
    with pytest.raises(ValueError, match="at least one positive"):
        threshold_for_sensitivity(booleans("--"), np.array([0.1, 0.2]), 0.95)
    for target in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="target sensitivity"):
            threshold_for_sensitivity(booleans("+"), np.array([0.1]), target)


def test_reweigh_ppv_npv() -> None:
    # Of 1,000 people 100 are ill: 95 found, 5 missed; of 900 healthy 180 are called, 720 are not.
    ppv, npv = reweigh_ppv_npv(0.95, 0.80, 0.10)
    assert ppv == pytest.approx(95 / 275)
    assert ppv == pytest.approx(0.345, abs=5e-4)
    assert npv == pytest.approx(720 / 725)
    assert npv == pytest.approx(0.993, abs=5e-4)


def test_reweigh_ppv_npv_at_the_edges() -> None:
    assert reweigh_ppv_npv(0.9, 0.8, 1.0) == (1.0, 0.0)
    assert reweigh_ppv_npv(0.9, 0.8, 0.0) == (0.0, 1.0)
    nobody_called, npv = reweigh_ppv_npv(0.0, 1.0, 0.25)
    assert math.isnan(nobody_called)
    assert npv == 0.75
    assert all(map(math.isnan, reweigh_ppv_npv(math.nan, 0.8, 0.1)))
    with pytest.raises(ValueError, match="from 0 to 1"):
        reweigh_ppv_npv(0.9, 0.8, 10)


def test_reweigh_probability_multiplies_the_odds() -> None:
    # Prior odds 1 to 4 become 1 to 99: the odds fall by 4 / 99. From 3 to 1 they fall to 12 to 99: 12 / 111.
    assert reweigh_probability(0.75, 0.20, 0.01) == pytest.approx(12 / 111)
    # And rise back: 12 to 99 times 99 / 4 is 3 to 1.
    assert reweigh_probability(12 / 111, 0.01, 0.20) == pytest.approx(0.75)
    assert reweigh_probability(0.3, 0.2, 0.2) == pytest.approx(0.3)


def test_a_probability_equal_to_the_prevalence_stays_equal_to_it() -> None:
    # An image that says nothing: odds 1 to 4, prior odds 1 to 4, so it takes the other population's share.
    assert reweigh_probability(0.2, 0.2, 0.05) == pytest.approx(0.05)


def test_reweigh_probability_at_the_edges() -> None:
    assert reweigh_probability(0.0, 0.2, 0.5) == 0.0
    assert reweigh_probability(1.0, 0.2, 0.5) == 1.0
    assert reweigh_probability(0.4, 0.2, 0.0) == 0.0
    assert reweigh_probability(0.4, 0.2, 1.0) == 1.0
    assert math.isnan(reweigh_probability(1.0, 0.2, 0.0))
    assert math.isnan(reweigh_probability(math.nan, 0.2, 0.1))
    for wrong in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            reweigh_probability(0.4, wrong, 0.1)
    for probability, to_prevalence in ((1.2, 0.1), (0.4, 10)):
        with pytest.raises(ValueError, match="from 0 to 1"):
            reweigh_probability(probability, 0.2, to_prevalence)


def test_mean_of_finite() -> None:
    assert mean_of_finite(np.array([[1.0, np.nan], [3.0, np.nan]]))[0] == 2.0
    assert np.isnan(mean_of_finite(np.array([[1.0, np.nan], [3.0, np.nan]]))[1])
    assert mean_of_finite(np.array([[1.0, np.nan], [3.0, 5.0]]), axis=1).tolist() == [1.0, 4.0]
