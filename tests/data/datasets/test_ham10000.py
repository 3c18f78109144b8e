from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets import ham10000
from data.datasets.ham10000 import (
    COUNTED_COLUMNS,
    MASK_FOLDER,
    METADATA_COLUMNS,
    METADATA_FILES,
    DatasetError,
    check_metadata,
    count_images_and_lesions,
    image_path,
    load_counts,
    load_metadata,
    mask_path,
)
from data.tasks.skin import SKIN


@pytest.mark.parametrize("name", METADATA_FILES)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_metadata_are_read_under_each_name_and_separator(
    tmp_path: Path, tiny_metadata: pd.DataFrame, name: str, separator: str
):
    tiny_metadata.to_csv(tmp_path / name, sep=separator, index=False)
    pd.testing.assert_frame_equal(load_metadata(tmp_path), tiny_metadata, check_dtype=False)


def test_missing_age_is_nan_and_unknown_stays_unknown(tmp_path: Path, tiny_metadata: pd.DataFrame):
    tiny_metadata.to_csv(tmp_path / "HAM10000_metadata.csv", index=False)
    metadata = load_metadata(tmp_path)
    assert metadata["age"].dtype == np.float64
    assert metadata["age"].isna().tolist() == [False, False, True] + 7 * [False]
    assert metadata.loc[2, "sex"] == metadata.loc[2, "localization"] == "unknown"


def test_further_columns_are_left_out_and_the_table_given_is_not_changed(tiny_metadata: pd.DataFrame):
    wider = tiny_metadata.assign(dataset="vidir")
    checked = check_metadata(wider, source="table.csv")
    assert tuple(checked.columns) == METADATA_COLUMNS
    assert "dataset" in wider.columns


def test_a_folder_without_metadata_names_the_command_that_fetches_them(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"expected HAM10000_metadata\.csv in .*python -m data\.download"):
        load_metadata(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\xff", b"lesion_id\n"], ids=["empty", "png", "stub"])
def test_a_file_that_is_no_such_table_is_a_dataset_error(tmp_path: Path, content: bytes):
    (tmp_path / "HAM10000_metadata.csv").write_bytes(content)
    with pytest.raises(DatasetError, match="expected"):
        load_metadata(tmp_path)


def test_missing_columns_are_named(tiny_metadata: pd.DataFrame):
    with pytest.raises(DatasetError, match=r"table\.csv: expected columns .*; missing dx, age"):
        check_metadata(tiny_metadata.drop(columns=["dx", "age"]), source="table.csv")


@pytest.mark.parametrize(("column", "value"), [("dx", "naevus"), ("dx_type", "guess"), ("dx", None)])
def test_an_unknown_code_is_named_with_its_row(tiny_metadata: pd.DataFrame, column: str, value: str | None):
    tiny_metadata.loc[3, column] = value
    # The fourth image stands in line 5 of the file: line 1 is the header.
    with pytest.raises(DatasetError, match=rf"table\.csv, row 5: expected {column} in .*received"):
        check_metadata(tiny_metadata, source="table.csv")


def test_source_and_what_a_label_leaves_open_are_kept(tiny_metadata: pd.DataFrame):
    wider = tiny_metadata.assign(source="elsewhere", not_told_from="")
    wider.loc[3, ["source", "not_told_from"]] = [None, "bkl df"]
    checked = check_metadata(wider, source="table.csv")
    assert tuple(checked.columns) == (*METADATA_COLUMNS, "source", "not_told_from")
    assert checked["not_told_from"].tolist() == ["", "", "", "bkl df"] + [""] * 6 and checked.at[3, "source"] == ""
    wider.loc[5, "not_told_from"] = "bkl, df"
    with pytest.raises(DatasetError, match=r"row 7: expected codes of .* in not_told_from, received 'bkl, df'"):
        check_metadata(wider, source="table.csv")


def test_a_byte_order_mark_and_empty_cells_are_read(tmp_path: Path, tiny_metadata: pd.DataFrame):
    tiny_metadata.loc[3, ["age", "sex", "localization", "dx_type"]] = None
    tiny_metadata.to_csv(tmp_path / METADATA_FILES[0], index=False, encoding="utf-8-sig")
    read = load_metadata(tmp_path)
    assert list(read.columns) == list(METADATA_COLUMNS)
    assert np.isnan(read.at[3, "age"]) and (read.at[3, "sex"], read.at[3, "localization"]) == ("unknown", "unknown")
    assert read.at[3, "dx_type"] == "unknown"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_as_a_spreadsheet_writes_it_is_read(tmp_path: Path, separator: str, encoding: str):
    rows = [
        ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"],
        ["17", "0101.JPG", "mel", "histo", "80,0", "male", "back"],
        ["", "", "", "", "", "", ""],
        ["18", " 0102.jpeg ", "nv", "", "", "", ""],
        ["18", "0103", "nv", "follow_up", "unknown", "female", "face"],
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    (tmp_path / METADATA_FILES[0]).write_bytes(text.encode(encoding))
    read = load_metadata(tmp_path)
    assert read["image_id"].tolist() == ["0101", "0102", "0103"] and read["lesion_id"].tolist() == ["17", "18", "18"]
    assert read["age"].iloc[0] == 80.0 and read["age"].iloc[1:].isna().all()
    assert read.loc[1, ["dx_type", "sex", "localization"]].tolist() == ["unknown", "unknown", "unknown"]
    assert read.index.tolist() == [0, 1, 2]


def test_a_quoted_decimal_comma_is_read_between_commas(tmp_path: Path, tiny_metadata: pd.DataFrame):
    tiny_metadata.assign(age="80,5").to_csv(tmp_path / METADATA_FILES[0], index=False)
    assert set(load_metadata(tmp_path)["age"]) == {80.5}


@pytest.mark.parametrize("age", ["old", "-5", "inf", "800"])
def test_an_age_that_is_none_is_named_with_its_row(tiny_metadata: pd.DataFrame, age: str):
    ages = tiny_metadata["age"].astype(object)
    ages[3] = age
    with pytest.raises(DatasetError, match=f"a table, row 5: expected an age in years, received '{age}'"):
        check_metadata(tiny_metadata.assign(age=ages), "a table")


def test_row_numbers_count_empty_lines(tmp_path: Path, tiny_metadata: pd.DataFrame):
    lines = tiny_metadata.assign(dx="wart").to_csv(index=False).splitlines()
    (tmp_path / METADATA_FILES[0]).write_text("\n".join([lines[0], "", *lines[1:]]))
    with pytest.raises(DatasetError, match="row 3: expected dx in"):
        load_metadata(tmp_path)


def test_two_ids_that_differ_in_their_ending_are_one_image(tiny_metadata: pd.DataFrame):
    tiny_metadata.loc[4, "image_id"] = "ISIC_01.jpg"
    with pytest.raises(DatasetError, match="row 6: image_id ISIC_01 stands twice"):
        check_metadata(tiny_metadata, "a table")


def test_columns_without_a_single_value_are_unknown(tmp_path: Path, tiny_metadata: pd.DataFrame):
    empty = tiny_metadata.assign(age=None, sex=None, localization=None, dx_type=None, not_told_from=None)
    empty.to_csv(tmp_path / METADATA_FILES[0], index=False)
    read = load_metadata(tmp_path)
    assert set(read["sex"]) == set(read["localization"]) == set(read["dx_type"]) == {"unknown"}
    assert read["age"].isna().all() and set(read["not_told_from"]) == {""}


@pytest.mark.parametrize("column", ["lesion_id", "image_id"])
def test_a_row_without_an_id_is_named(tiny_metadata: pd.DataFrame, column: str):
    tiny_metadata.loc[3, column] = None
    with pytest.raises(DatasetError, match=f"a table, row 5: expected a {column}, received nothing"):
        check_metadata(tiny_metadata, "a table")


def test_an_image_that_stands_twice_is_named_with_its_row(tiny_metadata: pd.DataFrame):
    tiny_metadata.loc[4, "image_id"] = "ISIC_01"
    with pytest.raises(DatasetError, match=r"row 6: image_id ISIC_01 stands twice"):
        check_metadata(tiny_metadata, source="table.csv")


def test_images_are_found_in_either_part(tmp_path: Path):
    for folder, name in (("HAM10000_images_part_1", "ISIC_1.jpg"), ("HAM10000_images_part_2", "ISIC_2.jpg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    (tmp_path / "ISIC_3.jpg").touch()
    (tmp_path / "ISIC_5.JPG").touch()
    (tmp_path / "ISIC_6.jpeg").touch()
    assert image_path(tmp_path, "ISIC_5") == tmp_path / "ISIC_5.JPG"
    (tmp_path / "ISIC_7.png").touch()
    assert image_path(tmp_path, "ISIC_7") == tmp_path / "ISIC_7.png"
    assert image_path(tmp_path, "ISIC_6") == tmp_path / "ISIC_6.jpeg"
    assert image_path(tmp_path, "ISIC_1") == tmp_path / "HAM10000_images_part_1" / "ISIC_1.jpg"
    assert image_path(tmp_path, "ISIC_2") == tmp_path / "HAM10000_images_part_2" / "ISIC_2.jpg"
    assert image_path(tmp_path, "ISIC_3") == tmp_path / "ISIC_3.jpg"
    assert image_path(tmp_path, "ISIC_4") is None


@pytest.mark.parametrize("image_id", ["../secret", "..\\secret", "/secret", "a\0b"])
def test_an_id_of_a_table_names_no_file_elsewhere(tmp_path: Path, image_id: str):
    for folder in (tmp_path / "HAM10000_images_part_1", tmp_path / MASK_FOLDER):
        folder.mkdir()
    for name in ("secret.jpg", "secret_segmentation.png"):
        (tmp_path / name).touch()
    assert image_path(tmp_path, image_id) is None and mask_path(tmp_path, image_id) is None


def test_counts_worked_out_by_hand(tiny_metadata: pd.DataFrame):
    counts = count_images_and_lesions(tiny_metadata)
    assert tuple(counts.columns) == (*COUNTED_COLUMNS, "images", "lesions")
    assert counts["images"].sum() == 10
    assert counts["lesions"].sum() == 8
    nevi = counts[counts["dx"] == "nv"].set_index("dx_type")
    assert nevi.loc["histo", ["images", "lesions"]].tolist() == [2, 1]
    assert nevi.loc["follow_up", ["images", "lesions"]].tolist() == [1, 1]
    assert np.isnan(nevi.loc["follow_up", "age"])
    # One lesion, photographed at 65 and at 70 years, counts as a lesion where its first image stands.
    keratosis = counts[counts["dx"] == "bkl"].set_index("age")
    assert keratosis["images"].to_dict() == {65.0: 1, 70.0: 1}
    assert keratosis["lesions"].to_dict() == {65.0: 1, 70.0: 0}


def test_counting_an_empty_table_gives_no_rows(tiny_metadata: pd.DataFrame):
    assert len(count_images_and_lesions(tiny_metadata.iloc[:0])) == 0


def test_the_committed_counts_add_up_to_the_published_numbers():
    counts = load_counts()
    assert counts["images"].sum() == 10_015
    assert counts["lesions"].sum() == 7_470
    # Class sizes of the dataset, doi:10.1038/sdata.2018.161.
    published = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
    assert counts.groupby("dx")["images"].sum().to_dict() == published
    assert counts.loc[counts["age"].isna(), "images"].sum() == 57
    assert set(counts["dx"]) == set(SKIN.codes)
    assert not counts.duplicated(list(COUNTED_COLUMNS)).any()


def test_the_committed_counts_are_what_the_dataset_gives(ham10000_folder: Path):
    metadata = load_metadata(ham10000_folder)
    assert (len(metadata), metadata["lesion_id"].nunique(), int(metadata["age"].isna().sum())) == (10_015, 7_470, 57)
    pd.testing.assert_frame_equal(count_images_and_lesions(metadata), load_counts())


def test_every_tenth_image_of_the_dataset_is_found(ham10000_folder: Path):
    image_ids = load_metadata(ham10000_folder)["image_id"][::10]
    assert all(image_path(ham10000_folder, image_id) is not None for image_id in image_ids)


def test_the_command_writes_the_counts(
    tmp_path: Path, tiny_metadata: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tiny_metadata.to_csv(tmp_path / "HAM10000_metadata.csv", index=False)
    output = tmp_path / "counts.csv"
    monkeypatch.setattr(sys, "argv", ["ham10000", "--dataset", str(tmp_path), "--output", str(output)])
    ham10000.main()
    assert "10 images, 8 lesions" in capsys.readouterr().out
    pd.testing.assert_frame_equal(load_counts(output), count_images_and_lesions(tiny_metadata))
