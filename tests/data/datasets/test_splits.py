from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import load_metadata
from data.datasets.splits import FOLDS, LEFT_OUT, SAME_LESION, TEST, TRAINING_ONLY, split_by_lesion
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


def test_lesion_whose_diagnosis_is_open_is_trained_on_alone(metadata: pd.DataFrame):
    before = split_by_lesion(metadata.assign(not_told_from=""))
    pd.testing.assert_series_equal(before, split_by_lesion(metadata))
    is_open = metadata["image_id"] == "mel_01_0"
    metadata.loc[is_open, "dx"] = "nv"
    split = split_by_lesion(metadata.assign(not_told_from=np.where(is_open, "mel", None)))
    # The lesion's other image is no more certain.
    assert set(split[metadata["lesion_id"] == "mel_01"]) == {TRAINING_ONLY} and (split == TRAINING_ONLY).sum() == 2


def test_the_locked_test_part_of_ham10000(ham10000_folder: Path):
    metadata = load_metadata(ham10000_folder)
    lesions = parts_of_lesions(metadata, split_by_lesion(metadata))
    assert len(lesions) == 7_470
    assert set(lesions["split"]) == {TEST, LEFT_OUT, *(f"fold{i}" for i in range(FOLDS))}
    tests = lesions[lesions["split"] == TEST]
    assert set(tests["dx"]) == set(SKIN.codes)
    # At most one lesion a class more than 15 %.
    assert 0.15 * 7_470 <= len(tests) < 0.15 * 7_470 + len(SKIN.codes)


def test_lesion_with_two_ids_is_never_on_two_sides() -> None:
    ids = [lesion for pair in SAME_LESION.items() for lesion in pair]
    others = [f"HAM_x{number:04d}" for number in range(200)]
    metadata = pd.DataFrame({"lesion_id": ids + others, "dx": "nv"})
    seen = set()
    for seed in range(30):
        parts = dict(zip(metadata["lesion_id"], split_by_lesion(metadata, seed=seed), strict=True))
        for lesion, other in SAME_LESION.items():
            pair = parts[lesion], parts[other]
            seen.add((pair[0] == TEST, pair[1] == TEST))
            assert TEST not in pair or pair[0] == TEST or pair[0] == LEFT_OUT
            assert TEST in pair or pair[0] == pair[1]
    assert (False, True) in seen and (False, False) in seen, "the seeds try neither side"


def test_locked_lesions_are_what_they_were(ham10000_folder: Path) -> None:
    metadata = load_metadata(ham10000_folder)
    split = split_by_lesion(metadata)
    root = Path(__file__).resolve().parents[3]
    locked = pd.read_csv(root / "model" / "weights" / "skin" / "test_predictions.csv")["image_id"]
    assert set(metadata["image_id"][split == TEST]) == set(locked)
    assert set(metadata["lesion_id"][split == LEFT_OUT]) == {"HAM_0000955"}
    assert not np.intersect1d(metadata["lesion_id"][split == TEST], metadata["lesion_id"][split != TEST]).size
