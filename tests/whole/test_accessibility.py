"""Every page as axe-core sees it, light and dark, on a screen and on a phone; and where the keyboard is, on sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.doors import wording as door_wording
from dashboard.evaluation.sections import PARAMETER, SECTIONS
from tests.support.browser.axe import findings
from tests.support.browser.chromium import opened_page, visit
from tests.support.servers.browser_server import PATIENCE, SAMPLE, choose_files, open_review
from tests.support.servers.oidc_provider import running_dashboard, running_provider

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

# What else a page shows once it is opened: everything that is folded.
UNFOLD = "() => document.querySelectorAll('details:not([open]) > summary').forEach(summary => summary.click())"
# The focused element, also in a component's own tree; None where the page as a whole has the focus.
FOCUSED = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element || element === document.body) return null;
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  const isUsed = element.matches('a, button, summary');
  return [element.outerHTML.slice(0, 160), isUsed, outlineStyle, outlineWidth, outlineColor];
}"""
# A plain page in both themes' colours whose one sentence is drawn as the style says.
SENTENCE = """<html lang="en"><head><title>A sentence</title><style>
  :root {{ color-scheme: light dark }}
  body {{ background: light-dark(rgb(252, 252, 251), rgb(20, 24, 27)); color: light-dark(black, white) }}
  @keyframes appear {{ from {{ opacity: 0.3 }} to {{ opacity: 1 }} }}
  p {{ {style} }}
</style></head><body><main><h1>A sentence</h1><p>It can be read.</p></main></body></html>"""
STOPS = 40  # of the Tab key: past the navigation and well into the page


def unfold(page: Page) -> None:
    """Open everything that is folded, and wait for what it draws."""
    page.evaluate(UNFOLD)
    page.wait_for_timeout(1000)


@pytest.mark.parametrize(
    ("style", "is_found"),
    [
        ("", False),
        ("opacity: 0.3", True),
        ("animation: appear 4s linear", False),
    ],
)
def test_what_stays_faint_is_found_and_what_fades_in_is_not(page: Page, style: str, is_found: bool) -> None:
    page.set_content(SENTENCE.format(style=style))
    assert bool(findings(page)) == is_found


def test_refusal_in_a_queue(page: Page, address: str, tmp_path: Path) -> None:
    not_an_image = tmp_path / "letter.jpg"
    not_an_image.write_bytes(b"%PDF-1.7 not an image")
    open_review(page, address)
    choose_files(page, not_an_image, SAMPLE, SAMPLE.with_name("synthetic_mel_1.jpg"))
    expect(page.get_by_text("PDF document").first).to_be_visible(timeout=PATIENCE)
    unfold(page)
    assert findings(page) == []


EVALUATION = [f"evaluation?{PARAMETER}={section.key}" for section in SECTIONS]


@pytest.mark.parametrize("path", ["use", "dataset", *EVALUATION, "audit", "about"])
def test_page(page: Page, address: str, path: str) -> None:
    visit(page, f"{address}/{path}")
    for drawn in page.locator(".stPlotlyChart").all():
        expect(drawn.locator(".main-svg").first).to_be_visible(timeout=PATIENCE)
    unfold(page)
    assert findings(page) == []


def test_sign_in_page(browser: Browser, tmp_path: Path) -> None:
    with running_provider(tmp_path) as provider, running_dashboard(tmp_path, provider) as dashboard:
        with opened_page(browser) as page:
            page.goto(dashboard.url)
            expect(page.get_by_role("link", name=door_wording.SIGN_IN)).to_be_visible(timeout=PATIENCE)
            assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_keyboard_shows_where_it_is(page: Page, address: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    open_review(page, address)
    page.evaluate("() => document.activeElement.blur()")
    stops = []
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        if (stop := page.evaluate(FOCUSED)) is not None:
            stops.append(stop)
    used = [stop for stop in stops if stop[1]]
    assert any("stTopNavLink" in html for html, *_ in used) and any("<button" in html for html, *_ in used)
    # The same blue on both themes, at least 3 to 1 against every surface of either (WCAG 2.4.13).
    assert [stop for stop in used if stop[2:] != ["solid", "2px", "rgb(31, 133, 165)"]] == []
