"""Heatmaps: scaling, what counts as evidence, and the blend of map and image."""

from __future__ import annotations

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.explain.maps import (
    MAGMA_STOPS,
    Explanation,
    colour,
    contrast,
    contrast_overlay,
    explain,
    explanation_of,
    normalise,
    overlay,
    share_inside,
)
from model.images.framing import frame
from model.images.rejection import RgbImage

FRAMING = frame(90, 120, 192, 256)


def maps_of(**peaks: float) -> np.ndarray:
    """(6, 8, 7) maps, zero but for one cell of each named class."""
    maps = np.zeros((6, 8, 7), dtype=np.float32)
    for position, (dx, peak) in enumerate(peaks.items()):
        maps[position, position, SKIN.index(dx)] = peak
    return maps


def image_of_noise(height: int = 90, width: int = 120) -> RgbImage:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth_map() -> np.ndarray:
    return normalise(np.random.default_rng(4).random((6, 8), dtype=np.float32))


# Scaling


def test_map_of_zeros_stays_zero() -> None:
    scaled = normalise(np.zeros((6, 8), dtype=np.float32))
    assert scaled.dtype == np.float32
    assert (scaled == 0).all()


def test_map_is_scaled_by_its_own_maximum_and_not_written_to() -> None:
    heatmap = np.array([[0.0, 1.0], [2.0, 4.0]], dtype=np.float32)
    scaled = normalise(heatmap)
    assert scaled.tolist() == [[0.0, 0.25], [0.5, 1.0]]
    assert scaled.dtype == np.float32
    assert heatmap.tolist() == [[0.0, 1.0], [2.0, 4.0]]


def test_tiny_map_is_scaled_without_overflow() -> None:
    tiny = np.array([[1e-40, 0.0]], dtype=np.float32)
    assert normalise(tiny).tolist() == [[1.0, 0.0]]


def test_explain_scales_each_class_and_keeps_their_relation() -> None:
    maps = maps_of(mel=4.0, nv=2.0, df=0.06)
    maps[..., SKIN.index("vasc")] = -3  # what lowered a score is not shown
    before = maps.copy()
    explanation = explain(maps, SKIN.codes, FRAMING, min_peak=0.1)
    np.testing.assert_array_equal(maps, before)
    assert explanation.method == "Grad-CAM"
    assert explanation.classes == SKIN.codes
    assert explanation.framing is FRAMING
    assert (explanation.heatmaps.shape, explanation.heatmaps.dtype) == ((7, 6, 8), np.float32)
    assert explanation.peaks == pytest.approx([0, 0, 0, 0.06, 4, 2, 0])  # akiec bcc bkl df mel nv vasc
    assert [explanation.strength(dx) for dx in ("mel", "nv", "df", "vasc")] == pytest.approx([1, 0.5, 0.015, 0])
    # Whatever its strength, a class's own maximum is shown as 1, where it was.
    for position, dx in enumerate(("mel", "nv", "df")):
        heatmap = explanation.heatmap(dx)
        assert heatmap[position, position] == 1
        assert heatmap.sum() == 1
    assert (explanation.heatmap("vasc") == 0).all()


def test_evidence_begins_at_the_given_peak() -> None:
    explanation = explain(maps_of(mel=100.0, nv=2.0, df=1.99), SKIN.codes, FRAMING, min_peak=2.0)
    assert [dx for dx in SKIN.codes if explanation.has_evidence(dx)] == ["mel", "nv"]
    assert explanation.strongest == "mel"


@pytest.mark.parametrize("min_peak", [0.0, 0.5])
def test_maps_of_zeros_are_no_evidence_for_any_class(min_peak: float) -> None:
    explanation = explain(np.zeros((6, 8, 7), dtype=np.float32), SKIN.codes, FRAMING, min_peak)
    assert (explanation.heatmaps == 0).all()
    assert explanation.peaks.tolist() == [0.0] * 7
    assert explanation.strength("mel") == 0
    assert not any(explanation.has_evidence(dx) for dx in SKIN.codes)


def test_maps_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError):
        explain(np.zeros((6, 8, 6), dtype=np.float32), SKIN.codes, FRAMING, 0.0)


def test_explanation_of_one_class_knows_no_other() -> None:
    explanation = explanation_of("Score-CAM", {"mel": np.full((6, 8), 3, dtype=np.float32)}, FRAMING)
    assert explanation.classes == ("mel",)
    assert explanation.peaks.tolist() == [3.0]
    assert (explanation.heatmap("mel") == 1).all()
    for question in (Explanation.heatmap, Explanation.strength, Explanation.has_evidence):
        with pytest.raises(ValueError, match="expected one of mel, received 'nv'"):
            question(explanation, "nv")


# Colours


def test_ends_of_the_colours_are_magma_s() -> None:
    assert colour(np.array([[0.0, 1.0]], dtype=np.float32)).tolist() == [[[0, 0, 4], [252, 253, 191]]]
    assert (MAGMA_STOPS[0], MAGMA_STOPS[-1]) == ((0, 0, 4), (252, 253, 191))


def test_colours_between_the_stops_are_interpolated() -> None:
    # Level 51 of 255 is a fifth of the way over 8 steps: 1.6, between (28, 16, 68) and (79, 18, 123).
    # 28 + 0.6 x 51 = 58.6; 16 + 0.6 x 2 = 17.2; 68 + 0.6 x 55 = 101.
    assert colour(np.array([[0.2]], dtype=np.float32)).tolist() == [[[59, 17, 101]]]


def test_colours_beyond_the_range_are_the_ends() -> None:
    ends = colour(np.array([[-0.5, 1.5]], dtype=np.float32))
    assert ends.tolist() == [[[0, 0, 4], [252, 253, 191]]]
    assert ends.dtype == np.uint8


def test_brighter_means_more() -> None:
    luma = colour(np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis])[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) > 0).all()


# The blend


def test_opacity_0_is_the_image_and_nothing_is_written_to() -> None:
    image, heatmap = image_of_noise(), smooth_map()
    image_before, heatmap_before = image.copy(), heatmap.copy()
    np.testing.assert_array_equal(overlay(image, heatmap, FRAMING, opacity=0), image_before)
    overlay(image, heatmap, FRAMING, opacity=1)
    np.testing.assert_array_equal(image, image_before)
    np.testing.assert_array_equal(heatmap, heatmap_before)


def test_full_evidence_at_opacity_1_is_the_colour() -> None:
    laid_over = overlay(image_of_noise(), np.ones((6, 8), dtype=np.float32), FRAMING, opacity=1)
    assert (laid_over.shape, laid_over.dtype) == ((90, 120, 3), np.uint8)
    assert (laid_over == (252, 253, 191)).all()


def test_no_evidence_is_transparent_at_any_opacity() -> None:
    image = image_of_noise()
    np.testing.assert_array_equal(overlay(image, np.zeros((6, 8), dtype=np.float32), FRAMING, opacity=1), image)


def test_blend_by_hand() -> None:
    # Evidence 0.5 everywhere, opacity 0.6: alpha 0.3. Level 128 of 255 is stop 4.0157: 181 + 0.0157 x 48 = 182
    # (rounded), 54, 122 - 0.0157 x 22 = 122. Over grey 100: 70 + 0.3 x (182, 54, 122) = 124.6, 86.2, 106.6.
    image = np.full((90, 120, 3), 100, dtype=np.uint8)
    laid_over = overlay(image, np.full((6, 8), 0.5, dtype=np.float32), FRAMING)
    assert (laid_over == (125, 86, 107)).all()


def test_what_the_network_did_not_see_stays_as_it_is() -> None:
    # 120 x 120: 15 rows above and below are cropped away.
    image = image_of_noise(120, 120)
    laid_over = overlay(image, np.ones((6, 8), dtype=np.float32), frame(120, 120, 192, 256), opacity=1)
    np.testing.assert_array_equal(laid_over[:15], image[:15])
    np.testing.assert_array_equal(laid_over[105:], image[105:])
    assert (laid_over[15:105] == (252, 253, 191)).all()


def test_tall_image_is_blended_without_seams() -> None:
    # More rows than are blended at a time, and no multiple of them.
    image = np.full((700, 525, 3), 100, dtype=np.uint8)
    laid_over = overlay(image, np.full((6, 8), 0.5, dtype=np.float32), frame(700, 525, 192, 256))
    assert (laid_over == (125, 86, 107)).all()


# Contrast and place


def test_contrast_is_the_scaled_difference_of_two_maps() -> None:
    maps = np.zeros((1, 3, 7), dtype=np.float32)
    maps[0, :, SKIN.index("mel")] = [3, 1, -1]
    maps[0, :, SKIN.index("nv")] = [1, 1, 3]
    assert contrast(maps, SKIN.index("mel"), SKIN.index("nv")).tolist() == [[0.5, 0.0, -1.0]]
    np.testing.assert_array_equal(
        contrast(maps, SKIN.index("nv"), SKIN.index("mel")), -contrast(maps, SKIN.index("mel"), SKIN.index("nv"))
    )
    assert contrast(maps, SKIN.index("mel"), SKIN.index("mel")).tolist() == [[0.0, 0.0, 0.0]]
    with pytest.raises(ValueError, match="expected one of"):
        contrast(maps, SKIN.index("mel"), SKIN.index("naevus"))


def test_contrast_is_drawn_in_two_colours_and_nothing_where_both_are_alike() -> None:
    image = np.full((90, 120, 3), 100, dtype=np.uint8)
    difference = np.zeros((6, 8), dtype=np.float32)
    difference[:, :3], difference[:, 5:] = 1, -1
    drawn = contrast_overlay(image, difference, FRAMING, opacity=1.0)
    assert drawn[45, 5].tolist() == [213, 94, 0]
    assert drawn[45, 115].tolist() == [0, 114, 178]
    np.testing.assert_allclose(drawn[45, 60], [100, 100, 100], atol=3)  # bicubic: it overshoots a little


def test_share_inside_counts_where_the_lesion_is_likely() -> None:
    heatmap = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    lesion = np.array([[0.5, 0.49], [0.0, 1.0]], dtype=np.float32)
    assert share_inside(heatmap, lesion) == pytest.approx(5 / 10)
    assert np.isnan(share_inside(np.zeros((2, 2), dtype=np.float32), lesion))
