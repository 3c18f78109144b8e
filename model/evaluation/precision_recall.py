"""Precision-recall curves of a cohort with their 95 % bands by lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.evaluation.predictions import Cohort
from model.evaluation.questions import question_scores, questions_of
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    percentile_interval,
)
from model.measures.metrics import Array
from model.measures.precision_recall import average_precision_estimate, precision_recall_curve, weighted_ppv_at

# Sensitivities at which the band is drawn.
GRID = np.linspace(0.02, 1, 50)


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """One precision-recall curve with its pointwise 95 % band; NaN where there are no positives, the band also where
    the area has no interval.

    Attributes:
        name: a code (against the rest), or the question's key (`malignant`).
        sensitivity, ppv, threshold: (K,) from the highest threshold to the lowest.
        band_grid: (G,) sensitivities.
        band_low, band_high: (G,) bounds of the PPV at `band_grid`.
        average_precision: area below the curve.
        positives, negatives: images.
    """

    name: str
    sensitivity: Array
    ppv: Array
    threshold: Array
    band_grid: Array
    band_low: Array
    band_high: Array
    average_precision: Estimate
    positives: int
    negatives: int

    @property
    def prevalence(self) -> float:
        """Share of the images that are positive, which is what guessing gives at every sensitivity; NaN without any."""
        images = self.positives + self.negatives
        return self.positives / images if images else math.nan


def precision_recall_curves(
    cohort: Cohort, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> tuple[PrecisionRecallCurve, ...]:
    """Precision-recall curves: the question's (`malignant`), and each class against the rest in class order.

    Args:
        cohort: the images.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than one resample.
    """
    weights = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    return tuple(_curve(cohort, question, weights) for question in questions_of(cohort.task))


def _curve(cohort: Cohort, question: str, weights: Weights) -> PrecisionRecallCurve:
    is_positive, score = question_scores(cohort, question)
    area = average_precision_estimate(is_positive, score, cohort.lesion_ids, weights)
    nothing = np.full(len(GRID), np.nan)
    has_band = not math.isnan(area.low)
    low, high = (
        percentile_interval(weighted_ppv_at(is_positive, score, weights, GRID)) if has_band else (nothing, nothing)
    )
    curve = precision_recall_curve(is_positive, score)
    return PrecisionRecallCurve(
        question, *curve, GRID, low, high, area, int(is_positive.sum()), int((~is_positive).sum())
    )
