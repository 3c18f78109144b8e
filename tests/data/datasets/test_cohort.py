"""Filters, against a table small enough to count by hand, and how an address carries them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.datasets.cohort import CohortFilter, filter_rows, from_query, to_query

OFFERED = {
    "dx": ("mel", "nv", "bcc"),
    "sex": ("female", "male", "unknown"),
    "localization": ("back", "face", "lower extremity"),
    "dx_type": ("histo", "follow_up"),
}
COUNTS = pd.DataFrame(
    [
        ("mel", "histo", 50.0, "male", "back", 4, 2),
        ("mel", "histo", np.nan, "unknown", "face", 1, 1),
        ("nv", "follow_up", 30.0, "female", "back", 6, 5),
        ("nv", "histo", 50.0, "female", "trunk", 2, 0),
        ("bcc", "histo", 85.0, "male", "face", 3, 3),
    ],
    columns=["dx", "dx_type", "age", "sex", "localization", "images", "lesions"],
)


@pytest.mark.parametrize(
    ("wanted", "images"),
    [
        (CohortFilter(), 16),
        (CohortFilter(dx=("mel",)), 5),
        (CohortFilter(dx=("mel", "bcc"), sex=("male",)), 7),
        (CohortFilter(localization=("face",), dx_type=("histo",)), 4),
        (CohortFilter(min_age=50), 10),
        (CohortFilter(min_age=50, keeps_unknown_age=False), 9),
        (CohortFilter(min_age=50, max_age=50, keeps_unknown_age=False), 6),
        (CohortFilter(keeps_unknown_age=False), 15),
        (CohortFilter(dx=("df",)), 0),
    ],
)
def test_filter_keeps_the_rows_it_names(wanted: CohortFilter, images: int) -> None:
    assert filter_rows(COUNTS, wanted)["images"].sum() == images


def test_filter_can_leave_out_one_column() -> None:
    wanted = CohortFilter(dx=("mel",), sex=("male",))
    assert filter_rows(COUNTS, wanted, ignoring="dx")["images"].sum() == 7


def test_filter_leaves_its_table_alone() -> None:
    before = COUNTS.copy()
    filter_rows(COUNTS, CohortFilter(dx=("mel",)))
    pd.testing.assert_frame_equal(COUNTS, before)


def test_ages_are_kept_by_the_five_year_band_they_are_in() -> None:
    table = COUNTS.iloc[:1].merge(pd.DataFrame({"years": [49.0, 50.0, 54.0, 55.0, 97.0]}), how="cross")
    table["age"] = table["years"]
    assert list(filter_rows(table, CohortFilter(min_age=50, max_age=50))["years"]) == [50.0, 54.0]
    assert list(filter_rows(table, CohortFilter(min_age=85))["years"]) == [97.0]


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (CohortFilter(), {}),
        (CohortFilter(dx=("mel", "bcc")), {"dx": ["mel", "bcc"]}),
        (
            CohortFilter(localization=("lower extremity",), sex=("unknown",)),
            {"localization": ["lower extremity"]} | {"sex": ["unknown"]},
        ),
        (CohortFilter(dx_type=("histo",), min_age=20), {"dx_type": ["histo"], "age": ["20-85"]}),
        (CohortFilter(max_age=0, keeps_unknown_age=False), {"age": ["0-0"], "unknown_age": ["no"]}),
    ],
)
def test_a_filter_comes_back_from_an_address_as_it_was(wanted: CohortFilter, query: dict[str, list[str]]) -> None:
    assert to_query(wanted) == query
    assert from_query(query, OFFERED) == (wanted, ())


@pytest.mark.parametrize(
    ("query", "wanted", "dropped"),
    [
        ({"dx": ["mel", "wart"]}, CohortFilter(dx=("mel",)), ("dx=wart",)),
        ({"dx": ["mel", "mel"]}, CohortFilter(dx=("mel",)), ()),
        ({"dx": [""]}, CohortFilter(), ("dx=",)),
        ({"age": ["60-20"]}, CohortFilter(), ("age=60-20",)),
        ({"age": ["20-61"]}, CohortFilter(), ("age=20-61",)),
        ({"age": ["-5-60"]}, CohortFilter(), ("age=-5-60",)),
        ({"age": ["20-90"]}, CohortFilter(), ("age=20-90",)),
        ({"age": ["\u0662\u0660-60"]}, CohortFilter(), ("age=\u0662\u0660-60",)),
        ({"age": ["old"], "sex": ["male"]}, CohortFilter(sex=("male",)), ("age=old",)),
        ({"unknown_age": ["yes"]}, CohortFilter(), ("unknown_age=yes",)),
        ({"section": ["errors"], "case": ["7"]}, CohortFilter(), ()),
    ],
)
def test_what_an_address_asks_for_in_vain_is_dropped_and_named(
    query: dict[str, list[str]], wanted: CohortFilter, dropped: tuple[str, ...]
) -> None:
    assert from_query(query, OFFERED) == (wanted, dropped)
