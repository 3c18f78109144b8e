"""The dashboard as `make run` starts it, with a case log of its own, and headless Chromium to look at it.

A test file asks for the fixtures by `pytest_plugins = ("tests.support.servers.browser_server",)`. PYTEST_DONT_REWRITE,
for there is no assertion here but one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.answer.fields import REFERENCE_LABEL
from dashboard.review import decision_wording
from dashboard.review import wording as review_wording
from tests.support.browser.chromium import PATIENCE as PATIENCE  # for the tests
from tests.support.browser.chromium import PHONE, launched_chromium, opened_page, visit, wait_for_rest
from tests.support.servers.oidc_provider import running_laptop

ROOT = Path(__file__).resolve().parents[3]
REAL_IMAGE = ROOT.parent / "shared" / "ham10000" / "full_size_samples" / "ISIC_0024386.jpg"
SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"


# Not for the whole session: while Playwright runs, this thread has an event loop, which others want to start.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # The camera test photographs what this camera shows: a moving test picture.
    with launched_chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as launched:
        yield launched


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard in a process of its own, as `make run` starts it."""
    with running_laptop(tmp_path_factory.mktemp("server")) as (dashboard, _):
        yield dashboard.url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened_page(browser) as opened:
        yield opened


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with opened_page(browser, **PHONE, permissions=["camera"]) as opened:
        yield opened


def open_review(page: Page, address: str) -> None:
    """The Review page behind its gate."""
    visit(page, address)
    page.get_by_role("button", name=review_wording.INTENDED_USE_BUTTON).click()
    expect(page.get_by_test_id("stFileUploader")).to_be_visible()
    wait_for_rest(page)


def choose_files(page: Page, *files: Path) -> None:
    """Give files to the uploader of a page at rest, and see that it lists them all."""
    wait_for_rest(page)
    uploader = page.get_by_test_id("stFileUploader")
    uploader.locator("input[type=file]").set_input_files([str(file) for file in files])
    for file in files:
        expect(uploader.get_by_title(file.name, exact=True).last).to_be_visible()


def pick_own_read(
    page: Page, name: str = "Melanocytic nevus", certainty: str = "Sure", plan: str = "Follow-up"
) -> None:
    """Fill in the own read."""
    page.locator("[data-testid=stRadio]").get_by_text(name, exact=False).click()
    for word in (certainty, plan):
        page.get_by_role("radio", name=word, exact=True).or_(page.get_by_role("button", name=word, exact=True)).click()


def read_first(page: Page, name: str = "Melanocytic nevus", certainty: str = "Sure", plan: str = "Follow-up") -> None:
    """Fill in the own read and ask for the answer, and wait for it."""
    pick_own_read(page, name, certainty, plan)
    page.get_by_role("button", name=decision_wording.SHOW_ANSWER).click()
    wait_for_answer(page)


def wait_for_answer(page: Page) -> None:
    """Until probabilities and viewer are drawn, and what stands below them."""
    expect(page.get_by_role("meter")).to_have_count(9)
    # The viewer of the own read, which stands alone, may still be there for a moment.
    expect(page.locator(".viewer:not(.alone)")).to_be_visible()
    wait_for_rest(page)


def decide_and_save(page: Page, reference: str) -> None:
    """Type a reference, keep the own read's diagnosis and plan, and save by the keyboard."""
    field = page.get_by_role("textbox", name=REFERENCE_LABEL)
    field.fill(reference)
    field.press("Tab")
    expect(page.get_by_role("button", name=decision_wording.SAVE)).to_be_enabled()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("This image is not saved a second time")).to_be_visible()
