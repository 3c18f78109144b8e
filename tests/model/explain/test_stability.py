"""Stability of heatmaps under shifts and noise: a map that moves with the image, one that stays, one that is flat."""

from __future__ import annotations

import numpy as np
import pytest

from model.explain.stability import NOISE_LEVELS, SHIFTS, heatmap_stability, max_sensitivity
from model.images.rejection import RgbImage
from model.inference.calibration import Calibration
from model.inference.classifier import NetworkOutput
from tests.support.artifacts import artifact_with


class FakeClassifier:
    """Evidence for class 0 is the mean red of each 16 x 16 cell, for class 1 fixed noise, for class 2 flat."""

    def __init__(self) -> None:
        self.artifact = artifact_with(Calibration(1.0, (0.0,) * 7, "nobody", (1 / 7,) * 7))
        self.calls = 0

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        self.calls += 1
        maps = np.zeros((12, 16, 7), dtype=np.float32)
        maps[..., 0] = network_input[..., 0].reshape(12, 16, 16, 16).mean(axis=(1, 3))
        maps[..., 1] = np.random.default_rng(0).random((12, 16))
        maps[..., 2] = 1
        nothing = np.zeros(7, dtype=np.float32)
        return NetworkOutput(nothing, nothing[np.newaxis], nothing, nothing, maps, maps[..., 0])


@pytest.fixture
def spot() -> RgbImage:
    """A smooth red spot left of the middle."""
    y, x = np.mgrid[:192, :256]
    red = 255 * np.exp(-(((x - 100) / 40) ** 2 + ((y - 90) / 40) ** 2))
    return np.dstack([red, np.zeros_like(red), np.zeros_like(red)]).astype(np.uint8)


def test_map_that_moves_with_the_image_is_stable(spot: RgbImage) -> None:
    classifier = FakeClassifier()
    before = spot.copy()
    maps = classifier.forward(spot).maps
    assert heatmap_stability(classifier, spot, maps, 0) > 0.99
    assert classifier.calls == 1 + len(SHIFTS)
    np.testing.assert_array_equal(spot, before)


def test_noise_that_ignores_the_image_is_not_stable(spot: RgbImage) -> None:
    assert heatmap_stability(FakeClassifier(), spot, FakeClassifier().forward(spot).maps, 1) < 0.7


def test_flat_map_has_no_stability(spot: RgbImage) -> None:
    assert np.isnan(heatmap_stability(FakeClassifier(), spot, FakeClassifier().forward(spot).maps, 2))


def test_change_under_noise_by_hand() -> None:
    image = np.full((2, 2, 3), 100, dtype=np.uint8)
    shown = iter([[[0.0, 2.0]], [[0.0, 8.0]], [[1.0, 4.0]], [[3.0, 4.0]]])
    seen: list[RgbImage] = []

    def map_of(noisy: RgbImage) -> np.ndarray:
        seen.append(noisy)
        return np.array(next(shown), dtype=np.float32)

    # Scaled by their maxima: (0, 1), then (0, 1), (0.25, 1) and (0.75, 1); the last is the largest change.
    assert max_sensitivity(image, map_of, np.random.default_rng(0), samples=3, levels=2) == pytest.approx(0.75)
    differences = np.stack(seen[1:]).astype(int) - 100
    assert set(np.unique(differences)) == {-2, -1, 0, 1, 2}
    assert (seen[0] == 100).all() and (image == 100).all()


def test_noise_ends_at_black_and_white() -> None:
    image = np.array([[[0, 255, 0]]], dtype=np.uint8)
    seen: list[RgbImage] = []

    def map_of(noisy: RgbImage) -> np.ndarray:
        seen.append(noisy)
        return np.ones((1, 1), dtype=np.float32)

    assert max_sensitivity(image, map_of, np.random.default_rng(0), samples=20) == 0
    assert np.abs(np.stack(seen).astype(int) - image).max() <= NOISE_LEVELS


def test_map_of_zeros_has_no_change_and_no_copies_are_refused() -> None:
    image, empty = np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((2, 2), dtype=np.float32)
    assert np.isnan(max_sensitivity(image, lambda _: empty, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="expected at least one noisy copy, received 0"):
        max_sensitivity(image, lambda _: empty, np.random.default_rng(0), samples=0)
