"""Compare on the Evaluation page in headless Chromium: another model's table, good and in six ways bad."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, TEST_PREDICTIONS_FILE
from tests.support.browser.chromium import visit, wait_for_rest, wait_for_width
from tests.support.servers.browser_server import PATIENCE, choose_files

pytest_plugins = ("tests.support.servers.browser_server",)
pytestmark = pytest.mark.browser


@pytest.fixture
def theirs() -> pd.DataFrame:
    """Half of the committed model's own predictions, each halfway to the mean, as a submission to the challenge."""
    own = pd.read_csv(DEFAULT_ARTIFACT / TEST_PREDICTIONS_FILE)[::2].reset_index(drop=True)
    shares = own[list(SKIN.codes)]
    duller = (shares + shares.mean()) / 2
    return pd.DataFrame({"image": own["image_id"]}).join(duller.rename(columns=str.upper))


def give(page: Page, address: str, path: Path) -> None:
    visit(page, f"{address}/evaluation?section=compare")
    expect(page.get_by_text("Nothing of it is stored")).to_be_visible(timeout=PATIENCE)
    choose_files(page, path)


def test_a_good_table_is_compared_and_downloaded(
    page: Page, phone: Page, address: str, theirs: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.csv"
    theirs.to_csv(path, index=False)
    give(page, address, path)
    count = re.compile(rf"{len(theirs):,} of {2 * len(theirs) - 1:,}|{len(theirs):,} of {2 * len(theirs):,}")
    expect(page.get_by_text(count)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Theirs against ours")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-testid=stPlotlyChart]").nth(2)).to_be_visible(timeout=PATIENCE)
    wait_for_rest(page)
    assert page.locator("[data-testid=stException]").count() == 0
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV", exact=True).nth(1).click()
    table = pd.read_csv(started.value.path())
    assert started.value.suggested_filename == "comparison.csv"
    named = table[table["metric"] == "balanced_accuracy"].iloc[0]
    assert named["images"] == len(theirs) and named["difference_low"] <= named["difference"] <= named["difference_high"]
    give(phone, address, path)
    expect(phone.get_by_text("Theirs against ours")).to_be_visible(timeout=PATIENCE)
    wait_for_width(phone)


@pytest.mark.parametrize("kind", ["picture", "class", "image", "twice", "negative", "unknown"])
def test_a_bad_table_is_refused(page: Page, address: str, theirs: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "theirs.csv"
    table, message = {
        "picture": (theirs, "could not read it"),
        "class": (theirs.drop(columns="MEL"), "missing mel"),
        "image": (theirs.rename(columns={"image": "file"}), "expected a column image or image_id"),
        "twice": (theirs.assign(image=theirs["image"][0]), "image stands twice"),
        "negative": (theirs.assign(MEL=-0.5), "expected a probability from 0 to 1 in MEL, received -0.5"),
        "unknown": (theirs.assign(image="photograph " + theirs["image"]), "none is known for it"),
    }[kind]
    table.to_csv(path, index=False)
    if kind == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    give(page, address, path)
    alert = page.locator("[data-testid=stAlert]").get_by_text(message)
    expect(alert).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Theirs against ours")).to_have_count(0)
    assert page.locator("[data-testid=stException]").count() == 0


def test_rows_left_out_are_named(page: Page, address: str, theirs: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    rows = theirs.astype(object)
    rows.loc[0, "MEL"] = "much"
    rows.to_csv(path, index=False)
    give(page, address, path)
    expect(page.get_by_text("1 row left out")).to_be_visible(timeout=PATIENCE)
    page.get_by_text("Rows left out, with the reason").click()
    expect(page.get_by_text("expected a number in MEL, received much")).to_be_visible(timeout=PATIENCE)
