"""A clinician's working day in headless Chromium: from the gate to the deleted case, on a screen and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dashboard.cases import wording as cases_wording
from dashboard.review import decision_wording
from tests.support.browser.chromium import visit, wait_for_width
from tests.support.review import noise_png
from tests.support.servers.browser_server import (
    PATIENCE,
    REAL_IMAGE,
    SAMPLE,
    choose_files,
    decide_and_save,
    open_review,
    read_first,
)

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

IMAGE = REAL_IMAGE if REAL_IMAGE.is_file() else SAMPLE


def probabilities(page: Page) -> list[str]:
    """What the bars say, as a screen reader hears it."""
    return [meter.get_attribute("aria-valuenow") or "" for meter in page.get_by_role("meter").all()]


def open_the_case(page: Page) -> None:
    """From the note that it was saved to the case itself."""
    page.get_by_role("link", name=decision_wording.OPEN_CASE).click()
    expect(page.get_by_role("heading", level=1, name=cases_wording.CASE_TITLE)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("meter")).to_have_count(9, timeout=PATIENCE)


def delete_the_case(page: Page) -> None:
    """Delete the opened case; the worklist comes back."""
    page.get_by_role("button", name="Delete", exact=False).first.click()
    page.get_by_role("button", name="Delete the case").click()
    expect(page.get_by_role("heading", level=1, name=cases_wording.TITLE)).to_be_visible(timeout=PATIENCE)


def test_whole_working_day(page: Page, address: str, tmp_path: Path) -> None:
    open_review(page, address)
    choose_files(page, IMAGE)
    expect(page.get_by_text(decision_wording.OWN_READ_HEADING).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("meter")).to_have_count(0)
    read_first(page)
    answered = probabilities(page)
    decide_and_save(page, "Ward 7 <b>bed</b> 3")

    page.get_by_role("link", name="Cases", exact=True).click()
    expect(page.get_by_role("heading", level=1, name=cases_wording.TITLE)).to_be_visible(timeout=PATIENCE)
    search = page.get_by_role("textbox", name="Search")
    search.fill("ward 7 <B>BED</B> 3")
    search.press("Enter")
    expect(page.get_by_text("1 case found by these filters")).to_be_visible(timeout=PATIENCE)
    row = page.get_by_role("row", name="Ward 7 <b>bed</b> 3")
    row.get_by_role("checkbox").check()
    expect(page.get_by_text("1 selected case")).to_be_visible(timeout=PATIENCE)
    row.get_by_role("button", name="Open Ward 7 <b>bed</b> 3").click()
    expect(page.get_by_role("meter")).to_have_count(9, timeout=PATIENCE)
    assert probabilities(page) == answered
    expect(page.get_by_text("Ward 7 <b>bed</b> 3").first).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="PDF report").click()
    report = tmp_path / "report.pdf"
    download.value.save_as(report)
    assert report.read_bytes().startswith(b"%PDF-")

    delete_the_case(page)
    expect(page.get_by_text(cases_wording.NOTHING_FOUND_TITLE)).to_be_visible(timeout=PATIENCE)


def shows_main_columns(phone: Page, address: str) -> None:
    """The list on a phone, in another tab: what matters most, and nothing to scroll sideways."""
    with phone.context.new_page() as tab:
        visit(tab, f"{address}/cases")
        expect(tab.get_by_role("columnheader", name="Decision")).to_be_visible(timeout=PATIENCE)
        shown = [one.inner_text() for one in tab.get_by_role("columnheader").all() if one.is_visible()]
        assert [name for name in shown if name] == ["Open", "Case", "AI", "Decision"]
        expect(tab.get_by_role("button", name="Open phone").locator("img")).to_be_visible(timeout=PATIENCE)
        wait_for_width(tab)
        assert tab.locator("table").evaluate("table => table.scrollWidth - table.clientWidth") <= 1
        assert tab.locator("table").bounding_box()["width"] <= 390  # type: ignore[index]


def test_whole_working_day_on_a_phone_with_its_camera(phone: Page, address: str, tmp_path: Path) -> None:
    open_review(phone, address)
    # The browser's camera gives a small picture: a phone leads with its own, through a file input.
    expect(phone.get_by_text("Use the camera")).to_be_hidden()
    camera = phone.locator(".st-key-review_photo input")
    assert (camera.get_attribute("capture"), camera.get_attribute("accept")) == ("environment", "image/*")
    no_lesion = tmp_path / "photo.png"
    no_lesion.write_bytes(noise_png())
    camera.set_input_files(no_lesion)
    # What it shows is no lesion: it is refused in words, and nothing can be saved.
    expect(phone.get_by_text("not answered", exact=False).first).to_be_visible(timeout=PATIENCE)
    expect(phone.get_by_role("meter")).to_have_count(0)
    camera.set_input_files(IMAGE)
    read_first(phone)
    decide_and_save(phone, "phone")
    shows_main_columns(phone, address)
    open_the_case(phone)
    wait_for_width(phone)
    delete_the_case(phone)
