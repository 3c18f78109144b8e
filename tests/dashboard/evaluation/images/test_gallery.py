"""Images behind the figures of the Evaluation page under AppTest: chosen in the list, with and without a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.evaluation import errors
from dashboard.evaluation.images import wording
from dashboard.evaluation.images.groups import image_key
from dashboard.evaluation.images.rows import row_button
from dashboard.resources import answers, dataset
from dashboard.review import wording as review_wording
from data.tasks.skin import SKIN
from tests.support.dashboard import (
    EXPORTED_STUDIES,
    ROOT,
    TIMEOUT,
    environment,
    made_up_predictions,
    run_page,
    shown_text,
    write_artifact,
    write_dataset,
)

LIST = "evaluation_images_errors"


def write_test_images(folder: Path) -> Path:
    """A dataset folder with an image file for every made-up test image."""
    write_dataset(folder)
    for image_id in made_up_predictions()["image_id"]:
        Image.new("RGB", (96, 72), (120, 110, 100)).save(folder / "images" / f"{image_id}.jpg")
    return folder


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    folder = write_artifact(tmp_path / "model", EXPORTED_STUDIES)
    monkeypatch.setattr(dataset, "LOCAL", tmp_path / "local")
    with environment(monkeypatch, MODEL_DIR=folder):
        yield folder


@pytest.fixture
def dataset_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    model, folder = write_artifact(tmp_path / "model", EXPORTED_STUDIES), write_test_images(tmp_path / "data")
    monkeypatch.setattr(dataset, "LOCAL", tmp_path / "local")
    with environment(monkeypatch, MODEL_DIR=model, DATASET_DIR=folder):
        yield folder


def chosen(section: str, key: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / "evaluation.py"), default_timeout=TIMEOUT)
    page.query_params["section"] = section
    # As a click would: the list offers a single image only once it is chosen.
    page.session_state[f"evaluation_images_{section}"] = key
    page.run()
    assert not page.exception
    return page


def commonest_error() -> tuple[str, str, int]:
    rows = made_up_predictions()
    wrong = rows[rows["dx"] != rows["prediction"]]
    (true, predicted), *_ = wrong.value_counts(["dx", "prediction"]).index
    return true, predicted, int(((rows["dx"] == true) & (rows["prediction"] == predicted)).sum())


def test_without_a_dataset_the_rows_stand_without_pictures(model: Path) -> None:
    true, predicted, images = commonest_error()
    page = chosen("errors", f"{true}:{predicted}")
    text = shown_text(page)
    assert f"**{true} taken for {predicted}: {images} images of" in text.replace("1 images", "1 image")
    assert wording.NO_PICTURES in text and not page.get("image")
    rows = made_up_predictions()
    ids = rows.loc[(rows["dx"] == true) & (rows["prediction"] == predicted), "image_id"]
    assert all(image_id in text for image_id in ids)


@pytest.mark.parametrize(("section", "key"), [("calibration", "positive:0"), ("subgroups", "site:face")])
def test_bins_and_subgroups_show_theirs(dataset_folder: Path, section: str, key: str) -> None:
    page = chosen(section, key)
    assert 0 < len(page.get("image")) <= 12


def test_images_are_shown_a_page_at_a_time_with_a_way_to_review(dataset_folder: Path) -> None:
    page = chosen("subgroups", "dx_type:histo")
    assert len(page.get("image")) == 12
    links = page.get("page_link")
    assert {link.proto.label for link in links} == {wording.OPEN} and len(links) == 12
    assert links[0].proto.query_string.startswith("image=ISIC_")
    kept = list((dataset_folder.parent / "local" / "thumbnails").glob("*.jpg"))
    assert len(kept) == 12


def test_a_missing_file_is_said(dataset_folder: Path) -> None:
    for path in (dataset_folder / "images").glob("ISIC_4*.jpg"):
        path.unlink()
    dataset._thumbnail.clear()
    page = chosen("errors", image_key("ISIC_410"))
    assert wording.NO_FILE in shown_text(page) and not page.get("image")


def test_a_click_is_the_cell_or_the_image_under_it(model: Path) -> None:
    assert errors.cell_of({"point_index": 4 * 7 + 5}) == "mel:nv"
    melanomas = made_up_predictions().query("dx == 'mel'")["image_id"]
    assert errors.image_of({"curve_number": 4, "point_index": 2}) == image_key(melanomas.iloc[2])


def test_the_list_can_be_cleared(dataset_folder: Path) -> None:
    page = chosen("errors", image_key("ISIC_410"))
    assert len(page.get("image")) == 1
    page.selectbox(key=LIST).set_value(None).run()
    assert not page.get("image") and not page.exception


# --- Review ----------------------------------------------------------------------------------------------------------


def test_review_opens_the_image_that_the_address_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_test_images(tmp_path / "data")
    with environment(monkeypatch, DATASET_DIR=folder, DATABASE_URL=f"sqlite:///{tmp_path / 'cases.db'}"):
        page = run_page("review", image="ISIC_410")
        next(one for one in page.button if one.label == review_wording.INTENDED_USE_BUTTON).click().run()
        (upload,) = page.session_state["review_uploads"]
        assert upload.name == "ISIC_410.jpg"
        assert upload.content == (folder / "images" / "ISIC_410.jpg").read_bytes()
        # The answer has been seen beside the image; the address is free for the next one.
        assert upload.content_sha256 in page.session_state["review_seen_answers"]
        assert "image" not in page.query_params


def test_review_says_where_there_is_no_such_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, DATABASE_URL=f"sqlite:///{tmp_path / 'cases.db'}"):
        page = run_page("review", image="../../etc/passwd")
        next(one for one in page.button if one.label == review_wording.INTENDED_USE_BUTTON).click().run()
        assert review_wording.NO_SUCH_IMAGE in [info.value for info in page.info] and not page.exception


def test_heatmap_of_an_image_that_gets_no_answer_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A plain grey image is refused by the quality gate of the committed model.
    with environment(monkeypatch, DATASET_DIR=write_test_images(tmp_path / "data")):
        assert answers.heatmap_thumbnail("ISIC_410", SKIN.gravest) is None


def test_the_name_of_a_subgroup_with_images_is_a_button_and_says_whether_they_are_shown(model: Path) -> None:
    text = shown_text(chosen("subgroups", "sex:female"))
    for key, name, is_pressed in (("sex:female", "Female", "true"), ("site:face", "face", "false")):
        button = f'value="subgroups {key}" aria-label="{name}: show the images" aria-pressed="{is_pressed}">{name}</'
        assert button in text
    # Nobody of the made-up images is under 30.
    assert "age:under 30" not in text and "<span" in text and "under 30" in text


def test_a_row_is_no_markup() -> None:
    button = row_button("subgroups", 'site:"><script>', "<b>", is_chosen=False)
    assert "<script>" not in button and "<b>" not in button
