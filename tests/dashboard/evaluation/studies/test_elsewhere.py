"""A clinic's images next to the locked test on Evaluation, and the pages of the model that was recalibrated on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.evaluation.studies.elsewhere_tables import beside_frame
from dashboard.evaluation.studies.elsewhere_wording import difference
from dashboard.shell.glossary import metric_of
from data.tasks.skin import SKIN
from model.inference.artifact import load_artifact, write_section
from model.studies.clinics.derived import write_derived
from model.studies.clinics.recalibration import Recalibration
from model.studies.external import validate
from tests.support.artifacts import made_up_clinic
from tests.support.dashboard import EXPORTED_STUDIES, environment, run_evaluation, run_page, shown_text, write_artifact

NAME = "Our clinic"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A made-up model that was measured on a clinic, and the one that was recalibrated on it."""
    folder = tmp_path_factory.mktemp("recalibrated")
    stands = load_artifact(write_artifact(folder / "stands", [*EXPORTED_STUDIES, "gate", "robustness", "heatmaps"]))
    images = made_up_clinic(stands, 400, too_sure=3.0, malignant=0.3)
    entry, recalibration = validate(NAME, images, stands)
    assert isinstance(recalibration, Recalibration)
    write_derived(NAME, images, stands, recalibration, "python -m model.studies.external", folder / "ours")
    write_section(folder / "stands", "external", [entry])
    return folder / "stands", folder / "ours"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path]) -> Iterator[AppTest]:
    with environment(monkeypatch, MODEL_DIR=folders[0]):
        yield run_page("evaluation", section="other-clinics")


def test_every_metric_stands_next_to_the_locked_test(measured: AppTest) -> None:
    assert not measured.exception
    text = shown_text(measured)
    assert f"{NAME}" in text and "400 images of 400 lesions, model made-up 0.1" in text
    for shown in (
        "locked test",
        "Balanced accuracy",
        "Sensitivity, malignant images, end to end",
        "Melanoma (mel): auroc",
    ):
        assert shown in text
    assert "n = 63" in text  # the locked test
    assert "Answered images: reference and prediction" in text


def test_it_is_said_whether_the_recalibration_helps_and_how_to_run_it(measured: AppTest) -> None:
    text = shown_text(measured)
    assert "Recalibrated on half of these images" in text and "The recalibration helps here" in text
    assert "Log loss" in text
    assert "python -m model.studies.external --images FOLDER" in measured.code[0].value


def test_pages_of_the_recalibrated_model_speak_for_it(
    monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path]
) -> None:
    with environment(monkeypatch, MODEL_DIR=folders[1]):
        sections, about = run_evaluation(), run_page("about")
    assert not any(page.exception for page in (*sections.values(), about))
    assert "made-up 0.1, Our clinic" in shown_text(sections["summary"])
    calibration = shown_text(sections["calibration"])
    assert "calibrated for Our clinic (" in calibration and "The probabilities are made for Our clinic" in calibration
    assert "Our clinic, the half chosen on" in calibration
    assert "Our clinic, the half not chosen on" in shown_text(sections["other-clinics"])
    # What was measured of the other model, by a study that takes images, is not said of this one.
    assert "Not measured for this model yet" in shown_text(sections["robustness"])
    card = shown_text(about)
    assert "the networks are those of made-up 0.1, unchanged" in card and "Places other than Our clinic" in card
    assert "out-of-fold predictions** (every image" not in card


def test_a_difference_says_why_it_has_no_interval() -> None:
    share = metric_of("sensitivity", SKIN)
    told = {"difference": 0.028, "difference_low": -0.089, "difference_high": 0.058}
    assert difference(told, share) == ("+2.8 points", "-8.9 to +5.8")
    assert difference({**told, "difference_low": math.nan, "difference_high": math.nan}, share) == (
        "+2.8 points",
        "too few to say",
    )
    assert difference(dict.fromkeys(told, math.nan), share) == ("–", "")


def test_sources_whose_labels_do_not_tell_every_class_have_no_rows_beside_the_locked_test() -> None:
    assert beside_frame([{"name": "a clinic"}]).empty
    assert "metric" in beside_frame([]).columns
