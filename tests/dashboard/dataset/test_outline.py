"""The outline of a lesion, worked out by hand."""

from __future__ import annotations

import numpy as np

from dashboard.dataset.outline import OUTLINE_COLOUR, outlined


def test_outline_is_the_edge_of_the_mask_on_its_inside() -> None:
    image = np.zeros((12, 12, 3), dtype=np.uint8)
    mask = np.zeros((12, 12), dtype=bool)
    mask[0:8, 2:10] = True
    drawn = (outlined(image, mask) == OUTLINE_COLOUR).all(axis=-1)
    inner = np.zeros((12, 12), dtype=bool)
    inner[2:6, 4:8] = True
    np.testing.assert_array_equal(drawn, mask & ~inner)
    assert not image.any()
