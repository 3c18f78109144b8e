"""A small version of the study: the intervals in use hold the truth, where a bootstrap's do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.intervals import Estimate
from model.studies.interval_coverage import (
    Population,
    Simulation,
    area_simulation,
    calibration_simulation,
    cover,
    share_simulation,
)

SAMPLES, RESAMPLES = 800, 100
LESIONS = 3000


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    """3,000 lesions of one to three images."""
    sizes = np.random.default_rng(1).choice([1, 2, 3], LESIONS, p=[0.75, 0.18, 0.07])
    return np.repeat([f"{number:04d}" for number in range(LESIONS)], sizes)


@pytest.fixture(scope="module")
def population(groups: np.ndarray) -> Population:
    return Population(groups)


def of_lesions(values: np.ndarray, population: Population) -> np.ndarray:
    """A value of each lesion as a value of its images."""
    return values[population.lesion_of]


@pytest.mark.parametrize(("count", "share"), [(100, 0.97), (20, 0.8)])
def test_wilson_holds_shares_of_few_lesions(population: Population, count: int, share: float) -> None:
    # Images of a lesion mostly agree.
    generator = np.random.default_rng(2)
    levels = of_lesions(generator.random(LESIONS), population)
    is_hit = np.where(generator.random(len(levels)) < 0.8, levels, generator.random(len(levels))) < share
    everything = np.ones(len(levels), dtype=bool)
    simulation = share_simulation("share", population, is_hit, everything, count, RESAMPLES)
    now, before = cover(simulation, population, SAMPLES)
    assert now.held >= 0.93
    assert before.held < 0.92


def test_areas_of_fifty_lesions_are_held_and_of_fewer_not_given(population: Population) -> None:
    # One positive lesion in twelve looks like a negative, which a small sample may miss; images of a lesion differ.
    generator = np.random.default_rng(3)
    is_positive = of_lesions(np.arange(LESIONS) < 600, population)
    is_misleading = of_lesions(generator.random(LESIONS) < 1 / 12, population)
    of_lesion, of_image = (
        of_lesions(generator.normal(size=LESIONS), population),
        generator.normal(size=len(is_positive)),
    )
    score = 0.8 * of_lesion + 0.6 * of_image + 3 * (is_positive & ~is_misleading)
    fifty, fewer = (
        area_simulation("area", population, is_positive, score, (count, 200), RESAMPLES) for count in (50, 15)
    )
    now, before = cover(fifty, population, SAMPLES)
    assert now.held >= 0.93
    assert before.held < 0.92
    now, before = cover(fewer, population, 50)
    assert math.isnan(now.held) and before.held < 0.85


def test_calibrated_model_stays_within_chance_where_the_bootstrap_sees_an_error(population: Population) -> None:
    generator = np.random.default_rng(4)
    stated = generator.uniform(0.5, 1, len(population.lesion_of))
    simulation = calibration_simulation(population, np.column_stack([stated, 1 - stated]), 300, RESAMPLES)
    now, before = cover(simulation, population, 150)
    assert 0.9 <= now.held <= 0.99
    assert before.held < 0.75


def test_lesions_are_drawn_whole_and_twice_is_two(groups: np.ndarray, population: Population) -> None:
    rows, of = population.draw([(np.array([7]), 2), (np.array([9]), 1)], np.random.default_rng(1))
    seven, nine = np.flatnonzero(groups == "0007"), np.flatnonzero(groups == "0009")
    assert groups[rows].tolist() == ["0007"] * 2 * len(seven) + ["0009"] * len(nine)
    assert len(np.unique(of)) == 3 and (of[: len(seven)] == of[0]).all()


def test_coverage_counts_the_samples_that_hold_the_truth(population: Population) -> None:
    # By hand: intervals from a sample's smallest row to the largest.
    strata = [(np.arange(3), 1)]

    def measure(rows: np.ndarray, _: np.ndarray) -> Estimate:
        return Estimate(0.0, float(rows.min()), float(rows.max()))

    first = population.draw(strata, np.random.default_rng([1, 1]))[0]
    now, before = cover(Simulation("x", 1, strata, float(first.min()), measure, measure), population, 1)
    assert now == before and now.held == 1.0 and now.width == first.max() - first.min()
    assert cover(Simulation("x", 1, strata, -1.0, measure, measure), population, 20)[0].held == 0.0
