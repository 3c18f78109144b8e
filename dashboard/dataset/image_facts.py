"""What can be measured of one image of the dataset: how large the lesion is, and its colour; and its outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Green of the outline: on no skin and no lesion.
OUTLINE_COLOUR = (0, 255, 160)
OUTLINE_WIDTH = 2  # pixels

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ImageFacts:
    """Size and colour of an image.

    Attributes:
        width, height: pixels.
        area: share of the image that is lesion, in [0, 1]; None without a mask, as the two that follow.
        lesion, around: mean colour inside and outside of the lesion, RGB 0-255; None also where there are no pixels.
        whole: mean colour of the image.
    """

    width: int
    height: int
    area: float | None
    lesion: Colour | None
    around: Colour | None
    whole: Colour | None


def image_facts(image: Rgb, mask: Mask | None) -> ImageFacts:
    """Size and colours of an image, (H, W, 3) uint8 RGB, and of its lesion where there is a mask, (H, W)."""
    height, width = image.shape[:2]
    whole = _mean(image.reshape(-1, 3))
    if mask is None:
        return ImageFacts(width, height, None, None, None, whole)
    return ImageFacts(width, height, float(mask.mean()), _mean(image[mask]), _mean(image[~mask]), whole)


def _mean(pixels: Rgb) -> Colour | None:
    if not len(pixels):
        return None
    red, green, blue = (int(value) for value in np.round(pixels.mean(axis=0)))
    return red, green, blue


def outlined(image: Rgb, mask: Mask) -> Rgb:
    """A copy of an image with the edge of the mask drawn on it, `OUTLINE_WIDTH` pixels wide on the inside."""
    inner = mask.copy()
    for _ in range(OUTLINE_WIDTH):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = image.copy()
    drawn[mask & ~inner] = OUTLINE_COLOUR
    return drawn
