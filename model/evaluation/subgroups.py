"""How the model does in parts of a cohort: by age, sex, site of the lesion and way of diagnosis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.tasks.task import Task
from model.evaluation.predictions import Cohort, cohort_of
from model.inference.clinical import AGE_BANDS, AGE_LIMITS, UNKNOWN
from model.measures.areas import auroc_estimate
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    bootstrap_weights,
    estimate_of,
    weighted_balanced_accuracy,
)
from model.measures.metrics import balanced_accuracy

# A convention of ours: fewer lesions than this make no rate. Even 9 of 9 lesions could come from a rate of 0.66 (exact
# 95 % bound), so groups that small can hardly be told apart.
MIN_LESIONS = 10


@dataclass(frozen=True)
class Subgroup:
    """One part of a cohort. Estimates are in [0, 1] with 95 % intervals by lesion; NaN where they cannot be said.

    A metric is given from `MIN_LESIONS` lesions on, of each kind that it is about; below that it is NaN, and the row
    stays with its counts. Parts differ in their mix of diagnoses as well, so a difference between two of them is not
    yet one of age, sex, site or way of diagnosis.

    Attributes:
        attribute: "age", "sex", "site" or "dx_type".
        group: an age band of `AGE_BANDS`, or the value as the dataset spells it; "unknown" where it is missing.
        images, lesions: how many were measured.
        positive_lesions, negative_lesions: by the task's question, malignant and benign.
        classes: number of classes that have images.
        balanced_accuracy: mean sensitivity over those classes, so it compares groups with the same classes only.
        positive_auroc: of the summed probability of the positive classes; needs positive and negative lesions, and
            more of them for an interval (`model.measures.areas.FEWEST_GROUPS`).
        sensitivity: share of the positive images at or above the threshold; needs positive lesions.
        specificity: share of the negative images below the threshold; needs negative lesions.
        is_too_small: fewer than `MIN_LESIONS` positive or negative lesions: at least one metric is NaN.
    """

    attribute: str
    group: str
    images: int
    lesions: int
    positive_lesions: int
    negative_lesions: int
    classes: int
    balanced_accuracy: Estimate
    positive_auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    is_too_small: bool


def measure_subgroups(
    predictions: pd.DataFrame, task: Task, threshold: float, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> tuple[Subgroup, ...]:
    """The metrics of every part of a cohort that has images.

    Args:
        predictions: table of `model.evaluation.predictions.check_predictions`, or any selection of its rows; age in
            years.
        task: what the classes are.
        threshold: images whose positive probability is at or above it are called positive, in [0, 1].
        resamples: bootstrap samples of each part's lesions, at least 1.
        seed: of the bootstrap; the same as in `model.evaluation.evaluate` gives the intervals of the part on its own.

    Returns:
        By age, sex, site and dx_type, in this order, of those that are known of any image; ages rising, the other
        groups by name, "unknown" last.

    Raises:
        ValueError: a threshold outside [0, 1], or fewer than one resample.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"expected a threshold from 0 to 1, received {threshold}")
    return tuple(
        _measure(attribute, group, cohort_of(rows, task), threshold, resamples, seed)
        for attribute, group, rows in parts(predictions)
    )


def age_bands(ages: pd.Series) -> pd.Series:
    """The band of `AGE_BANDS` each age in years falls into, lower end included; "unknown" where it is missing."""
    bands = np.array(AGE_BANDS, dtype=object)[np.digitize(ages, AGE_LIMITS)]
    return pd.Series(bands, index=ages.index, name=ages.name).where(ages.notna(), UNKNOWN)


def parts(predictions: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Attribute, group and rows of every part that has images, in the order of `measure_subgroups`.

    An attribute that is known of no image has no parts.
    """
    groupings = {
        "age": age_bands(predictions["age"]),
        "sex": predictions["sex"],
        "site": predictions["localization"],
        "dx_type": predictions["dx_type"],
    }
    for attribute, group_of in groupings.items():
        if (group_of == UNKNOWN).all():
            continue
        groups = AGE_BANDS if attribute == "age" else sorted(set(group_of) - {UNKNOWN})
        for group in (*groups, UNKNOWN):
            rows = predictions[group_of == group]
            if len(rows):
                yield attribute, group, rows


def _measure(attribute: str, group: str, cohort: Cohort, threshold: float, resamples: int, seed: int) -> Subgroup:
    weights = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    lesions = len(np.unique(cohort.lesion_ids))
    positive = len(np.unique(cohort.lesion_ids[cohort.is_positive]))
    negative = len(np.unique(cohort.lesion_ids[~cohort.is_positive]))
    classes = len(cohort.task.classes)
    at_threshold = cohort.thresholds().at(threshold)
    mean_sensitivity = estimate_of(
        balanced_accuracy(cohort.dx_true, cohort.dx_predicted, classes),
        weighted_balanced_accuracy(cohort.dx_true, cohort.dx_predicted, weights, classes),
    )
    area = auroc_estimate(cohort.is_positive, cohort.p_positive, cohort.lesion_ids)
    return Subgroup(
        attribute=attribute,
        group=group,
        images=len(cohort.dx_true),
        lesions=lesions,
        positive_lesions=positive,
        negative_lesions=negative,
        classes=len(np.unique(cohort.dx_true)),
        balanced_accuracy=_given_from(lesions, mean_sensitivity),
        positive_auroc=_given_from(min(positive, negative), area),
        sensitivity=_given_from(positive, at_threshold.sensitivity),
        specificity=_given_from(negative, at_threshold.specificity),
        is_too_small=min(positive, negative) < MIN_LESIONS,
    )


def _given_from(lesions: int, estimate: Estimate) -> Estimate:
    """The estimate, or NaN where fewer than `MIN_LESIONS` lesions made it."""
    return estimate if lesions >= MIN_LESIONS else Estimate(math.nan, math.nan, math.nan)
