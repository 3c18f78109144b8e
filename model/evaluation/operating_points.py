"""Thresholds for a task's question (malignant or benign): chosen on out-of-fold answers, measured on others."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

from data.tasks.task import Task
from model.evaluation.predictions import Cohort, cohort_of
from model.inference.artifact import HISTOPATHOLOGY
from model.inference.measured import MeasuredRate, OperatingPoint
from model.measures.metrics import threshold_for_sensitivity

TARGET_SENSITIVITIES: dict[str, float] = {"sensitivity_95": 0.95, "sensitivity_90": 0.90}
# At which models are compared whatever their thresholds: between the two targets.
READ_OFF_SENSITIVITY = 0.94


@dataclass(frozen=True)
class ReadOff:
    """A point of a model's own curve on the images that it is measured on, so that models of other thresholds compare.

    Attributes:
        threshold: the highest with `READ_OFF_SENSITIVITY`; p_positive in [0, 1].
        specificity: of all negative images.
        confirmed: of those that histopathology confirmed; NaN where there are none.
    """

    threshold: float
    specificity: MeasuredRate
    confirmed: MeasuredRate


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
    measured = test.thresholds().at(threshold)
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


def read_off(predictions: pd.DataFrame, task: Task) -> ReadOff | None:
    """Specificity where sensitivity is `READ_OFF_SENSITIVITY`; None without positive images.

    The threshold is chosen on the very images, which flatters a little: nothing that is promised rests on it.

    Args:
        predictions: as `model.evaluation.predictions.check_predictions` returns them.
        task: what the classes are.
    """
    cohort = cohort_of(predictions, task)
    if not cohort.is_positive.any():
        return None
    threshold = threshold_for_sensitivity(cohort.is_positive, cohort.p_positive, READ_OFF_SENSITIVITY)
    confirmed = cohort_of(predictions[predictions["dx_type"] == HISTOPATHOLOGY], task)
    return ReadOff(threshold, *(measured_rates(threshold, part)["specificity"] for part in (cohort, confirmed)))
