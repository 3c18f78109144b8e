"""Sets of diagnoses that hold the true one in a stated share of lesions, from calibrated probabilities.

The share is a promise about new lesions from the population whose held-out images fitted the sets, and about no other.
Every class has a conformity in [0, 1], how well it goes with the image, and belongs to the set when its conformity
reaches a threshold; the method says what conformity is and whether each class has a threshold of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.tasks.skin import DX_CODES
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    LesionIds,
    bootstrap_weights,
    estimate_of,
    share_estimates,
)
from model.measures.metrics import Array, Booleans, Indices, check_aligned

CLASS_CONDITIONAL, ADAPTIVE, PRIOR_WEIGHTED = "class-conditional", "adaptive", "prior-weighted"
METHODS: tuple[str, ...] = (CLASS_CONDITIONAL, ADAPTIVE, PRIOR_WEIGHTED)


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds that turn calibrated probabilities into sets of classes.

    A set is never empty: where no class passes, it holds the single most probable one (the first in dx order on a
    tie), which can only raise the coverage.

    Attributes:
        method: "class-conditional": a class is in the set when its probability reaches its own threshold, so that
            every class is covered at the level; the most probable class may be missing. "adaptive": a class is in the
            set when the probability of it and of all classes that are not more probable reaches the one threshold; in
            other words, classes enter by falling probability until they hold more than 1 - threshold, those of equal
            probability together. It covers the average lesion, rare classes perhaps less.
            "prior-weighted": a class is in the set when its probability reaches its threshold, and the thresholds are
            in proportion to the classes' shares, as in `model.inference.calibration.decide`; it covers the average
            lesion, and rare classes better than "adaptive" does, with smaller sets than "class-conditional".
        level: share of lesions whose set is to hold the true class, in (0, 1).
        thresholds: (7,) in [0, 1], in dx order, seven times the same for
            "adaptive"; 0 lets a class into every set.

    Raises:
        ValueError: another method, a level outside (0, 1), or thresholds that are not seven numbers from 0 to 1.

    Source:
        Vovk 2012, arXiv:1209.2673 (class-conditional, also called Mondrian); Romano, Sesia, Candès, NeurIPS 2020,
        arXiv:2006.02544 (adaptive, here without its random tie-break).
    """

    method: str
    level: float
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_method(self.method)
        _check_level(self.level)
        if len(self.thresholds) != len(DX_CODES) or not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"expected {len(DX_CODES)} thresholds from 0 to 1, received {self.thresholds}")

    def contains(self, probabilities: Array) -> Booleans:
        """Which classes are in the set.

        Args:
            probabilities: (..., 7) calibrated, in dx order, sum 1.

        Returns:
            (..., 7) bool, True at least once along the last axis.

        Raises:
            ValueError: not seven probabilities in the last axis, or one that is NaN.
        """
        _check_probabilities(probabilities)
        is_contained = _conformity(self.method, probabilities) >= np.array(self.thresholds)
        is_most_probable = np.arange(len(DX_CODES)) == np.argmax(probabilities, axis=-1)[..., np.newaxis]
        return np.where(is_contained.any(axis=-1, keepdims=True), is_contained, is_most_probable)

    def codes(self, probabilities: Array) -> tuple[str, ...]:
        """The dx codes in the set of one image's (7,) probabilities, the most probable first, at least one.

        Raises:
            ValueError: not seven probabilities, or one that is NaN.
        """
        is_contained = self.contains(probabilities)
        return tuple(DX_CODES[index] for index in np.argsort(-probabilities, kind="stable") if is_contained[index])


@dataclass(frozen=True)
class ClassSets:
    """The sets of the images that are truly of one class.

    Attributes:
        dx: the class.
        images, lesions: how many were measured.
        coverage: share of the images whose set holds `dx`; NaN without images.
        mean_size: mean number of classes in the set; NaN without images.
    """

    dx: str
    images: int
    lesions: int
    coverage: Estimate
    mean_size: float


@dataclass(frozen=True)
class SetMetrics:
    """How often sets hold the true class, and how large they are; NaN where it cannot be said.

    Shares are of images, as everywhere in the evaluation; the thresholds promise coverage with every lesion counted
    once, which differs where lesions with many images are covered more or less often than others.

    Attributes:
        images, lesions: how many were measured.
        coverage: share of the images whose set holds the true class.
        mean_size: mean number of classes in a set, 1 to 7; its interval has no width where all sets have one size.
        coverage_by_dx: seven, in dx order.
        size_shares: (7,) share of the sets that hold 1, 2, ..., 7 classes.
    """

    images: int
    lesions: int
    coverage: Estimate
    mean_size: Estimate
    coverage_by_dx: tuple[ClassSets, ...]
    size_shares: tuple[float, ...]


def fit_sets(method: str, probabilities: Array, dx_true: Indices, lesion_ids: LesionIds, level: float) -> ConformalSets:
    """Thresholds with which the sets of new lesions hold the true class at `level` or more.

    Several images of one lesion resemble each other, so they are not so many independent draws: each of a lesion's m
    images weighs 1 / m, a lesion counts once, and the promise is about one image of each new lesion. The threshold is
    the highest that keeps level * (n + 1) of the n lesions, not level * n: the correction for few lesions. Where there
    are fewer lesions than that (9 are needed for 0.90), nothing can be promised and the threshold is 0.

    Args:
        method: one of `METHODS`, see `ConformalSets`.
        probabilities: (N, 7) calibrated, in dx order, of images no weight was trained on.
        dx_true: (N,) class indices, the reference.
        lesion_ids: (N,) lesion of each image.
        level: share of lesions whose set is to hold the true class, in (0, 1).

    Returns:
        The sets; thresholds of classes without enough lesions are 0, all of them without any image.

    Raises:
        ValueError: another method, a level outside (0, 1), lengths that differ, not seven probabilities an image, or
            one that is NaN.

    Source:
        Lee, Barber, Willett 2023, arXiv:2306.06342 (images within lesions: weights and correction); Vovk 2012,
        arXiv:1209.2673 (a threshold for each class).
    """
    _check_method(method)
    _check_level(level)
    _check_probabilities(probabilities)
    check_aligned(probabilities, dx_true)
    check_aligned(probabilities, lesion_ids)
    conformity = _conformity(method, probabilities)[np.arange(len(dx_true)), dx_true]
    if method == ADAPTIVE:
        thresholds = [_threshold(conformity, lesion_ids, level)] * len(DX_CODES)
    elif method == PRIOR_WEIGHTED:
        weights = _share_weights(dx_true)
        common = _threshold(conformity / weights[dx_true], lesion_ids, level)
        thresholds = [float(threshold) for threshold in np.minimum(common * weights, 1.0)]
    else:
        members = [dx_true == index for index in range(len(DX_CODES))]
        thresholds = [_threshold(conformity[is_class], lesion_ids[is_class], level) for is_class in members]
    return ConformalSets(method, float(level), tuple(thresholds))


def cross_fit(
    method: str, probabilities: Array, dx_true: Indices, lesion_ids: LesionIds, folds: NDArray, level: float
) -> Booleans:
    """Sets of every fold by thresholds fitted on the other folds, to choose a method without a further set of images.

    Args:
        method: one of `METHODS`.
        probabilities: (N, 7) out-of-fold, calibrated, in dx order.
        dx_true: (N,) class indices, the reference.
        lesion_ids: (N,) lesion of each image.
        folds: (N,) any labels, two of them at least; all images of a lesion in one fold.
        level: share of lesions whose set is to hold the true class, in (0, 1).

    Returns:
        (N, 7) bool, see `ConformalSets.contains`.

    Raises:
        ValueError: fewer than two folds, a lesion in two of them, or what `fit_sets` refuses.
    """
    check_aligned(probabilities, folds)
    check_aligned(lesion_ids, folds)
    labels = np.unique(folds)
    if len(labels) < 2:
        raise ValueError(f"expected at least two folds, received {len(labels)}; give the predictions of another fold")
    contained = np.zeros(probabilities.shape, dtype=bool)
    for label in labels:
        is_fold = folds == label
        shared = np.intersect1d(lesion_ids[is_fold], lesion_ids[~is_fold])
        if len(shared):
            raise ValueError(f"expected each lesion in one fold, received {shared[0]} in several; split by lesion")
        sets = fit_sets(method, probabilities[~is_fold], dx_true[~is_fold], lesion_ids[~is_fold], level)
        contained[is_fold] = sets.contains(probabilities[is_fold])
    return contained


def measure_sets(
    contained: Booleans,
    dx_true: Indices,
    lesion_ids: LesionIds,
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> SetMetrics:
    """Coverage and size of sets, with 95 % intervals by lesion.

    Args:
        contained: (N, 7) bool, see `ConformalSets.contains`; images that took no part in fitting.
        dx_true: (N,) class indices, the reference.
        lesion_ids: (N,) lesion of each image.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Returns:
        The metrics; NaN everywhere without images, and in the row of a class without images.

    Raises:
        ValueError: lengths differ, a set is empty, or fewer than one resample.
    """
    check_aligned(contained, dx_true)
    check_aligned(contained, lesion_ids)
    sizes = contained.sum(axis=1)
    if np.any(sizes == 0):
        raise ValueError(f"expected sets of at least one class, received {np.sum(sizes == 0)} empty sets")
    weights = bootstrap_weights(lesion_ids, resamples, seed)
    is_class = dx_true[:, np.newaxis] == np.arange(len(DX_CODES))
    # The first column counts every image, the other seven those of a class.
    is_counted = np.column_stack([np.ones(len(dx_true), dtype=bool), is_class])
    is_covered = contained[np.arange(len(dx_true)), dx_true]
    coverages = share_estimates(np.column_stack([is_covered] * is_counted.shape[1]), is_counted, lesion_ids, weights)
    drawn = weights.sum(axis=1, dtype=np.float64)
    return SetMetrics(
        images=len(dx_true),
        lesions=len(np.unique(lesion_ids)),
        coverage=coverages[0],
        mean_size=estimate_of(_mean(sizes), weights @ sizes / np.where(drawn > 0, drawn, np.nan)),
        coverage_by_dx=tuple(
            ClassSets(
                dx=dx,
                images=int(is_class[:, index].sum()),
                lesions=len(np.unique(lesion_ids[is_class[:, index]])),
                coverage=coverages[index + 1],
                mean_size=_mean(sizes[is_class[:, index]]),
            )
            for index, dx in enumerate(DX_CODES)
        ),
        size_shares=tuple(_mean(sizes == size) for size in range(1, len(DX_CODES) + 1)),
    )


def _conformity(method: str, probabilities: Array) -> Array:
    """How well each class goes with an image, (..., 7) in [0, 1]; see `ConformalSets`."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if method != ADAPTIVE:
        return probabilities
    is_at_most = probabilities[..., np.newaxis, :] <= probabilities[..., :, np.newaxis]
    # Rounding can lift the sum of all seven above 1.
    return np.minimum(np.where(is_at_most, probabilities[..., np.newaxis, :], 0.0).sum(axis=-1), 1.0)


def _share_weights(dx_true: Indices) -> Array:
    """(7,) images of each class, the most frequent 1; a class without images counts as one image."""
    counts = np.maximum(np.bincount(dx_true, minlength=len(DX_CODES)), 1).astype(np.float64)
    return counts / counts.max()


def _threshold(conformity: Array, lesion_ids: LesionIds, level: float) -> float:
    """The highest conformity that keeps level * (n + 1) of n lesions, 0 where there are not that many."""
    _, lesion_of, images = np.unique(lesion_ids, return_inverse=True, return_counts=True)
    order = np.argsort(-conformity)
    kept = np.cumsum((1 / images)[lesion_of][order])
    # 1e-9: three images of a third must make a whole lesion.
    position = np.searchsorted(kept, level * (len(images) + 1) - 1e-9)
    return float(conformity[order[position]]) if position < len(order) else 0.0


def _mean(values: NDArray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"expected a method of {', '.join(METHODS)}, received {method!r}")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, received {level}")


def _check_probabilities(probabilities: Array) -> None:
    if not probabilities.ndim or probabilities.shape[-1] != len(DX_CODES):
        raise ValueError(
            f"expected {len(DX_CODES)} probabilities in the last axis, received shape {probabilities.shape}"
        )
    if np.isnan(probabilities).any():
        raise ValueError("expected probabilities, received NaN; leave out images that were not scored")
