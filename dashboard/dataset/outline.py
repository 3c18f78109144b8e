"""The outline of a lesion, drawn on its image."""

from __future__ import annotations

import numpy as np

from data.datasets.appearance import Mask, Rgb

# Green of the outline: on no skin and no lesion.
OUTLINE_COLOUR = (0, 255, 160)
OUTLINE_WIDTH = 2  # pixels


def outlined(image: Rgb, mask: Mask) -> Rgb:
    """A copy of an image with the edge of the mask drawn on it, `OUTLINE_WIDTH` pixels wide on the inside."""
    inner = mask.copy()
    for _ in range(OUTLINE_WIDTH):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = image.copy()
    drawn[mask & ~inner] = OUTLINE_COLOUR
    return drawn
