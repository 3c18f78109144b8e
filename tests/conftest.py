"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Data that lie beside the repository and are never part of it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder}")
    return folder


@pytest.fixture(scope="session")
def ham10000_folder(shared_folder: Path) -> Path:
    """The whole of HAM10000, at reduced size."""
    folder = shared_folder / "ham10000"
    if not folder.is_dir():
        pytest.skip(f"needs HAM10000 in {folder}")
    return folder


@pytest.fixture
def tiny_metadata() -> pd.DataFrame:
    """Ten made-up images of eight lesions: two lesions have two images, one age is missing."""
    rows = [
        ("HAM_1", "ISIC_01", "nv", "histo", 40.0, "male", "back"),
        ("HAM_1", "ISIC_02", "nv", "histo", 40.0, "male", "back"),
        ("HAM_2", "ISIC_03", "nv", "follow_up", None, "unknown", "unknown"),
        ("HAM_3", "ISIC_04", "mel", "histo", 60.0, "female", "face"),
        ("HAM_4", "ISIC_05", "bcc", "histo", 75.0, "male", "face"),
        ("HAM_5", "ISIC_06", "bkl", "consensus", 65.0, "female", "back"),
        ("HAM_5", "ISIC_07", "bkl", "consensus", 70.0, "female", "back"),
        ("HAM_6", "ISIC_08", "akiec", "histo", 80.0, "male", "scalp"),
        ("HAM_7", "ISIC_09", "df", "histo", 35.0, "female", "lower extremity"),
        ("HAM_8", "ISIC_10", "vasc", "confocal", 5.0, "male", "chest"),
    ]
    columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    return pd.DataFrame(rows, columns=columns).astype({"age": "float64"})
