from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data.datasets.ham10000 import load_metadata
from data.datasets.splits import FOLDS, TEST, split_by_lesion
from data.tasks.skin import SKIN

# 20 nevi: ceil(0.15 * 20) = 3 are locked, 17 are dealt into five folds. 7 melanomas: ceil(1.05) = 2. One df: itself.
LESIONS = {"nv": 20, "mel": 7, "df": 1}


@pytest.fixture
def metadata() -> pd.DataFrame:
    """Lesion number i of a class has 1 + i % 3 images."""
    rows = [
        {"lesion_id": f"{dx}_{i:02d}", "image_id": f"{dx}_{i:02d}_{view}", "dx": dx}
        for dx, count in LESIONS.items()
        for i in range(count)
        for view in range(1 + i % 3)
    ]
    return pd.DataFrame(rows)


def parts_of_lesions(metadata: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    return metadata.assign(split=split).drop_duplicates(["lesion_id", "split"])


def test_no_lesion_stands_on_both_sides(metadata: pd.DataFrame):
    split = split_by_lesion(metadata)
    assert (metadata.assign(split=split).groupby("lesion_id")["split"].nunique() == 1).all()
    assert split.notna().all()


def test_numbers_worked_out_by_hand(metadata: pd.DataFrame):
    lesions = parts_of_lesions(metadata, split_by_lesion(metadata))
    sizes = lesions.groupby("dx")["split"].value_counts()
    assert sizes["nv"].to_dict() == {"fold0": 4, "fold1": 4, "fold2": 3, "fold3": 3, "fold4": 3, TEST: 3}
    assert sizes["mel"].to_dict() == {TEST: 2, "fold0": 1, "fold1": 1, "fold2": 1, "fold3": 1, "fold4": 1}
    assert sizes["df"].to_dict() == {TEST: 1}


def test_every_class_has_test_lesions(metadata: pd.DataFrame):
    split = split_by_lesion(metadata)
    assert set(metadata.loc[split == TEST, "dx"]) == set(LESIONS)


@pytest.mark.parametrize("shuffle_seed", [1, 2, 3])
def test_row_order_does_not_matter(metadata: pd.DataFrame, shuffle_seed: int):
    shuffled = metadata.sample(frac=1, random_state=shuffle_seed)
    split = split_by_lesion(shuffled)
    assert split.index.equals(shuffled.index)
    pd.testing.assert_series_equal(split.sort_index(), split_by_lesion(metadata))


def test_seed_decides(metadata: pd.DataFrame):
    pd.testing.assert_series_equal(split_by_lesion(metadata, seed=1), split_by_lesion(metadata, seed=1))
    assert not split_by_lesion(metadata, seed=1).equals(split_by_lesion(metadata, seed=2))


def test_share_and_folds_can_be_chosen(metadata: pd.DataFrame):
    lesions = parts_of_lesions(metadata, split_by_lesion(metadata, test_share=0.5, folds=2))
    assert lesions[lesions["dx"] == "nv"]["split"].value_counts().to_dict() == {TEST: 10, "fold0": 5, "fold1": 5}


def test_the_table_given_is_not_changed(metadata: pd.DataFrame):
    before = metadata.copy()
    split_by_lesion(metadata)
    pd.testing.assert_frame_equal(metadata, before)


def test_a_lesion_with_two_diagnoses_is_refused_by_name(metadata: pd.DataFrame):
    metadata.loc[metadata["image_id"] == "mel_01_0", "dx"] = "nv"
    with pytest.raises(ValueError, match="expected one dx for each lesion, received several for mel_01"):
        split_by_lesion(metadata)


def test_the_locked_test_part_of_ham10000(ham10000_folder: Path):
    metadata = load_metadata(ham10000_folder)
    lesions = parts_of_lesions(metadata, split_by_lesion(metadata))
    assert len(lesions) == 7_470
    assert set(lesions["split"]) == {TEST, *(f"fold{i}" for i in range(FOLDS))}
    tests = lesions[lesions["split"] == TEST]
    assert set(tests["dx"]) == set(SKIN.codes)
    # At most one lesion a class more than 15 %.
    assert 0.15 * 7_470 <= len(tests) < 0.15 * 7_470 + len(SKIN.codes)
