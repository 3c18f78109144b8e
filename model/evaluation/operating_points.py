"""Thresholds for a task's question (malignant or benign): chosen on out-of-fold answers, measured on others."""

from __future__ import annotations

from dataclasses import asdict

from model.evaluation.predictions import Cohort
from model.inference.measured import MeasuredRate, OperatingPoint
from model.measures.metrics import threshold_for_sensitivity
from model.measures.shares import BinaryThresholds

TARGET_SENSITIVITIES: dict[str, float] = {"sensitivity_95": 0.95, "sensitivity_90": 0.90}


def choose_operating_points(held_out: Cohort, test: Cohort) -> list[OperatingPoint]:
    """One point for each of `TARGET_SENSITIVITIES`, in their order.

    Args:
        held_out: images no weight was trained on, on which thresholds are chosen.
        test: other lesions, on which nothing is chosen.
    """
    points = []
    for name, target in TARGET_SENSITIVITIES.items():
        threshold = threshold_for_sensitivity(held_out.is_positive, held_out.p_positive, target)
        points.append(OperatingPoint(name, threshold, target, **measured_rates(threshold, test)))
    return points


def measured_rates(threshold: float, test: Cohort) -> dict[str, MeasuredRate]:
    """What a threshold does to images that it was not chosen on: the four rates of `OperatingPoint`, by name."""
    measured = BinaryThresholds(test.is_positive, test.p_positive, test.lesion_ids).at(threshold)
    counts = measured.counts
    denominators = {
        "sensitivity": counts.true_positives + counts.false_negatives,
        "specificity": counts.true_negatives + counts.false_positives,
        "ppv": counts.true_positives + counts.false_positives,
        "npv": counts.true_negatives + counts.false_negatives,
    }
    return {
        rate: MeasuredRate(**asdict(getattr(measured, rate)), n=denominator)
        for rate, denominator in denominators.items()
    }
