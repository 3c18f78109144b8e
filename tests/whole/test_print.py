"""Pages on paper: what Chromium lays out for a printer."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from dashboard.shell.formats import RESEARCH_USE
from tests.support.browser.chromium import visit

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["", "cases", "about"])
def test_research_use_line_is_not_covered_by_the_logo(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 pixels an inch
    visit(page, f"{address}/{path}")
    line = page.get_by_text(RESEARCH_USE)
    expect(line).to_be_visible()
    page.emulate_media(media="print")
    logo, said = page.get_by_test_id("stHeaderLogo").bounding_box(), line.bounding_box()
    assert logo and said
    assert said["y"] >= logo["y"] + logo["height"]
