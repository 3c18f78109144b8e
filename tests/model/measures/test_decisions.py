"""Counts of 1,000 and net benefit against what a sheet of paper says, and that their intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.decisions import net_benefit, net_benefit_of_all, per_thousand, threshold_odds
from model.measures.intervals import Estimate
from model.measures.shares import wilson_interval

SENSITIVITY, SPECIFICITY = Estimate(0.9, 0.8, 0.95), Estimate(0.6, 0.5, 0.68)


def test_counts_of_1000_by_hand() -> None:
    # 100 positives, of which 90 are found; 900 negatives, of which 360 are flagged.
    counts = per_thousand(SENSITIVITY, SPECIFICITY, 0.1)
    assert counts.found == Estimate(pytest.approx(90), pytest.approx(80), pytest.approx(95))
    assert counts.missed == Estimate(pytest.approx(10), pytest.approx(5), pytest.approx(20))
    assert counts.unneeded == Estimate(pytest.approx(360), pytest.approx(288), pytest.approx(450))
    assert counts.flagged.value == pytest.approx(450)
    assert counts.flagged.low == pytest.approx(450 - math.hypot(10, 72))
    assert counts.flagged.high == pytest.approx(450 + math.hypot(5, 90))


def test_net_benefit_by_hand() -> None:
    # Acting from 20 % on: an unneeded action weighs a quarter. 0.1 x 0.9 - 0.9 x 0.4 / 4 = 0.
    odds = threshold_odds(0.2)
    assert odds == pytest.approx(0.25)
    benefit = net_benefit(SENSITIVITY, SPECIFICITY, 0.1, odds)
    assert benefit.value == pytest.approx(0.0)
    assert benefit.low == pytest.approx(-math.hypot(0.1 * 0.1, 0.9 * 0.1 * 0.25))
    assert benefit.high == pytest.approx(math.hypot(0.1 * 0.05, 0.9 * 0.08 * 0.25))
    assert net_benefit_of_all(0.1, odds) == pytest.approx(0.1 - 0.9 / 4)
    # Where an unneeded action weighs nothing, acting on all finds all.
    assert net_benefit_of_all(0.1, threshold_odds(0.0)) == pytest.approx(0.1)


def test_net_benefit_is_that_of_counts() -> None:
    # Vickers & Elkin: true positives / n - false positives / n x odds, at the share of positives that was measured.
    true_positives, positives, false_positives, n = 45, 50, 30, 200
    sensitivity, specificity = Estimate(45 / 50, 0.8, 1.0), Estimate(120 / 150, 0.7, 0.9)
    expected = true_positives / n - false_positives / n * 0.1 / 0.9
    assert net_benefit(sensitivity, specificity, positives / n, threshold_odds(0.1)).value == pytest.approx(expected)


def test_what_cannot_be_said_stays_unsaid() -> None:
    nothing = Estimate(math.nan, math.nan, math.nan)
    assert math.isnan(net_benefit(nothing, SPECIFICITY, 0.1, 0.2).value)
    assert math.isnan(per_thousand(nothing, SPECIFICITY, 0.1).flagged.low)
    assert per_thousand(nothing, SPECIFICITY, 0.1).unneeded.value == pytest.approx(360)


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_shares_outside_their_range_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="from 0"):
        per_thousand(SENSITIVITY, SPECIFICITY, wrong)
    with pytest.raises(ValueError, match="from 0"):
        net_benefit(SENSITIVITY, SPECIFICITY, wrong, 0.1)
    with pytest.raises(ValueError, match="threshold"):
        threshold_odds(wrong)
    with pytest.raises(ValueError, match="odds"):
        net_benefit(SENSITIVITY, SPECIFICITY, 0.5, -0.1)


def test_intervals_of_sums_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    held = []
    for _ in range(400):
        rates = []
        for share, n in ((0.9, 80), (0.7, 300)):
            value = generator.binomial(n, share) / n
            low, high = wilson_interval(np.array(value), np.array(float(n)))
            rates.append(Estimate(value, float(low), float(high)))
        benefit = net_benefit(*rates, 0.2, 0.3)
        held.append(benefit.low <= 0.2 * 0.9 - 0.8 * 0.3 * 0.3 <= benefit.high)
    assert 0.92 <= np.mean(held) <= 0.98
