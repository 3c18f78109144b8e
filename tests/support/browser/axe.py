"""axe-core in a page that a test has open: what it finds in both themes, on a screen and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.browser.chromium import PATIENCE

SIZES = ((1400, 1000), (390, 844))
# The colour behind all of each theme, from .streamlit/config.toml: seen, the theme has changed.
BACKGROUNDS = {"light": "rgb(252, 252, 251)", "dark": "rgb(20, 24, 27)"}
# Everything that axe-core knows of WCAG 2.2 A and AA and of good practice, with two rules that it leaves off.
OPTIONS: dict[str, Any] = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"target-size": {"enabled": True}, "label-content-name-mismatch": {"enabled": True}},
    "resultTypes": ["violations"],
}
# Nothing fades any more: Streamlit dims what a run has not drawn anew yet, and brings it back in steps of opacity.
AT_REST = """() => !document.querySelector('[data-stale=true]') && document.getAnimations().every(
  animation => animation.playState !== 'running' || animation.effect.getComputedTiming().endTime === Infinity
)"""
# What is Streamlit's own and cannot be reached from here: the rule, how the element's HTML begins, and why.
NOT_OURS = (
    # Its drop zone has a role that says "nothing" beside a label; the file input and the button in it are named.
    ("presentation-role-conflict", '<section role="presentation" tabindex="-1" data-testid="stFileUploaderDropzone"'),
)


@cache
def _source() -> str:
    """The script out of the package; Playwright, which drives the page already, needs nothing else of it."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def findings(page: Page) -> list[str]:
    """What axe-core finds light and dark, on a screen and on a phone: one line a finding, none where all is well.

    A finding counts that is the same when the page is looked at again: a run that begins while axe-core reads dims what
    it has not drawn yet, and no two looks see the same shade of it. The page is left as a light one on a screen.
    """
    found = {finding: None for width, height in SIZES for finding in _at(page, width, height)}
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    _show(page, "light")
    return list(found)


def _at(page: Page, width: int, height: int) -> Iterator[str]:
    page.set_viewport_size({"width": width, "height": height})
    for scheme in BACKGROUNDS:
        _show(page, scheme)
        if page.evaluate("typeof axe === 'undefined'"):
            page.evaluate(_source())
        if seen := list(_seen(page)):
            _rest(page)
            again = set(_seen(page))
            yield from (f"({scheme}, {width} px) {finding}" for finding in seen if finding in again)


def _seen(page: Page) -> Iterator[str]:
    """What axe-core finds in the page as it is."""
    for rule in page.evaluate("options => axe.run(document, options)", OPTIONS)["violations"]:
        for node in rule["nodes"]:
            if not any(rule["id"] == name and node["html"].startswith(html) for name, html in NOT_OURS):
                yield f"{rule['id']}: {node['html'][:240]}: {' '.join(node['failureSummary'].split())[:300]}"


def _show(page: Page, scheme: str) -> None:
    """Change to a theme, and wait until it is drawn and the script has run again."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    # Plain pages, which need no sign-in, have no more than a body.
    expect(page.locator(".stApp, body:not(:has(.stApp))")).to_have_css(
        "background-color", BACKGROUNDS[scheme], timeout=PATIENCE
    )
    _rest(page)


def _rest(page: Page) -> None:
    """Wait until the script has run, and what it drew has its colours."""
    page.wait_for_timeout(500)  # a change of theme begins a run, and a fade, in a moment
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0, timeout=PATIENCE)
    page.wait_for_function(AT_REST, timeout=PATIENCE)
