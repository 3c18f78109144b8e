"""Compare on the Evaluation page under AppTest: a good table, and every way for one to be bad."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from data.tasks.skin import SKIN
from tests.support.dashboard import environment, made_up_predictions, run_page, shown_text, write_artifact

COLUMNS = {code: code.upper() for code in SKIN.codes}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AppTest]:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path)):
        yield run_page("evaluation", section="compare")


def theirs(seed: int = 1) -> pd.DataFrame:
    """Another model's probabilities of the same images, as submitted to the challenge."""
    rows = made_up_predictions(seed=seed).rename(columns={"image_id": "image", **COLUMNS})
    return rows[["image", *COLUMNS.values()]]


def uploaded(page: AppTest, content: bytes, name: str = "theirs.csv") -> AppTest:
    uploader = next(one for one in page.file_uploader if one.key == "comparison_upload")
    return uploader.upload(name, content, "text/csv").run()


def test_without_a_table_nothing_is_compared(page: AppTest) -> None:
    assert not page.exception and not page.error
    assert "Nothing of it is stored" in shown_text(page) and "Theirs against ours" not in shown_text(page)


def test_a_good_table_is_compared_on_the_same_images(page: AppTest) -> None:
    uploaded(page, theirs().to_csv(index=False).encode())
    assert not page.exception and not page.error and not page.warning
    text = shown_text(page)
    assert "**63 of 63 images** can be compared. It names no decision" in text
    assert "locked test lesions of HAM10000 that both have, 63 images, 42 lesions" in text
    for words in ("Theirs against ours", "Brier score", "Sensitivity, malignant at 25.0 %", "Malignant images called"):
        assert words in text
    # Six lesions of a class have no interval of an area.
    assert "too few to say" in text
    assert len(page.get("plotly_chart")) >= 3


def test_our_own_predictions_do_not_differ_from_ours(page: AppTest) -> None:
    own = made_up_predictions().drop(columns=["dx", "lesion_id"])
    uploaded(page, own.to_csv(index=False).encode())
    text = shown_text(page)
    assert "Decisions are those of its column prediction." in text
    assert re.search(r"\+0\.0 points<br><small[^>]*>\+0\.0 to \+0\.0</small>", text)


def test_rows_that_cannot_be_used_are_named(page: AppTest) -> None:
    table = theirs().astype(object)
    table.loc[0, "MEL"] = "much"
    table.loc[1, "image"] = "another"
    uploaded(page, table.to_csv(index=False).encode())
    assert [one.value for one in page.warning] == ["2 rows left out"]
    text = shown_text(page)
    assert "**61 of 63 images** can be compared" in text
    assert "expected a number in MEL, received much" in text
    assert "expected an image that has a reference, none is known for it" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "could not read it"),
        (theirs().drop(columns="MEL").to_csv(index=False).encode(), "missing mel"),
        (
            theirs().rename(columns={"image": "file"}).to_csv(index=False).encode(),
            "expected a column image or image_id",
        ),
        (theirs().assign(image="ISIC_000").to_csv(index=False).encode(), "image stands twice"),
        (theirs().assign(MEL=-1.0).to_csv(index=False).encode(), "expected a probability from 0 to 1 in MEL"),
        (theirs()[:0].to_csv(index=False).encode(), "expected one row an image, found none"),
    ],
    ids=["picture", "class", "image", "twice", "negative", "empty"],
)
def test_a_bad_table_is_refused_with_the_reason(page: AppTest, content: bytes, message: str) -> None:
    uploaded(page, content)
    assert not page.exception
    (error,) = page.error
    assert message in error.value and error.value.startswith("theirs.csv: ")
    assert "Theirs against ours" not in shown_text(page)
