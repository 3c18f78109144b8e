"""Every step of the review brings what it leads to into view, and the keyboard focus with it, at three sizes of screen.

Measured in Chromium, because the fault was the browser's: it kept still what stood in view while the page grew above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.bench_load import unlike_any
from dashboard.review import decision_wording, focus
from dashboard.review import wording as review_wording
from tests.support.browser.chromium import opened_page, visit, wait_for_rest
from tests.support.servers.browser_server import (
    SAMPLE,
    choose_files,
    open_review,
    pick_own_read,
    wait_for_answer,
)

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser

SIZES = ((390, 844), (1366, 768), (1440, 900))
QUEUE = [SAMPLE.with_name(f"synthetic_{dx}_1.jpg") for dx in ("mel", "nv", "bcc")]
REST = 1000  # milliseconds in which the page would still move if it did


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def screen(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Of a phone or a laptop."""
    width, height = request.param
    is_phone = width < 500
    size = {"width": width, "height": height}
    with opened_page(browser, viewport=size, is_mobile=is_phone, has_touch=is_phone) as page:
        yield page


def press(key: str) -> Callable[[Page, str], None]:
    return lambda page, name: page.keyboard.press(key)


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def wait_for_focus(page: Page, region: str) -> None:
    """Until the region holds the focus, the page is drawn, and it has come to rest."""
    page.wait_for_function("key => document.activeElement?.classList.contains(`st-key-${key}`)", arg=region)
    wait_for_rest(page)
    page.wait_for_timeout(REST)
    assert page.evaluate("key => document.activeElement?.classList.contains(`st-key-${key}`)", region)


def assert_in_view(page: Page, element: Locator) -> None:
    """Below the navigation bar, above the lower edge of the screen, whole."""
    box, size = element.bounding_box(), page.viewport_size
    bar = page.locator("[data-testid=stHeader]").bounding_box()
    assert box and bar and size
    assert bar["y"] + bar["height"] <= box["y"] + 1
    assert box["y"] + box["height"] <= size["height"] + 1
    assert 0 <= box["x"] and box["x"] + box["width"] <= size["width"] + 1


def shown_image(page: Page) -> Locator:
    return page.locator(".frame").first


@pytest.mark.parametrize("by", ["click", "key"])
def test_each_step_brings_what_it_leads_to_into_view(screen: Page, address: str, by: str, tmp_path: Path) -> None:
    # Files that no test before has saved.
    queue = [tmp_path / path.name for path in QUEUE]
    for path, own in zip(QUEUE, queue, strict=True):
        own.write_bytes(unlike_any(path.read_bytes()))
    show, go_on, go_back = (click, click, click) if by == "click" else (press("a"), press("n"), press("p"))
    open_review(screen, address)
    wait_for_focus(screen, focus.INPUTS)
    choose_files(screen, *queue)
    wait_for_focus(screen, focus.IMAGE)
    assert_in_view(screen, shown_image(screen))

    pick_own_read(screen)
    expect(screen.get_by_role("button", name=decision_wording.SHOW_ANSWER)).to_be_enabled()
    show(screen, decision_wording.SHOW_ANSWER)
    wait_for_answer(screen)
    wait_for_focus(screen, focus.ANSWER)
    verdict = screen.locator(f".st-key-{focus.ANSWER}")
    expect(verdict.get_by_text("lagged")).to_be_visible()
    assert_in_view(screen, verdict)

    screen.get_by_role("button", name=decision_wording.SAVE).scroll_into_view_if_needed()
    if by == "click":
        click(screen, decision_wording.SAVE)
    else:
        screen.keyboard.press("Control+s")
    wait_for_focus(screen, focus.SAVED)
    assert_in_view(screen, screen.locator(f".st-key-{focus.SAVED}"))

    for step, name, number in ((go_on, "Next", 2), (go_back, "Previous", 1)):
        step(screen, name)
        expect(screen.get_by_text(f"Image {number} of 3")).to_be_visible()
        wait_for_focus(screen, focus.IMAGE)
        assert_in_view(screen, shown_image(screen))


def test_image_without_an_answer_leads_to_its_reason(page: Page, address: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_bytes(b"%PDF-1.7 not an image")
    open_review(page, address)
    choose_files(page, letter)
    wait_for_focus(page, focus.REFUSED)
    region = page.get_by_role("region", name=review_wording.REGIONS[focus.REFUSED])
    expect(region.get_by_text("PDF document")).to_be_visible()
    assert_in_view(page, region)


def test_reader_who_scrolls_is_not_held(page: Page, address: str) -> None:
    open_review(page, address)
    choose_files(page, *QUEUE)
    wait_for_focus(page, focus.IMAGE)
    page.mouse.move(700, 600)
    page.keyboard.press("n")
    expect(page.get_by_text("Image 2 of 3")).to_be_visible()
    main = page.locator("[data-testid=stMain]")
    # A page that is still being drawn may be too short to be scrolled.
    page.wait_for_function("main => main.scrollHeight - main.clientHeight > 300", arg=main.element_handle())
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(REST)
    assert main.evaluate("main => main.scrollTop") > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_focus_is_seen_on_every_link_of_the_navigation(browser: Browser, address: str, scheme: str) -> None:
    with opened_page(browser, color_scheme=scheme) as page:
        visit(page, address)
        links = page.get_by_test_id("stTopNavLink")
        page.wait_for_timeout(1000)  # what is drawn anew takes the focus away
        for _ in range(links.count() + 1):  # the first Tab leads to the link past the navigation
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outline")
            assert "solid 2px" in outline or "2px solid" in outline, outline
        assert links.last.evaluate("link => link === document.activeElement")


def test_focus_is_seen_in_the_navigation_of_a_phone(phone: Page, address: str) -> None:
    visit(phone, address)
    phone.get_by_test_id("stExpandSidebarButton").click()
    link = phone.get_by_test_id("stSidebarNavLink").nth(1)
    expect(link).to_be_visible()
    phone.wait_for_timeout(500)
    phone.keyboard.press("Tab")
    link.focus()
    assert "solid" in link.evaluate("link => getComputedStyle(link).outlineStyle")
