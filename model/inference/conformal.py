"""Sets of diagnoses that hold the true one in a stated share of lesions, from calibrated probabilities.

The share is a promise about new lesions from the population whose held-out images fitted the sets, and about no other.
Every class has a conformity in [0, 1], how well it goes with the image, and belongs to the set when its conformity
reaches a threshold; the method says what conformity is and whether each class has a threshold of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Groups,
    bootstrap_weights,
    estimate_of,
)
from model.measures.metrics import Array, Booleans, Indices, check_aligned, is_positive, positive_probability
from model.measures.ordinal import interval_conformity, without_gaps
from model.measures.shares import share_estimates

CLASS_CONDITIONAL, ADAPTIVE, PRIOR_WEIGHTED = "class-conditional", "adaptive", "prior-weighted"
CONTIGUOUS, CONTIGUOUS_BY_CLASS = "contiguous", "contiguous-class-conditional"
# Of the promise that one class is covered in every source, see `covering`.
CONFIDENCE = 0.9
# Of classes that are names, and of classes that are grades.
METHODS: tuple[str, ...] = (CLASS_CONDITIONAL, ADAPTIVE, PRIOR_WEIGHTED)
ORDINAL_METHODS: tuple[str, ...] = (CONTIGUOUS, CONTIGUOUS_BY_CLASS)


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds that turn calibrated probabilities into sets of classes.

    A set is never empty: where no class passes, it holds the single most probable one (the first in class order on a
    tie). And it never leaves out why an image is flagged: it then holds those positive classes, the most probable
    first, without which the rest would no longer reach `flagged_from`; of grades also those between. Both can only
    raise the coverage.

    Attributes:
        method: "class-conditional": a class is in the set when its probability reaches its own threshold, so that
            every class is covered at the level; the most probable class may be missing. "adaptive": a class is in the
            set when the probability of it and of all classes that are not more probable reaches the one threshold; in
            other words, classes enter by falling probability until they hold more than 1 - threshold, those of equal
            probability together. It covers the average lesion, rare classes perhaps less.
            "prior-weighted": a class is in the set when its probability reaches its threshold, and the thresholds are
            in proportion to the classes' shares, as in `model.inference.calibration.decide`; it covers the average
            lesion, and rare classes better than "adaptive" does, with smaller sets than "class-conditional".
            "contiguous", for grades: a set without gaps that grows from the most probable grade by the more probable
            neighbour until it holds more than 1 - threshold (`model.measures.ordinal.interval_conformity`).
            "contiguous-class-conditional", for grades: the same with a threshold for each grade, so that every grade is
            covered at the level; grades between two that are in the set are in it as well.
        level: share of lesions whose set is to hold the true class, in (0, 1).
        thresholds: (C,) in [0, 1], in class order, all the same for "adaptive" and "contiguous"; 0 lets a class into
            every set.
        positives: class indices of the question's positive side; none where no image is flagged.
        flagged_from: the probability of the positive classes together from which on an image is flagged.

    Raises:
        ValueError: another method, a level outside (0, 1), or thresholds that are not two or more numbers from 0 to 1.

    Source:
        Vovk 2012, arXiv:1209.2673 (class-conditional, also called Mondrian); Romano, Sesia, Candès, NeurIPS 2020,
        arXiv:2006.02544 (adaptive, here without its random tie-break).
    """

    method: str
    level: float
    thresholds: tuple[float, ...]
    positives: tuple[int, ...] = ()
    flagged_from: float = 1.0

    def __post_init__(self) -> None:
        _check_method(self.method)
        _check_level(self.level)
        if len(self.thresholds) < 2 or not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"expected a threshold from 0 to 1 for each class, received {self.thresholds}")

    def contains(self, probabilities: Array, image_alone: Array | None = None) -> Booleans:
        """Which classes are in the set.

        Args:
            probabilities: (..., C) calibrated, in class order, sum 1.
            image_alone: the same before anything beside the image was taken into account; None where nothing was. The
                image raised the flag, so what else is known puts no positive class out of the set.

        Returns:
            (..., C) bool, True at least once along the last axis.

        Raises:
            ValueError: not as many probabilities in the last axis as there are thresholds, or one that is NaN.
        """
        classes = len(self.thresholds)
        _check_probabilities(probabilities, classes)
        is_contained = _conformity(self.method, probabilities) >= np.array(self.thresholds)
        is_most_probable = np.arange(classes) == np.argmax(probabilities, axis=-1)[..., np.newaxis]
        is_contained = np.where(is_contained.any(axis=-1, keepdims=True), is_contained, is_most_probable)
        is_contained |= self._is_reason_to_flag(probabilities)
        if image_alone is not None:
            is_contained |= self.contains(image_alone) & is_positive(np.arange(classes), self.positives)
        return without_gaps(is_contained) if self.method in ORDINAL_METHODS else is_contained

    def _is_reason_to_flag(self, probabilities: Array) -> Booleans:
        """(..., C): the positive classes, the most probable first, until those left would no longer be flagged."""
        is_reason = np.zeros(probabilities.shape, dtype=bool)
        if self.positives:
            of_positives = probabilities[..., self.positives]
            order = np.argsort(-of_positives, axis=-1, kind="stable")
            left = np.take_along_axis(of_positives, order, axis=-1)[..., ::-1].cumsum(axis=-1)[..., ::-1]
            is_needed = left >= self.flagged_from
            # Sums in another order differ in their last bits: what is flagged has a reason.
            is_needed[..., 0] = positive_probability(probabilities, self.positives) >= self.flagged_from
            np.put_along_axis(is_reason, np.array(self.positives)[order], is_needed, axis=-1)
        return is_reason

    def members(self, probabilities: Array, image_alone: Array | None = None) -> tuple[int, ...]:
        """The class indices in the set of one image's (C,) probabilities, the most probable first, at least one.

        Raises:
            ValueError: not as many probabilities as there are thresholds, or one that is NaN.
        """
        is_contained = self.contains(probabilities, image_alone)
        return tuple(int(index) for index in np.argsort(-probabilities, kind="stable") if is_contained[index])


@dataclass(frozen=True)
class ClassSets:
    """The sets of the images that are truly of one class.

    Attributes:
        dx: its code.
        images, lesions: how many images, and groups of them, were measured.
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
        images, lesions: how many images, and groups of them, were measured.
        coverage: share of the images whose set holds the true class.
        mean_size: mean number of classes in a set, 1 to C; its interval has no width where all sets have one size.
        coverage_by_dx: one a class, in class order.
        size_shares: (C,) share of the sets that hold 1, 2, ..., C classes.
    """

    images: int
    lesions: int
    coverage: Estimate
    mean_size: Estimate
    coverage_by_dx: tuple[ClassSets, ...]
    size_shares: tuple[float, ...]


def fit_sets(method: str, probabilities: Array, dx_true: Indices, groups: Groups, level: float) -> ConformalSets:
    """Thresholds with which the sets of new lesions hold the true class at `level` or more.

    Several images of one lesion resemble each other, so they are not so many independent draws: each of a lesion's m
    images weighs 1 / m, a lesion counts once, and the promise is about one image of each new lesion. The threshold is
    the highest that keeps level * (n + 1) of the n lesions, not level * n: the correction for few lesions. Where there
    are fewer lesions than that (9 are needed for 0.90), nothing can be promised and the threshold is 0.

    Args:
        method: one of `METHODS` or `ORDINAL_METHODS`, see `ConformalSets`.
        probabilities: (N, C) calibrated, in class order, of images no weight was trained on.
        dx_true: (N,) class indices, the reference.
        groups: (N,) group of each image, such as its lesion.
        level: share of lesions whose set is to hold the true class, in (0, 1).

    Returns:
        The sets; thresholds of classes without enough lesions are 0, all of them without any image.

    Raises:
        ValueError: another method, a level outside (0, 1), lengths that differ, fewer than two probabilities an image,
            or one that is NaN.

    Source:
        Lee, Barber, Willett 2023, arXiv:2306.06342 (images within lesions: weights and correction); Vovk 2012,
        arXiv:1209.2673 (a threshold for each class).
    """
    _check_method(method)
    _check_level(level)
    classes = probabilities.shape[-1]
    _check_probabilities(probabilities, classes)
    check_aligned(probabilities, dx_true)
    check_aligned(probabilities, groups)
    conformity = _conformity(method, probabilities)[np.arange(len(dx_true)), dx_true]
    if method in (ADAPTIVE, CONTIGUOUS):
        thresholds = [_threshold(conformity, groups, level)] * classes
    elif method == PRIOR_WEIGHTED:
        weights = _share_weights(dx_true, classes)
        common = _threshold(conformity / weights[dx_true], groups, level)
        thresholds = [float(threshold) for threshold in np.minimum(common * weights, 1.0)]
    else:
        members = [dx_true == index for index in range(classes)]
        thresholds = [_threshold(conformity[is_class], groups[is_class], level) for is_class in members]
    return ConformalSets(method, float(level), tuple(thresholds))


def covering(
    sets: ConformalSets,
    index: int,
    held_out: Sequence[tuple[Array, Indices, Groups]],
    confidence: float = CONFIDENCE,
) -> ConformalSets:
    """Sets whose threshold of one class is low enough to hold it at `level` wherever images come from.

    The threshold of `fit_sets` keeps the level on average over draws of the held-out lesions; this one, in each source,
    with a stated confidence in these lesions: of few, it leaves out fewer.

    Args:
        sets: with a threshold for each class, not of grades.
        index: of the class.
        held_out: (N, C) calibrated probabilities, (N,) class indices and (N,) groups of each source, of images no
            weight was trained on. A source with too few lesions of the class for any promise is left out.
        confidence: probability that the promise holds, in (0, 1).

    Returns:
        The same sets, where necessary with a lower threshold of the class.

    Raises:
        ValueError: the method has no thresholds by class.

    Source:
        Vovk 2012, arXiv:1209.2673, section 3 (validity conditional on the training lesions).
    """
    if sets.method not in (CLASS_CONDITIONAL, PRIOR_WEIGHTED):
        raise ValueError(f"expected sets with a threshold for each class, received {sets.method}")
    # Imported here, as in `model.inference.calibration`.
    from scipy.stats import binom

    thresholds = list(sets.thresholds)
    for probabilities, dx_true, groups in held_out:
        is_class = dx_true == index
        lesions = len(np.unique(groups[is_class]))
        left_out = np.flatnonzero(binom.cdf(np.arange(lesions + 1), lesions, 1 - sets.level) <= 1 - confidence)
        if len(left_out):
            kept = _kept_from(probabilities[is_class, index], groups[is_class], lesions - int(left_out[-1]))
            thresholds[index] = min(thresholds[index], kept)
    return replace(sets, thresholds=tuple(thresholds))


def cross_fit(
    method: str, probabilities: Array, dx_true: Indices, groups: Groups, folds: NDArray, level: float
) -> Booleans:
    """Sets of every fold by thresholds fitted on the other folds, to choose a method without a further set of images.

    Args:
        method: one of `METHODS` or `ORDINAL_METHODS`.
        probabilities: (N, C) out-of-fold, calibrated, in class order.
        dx_true: (N,) class indices, the reference.
        groups: (N,) group of each image, such as its lesion.
        folds: (N,) any labels, two of them at least; all images of a lesion in one fold.
        level: share of lesions whose set is to hold the true class, in (0, 1).

    Returns:
        (N, C) bool, see `ConformalSets.contains`.

    Raises:
        ValueError: fewer than two folds, a lesion in two of them, or what `fit_sets` refuses.
    """
    check_aligned(probabilities, folds)
    check_aligned(groups, folds)
    labels = np.unique(folds)
    if len(labels) < 2:
        raise ValueError(f"expected at least two folds, received {len(labels)}; give the predictions of another fold")
    contained = np.zeros(probabilities.shape, dtype=bool)
    for label in labels:
        is_fold = folds == label
        shared = np.intersect1d(groups[is_fold], groups[~is_fold])
        if len(shared):
            raise ValueError(f"expected each lesion in one fold, received {shared[0]} in several; split by lesion")
        sets = fit_sets(method, probabilities[~is_fold], dx_true[~is_fold], groups[~is_fold], level)
        contained[is_fold] = sets.contains(probabilities[is_fold])
    return contained


def measure_sets(
    contained: Booleans,
    dx_true: Indices,
    groups: Groups,
    codes: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> SetMetrics:
    """Coverage and size of sets, with 95 % intervals by lesion.

    Args:
        contained: (N, C) bool, see `ConformalSets.contains`; images that took no part in fitting.
        dx_true: (N,) class indices, the reference.
        groups: (N,) group of each image.
        codes: (C,) of the classes, in class order.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Returns:
        The metrics; NaN everywhere without images, and in the row of a class without images.

    Raises:
        ValueError: lengths differ, a set is empty, or fewer than one resample.
    """
    check_aligned(contained, dx_true)
    check_aligned(contained, groups)
    sizes = contained.sum(axis=1)
    if np.any(sizes == 0):
        raise ValueError(f"expected sets of at least one class, received {np.sum(sizes == 0)} empty sets")
    weights = bootstrap_weights(groups, resamples, seed)
    is_class = dx_true[:, np.newaxis] == np.arange(len(codes))
    # The first column counts every image, the others those of a class.
    is_counted = np.column_stack([np.ones(len(dx_true), dtype=bool), is_class])
    is_covered = contained[np.arange(len(dx_true)), dx_true]
    coverages = share_estimates(np.column_stack([is_covered] * is_counted.shape[1]), is_counted, groups)
    drawn = weights.sum(axis=1, dtype=np.float64)
    return SetMetrics(
        images=len(dx_true),
        lesions=len(np.unique(groups)),
        coverage=coverages[0],
        mean_size=estimate_of(_mean(sizes), weights @ sizes / np.where(drawn > 0, drawn, np.nan)),
        coverage_by_dx=tuple(
            ClassSets(
                dx=dx,
                images=int(is_class[:, index].sum()),
                lesions=len(np.unique(groups[is_class[:, index]])),
                coverage=coverages[index + 1],
                mean_size=_mean(sizes[is_class[:, index]]),
            )
            for index, dx in enumerate(codes)
        ),
        size_shares=tuple(_mean(sizes == size) for size in range(1, len(codes) + 1)),
    )


def _conformity(method: str, probabilities: Array) -> Array:
    """How well each class goes with an image, (..., C) in [0, 1]; see `ConformalSets`."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if method in ORDINAL_METHODS:
        return interval_conformity(probabilities)
    if method != ADAPTIVE:
        return probabilities
    is_at_most = probabilities[..., np.newaxis, :] <= probabilities[..., :, np.newaxis]
    # Rounding can lift the sum of all of them above 1.
    return np.minimum(np.where(is_at_most, probabilities[..., np.newaxis, :], 0.0).sum(axis=-1), 1.0)


def _share_weights(dx_true: Indices, classes: int) -> Array:
    """(C,) images of each class, the most frequent 1; a class without images counts as one image."""
    counts = np.maximum(np.bincount(dx_true, minlength=classes), 1).astype(np.float64)
    return counts / counts.max()


def _threshold(conformity: Array, groups: Groups, level: float) -> float:
    """The highest conformity that keeps level * (n + 1) of n lesions, 0 where there are not that many."""
    return _kept_from(conformity, groups, level * (len(np.unique(groups)) + 1))


def _kept_from(conformity: Array, groups: Groups, lesions: float) -> float:
    """The highest conformity from which on so many lesions lie, 0 where there are not that many."""
    _, lesion_of, images = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-conformity)
    kept = np.cumsum((1 / images)[lesion_of][order])
    # 1e-9: three images of a third must make a whole lesion.
    position = np.searchsorted(kept, lesions - 1e-9)
    return float(conformity[order[position]]) if position < len(order) else 0.0


def _mean(values: NDArray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _check_method(method: str) -> None:
    if method not in (*METHODS, *ORDINAL_METHODS):
        raise ValueError(f"expected a method of {', '.join((*METHODS, *ORDINAL_METHODS))}, received {method!r}")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, received {level}")


def _check_probabilities(probabilities: Array, classes: int) -> None:
    if not probabilities.ndim or probabilities.shape[-1] != classes or classes < 2:
        raise ValueError(f"expected {classes} probabilities in the last axis, received shape {probabilities.shape}")
    if np.isnan(probabilities).any():
        raise ValueError("expected probabilities, received NaN; leave out images that were not scored")
