"""Every perturbation on toy images: what it changes, what it leaves, and that size and seed decide as promised."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from data.tasks.known import TASKS
from data.tasks.task import Task
from model.images.perturbations import (
    PERTURBATIONS,
    Perturbation,
    blur,
    compress,
    flip,
    move,
    perturbations_of,
    recolour,
    squash,
)
from model.images.rejection import RgbImage

BY_KEY = {perturbation.key: perturbation for perturbation in PERTURBATIONS}
ARTEFACTS = [one for one in PERTURBATIONS if one.kind == "artefact"]
ACQUISITIONS = [one for one in PERTURBATIONS if one.kind == "acquisition"]
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
each_perturbation = pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda one: one.key)
each_artefact = pytest.mark.parametrize("perturbation", ARTEFACTS, ids=lambda one: one.key)


def speckled(height: int, width: int) -> RgbImage:
    """Skin-coloured noise in blocks of 8 pixels: it has an edge in every place and direction."""
    blocks = np.random.default_rng(5).normal((200, 150, 130), 30, (height // 8, width // 8, 3))
    image = np.clip(blocks, 0, 255).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    image.setflags(write=False)  # a decoded image is not ours to write to
    return image


def plain(height: int, width: int, level: int = 200) -> RgbImage:
    return np.full((height, width, 3), level, dtype=np.uint8)


def changed(before: RgbImage, after: RgbImage, by: int = 8) -> np.ndarray:
    return np.abs(after.astype(int) - before).max(axis=-1) > by


def test_keys_are_unique_and_both_kinds_are_there() -> None:
    assert len(BY_KEY) == len(PERTURBATIONS)
    assert Counter(one.kind for one in PERTURBATIONS) == {"artefact": 5, "acquisition": 16}


@each_perturbation
@pytest.mark.parametrize("size", [(240, 320), (96, 72)], ids=str)
def test_image_in_image_out_and_the_given_one_unchanged(perturbation: Perturbation, size: tuple[int, int]) -> None:
    image = speckled(*size)
    before = image.copy()
    result = perturbation.apply(image, 3)
    assert result.dtype == np.uint8
    assert result.shape == ((256, 256, 3) if perturbation.key == "squashed" else image.shape)
    np.testing.assert_array_equal(image, before)
    assert result.shape != image.shape or changed(image, result).any()


@each_perturbation
def test_seed_decides_where_artefacts_lie_and_nothing_else(perturbation: Perturbation) -> None:
    image = speckled(96, 128)
    first = perturbation.apply(image, 1)
    np.testing.assert_array_equal(perturbation.apply(image, 1), first)
    others = [perturbation.apply(image, seed) for seed in range(2, 6)]
    differs = any(not np.array_equal(other, first) for other in others)
    assert differs == (perturbation.kind == "artefact")


@each_artefact
def test_artefacts_scale_with_the_image(perturbation: Perturbation) -> None:
    small, large = perturbation.apply(plain(240, 320), 2), perturbation.apply(plain(960, 1280), 2)
    reduced = np.asarray(Image.fromarray(large).resize((320, 240), Image.Resampling.BOX))
    drawn, expected = (200.0 - image.mean(axis=-1) for image in (small, reduced))
    assert np.corrcoef(drawn.ravel(), expected.ravel())[0, 1] > 0.85
    assert drawn.sum() == pytest.approx(expected.sum(), rel=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_ink_is_violet_and_leaves_the_middle(seed: int) -> None:
    image = plain(240, 320)
    marked = BY_KEY["ink"].apply(image, seed)
    inked = changed(image, marked, by=60)
    red, green, blue = marked[inked].mean(axis=0)
    assert 0.005 < inked.mean() < 0.1
    assert blue > red > green
    # The nearest stroke lies at 0.38 of the sides from the middle, less half its width.
    rows, columns = np.mgrid[:240, :320]
    is_middle = np.hypot((columns - 159.5) / 320, (rows - 119.5) / 240) < 0.32
    assert not changed(image, marked)[is_middle].any()


def test_ruler_stands_along_one_edge_which_the_seed_chooses() -> None:
    image, edges = plain(240, 320), set()
    for seed in range(12):
        is_tick = changed(image, BY_KEY["ruler"].apply(image, seed), by=60)
        bands = {
            "top": is_tick[:48],
            "bottom": is_tick[-48:],
            "left": is_tick[:, :48],
            "right": is_tick[:, -48:],
        }
        # Ticks of one edge may reach into the ends of the next band; all of them lie in their own.
        (edge,) = [name for name, band in bands.items() if band.sum() == is_tick.sum()]
        edges.add(edge)
    assert edges == {"top", "bottom", "left", "right"}


def test_ruler_has_a_tick_every_34_pixels_of_a_600_pixel_image() -> None:
    image = plain(450, 600)
    seed = next(s for s in range(20) if changed(image, BY_KEY["ruler"].apply(image, s))[-40:].sum() > 500)
    # A row through the feet of all ticks, 12 pixels from the edge and up.
    is_dark = BY_KEY["ruler"].apply(image, seed)[450 - 16, :, 0] < 110
    starts = np.flatnonzero(np.diff(is_dark.astype(int)) == 1)
    assert len(starts) == 17  # 600 / 34 = 17.6
    assert set(np.diff(starts)) <= {33, 34, 35}


@pytest.mark.parametrize("seed", range(3))
def test_hair_is_dark_and_thin(seed: int) -> None:
    image = plain(240, 320)
    result = BY_KEY["hair"].apply(image, seed)
    assert (result <= image).all()
    assert 0.01 < changed(image, result, by=40).mean() < 0.12
    assert result.min() < 100


def test_vignette_is_black_outside_a_circle() -> None:
    image = plain(240, 320)
    result = BY_KEY["vignette"].apply(image, 0)
    assert max(result[row, column].max() for row in (0, -1) for column in (0, -1)) < 20
    assert result[120, 160].min() >= 199
    # Radius 0.76 of half the diagonal of 400 pixels; a little off the middle.
    outside = (result.max(axis=-1) < 60).mean()
    rows, columns = np.mgrid[:240, :320]
    assert outside == pytest.approx((np.hypot(rows - 119.5, columns - 159.5) > 152).mean(), abs=0.03)


def test_bubbles_have_a_dark_rim_and_a_light() -> None:
    result = BY_KEY["bubbles"].apply(plain(450, 600, 120), 0)
    assert result.min() < 90
    assert result.max() > 200
    assert changed(plain(450, 600, 120), result).mean() < 0.15


def test_colours_by_hand() -> None:
    image = np.array([[[100, 100, 100], [200, 200, 240]]], dtype=np.uint8)
    np.testing.assert_array_equal(recolour(image, (1.1, 1.0, 0.5)), [[[110, 100, 50], [220, 200, 120]]])
    np.testing.assert_array_equal(recolour(image, (1.25, 1.25, 1.25)), [[[125, 125, 125], [250, 250, 255]]])
    # Means 150, 150, 170: half the distance from them.
    np.testing.assert_array_equal(recolour(image, contrast=0.5), [[[125, 125, 135], [175, 175, 205]]])


@pytest.mark.parametrize(
    ("key", "grey"),
    [
        ("darker", (70, 70, 70)),
        ("brighter", (125, 125, 125)),
        ("low_contrast", (100, 100, 100)),
        ("warm", (110, 100, 84)),
        ("cool", (88, 100, 114)),
        ("green", (94, 107, 94)),
        ("magenta", (106, 91, 106)),
    ],
)
def test_what_becomes_of_grey(key: str, grey: tuple[int, int, int]) -> None:
    assert (BY_KEY[key].apply(plain(64, 64, 100), 0) == grey).all()


def counting(height: int, width: int) -> RgbImage:
    """Each pixel its own value, growing to the right and down."""
    levels = np.arange(height)[:, np.newaxis] * 10 + np.arange(width)
    return np.repeat(levels.astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def test_camera_that_does_not_move_changes_nothing() -> None:
    np.testing.assert_array_equal(move(speckled(48, 64)), speckled(48, 64))


def test_shift_moves_right_and_down_and_reflects_at_the_border() -> None:
    image = counting(8, 8)
    expected = image[np.ix_([2, 1, 0, 1, 2, 3, 4, 5], [4, 3, 2, 1, 0, 1, 2, 3])]
    np.testing.assert_array_equal(move(image, shift=(0.5, 0.25)), expected)


def test_quarter_turn_of_a_square_is_counter_clockwise() -> None:
    image = counting(8, 8)
    np.testing.assert_array_equal(move(image, degrees=90), np.rot90(image))


def test_quarter_turn_keeps_the_frame_and_reflects_at_its_sides() -> None:
    image = counting(4, 8)
    turned = move(image, degrees=90)
    assert turned.shape == image.shape
    # The middle four columns turn; beside them lies what the reflection at top and bottom put there.
    np.testing.assert_array_equal(turned[:, 2:6], np.rot90(image[:, 2:6]))
    np.testing.assert_array_equal(turned[:, 1], turned[:, 3])
    np.testing.assert_array_equal(turned[:, 6], turned[:, 4])


@pytest.mark.parametrize(("zoom", "radius"), [(1.25, 50), (0.8, 32)])
def test_zoom_scales_about_the_middle(zoom: float, radius: int) -> None:
    rows, columns = np.mgrid[:240, :320]
    distance = np.hypot(rows - 119.5, columns - 159.5)
    spot = np.where(distance < 40, 50, 200)[..., np.newaxis].repeat(3, axis=-1).astype(np.uint8)
    dark = move(spot, zoom=zoom)[..., 0] < 125
    assert dark.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
    assert dark[120, 160] and not dark[:, :100].any()


@pytest.mark.parametrize("degrees", [30, 90, 137])
def test_no_turn_uncovers_empty_corners(degrees: float) -> None:
    assert move(plain(60, 200), degrees=degrees).min() == 200
    assert move(plain(200, 60), degrees=degrees, zoom=0.8).min() == 200


def test_flip_exchanges_left_and_right() -> None:
    np.testing.assert_array_equal(flip(counting(2, 3))[..., 0], [[2, 1, 0], [12, 11, 10]])


def test_blur_spreads_an_edge_and_scales_with_the_image() -> None:
    def edge_width(height: int, width: int) -> int:
        step = plain(height, width, 0)
        step[:, width // 2 :] = 200
        row = blur(step, 6.0)[height // 2, :, 0]
        return int(((row > 20) & (row < 180)).sum())

    # 10 % to 90 % of a Gaussian's step are 2.56 standard deviations: 15 pixels.
    assert edge_width(450, 600) == pytest.approx(15, abs=2)
    assert edge_width(900, 1200) == pytest.approx(31, abs=3)
    assert (blur(plain(64, 64), 6.0) == 200).all()


def test_compression_is_the_stronger_the_lower_its_quality() -> None:
    image = speckled(96, 128)
    weak, strong = (np.abs(compress(image, quality).astype(int) - image).mean() for quality in (90, 20))
    assert 0 < weak < strong


def test_squash_presses_a_wide_image_into_a_square() -> None:
    image = plain(240, 320)
    image[:, :160] = 60
    square = squash(image)
    assert square.shape == (256, 256, 3)
    # Half of the width stays half of it, up to the ringing of strong compression.
    assert square[:, :120].max() < 90 and square[:, 136:].min() > 170


@each_task
def test_task_meets_its_artefacts_and_every_acquisition(task: Task) -> None:
    met = perturbations_of(task.artefacts)
    assert {one.key for one in met if one.kind == "artefact"} == set(task.artefacts)
    assert [one for one in met if one.kind == "acquisition"] == ACQUISITIONS
    assert list(met) == [one for one in PERTURBATIONS if one in met]
