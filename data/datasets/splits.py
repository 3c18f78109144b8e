"""Split a dataset by lesion: a locked test part, and folds of the rest for training, choosing and calibrating."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from data.datasets.ham10000 import NOT_TOLD_FROM, DatasetError, image_path, load_metadata

TEST_SHARE = 0.15
FOLDS = 5
# The seed of the locked test part. Changing it unlocks the test lesions: every artifact would have to be retrained.
SPLIT_SEED = 20180804
TEST = "test"
LEFT_OUT = "left out"
TRAINING_ONLY = "training only"
# What was given two ids though its images are nearly the same (`data.datasets.near_copies`, then looked at side by
# side): lesions of HAM10000, pairs of the same dx, age, sex and site; eyes of APTOS 2019, often of another grade. The
# first is what the second shows as well.
SAME_LESION: dict[str, str] = {
    "HAM_0004919": "HAM_0000140",
    "HAM_0004604": "HAM_0006469",
    "HAM_0007525": "HAM_0001109",
    "HAM_0000955": "HAM_0007604",
    "aptos2019_e1fb532f55df": "aptos2019_b019a49787c1",
    "aptos2019_772af553b8b7": "aptos2019_60f15dd68d30",
    "aptos2019_3b018e8b7303": "aptos2019_3ddb86eb530e",
    "aptos2019_0243404e8a00": "aptos2019_3ddb86eb530e",
    "aptos2019_c62585bd68fb": "aptos2019_3435fd8675a2",
    "aptos2019_4ccfa0b4e96c": "aptos2019_33778d136069",
    "aptos2019_d035c2bd9104": "aptos2019_cd93a472e5cd",
    "aptos2019_9a94e0316ee3": "aptos2019_2b48daf24be0",
    "aptos2019_16ce555748d8": "aptos2019_4d9fc85a8259",
    "aptos2019_8688f3d0fcaf": "aptos2019_bfefa7344e7d",
    "aptos2019_bb5083fae98f": "aptos2019_2f284b6a1940",
}


def split_by_lesion(
    metadata: pd.DataFrame, seed: int = SPLIT_SEED, test_share: float = TEST_SHARE, folds: int = FOLDS
) -> pd.Series:
    """Assign each image to `test` or to a fold, all images of a lesion together, stratified by diagnosis.

    An image-level split would let the model meet test lesions in training; it inflates balanced accuracy by about
    0.10 (DESIGN: 10,015 images show only 7,470 lesions).

    Args:
        metadata: table with lesion_id and dx, one row an image; a lesion has one dx, unless its labels leave open
            which (`not_told_from`).
        seed: the same seed and lesions give the same split, whatever the row order.
        test_share: share of each diagnosis' lesions that is locked away, rounded up, so that no class is without
            test lesions.
        folds: number of folds the other lesions are dealt into.

    Returns:
        Series aligned with `metadata`: `test`, or `fold0` to `fold<folds - 1>`. A lesion of `SAME_LESION` is in the
        fold of the other one; where that one is locked it is `left out`, so that the locked lesions stay the same. A
        lesion with a label that leaves its diagnosis open is `training only`: nothing can be measured on it.

    Raises:
        ValueError: a lesion carries two diagnoses, none of which is left open.
    """
    is_open = metadata["lesion_id"].isin(_with_open_labels(metadata))
    lesions = metadata.loc[~is_open, ["lesion_id", "dx"]].drop_duplicates().sort_values(["dx", "lesion_id"])
    if lesions["lesion_id"].duplicated().any():
        lesion = lesions.loc[lesions["lesion_id"].duplicated(), "lesion_id"].iloc[0]
        raise ValueError(f"expected one dx for each lesion, received several for {lesion}")
    generator = np.random.default_rng(seed)
    part_of: dict[str, str] = {}
    for _, group in lesions.groupby("dx", sort=True):
        shuffled = generator.permutation(group["lesion_id"].to_numpy())
        tests = int(np.ceil(test_share * len(shuffled)))
        part_of |= dict.fromkeys(shuffled[:tests], TEST)
        part_of |= {lesion: f"fold{i % folds}" for i, lesion in enumerate(shuffled[tests:])}
    part_of |= dict.fromkeys(metadata["lesion_id"][is_open], TRAINING_ONLY)
    for lesion, other in SAME_LESION.items():
        if {lesion, other} <= part_of.keys() and part_of[lesion] != TEST:
            part_of[lesion] = LEFT_OUT if part_of[other] == TEST else part_of[other]
    return metadata["lesion_id"].map(part_of).rename("split")


def _with_open_labels(metadata: pd.DataFrame) -> pd.Series:
    if NOT_TOLD_FROM not in metadata:
        return metadata["lesion_id"].iloc[:0]
    return metadata["lesion_id"][metadata[NOT_TOLD_FROM].fillna("") != ""]


def locked_test_files(dataset: Path, seed: int, codes: Sequence[str]) -> pd.DataFrame:
    """The locked test images of a folder shaped like HAM10000, of these classes: their rows with a column `path`.

    Raises:
        DatasetError: the folder is not HAM10000, or lacks an image.
    """
    metadata = load_metadata(dataset, codes)
    return with_files(metadata[split_by_lesion(metadata, seed=seed) == TEST], dataset)


def with_files(rows: pd.DataFrame, dataset: Path) -> pd.DataFrame:
    """Rows of the metadata of a folder shaped like HAM10000, with a column `path`.

    Raises:
        DatasetError: the folder lacks an image.
    """
    paths = [image_path(dataset, image_id) for image_id in rows["image_id"]]
    missing = next((name for name, path in zip(rows["image_id"], paths, strict=True) if path is None), None)
    if missing is not None:
        raise DatasetError(f"expected {missing}.jpg in {dataset}, found none; run: python -m data.download")
    return rows.assign(path=paths)
