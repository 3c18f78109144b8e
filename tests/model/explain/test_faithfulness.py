"""Where a heatmap lies and what the score makes of it, on maps small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.explain.faithfulness import (
    best_threshold,
    blur,
    centred_gaussian,
    cross_fitted_iou,
    energy_inside,
    halves_by_lesion,
    insertion_deletion,
    iou_by_threshold,
    points_inside,
    random_map,
    to_input_pixels,
)
from model.images.rejection import RgbImage

ZEROS = np.zeros((2, 2), dtype=np.float32)
TOP = np.array([[True, True], [False, False]])


def heatmap(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def checkerboard(height: int = 48, width: int = 64) -> RgbImage:
    """Black and white pixels in turn: its blur is grey all over, so that sharp pixels can be told from blurred ones."""
    white = np.indices((height, width)).sum(axis=0) % 2 == 1
    return np.repeat((white * 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def sharp_share_of_left_half(image: RgbImage) -> float:
    left = image[:, : image.shape[1] // 2, 0].astype(int)
    return float(np.mean(np.abs(left - 127) > 64))


def test_energy_is_the_share_of_the_sum() -> None:
    mask = np.array([[True, False], [False, True]])
    assert energy_inside(heatmap([1, 2], [3, 4]), mask) == pytest.approx(0.5)
    assert energy_inside(heatmap([10, 20], [30, 40]), mask) == pytest.approx(0.5)
    assert energy_inside(heatmap([1, 2], [3, 4]), ~TOP) == pytest.approx(0.7)
    assert energy_inside(heatmap([1, 2], [3, 4]), np.zeros((2, 2), dtype=bool)) == 0


def test_map_of_zeros_has_no_energy_to_share() -> None:
    assert np.isnan(energy_inside(ZEROS, TOP))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (heatmap([0, 3], [2, 1]), True),
        (heatmap([2, 2], [3, 0]), False),
        (heatmap([3, 3], [0, 0]), True),
        (heatmap([3, 0], [3, 0]), False),  # one of two equal maxima is outside
        (ZEROS, False),
    ],
)
def test_pointing_game_with_ties(values: np.ndarray, expected: bool) -> None:
    assert points_inside(values, TOP) is expected


def test_map_of_zeros_points_nowhere_even_if_all_is_lesion() -> None:
    assert points_inside(ZEROS, np.ones((2, 2), dtype=bool)) is False


def test_overlap_at_each_threshold() -> None:
    # Scaled: 1, 0.5, 0.25, 0. From 0.2 on three pixels are covered, then the two of the mask, then one of them.
    thresholds = np.array([0.2, 0.5, 0.75, 1.0])
    expected = [2 / 3, 1, 1 / 2, 1 / 2]
    np.testing.assert_allclose(iou_by_threshold(heatmap([4, 2], [1, 0]), TOP, thresholds), expected)
    np.testing.assert_allclose(iou_by_threshold(heatmap([0.4, 0.2], [0.1, 0]), TOP, thresholds), expected)


def test_map_of_zeros_covers_nothing() -> None:
    np.testing.assert_array_equal(iou_by_threshold(ZEROS, TOP, np.array([0.05, 0.5])), [0, 0])
    assert np.isnan(iou_by_threshold(ZEROS, np.zeros((2, 2), dtype=bool), np.array([0.5]))).all()


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_threshold_outside_the_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="expected thresholds above 0 and up to 1"):
        iou_by_threshold(ZEROS, TOP, np.array([threshold]))


def test_best_threshold_has_the_highest_mean_and_is_the_lowest_of_equals() -> None:
    assert best_threshold(np.array([[0.25, 0.5, 0.75], [0.5, 0.75, 0.5]])) == 1
    assert best_threshold(np.array([[0.25, 0.5, 1.0], [0.5, 0.75, 0.5]])) == 2
    assert best_threshold(np.array([[np.nan, np.nan], [0.25, 0.5]])) == 1


@pytest.mark.parametrize("ious", [np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_no_overlap_no_threshold(ious: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected overlaps of at least one image"):
        best_threshold(ious)


def test_each_half_is_measured_at_the_threshold_of_the_other() -> None:
    ious = np.array([[1.0, 0.5], [0.25, 0.75], [0.75, 0.5], [0.0, 1.0]])
    is_second = np.array([False, True, False, True])
    # The first half is best at threshold 0, the second at 1; each is measured at the other's.
    fitted, positions = cross_fitted_iou(ious, is_second)
    np.testing.assert_array_equal(fitted, [0.5, 0.25, 0.5, 0.0])
    assert positions == (1, 0)


def test_cross_fit_needs_two_halves() -> None:
    with pytest.raises(ValueError, match="received 0 images"):
        cross_fitted_iou(np.ones((2, 3)), np.array([True, True]))


def test_halves_keep_lesions_together() -> None:
    lesion_ids = np.array([f"L{number // 2}" for number in range(22)])
    is_second = halves_by_lesion(lesion_ids, seed=3)
    np.testing.assert_array_equal(is_second[::2], is_second[1::2])
    assert is_second[::2].sum() == 5  # of eleven lesions
    np.testing.assert_array_equal(is_second, halves_by_lesion(lesion_ids, seed=3))
    assert any(not np.array_equal(is_second, halves_by_lesion(lesion_ids, seed)) for seed in range(4, 8))


def test_blur_of_two_pixels() -> None:
    # At this deviation the neighbour weighs half as much: (1 * 0 + 0.5 * 90) / 1.5 and (0.5 * 0 + 1 * 90) / 1.5.
    sigma = 1 / np.sqrt(2 * np.log(2))
    image = np.array([[[0, 0, 0], [90, 0, 90]]], dtype=np.uint8)
    np.testing.assert_array_equal(blur(image, sigma), [[[30, 0, 30], [60, 0, 60]]])
    np.testing.assert_array_equal(blur(image.swapaxes(0, 1), sigma), [[[30, 0, 30]], [[60, 0, 60]]])
    assert image[0, 0, 0] == 0


def test_blur_leaves_one_colour_as_it_is() -> None:
    image = np.full((12, 16, 3), (200, 7, 90), dtype=np.uint8)
    np.testing.assert_array_equal(blur(image, 5.0), image)


def test_insertion_and_deletion_in_four_steps() -> None:
    image = checkerboard()
    left_first = np.zeros(image.shape[:2], dtype=np.float32)
    left_first[:, :32] = 1
    # Sharp share of the left half after 0, 1/4, ... of the pixels: 0, 0.5, 1, 1, 1 and 1, 0.5, 0, 0, 0.
    assert insertion_deletion(image, left_first, sharp_share_of_left_half, steps=4) == pytest.approx(
        ((0 / 2 + 0.5 + 1 + 1 + 1 / 2) / 4, (1 / 2 + 0.5 + 0 / 2) / 4), abs=0.01
    )
    # The other way round: 0, 0, 0, 0.5, 1 and 1, 1, 1, 0.5, 0.
    assert insertion_deletion(image, 1 - left_first, sharp_share_of_left_half, steps=4) == pytest.approx(
        (0.25, 0.75), abs=0.01
    )
    np.testing.assert_array_equal(image, checkerboard())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_values_come_in_a_seeded_random_order(value: float) -> None:
    image, flat = checkerboard(), np.full((48, 64), value, dtype=np.float32)

    def sharp_share_of_top_half(shown: RgbImage) -> float:
        return sharp_share_of_left_half(shown.swapaxes(0, 1))

    # An order of rows would give 0.75 and 0.25 for the top half, an order of columns for the left half.
    for score in (sharp_share_of_left_half, sharp_share_of_top_half):
        assert insertion_deletion(image, flat, score, steps=4) == pytest.approx((0.5, 0.5), abs=0.03)
    first, again, other = (insertion_deletion(image, flat, sharp_share_of_left_half, 4, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_score_sees_image_and_blur_at_the_ends() -> None:
    shown: list[RgbImage] = []

    def constant(image: RgbImage) -> float:
        shown.append(image)
        return 0.25

    image = checkerboard()
    generator = np.random.default_rng(0)
    assert insertion_deletion(image, generator.random((48, 64), dtype=np.float32), constant, steps=3) == (0.25, 0.25)
    assert len(shown) == 8
    assert all(one.dtype == np.uint8 and one.shape == image.shape for one in shown)
    blurred = blur(image, 48 / 6)
    for one, expected in zip((shown[0], shown[1], shown[-2], shown[-1]), (blurred, image, image, blurred), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_insertion_needs_a_step() -> None:
    with pytest.raises(ValueError, match="at least one step, received 0"):
        insertion_deletion(checkerboard(), np.ones((48, 64), dtype=np.float32), sharp_share_of_left_half, steps=0)


@pytest.mark.parametrize("measure", [energy_inside, points_inside, iou_by_threshold])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((12, 16)), r"expected a heatmap of \(2, 2\), received \(12, 16\); use to_input_pixels"),
        (heatmap([1, 0], [0, -1]), "expected finite values of at least 0"),
        (heatmap([1, 0], [0, np.nan]), "expected finite values of at least 0"),
        (heatmap([1, 0], [0, np.inf]), "expected finite values of at least 0"),
    ],
)
def test_wrong_maps_are_refused(measure, values: np.ndarray, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        measure(values, TOP)


def test_insertion_refuses_a_map_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"expected a heatmap of \(48, 64\), received \(12, 16\)"):
        insertion_deletion(checkerboard(), np.ones((12, 16), dtype=np.float32), sharp_share_of_left_half)


def test_centred_gaussian_has_the_widths_it_says() -> None:
    spot = centred_gaussian(10, 20)
    assert spot.shape == (10, 20) and spot.dtype == np.float32
    np.testing.assert_allclose(spot, spot[::-1])
    np.testing.assert_allclose(spot, spot[:, ::-1])
    # Rows lie at 0.05 and 0.45 of the height from the centre, columns at 0.025 and 0.475 of the width.
    assert spot[0, 10] / spot[5, 10] == pytest.approx(np.exp((0.05**2 - 0.45**2) / (2 * 0.23**2)), rel=1e-5)
    assert spot[5, 0] / spot[5, 10] == pytest.approx(np.exp((0.025**2 - 0.475**2) / (2 * 0.20**2)), rel=1e-5)


def test_resized_map_stays_in_place_and_above_zero() -> None:
    cells = np.zeros((12, 16), dtype=np.float32)
    cells[3, 10] = 5
    pixels = to_input_pixels(cells, 192, 256)
    assert pixels.shape == (192, 256)
    assert pixels.min() == 0  # bicubic alone falls below
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    assert (row // 16, column // 16) == (3, 10)
    assert not to_input_pixels(np.zeros((12, 16), dtype=np.float32), 192, 256).any()
    np.testing.assert_allclose(to_input_pixels(np.full((12, 16), 2, dtype=np.float32), 192, 256), 2, rtol=1e-6)


def test_random_map_is_seeded_coarse_noise() -> None:
    noise = random_map(192, 256, np.random.default_rng(1))
    assert noise.shape == (192, 256)
    assert noise.min() >= 0
    np.testing.assert_array_equal(noise, random_map(192, 256, np.random.default_rng(1)))
    assert not np.array_equal(noise, random_map(192, 256, np.random.default_rng(2)))
    # Neighbouring pixels are alike; those two cells apart have nothing to do with each other.
    assert np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(noise[:, :-32].ravel(), noise[:, 32:].ravel())[0, 1]) < 0.3
