from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from data.synthetic.patterns import HEIGHT, WIDTH, Stroke, cells, curve, dots, fractal, noise, outline, paint, rise
from data.synthetic.samples import DISCLOSURE, IMAGE_DESCRIPTION, SAMPLE_FOLDER, SAMPLES, TABLE, Sample, draw, save
from data.synthetic.skin import KERATIN, MELANIN, WHITE, Tissue, colour, joined
from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from model.images.field import find_field

NEVUS = next(sample for sample in SAMPLES if sample.intended_dx == "nv")


# Drawing takes about a second; several tests look at the same picture.
drawn = cache(draw)


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def test_enough_of_every_diagnosis():
    counts = Counter(sample.intended_dx for sample in SAMPLES)
    assert set(counts) == {code for task in TASKS.values() for code in task.codes}
    assert all(counts[dx] >= 2 for dx in ("nv", "mel", "bcc", "bkl"))


def test_files_are_numbered_from_one_without_gaps():
    for dx, count in Counter(sample.intended_dx for sample in SAMPLES).items():
        numbers = sorted(sample.number for sample in SAMPLES if sample.intended_dx == dx)
        assert numbers == list(range(1, count + 1))
    assert NEVUS.file == "synthetic_nv_1.jpg"


def test_the_folder_holds_the_samples_and_nothing_else():
    assert {path.name for path in SAMPLE_FOLDER.iterdir()} == {TABLE, *(sample.file for sample in SAMPLES)}


def test_the_table_lists_the_samples():
    with (SAMPLE_FOLDER / TABLE).open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows == [
        {"file": s.file, "intended_dx": s.intended_dx, "seed": str(s.seed), "description": s.description}
        for s in SAMPLES
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_committed_images_are_what_the_code_draws(sample: Sample):
    committed = decoded(SAMPLE_FOLDER / sample.file)
    assert committed.shape == (450, 600, 3)
    # JPEG at quality 92 alters single pixels; another picture would differ by tens of grey levels.
    assert np.abs(committed - drawn(sample)).mean() < 2


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_committed_images_say_that_they_are_synthetic(sample: Sample):
    path = SAMPLE_FOLDER / sample.file
    assert path.stat().st_size < 120_000
    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (600, 450), "RGB")
        assert image.getexif()[IMAGE_DESCRIPTION] == "Synthetic image drawn by LesionLens; not a patient"
        assert image.info["comment"] == DISCLOSURE.encode()


def test_the_seed_decides_every_pixel():
    first, second, other = drawn(NEVUS), draw(NEVUS), draw(replace(NEVUS, seed=NEVUS.seed + 1))
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(float) - other).mean() > 5


def test_a_nevus_is_darker_than_the_skin_around_it():
    image = drawn(NEVUS).astype(float)
    rim = np.concatenate([image[:40, 150:450].reshape(-1, 3), image[-40:, 150:450].reshape(-1, 3)])
    assert image[205:245, 270:330].mean() < rim.mean() - 40


@pytest.mark.parametrize("code", RETINA.codes)
def test_the_round_field_of_an_eye_is_found(code: str):
    """Which is what a network is shown of it."""
    field = find_field(decoded(SAMPLE_FOLDER / f"synthetic_{code}_1.jpg").astype(np.uint8))
    assert field is not None
    np.testing.assert_allclose((field.left, field.top, field.width, field.height), (50, -25, 500, 500), atol=4)


def test_an_eye_shows_more_blood_the_higher_its_grade():
    """Blood takes the green: to three fifths of what is around it, well inside the field."""
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    inside = np.hypot(x - WIDTH / 2, y - HEIGHT / 2) < 200

    def blood(code: str) -> float:
        green = decoded(SAMPLE_FOLDER / f"synthetic_{code}_1.jpg")[..., 1]
        return float((green < 0.6 * gaussian_filter(green, 25))[inside].mean())

    assert blood("dr0") < 0.001 < blood("dr2") < blood("dr3")


def test_save_writes_the_disclosure_beside_any_picture(tmp_path: Path):
    save(np.full((450, 600, 3), 128, dtype=np.uint8), tmp_path / "grey.jpg")
    with Image.open(tmp_path / "grey.jpg") as image:
        assert image.getexif()[IMAGE_DESCRIPTION] == DISCLOSURE
    assert np.abs(decoded(tmp_path / "grey.jpg") - 128).max() <= 1


def test_colour_without_pigment_is_the_skins():
    np.testing.assert_allclose(colour(Tissue(), (220.0, 170.0, 160.0))[0, 0], (220.0, 170.0, 160.0))


def test_colour_of_one_unit_of_melanin_follows_the_law_of_absorption():
    expected = 200.0 * np.exp(-np.array(MELANIN))
    np.testing.assert_allclose(colour(Tissue(melanin=1.0), (200.0, 200.0, 200.0))[0, 0], expected)


def test_fully_white_tissue_hides_its_pigment():
    np.testing.assert_allclose(colour(Tissue(melanin=2.0, white=1.0), (200.0, 200.0, 200.0))[0, 0], WHITE)


def test_joined_tissues_add_pigment_and_multiply_what_shines_through():
    both = joined(Tissue(keratin=0.25, white=0.5), Tissue(keratin=0.5, white=0.5))
    assert both.keratin == 0.75
    assert both.white == 0.75
    shade = 100.0 * np.exp(-0.75 * np.array(KERATIN))
    expected = 0.25 * shade + 0.75 * np.array(WHITE)
    np.testing.assert_allclose(colour(both, (100.0, 100.0, 100.0))[0, 0], expected)


def test_rise_steps_up_or_down_with_its_middle_at_one_half():
    field = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(rise(field, 0.0, 2.0), [0.0, 0.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(rise(field, 2.0, 0.0), [1.0, 1.0, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("pattern", [noise, fractal])
def test_noise_has_mean_zero_and_deviation_one(pattern):
    field = pattern(np.random.default_rng(0), 12.0)
    assert field.shape == (HEIGHT, WIDTH)
    assert abs(field.mean()) < 1e-9
    assert field.std() == pytest.approx(1.0)


def test_a_smooth_outline_is_the_ellipse_it_was_asked_for():
    depth = outline(np.random.default_rng(0), (300.0, 225.0), (120.0, 80.0), 0.0, roughness=0.0, detail=0.0)
    assert depth[225, 300] == pytest.approx(100.0)  # the mean radius, in the centre
    assert depth[225, 420] == pytest.approx(0.0)  # the end of the long half axis
    assert depth[305, 300] == pytest.approx(0.0)  # the end of the short one
    assert depth[225, 421] < 0


def test_cells_without_jitter_are_a_regular_grid():
    first, second, nearest, count = cells(np.random.default_rng(0), 20.0, jitter=0.0)
    # In a triangular grid no point is further from its centre than spacing / sqrt(3).
    assert first.max() <= 20 / np.sqrt(3) + 1e-9
    assert (second >= first).all()
    assert nearest.min() >= 0
    assert nearest.max() < count


def test_no_dots_are_drawn_when_none_are_kept():
    assert dots(np.random.default_rng(0), 20.0, 4.0, kept=0.0).max() == 0.0


def test_paint_covers_the_area_of_the_stroke():
    points = np.stack([np.linspace(100, 200, 401), np.full(401, 50.0)], axis=1)
    covered = paint([Stroke(points, np.full(401, 4.0))])
    # A bar of 100 x 4 pixels with a half disc of radius 2 at each end; the drawn discs are a subpixel wider.
    assert covered.sum() == pytest.approx(100 * 4 + np.pi * 4, rel=0.1)
    assert covered[50, 150] == 1.0
    assert covered[60, 150] == 0.0
    assert paint([]).max() == 0.0


def test_a_curve_starts_and_ends_where_it_should_and_tapers():
    hair = curve((10.0, 20.0), (110.0, 20.0), (60.0, 70.0), width=3.0, taper=0.5)
    np.testing.assert_allclose(hair.points[[0, -1]], [(10.0, 20.0), (110.0, 20.0)])
    np.testing.assert_allclose(hair.widths[[0, -1]], [3.0, 1.5])
    # A quadratic Bezier curve passes half-way between its chord and its control point.
    assert hair.points[:, 1].max() == pytest.approx(45.0, abs=0.1)
