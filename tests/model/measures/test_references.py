"""Curves, metrics and intervals against scikit-learn and scipy, on random inputs: ties, empty classes, one image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics as reference

from model.measures.intervals import bootstrap_weights, weighted_auroc, weighted_balanced_accuracy
from model.measures.metrics import (
    accuracy,
    auroc,
    balanced_accuracy,
    binary_counts,
    confusion_matrix,
    expected_calibration_error,
    macro_auroc,
    reliability,
    roc_curve,
    softmax,
    squared_errors,
)
from model.measures.ordinal import grade_errors, quadratic_weighted_kappa
from model.measures.shares import wilson_interval
from model.measures.similarity import correlation, rank_correlation

CLASSES = 4
# The same inputs at every run; a reference of another library is no place for luck.
repeatable = settings(max_examples=60, deadline=None, derandomize=True)


def within_rounding(value: object) -> object:
    return pytest.approx(value, abs=1e-9, rel=1e-9, nan_ok=True)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A reference of yes and no, and scores: often tied, sometimes of one side alone, at least one image."""
    images = draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    score = generator.random(images)
    if draw(st.booleans()):
        score = np.round(score, draw(st.integers(0, 1)))
    return generator.random(images) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])), score


@st.composite
def classified(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """References among few or all classes, at least one image, and probabilities, of which some are tied."""
    images, present = draw(st.integers(1, 40)), draw(st.integers(1, CLASSES))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probabilities = generator.dirichlet(np.ones(CLASSES), size=images)
    if draw(st.booleans()):
        probabilities = np.tile(probabilities[:1], (images, 1))
    return generator.integers(present, size=images), probabilities


@repeatable
@given(scored())
def test_roc_curve_and_its_area(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    is_positive, score = inputs
    if is_positive.all() or not is_positive.any():
        assert math.isnan(auroc(is_positive, score))
        # The rate of the side that there is stands all the same.
        false_positive_rate, sensitivity, _ = roc_curve(is_positive, score)
        assert np.isnan(sensitivity if not is_positive.any() else false_positive_rate).all()
        return
    expected = reference.roc_curve(is_positive, score, drop_intermediate=False)
    for ours, theirs in zip(roc_curve(is_positive, score), expected, strict=True):
        assert ours == within_rounding(theirs)
    area = reference.roc_auc_score(is_positive, score)
    assert auroc(is_positive, score) == within_rounding(area)
    ones = np.ones((1, len(score)), dtype=np.float32)
    assert weighted_auroc(is_positive, score, ones) == within_rounding([area])


@repeatable
@given(scored(), st.sampled_from([0.0, 0.3, 0.5, 1.1]))
def test_rates_of_a_threshold(inputs: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    is_positive, score = inputs
    is_called = score >= threshold
    counts = binary_counts(is_positive, is_called)
    for side, found, precise in ((1, counts.sensitivity, counts.ppv), (0, counts.specificity, counts.npv)):
        options = {"pos_label": side, "zero_division": np.nan}
        assert found == within_rounding(reference.recall_score(is_positive, is_called, **options))
        assert precise == within_rounding(reference.precision_score(is_positive, is_called, **options))
    assert counts.accuracy == within_rounding(reference.accuracy_score(is_positive, is_called))


@repeatable
@given(classified())
def test_metrics_of_classes(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    dx_true, probabilities = inputs
    predicted, labels = probabilities.argmax(axis=1), list(range(CLASSES))
    matrix = reference.confusion_matrix(dx_true, predicted, labels=labels)
    assert confusion_matrix(dx_true, predicted, CLASSES).tolist() == matrix.tolist()
    assert accuracy(dx_true, predicted) == within_rounding(reference.accuracy_score(dx_true, predicted))
    # scikit-learn warns of a predicted class without images, and averages over the others, as is done here.
    per_class = reference.recall_score(dx_true, predicted, labels=np.unique(dx_true), average=None)
    assert balanced_accuracy(dx_true, predicted, CLASSES) == within_rounding(per_class.mean())
    ones = np.ones((1, len(dx_true)), dtype=np.float32)
    assert weighted_balanced_accuracy(dx_true, predicted, ones, CLASSES) == within_rounding([per_class.mean()])
    brier = reference.brier_score_loss(dx_true, probabilities, labels=labels, scale_by_half=False)
    assert squared_errors(dx_true, probabilities).mean() == within_rounding(brier)
    areas = [
        reference.roc_auc_score(dx_true == index, probabilities[:, index])
        for index in labels
        if 0 < np.sum(dx_true == index) < len(dx_true)
    ]
    assert macro_auroc(dx_true, probabilities) == within_rounding(np.mean(areas) if areas else np.nan)


@repeatable
@given(classified())
def test_error_of_grades(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    dx_true, probabilities = inputs
    predicted = probabilities.argmax(axis=1)
    assert grade_errors(dx_true, predicted).mean() == within_rounding(reference.mean_absolute_error(dx_true, predicted))


@repeatable
@given(classified())
def test_kappa_of_grades(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    dx_true, probabilities = inputs
    predicted = probabilities.argmax(axis=1)
    found = quadratic_weighted_kappa(dx_true, predicted, CLASSES)
    if len(np.unique([dx_true, predicted])) == 1:
        assert math.isnan(found)
        return
    labels = list(range(CLASSES))
    assert found == within_rounding(reference.cohen_kappa_score(dx_true, predicted, labels=labels, weights="quadratic"))


@repeatable
@given(classified(), st.integers(2, 15))
def test_reliability_and_calibration_error(inputs: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    # The module that holds it costs a second, and the rest of scikit-learn does without.
    from sklearn.calibration import calibration_curve

    dx_true, probabilities = inputs
    top, is_correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == dx_true
    observed_expected, stated_expected = calibration_curve(is_correct, top, n_bins=bins)
    stated, observed, counts = reliability(is_correct, top, bins)
    assert stated[counts > 0] == within_rounding(stated_expected)
    assert observed[counts > 0] == within_rounding(observed_expected)
    gaps = np.abs(stated_expected - observed_expected)
    expected = np.sum(counts[counts > 0] * gaps) / len(top)
    assert expected_calibration_error(dx_true, probabilities, bins) == within_rounding(expected)


@repeatable
@given(st.integers(1, 2000), st.floats(0, 1))
def test_wilson_s_interval(trials: int, share: float) -> None:
    hits = round(trials * share)
    expected = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    low, high = wilson_interval(np.array(hits / trials), np.array(trials))
    assert [float(low), float(high)] == within_rounding([expected.low, expected.high])


@repeatable
@given(scored())
def test_softmax_and_correlations(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    is_positive, score = inputs
    assert softmax(score) == within_rounding(special.softmax(score))
    other = score**2 + is_positive
    if np.ptp(score) == 0 or np.ptp(other) == 0:
        assert math.isnan(correlation(score, other)) and math.isnan(rank_correlation(score, other))
        return
    assert correlation(score, other) == within_rounding(stats.pearsonr(score, other).statistic)
    assert rank_correlation(score, other) == within_rounding(stats.spearmanr(score, other).statistic)


@repeatable
@given(scored(), st.integers(0, 50))
def test_areas_of_bootstrap_samples(inputs: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    is_positive, score = inputs
    weights = bootstrap_weights(np.arange(len(score)).astype(str), 5, seed)
    for drawn, area in zip(weights, weighted_auroc(is_positive, score, weights), strict=True):
        if not drawn[is_positive].sum() or not drawn[~is_positive].sum():
            assert math.isnan(area)
            continue
        assert area == within_rounding(reference.roc_auc_score(is_positive, score, sample_weight=drawn))
