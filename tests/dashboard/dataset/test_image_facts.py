"""Size, colour and outline of one image, worked out by hand."""

from __future__ import annotations

import numpy as np

from dashboard.dataset.image_facts import OUTLINE_COLOUR, image_facts, outlined


def test_size_and_colours_are_those_of_both_sides_of_the_mask() -> None:
    image = np.full((8, 10, 3), (200, 150, 100), dtype=np.uint8)
    mask = np.zeros((8, 10), dtype=bool)
    mask[2:6, 1:6] = True
    image[mask] = (40, 20, 10)
    facts = image_facts(image, mask)
    assert (facts.width, facts.height, facts.area) == (10, 8, 0.25)
    assert facts.lesion == (40, 20, 10) and facts.around == (200, 150, 100) and facts.whole == (160, 118, 78)


def test_without_a_mask_or_with_an_empty_one_the_lesion_has_no_colour() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    assert image_facts(image, None).area is None and image_facts(image, None).lesion is None
    nothing = image_facts(image, np.zeros((4, 4), dtype=bool))
    assert nothing.area == 0 and nothing.lesion is None and nothing.around == (0, 0, 0)


def test_outline_is_the_edge_of_the_mask_on_its_inside() -> None:
    image = np.zeros((12, 12, 3), dtype=np.uint8)
    mask = np.zeros((12, 12), dtype=bool)
    mask[0:8, 2:10] = True
    drawn = (outlined(image, mask) == OUTLINE_COLOUR).all(axis=-1)
    inner = np.zeros((12, 12), dtype=bool)
    inner[2:6, 4:8] = True
    np.testing.assert_array_equal(drawn, mask & ~inner)
    assert not image.any()
