"""The heatmap as the browser draws it, against the one that Python lays over an image."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from dashboard.answer.viewer import ASSETS, OVERLAY_SIDE, layer_of, levels_of
from model.explain.maps import MAGMA_STOPS, Explanation, colour, explanation_of
from model.images.framing import frame, to_image_pixels
from tests.support.browser.chromium import launched_chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with launched_chromium() as browser:
        opened = browser.new_page()
        opened.add_script_tag(path=str(ASSETS / "heat.js"))
        yield opened


def drawn(page: Page, explanation: Explanation, dx: str) -> np.ndarray:
    """(H, W, 4) uint8 RGBA, what lies over the image."""
    given = [levels_of(explanation, dx), layer_of(explanation), MAGMA_STOPS]
    url = page.evaluate("([levels, layer, ramp]) => heatUrl(levels, layer, ramp)", given)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


# As it is, turned, cropped both ways, padded both ways, and a map of more cells than the picture has pixels.
@pytest.mark.parametrize(
    ("height", "width", "cells"),
    [(90, 120, 6), (120, 90, 6), (120, 120, 6), (90, 160, 6), (64, 300, 6), (300, 64, 6), (900, 1200, 192)],
)
def test_browser_draws_the_map_where_python_does(page: Page, height: int, width: int, cells: int) -> None:
    rows, columns = np.mgrid[0:1:6j, 0:1:8j] if cells == 6 else np.mgrid[0 : 1 : cells * 1j, 0:1:256j]
    heatmap = np.exp(-(((rows - 0.3) ** 2) + (columns - 0.8) ** 2) / 0.05).astype(np.float32)
    explanation = explanation_of("Grad-CAM", {"mel": heatmap}, frame(height, width, 192, 256))
    picture = drawn(page, explanation, "mel").astype(int)
    evidence = np.clip(to_image_pixels(explanation.heatmap("mel"), explanation.framing.scaled(OVERLAY_SIDE)), 0, 1)
    assert picture.shape == (*evidence.shape, 4) and max(evidence.shape) <= OVERLAY_SIDE
    assert evidence.max() > 0.8
    # A level of what is sent and a level of rounding.
    assert np.abs(picture[..., 3] - evidence * 255).max() <= 2
    # The canvas keeps colours multiplied by their opacity, so what is nearly clear has nearly any colour.
    is_seen = evidence > 0.1
    assert np.abs(picture[..., :3] - colour(evidence))[is_seen].max() <= 8


def test_map_without_evidence_is_clear(page: Page) -> None:
    faint = np.full((6, 8), 0.1, dtype=np.float32)
    explanation = explanation_of("Grad-CAM", {"mel": faint}, frame(90, 120, 192, 256), min_peak=0.2)
    assert (drawn(page, explanation, "mel")[..., 3] == 0).all()
