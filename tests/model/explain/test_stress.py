"""One image under stress with made-up answers: order, range, flips at the threshold, what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.explain.stress import STRESS_KEYS, stress_test, stresses_of
from model.images.perturbations import PERTURBATIONS
from model.images.rejection import RgbImage

BCC, BKL, MEL, NV = (SKIN.codes.index(dx) for dx in ("bcc", "bkl", "mel", "nv"))


class FakeAnswer:
    """Answers with given malignant probabilities, one a call, melanoma and bcc in halves; keeps what it was shown."""

    def __init__(self, p_malignant: Sequence[float]) -> None:
        self.left = list(p_malignant)
        self.shown: list[RgbImage] = []

    def __call__(self, image: RgbImage) -> NDArray[np.float64]:
        self.shown.append(image.copy())
        p = self.left.pop(0)
        probabilities = np.zeros(7)
        probabilities[[BCC, MEL, NV]] = p / 2, p / 2, 1 - p
        return probabilities


@pytest.fixture
def image() -> RgbImage:
    return np.random.default_rng(0).integers(60, 220, (72, 96, 3)).astype(np.uint8)


def redness(image: RgbImage) -> NDArray[np.float64]:
    """Malignant as far as the image is red."""
    probabilities = np.zeros(7)
    probabilities[MEL] = image[..., 0].mean() / 255
    probabilities[NV] = 1 - probabilities[MEL]
    return probabilities


def test_every_stress_is_a_perturbation_in_their_order() -> None:
    assert [one.key for one in stresses_of(SKIN)] == list(STRESS_KEYS)
    assert set(stresses_of(SKIN)) <= set(PERTURBATIONS)


def test_task_without_artefacts_is_stressed_by_light_and_camera_alone(image: RgbImage) -> None:
    stresses = stresses_of(RETINA)
    assert stresses and all(one.kind == "acquisition" for one in stresses)
    even = np.full(len(RETINA.codes), 1 / len(RETINA.codes))
    result = stress_test(image, lambda shown: even, RETINA, threshold=0.5)
    assert [outcome.key for outcome in result.outcomes] == [one.key for one in stresses]


def test_answers_by_hand(image: RgbImage) -> None:
    # As it is 0.5; ink lowers it to just the threshold, hair and cool light below it, JPEG raises it; others leave it.
    changed = {"ink": 0.25, "hair": 0.125, "jpeg": 0.75, "cool": 0.0}
    answer = FakeAnswer([0.5, *(changed.get(key, 0.5) for key in STRESS_KEYS)])
    result = stress_test(image, answer, SKIN, threshold=0.25)
    assert answer.left == []
    assert result.baseline == 0.5
    assert [outcome.key for outcome in result.outcomes] == list(STRESS_KEYS)
    outcomes = {outcome.key: outcome for outcome in result.outcomes}
    assert outcomes["ink"].p_positive == 0.25
    assert outcomes["ink"].is_flagged and not outcomes["ink"].is_flipped
    assert not outcomes["hair"].is_flagged and outcomes["hair"].is_flipped
    assert outcomes["hair"].name == "Dark hair"
    # 0.375 for bcc and for mel, 0.25 for nv: the first in dx order.
    assert (outcomes["jpeg"].dx, outcomes["hair"].dx) == ("bcc", "nv")
    assert (result.lowest, result.highest) == (0.0, 0.75)
    assert result.flips == ("hair", "cool")


def test_benign_answer_flips_upwards(image: RgbImage) -> None:
    result = stress_test(image, FakeAnswer([0.125, *[0.0625] * 11, 0.25]), SKIN, threshold=0.25)
    assert result.flips == ("cool",)
    assert result.outcomes[-1].is_flagged
    assert (result.lowest, result.highest) == (0.0625, 0.25)


def test_range_holds_the_image_as_it_is(image: RgbImage) -> None:
    highest = stress_test(image, FakeAnswer([0.75, *[0.5] * 12]), SKIN, threshold=0.25)
    assert (highest.lowest, highest.highest, highest.flips) == (0.5, 0.75, ())
    lowest = stress_test(image, FakeAnswer([0.25, *[0.5] * 12]), SKIN, threshold=0.25)
    assert (lowest.lowest, lowest.highest, lowest.flips) == (0.25, 0.5, ())


def test_model_is_shown_the_image_and_then_each_perturbation(image: RgbImage) -> None:
    answer = FakeAnswer([0.5] * 13)
    before = image.copy()
    stress_test(image, answer, SKIN, threshold=0.5, seed=9)
    expected = [before, *(one.apply(before, 9) for one in stresses_of(SKIN))]
    for shown, one in zip(answer.shown, expected, strict=True):
        np.testing.assert_array_equal(shown, one)
    np.testing.assert_array_equal(image, before)


def test_same_seed_gives_the_same_result_and_another_seed_other_artefacts(image: RgbImage) -> None:
    first = stress_test(image, redness, SKIN, threshold=0.5, seed=1)
    assert stress_test(image, redness, SKIN, threshold=0.5, seed=1) == first
    other = stress_test(image, redness, SKIN, threshold=0.5, seed=2)
    differing = {a.key for a, b in zip(first.outcomes, other.outcomes, strict=True) if a.p_positive != b.p_positive}
    assert {"ink", "hair", "vignette"} <= differing <= {"ink", "ruler", "hair", "vignette"}


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_outside_its_range_is_refused(image: RgbImage, threshold: float) -> None:
    with pytest.raises(ValueError, match="expected a threshold from 0 to 1, received"):
        stress_test(image, redness, SKIN, threshold)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((72, 96), np.uint8), np.zeros((72, 96, 4), np.uint8), np.zeros((72, 96, 3), np.float32)],
    ids=["grey", "alpha", "float"],
)
def test_what_is_no_rgb_image_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected an \(H, W, 3\) uint8 RGB image, received \(72, 96"):
        stress_test(wrong, redness, SKIN, 0.5)


@pytest.mark.parametrize(
    "answered",
    [np.full(7, np.nan), np.full(7, 0.5), np.full(6, 1 / 6), np.full((1, 7), 1 / 7)],
    ids=["NaN", "sum", "six", "batch"],
)
def test_answer_that_is_not_seven_probabilities_never_counts_as_benign(
    image: RgbImage, answered: NDArray[np.float64]
) -> None:
    with pytest.raises(ValueError, match="expected 7 probabilities that sum to 1"):
        stress_test(image, lambda shown: answered, SKIN, 0.5)
