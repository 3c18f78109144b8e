"""The markup of the panels below the answer, and images that fit their maps."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.review import evidence as widgets
from data.tasks.skin import SKIN
from model.explain.maps import contrast_overlay, explanation_of
from model.explain.neighbours import Neighbour
from model.images.framing import to_network_input

CASE = Neighbour("ISIC_1", "HAM_1", "mel", "histo", 55.0, "female", "<b>back", 0.125)


def test_similar_case_bears_the_colour_of_its_diagnosis_and_escapes_its_facts() -> None:
    html = widgets.neighbour_html(SKIN, CASE)
    assert SKIN.named("mel").colour in html
    assert "<b>mel</b> Melanoma" in html
    assert "distance 0.12" in html
    assert "&lt;b&gt;back" in html and "<b>back" not in html


def test_contrast_legend_says_the_colours_in_words() -> None:
    html = widgets.contrast_legend_html(SKIN, "mel", "nv")
    assert "rgb(213, 94, 0)'></i>Orange favours Melanoma <b>mel</b>" in html
    assert "rgb(0, 114, 178)'></i>Blue favours Melanocytic nevus <b>nv</b>" in html
    assert html.count("role='listitem'") == 3


@pytest.mark.parametrize("shape", [(450, 600), (2048, 1365), (641, 480), (101, 2047), (64, 64)])
def test_reduced_image_fits_its_reduced_framing(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), dtype=np.uint8)
    _, framing = to_network_input(image, 192, 256)
    small = widgets._small(image, widgets.CONTRAST_SIDE)
    difference = np.zeros((12, 16), dtype=np.float32)
    laid_over = contrast_overlay(small, difference, framing.scaled(widgets.CONTRAST_SIDE))
    assert laid_over.shape == small.shape
    assert max(small.shape) <= widgets.CONTRAST_SIDE


def test_share_inside_cannot_be_said_where_no_lesion_is_seen() -> None:
    _, framing = to_network_input(np.zeros((96, 128, 3), dtype=np.uint8), 192, 256)
    explanation = explanation_of("Grad-CAM", {"mel": np.array([[3.0, 1.0]], dtype=np.float32)}, framing)
    lesion = np.array([[0.9, 0.1]], dtype=np.float32)
    assert widgets._share_inside(explanation, lesion, "mel") == pytest.approx(0.75)
    assert np.isnan(widgets._share_inside(explanation, lesion * 0, "mel"))
