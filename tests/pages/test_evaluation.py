"""The Evaluation page under AppTest, on a made-up artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.evaluation.sections import SECTIONS
from dashboard.evaluation.studies.trust_wording import STUDIES, not_measured, study_of
from dashboard.evaluation.tables import summary_metrics
from dashboard.resources import trained
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
    run_evaluation,
    run_page,
    shown_text,
    write_artifact,
)

Sections = dict[str, AppTest]


def text_of(sections: Sections) -> str:
    return "\n".join(map(shown_text, sections.values()))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Sections:
    """The sections for an artifact on which every study was run, to be read only."""
    folder = write_artifact(tmp_path_factory.mktemp("artifact"), [*EXPORTED_STUDIES, *LATER_STUDIES])
    with pytest.MonkeyPatch.context() as monkeypatch, environment(monkeypatch, MODEL_DIR=folder):
        # What was trained beside it is in tests/pages/test_trained.py.
        monkeypatch.setattr(trained, "read_table", lambda: ())
        monkeypatch.setattr(trained, "read_costs", lambda: ())
        return run_evaluation()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    folder = write_artifact(tmp_path)
    with environment(monkeypatch, MODEL_DIR=folder):
        yield folder


@pytest.fixture
def decisions(model: Path) -> AppTest:
    return run_page("evaluation", section="decisions")


def test_every_section_names_model_and_data(studied: Sections) -> None:
    images, lesions = len(made_up_predictions()), made_up_predictions()["lesion_id"].nunique()
    for section in SECTIONS:
        page = studied[section.key]
        assert not page.exception and not page.error
        text = shown_text(page)
        assert f"locked test lesions of HAM10000, {images} images, {lesions} lesions" in text
        assert "made-up 0.1" in text and SKIN.worded(section.question) in text


def test_one_section_is_drawn_at_a_time(studied: Sections) -> None:
    for page in studied.values():
        assert [tab.label for tab in page.tabs] == [section.title for section in SECTIONS]
    drawn = {key: len(page.get("plotly_chart")) for key, page in studied.items()}
    # ROC and precision-recall; the decision curve; reliability twice, coverage, set sizes; confusion and all images;
    # subgroups; flips; similar cases; three training curves.
    charts = {
        "discrimination": 2,
        "decisions": 1,
        "calibration": 4,
        "errors": 2,
        "subgroups": 1,
        "robustness": 1,
        "heatmaps": 1,
        "training": 3,
    }
    assert drawn == {section.key: charts.get(section.key, 0) for section in SECTIONS}


@pytest.mark.parametrize("address", [{}, {"section": "nothing"}])
def test_an_address_without_a_section_shows_the_summary(model: Path, address: dict[str, str]) -> None:
    page = run_page("evaluation", **address)
    assert len(page.metric) == len(summary_metrics(SKIN)) and not page.exception


def test_summary_has_value_interval_n_and_explanation(studied: Sections) -> None:
    names = [("summary", name) for name in summary_metrics(SKIN)] + [("calibration", "calibration_error")]
    metrics = [*studied["summary"].metric, *studied["calibration"].metric]
    for metric, (_, name) in zip(metrics, names, strict=True):
        assert (metric.label, metric.help) == (metric_of(name, SKIN).name, metric_of(name, SKIN).tooltip)
    text = shown_text(studied["summary"])
    assert text.count(", n = 63") == len(summary_metrics(SKIN))
    # Sixty-three images: no area has an interval, and the calibration error stands beside what chance gives.
    assert "too few to say, n = 63" in text and "if perfectly calibrated: " in text


def test_threshold_starts_at_the_stored_operating_point(studied: Sections) -> None:
    assert studied["decisions"].slider(key="evaluation_threshold").value == 0.25


def test_slider_moves_the_table(decisions: AppTest) -> None:
    decisions.slider(key="evaluation_threshold").set_value(0.0).run()
    assert "27 of 27 malignant" in shown_text(decisions)
    assert "0 of 36 benign" in shown_text(decisions)
    decisions.slider(key="evaluation_threshold").set_value(1.0).run()
    assert "0 of 27 malignant" in shown_text(decisions)
    assert not decisions.exception
    next(button for button in decisions.button if button.label.startswith("for 95")).click().run()
    assert decisions.slider(key="evaluation_threshold").value == 0.25


def test_prevalence_changes_only_what_it_should(decisions: AppTest) -> None:
    decisions.slider(key="evaluation_threshold").set_value(0.0).run()
    decisions.slider(key="evaluation_prevalence").set_value(0.1).run()
    text = shown_text(decisions)
    assert "PPV at 10.0 %" in text
    # All flagged: the 100 positives are found, the 900 others are excised for nothing.
    for name, count in (
        ("Flagged", "1,000"),
        ("Found: malignant and flagged", "100"),
        ("Missed: malignant and not flagged", "0"),
        ("Excisions for nothing: benign and flagged", "900"),
    ):
        assert f'{name}</span></th><td class="number">{count}</td>' in text
    assert "At a prevalence of 10.0 % (not that of the images measured)" in text


def test_prevalence_is_preset_to_that_of_the_test_and_says_so(studied: Sections) -> None:
    text = shown_text(studied["decisions"])
    assert studied["decisions"].slider(key="evaluation_prevalence").value == pytest.approx(27 / 63, abs=1e-3)
    assert "starts at the prevalence in the locked test: 42.9 % of the images" in text
    assert "At a prevalence of 42.9 % (as among the images measured)" in text


def test_a_weight_implies_a_threshold_and_sets_it(decisions: AppTest) -> None:
    # The stored operating point of 25 % is that of who takes one missed image for three unneeded excisions.
    assert decisions.number_input(key="evaluation_weight").value == 3
    assert decisions.button(key="evaluation_set_implied").disabled
    decisions.number_input(key="evaluation_weight").set_value(9).run()
    decisions.button(key="evaluation_set_implied").click().run()
    assert decisions.slider(key="evaluation_threshold").value == 0.1
    assert not decisions.exception


def test_net_benefit_of_acting_on_all_is_worked_out_by_hand(decisions: AppTest) -> None:
    decisions.slider(key="evaluation_prevalence").set_value(0.1).run()
    decisions.number_input(key="evaluation_weight").set_value(19).run()
    decisions.slider(key="evaluation_threshold").set_value(0.0).run()
    # 100 found, 900 for nothing at 1 / 19 each: 52.6.
    text = shown_text(decisions)
    assert 'Act on every image</span></th><td class="number">53</td>' in text
    assert 'Act on what is flagged at 0.0 %</span></th><td class="number">53</td>' in text
    assert "cannot be told from these images" in text


def test_one_class_against_the_rest_starts_anew(decisions: AppTest) -> None:
    decisions.selectbox(key="evaluation_question").select("mel").run()
    assert decisions.slider(key="evaluation_threshold").value == 0.5
    assert decisions.slider(key="evaluation_prevalence").value == pytest.approx(9 / 63, abs=1e-3)
    assert "of 9 mel" in shown_text(decisions)
    assert not decisions.exception


def test_curves_and_confusion_can_be_chosen(model: Path) -> None:
    curves, errors_section = run_page("evaluation", section="discrimination"), run_page("evaluation", section="errors")
    curves.pills(key="evaluation_curves").set_value(["mel", "nv"]).run()
    errors_section.segmented_control(key="evaluation_confusion").set_value("counts").run()
    assert not curves.exception and not errors_section.exception


def test_threshold_is_marked_on_the_curve(model: Path) -> None:
    page = run_page("evaluation", section="discrimination")
    drawn = page.get("plotly_chart")
    assert len(drawn) == 2 and all("threshold 25.0 % (malignant)" in one.proto.spec for one in drawn)


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


def test_every_study_stands_in_a_section(studied: Sections) -> None:
    headings = {heading.value for page in studied.values() for heading in page.header}
    assert headings >= {study_of(SKIN, key).heading for key in STUDIES}
    text = text_of(studied)
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
        "each answered by a network that was not trained on it, 8 images, 8 lesions",
        "too faint to see (at most 5 of 255 levels, 10 draws) changes the map by up to 6 % (4 to 8 %)",
        "and 1/2 of the backbone",  # randomised networks
        "last layer shuffled, so that it cannot tell one diagnosis from another",
        "at random",  # similar cases
    ):
        assert shown in text


def test_estimates_of_the_studies_have_interval_and_n(studied: Sections) -> None:
    text = text_of(studied)
    assert "88 % <small>78 to 98 %</small>" in text  # coverage of all images
    assert '70 %<br><small style="margin: 0">60 to 80 %</small>' in text  # balanced accuracy of a subgroup
    assert "n = 40 (20 / 15)" in text
    assert "10.0 % <small>9.0 to 11.0 %</small>" in text  # decisions that flip


def test_what_other_clinics_saw_is_counted_end_to_end(studied: Sections) -> None:
    text = text_of(studied)
    assert "60 images of 50 lesions, model made-up 1.0" in text
    assert "melanomas" in text and "77 % <small>67 to 87 %</small>" in text and "13 % <small>" in text
    assert "AUC, melanoma against the rest, refused images as if answered" in text
    assert "Coverage of the sets, melanomas" in text


def test_studies_can_be_downloaded(studied: Sections) -> None:
    names = [button.proto.id.rsplit("-", 1)[-1] for page in studied.values() for button in page.get("download_button")]
    studies = (
        "reliability",
        "sets",
        "sets_tried",
        "subgroups",
        "robustness",
        "gate",
        "external",
        "heatmaps",
        "heatmaps_randomised",
    )
    assert {"retrieval_csv", *(f"{study}_csv" for study in studies)} <= set(names)


def test_robustness_is_sorted_by_decisions_that_flip(studied: Sections) -> None:
    text = text_of(studied)
    assert text.index("Unperturbed") < text.index("Strong JPEG") < text.index("Dark hair")


def test_study_that_was_not_run_names_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # No artifact is loaded without prediction sets.
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path, ["conformal"])):
        sections = run_evaluation()
    assert not any(page.exception for page in sections.values())
    missing = [study for key, study in STUDIES.items() if key != "conformal"]
    shown = [text for text in text_of(sections).splitlines() if text.startswith("Not measured")]
    assert sorted(shown) == sorted(not_measured(study.command) for study in missing)


def test_training_curves_speak_of_networks_and_of_what_cannot_be_compared(studied: Sections) -> None:
    text = text_of(studied)
    assert "2 networks of 4 epochs; phases: head 256 x 192 px | low resolution 192 x 144 px" in text
    assert "cannot be compared directly" in text


def test_every_metric_explains_itself() -> None:
    for metric in (metric_of(name, task) for name in METRIC_NAMES for task in TASKS.values()):
        assert metric.sentence.endswith(".") and metric.formula
        assert "{" not in metric.name + metric.sentence + metric.formula
