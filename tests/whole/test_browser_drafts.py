"""Nothing that a reader did is lost in headless Chromium: another page, another upload, a refresh."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, Page, expect

from dashboard.answer.fields import REFERENCE_LABEL
from dashboard.review import decision_wording
from tests.support.browser.chromium import opened_page
from tests.support.servers.browser_server import (
    PATIENCE,
    SAMPLE,
    choose_files,
    open_review,
    read_first,
    wait_for_answer,
)

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

QUEUE = [SAMPLE, SAMPLE.with_name("synthetic_bcc_1.jpg"), SAMPLE.with_name("synthetic_mel_1.jpg")]
ONE_MORE = SAMPLE.with_name("synthetic_bkl_1.jpg")


def see_that_nothing_is_lost(page: Page, images: int) -> None:
    """The first image of the queue with its locked read and all that was typed."""
    wait_for_answer(page)
    expect(page.get_by_text(f"1 of {images}")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Your read before the AI:")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_test_id("stRadio")).to_have_count(0)
    expect(page.get_by_role("textbox", name=REFERENCE_LABEL)).to_have_value("Q-9", timeout=PATIENCE)
    expect(page.get_by_role("textbox", name="Note")).to_have_value("two colours", timeout=PATIENCE)


def test_queue_of_three_outlives_another_page_another_upload_and_a_refresh(page: Page, address: str) -> None:
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", agree)
    open_review(page, address)
    page.reload()
    assert asked == []  # nothing would be lost
    open_review(page, address)
    choose_files(page, *QUEUE)
    read_first(page)
    field = page.get_by_role("textbox", name=REFERENCE_LABEL)
    field.fill("Q-9")
    field.press("Tab")
    expect(page.get_by_text("No earlier case has this reference.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("textbox", name="Note").press_sequentially("two colours", delay=20)
    # As a hand does it: the text leaves the field when the button goes down, the page changes when it comes up.
    page.get_by_role("link", name="About", exact=True).click(delay=400)
    expect(page.get_by_role("heading", level=1, name="About")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Review", exact=True).click()
    see_that_nothing_is_lost(page, 3)

    choose_files(page, ONE_MORE)
    expect(page.get_by_text("4 of 4")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name=decision_wording.SHOW_ANSWER)).to_be_visible(timeout=PATIENCE)
    for position in (3, 2, 1):
        page.get_by_role("button", name="Previous").click()
        expect(page.get_by_text(f"{position} of 4")).to_be_visible(timeout=PATIENCE)
    see_that_nothing_is_lost(page, 4)

    page.reload()
    assert asked == ["beforeunload"]
    see_that_nothing_is_lost(page, 4)
    page.get_by_role("button", name=re.compile("^Next")).click()
    expect(page.get_by_test_id("stRadio")).to_be_visible(timeout=PATIENCE)
    with opened_page(page.context.browser) as other:  # type: ignore[arg-type]
        open_review(other, address)
        expect(other.get_by_text("Drop a dermoscopic image")).to_be_visible(timeout=PATIENCE)
