"""Labels as people write them, files by name, and the table of what was said of each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.datasets.ham10000 import DatasetError
from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.studies.clinics.labelled import MOST_NAMED, Labelled, files_of, predictions_table, read_labels

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_labels_are_read_as_people_write_them(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        separator.join(("image_id", "melanoma")) + f"\na{separator}1\nb{separator}0\n", encoding="utf-8-sig"
    )
    labels = read_labels(path, SKIN)
    assert labels.to_dict("list") == {"image_id": ["a", "b"], "lesion_id": ["a", "b"], "dx": ["mel", ""]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image_id,diagnosis\na,mel\n", "expected columns image_id, and dx or melanoma; found image_id, diagnosis"),
        ("image_id,dx\n", "expected one row an image, found none"),
        ("image_id,dx\na,mel\nb,wart\n", "row 3, dx: expected one of .*, received wart"),
        ("image_id,dx\na,mel\na,nv\n", "row 3, image_id: expected each image once, received a"),
        ("image_id,melanoma\na,2\n", "row 2, melanoma: expected one of 0, 1"),
        ("image_id,dx\n,mel\n", "row 2, image_id: expected an image_id"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=expected):
        read_labels(path, SKIN)


def test_images_are_found_by_name_with_or_without_ending(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.PNG", "c.jpg", "other/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_of(tmp_path, ["a", "a.jpg", "b"]) == [
        tmp_path / "a.jpg",
        tmp_path / "a.jpg",
        tmp_path / "sub/b.PNG",
    ]
    for image_id, many in (("c", "2 of them"), ("d", "none")):
        with pytest.raises(DatasetError, match=f"expected one image file {image_id} in .*, found {many}"):
            files_of(tmp_path, [image_id])


def test_all_faults_are_named_as_far_as_they_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,dx\na,mel\n\n,nv\nb,wart\nc,Naevus\nc,nv\n")
    with pytest.raises(DatasetError) as error:
        read_labels(path, SKIN)
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [
        "labels.csv, row 4, image_id",
        "labels.csv, row 5, dx",
        "labels.csv, row 7, image_id",
    ]
    with pytest.raises(DatasetError) as error:
        files_of(tmp_path, [f"missing{number}" for number in range(MOST_NAMED + 5)])
    lines = str(error.value).splitlines()
    assert len(lines) == MOST_NAMED + 1 and lines[-1] == "and 5 more"


def test_classes_are_read_by_code_or_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,dx\na,MEL\nb,naevus\nc,Basal cell carcinoma\n")
    assert list(read_labels(path, SKIN)["dx"]) == ["mel", "nv", "bcc"]


def test_table_of_predictions_says_why_there_is_none() -> None:
    names = np.array(["a", "b", "c"])
    probabilities = np.full((3, 7), 1 / 7)
    images = Labelled(names, names, np.array([4, -1, 5]), np.array(["", "", "blurred"]), probabilities)
    table = predictions_table(images, ARTIFACT, np.array([True, False, True]))
    assert list(table["dx"]) == ["mel", "", "nv"]
    assert list(table["quality"]) == ["ok", "ok", "blurred"]
    assert list(table["half"]) == ["fitted", "measured", "fitted"]
    assert table["mel"].isna().tolist() == [False, False, True] and table["prediction"][2] == ""
    assert table["p_malignant"][0] == pytest.approx(3 / 7, abs=1e-6) and np.isnan(table["p_malignant"][2])
