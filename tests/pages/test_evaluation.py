"""The Evaluation page under AppTest, on a made-up artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.evaluation.tables import summary_metrics
from dashboard.evaluation.trust_wording import SECTIONS, not_measured, section_of
from dashboard.shell import errors
from dashboard.shell.glossary import METRIC_NAMES, metric_of
from data.tasks.known import TASKS
from data.tasks.skin import SKIN
from model.inference.artifact import TEST_PREDICTIONS_FILE, ArtifactMismatch
from tests.support.dashboard import (
    EXPORTED_STUDIES,
    LATER_STUDIES,
    environment,
    made_up_predictions,
    run_page,
    shown_text,
    write_artifact,
)


@pytest.fixture(scope="module")
def studied_page(tmp_path_factory: pytest.TempPathFactory) -> AppTest:
    """The page of an artifact on which every study was run, to be read only."""
    folder = write_artifact(tmp_path_factory.mktemp("artifact"), [*EXPORTED_STUDIES, *LATER_STUDIES])
    with pytest.MonkeyPatch.context() as monkeypatch, environment(monkeypatch, MODEL_DIR=folder):
        return run_page("evaluation")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AppTest]:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path)):
        yield run_page("evaluation")


def test_page_names_model_and_data(studied_page: AppTest) -> None:
    assert not studied_page.exception
    text = shown_text(studied_page)
    images, lesions = len(made_up_predictions()), made_up_predictions()["lesion_id"].nunique()
    assert f"locked test lesions of HAM10000, {images} images, {lesions} lesions" in text
    assert "made-up 0.1" in text


def test_summary_has_value_interval_n_and_explanation(studied_page: AppTest) -> None:
    names = [*summary_metrics(SKIN), "calibration_error"]  # once more in the section on calibration
    assert [metric.label for metric in studied_page.metric] == [metric_of(name, SKIN).name for name in names]
    for metric, name in zip(studied_page.metric, names, strict=True):
        assert metric.help == metric_of(name, SKIN).tooltip
    assert shown_text(studied_page).count(", n = 63") == len(names)
    # ROC, confusion; reliability twice, coverage, set sizes, flips, similar cases; three training curves.
    assert len(studied_page.get("plotly_chart")) == 2 + 6 + 3


def test_threshold_starts_at_the_stored_operating_point(studied_page: AppTest) -> None:
    assert studied_page.slider(key="evaluation_threshold").value == 0.25


def test_slider_moves_the_table(page: AppTest) -> None:
    page.slider(key="evaluation_threshold").set_value(0.0).run()
    assert "27 of 27 malignant" in shown_text(page)
    assert "0 of 36 benign" in shown_text(page)
    page.slider(key="evaluation_threshold").set_value(1.0).run()
    assert "0 of 27 malignant" in shown_text(page)
    assert not page.exception
    next(button for button in page.button if button.label.startswith("for 95")).click().run()
    assert page.slider(key="evaluation_threshold").value == 0.25


def test_prevalence_changes_only_what_it_should(page: AppTest) -> None:
    page.slider(key="evaluation_threshold").set_value(0.0).run()
    page.slider(key="evaluation_prevalence").set_value(0.1).run()
    assert "1,000 flagged" in shown_text(page)
    assert "PPV at 10.0 %" in shown_text(page)


def test_one_class_against_the_rest_starts_anew(page: AppTest) -> None:
    page.selectbox(key="evaluation_question").select("mel").run()
    assert page.slider(key="evaluation_threshold").value == 0.5
    assert page.slider(key="evaluation_prevalence").value == pytest.approx(9 / 63, abs=1e-3)
    assert "of 9 mel" in shown_text(page)
    assert not page.exception


def test_curves_and_confusion_can_be_chosen(page: AppTest) -> None:
    page.pills(key="evaluation_curves").set_value(["mel", "nv"]).run()
    page.segmented_control(key="evaluation_confusion").set_value("counts").run()
    assert not page.exception


def test_changed_predictions_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (write_artifact(tmp_path) / TEST_PREDICTIONS_FILE).open("a", encoding="utf-8") as file:
        file.write("\n")
    with environment(monkeypatch, MODEL_DIR=tmp_path):
        page = run_page("evaluation")
    assert "has changed since it was exported" in page.error[0].value
    assert errors.ERRORS[ArtifactMismatch].still_works in page.error[0].value
    assert not page.exception


def test_missing_model_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=tmp_path):
        page = run_page("evaluation")
    assert "expected manifest.json" in page.error[0].value
    assert not page.exception


def test_every_study_has_its_section(studied_page: AppTest) -> None:
    headings = [heading.value for heading in studied_page.header]
    assert headings[1:-1] == [section_of(SKIN, key).heading for key in SECTIONS]
    text = shown_text(studied_page)
    assert "Not measured" not in text
    for shown in (
        "calibrated for nobody",  # calibration
        "In use: class-conditional",  # sets, chosen on
        "out-of-fold predictions (2 folds), 120 images, 80 lesions",
        "under 30",  # subgroups, one of them too small
        "too few for every rate: age under 30.",
        "Strong JPEG (quality 20)",  # robustness
        "photographs",  # what is refused
        "Centred Gaussian",  # heatmaps, and what they mean
        "overlaps the lesion more (IoU +0.25",
        "at random",  # similar cases
    ):
        assert shown in text


def test_estimates_of_the_studies_have_interval_and_n(studied_page: AppTest) -> None:
    text = shown_text(studied_page)
    assert "88 % <small>78 to 98 %</small>" in text  # coverage of all images
    assert '70 %<br><small style="margin: 0">60 to 80 %</small>' in text  # balanced accuracy of a subgroup
    assert "n = 40 (20 / 15)" in text
    assert "10.0 % <small>9.0 to 11.0 %</small>" in text  # decisions that flip


def test_studies_can_be_downloaded(studied_page: AppTest) -> None:
    names = [button.proto.id.rsplit("-", 1)[-1] for button in studied_page.get("download_button")]
    studies = ("reliability", "sets", "sets_tried", "subgroups", "robustness", "gate", "heatmaps", "retrieval")
    assert {f"{study}_csv" for study in studies} <= set(names)


def test_robustness_is_sorted_by_decisions_that_flip(studied_page: AppTest) -> None:
    text = shown_text(studied_page)
    assert text.index("Unperturbed") < text.index("Strong JPEG") < text.index("Dark hair")


def test_study_that_was_not_run_names_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # No artifact is loaded without prediction sets.
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path, ["conformal"])):
        page = run_page("evaluation")
    assert not page.exception
    missing = [section for study, section in SECTIONS.items() if study != "conformal"]
    shown = [text for text in shown_text(page).splitlines() if text.startswith("Not measured")]
    assert shown == [not_measured(section.command) for section in missing]


def test_training_curves_speak_of_networks_and_of_what_cannot_be_compared(studied_page: AppTest) -> None:
    text = shown_text(studied_page)
    assert "2 networks of 4 epochs; phases: head 256 x 192 px | low resolution 192 x 144 px" in text
    assert "cannot be compared directly" in text


def test_every_metric_explains_itself() -> None:
    for metric in (metric_of(name, task) for name in METRIC_NAMES for task in TASKS.values()):
        assert metric.sentence.endswith(".") and metric.formula
        assert "{" not in metric.name + metric.sentence + metric.formula
