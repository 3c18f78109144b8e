"""Simulate how often 95 % intervals hold the true value: those in use, and the bootstrap's that were there before.

    python -m model.studies.interval_coverage                  # a table for docs/experiments.md, some minutes
    python -m model.studies.interval_coverage --samples 100    # rougher

The artifact's out-of-fold predictions stand for all lesions there are, so that their own figures are the true ones.
Samples of lesions are drawn from them with replacement, so many of each class as stated, and a lesion that is drawn
twice counts as two. Nothing is written, no network runs, and the locked test lesions are not looked at. The same seed
gives the same table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from model.arguments import add_artifact, whole_number
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.inference.artifact import Artifact, load_artifact
from model.measures.areas import auroc_estimate, macro_auroc_estimate
from model.measures.calibration import calibration_error
from model.measures.intervals import (
    Estimate,
    Groups,
    bootstrap_weights,
    estimate_of,
    weighted_balanced_accuracy,
)
from model.measures.metrics import Array, Booleans, Indices, auroc, balanced_accuracy, macro_auroc
from model.measures.shares import group_numbers, quantile_estimate, share_estimates
from model.studies.bootstrap_intervals import (
    basic_calibration_error,
    percentile_area,
    percentile_mean_area,
    percentile_quantile,
    percentile_share,
)
from model.studies.repeatability import SHARE, pairs_of

SEED = 1
SAMPLES, RESAMPLES = 500, 200
# Lesions of the locked test part of HAM10000: samples of all classes have as many, in the shares of the population.
SAMPLE_SIZE = 1125
AREA_SIZES = (50, 100)

Measure = Callable[[Indices, Groups], Estimate]
Strata = Sequence[tuple[Indices, int]]


@dataclass(frozen=True)
class Simulation:
    """A figure whose interval is tried.

    Attributes:
        what: name of the figure.
        lesions: how many of a sample it is about.
        strata: numbers of lesions, and how many of them a sample draws.
        truth: the value that intervals should hold.
        now, before: from the rows of a sample and the lesion of each to the figure with its interval.
    """

    what: str
    lesions: int
    strata: Strata
    truth: float
    now: Measure
    before: Measure


@dataclass(frozen=True)
class Coverage:
    """In which share of the samples the interval held the truth, and its mean width; NaN where there was none."""

    held: float
    width: float


class Population:
    """The images of the lesions that samples are drawn from, which are numbered from 0.

    Args:
        groups: (N,) lesion of each image.
    """

    def __init__(self, groups: Groups) -> None:
        self.lesion_of = group_numbers(groups)
        self._rows = np.argsort(self.lesion_of, kind="stable")
        self._sizes = np.bincount(self.lesion_of)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def lesions_of(self, is_of_kind: Booleans) -> Indices:
        """Numbers of the lesions with an image of a kind, of (N,) images."""
        return np.unique(self.lesion_of[is_of_kind])

    def draw(self, strata: Strata, generator: np.random.Generator) -> tuple[Indices, Groups]:
        """Rows of a sample, and the lesion of each: one that is drawn twice counts as two."""
        drawn = np.concatenate([generator.choice(lesions, count) for lesions, count in strata])
        sizes = self._sizes[drawn]
        lesion_of = np.repeat(np.arange(len(drawn)), sizes)
        within = np.arange(len(lesion_of)) - (np.cumsum(sizes) - sizes)[lesion_of]
        return self._rows[self._starts[drawn][lesion_of] + within], lesion_of.astype(np.str_)


def cover(simulation: Simulation, population: Population, samples: int) -> tuple[Coverage, Coverage]:
    """How the interval in use and the one before did, on the same samples."""
    generator = np.random.default_rng([SEED, simulation.lesions])
    now, before = [], []
    for _ in range(samples):
        rows, groups = population.draw(simulation.strata, generator)
        now.append(simulation.now(rows, groups))
        before.append(simulation.before(rows, groups))
    return _coverage(now, simulation.truth), _coverage(before, simulation.truth)


def _coverage(estimates: Sequence[Estimate], truth: float) -> Coverage:
    bounds = np.array([(one.low, one.high) for one in estimates])
    if np.isnan(bounds).any():
        return Coverage(float("nan"), float("nan"))
    # Rounding must not make a bound miss the value that it stands for.
    is_held = (bounds[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= bounds[:, 1])
    return Coverage(float(is_held.mean()), float(np.diff(bounds, axis=1).mean()))


def share_simulation(
    what: str, population: Population, is_hit: Booleans, is_counted: Booleans, count: int, resamples: int
) -> Simulation:
    """A share of the images of a kind, from `count` of their lesions."""

    def now(rows: Indices, groups: Groups) -> Estimate:
        (estimate,) = share_estimates(is_hit[rows, np.newaxis], is_counted[rows, np.newaxis], groups)
        return estimate

    def before(rows: Indices, groups: Groups) -> Estimate:
        kept = is_counted[rows]
        return percentile_share(is_hit[rows][kept], groups[kept], resamples)

    strata = [(population.lesions_of(is_counted), count)]
    return Simulation(what, count, strata, float(is_hit[is_counted].mean()), now, before)


def area_simulation(
    what: str, population: Population, is_positive: Booleans, score: Array, counts: tuple[int, int], resamples: int
) -> Simulation:
    """The area under a ROC curve, from so many lesions of positives and of negatives."""
    sides = (population.lesions_of(is_positive), population.lesions_of(~is_positive))
    return Simulation(
        what,
        counts[0],
        list(zip(sides, counts, strict=True)),
        auroc(is_positive, score),
        lambda rows, groups: auroc_estimate(is_positive[rows], score[rows], groups),
        lambda rows, groups: percentile_area(is_positive[rows], score[rows], groups, resamples),
    )


def calibration_simulation(population: Population, probabilities: Array, count: int, resamples: int) -> Simulation:
    """The calibration error of a perfectly calibrated model, whose true one is 0.

    Now an error counts as none where it is within what chance alone gives 95 of 100 times.
    """

    def drawn(rows: Indices, groups: Groups) -> tuple[Indices, Array]:
        # Images of a lesion share a draw; whatever is wrong counts as the next class.
        uniform = np.random.default_rng(rows).random(len(rows))[group_numbers(groups)]
        stated = probabilities[rows]
        is_wrong = uniform >= stated.max(axis=1)
        return (stated.argmax(axis=1) + is_wrong) % stated.shape[1], stated

    def now(rows: Indices, groups: Groups) -> Estimate:
        error = calibration_error(*drawn(rows, groups), groups, resamples)
        return Estimate(error.value, 0.0 if error.value <= error.chance_high else error.value, error.value)

    return Simulation(
        "calibration error of a calibrated model",
        count,
        [(np.unique(population.lesion_of), count)],
        0.0,
        now,
        lambda rows, groups: basic_calibration_error(*drawn(rows, groups), groups, resamples),
    )


def simulations(artifact: Artifact, resamples: int) -> Iterator[tuple[Simulation, Population]]:
    """Every kind of interval, of samples as large as the locked test part and of smaller ones."""
    cohort = cohort_of(load_predictions(artifact.out_of_fold_path, artifact.task), artifact.task)
    population = Population(cohort.lesion_ids)
    for simulation in (
        *_shares(cohort, population, artifact, resamples),
        *_areas(cohort, population, resamples),
        *_means(cohort, population, resamples),
        *(calibration_simulation(population, cohort.probabilities, n, resamples) for n in (200, SAMPLE_SIZE)),
    ):
        yield simulation, population
    one, other, lesions = pairs_of(cohort)
    pairs, differences = Population(lesions), np.abs(one - other)
    for count in (100, 400):
        yield (
            Simulation(
                f"what {SHARE:.0%} of repeat photographs differ by",
                count,
                [(np.unique(pairs.lesion_of), count)],
                quantile_estimate(differences, lesions, SHARE).value,
                lambda rows, groups: quantile_estimate(differences[rows], groups, SHARE),
                lambda rows, groups: percentile_quantile(differences[rows], groups, SHARE, resamples),
            ),
            pairs,
        )


def _sizes(cohort: Cohort, population: Population) -> list[int]:
    """Lesions of each class in a sample of all classes."""
    lesions = [len(population.lesions_of(cohort.dx_true == index)) for index in range(len(cohort.task.classes))]
    return [round(count * SAMPLE_SIZE / sum(lesions)) for count in lesions]


def _shares(cohort: Cohort, population: Population, artifact: Artifact, resamples: int) -> Iterator[Simulation]:
    task, is_side = cohort.task, cohort.is_positive
    is_right = is_side == (cohort.p_positive >= artifact.operating_points[0].threshold)
    sizes = _sizes(cohort, population)
    sides = [sum(sizes[index] for index in task.positives)]
    sides.append(sum(sizes) - sides[0])
    for what, is_counted, counts in (
        (f"sensitivity, {task.question.positive}", is_side, (20, 50, sides[0])),
        (f"specificity, {task.question.negative}", ~is_side, (50, sides[1])),
    ):
        for count in counts:
            yield share_simulation(what, population, is_right, is_counted, count, resamples)
    is_named = cohort.dx_true == cohort.dx_predicted
    for index, code in enumerate(task.codes):
        is_class = cohort.dx_true == index
        yield share_simulation(f"sensitivity, {code}", population, is_named, is_class, sizes[index], resamples)
    is_covered = artifact.conformal.contains(cohort.probabilities)[np.arange(len(is_side)), cohort.dx_true]
    everything = np.ones(len(is_side), dtype=bool)
    yield share_simulation("coverage of the sets", population, is_covered, everything, SAMPLE_SIZE, resamples)


def _areas(cohort: Cohort, population: Population, resamples: int) -> Iterator[Simulation]:
    sizes = _sizes(cohort, population)
    questions = [
        (f"AUROC, {code}", cohort.dx_true == index, cohort.probabilities[:, index], sizes[index])
        for index, code in enumerate(cohort.task.codes)
    ]
    in_sample = sum(sizes[index] for index in cohort.task.positives)
    questions.append((f"AUROC, {cohort.task.question.positive}", cohort.is_positive, cohort.p_positive, in_sample))
    for what, is_positive, score, size in questions:
        for count in sorted({size, *AREA_SIZES}):
            counts = (count, SAMPLE_SIZE - count)
            yield area_simulation(what, population, is_positive, score, counts, resamples)


def _means(cohort: Cohort, population: Population, resamples: int) -> Iterator[Simulation]:
    truth, predicted, probabilities = cohort.dx_true, cohort.dx_predicted, cohort.probabilities
    classes = len(cohort.task.classes)
    by_class = [population.lesions_of(truth == index) for index in range(classes)]
    strata = list(zip(by_class, _sizes(cohort, population), strict=True))

    def bootstrap(rows: Indices, groups: Groups) -> Estimate:
        drawn = bootstrap_weights(groups, resamples)
        return estimate_of(
            balanced_accuracy(truth[rows], predicted[rows], classes),
            weighted_balanced_accuracy(truth[rows], predicted[rows], drawn, classes),
        )

    yield Simulation(
        "macro AUROC",
        SAMPLE_SIZE,
        strata,
        macro_auroc(truth, probabilities),
        lambda rows, groups: macro_auroc_estimate(truth[rows], probabilities[rows], groups),
        lambda rows, groups: percentile_mean_area(truth[rows], probabilities[rows], groups, resamples),
    )
    accuracy = balanced_accuracy(truth, predicted, classes)
    yield Simulation("balanced accuracy (bootstrap, as before)", SAMPLE_SIZE, strata, accuracy, bootstrap, bootstrap)


def table_line(simulation: Simulation, now: Coverage, before: Coverage) -> str:
    """A row of the Markdown table of `HEADER`."""
    cells = (simulation.what, f"{simulation.lesions:,}", f"{simulation.truth:.3f}", _text(now), _text(before))
    return f"| {' | '.join(cells)} |"


HEADER = "| figure | lesions | true value | holds it: now (width) | before |\n|---|---|---|---|---|"


def _text(coverage: Coverage) -> str:
    return "none given" if np.isnan(coverage.held) else f"{coverage.held:.3f} ({coverage.width:.3f})"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    parser.add_argument("--samples", type=whole_number(1), default=SAMPLES, help="of each size")
    parser.add_argument("--resamples", type=whole_number(1), default=RESAMPLES, help="of bootstrap and of chance")
    arguments = parser.parse_args(argv)
    artifact = load_artifact(arguments.artifact)
    lines = [
        table_line(simulation, *cover(simulation, population, arguments.samples))
        for simulation, population in tqdm(
            list(simulations(artifact, arguments.resamples)), desc="simulations", unit="figure", disable=None
        )
    ]
    print(HEADER, *lines, sep="\n")


if __name__ == "__main__":
    main()
