"""The About page shows what the manifest says."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.evaluation.studies.trust_wording import STUDIES, not_measured, study_of
from dashboard.resources import models
from dashboard.shell.formats import percent
from data.tasks.skin import SKIN
from tests.support.dashboard import EXPORTED_STUDIES, LATER_STUDIES, environment, run_page, shown_text, write_artifact

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> AppTest:
    folder = write_artifact(tmp_path_factory.mktemp("artifact"), [*EXPORTED_STUDIES, *LATER_STUDIES])
    with pytest.MonkeyPatch.context() as monkeypatch, environment(monkeypatch, MODEL_DIR=folder):
        return run_page("about")


def test_card_comes_from_the_manifest() -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "about.py"), default_timeout=30).run()
    assert not page.exception
    manifest = models.artifact().manifest
    text = shown_text(page)
    assert f"{manifest['metrics']['images']:,} images of {manifest['metrics']['lesions']:,} lesions" in text
    assert manifest["files"]["model.tflite"]["sha256"] in text
    assert "not a medical device" in text and "CC BY-NC 4.0" in text
    value = manifest["metrics"]["balanced_accuracy"]["value"]
    assert page.dataframe[0].value.iloc[0, 1].startswith(f"{percent(value)} (")
    # Networks differ in their epochs, and the quality check looks at the first member alone.
    for epochs in manifest["training"]["epochs_by_fold"].values():
        assert ", ".join(f"{phase} {number}" for phase, number in epochs.items()) in text
    first_fold = manifest["quality"]["chosen_on"][1]
    assert f"{first_fold['images']:,} images of {first_fold['lesions']:,} lesions (out of fold)" in text
    assert f"`{manifest['created']['commit'].split()[0][:12]}`" in text


def test_training_is_told_in_words(page: AppTest) -> None:
    assert not page.exception
    text = " ".join(shown_text(page).split())
    assert "100 images of 90 lesions in training" in text
    assert "2 networks, each trained without one of the folds" in text
    assert "head 1, low resolution 3; the weights of a network are the mean of its last 3" in text
    assert "two more losses teach the network where the lesion is" in text and "(weights 0.5 and 0.25)" in text
    assert "out-of-fold predictions** (every image" in text and "120 images of 80 lesions" in text
    assert "validation images" not in text


def test_studies_are_told_with_worst_and_best(page: AppTest) -> None:
    text = shown_text(page)
    assert "least for melanoma, 68 % (58 to 78 %, n = 9)" in text
    assert "lowest for site face, 0.60 (0.50 to 0.70, n = 40); highest for sex female" in text
    assert "the most decisions flip under: strong JPEG (quality 20), 10.0 % (9.0 to 11.0 %, n = 42)" in text
    assert "lowest under: dark hair, 50 % (40 to 60 %) instead of 80 % (70 to 90 %)" in text
    assert "Grad-CAM overlaps the lesion more" in text
    assert "at random, 14 %" in text
    assert "Refused: locked test 3 % (2 to 4 %, n = 40); photographs 98 % (97 to 99 %, n = 40)." in text


def test_what_was_not_tested_is_listed(page: AppTest) -> None:
    text = shown_text(page)
    for gap in ("Skin types", "Other clinics and devices", "Phone photographs", "outside the seven", "Use in practice"):
        assert f"- **{gap}" in text or f"**Diagnoses {gap}" in text


def test_study_that_was_not_run_names_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path)):
        text = shown_text(run_page("about"))
    for study in LATER_STUDIES:
        assert f"- **{study_of(SKIN, study).heading}:** {not_measured(STUDIES[study].command)}" in text
