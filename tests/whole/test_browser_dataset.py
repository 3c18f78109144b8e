"""The Dataset page in a browser: what is typed, what is clicked, and what its address carries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.dataset import wording
from data.datasets.ham10000 import load_counts
from tests.support.browser.chromium import opened_page, visit, wait_for_rest
from tests.support.servers.browser_server import PATIENCE
from tests.support.servers.oidc_provider import running_laptop
from tests.support.tiny_dataset import write_tiny_dataset

# Where the first point of a chart lies on the screen, and the image that it stands for; some classes have no points.
FIRST_POINT = """graph => {
  const { xaxis, yaxis } = graph._fullLayout, { left, top } = graph.getBoundingClientRect();
  const drawn = graph.calcdata.findIndex(points => typeof points[0].x === "number");
  const { x, y } = graph.calcdata[drawn][0];
  const id = [graph._fullData[drawn].customdata[0]].flat()[0];
  return { x: left + xaxis._offset + xaxis.d2p(x), y: top + yaxis._offset + yaxis.d2p(y), id };
}"""

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser


def images(**values: str) -> str:
    """How the headline states the images of a cohort."""
    counts = load_counts()
    for column, value in values.items():
        counts = counts[counts[column] == value]
    return f"{counts['images'].sum():,} images"


def headline(page: Page) -> Locator:
    return page.locator(".lens-headline")


def test_typed_diagnosis_chooses_the_first_match_and_the_address_carries_it(page: Page, address: str) -> None:
    visit(page, f"{address}/dataset")
    expect(headline(page)).to_contain_text(images(), timeout=PATIENCE)
    typed = page.get_by_role("combobox", name="Diagnosis")
    typed.fill("mel")
    typed.press("Enter")
    expect(headline(page)).to_contain_text(images(dx="mel"), timeout=PATIENCE)
    page.wait_for_url("**/dataset?dx=mel")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Female").click()
    expect(headline(page)).to_contain_text(images(dx="mel", sex="female"), timeout=PATIENCE)
    page.wait_for_url("**/dataset?dx=mel&sex=female")
    page.reload()
    expect(headline(page)).to_contain_text(images(dx="mel", sex="female"), timeout=PATIENCE)
    # Another page and back by the navigation bar, whose links carry no filter.
    page.get_by_role("link", name="About").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Dataset", timeout=PATIENCE)
    page.get_by_role("link", name="Dataset").click()
    expect(headline(page)).to_contain_text(images(dx="mel", sex="female"), timeout=PATIENCE)
    page.wait_for_url("**/dataset?dx=mel&sex=female")
    # And a step back in the browser's history is a step back in the filters.
    page.get_by_role("button", name="Female").click()
    page.wait_for_url("**/dataset?dx=mel")
    page.go_back()
    expect(headline(page)).to_contain_text(images(dx="mel", sex="female"), timeout=PATIENCE)


def open_charts(page: Page, address: str, query: str = "") -> None:
    visit(page, f"{address}/dataset{query}")
    expect(page.locator("[data-testid=stPlotlyChart] .modebar-btn").last).to_be_attached(timeout=PATIENCE)
    wait_for_rest(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_is_saved_as_png_and_svg_with_what_it_shows(
    browser: Browser, address: str, scheme: Literal["light", "dark"]
) -> None:
    with opened_page(browser, color_scheme=scheme) as page:
        open_charts(page, address)
        with page.expect_download(timeout=PATIENCE) as saving:
            page.get_by_role("button", name="Images by age and diagnosis: save as PNG").click()
        assert saving.value.suggested_filename == "age_chart_0.png"
        with Image.open(saving.value.path()) as picture:
            background = picture.convert("RGB").getpixel((2, picture.height - 3))
            # Twice the points of the screen, on the page's own background.
            assert (
                picture.format == "PNG" and picture.width > 500 and picture.convert("RGBA").getpixel((2, 2))[3] == 255
            )
            assert isinstance(background, tuple) and (min(background) > 200) == (scheme == "light")
        with page.expect_download(timeout=PATIENCE) as saving:
            page.get_by_role("button", name="Images by age and diagnosis: save as SVG").click()
        text = saving.value.path().read_text(encoding="utf-8")
        assert saving.value.suggested_filename == "age_chart_0.svg" and text.startswith("<svg")
        assert "Images by age and diagnosis. HAM10000: 10,015 images" in text


def test_bar_site_and_box_filter_the_page(page: Page, address: str) -> None:
    open_charts(page, address)
    page.locator(".st-key-dx_chart_0 .bars .point path").nth(4).click(force=True)
    expect(headline(page)).to_contain_text(images(dx="mel"), timeout=PATIENCE)
    page.locator(".st-key-body_chart_1 .textpoint text", has_text="324").first.click(force=True)
    expect(headline(page)).to_contain_text(images(dx="mel", localization="back"), timeout=PATIENCE)
    page.wait_for_url("**/dataset?dx=mel&localization=back")
    chart = page.locator(".st-key-age_chart_2")
    wait_for_rest(page)
    chart.scroll_into_view_if_needed()
    chart.hover()
    chart.locator(".modebar-btn[data-title='Box Select']").click()
    box = chart.locator(".nsewdrag").bounding_box()
    assert box is not None
    # From the middle of the ages to their end.
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 4, steps=8)
    page.mouse.up()
    page.wait_for_url("**/dataset?dx=mel&localization=back&age=*")
    assert re.search(r"&age=[34][05]-8[05]", page.url)


def test_an_image_opens_over_the_page_where_a_folder_is_set(browser: Browser, tmp_path: Path) -> None:
    folder = write_tiny_dataset(tmp_path / "data")
    with running_laptop(tmp_path / "server", DATASET_DIR=str(folder)) as (dashboard, _):
        with opened_page(browser) as page:
            visit(page, f"{dashboard.url}/dataset?dx=mel")
            page.get_by_role("button", name="ISIC_4000", exact=True).click(timeout=PATIENCE)
            window = page.get_by_role("dialog")
            expect(window.get_by_text("Other images of this lesion")).to_be_visible(timeout=PATIENCE)
            expect(window.get_by_text("320 x 240 px")).to_be_visible(timeout=PATIENCE)
            expect(window.get_by_role("img").first).to_be_visible(timeout=PATIENCE)
            assert page.locator("[data-testid=stException]").count() == 0


def test_a_point_of_the_map_shows_its_image_on_hover(browser: Browser, tmp_path: Path, ham10000_folder: Path) -> None:
    with running_laptop(tmp_path / "server", DATASET_DIR=str(ham10000_folder)) as (dashboard, _):
        with opened_page(browser) as page:
            # Few images, so that no other point lies over the first one.
            visit(page, f"{dashboard.url}/dataset?dx=vasc&localization=abdomen")
            page.get_by_text(wording.MAP_TITLE, exact=True).click(timeout=PATIENCE)
            chart = page.locator("[class*=st-key-map_chart] .js-plotly-plot")
            expect(chart.locator(".main-svg").first).to_be_visible(timeout=PATIENCE)
            expect(page.get_by_text(wording.HOVER_HINT)).to_be_visible(timeout=PATIENCE)
            wait_for_rest(page)
            chart.scroll_into_view_if_needed()
            point = chart.evaluate(FIRST_POINT)
            page.mouse.move(point["x"] - 40, point["y"] - 40)
            page.mouse.move(point["x"], point["y"], steps=8)
            shown = page.get_by_role("img", name=f"{point['id']}, vasc")
            expect(shown).to_be_visible(timeout=PATIENCE)
            assert page.locator("[data-testid=stException]").count() == 0
