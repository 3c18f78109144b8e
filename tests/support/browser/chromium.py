"""Headless Chromium, pages of it, and ways to wait until a page of the dashboard is at rest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser import evidence

PATIENCE = 60_000  # milliseconds; machines under test are slow, and nothing here measures time
LAPTOP: dict[str, Any] = {"viewport": {"width": 1400, "height": 1000}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# A chart is drawn at its own width first and takes the page's a moment later, which on a busy machine is long.
NO_WIDER = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  return document.documentElement.scrollWidth <= window.innerWidth && main.scrollWidth - main.clientWidth <= 1;
}"""


@contextmanager
def launched_chromium(*arguments: str) -> Iterator[Browser]:
    """Debian's Chromium with further arguments; skips the test where there is none, and fails it where CI is set."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("expected Chromium for the browser tests, found none; .ci/run installs it")
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *arguments]
        launched = playwright.chromium.launch(executable_path=executable, args=options)
        yield launched
        launched.close()


@contextmanager
def opened_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of a new visitor, on a wide screen where the options of the context name no other.

    Where the test fails, what the page showed is told with the failure.
    """
    with browser.new_context(**LAPTOP | options) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        with evidence.of_page(page):
            yield page


def visit(page: Page, url: str) -> None:
    """Go to a page of the dashboard, and wait until it is drawn and at rest."""
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    wait_for_rest(page)


def wait_for_rest(page: Page) -> None:
    """Until no run of the page's script is under way, and nothing waits to be drawn anew."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def wait_for_width(page: Page) -> None:
    """Until nothing needs sideways scrolling."""
    page.wait_for_function(NO_WIDER)


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    """Until something is so that Playwright has no words for; fails where it never is."""
    for _ in range(PATIENCE // 100):
        if is_so():
            return
        page.wait_for_timeout(100)
    assert is_so()
