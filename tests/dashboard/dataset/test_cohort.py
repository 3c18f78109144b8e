"""Filters and counts, against tables small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dashboard.dataset.cohort import (
    AGE_LABELS,
    CohortFilter,
    CohortSize,
    age_labels,
    cohort_size,
    count_by_dx,
    cross_count,
    filter_rows,
    page_of,
    positive_share,
    wilson_interval,
)
from data.datasets.ham10000 import load_counts
from data.tasks.skin import SKIN

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
    cross_count(SKIN, COUNTS, "age", "images")
    pd.testing.assert_frame_equal(COUNTS, before)


def test_cohort_size_adds_up() -> None:
    assert cohort_size(COUNTS) == CohortSize(images=16, lesions=11)
    assert cohort_size(COUNTS.iloc[:0]) == CohortSize(0, 0)


def test_count_by_dx_names_every_diagnosis_in_order() -> None:
    counted = count_by_dx(SKIN, COUNTS, "images")
    assert tuple(counted.index) == SKIN.codes
    assert counted.to_dict() == {"akiec": 0, "bcc": 3, "bkl": 0, "df": 0, "mel": 5, "nv": 8, "vasc": 0}
    assert count_by_dx(SKIN, COUNTS, "lesions")["nv"] == 5


def test_cross_count_sorts_by_total_and_keeps_all_diagnoses() -> None:
    table = cross_count(SKIN, COUNTS, "localization", "images")
    assert list(table.index) == ["back", "face", "trunk"]
    assert tuple(table.columns) == SKIN.codes
    assert table.loc["back", "mel"] == 4
    assert table.loc["trunk", "mel"] == 0


def test_cross_count_by_age_has_every_band_and_unknown_last() -> None:
    table = cross_count(SKIN, COUNTS, "age", "images")
    assert list(table.index) == AGE_LABELS
    assert table.index[-1] == "unknown"
    assert table.loc["unknown", "mel"] == 1
    assert table.loc["50"].sum() == 6
    assert table.loc["10"].sum() == 0


def test_age_labels_take_the_lower_band_and_end_at_the_last() -> None:
    assert list(age_labels(pd.Series([0.0, 52.0, 85.0, 97.0, np.nan]))) == ["0", "50", "85", "85", "unknown"]


def test_positive_share_is_counted_by_hand() -> None:
    shares = positive_share(SKIN, COUNTS, "localization", "images")
    assert shares.loc["back", "share"] == pytest.approx(4 / 10)
    assert shares.loc["face", "share"] == 1.0
    assert shares.loc["back", "lesions"] == 7
    # The interval takes lesions as its n: 7, not 10.
    low, high = wilson_interval(np.array([0.4]), np.array([7.0]))
    assert shares.loc["back", "low"] == pytest.approx(low[0])
    assert shares.loc["back", "high"] == pytest.approx(high[0])


def test_positive_share_without_a_first_image_has_no_interval() -> None:
    shares = positive_share(SKIN, COUNTS, "localization", "images")
    assert shares.loc["trunk", "share"] == 0.0
    assert math.isnan(shares.loc["trunk", "low"])


def test_positive_share_leaves_out_empty_ages() -> None:
    assert list(positive_share(SKIN, COUNTS, "age", "images").index) == ["30", "50", "85", "unknown"]


def test_wilson_interval_matches_the_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20, 0 to 0.1611.
    low, high = wilson_interval(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    np.testing.assert_allclose(low, [0.2553, 0.0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_wilson_interval_of_nothing_is_nan() -> None:
    low, high = wilson_interval(np.array([0.0]), np.array([0.0]))
    assert np.isnan(low).all() and np.isnan(high).all()


def test_pages_cut_a_table() -> None:
    table = pd.DataFrame({"n": range(5)})
    assert list(page_of(table, 2, 2)["n"]) == [2, 3]
    assert list(page_of(table, 3, 2)["n"]) == [4]
    assert page_of(table, 4, 2).empty


def test_committed_counts_are_the_whole_dataset() -> None:
    assert cohort_size(load_counts()) == CohortSize(images=10015, lesions=7470)
