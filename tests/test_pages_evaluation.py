"""The Evaluation page under AppTest, on a made-up artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_dashboard import environment, made_up_predictions, run_page, shown_text, write_artifact
from streamlit.testing.v1 import AppTest

from dashboard import wording
from model.artifact import TEST_PREDICTIONS_FILE


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AppTest]:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path)):
        yield run_page("evaluation")


def test_page_names_model_and_data(page: AppTest) -> None:
    assert not page.exception
    text = shown_text(page)
    images, lesions = len(made_up_predictions()), made_up_predictions()["lesion_id"].nunique()
    assert f"locked test lesions of HAM10000, {images} images, {lesions} lesions" in text
    assert "made-up 0.1" in text


def test_summary_has_value_interval_n_and_explanation(page: AppTest) -> None:
    assert [metric.label for metric in page.metric] == [wording.METRICS[name].name for name in wording.SUMMARY_METRICS]
    for metric, name in zip(page.metric, wording.SUMMARY_METRICS, strict=True):
        assert metric.help == wording.METRICS[name].tooltip
    assert shown_text(page).count("· n 63") == len(wording.SUMMARY_METRICS)
    assert len(page.get("plotly_chart")) == 5  # ROC, confusion, and three training curves


def test_threshold_starts_at_the_stored_operating_point(page: AppTest) -> None:
    assert page.slider(key="evaluation_threshold").value == 0.25


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
    assert wording.STILL_WORKS[wording.ArtifactMismatch] in page.error[0].value
    assert not page.exception


def test_missing_model_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=tmp_path):
        page = run_page("evaluation")
    assert "expected manifest.json" in page.error[0].value
    assert not page.exception


def test_every_metric_explains_itself() -> None:
    for metric in wording.METRICS.values():
        assert metric.sentence.endswith(".") and metric.formula
