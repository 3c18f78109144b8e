"""The Review page by the keyboard in Chromium: numbers, one key to save and go on, the list, and the switch."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from dashboard.answer.diagnosis import choices
from dashboard.answer.fields import REFERENCE_LABEL
from dashboard.review import decision_wording
from dashboard.shell import keyboard
from data.tasks.skin import SKIN
from tests.support.servers.browser_server import (
    PATIENCE,
    SAMPLE,
    choose_files,
    open_review,
    pick_own_read,
    wait_for_answer,
)

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser


def open_queue(page: Page, address: str, number: int) -> None:
    """Three samples of this number: an image that another test has saved would be saved on purpose only."""
    open_review(page, address)
    choose_files(page, *(SAMPLE.with_name(f"synthetic_{dx}_{number}.jpg") for dx in ("mel", "nv", "bcc")))
    expect(page.locator("[data-testid=stRadio] input")).to_have_count(len(choices(SKIN)))
    expect(page.locator(".st-key-shell_number_keys_place")).to_be_attached()
    wait_for_image(page)


def wait_for_image(page: Page) -> None:
    """Until it holds the focus: only then no field is left that would take the key."""
    page.wait_for_function("() => document.activeElement?.classList.contains('st-key-review_image')")


def checked(page: Page, number: int) -> None:
    expect(page.locator("[data-testid=stRadio] input").nth(number - 1)).to_be_checked()


def test_numbers_pick_the_diagnosis_and_one_key_saves_and_goes_on(page: Page, address: str) -> None:
    open_queue(page, address, 1)
    for number in (7, 1, 3):
        page.keyboard.press(str(number))
        checked(page, number)
    pick_own_read(page, name=SKIN.titled("bkl"))
    expect(page.get_by_role("button", name=decision_wording.SHOW_ANSWER)).to_be_enabled()
    page.keyboard.press("a")
    wait_for_answer(page)
    # A field keeps its letters and numbers, and what was typed is saved with the case.
    field = page.get_by_role("textbox", name=REFERENCE_LABEL)
    field.press_sequentially("Nap 17?")
    expect(field).to_have_value("Nap 17?")
    expect(page.get_by_text("Image 1 of 3, 0 saved")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Image 2 of 3, 1 saved")).to_be_visible(timeout=PATIENCE)
    wait_for_image(page)
    page.keyboard.press("p")
    expect(page.get_by_text("This image is not saved a second time")).to_be_visible()
    expect(page.get_by_text("Nap 17?")).to_be_visible()


def test_list_opens_by_its_key_and_the_switch_silences_single_keys(page: Page, address: str) -> None:
    open_queue(page, address, 2)
    page.keyboard.press(keyboard.LIST_KEY)
    switch = page.get_by_text(keyboard.SWITCH_LABEL)
    expect(switch).to_be_visible()
    expect(page.get_by_text("Save the case and open the next image")).to_be_visible()
    switch.click()
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-shell_number_keys_place")).to_have_count(0)
    expect(page.locator(".st-key-shell_keys_place")).to_be_attached()
    page.wait_for_timeout(500)
    for key in ("5", "n", keyboard.LIST_KEY):
        page.keyboard.press(key)
    page.wait_for_timeout(1000)
    expect(page.locator("[data-testid=stRadio] input:checked")).to_have_count(0)
    expect(page.get_by_text("Image 1 of 3")).to_be_visible()
    expect(switch).to_have_count(0)
    # Shortcuts with Ctrl stay, and so does the choice on other pages.
    pick_own_read(page)
    page.get_by_role("button", name=decision_wording.SHOW_ANSWER).click()
    wait_for_answer(page)
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="Hide heatmap")).to_be_visible()
    # The form stands below the answer and is drawn after it.
    expect(page.get_by_role("button", name=decision_wording.SAVE)).to_be_enabled(timeout=PATIENCE)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("This image is not saved a second time")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Dataset").click()
    expect(page.get_by_role("heading", level=1, name="Dataset")).to_be_visible()
    expect(page.locator(".st-key-shell_keys_place")).to_be_attached()
