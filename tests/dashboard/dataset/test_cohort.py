"""Counts, against tables small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dashboard.dataset.cohort import (
    AGE_LABELS,
    CohortSize,
    Unit,
    cohort_size,
    count_by_dx,
    cross_count,
    lesions_by_images,
    missing_values,
    page_of,
    positive_share,
)
from data.datasets.ham10000 import count_images_and_lesions, load_counts
from data.tasks.skin import SKIN
from model.measures.shares import share_estimates

COUNTS = pd.DataFrame(
    [
        ("mel", "histo", 50.0, "male", "back", 2, 4, 2),
        ("mel", "histo", np.nan, "unknown", "face", 1, 1, 1),
        ("nv", "follow_up", 30.0, "female", "back", 2, 6, 5),
        ("nv", "histo", 50.0, "female", "trunk", 2, 2, 0),
        ("bcc", "histo", 85.0, "male", "face", 1, 3, 3),
    ],
    columns=["dx", "dx_type", "age", "sex", "localization", "images_of_lesion", "images", "lesions"],
)


def test_counting_leaves_its_table_alone() -> None:
    before = COUNTS.copy()
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


def test_ages_count_in_the_lower_band_and_at_the_last() -> None:
    ages = pd.DataFrame({"age": [0.0, 52.0, 85.0, 97.0, np.nan], "dx": "mel", "images": 1})
    counted = cross_count(SKIN, ages, "age", "images")["mel"]
    assert counted[counted > 0].to_dict() == {"0": 1, "50": 1, "85": 2, "unknown": 1}


def test_positive_share_is_counted_by_hand() -> None:
    shares = positive_share(SKIN, COUNTS, "localization", "images")
    assert shares.loc["back", "share"] == pytest.approx(4 / 10)
    assert shares.loc["face", "share"] == 1.0
    assert shares.loc["back", ["positive", "n", "lesions"]].tolist() == [4, 10, 7]


@pytest.mark.parametrize("unit", ["images", "lesions"])
def test_interval_of_a_share_is_that_of_the_images_themselves(unit: Unit) -> None:
    generator = np.random.default_rng(4)
    sizes = generator.integers(1, 5, 60)
    lesion = np.repeat(np.arange(60), sizes)
    metadata = pd.DataFrame(
        {
            "lesion_id": lesion,
            "image_id": np.arange(len(lesion)),
            "dx": np.array(["mel", "nv", "bkl"])[lesion % 3],
            "dx_type": "histo",
            "age": 5.0 * (lesion % 4),
            "sex": "female",
            "localization": np.array(["back", "face"])[lesion // 40],
        }
    )
    shares = positive_share(SKIN, count_images_and_lesions(metadata), "localization", unit)
    for site, row in shares.iterrows():
        rows = metadata[metadata["localization"] == site]
        rows = rows.drop_duplicates("lesion_id") if unit == "lesions" else rows
        is_positive = (rows["dx"] == "mel").to_numpy()[:, np.newaxis]
        (expected,) = share_estimates(is_positive, np.ones_like(is_positive), rows["lesion_id"].to_numpy(dtype=str))
        assert (row["share"], row["low"], row["high"]) == pytest.approx(tuple(vars(expected).values()))


def test_lesions_by_images_and_missing_values_are_counted_by_hand() -> None:
    table = lesions_by_images(SKIN, COUNTS)
    assert list(table.index) == [1, 2] and tuple(table.columns) == SKIN.codes
    assert table.loc[1, ["mel", "nv", "bcc"]].tolist() == [1, 0, 3]
    assert table.loc[2, ["mel", "nv", "bcc"]].tolist() == [2, 5, 0]
    missing = missing_values(COUNTS)
    assert missing["missing"].to_dict() == {"age": 1, "sex": 1, "localization": 0, "dx_type": 0}
    assert set(missing["images"]) == {16}


def test_positive_share_without_a_first_image_has_no_interval() -> None:
    shares = positive_share(SKIN, COUNTS, "localization", "images")
    assert shares.loc["trunk", "share"] == 0.0
    assert math.isnan(shares.loc["trunk", "low"])


def test_positive_share_leaves_out_empty_ages() -> None:
    assert list(positive_share(SKIN, COUNTS, "age", "images").index) == ["30", "50", "85", "unknown"]


def test_pages_cut_a_table() -> None:
    table = pd.DataFrame({"n": range(5)})
    assert list(page_of(table, 2, 2)["n"]) == [2, 3]
    assert list(page_of(table, 3, 2)["n"]) == [4]
    assert page_of(table, 4, 2).empty


def test_committed_counts_are_the_whole_dataset() -> None:
    assert cohort_size(load_counts()) == CohortSize(images=10015, lesions=7470)
