"""Drawn retinal photographs for tests: a disc with a bright spot, a dark one and vessels, on black."""

from __future__ import annotations

import numpy as np
from PIL import Image

from model.images.rejection import RgbImage

# Whole disc in the middle of a 4:3 photograph: centre and radius, pixels.
HEIGHT, WIDTH, RADIUS = 480, 640, 200


def fundus(
    height: int = HEIGHT,
    width: int = WIDTH,
    radius: float = RADIUS,
    centre: tuple[float, float] | None = None,
    light: float = 1.0,
    seed: int = 0,
) -> RgbImage:
    """(height, width, 3) uint8 RGB: a disc of this radius about the centre (row, column; else the middle), cut off by
    the border where it reaches beyond; `light` below 1 makes it darker."""
    row, column = centre or ((height - 1) / 2, (width - 1) / 2)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    distance = np.hypot(y - row, x - column) / radius
    # Darker towards the rim, as a fundus camera lights it.
    level = light * (1.0 - 0.35 * distance**2)[..., np.newaxis]
    pixels = np.array([190.0, 95.0, 45.0]) * level
    pixels[np.hypot(y - row, x - column - 0.55 * radius) < 0.12 * radius] = np.array([250.0, 220.0, 160.0]) * light
    pixels[np.hypot(y - row, x - column) < 0.08 * radius] *= 0.5
    pixels[np.abs(np.sin(4 * np.arctan2(y - row, x - column)) * distance) < 0.03] *= 0.6
    pixels[distance > 1] = 0
    noise = np.random.default_rng(seed).normal(0, 2, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def squashed(image: RgbImage, height: int, width: int) -> RgbImage:
    """The image resized to another aspect."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
