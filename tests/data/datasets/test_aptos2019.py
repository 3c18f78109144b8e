"""APTOS 2019 as a folder in the shape of HAM10000: what shows the same pixels is one eye, and conflicts are said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.datasets.aptos2019 import differently_graded, load_aptos2019, main, write_folder
from data.datasets.ham10000 import NOT_TOLD_FROM, DatasetError, image_path, load_metadata
from data.datasets.splits import FOLDS, LEFT_OUT, TEST, TRAINING_ONLY, split_by_lesion
from data.tasks.retina import RETINA

# Image, grade, seed of its pixels. `b` and `d` show one eye, graded alike; `c`, `e` and `f` another, graded apart.
ROWS = (("a", 0, 1), ("b", 2, 2), ("c", 1, 3), ("d", 2, 2), ("e", 4, 3), ("f", 1, 3), ("g", 3, 4))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "aptos2019"
    (folder / "train_images").mkdir(parents=True)
    for name, _, seed in ROWS:
        pixels = np.random.default_rng(seed).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "train_images" / f"{name}.png")
    pd.DataFrame([row[:2] for row in ROWS], columns=["id_code", "diagnosis"]).to_csv(folder / "train.csv", index=False)
    return folder


def test_equal_pixels_are_one_eye_and_grades_that_differ_leave_each_other_open(source: Path) -> None:
    table = load_aptos2019(source).set_index("image_id")
    assert table["lesion_id"].tolist() == [f"aptos2019_{first}" for first in "abcbccg"]
    assert table["dx"].to_dict() == {name: f"dr{grade}" for name, grade, _ in ROWS}
    assert table[NOT_TOLD_FROM].to_dict() == {"c": "dr4", "e": "dr1", "f": "dr4"} | dict.fromkeys("abdg", "")
    assert differently_graded(table.reset_index()) == {("c", "e", "f"): ("dr1", "dr4", "dr1")}


def test_pixels_count_not_the_file(source: Path) -> None:
    images = source / "train_images"
    with Image.open(images / "a.png") as image:
        image.convert("RGBA").save(images / "g.png", compress_level=0)
    table = load_aptos2019(source).set_index("image_id")
    assert table.at["g", "lesion_id"] == "aptos2019_a" and table.at["g", NOT_TOLD_FROM] == "dr0"


def test_folder_is_read_like_any_other(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "written"
    for _ in range(2):  # a second time over the first
        assert main(["--source", str(source), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "7 images of 4 eyes" in said and "2 eyes have several images" in said and "1 of them with different" in said
    assert "c dr1, e dr4, f dr1" in said
    read = load_metadata(output, RETINA.codes)
    pd.testing.assert_frame_equal(read, load_aptos2019(source))
    path = image_path(output, "c")
    assert path is not None and path.read_bytes() == (source / "train_images" / "c.png").read_bytes()


def test_conflicting_eyes_are_trained_on_and_never_measured_on(source: Path) -> None:
    split = split_by_lesion(load_aptos2019(source).set_index("image_id"))
    assert split[["c", "e", "f"]].tolist() == [TRAINING_ONLY] * 3
    assert TRAINING_ONLY not in set(split[list("abdg")]) and split["b"] == split["d"]


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("id_code,grade\na,1\n", "expected columns id_code, diagnosis; missing diagnosis"),
        ("id_code,diagnosis\na,0\nb,5\n", "row 3: expected a grade from 0 to 4, received '5'"),
        ("id_code,diagnosis\na,0\na,0\n", "image_id a stands twice"),
        ("id_code,diagnosis\nnone,0\n", r"expected none.jpg or .png in .*train_images, found none"),
        ("id_code,diagnosis\n../a,0\n", "found none"),
        ("id_code,diagnosis\n,0\n", "found none"),
        ("", "expected a comma-, semicolon- or tab-separated table"),
    ],
)
def test_other_tables_are_refused(source: Path, table: str, match: str) -> None:
    (source / "train.csv").write_text(table)
    with pytest.raises(DatasetError, match=match):
        load_aptos2019(source)


def test_missing_table_and_broken_image_are_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "train_images" / "b.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"b\.png: expected an image"):
        write_folder(source, tmp_path / "written")
    (source / "train.csv").unlink()
    assert main(["--source", str(source), "--output", str(tmp_path / "written")]) == 2
    assert "expected train.csv of APTOS 2019" in capsys.readouterr().err


def test_the_whole_of_aptos2019(shared_folder: Path) -> None:
    folder = shared_folder / "aptos2019"
    if not folder.is_dir():
        pytest.skip("no APTOS 2019 in ../shared")
    table = load_aptos2019(folder)
    assert table["dx"].value_counts().sort_index().tolist() == [1805, 370, 999, 193, 295]
    repeated = table["lesion_id"].value_counts()
    assert (len(repeated), (repeated > 1).sum(), repeated.max()) == (3534, 123, 4)
    conflicts = differently_graded(table)
    assert len(conflicts) == 30 and conflicts["42a850acd2ac", "51131b48f9d4", "8cb6b0efaaac"] == ("dr2", "dr1", "dr2")
    split = split_by_lesion(table)
    parts = table.assign(split=split)
    assert (parts.groupby("lesion_id")["split"].nunique() == 1).all()
    assert set(split) == {TEST, TRAINING_ONLY, LEFT_OUT, *(f"fold{number}" for number in range(FOLDS))}
    # Nearly the same as one of those with a conflict, under another id.
    also = {"772af553b8b7"}
    assert set(table["image_id"][split == TRAINING_ONLY]) == {name for names in conflicts for name in names} | also
    # And of these the other image is locked.
    assert set(table["image_id"][split == LEFT_OUT]) == {"c62585bd68fb", "16ce555748d8"}
    tested = parts[parts["split"] == TEST].drop_duplicates("lesion_id")
    assert set(tested["dx"]) == set(RETINA.codes)
    # At most one eye a grade more than 15 % of those without a conflict.
    assert 0.15 * 3504 <= len(tested) < 0.15 * 3504 + 5
