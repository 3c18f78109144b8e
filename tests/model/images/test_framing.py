"""Retinal photographs brought to a circle of one size, and back: where the field lies is known from the drawing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from model.images.contrast import CONTRASTS, local_average_subtracted
from model.images.framing import AS_FRAMED, Crop, Preparation, to_image_pixels, to_network_input, upright
from model.images.rejection import RgbImage
from tests.support.files.fundus import HEIGHT, RADIUS, WIDTH, fundus, squashed

CIRCLE = Preparation("circle")
BAND_HEIGHT, BAND_WIDTH = 192, 256
SIDE = 224


def test_nothing_is_done_to_an_image_unless_it_is_asked_for() -> None:
    image = fundus()
    assert AS_FRAMED == Preparation("none", "none")
    np.testing.assert_array_equal(
        to_network_input(image, SIDE, SIDE)[0], to_network_input(image, SIDE, SIDE, AS_FRAMED)[0]
    )


def test_field_fills_the_input_and_nothing_lies_outside() -> None:
    found, framing = to_network_input(fundus(), SIDE, SIDE, CIRCLE)
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert (framing.width, framing.height) == pytest.approx((2 * RADIUS, 2 * RADIUS), abs=6)
    assert (framing.left, framing.top) == pytest.approx((WIDTH / 2 - RADIUS, HEIGHT / 2 - RADIUS), abs=5)
    lit = found[..., 0] > 60
    for edge in (lit[6, 112], lit[-7, 112], lit[112, 6], lit[112, -7]):
        assert edge
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    assert (found[np.hypot(y, x) > SIDE / 2] == 0).all()
    assert lit.mean() == pytest.approx(np.pi / 4 * 0.97**2, abs=0.03)


def test_a_squashed_copy_looks_like_its_original() -> None:
    original = fundus(radius=300)
    whole, copy = (to_network_input(one, SIDE, SIDE, CIRCLE)[0] for one in (original, squashed(original, 224, 224)))
    assert np.abs(whole.astype(int) - copy).mean() < 4
    framed, other = (to_network_input(one, SIDE, SIDE)[0] for one in (original, squashed(original, 224, 224)))
    assert np.abs(framed.astype(int) - other).mean() > 15


def test_what_the_image_cuts_off_stays_black() -> None:
    found, framing = to_network_input(fundus(radius=300), SIDE, SIDE, CIRCLE)
    assert framing.top < -50 and framing.top + framing.height > HEIGHT + 50
    assert framing.seen_share == pytest.approx(600 / WIDTH, abs=0.02)
    # 60 of 600 pixels above and below.
    assert (found[:18] == 0).all() and (found[-18:] == 0).all()
    assert (found[30, 60:160, 0] > 60).all()


def test_a_band_hides_how_far_the_camera_sees() -> None:
    """The same eye with the whole disc, and with a tenth cut off above and below."""
    whole, cut = fundus(radius=200), fundus(radius=200)[80:400, 90:550]
    seen = [to_network_input(one, BAND_HEIGHT, BAND_WIDTH, Preparation("band"))[0].astype(int) for one in (whole, cut)]
    assert np.abs(seen[0] - seen[1]).mean() < 2
    assert (seen[0][0, 100:156, 0] > 40).all() and (seen[0][-1, 100:156, 0] > 40).all()
    circles = [to_network_input(one, SIDE, SIDE, CIRCLE)[0].astype(int) for one in (whole, cut)]
    assert np.abs(circles[0] - circles[1]).mean() > 4


def test_a_band_is_as_wide_as_the_input_and_black_beyond_the_rim() -> None:
    found, framing = to_network_input(fundus(), BAND_HEIGHT, BAND_WIDTH, Preparation("band"))
    assert framing.height == pytest.approx(0.72 * 2 * RADIUS, abs=5)
    assert framing.width / framing.height == pytest.approx(BAND_WIDTH / BAND_HEIGHT, abs=0.02)
    assert (found[0, :16] == 0).all() and (found[-1, -16:] == 0).all() and found[96, 64, 0] > 60


@pytest.mark.parametrize("image", [fundus(), fundus(radius=300), squashed(fundus(radius=300), 224, 224)])
def test_heat_comes_back_to_where_it_was_seen(image: RgbImage) -> None:
    """The bright spot's place on the input, a map of that place, its place on the image."""
    found, framing = to_network_input(image, SIDE, SIDE, CIRCLE)
    cells = (found[..., 2] > 100).astype(np.float32).reshape(14, 16, 14, 16).mean(axis=(1, 3))
    heat = to_image_pixels(cells, framing)
    assert heat.shape == image.shape[:2]
    bright = image[..., 2] > 100
    rows, columns = np.nonzero(bright)
    found_y, found_x = np.unravel_index(int(np.argmax(heat)), heat.shape)
    cell = framing.width / 14
    assert abs(found_y - rows.mean()) < cell and abs(found_x - columns.mean()) < cell


@pytest.mark.parametrize("crop", ["none", "circle", "band"])
@pytest.mark.parametrize("image", [fundus(), squashed(fundus(radius=300), 224, 224), fundus(640, 480)[:, 60:]])
def test_what_was_shown_lies_where_it_was_taken_from(image: RgbImage, crop: Crop) -> None:
    """Laid back over the image, 4:3, squashed and upright, it covers the same things."""
    found, framing = to_network_input(image, BAND_HEIGHT, BAND_WIDTH, Preparation(crop))
    left, top, width, height = framing.upright_box
    shown = np.asarray(Image.fromarray(upright(found, framing)).resize((width, height))).astype(int)
    rows, columns = (
        slice(max(start, 0), min(start + size, side))
        for start, size, side in ((top, height, image.shape[0]), (left, width, image.shape[1]))
    )
    laid = shown[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    # What is black outside of the field is not compared: a band is cut before the image is.
    is_shown = laid.max(axis=2) > 30
    assert is_shown.mean() > 0.4
    assert np.abs(laid - image[rows, columns])[is_shown].mean() < 6
    assert framing.is_of_field == (crop != "none")


def test_a_smaller_framing_keeps_what_it_is_of() -> None:
    _, framing = to_network_input(fundus(), BAND_HEIGHT, BAND_WIDTH, Preparation("band"))
    small = framing.scaled(WIDTH // 2)
    assert small.is_of_field and (small.image_height, small.image_width) == (HEIGHT // 2, WIDTH // 2)


@pytest.mark.parametrize(("height", "width"), [(192, 256), (256, 192)])
def test_input_that_is_not_square_shows_the_circle_in_its_middle(height: int, width: int) -> None:
    found, _ = to_network_input(fundus(), height, width, CIRCLE)
    lit = found[..., 0] > 60
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    assert rows[-1] - rows[0] == pytest.approx(columns[-1] - columns[0], abs=6)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(height / 2, abs=4)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(width / 2, abs=4)


WITHOUT_FIELD = [
    np.zeros((300, 200, 3), dtype=np.uint8),
    np.full((200, 700, 3), 240, dtype=np.uint8),
    np.random.default_rng(0).integers(0, 255, (64, 90, 3), dtype=np.uint8),
    fundus(200, 300, 400),
]


@pytest.mark.parametrize("image", WITHOUT_FIELD, ids=["black", "white and wide", "noise", "filled to the corners"])
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_image_without_a_field_is_framed_as_any_other(image: RgbImage, contrast: str) -> None:
    before = image.copy()
    found, framing = to_network_input(image, SIDE, SIDE, Preparation("circle", contrast))  # type: ignore[arg-type]
    framed, same = to_network_input(image, SIDE, SIDE)
    assert framing == same and found.shape == framed.shape and found.dtype == np.uint8
    if contrast == "none":
        np.testing.assert_array_equal(found, framed)
    np.testing.assert_array_equal(image, before)


def test_contrast_is_of_the_field_alone() -> None:
    found, _ = to_network_input(fundus(), SIDE, SIDE, Preparation("circle", "local_average"))
    assert (found[:5, :5] == 128).all() and (found[112, :2] == 128).all()
    whole, _ = to_network_input(fundus(), SIDE, SIDE, Preparation("none", "local_average"))
    framed, _ = to_network_input(fundus(), SIDE, SIDE)
    np.testing.assert_array_equal(whole, local_average_subtracted(framed, np.ones((SIDE, SIDE), dtype=bool)))
    padded, _ = to_network_input(
        np.full((100, 400, 3), 200, dtype=np.uint8), SIDE, SIDE, Preparation("none", "equalised")
    )
    assert (padded[:20] == 0).all() and (padded[112] > 0).all()
