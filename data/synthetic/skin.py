"""Skin as layers of pigment, and the colour it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.synthetic.patterns import HEIGHT, WIDTH, Field, creases, fractal, noise, patchy_mesh, rise

Rgb = tuple[float, float, float]

# Optical density of one unit of pigment in red, green and blue: log ratios of lesion to skin colour as HAM10000's
# images show them, chosen by eye. Melanin in the dermis looks blue-grey, since short waves are scattered above it.
MELANIN: Rgb = (0.42, 0.86, 1.18)
BLOOD: Rgb = (0.12, 1.00, 0.66)
DERMAL_MELANIN: Rgb = (1.00, 0.78, 0.50)
KERATIN: Rgb = (0.14, 0.40, 0.85)
# Scars, scales and pearls scatter the light before it meets any pigment.
WHITE: Rgb = (240.0, 224.0, 228.0)


@dataclass(frozen=True)
class Tissue:
    """Pigment in every pixel, each (450, 600) float64 or one number for the whole picture.

    Attributes:
        melanin, blood, dermal_melanin, keratin: amounts, see the densities above; a little below 0 is paler skin.
        white: share of the light that is scattered back white, in [0, 1].
    """

    melanin: Field | float = 0.0
    blood: Field | float = 0.0
    dermal_melanin: Field | float = 0.0
    keratin: Field | float = 0.0
    white: Field | float = 0.0


def joined(first: Tissue, second: Tissue) -> Tissue:
    """Both tissues' pigments in one layer."""
    return Tissue(
        melanin=first.melanin + second.melanin,
        blood=first.blood + second.blood,
        dermal_melanin=first.dermal_melanin + second.dermal_melanin,
        keratin=first.keratin + second.keratin,
        white=1 - (1 - first.white) * (1 - second.white),
    )


def covered(scene: NDArray[np.float64], coverage: Field, rgb: Rgb) -> NDArray[np.float64]:
    """A picture under a layer of one colour, as opaque as `coverage`.

    Args:
        scene: (450, 600, 3) float64 RGB, 0-255.
        coverage: (450, 600), 0 where nothing is laid over it, 1 where nothing is seen through.
        rgb: 0-255.

    Returns:
        (450, 600, 3) float64 RGB, 0-255.
    """
    return scene + (np.array(rgb) - scene) * np.clip(coverage, 0, 1)[..., np.newaxis]


def colour(tissue: Tissue, skin_rgb: Rgb) -> NDArray[np.float64]:
    """What white light shows of a tissue: (450, 600, 3) float64 RGB, 0-255.

    Args:
        tissue: the pigments.
        skin_rgb: colour where there is none of them, 0-255.

    Source:
        Beer-Lambert law, applied to the three displayed channels for its looks, not as a model of skin optics.
    """
    layers = (
        (tissue.melanin, MELANIN),
        (tissue.blood, BLOOD),
        (tissue.dermal_melanin, DERMAL_MELANIN),
        (tissue.keratin, KERATIN),
    )
    density = np.zeros((HEIGHT, WIDTH, 3))
    for amount, densities in layers:
        density += np.broadcast_to(amount, (HEIGHT, WIDTH))[..., np.newaxis] * np.array(densities)
    white = np.clip(np.broadcast_to(tissue.white, (HEIGHT, WIDTH)), 0, 1)[..., np.newaxis]
    return np.array(skin_rgb) * np.exp(-density) * (1 - white) + np.array(WHITE) * white


def healthy_skin(
    generator: np.random.Generator, freckles: float = 0.0, flush: float = 0.5, furrows: float = 0.5
) -> Tissue:
    """Skin around the lesion.

    Args:
        generator: source of randomness.
        freckles: sun damage, brown and faintly netted.
        flush: blotches of redness with fine vessels.
        furrows: pale lines of the skin's relief, in two directions.
    """
    angle = generator.uniform(0, np.pi)
    relief = creases(generator, 4.0, 0.3, 4.0, angle) + creases(generator, 4.0, 0.3, 4.0, angle + 1.2)
    grain = 0.014 * noise(generator, 3.0, 2.5, angle) + 0.024 * noise(generator, 1.1)
    spots = rise(fractal(generator, 26, 5), 0.6, 2.4) * (0.7 + 0.3 * patchy_mesh(generator, 8.0, 2.5))
    blotches = rise(fractal(generator, 60, 5), -0.2, 2.5) * (0.6 + 0.5 * creases(generator, 8.0, 0.35))
    return Tissue(
        melanin=0.020 * fractal(generator, 90) + 0.018 * fractal(generator, 14) + grain + 0.40 * freckles * spots,
        blood=0.018 * fractal(generator, 100) + 0.016 * fractal(generator, 14) + 0.16 * flush * blotches,
        dermal_melanin=0.014 * fractal(generator, 8, 3) + 0.018 * noise(generator, 1.4),
        keratin=0.035 * fractal(generator, 40, 5),
        white=0.09 * furrows * np.clip(relief, 0, 1) * rise(noise(generator, 50), -1.0, 1.0),
    )
