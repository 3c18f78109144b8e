"""Calibration that finds what was put in, and decisions worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.inference.calibration import Calibration, LabelledLogits, decide, fit_calibration, population_name
from model.measures.metrics import softmax

UNIFORM = np.full(7, 1 / 7)
# Class shares as in HAM10000, rounded: most are nevi.
PRIOR = np.array([0.10, 0.05, 0.05, 0.02, 0.10, 0.67, 0.01])
PROBABILITIES = np.array([0.05, 0.0, 0.035, 0.0, 0.20, 0.70, 0.015])


def images_of(*probabilities: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Images whose diagnoses occur exactly as often as said, in 100, and the true log probabilities of each."""
    dx_true = [np.repeat(np.arange(7), counts) for counts in probabilities]
    logits = [np.tile(np.log(np.array(counts) / 100), (sum(counts), 1)) for counts in probabilities]
    return np.concatenate(logits), np.concatenate(dx_true)


def test_probabilities_by_hand() -> None:
    logits = np.zeros(7)
    logits[0] = 2 * np.log(4)
    # Halved: log 4 against six zeros, 4 / 10 and 1 / 10.
    assert Calibration(2.0, (0.0,) * 7, "", ()).probabilities(logits) == pytest.approx([0.4] + [0.1] * 6)
    # An offset of log 3 makes 12 / 18 of it; the offset is not divided by the temperature.
    offsets = (float(np.log(3)), *[0.0] * 6)
    assert Calibration(2.0, offsets, "", ()).probabilities(logits) == pytest.approx([12 / 18] + [1 / 18] * 6)


def labelled(logits: np.ndarray, dx_true: np.ndarray) -> LabelledLogits:
    return LabelledLogits("clinic", logits, np.eye(7)[dx_true])


def test_probabilities_sum_to_1_for_any_logits() -> None:
    logits = np.random.default_rng(1).normal(0, 200, (2, 50, 7))
    probabilities = Calibration(0.7, tuple(np.log(PRIOR)), "", tuple(PRIOR)).probabilities(logits)
    assert (probabilities.shape, probabilities.dtype) == ((2, 50, 7), np.float64)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_known_temperature_is_recovered(temperature: float) -> None:
    log_probabilities, dx_true = images_of([40, 20, 10, 10, 10, 5, 5], [5, 5, 10, 10, 10, 20, 40])
    calibration = fit_calibration([labelled(temperature * log_probabilities, dx_true)], UNIFORM, UNIFORM, "made up")
    assert calibration.temperature == pytest.approx(temperature, rel=1e-3)
    # Training saw the population's own shares: nothing to correct.
    assert calibration.offsets == pytest.approx([0.0] * 7)
    assert calibration.population == "made up"
    assert calibration.prior == pytest.approx(UNIFORM)


@pytest.mark.parametrize(("temperature", "factor"), [(1.0, 1.0), (2.0, 1.0), (1.5, 0.5)])
def test_known_prior_shift_is_recovered(temperature: float, factor: float) -> None:
    """The network learned from equal shares; its logits lack the population's log ratio, times a factor."""
    log_probabilities, dx_true = images_of([40, 20, 10, 10, 10, 5, 5], [5, 5, 10, 10, 10, 20, 40])
    log_ratio = np.log(PRIOR / UNIFORM)
    logits = temperature * (log_probabilities - factor * log_ratio)
    calibration = fit_calibration([labelled(logits, dx_true)], UNIFORM, PRIOR, "made up")
    assert calibration.temperature == pytest.approx(temperature, rel=1e-3)
    assert calibration.offsets == pytest.approx(factor * log_ratio, rel=1e-2)
    np.testing.assert_allclose(calibration.probabilities(logits), np.exp(log_probabilities), atol=1e-3)


@pytest.mark.parametrize(("images", "logits"), [(0, 0), (1, 1), (3, 2), (2, 3)])
def test_too_few_or_unequal_images_are_refused(images: int, logits: int) -> None:
    with pytest.raises(ValueError, match=rf"at least 2, received shapes \({logits}, 7\) and \({images}, 7\) of clinic"):
        LabelledLogits("clinic", np.zeros((logits, 7)), np.zeros((images, 7)))


def test_no_source_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one source"):
        fit_calibration([], UNIFORM, UNIFORM, "")


def test_log_loss_compares_the_classes_that_a_label_tells_apart() -> None:
    """Logits 0, log 3 and log 4 of three classes: 1 of 8, 3 of 8 and 4 of 8; without the last, 1 of 4 and 3 of 4."""
    logits = np.array([[0, np.log(3), np.log(4)]] * 2)
    calibration = Calibration(1.0, (0.0, 0.0, 0.0), "", ())
    told = LabelledLogits("a", logits, np.array([[0, 1, 0], [1, 0, 0]]))
    assert told.log_loss(calibration) == pytest.approx(-np.log(3 / 8 * 1 / 8) / 2)
    left_open = LabelledLogits("b", logits, np.array([[0, 1, -1], [1, 0, -1]]))
    assert left_open.log_loss(calibration) == pytest.approx(-np.log(3 / 4 * 1 / 4) / 2)
    assert left_open.log_loss(replace(calibration, temperature=0.5)) == pytest.approx(-np.log(9 / 10 * 1 / 10) / 2)


def test_of_two_sources_neither_loses_more_than_the_other() -> None:
    """One needs the temperature 1, the other, with fewer images, 2: the fit lies where both lose the same."""
    log_probabilities, dx_true = images_of([40, 20, 10, 10, 10, 5, 5], [5, 5, 10, 10, 10, 20, 40])
    home, away = labelled(log_probabilities, dx_true), labelled(2 * log_probabilities[::2], dx_true[::2])
    both = fit_calibration([home, away], UNIFORM, UNIFORM, "")
    regrets = [
        source.log_loss(both) - source.log_loss(fit_calibration([source], UNIFORM, UNIFORM, ""))
        for source in (home, away)
    ]
    assert regrets[0] == pytest.approx(regrets[1], rel=1e-2)
    assert regrets[0] > 1e-3
    assert 1 < both.temperature < 2
    for better in (1.0, 2.0):
        alone = replace(both, temperature=better)
        assert max(home.log_loss(alone) - home.log_loss(both), away.log_loss(alone) - away.log_loss(both)) > 0


@pytest.mark.parametrize("where", ["training", "population"])
def test_class_without_images_is_refused(where: str) -> None:
    lacking = np.array([0, 0.1, 0.1, 0.1, 0.1, 0.5, 0.1])
    training, population = (lacking, UNIFORM) if where == "training" else (UNIFORM, lacking)
    with pytest.raises(ValueError, match="expected every class to have a share above 0"):
        fit_calibration([labelled(np.zeros((2, 7)), np.zeros(2, dtype=np.int64))], training, population, "")


def test_decision_differs_from_the_highest_probability() -> None:
    # Ratios: akiec 0.05 / 0.10 = 0.5, bkl 0.7, mel 0.20 / 0.10 = 2, nv 0.70 / 0.67 = 1.04, vasc 1.5.
    assert SKIN.codes[int(np.argmax(PROBABILITIES))] == "nv"
    assert SKIN.codes[int(decide(PROBABILITIES, PRIOR))] == "mel"


def test_decision_with_equal_shares_is_the_highest_probability() -> None:
    assert SKIN.codes[int(decide(PROBABILITIES, UNIFORM))] == "nv"


def test_decisions_of_several_images_and_ties() -> None:
    # A probability equal to the prior stands out in no class: the first in dx order.
    decisions = decide(np.stack([PROBABILITIES, PRIOR, np.eye(7)[6]]), PRIOR)
    assert decisions.tolist() == [4, 0, 6]
    assert decisions.dtype == np.int64


def test_one_calibration_after_another_is_one() -> None:
    first = Calibration(1.5, (0.5, -0.2, 0.0), "", (0.2, 0.3, 0.5))
    second = Calibration(0.8, (0.0, 0.1, 0.4), "a clinic (9 labelled images)", (0.3, 0.3, 0.4))
    logits = np.random.default_rng(1).normal(size=(5, 3))
    expected = second.probabilities(np.log(first.probabilities(logits)))
    both = first.followed_by(second)
    assert both.probabilities(logits) == pytest.approx(expected)
    assert (both.population, both.prior) == (second.population, second.prior)
    # And back: the logits, less a number an image.
    assert softmax(both.logits(expected)) == pytest.approx(softmax(logits))


@pytest.mark.parametrize(
    ("population", "name"),
    [
        ("HAM10000 (dermoscopy clinics in Vienna and Queensland), given age 60, back", "HAM10000"),
        ("Klinik (Süd) (60 labelled images)", "Klinik (Süd)"),
        ("a made-up clinic", "a made-up clinic"),
    ],
)
def test_population_has_a_short_name(population: str, name: str) -> None:
    assert population_name(population) == name
