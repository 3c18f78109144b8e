"""The round field of drawn photographs, whose place is known; none where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.images.decoding import decode_image
from model.images.field import Field, find_field
from tests.support.files.fundus import HEIGHT, RADIUS, WIDTH, fundus, squashed

WHOLE = ((WIDTH - 2 * RADIUS) / 2, (HEIGHT - 2 * RADIUS) / 2, 2 * RADIUS, 2 * RADIUS)


def box(field: Field | None) -> tuple[float, float, float, float]:
    assert field is not None
    return field.left, field.top, field.width, field.height


@pytest.mark.parametrize("light", [1.0, 0.4, 0.2])
def test_whole_disc_is_found_where_it_was_drawn(light: float) -> None:
    assert box(find_field(fundus(light=light))) == pytest.approx(WHOLE, abs=5)


def test_disc_that_the_image_cuts_off_is_found_beyond_its_border() -> None:
    found = find_field(fundus(radius=300))
    assert box(found) == pytest.approx((20, -60, 600, 600), abs=9)
    aside = find_field(fundus(centre=(240, 250)))
    assert box(aside) == pytest.approx((50, 40, 400, 400), abs=6)


def test_squashed_copy_has_the_same_field_squashed() -> None:
    left, top, width, height = box(find_field(squashed(fundus(radius=300), 224, 224)))
    shrink_x, shrink_y = 224 / WIDTH, 224 / HEIGHT
    assert (left, width) == pytest.approx((20 * shrink_x, 600 * shrink_x), abs=4)
    assert (top, height) == pytest.approx((-60 * shrink_y, 600 * shrink_y), abs=5)


def test_notch_and_specks_do_not_move_it() -> None:
    image = fundus().copy()
    image[60:80, 430:450] = 150  # the tab that some cameras show on the rim
    image[5, 5] = image[400, 20] = 255
    assert box(find_field(image)) == pytest.approx(WHOLE, abs=6)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((200, 300, 3), dtype=np.uint8),
        np.full((200, 300, 3), 240, dtype=np.uint8),
        np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8),
        np.tile(np.linspace(0, 255, 300).astype(np.uint8)[np.newaxis, :, np.newaxis], (200, 1, 3)),
        fundus(200, 300, 400),
        np.pad(np.full((100, 200, 3), 200, dtype=np.uint8), ((50, 50), (50, 50), (0, 0))),
        np.pad(np.full((3, 3, 3), 200, dtype=np.uint8), ((50, 50), (50, 50), (0, 0))),
        np.full((64, 64, 3), 90, dtype=np.uint8),
        np.zeros((1, 1, 3), dtype=np.uint8),
    ],
    ids=["black", "white", "noise", "ramp", "filled to the corners", "rectangle", "dot", "flat", "one pixel"],
)
def test_no_field_is_made_up(image: np.ndarray) -> None:
    assert find_field(image) is None


def test_image_is_not_changed() -> None:
    image = fundus()
    before = image.copy()
    find_field(image)
    np.testing.assert_array_equal(image, before)


def test_field_of_real_photographs(shared_folder: Path) -> None:
    folder = shared_folder / "aptos2019" / "train_images"
    if not folder.is_dir():
        pytest.skip("no APTOS 2019 in ../shared")
    fields = [find_field(decode_image(path.read_bytes())) for path in sorted(folder.glob("*.jpg"))[::20]]
    found = [field for field in fields if field is not None]
    assert len(found) >= 0.9 * len(fields)
    assert all(100 < field.width < 360 and 100 < field.height < 360 for field in found)
