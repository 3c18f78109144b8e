"""ISIC 2017 in three parts: nothing leaks from one into another, and the committed parts are what the command gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.datasets.ham10000 import DatasetError, load_metadata
from data.datasets.isic2017 import PARTS, PARTS_PATH, assign_parts, lesions_of, load_isic2017, main

PARTS_TABLE = pd.read_csv(PARTS_PATH)


def write_image(path: Path, seed: int, turn: int = 0, light: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(40, 200, (6, 6, 3), dtype=np.uint8)
    pixels = np.rot90(np.kron(coarse, np.ones((20, 20, 1), dtype=np.uint8)), turn) + np.uint8(light)
    Image.fromarray(pixels).save(path, quality=90)


def test_locked_part_is_large_enough_and_shares_no_lesion_with_another() -> None:
    assert PARTS_TABLE["part"].value_counts()["locked"] >= 600
    assert set(PARTS_TABLE["part"]) == set(PARTS)
    assert PARTS_TABLE.groupby("lesion_id")["part"].nunique().max() == 1
    assert PARTS_TABLE["image_id"].is_unique


def test_turned_mirrored_and_brighter_copies_are_one_lesion(tmp_path: Path) -> None:
    for name, seed, turn, light in (("a", 1, 0, 0), ("b", 2, 0, 0), ("c", 1, 1, 30), ("d", 3, 0, 0)):
        write_image(tmp_path / f"{name}.jpg", seed, turn, light)
    Image.open(tmp_path / "b.jpg").transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((90, 120)).save(tmp_path / "e.jpg")
    assert lesions_of(list("abcde"), tmp_path) == [f"isic2017_{first}" for first in "abadb"]


def test_parts_do_not_depend_on_the_order_of_the_rows() -> None:
    table = pd.DataFrame(
        {"image_id": [f"i{n:02d}" for n in range(40)], "dx": ["mel", "nv"] * 20, "framing": ["cropped"] * 40}
    )
    lesions = [f"l{n // 2:02d}" if n < 4 else f"l{n:02d}" for n in range(40)]
    parts = assign_parts(table.assign(dx="nv"), lesions)
    assert parts[0] == parts[1] and parts[2] == parts[3]
    order = np.random.default_rng(0).permutation(40)
    shuffled = assign_parts(table.assign(dx="nv").iloc[order], [lesions[n] for n in order])
    pd.testing.assert_series_equal(parts, shuffled.sort_index())
    by_class = assign_parts(table, [f"l{n}" for n in range(40)])
    for dx in ("mel", "nv"):
        assert by_class[table["dx"] == dx].value_counts().to_dict() == {"training": 9, "locked": 6, "choosing": 5}


def test_command_writes_folders_that_training_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "source", tmp_path / "parts"
    chosen = PARTS_TABLE.groupby("part").head(2).sort_values("image_id")
    for number, image_id in enumerate(chosen["image_id"]):
        write_image(source / "images" / f"{image_id}.jpg", number)
    table = pd.DataFrame({"image_id": chosen["image_id"], "dx": ["nv", "mel"] * 3, "age": 50.0, "sex": None})
    table.assign(framing="cropped").to_csv(source / "metadata.csv", index=False)
    assert main(["--source", str(source), "--output", str(output)]) == 0
    assert "training (2 images), choosing (2 images), locked (2 images)" in capsys.readouterr().out
    for part in PARTS:
        metadata = load_metadata(output / part)
        assert set(metadata["image_id"]) == set(chosen["image_id"][chosen["part"] == part])
        assert set(metadata["source"]) == {"isic2017"} and set(metadata["sex"]) == {"unknown"}
        assert (metadata["not_told_from"] == np.where(metadata["dx"] == "nv", "bkl", "")).all()
        assert all((output / part / "images" / f"{image_id}.jpg").is_file() for image_id in metadata["image_id"])


def test_image_without_a_part_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"image_id": ["ISIC_other"], "dx": ["nv"], "age": [40], "sex": ["male"], "framing": ["cropped"]}
    pd.DataFrame(row).to_csv(tmp_path / "metadata.csv", index=False)
    with pytest.raises(DatasetError, match="received ISIC_other, which has no part"):
        load_isic2017(tmp_path)
    assert main(["--source", str(tmp_path / "none")]) == 2
    assert "found none" in capsys.readouterr().err
