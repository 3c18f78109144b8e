"""What the network was shown, beside the image it was made from: laid where it was taken from, and zoomed with it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from dashboard.answer.viewer import ASSETS
from data.cases.storage import stored_image
from model.images.framing import Preparation
from tests.support.artifacts import artifact_that_prepares
from tests.support.browser.chromium import launched_chromium
from tests.support.dashboard import environment
from tests.support.files.fundus import fundus
from tests.support.review import SAMPLE, give_own_read, opened_page, sent, upload

BAND = Preparation("band")


def prepared_sent(text: str) -> dict[str, Any] | None:
    """What a page sends to the browser of the prepared image."""
    plain = text.replace('\\"', '"')
    start = plain.index('"prepared": ') + len('"prepared": ')
    found, _ = json.JSONDecoder().raw_decode(plain[start:])
    return found if isinstance(found, dict) else None


def test_image_that_is_only_framed_has_nothing_beside_it() -> None:
    page = upload(opened_page(), ("x.jpg", SAMPLE.read_bytes()))
    assert prepared_sent(sent(page)) is None and prepared_sent(sent(give_own_read(page))) is None


def test_prepared_image_is_shown_before_the_own_read_and_with_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = fundus()
    with environment(monkeypatch, MODEL_DIR=artifact_that_prepares(tmp_path / "skin", BAND)):
        page = upload(opened_page(), ("eye.png", stored_image(image).content))
        first, second = prepared_sent(sent(page)), prepared_sent(sent(give_own_read(page)))
    assert first is not None and first == second
    assert "at 256 x 192 px" in first["note"]
    # The middle of the drawn disc: 400 pixels of 640 x 480.
    assert (first["left"] + first["width"] / 2, first["top"] + first["height"] / 2) == pytest.approx(
        (0.5, 0.5), abs=0.01
    )
    assert first["height"] == pytest.approx(0.72 * 400 / 480, abs=0.02)


@pytest.fixture(scope="module")
def viewer() -> Iterator[Page]:
    with launched_chromium() as browser:
        page = browser.new_page(viewport={"width": 900, "height": 700})
        style, html = ((ASSETS / name).read_text(encoding="utf-8") for name in ("viewer.css", "viewer.html"))
        page.set_content(f"<style>{style}</style><div id=root>{html}</div>")
        script = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("heat.js", "viewer.js"))
        page.add_script_tag(content=script.replace("export default function", "window.draw = function"))
        yield page


def png_url(colour: tuple[int, int, int], width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def shown_data(methods: list[dict[str, Any]]) -> dict[str, Any]:
    """A blue photograph of 400 x 300 whose network was shown a red box of it: from 25 % to 75 %, and 40 % to 60 %."""
    return {
        "image": png_url((0, 0, 255), 400, 300),
        "alt": "The image",
        "width": 400,
        "height": 300,
        "size": "400 x 300 px",
        "prepared": {
            "url": png_url((255, 0, 0), 64, 48),
            "alt": "As shown",
            "note": "Prepared",
            "left": 0.25,
            "top": 0.4,
            "width": 0.5,
            "height": 0.2,
        },
        "dx": "mel" if methods else "",
        "classes": [{"dx": "mel", "name": "Melanoma"}] if methods else [],
        "methods": methods,
        "ramp": [[0, 0, 0], [255, 255, 255]] if methods else [],
    }


def box_of(page: Page, selector: str) -> np.ndarray:
    """Left, top, width and height in shares of the second frame."""
    box = page.eval_on_selector(
        selector, "one => { const b = one.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] }"
    )
    frame = page.eval_on_selector(
        "[data-panel=heatmap]", "one => { const b = one.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] }"
    )
    x, y, width, height = frame
    return np.array([(box[0] - x) / width, (box[1] - y) / height, box[2] / width, box[3] / height])


def draw(page: Page, data: dict[str, Any]) -> None:
    page.evaluate("data => window.draw({ data, parentElement: document.querySelector('#root') })", data)


def test_it_lies_on_its_place_and_zooms_with_the_image(viewer: Page) -> None:
    draw(viewer, shown_data([]))
    assert viewer.locator(".panel").inner_text() == "As the network sees it"
    assert viewer.locator(".prepared-pick").is_hidden() and viewer.locator(".note").inner_text() == "Prepared"
    assert box_of(viewer, ".prepared") == pytest.approx([0.25, 0.4, 0.5, 0.2], abs=0.01)
    for _ in range(2):
        viewer.locator(".in").click()
    base, prepared = box_of(viewer, "[data-panel=heatmap] .base"), box_of(viewer, ".prepared")
    assert base[2] == pytest.approx(2.25, abs=0.02)
    expected = [base[0] + 0.25 * base[2], base[1] + 0.4 * base[3], 0.5 * base[2], 0.2 * base[3]]
    assert prepared == pytest.approx(expected, abs=0.02)


def test_it_is_looked_at_by_itself_first_and_under_the_heatmap_when_asked_for(viewer: Page) -> None:
    layer = {
        "rows": 1, "columns": 1, "height": 30, "width": 40, "isTurned": False,
        "box": {"left": 10, "top": 12, "width": 20, "height": 6},
    }  # fmt: skip
    maps = {"mel": {"levels": "/w==", "hasEvidence": True, "alt": "Heatmap", "note": "Brighter"}}
    data = shown_data([{"name": "Grad-CAM", "layer": layer, "maps": maps}])
    # Another image, so that nothing is kept of the view before.
    draw(viewer, data | {"image": png_url((0, 255, 0), 400, 300)})
    caption, prepared = viewer.locator("figcaption").nth(1), viewer.locator(".prepared")
    assert caption.inner_text().split() == ["Heatmap", "mel,", "Grad-CAM"] and prepared.is_hidden()
    viewer.get_by_label("As the network sees it", exact=True).check()
    assert prepared.is_visible() and caption.inner_text().strip() == "As the network sees it"
    assert viewer.locator(".heat").evaluate("one => one.style.opacity") == "0"
    assert viewer.locator(".note").inner_text() == "Prepared"
    viewer.locator(".flip").click()
    assert prepared.is_visible() and "mel, Grad-CAM" in caption.inner_text()
    assert viewer.locator(".note").inner_text() == "Brighter"
    viewer.get_by_label("As the network sees it", exact=True).uncheck()
    assert prepared.is_hidden() and caption.inner_text().split() == ["Heatmap", "mel,", "Grad-CAM"]
