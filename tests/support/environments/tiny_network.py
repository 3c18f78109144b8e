"""A network of two layers in plain numpy: what needs a network runs on it where there is neither Keras nor LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Pixels a side of a position of its class maps.
CELL = 4


@dataclass(frozen=True)
class TinyNetwork:
    """Each cell's 48 values through a hidden layer of rectified units to a value a class; a logit is their mean.

    Attributes:
        layers: (48, U) and (U, C) float64.
    """

    layers: tuple[np.ndarray, np.ndarray]

    def class_maps(self, images: np.ndarray) -> np.ndarray:
        """(N, H / 4, W / 4, C) float64, signed, of (N, H, W, 3) images 0-255."""
        count, height, width, _ = images.shape
        cells = images.reshape(count, height // CELL, CELL, width // CELL, CELL, 3).swapaxes(2, 3)
        hidden, classes = self.layers
        values = cells.reshape(*cells.shape[:3], -1) / 255 - 0.5
        return np.maximum(values @ hidden, 0) @ classes

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, C) float64, sum 1, of (N, H, W, 3) images 0-255."""
        logits = self.class_maps(images).mean(axis=(1, 2))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def to_pixels(class_map: np.ndarray) -> np.ndarray:
    """A map of (..., h, w) cells as (..., 4 h, 4 w) pixels, each cell repeated."""
    return np.repeat(np.repeat(class_map, CELL, axis=-2), CELL, axis=-1)


def stages(layers: Sequence[np.ndarray], generator: np.random.Generator) -> tuple[TinyNetwork, TinyNetwork]:
    """The network with its last layer shuffled, and with both."""
    hidden, classes = (generator.permutation(layer.ravel()).reshape(layer.shape) for layer in layers)
    return TinyNetwork((layers[0], classes)), TinyNetwork((hidden, classes))
