"""The Dataset page under AppTest: counts alone, with a dataset folder, and with one that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.answer.cohort import dropped
from dashboard.dataset import embedding, hovered
from dashboard.dataset import wording as dataset_wording
from dashboard.dataset.filters import FILTERS
from dashboard.dataset.widgets import IMAGES_PER_PAGE
from dashboard.resources import answers
from dashboard.shell import errors, formats
from data.datasets.appearance import load_appearance
from data.datasets.cohort import FACTS
from data.datasets.ham10000 import METADATA_FILE, DatasetError, load_counts
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from tests.support.dashboard import ROOT, TIMEOUT, environment, run_page, shown_text, write_artifact, write_dataset


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    with environment(monkeypatch):
        yield run_page("dataset")


def test_page_shows_the_whole_dataset_first(page: AppTest) -> None:
    assert not page.exception
    text = shown_text(page)
    assert "10,015 images · 7,470 lesions" in text
    assert "10.1038/sdata.2018.161" in text and "CC BY-NC 4.0" in text
    assert len(page.get("plotly_chart")) == 9
    assert (
        "images of the cohort with an outline of the lesion: 10,015" in text and text.count('class="lens-strip"') == 14
    )
    assert dataset_wording.no_dataset_folder(SKIN) in text


def test_filters_act_on_every_chart(page: AppTest) -> None:
    page.multiselect(key="dataset_dx").set_value(["mel"]).run()
    counts = load_counts()
    mel = counts[counts["dx"] == "mel"]
    expected = f"{mel['images'].sum():,} images · {mel['lesions'].sum():,} lesions"
    text = shown_text(page)
    assert text.count(f"HAM10000, filtered: {expected}") == 8  # the diagnosis chart still offers all
    assert f"with an outline of the lesion: {mel['images'].sum():,}" in text and text.count('class="lens-strip"') == 2
    assert not page.exception


def test_count_by_lesion_names_what_is_counted(page: AppTest) -> None:
    page.segmented_control(key="dataset_unit").set_value("lesions").run()
    assert "Lesions by diagnosis" in shown_text(page)
    assert not page.exception


def test_unknown_ages_can_be_left_out(page: AppTest) -> None:
    page.checkbox(key="dataset_keeps_unknown_age").uncheck().run()
    assert "9,958 images" in shown_text(page)


def test_share_by_site_is_offered(page: AppTest) -> None:
    page.segmented_control(key="dataset_share_group").set_value("localization").run()
    assert not page.exception


def test_of_a_dataset_folder_only_its_own_images_have_size_and_colour(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, measured = write_dataset(tmp_path, images=6), load_appearance()
    known = measured[measured["dx"] == "mel"]["image_id"].iloc[:2]
    table = pd.read_csv(folder / METADATA_FILE)
    table.loc[:1, "image_id"] = known.to_numpy()
    table.to_csv(folder / METADATA_FILE, index=False)
    with environment(monkeypatch, DATASET_DIR=folder):
        page = run_page("dataset")
    assert not page.exception and "images of the cohort with an outline of the lesion: 2" in shown_text(page)


def test_near_copies_are_listed_when_the_panel_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(monkeypatch):
        page = AppTest.from_file(str(ROOT / "pages" / "dataset.py"), default_timeout=TIMEOUT)
        page.session_state["dataset_copies"] = True
        page.run()
        assert not page.exception
        text = shown_text(page)
        assert "of them with two lesion ids." in text and "no: HAM_0000140, HAM_0004919" in text
        page.multiselect(key="dataset_dx").set_value(["vasc"]).run()
        assert "HAM_0000140" not in shown_text(page)


def test_empty_cohort_is_a_designed_state_and_reset_leaves_it(page: AppTest) -> None:
    page.multiselect(key="dataset_dx").set_value(["mel"]).run()
    page.multiselect(key="dataset_dx_type").set_value(["follow_up"]).run()
    text = shown_text(page)
    assert dataset_wording.EMPTY_COHORT_TITLE in text
    assert "0 images · 0 lesions" in text
    assert not page.get("plotly_chart") and not page.exception
    next(button for button in page.button if button.label == "Reset").click().run()
    assert "10,015 images" in shown_text(page)
    assert {key: page.session_state[key] for key in FILTERS} == FILTERS


def test_filters_outlive_a_run_in_which_they_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def script() -> None:
        import streamlit as st

        from dashboard.dataset import filters
        from dashboard.resources import dataset, models

        if st.checkbox("on this page", value=True):
            filters.cohort_filters(models.task(), dataset.counts())

    with environment(monkeypatch):
        page = AppTest.from_function(script, default_timeout=TIMEOUT).run()
        page.multiselect(key="dataset_dx").set_value(["bcc"]).run()
        page.slider(key="dataset_age").set_value((20, 60)).run()
        page.checkbox[0].uncheck().run()
        assert not page.multiselect
        page.checkbox[0].check().run()
    assert page.multiselect(key="dataset_dx").value == ["bcc"]
    assert page.slider(key="dataset_age").value == (20, 60)


def test_filters_stand_in_the_address(page: AppTest) -> None:
    assert page.query_params == {}
    page.multiselect(key="dataset_dx").set_value(["mel", "bcc"]).run()
    page.slider(key="dataset_age").set_value((20, 60)).run()
    page.checkbox(key="dataset_keeps_unknown_age").uncheck().run()
    page.segmented_control(key="dataset_unit").set_value("lesions").run()
    assert page.query_params == {"dx": ["mel", "bcc"], "age": "20-60", "unknown_age": "no", "count": "lesions"}
    next(button for button in page.button if button.label == "Reset").click().run()
    assert page.query_params == {"count": "lesions"}


def test_an_opened_address_filters_and_what_it_asks_in_vain_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(monkeypatch):
        page = AppTest.from_file(str(ROOT / "pages" / "dataset.py"), default_timeout=TIMEOUT)
        page.query_params.update({"dx": ["mel", "wart"], "sex": "male", "age": "7-9", "count": "lesions", "other": "1"})
        page.run()
        assert not page.exception
        assert page.multiselect(key="dataset_dx").value == ["mel"]
        assert page.segmented_control(key="dataset_unit").value == "lesions"
        counts = load_counts()
        kept = counts[(counts["dx"] == "mel") & (counts["sex"] == "male")]
        assert f"{kept['images'].sum():,} images · {kept['lesions'].sum():,} lesions" in shown_text(page)
        assert [info.value for info in page.info] == [dropped(["dx=wart", "age=7-9"])]
        assert page.query_params == {"dx": "mel", "sex": "male", "count": "lesions", "other": "1"}
        page.multiselect(key="dataset_dx").set_value(["nv"]).run()
        assert not page.info and page.query_params["dx"] == "nv"


def test_images_of_a_dataset_folder_are_paged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, DATASET_DIR=write_dataset(tmp_path, images=IMAGES_PER_PAGE + 6)):
        page = run_page("dataset")
        assert not page.exception
        text = shown_text(page)
        assert f"{IMAGES_PER_PAGE + 6} images · {IMAGES_PER_PAGE // 2 + 3} lesions" in text
        assert len(page.get("image")) == IMAGES_PER_PAGE
        page.multiselect(key="dataset_dx").set_value(["nv"]).run()
        assert len(page.get("image")) == IMAGES_PER_PAGE // 2 + 2  # one file of the folder is missing
        assert f"no readable file for ISIC_{IMAGES_PER_PAGE + 5:07d}" in shown_text(page)


@pytest.mark.parametrize("rests_on", ["nothing of the map", "a point"])
def test_the_image_of_a_point_of_the_map_is_shown_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rests_on: str
) -> None:
    with environment(monkeypatch, DATASET_DIR=write_dataset(tmp_path, images=6)):
        point = answers.neighbour_index().image_id[0] if rests_on == "a point" else rests_on
        monkeypatch.setattr(hovered, "_component", lambda: lambda **options: SimpleNamespace(point=point))
        # The folder holds none of the training images.
        monkeypatch.setattr(embedding, "MOST_DRAWN", 10_000)
        page = AppTest.from_file(str(ROOT / "pages" / "dataset.py"), default_timeout=TIMEOUT)
        page.session_state["dataset_map"] = True
        page.run()
        assert not page.exception and not page.error
        shows_hint = dataset_wording.HOVER_HINT in shown_text(page)
        assert shows_hint == (rests_on != "a point")
        assert (dataset_wording.no_readable_file(str(point)) in shown_text(page)) == (not shows_hint)


def test_an_image_opens_with_its_lesions_other_images_and_what_is_like_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with environment(monkeypatch, DATASET_DIR=write_dataset(tmp_path, images=6)):
        page = run_page("dataset")
        page.button(key="dataset_open_ISIC_0000002").click().run()
        assert not page.exception and not page.error
        text = shown_text(page)
        assert "96 x 72 px" in text and "Other images of this lesion** (1)" in text and "ISIC_0000003" in text
        # The model gives a grey image no answer.
        assert dataset_wording.NOTHING_LIKE_IT in text
        # The next step closes it.
        page.multiselect(key="dataset_dx").set_value(["mel"]).run()
        assert "Other images of this lesion" not in shown_text(page)


@pytest.mark.parametrize("content", [b"<html>moved</html>", b"", b"\xff\xd8\xff\xe0 cut short"])
def test_a_file_that_is_no_image_is_a_gap_and_the_page_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    folder = write_dataset(tmp_path, images=6)
    (folder / "images" / "ISIC_0000002.jpg").write_bytes(content)
    with environment(monkeypatch, DATASET_DIR=folder):
        page = run_page("dataset")
        assert not page.exception
        assert len(page.get("image")) == 4 and "no readable file for ISIC_0000002" in shown_text(page)


def test_unreadable_dataset_folder_is_explained_and_counts_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / METADATA_FILE).write_text("image_id,dx\nISIC_1,mel\n", encoding="utf-8")
    with environment(monkeypatch, DATASET_DIR=tmp_path):
        page = run_page("dataset")
    assert "missing lesion_id" in page.error[0].value
    assert errors.ERRORS[DatasetError].title in page.error[0].value
    assert page.error[0].value.endswith(dataset_wording.COUNTS_INSTEAD)
    assert "10,015 images" in shown_text(page)
    assert not page.exception


def test_wrong_setting_is_explained_by_the_frame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=tmp_path / "nowhere"):
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=TIMEOUT).run()
    assert "MODEL_DIR: expected an existing folder" in app.error[0].value
    assert formats.RESEARCH_USE in shown_text(app)
    assert not app.exception


def test_caption_says_unknown_for_what_is_missing() -> None:
    row = SimpleNamespace(dx="mel", dx_type="histo", age=float("nan"), sex="unknown", localization="unknown")
    caption = dataset_wording.image_caption(row, FACTS)
    assert caption.splitlines() == ["**mel** · histopathology  ", "age unknown, sex unknown, site unknown"]
    assert dataset_wording.image_caption(row, ()) == "**mel**"


def test_a_dataset_that_states_no_facts_has_no_filters_and_no_charts_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path, task=RETINA)):
        page = run_page("dataset")
        assert not page.exception and not page.error
        text = shown_text(page)
        assert "3,662 images · 3,534 eyes" in text and "30 of the 123 groups" in text
        assert [box.label for box in page.multiselect] == ["Grade"] and not page.slider
        # Grades, images of an eye, what was measured.
        assert len(page.get("plotly_chart")) == 3 and text.count('class="lens-strip"') == len(RETINA.codes)
        assert "Vision-threatening" in text and "488 of 3,662" in text
        drawn = text.replace(RETINA.dataset.source, "").replace("LesionLens", "")
        for absent in ("Age", " age", "sex", "Sex", "site", "onfirm", "lesion", "outline"):
            assert absent not in drawn, absent
        page.segmented_control(key="dataset_measure").set_value("lit").run()
        assert "a network could learn the frame instead of the eye" in shown_text(page) and not page.exception


def test_an_address_of_facts_that_the_dataset_does_not_state_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path, task=RETINA)):
        page = run_page("dataset", sex="female", dx="dr4")
        assert dropped(["sex=female"]) in page.info[0].value
        assert "295 images" in shown_text(page)
