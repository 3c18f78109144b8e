"""Calibration, thresholds and sets of an artifact fitted anew on half of a clinic's images, measured on the other half.

The networks stay as they are. Fitted are a temperature and the clinic's class shares, on top of the calibration as it
stands, then a threshold for each operating point and the sets. The halves share no lesion; nothing of the half that is
measured is looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from data.tasks.task import Task
from model.evaluation.operating_points import measured_rates
from model.evaluation.predictions import Cohort
from model.evaluation.results import to_plain
from model.evaluation.subgroups import MIN_LESIONS
from model.inference.artifact import Artifact
from model.inference.calibration import Calibration, LabelledLogits, fit_calibration
from model.inference.conformal import ADAPTIVE, ORDINAL_METHODS, ConformalSets, covering, fit_sets, measure_sets
from model.inference.measured import MeasuredRate
from model.measures.calibration import CalibrationError, calibration_error
from model.measures.intervals import Estimate, Weights, bootstrap_weights, estimate_of
from model.measures.metrics import Array, Booleans, threshold_for_sensitivity
from model.studies.clinics.labelled import Labelled, lesions_of, sides

SECTION = "recalibration"
# Of the draw of halves.
HALVES_SEED = 1

Verdict = Literal["better", "worse", "unclear"]


class RecalibrationRefused(Exception):
    """Labelled images that nothing can be fitted on and measured; the message says why and what would do."""


@dataclass(frozen=True)
class Half:
    """How many images and lesions a half has, and of them those that were answered, on which all else stands."""

    images: int
    lesions: int
    answered: int


@dataclass(frozen=True)
class Change:
    """A measure of the half that is measured, with the calibration as it stands, with the new one, and new minus old,
    paired by image."""

    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True)
class PointChange:
    """An operating point before and after.

    Attributes:
        name, target_sensitivity: of the artifact's.
        threshold_before: as it stands.
        threshold: with at least the target's share of the fitted half's positive images above it.
        sensitivity, specificity: among the answered images.
        images: positive and negative ones.
    """

    name: str
    target_sensitivity: float
    threshold_before: float
    threshold: float
    sensitivity: Change
    specificity: Change
    images: tuple[int, int]


@dataclass(frozen=True)
class Recalibration:
    """What was fitted on one half, and what it does to the other.

    Attributes:
        seed: of the halves.
        fitted, measured: the halves.
        calibration: of the network's logits, for the clinic's class shares.
        factor_temperature: by which the temperature that stands was multiplied.
        without_images: codes of classes that the fitted half has no answered image of: hardly a share is left to them.
        sets: with their thresholds fitted, flagged as the new operating points do.
        log_loss: nats an image; less is better.
        calibration_errors: before and after, beside what chance gives.
        points: one an operating point of the artifact.
        coverage, mean_size: of the sets.
    """

    seed: int
    fitted: Half
    measured: Half
    calibration: Calibration
    factor_temperature: float
    without_images: tuple[str, ...]
    sets: ConformalSets
    log_loss: Change
    calibration_errors: tuple[CalibrationError, CalibrationError]
    points: tuple[PointChange, ...]
    coverage: Change
    mean_size: Change

    @property
    def verdict(self) -> Verdict:
        """Whether the probabilities are better: where the interval of the log loss's change leaves out 0."""
        if self.log_loss.difference.high < 0:
            return "better"
        return "worse" if self.log_loss.difference.low > 0 else "unclear"

    def section(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return to_plain({**asdict(self), "verdict": self.verdict})


def fitting_half(images: Labelled, task: Task, seed: int = HALVES_SEED) -> Booleans:
    """Whether an image is of the half that is fitted on, (N,): every second lesion of each class, and of each side.

    A lesion whose images have several labels counts as the first.
    """
    lesions, first = np.unique(images.lesion_ids, return_index=True)
    of_lesion = images.dx_true[first]
    shuffled = np.random.default_rng(seed).permutation(len(lesions))
    # One class after the other, one side after the other: every second lesion is half of each run.
    order = shuffled[np.lexsort((of_lesion[shuffled], np.isin(of_lesion[shuffled], task.positives)))]
    return np.isin(images.lesion_ids, lesions[order[::2]])


def recalibrate(name: str, images: Labelled, artifact: Artifact, seed: int = HALVES_SEED) -> Recalibration:
    """Fit on one half, measure on the other.

    Args:
        name: of the clinic, for whose class shares the new probabilities hold.
        images: all of them, with the artifact's probabilities.
        artifact: as it stands.
        seed: of the halves.

    Raises:
        RecalibrationRefused: labels that do not name every class, or too few lesions of one side in a half.
    """
    if not images.has_all_labels:
        raise RecalibrationRefused(
            f"expected the {artifact.task.words.label} of every image to calibrate on, received labels that tell "
            f"{artifact.task.named(artifact.task.gravest).name.lower()} alone; add a column dx"
        )
    is_fitted = fitting_half(images, artifact.task, seed)
    halves = images.part(is_fitted), images.part(~is_fitted)
    for half, what in zip(halves, ("fitted on", "measured on"), strict=True):
        _check_half(half, what, artifact.task)
    fitted, measured = (half.cohort(artifact) for half in halves)
    calibration, factor = _fit(name, fitted, artifact)
    fitted_after, measured_after = (
        half.recalibrated(artifact.calibration, calibration).cohort(replace(artifact, calibration=calibration))
        for half in halves
    )
    thresholds = [
        threshold_for_sensitivity(fitted_after.is_positive, fitted_after.p_positive, point.target_sensitivity)
        for point in artifact.operating_points
    ]
    sets = _fit_sets(fitted_after, artifact, thresholds)
    weights = bootstrap_weights(measured.lesion_ids)
    cohorts = measured, measured_after
    contained = artifact.conformal.contains(measured.probabilities), sets.contains(measured_after.probabilities)
    before, after = (calibration_error(one.dx_true, one.probabilities, one.lesion_ids) for one in cohorts)
    return Recalibration(
        seed=seed,
        fitted=_half(halves[0]),
        measured=_half(halves[1]),
        calibration=calibration,
        factor_temperature=factor,
        without_images=tuple(
            code for index, code in enumerate(artifact.task.codes) if not (fitted.dx_true == index).any()
        ),
        sets=sets,
        log_loss=_mean_change([_log_losses(one) for one in cohorts], weights),
        calibration_errors=(before, after),
        points=tuple(
            _point_change(point.name, point.target_sensitivity, (point.threshold, threshold), cohorts, weights)
            for point, threshold in zip(artifact.operating_points, thresholds, strict=True)
        ),
        coverage=_coverage_change(contained, measured, weights),
        mean_size=_mean_change([one.sum(axis=1).astype(np.float64) for one in contained], weights),
    )


def _check_half(half: Labelled, what: str, task: Task) -> None:
    counts = [lesions_of(half, side & half.is_answered) for side in sides(half, task)]
    if min(counts) < MIN_LESIONS:
        question, words = task.question, task.words
        raise RecalibrationRefused(
            f"expected at least {MIN_LESIONS} {question.positive} and {MIN_LESIONS} {question.negative} "
            f"{words.subjects} that were answered in each half, received {counts[0]} and {counts[1]} in the half to be "
            f"{what}; label more images"
        )


def _half(half: Labelled) -> Half:
    return Half(len(half.image_ids), len(np.unique(half.lesion_ids)), int(half.is_answered.sum()))


def _fit(name: str, fitted: Cohort, artifact: Artifact) -> tuple[Calibration, float]:
    """The calibration of the logits, and by what its temperature differs from the one that stands."""
    before = np.asarray(artifact.calibration.prior)
    # As many images as there are classes, with the shares that stood so far: few images move rare classes little, and
    # a class that the clinic has not sent yet keeps a share.
    counts = np.bincount(fitted.dx_true, minlength=len(before)) + len(before) * before
    logits = np.log(np.maximum(fitted.probabilities, np.finfo(np.float64).tiny))
    labelled = LabelledLogits(name, logits, np.eye(len(before))[fitted.dx_true])
    population = f"{name} ({len(logits):,} labelled images)"
    step = fit_calibration([labelled], before, counts / counts.sum(), population)
    return artifact.calibration.followed_by(step), step.temperature


def _fit_sets(fitted: Cohort, artifact: Artifact, thresholds: Sequence[float]) -> ConformalSets:
    stands, task = artifact.conformal, artifact.task
    sets = fit_sets(stands.method, fitted.probabilities, fitted.dx_true, fitted.lesion_ids, stands.level)
    # What the artifact promises of the gravest class in each source, the fitted half is a source of.
    if "held_everywhere" in artifact.manifest["conformal"] and stands.method not in (ADAPTIVE, *ORDINAL_METHODS):
        source = (fitted.probabilities, fitted.dx_true, fitted.lesion_ids)
        sets = covering(sets, task.index(task.gravest), [source])
    return replace(sets, positives=task.positives, flagged_from=min(thresholds, default=1.0))


def _log_losses(cohort: Cohort) -> Array:
    """Of each image, nats."""
    of_truth = cohort.probabilities[np.arange(len(cohort.dx_true)), cohort.dx_true]
    return -np.log(np.maximum(of_truth, np.finfo(np.float64).tiny))


def _mean_change(values: Sequence[Array], weights: Weights, is_counted: Booleans | None = None) -> Change:
    """Means of (N,) values before and after over the counted images, by the bootstrap samples of `weights`."""
    kept = np.ones(len(values[0]), dtype=bool) if is_counted is None else is_counted
    drawn = weights[:, kept]
    total = drawn.sum(axis=1, dtype=np.float64)
    means = [(drawn @ one[kept]) / np.where(total > 0, total, np.nan) for one in values]
    before, after = (float(one[kept].mean()) for one in values)
    return Change(
        estimate_of(before, means[0]), estimate_of(after, means[1]), estimate_of(after - before, means[1] - means[0])
    )


def _point_change(
    name: str, target: float, thresholds: tuple[float, float], cohorts: tuple[Cohort, Cohort], weights: Weights
) -> PointChange:
    rates = [measured_rates(threshold, one) for threshold, one in zip(thresholds, cohorts, strict=True)]
    is_positive = cohorts[0].is_positive
    is_right = [
        ((one.p_positive >= threshold) == is_positive).astype(np.float64)
        for threshold, one in zip(thresholds, cohorts, strict=True)
    ]

    def change(rate: str, is_counted: Booleans) -> Change:
        before, after = (_plain(one[rate]) for one in rates)
        return Change(before, after, _mean_change(is_right, weights, is_counted).difference)

    return PointChange(
        name,
        target,
        *thresholds,
        change("sensitivity", is_positive),
        change("specificity", ~is_positive),
        (int(is_positive.sum()), int((~is_positive).sum())),
    )


def _plain(rate: MeasuredRate) -> Estimate:
    return Estimate(rate.value, rate.low, rate.high)


def _coverage_change(contained: tuple[Booleans, Booleans], measured: Cohort, weights: Weights) -> Change:
    rows = np.arange(len(measured.dx_true))
    held = [one[rows, measured.dx_true].astype(np.float64) for one in contained]
    before, after = (
        measure_sets(one, measured.dx_true, measured.lesion_ids, measured.task.codes).coverage for one in contained
    )
    return Change(before, after, _mean_change(held, weights).difference)
