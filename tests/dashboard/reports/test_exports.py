"""Exports: what the files hold, that nothing in them runs, and that each is in the audit trail before it is given."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import zipfile
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dashboard.reports import exports as case_exports
from dashboard.reports.exports import CSV_IN_ZIP, Selection
from dashboard.shell.formats import FORMULA_STARTS, plain_cell
from data.cases.case import LOCAL_ACTOR, Actor, Biopsy, Case, Decision, Lesion, Patient, Read
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, CaseNotFound, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import ImageAltered, ImageMissing, open_image_store
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER, Task
from model.analysis.case_record import recorded_analysis
from tests.support.case_log import KEY, made_up_draft, made_up_image, made_up_refusal, sample_result

# What others have built on: names and order stay as they are.
SKIN_COLUMNS = (
    "case_id", "saved_at", "saved_by", "organisation", "patient_reference", "age", "sex", "lesion_id", "site", "side",
    "note", "own_dx", "own_certainty", "own_plan", "dx", "plan", "reason", "biopsy_dx", "biopsy_reported_on",
    "biopsy_note", "akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "prediction", "p_malignant", "is_flagged",
    "threshold", "operating_point", "sensitivity", "specificity", "conformal_set", "conformal_level",
    "member_p_malignant", "population", "quality", "ood_score", "model_name", "model_version", "artifact_sha256",
    "preprocessing_version", "heatmap_method", "runtime_ms", "captured_name", "image_sha256", "image_width",
    "image_height", "own_is_informed", "own_other", "other", "biopsy_other",
    "refusal", "task",
)  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> CaseLog:
    return open_case_log(f"sqlite:///{tmp_path / 'cases.db'}", open_image_store(str(tmp_path / "images")), KEY.encode())


def saved(log: CaseLog, seed: int = 0, **changes: Any) -> Case:
    return log.save(replace(made_up_draft(seed), **changes), made_up_image(seed), LOCAL_ACTOR)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def everything(log: CaseLog, actor: Actor = LOCAL_ACTOR, task: Task = SKIN) -> Selection:
    return Selection(log, actor, task, CaseQuery())


def exports(log: CaseLog) -> list[dict[str, Any]]:
    return [json.loads(entry.details) for entry in log.audit_entries(LOCAL_ACTOR, 100) if entry.action == "export"]


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_csv_has_one_row_a_case_in_the_order_of_the_list(log: CaseLog) -> None:
    first, second = saved(log, 1), saved(log, 2)
    rows = rows_of(case_exports.export_csv(everything(log)))
    assert [row["case_id"] for row in rows] == [str(second.case_id), str(first.case_id)]
    assert {dx: float(rows[1][dx]) for dx in SKIN.codes} == dict(
        zip(SKIN.codes, first.result.probabilities, strict=True)
    )
    assert rows[1]["patient_reference"] == first.patient.reference
    assert rows[1]["own_dx"] == first.own_read.dx and rows[1]["dx"] == first.decision.dx
    assert rows[1]["biopsy_dx"] == ""


def test_csv_and_json_say_of_an_own_read_that_the_answer_had_been_shown(log: CaseLog) -> None:
    saved(log, 1, own_read=Read("nv", "sure", "biopsy", is_informed=True))
    saved(log, 2, own_read=Read("nv", "sure", "biopsy"))
    saved(log, 3, own_read=None)
    rows = rows_of(case_exports.export_csv(everything(log)))
    assert [row["own_is_informed"] for row in rows] == ["", "False", "True"]
    told = json.loads(case_exports.export_json(everything(log)))["cases"]
    assert [case["own_read"] and case["own_read"]["is_informed"] for case in told] == [None, False, True]


def test_csv_leaves_unknown_cells_empty_and_keeps_line_breaks(log: CaseLog) -> None:
    case = saved(log, patient=Patient(), own_read=None, lesion=Lesion(uuid4(), note='two\nlines, "quoted"'))
    log.record_biopsy(case.case_id, Biopsy("mel", date(2026, 2, 3), "Breslow 0.4 mm"), LOCAL_ACTOR)
    (row,) = rows_of(case_exports.export_csv(everything(log)))
    assert (row["age"], row["own_dx"], row["patient_reference"]) == ("", "", "")
    assert row["note"] == 'two\nlines, "quoted"'
    assert (row["biopsy_dx"], row["biopsy_reported_on"], row["biopsy_note"]) == ("mel", "2026-02-03", "Breslow 0.4 mm")


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_csv_runs_no_formula(log: CaseLog, start: str) -> None:
    saved(log, lesion=Lesion(uuid4(), note=f'{start}HYPERLINK("http://example.org")'), captured_name=f"{start}1.jpg")
    (row,) = rows_of(case_exports.export_csv(everything(log)))
    assert row["note"].startswith(f"'{start}") and row["captured_name"].startswith(f"'{start}")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        *(("a=1", "a=1"), ("", ""), (-0.5, -0.5), (True, True), ("-", "'-")),
        # Behind what splits cells in other languages.
        ("seen;=1+1", "seen;'=1+1"),
        ("seen;\t@SUM(A1)", "seen;\t'@SUM(A1)"),
        ("5 - 3; fine", "5 - 3; fine"),
    ],
)
def test_only_texts_that_begin_like_a_formula_are_changed(value: object, cell: object) -> None:
    assert plain_cell(value) == cell


def test_refused_case_has_empty_cells_and_its_reason(log: CaseLog) -> None:
    saved(log, result=made_up_refusal())
    (row,) = rows_of(case_exports.export_csv(everything(log)))
    of_an_answer = (*SKIN.codes, "prediction", "p_malignant", "is_flagged", "threshold", "sensitivity", "conformal_set",
                    "member_p_malignant", "population", "heatmap_method", "operating_point")  # fmt: skip
    assert {row[name] for name in of_an_answer} == {""}
    assert (row["refusal"], row["quality"], row["dx"] != "") == (
        "out_of_distribution",
        "out_of_distribution|blurred",
        True,
    )
    (kept,) = json.loads(case_exports.export_json(everything(log)))["cases"]
    assert kept["result"]["reason"] == "out_of_distribution" and "probabilities" not in kept["result"]


def test_another_diagnosis_stands_in_columns_of_its_own(log: CaseLog) -> None:
    case = saved(
        log,
        own_read=Read(OTHER, "sure", "biopsy", other="Spitz naevus"),
        decision=Decision(OTHER, "excision", other="=Merkel"),
    )
    log.record_biopsy(case.case_id, Biopsy(OTHER, date(2026, 3, 3), other="SCC"), LOCAL_ACTOR)
    (row,) = rows_of(case_exports.export_csv(everything(log)))
    assert (row["own_dx"], row["dx"], row["biopsy_dx"]) == (OTHER, OTHER, OTHER)
    assert (row["own_other"], row["other"], row["biopsy_other"]) == ("Spitz naevus", "'=Merkel", "SCC")
    (kept,) = json.loads(case_exports.export_json(everything(log)))["cases"]
    assert (kept["decision"]["dx"], kept["decision"]["other"], kept["biopsy"]["other"]) == (OTHER, "=Merkel", "SCC")


def test_csv_of_no_case_is_its_header(log: CaseLog) -> None:
    assert rows_of(case_exports.export_csv(everything(log))) == []
    assert case_exports.export_csv(everything(log)).decode("utf-8-sig").startswith("case_id,saved_at,")
    assert tuple(case_exports.export_csv(everything(log)).decode("utf-8-sig").strip().split(",")) == SKIN_COLUMNS


def test_selection_exports_the_named_cases_only(log: CaseLog) -> None:
    first, _, third = (saved(log, seed) for seed in range(3))
    selection = Selection(log, LOCAL_ACTOR, SKIN, CaseQuery(), (third.case_id, first.case_id))
    rows = rows_of(case_exports.export_csv(selection))
    assert [row["case_id"] for row in rows] == [str(third.case_id), str(first.case_id)]
    assert exports(log) == [{"what": "CSV", "case_ids": [str(third.case_id), str(first.case_id)]}]


def test_query_limits_what_is_exported(log: CaseLog) -> None:
    saved(log, 1)
    kept = saved(log, 2, captured_name="dorsal.jpg")
    (row,) = rows_of(case_exports.export_csv(Selection(log, LOCAL_ACTOR, SKIN, CaseQuery(text="DORSAL"))))
    assert row["case_id"] == str(kept.case_id)


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_holds_every_field_without_loss(log: CaseLog) -> None:
    case = saved(log, 3, result=replace(made_up_draft(3).result, evidence=b"\x00\xff", ood_score=math.nan))
    document = json.loads(case_exports.export_json(everything(log)))
    (told,) = document["cases"]
    assert document["dx_codes"] == list(SKIN.codes) and document["exported_by"] == LOCAL_ACTOR.name
    assert told["result"]["probabilities"] == list(case.result.probabilities)
    assert base64.b64decode(told["result"]["evidence"]) == b"\x00\xff"
    assert told["result"]["ood_score"] is None
    result = case.result
    assert (told["result"]["p_malignant"], told["result"]["member_p_malignant"]) == (
        result.p_positive, list(result.member_p_positive)
    )  # fmt: skip
    assert document["task"] == "skin" and not {"p_positive", "member_p_positive", "task"} & told["result"].keys()
    assert datetime.fromisoformat(told["saved_at"]) == case.saved_at
    assert told["lesion"]["lesion_id"] == str(case.lesion.lesion_id)
    assert told["biopsy"] is None and told["own_read"]["dx"] == case.own_read.dx


# --- Tasks -----------------------------------------------------------------------------------------------------------


def test_export_of_a_mixed_log_holds_one_task(log: CaseLog) -> None:
    mole = saved(log, 1)
    eye = log.save(made_up_draft(2, task=RETINA), made_up_image(2), LOCAL_ACTOR)
    for task, case in ((SKIN, mole), (RETINA, eye)):
        selection = everything(log, task=task)
        (row,) = rows_of(case_exports.export_csv(selection))
        assert (row["case_id"], row["task"]) == (str(case.case_id), task.key)
        assert tuple(float(row[code]) for code in task.codes) == case.result.probabilities
        assert float(row[task.question.column]) == case.result.p_positive
        document = json.loads(case_exports.export_json(selection))
        assert (document["task"], document["dx_codes"]) == (task.key, list(task.codes))
        archive = zipfile.ZipFile(io.BytesIO(case_exports.export_images(selection)))
        assert archive.namelist() == [f"{case.case_id}.png", CSV_IN_ZIP]
    assert not {"p_malignant", "mel"} & row.keys() and {"p_referable", "member_p_referable", "dr4"} <= row.keys()


@pytest.mark.parametrize("export", [case_exports.export_csv, case_exports.export_json, case_exports.export_images])
def test_named_cases_of_two_tasks_are_refused_in_plain_words(log: CaseLog, export: Any) -> None:
    mole = saved(log, 1)
    eye = log.save(made_up_draft(2, task=RETINA), made_up_image(2), LOCAL_ACTOR)
    both = Selection(log, LOCAL_ACTOR, SKIN, CaseQuery(), (mole.case_id, eye.case_id))
    with pytest.raises(ValueError, match="received cases of retina as well; export the cases of one task at a time"):
        export(both)
    assert exports(log) == []


# --- Images ----------------------------------------------------------------------------------------------------------


def test_zip_holds_the_images_by_case_id_and_the_csv(log: CaseLog) -> None:
    case = saved(log, 4)
    archive = zipfile.ZipFile(io.BytesIO(case_exports.export_images(everything(log))))
    assert archive.namelist() == [f"{case.case_id}.png", CSV_IN_ZIP]
    assert archive.read(f"{case.case_id}.png") == made_up_image(4).content
    (row,) = rows_of(archive.read(CSV_IN_ZIP))
    assert (row["image"], row["image_problem"]) == (f"{case.case_id}.png", "")


def test_one_image_that_cannot_be_read_does_not_stop_the_others(log: CaseLog) -> None:
    cases = [saved(log, seed) for seed in range(4)]
    errors = {cases[0].case_id: ImageMissing("gone"), cases[1].case_id: ImageAltered("other")}

    def image_of(case: Case) -> bytes:
        if case.case_id in errors:
            raise errors[case.case_id]
        return b"x" * 10

    archive = zipfile.ZipFile(io.BytesIO(case_exports.zip_of(cases, SKIN, image_of, max_bytes=15)))
    assert archive.namelist() == [f"{cases[2].case_id}.png", CSV_IN_ZIP]
    problems = [row["image_problem"] for row in rows_of(archive.read(CSV_IN_ZIP))]
    assert problems == ["missing", "altered since it was saved", "", "left out: the file would be too large"]


# --- One case --------------------------------------------------------------------------------------------------------


def test_pdf_and_fhir_of_one_case(log: CaseLog) -> None:
    case = saved(log, result=sample_result())
    analysis = recorded_analysis(case, log.image(case, LOCAL_ACTOR))
    assert case_exports.export_pdf(log, case, analysis, LOCAL_ACTOR).startswith(b"%PDF-")
    assert json.loads(case_exports.export_fhir(log, case, analysis, LOCAL_ACTOR))
    assert [one["what"] for one in exports(log)] == ["FHIR", "PDF"]


# --- Audit trail and rights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("export", [case_exports.export_csv, case_exports.export_json, case_exports.export_images])
def test_no_bytes_leave_where_the_export_cannot_be_written_down(
    log: CaseLog, monkeypatch: pytest.MonkeyPatch, export: Any
) -> None:
    saved(log)

    def away(*_: object) -> None:
        raise CaseLogUnavailable("expected the database to answer, received nothing")

    monkeypatch.setattr(log, "record_export", away)
    with pytest.raises(CaseLogUnavailable):
        export(everything(log))


def test_another_organisation_exports_nothing_of_ours(log: CaseLog) -> None:
    case = saved(log)
    stranger = Actor("eve", "elsewhere", "clinician")
    assert rows_of(case_exports.export_csv(everything(log, stranger))) == []
    with pytest.raises(CaseNotFound):
        case_exports.export_csv(Selection(log, stranger, SKIN, CaseQuery(), (case.case_id,)))


def test_researcher_gets_cases_without_names(log: CaseLog) -> None:
    saved(log)
    researcher = Actor("rita", LOCAL_ACTOR.organisation, "researcher")
    (row,) = rows_of(case_exports.export_csv(everything(log, researcher)))
    assert (row["patient_reference"], row["note"], row["captured_name"], row["saved_by"]) == ("", "", "", "")
