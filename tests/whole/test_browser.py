"""The dashboard in headless Chromium: what AppTest cannot see (uploads by drag, the viewer, layout, requests)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.review import wording as review_wording
from dashboard.review.focus import ANSWER
from tests.support.browser.chromium import opened_page, visit, wait_for_width, wait_until
from tests.support.servers.browser_server import PATIENCE, REAL_IMAGE, SAMPLE, choose_files, open_review, read_first

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

PAGES = ("", "cases", "use", "dataset", "evaluation", "audit", "about")


def upload(page: Page, address: str, *files: Path) -> None:
    open_review(page, address)
    choose_files(page, *files)
    read_first(page)


def pixels(element: Locator) -> np.ndarray:
    element.scroll_into_view_if_needed()
    element.page.wait_for_timeout(300)
    # Small, because the panels may start at different fractions of a pixel.
    small = Image.open(io.BytesIO(element.screenshot())).convert("RGB").resize((64, 48), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.int16)


def expect_difference(page: Page, is_so: Callable[[float], bool]) -> None:
    """Until the mean difference of the two panels, in grey levels, is so."""

    def now() -> float:
        original, heatmap = (pixels(page.locator(".frame").nth(panel)) for panel in (0, 1))
        return float(np.abs(original - heatmap).mean())

    wait_until(page, lambda: is_so(now()))


def box(element: Locator) -> tuple[float, float, float, float]:
    """Left, upper edge, width and height on the page; what is not drawn yet has none."""
    found = element.bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    return found["x"], found["y"], found["width"], found["height"]


def test_uploaded_image_is_answered_with_probabilities_and_a_heatmap(page: Page, address: str) -> None:
    upload(page, address, REAL_IMAGE if REAL_IMAGE.is_file() else SAMPLE)
    values = [float(meter.get_attribute("aria-valuenow") or "nan") for meter in page.get_by_role("meter").all()]
    assert sum(values[:2]) == pytest.approx(100, abs=0.2)
    assert sum(values[2:]) == pytest.approx(100, abs=0.4)
    left, right = (page.locator(".frame").nth(panel) for panel in (0, 1))
    wait_until(page, lambda: box(left)[2] > 0 and box(left)[2:] == pytest.approx(box(right)[2:], abs=1))
    # The panels' pixels differ by less than 1 without the heatmap; a heatmap covers a part of the image only.
    expect_difference(page, lambda shown: shown > 2)
    page.get_by_role("button", name="Hide heatmap").click()
    expect_difference(page, lambda shown: shown < 1)


def test_viewer_hides_fades_zooms_and_changes_class_in_place(page: Page, address: str) -> None:
    upload(page, address, SAMPLE)
    before = box(page.locator(".frame").nth(1))
    page.get_by_role("button", name="Hide heatmap").click()
    expect_difference(page, lambda shown: shown < 1)
    page.keyboard.press("h")
    expect_difference(page, lambda shown: shown > 5)
    page.locator(".opacity-range").fill("0")
    expect_difference(page, lambda shown: shown < 1)
    page.locator(".opacity-range").fill("100")
    expect_difference(page, lambda shown: shown > 5)
    heat = page.locator(".heat")
    first = heat.get_attribute("src") or ""
    page.locator("select.dx").select_option("vasc")
    expect(heat).not_to_have_attribute("src", first)
    page.get_by_role("button", name="Zoom in").click()
    for image in page.locator(".frame img").all():
        expect(image).to_have_attribute("style", re.compile(r"scale\(1\.5\)"))
    transforms = {image.evaluate("image => image.style.transform") for image in page.locator(".frame img").all()}
    assert len(transforms) == 1
    assert box(page.locator(".frame").nth(1)) == before


def test_heatmap_method_on_demand_joins_the_viewer(page: Page, address: str) -> None:
    upload(page, address, SAMPLE)
    page.get_by_text("Other heatmap methods").click()
    page.get_by_role("button", name="Compute").click()
    expect(page.locator("select.method option")).to_have_count(2, timeout=3 * PATIENCE)
    expect(page.locator(".shown")).to_contain_text("Grad-CAM++")


def test_upload_is_still_there_after_a_look_at_another_page(page: Page, address: str) -> None:
    upload(page, address, SAMPLE)
    page.get_by_role("link", name="Dataset").click()
    expect(page.get_by_role("heading", level=1, name="Dataset")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_role("meter")).to_have_count(9, timeout=PATIENCE)
    page.get_by_role("button", name="Close your image").click()
    # Its answer was seen and nothing is saved: closing asks first.
    page.get_by_role("button", name=review_wording.CLOSE_UNSAVED).click()
    expect(page.get_by_role("meter")).to_have_count(0, timeout=PATIENCE)


def test_sample_and_refusal(page: Page, address: str, tmp_path: Path) -> None:
    open_review(page, address)
    page.get_by_role("button", name="nv", exact=True).click()
    expect(page.get_by_text("Synthetic sample", exact=False).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("meter")).to_have_count(9, timeout=PATIENCE)
    not_an_image = tmp_path / "letter.jpg"
    not_an_image.write_bytes(b"%PDF-1.7 not an image")
    choose_files(page, not_an_image)
    expect(page.get_by_text("PDF document")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("meter")).to_have_count(0)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_draws_without_error_or_outside_request(
    browser: Browser, address: str, path: str, scheme: str
) -> None:
    outside: list[str] = []
    with opened_page(browser, color_scheme=scheme) as page:
        page.on("request", lambda request: outside.append(request.url) if _is_outside(request.url, address) else None)
        visit(page, f"{address}/{path}")
        page.wait_for_load_state("networkidle")
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.locator("[data-testid=stAlertContentError]").count() == 0
        expect(page.get_by_text("Research use only")).to_be_visible(timeout=PATIENCE)
    assert outside == []


def _is_outside(url: str, address: str) -> bool:
    host = address.removeprefix("http://")
    return not url.startswith((f"http://{host}", f"ws://{host}", "data:", "blob:", "about:"))


@pytest.mark.parametrize("path", PAGES)
def test_phone_needs_no_sideways_scrolling(phone: Page, address: str, path: str) -> None:
    visit(phone, f"{address}/{path}")
    phone.wait_for_load_state("networkidle")
    wait_for_width(phone)


def test_answer_on_a_phone_stacks_verdict_image_heatmap_probabilities(phone: Page, address: str) -> None:
    upload(phone, address, SAMPLE)

    def are_stacked() -> bool:
        _, verdict, _, height = box(phone.locator(f".st-key-{ANSWER}"))
        original, heatmap = (box(phone.locator(".frame").nth(panel)) for panel in (0, 1))
        meter = box(phone.get_by_role("meter").last)
        return verdict + height < original[1] < heatmap[1] < meter[1] and original[2] > 300

    wait_until(phone, are_stacked)
