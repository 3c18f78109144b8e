"""The Evaluation page in headless Chromium: its sections by mouse, keyboard and address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser.chromium import visit, wait_for_rest, wait_for_width
from tests.support.servers.browser_server import PATIENCE

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

ISIC = re.compile("^ISIC_")


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name, exact=True)


def test_a_section_has_an_address_of_its_own(page: Page, address: str) -> None:
    visit(page, f"{address}/evaluation")
    expect(page.get_by_text("Balanced accuracy").first).to_be_visible(timeout=PATIENCE)
    tab(page, "Decisions").click()
    expect(page).to_have_url(re.compile(r"/evaluation\?section=decisions$"), timeout=PATIENCE)
    expect(page.get_by_role("slider", name="Threshold")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Balanced accuracy")).to_have_count(0, timeout=PATIENCE)
    page.reload()
    expect(tab(page, "Decisions")).to_have_attribute("aria-selected", "true", timeout=PATIENCE)
    expect(page.get_by_role("slider", name="Threshold")).to_be_visible(timeout=PATIENCE)


def test_a_link_carries_the_threshold_and_a_moved_one_stays_in_the_address(page: Page, address: str) -> None:
    visit(page, f"{address}/evaluation?section=decisions&threshold=0.4")
    threshold = page.get_by_role("slider", name="Threshold")
    expect(threshold).to_have_value("0.4", timeout=PATIENCE)
    threshold.focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"\?section=decisions&threshold=0.401$"), timeout=PATIENCE)
    page.reload()
    expect(threshold).to_have_value("0.401", timeout=PATIENCE)


def test_sections_are_reached_by_keyboard(page: Page, address: str) -> None:
    visit(page, f"{address}/evaluation?section=errors")
    tab(page, "Errors").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?section=subgroups$"), timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Subgroups")).to_be_visible(timeout=PATIENCE)


def test_a_phone_shows_all_sections_and_does_not_scroll_sideways(phone: Page, address: str) -> None:
    visit(phone, f"{address}/evaluation?section=training")
    expect(tab(phone, "Training")).to_have_attribute("aria-selected", "true", timeout=PATIENCE)
    expect(phone.get_by_role("button", name="Training history as CSV")).to_be_visible(timeout=PATIENCE)
    wait_for_width(phone)
    for name in ("Summary", "Training"):
        expect(tab(phone, name)).to_be_in_viewport(timeout=PATIENCE)


def test_a_click_on_a_cell_shows_its_images(page: Page, address: str) -> None:
    visit(page, f"{address}/evaluation?section=errors")
    expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible(timeout=PATIENCE)
    wait_for_rest(page)
    cells = page.locator(".stPlotlyChart .nsewdrag").first.bounding_box()
    assert cells is not None
    # Seven classes a side; row mel, column nv. A little off the middle, where the number stands.
    x, y = cells["x"] + cells["width"] * 5.5 / 7 + 6, cells["y"] + cells["height"] * 4.5 / 7 + 6
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    # A chart knows what is clicked once it has said what lies under the mouse.
    expect(page.locator(".hoverlayer .hovertext").first).to_be_attached()
    page.mouse.click(x, y)
    expect(page.get_by_text("mel taken for nv: ")).to_be_visible(timeout=PATIENCE)
    # No dataset folder is set: the rows stand without pictures.
    expect(page.get_by_role("row", name=ISIC).first).to_be_visible(timeout=PATIENCE)


def test_a_row_of_subgroups_shows_its_images_by_keyboard_and_by_click(page: Page, address: str) -> None:
    visit(page, f"{address}/evaluation?section=subgroups")
    images, rows = page.get_by_role("region", name="Images behind the figures"), page.get_by_role("row", name=ISIC)
    button = page.get_by_role("button", name="Female: show the images")
    expect(button).to_have_attribute("aria-pressed", "false", timeout=PATIENCE)
    expect(page.locator("body.lens-listens")).to_be_attached()
    button.focus()
    page.keyboard.press("Enter")
    # The images stand far below: the reader is taken there.
    expect(images).to_be_focused(timeout=PATIENCE)
    expect(images.get_by_text(re.compile("^Sex female: ")).last).to_be_in_viewport(timeout=PATIENCE)
    expect(rows.first).to_be_visible(timeout=PATIENCE)
    expect(button).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    # Anywhere in the row.
    page.get_by_role("row", name=re.compile("^60 to 74")).get_by_role("cell").last.click()
    expect(images.get_by_text(re.compile("^Age 60 to 74: ")).last).to_be_in_viewport(timeout=PATIENCE)
    expect(button).to_have_attribute("aria-pressed", "false", timeout=PATIENCE)
