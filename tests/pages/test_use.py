"""The Use page under AppTest, on a real SQLite log and a made-up artifact."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard.resources import stores
from dashboard.settings import settings
from dashboard.shell import identity
from dashboard.shell.glossary import metric_of
from dashboard.use import widgets, wording
from data.cases.case import LOCAL_ACTOR, Actor, Biopsy, Decision, Read
from data.cases.database import CaseLogUnavailable
from data.cases.labelled import labelled_zip
from data.cases.log import CaseLog
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from model.inference.artifact import MANIFEST_FILE, load_artifact
from tests.support.case_log import case_log_of, made_up_draft, made_up_image, made_up_refusal, made_up_result
from tests.support.dashboard import run_page, shown_text, write_artifact


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Settings with an empty log and a made-up artifact that has a reference for drift."""
    artifact = write_artifact(tmp_path / "artifact")
    manifest = json.loads((artifact / MANIFEST_FILE).read_text())
    confusion = [[10 if row == column else 0 for column in range(7)] for row in range(7)]
    manifest["out_of_fold_metrics"] = {"images": 70, "lesions": 60, "confusion": confusion}
    manifest["quality"] |= {"ood_quantiles": [number / 50 for number in range(101)], "blurred_share": 0.01}
    (artifact / MANIFEST_FILE).write_text(json.dumps(manifest))
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=artifact):
        yield tmp_path


def save(
    count: int, prediction: str, own: str | None, decision: str, biopsy: str | None = None, version: str = "0.1"
) -> None:
    """So many cases of lesions of their own in the log of the settings."""
    artifact_sha256 = load_artifact(settings().model_dir).weights_sha256
    probabilities = [0.9 if dx == prediction else 0.1 / 6 for dx in SKIN.codes]
    result = replace(made_up_result(probabilities), artifact_sha256=artifact_sha256, model_version=version)
    for number in range(count):
        draft = replace(
            made_up_draft(number),
            result=result,
            own_read=None if own is None else Read(own, "sure", "biopsy"),
            decision=Decision(decision, "biopsy", other=_other(decision)),
        )
        case = stores.case_log().save(replace(draft, case_id=uuid4()), made_up_image(), LOCAL_ACTOR)
        if biopsy is not None:
            stores.case_log().record_biopsy(
                case.case_id, Biopsy(biopsy, date(2026, 6, 2), other=_other(biopsy)), LOCAL_ACTOR
            )


def _other(dx: str) -> str:
    return "Merkel cell carcinoma" if dx == OTHER else ""


def sign_in(monkeypatch: pytest.MonkeyPatch, actor: Actor) -> None:
    monkeypatch.setattr(identity, "actor", lambda: actor)
    monkeypatch.setattr(widgets, "actor", lambda: actor)


def test_empty_log_says_what_to_do_first(folder: Path) -> None:
    page = run_page("use")
    assert not page.exception
    assert wording.empty_log(SKIN) in page.info[0].value and not page.metric


def test_case_that_cannot_be_read_is_in_no_figure_and_told(folder: Path) -> None:
    save(12, "mel", "mel", "mel")
    with stores.case_log()._database.writing() as session:
        session.execute(text("UPDATE cases SET dx = 'none' WHERE case_id = (SELECT min(case_id) FROM cases)"))
    page = run_page("use")
    assert [error.value for error in page.error] == [wording.unreadable(1)] and not page.exception
    assert "11" in shown_text(page)


def test_few_cases_make_no_rate(folder: Path) -> None:
    save(3, "mel", "nv", "mel")
    page = run_page("use")
    assert not page.exception
    assert [metric.value for metric in page.metric] == ["–"] * 4
    text = shown_text(page)
    assert "too few to say (3 lesions; 10 needed) · 0 of 3 cases, 3 lesions" in text
    assert SKIN.worded(wording.NO_BIOPSIES) in text and SKIN.worded(wording.NOTHING_LABELLED) in text
    assert not page.warning


def test_figures_have_interval_and_n(folder: Path) -> None:
    save(12, "mel", "nv", "mel", biopsy="mel")
    save(12, "nv", "nv", "nv", biopsy="nv")
    page = run_page("use")
    assert not page.exception
    assert [metric.label for metric in page.metric] == [metric_of(name, SKIN).name for name in widgets.HEADLINES]
    assert [metric.value for metric in page.metric] == ["50 %", "100 %", "50 %", "50 %"]
    for metric, name in zip(page.metric, widgets.HEADLINES, strict=True):
        assert metric.help == metric_of(name, SKIN).tooltip
    text = shown_text(page)
    assert "12 of 24 cases, 24 lesions" in text
    assert "saved cases with a biopsy result, all time: 24 cases, 24 lesions" in text
    assert wording.verification_bias(SKIN) in text
    assert "24 cases of 24 lesions with a biopsy result." in text
    # Rates, calibration, answers, distances.
    assert len(page.get("plotly_chart")) == 4


def test_reads_given_after_the_answer_are_said_to_be_left_out(folder: Path) -> None:
    save(12, "mel", "nv", "mel")
    draft = replace(made_up_draft(99), own_read=Read("nv", "sure", "biopsy", is_informed=True))
    stores.case_log().save(draft, made_up_image(), LOCAL_ACTOR)
    text = shown_text(run_page("use"))
    assert "1 own read was given after the answer had been shown and was left out of every comparison here." in text


def test_another_diagnosis_is_counted_as_such_and_left_out_of_rates_and_training_set(folder: Path) -> None:
    save(12, "mel", "nv", "mel", biopsy="mel")
    save(3, "nv", "nv", OTHER, biopsy=OTHER)
    text = shown_text(run_page("use"))
    assert wording.other_note(SKIN) in text and wording.other_biopsies(3, SKIN) in text
    assert "For another diagnosis" in text and "3 of 15" in text
    assert wording.labelled(12, 12, 0, 0, 3, SKIN) in text and "refused" not in text
    assert "Left out: 3 cases whose biopsy found another diagnosis than the seven." in text


def test_refused_cases_are_counted_and_no_more(folder: Path) -> None:
    save(12, "mel", "nv", "mel", biopsy="mel")
    refused = replace(made_up_draft(99), result=made_up_refusal())
    case = stores.case_log().save(refused, made_up_image(), LOCAL_ACTOR)
    stores.case_log().record_biopsy(case.case_id, Biopsy("mel", date(2026, 6, 2)), LOCAL_ACTOR)
    page = run_page("use")
    assert not page.exception
    text = shown_text(page)
    assert wording.refused(1, SKIN) in text and "0 of 12" in text
    assert "Left out: 1 case of images that the AI refused." in text


def test_drift_beyond_the_accepted_is_amber(folder: Path) -> None:
    save(40, "mel", "mel", "mel")
    page = run_page("use")
    assert not page.exception
    amber = [warning.value for warning in page.warning]
    assert len(amber) == 2  # answers, and distances: all cases lie at one distance
    assert amber[0].startswith("**Shift of answers above the accepted 10 %:** last 30 days 86 % (")
    assert "all time 86 %" in amber[0]
    assert "shifted, above 10 %" in shown_text(page)


def test_manifest_without_a_reference_says_so(folder: Path) -> None:
    path = folder / "artifact" / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    del manifest["out_of_fold_metrics"], manifest["quality"]["ood_quantiles"]
    path.write_text(json.dumps(manifest))
    save(2, "mel", "mel", "mel")
    page = run_page("use")
    assert not page.exception
    assert wording.NO_DISTANCES in shown_text(page) and wording.NO_ANSWERS in shown_text(page)


def test_model_and_period_can_be_chosen(folder: Path) -> None:
    save(11, "mel", "mel", "mel", version="0.1")
    save(5, "mel", "mel", "mel", version="0.2")
    page = run_page("use")
    assert page.selectbox(key="use_model").options == [wording.ALL_MODELS, "made-up 0.1", "made-up 0.2"]
    assert "saved cases, all time: 16 cases" in shown_text(page)
    page.selectbox(key="use_model").select("made-up 0.2").run()
    assert "saved cases, all time: 5 cases" in shown_text(page)
    page.segmented_control(key="use_period").set_value(wording.PERIODS[30]).run()
    assert not page.exception
    assert "saved cases, last 30 days: 5 cases" in shown_text(page)


def test_cases_of_another_task_than_the_models_are_left_out(folder: Path) -> None:
    for seed in range(12):
        stores.case_log().save(made_up_draft(seed, task=RETINA), made_up_image(), LOCAL_ACTOR)
    page = run_page("use")
    assert not page.exception and wording.empty_log(SKIN) in page.info[0].value
    save(11, "mel", "mel", "mel")
    assert "saved cases, all time: 11 cases, 11 lesions" in shown_text(run_page("use"))


def test_choice_without_cases_says_what_to_choose(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(1, "mel", "mel", "mel")
    table = widgets.use_table(stores.case_log().cases(widgets.CaseQuery(), LOCAL_ACTOR), SKIN)
    monkeypatch.setattr(widgets, "load_cases", lambda: table.assign(saved_at=table["saved_at"].map(_year_before)))
    page = run_page("use")
    page.segmented_control(key="use_period").set_value(wording.PERIODS[90]).run()
    assert not page.exception
    assert wording.NOTHING_FOUND in page.info[0].value


def _year_before(saved_at):  # type: ignore[no-untyped-def]
    return saved_at.replace(year=saved_at.year - 1)


def test_training_set_is_recorded_when_it_is_made(folder: Path) -> None:
    save(2, "mel", "mel", "mel", biopsy="mel")
    page = run_page("use")
    (button,) = [button for button in page.get("download_button") if button.proto.id.endswith("use_labelled_zip")]
    assert button.proto.label == wording.EXPORT_BUTTON and not button.proto.disabled
    log = stores.case_log()
    assert log.audit_entries(LOCAL_ACTOR, 1)[0].action != "export"
    with zipfile.ZipFile(io.BytesIO(labelled_zip(log, LOCAL_ACTOR, SKIN))) as archive:
        assert len(archive.namelist()) == 3
    assert log.audit_entries(LOCAL_ACTOR, 1)[0].action == "export"


def test_many_labelled_cases_are_for_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(2, "mel", "mel", "mel", biopsy="mel")
    monkeypatch.setattr(widgets, "MAX_ZIP_CASES", 1)
    page = run_page("use")
    (button,) = [button for button in page.get("download_button") if button.proto.id.endswith("use_labelled_zip")]
    assert button.proto.disabled
    assert wording.too_many(1) in shown_text(page)


def test_researcher_sees_figures_and_no_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(12, "mel", "mel", "mel", biopsy="mel")
    sign_in(monkeypatch, Actor("ren", LOCAL_ACTOR.organisation, "researcher"))
    page = run_page("use")
    assert not page.exception and not page.error
    assert page.metric[0].value == "100 %"
    assert wording.EXPORT_NOT_ALLOWED in shown_text(page)
    assert not [button for button in page.get("download_button") if button.proto.id.endswith("use_labelled_zip")]


def test_other_organisation_sees_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(12, "mel", "mel", "mel")
    sign_in(monkeypatch, Actor("ben", "Other clinic", "clinician"))
    assert wording.empty_log(SKIN) in run_page("use").info[0].value


def test_log_that_is_away_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object) -> None:
        raise CaseLogUnavailable("expected the database to answer; try again")

    monkeypatch.setattr(CaseLog, "cases", away)
    page = run_page("use")
    assert not page.exception and not page.metric
    assert "The case log cannot be reached" in page.error[0].value


def test_no_patient_and_no_user_on_the_page_or_in_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(12, "mel", "nv", "mel", biopsy="mel")
    with caplog.at_level(logging.DEBUG):
        page: AppTest = run_page("use")
    for secret in ("patient 0", "lesion_0.jpg", "note of case", LOCAL_ACTOR.name):
        assert secret not in shown_text(page) and secret not in caplog.text
