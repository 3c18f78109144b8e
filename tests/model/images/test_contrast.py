"""Even light and equalised contrast of images whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from model.images.contrast import CONTRASTS, ENHANCED, equalised, local_average_subtracted
from tests.support.files.fundus import fundus

SEEN = np.ones((224, 224), dtype=bool)


def flat(level: int) -> np.ndarray:
    return np.full((224, 224, 3), level, dtype=np.uint8)


def test_every_contrast_but_none_has_a_way() -> None:
    assert set(ENHANCED) == set(CONTRASTS) - {"none"}


@pytest.mark.parametrize("level", [0, 40, 255])
def test_an_even_image_is_grey_without_its_average(level: int) -> None:
    assert (local_average_subtracted(flat(level), SEEN) == 128).all()


def test_uneven_light_goes_and_a_spot_stays() -> None:
    ramp = np.tile(np.linspace(40, 160, 224), (224, 1))
    ramp[110:114, 110:114] += 20
    relief = local_average_subtracted(np.repeat(ramp[..., np.newaxis], 3, axis=2).astype(np.uint8), SEEN)
    away = relief[20:90, 20:200].astype(int)
    assert abs(away.mean() - 128) < 2 and away.std() < 4
    assert (relief[110:114, 110:114] > 150).all()


def test_the_average_is_of_what_is_seen_alone() -> None:
    half = SEEN.copy()
    half[:, 112:] = False
    image = flat(200)
    image[:, 112:] = 0
    assert (local_average_subtracted(image, half) == 128).all()


def test_a_pixel_by_hand() -> None:
    # One pixel of 100 on black: its Gaussian of sigma 1 gives it 0.399 ** 2 of 100 as its own average.
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[30, 30] = 10
    relief = local_average_subtracted(image, np.ones((60, 60), dtype=bool))
    kernel = np.exp(-0.5 * np.arange(-3, 4) ** 2.0)
    share = (1 / kernel.sum()) ** 2
    assert relief[30, 30].tolist() == [round(4 * (10 - 10 * share) + 128)] * 3
    assert relief[0, 0].tolist() == [128] * 3


@pytest.mark.parametrize("level", [0, 1, 90, 255])
def test_equalising_an_even_image_leaves_it_even(level: int) -> None:
    image = equalised(flat(level), SEEN)
    assert len(np.unique(image)) == 1


def test_equalising_spreads_what_lies_close_together_and_keeps_the_order() -> None:
    grey = np.random.default_rng(0).integers(90, 111, (224, 224)).astype(np.uint8)
    image = np.repeat(grey[..., np.newaxis], 3, axis=2)
    spread = equalised(image, SEEN)
    assert spread.std() > 1.3 * image.std()
    tile = np.s_[100:124, 100:124]
    by_level = [spread[tile][grey[tile] == level].mean() for level in range(90, 111)]
    assert (np.diff(by_level) > 0).all()


def test_equalising_keeps_the_ratio_of_colours() -> None:
    image = np.broadcast_to(np.array([90, 60, 30], dtype=np.uint8), (224, 224, 3)).copy()
    image[:, ::2] = (60, 40, 20)
    found = equalised(image, SEEN).astype(float)
    assert found[..., 0] == pytest.approx(3 * found[..., 2], abs=3)


@pytest.mark.parametrize(("enhance", "outside"), [(local_average_subtracted, 128), (equalised, 0)])
def test_what_is_not_seen_is_even_and_counts_nothing(enhance, outside: int) -> None:  # type: ignore[no-untyped-def]
    image, half = fundus(224, 224, 100).copy(), SEEN.copy()
    half[:, 150:] = False
    first = enhance(image, half)
    assert (first[:, 150:] == outside).all()
    image[:, 150:] = 255
    np.testing.assert_array_equal(enhance(image, half), first)
    nothing = enhance(image, np.zeros_like(SEEN))
    assert (nothing == outside).all()


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (224, 160)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    image = fundus(*size, radius=30)
    for enhance in ENHANCED.values():
        found = enhance(image, np.ones(size, dtype=bool))
        assert found.shape == image.shape and found.dtype == np.uint8
