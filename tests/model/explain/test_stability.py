"""Stability of heatmaps under shifts: a map that moves with the image, one that stays, one that is flat."""

from __future__ import annotations

import numpy as np
import pytest

from model.explain.stability import SHIFTS, heatmap_stability
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
