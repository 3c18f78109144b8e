"""Precision-recall curves and average precision: by hand, ties, no positives, scikit-learn, bootstrap samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.areas import FEWEST_GROUPS
from model.measures.intervals import bootstrap_weights
from model.measures.precision_recall import (
    average_precision,
    average_precision_estimate,
    precision_recall_curve,
    weighted_average_precision,
    weighted_ppv_at,
)


def test_curve_and_area_by_hand() -> None:
    # In falling order: positive, negative, positive, negative. Steps of 1/2 at a precision of 1 and of 2/3.
    is_positive, score = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1])
    sensitivity, ppv, threshold = precision_recall_curve(is_positive, score)
    assert sensitivity.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert ppv == pytest.approx([1.0, 0.5, 2 / 3, 0.5])
    assert threshold.tolist() == [0.9, 0.8, 0.7, 0.1]
    assert average_precision(is_positive, score) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_all_alike_is_the_share_of_positives() -> None:
    is_positive = np.arange(10) < 3
    sensitivity, ppv, _ = precision_recall_curve(is_positive, np.full(10, 0.5))
    assert (sensitivity.tolist(), ppv.tolist()) == ([1.0], [0.3])
    assert average_precision(is_positive, np.full(10, 0.5)) == pytest.approx(0.3)


def test_without_positives_nothing_is_said() -> None:
    assert math.isnan(average_precision(np.zeros(4, dtype=bool), np.arange(4.0)))
    assert average_precision(np.ones(4, dtype=bool), np.arange(4.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_area_is_scikit_learn_s(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(seed)
    is_positive, score = generator.random(200) < 0.2, np.round(generator.random(200), 2)
    assert average_precision(is_positive, score) == pytest.approx(
        metrics.average_precision_score(is_positive, score), abs=1e-9
    )


def test_a_bootstrap_sample_is_the_images_it_drew() -> None:
    generator = np.random.default_rng(1)
    is_positive, score = generator.random(40) < 0.4, np.round(generator.random(40), 1)
    weights = bootstrap_weights(np.arange(40).astype(str), 70, seed=3)
    areas, ppv = weighted_average_precision(is_positive, score, weights), None
    for row, area in zip(weights, areas, strict=True):
        drawn = np.repeat(np.arange(40), row.astype(int))
        assert area == pytest.approx(average_precision(is_positive[drawn], score[drawn]))
    ppv = weighted_ppv_at(is_positive, score, weights, np.array([0.5, 1.0]))
    drawn = np.repeat(np.arange(40), weights[0].astype(int))
    sensitivity, precise, _ = precision_recall_curve(is_positive[drawn], score[drawn])
    assert ppv[0] == pytest.approx([precise[sensitivity >= 0.5][0], precise[sensitivity >= 1.0][0]])


def test_too_few_groups_have_no_interval() -> None:
    def interval_of(positives: int) -> bool:
        is_positive = np.arange(200) < positives
        groups = np.arange(200).astype(str)
        score = np.random.default_rng(0).random(200) + is_positive * 0.5
        estimate = average_precision_estimate(is_positive, score, groups, bootstrap_weights(groups, 100))
        assert estimate.value == average_precision(is_positive, score)
        return estimate.low < estimate.value < estimate.high

    assert interval_of(FEWEST_GROUPS) and not interval_of(FEWEST_GROUPS - 1)
