"""The Cases page under AppTest, with a real SQLite log, a folder of images and the committed model."""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text, update
from streamlit.testing.v1 import AppTest

from dashboard.answer import saved
from dashboard.answer.image_table import THUMBNAIL_SIDE
from dashboard.cases import case_table, thumbnails, wording
from dashboard.cases import opened as opened_case
from dashboard.cases import worklist as cases_widgets
from dashboard.cases.forms import NEW_LESION
from dashboard.cases.worklist import EVERY
from dashboard.resources import models, stores
from dashboard.shell import errors, times
from dashboard.shell.formats import escape, percent
from data.cases.case import LOCAL_ACTOR, Actor, Biopsy, Case, Decision, Lesion, Patient, Read
from data.cases.database import CaseLogReadOnly, CaseLogUnavailable
from data.cases.log import CaseLog, CaseNotFound
from data.cases.queries import CaseQuery
from data.cases.tables import CaseRow, CaseUnreadable
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from model.inference.artifact import load_artifact
from model.inference.clinical import PatientFacts
from tests.support.case_log import (
    case_log_of,
    eye_result,
    fill,
    made_up_draft,
    made_up_image,
    made_up_refusal,
    made_up_result,
    sample_result,
    save_sample,
)
from tests.support.dashboard import TIMEOUT, cells_of, table_of, write_artifact

ROOT = Path(__file__).resolve().parents[2]
OTHER_SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"


@pytest.fixture(autouse=True)
def settings_of_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with case_log_of(tmp_path, monkeypatch):
        yield


@pytest.fixture
def case() -> Case:
    """A synthetic melanoma, read as a nevus first."""
    return save_sample(
        patient=Patient("PAT-17", 52.0, "female"),
        lesion=Lesion(uuid4(), "back", "left", "growing"),
        own_read=Read("nv", "fairly sure", "follow-up"),
        decision=Decision("mel", "excision", "asymmetric"),
    )


def made_up(seed: int, **changes: Any) -> Case:
    return stores.case_log().save(replace(made_up_draft(seed), **changes), made_up_image(seed), LOCAL_ACTOR)


def open_page(case_id: UUID | str | None = None) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / "cases.py"), default_timeout=TIMEOUT)
    if case_id is not None:
        page.query_params["case"] = str(case_id)
    page.run()
    assert not page.exception
    return page


def shown(page: AppTest) -> str:
    """All text on the page."""
    kinds = (page.markdown, page.caption, page.warning, page.info, page.error, page.header)
    html = [str(element.proto.body) for element in page.get("html")]
    return "\n".join([*(str(element.value) for kind in kinds for element in kind), *html])


def rows_of(page: AppTest) -> list[dict[str, Any]]:
    """The rows of the table of cases."""
    table = table_of(page)
    assert table is not None
    rows: list[dict[str, Any]] = table["rows"]
    return rows


def listed(page: AppTest) -> list[str]:
    """The references of the table, from its first row."""
    return [lines[0] for lines in cells_of(page, "Case")]


def press(page: AppTest, label: str) -> AppTest:
    """Press the button of this label."""
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception
    return page


def choose(page: AppTest, label: str, value: object) -> AppTest:
    """Choose in the selectbox of this label."""
    next(box for box in page.selectbox if box.label == label).set_value(value)
    page.run()
    assert not page.exception
    return page


def open_row(page: AppTest, case: Case) -> None:
    """As pressing the picture of a case does it, which AppTest cannot; the browser tests do."""
    page.query_params["case"] = str(case.case_id)
    page.run()
    assert not page.exception


def actions() -> list[str]:
    """What the audit trail holds, oldest first."""
    return [entry.action for entry in reversed(stores.case_log().audit_entries(LOCAL_ACTOR, 100))]


def kept() -> Case:
    """The one case of the log, as it is there."""
    (only,) = stores.case_log().cases(CaseQuery(), LOCAL_ACTOR)
    return only


# --- Worklist --------------------------------------------------------------------------------------------------------


def test_empty_log_says_what_to_do_first() -> None:
    page = open_page()
    assert wording.EMPTY_LOG_TITLE in shown(page) and "Save case" in shown(page)
    assert table_of(page) is None


def test_only_one_page_of_many_cases_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(stores.case_log(), 120)
    asked: list[CaseQuery] = []
    find = CaseLog.find

    def spy(self: CaseLog, query: CaseQuery, actor: Actor) -> Any:
        asked.append(query)
        return find(self, query, actor)

    monkeypatch.setattr(CaseLog, "find", spy)
    page = open_page()
    assert len(listed(page)) == 25
    assert "120 cases, 1 to 25 shown" in shown(page)
    page.pagination[0].set_value(5).run()
    assert len(listed(page)) == 20
    assert "101 to 120 shown" in shown(page)
    assert {(query.limit, query.offset) for query in asked} == {(25, 0), (25, 100)}


def test_another_question_starts_at_its_first_page() -> None:
    fill(stores.case_log(), 120)
    page = open_page()
    page.pagination[0].set_value(3).run()
    choose(page, "Order by", "p_positive")
    assert "1 to 25 shown" in shown(page)
    shares = [int(re.findall(r"\d+", lines[1])[0]) for lines in cells_of(page, "AI")]
    assert shares == sorted(shares, reverse=True)


@pytest.fixture
def three_cases() -> None:
    """Anna: agrees, flagged, biopsy. Ben: differs, flagged. Cem: agrees, not flagged."""
    # Melanoma 0.6, basal cell carcinoma 0.05: p(malignant) is 0.65.
    flagged = made_up_result([0, 0.05, 0.05, 0, 0.6, 0.3, 0])
    unflagged = replace(flagged, threshold=0.7)
    anna = made_up(
        1,
        patient=Patient("Anna"),
        lesion=Lesion(uuid4(), "back", "left", "dark and growing"),
        result=flagged,
        decision=Decision("mel", "excision"),
    )
    stores.case_log().record_biopsy(anna.case_id, Biopsy("mel", date(2026, 1, 2)), LOCAL_ACTOR)
    made_up(
        2,
        patient=Patient("Ben"),
        lesion=Lesion(uuid4(), "face", "right", "pearly"),
        result=flagged,
        decision=Decision("bcc", "biopsy"),
    )
    made_up(
        3,
        patient=Patient("Cem"),
        lesion=Lesion(uuid4(), "foot", "left", "stable"),
        result=unflagged,
        decision=Decision("mel", "follow-up"),
    )


@pytest.mark.parametrize(
    ("label", "value", "expected"),
    [
        ("Diagnosis", "bcc", ["Ben"]),
        ("Flag", True, ["Ben", "Anna"]),
        ("Flag", False, ["Cem"]),
        ("Diagnosis and AI", True, ["Ben"]),
        ("Diagnosis and AI", False, ["Cem", "Anna"]),
        ("Biopsy", True, ["Anna"]),
        ("Biopsy", False, ["Cem", "Ben"]),
        ("AI's standout diagnosis", "mel", ["Cem", "Ben", "Anna"]),
        ("Site", "face", ["Ben"]),
        ("Order by", "patient_reference", ["Cem", "Ben", "Anna"]),
    ],
)
def test_filters_and_order(three_cases: None, label: str, value: object, expected: list[str]) -> None:
    page = open_page()
    assert listed(page) == ["Cem", "Ben", "Anna"]
    assert listed(choose(page, label, value)) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("cases_text", "GROWING dark", ["Anna"]),
        ("cases_text", "lesion_2", ["Ben"]),
        ("cases_text", " an-NA", ["Anna"]),
        ("cases_saved_by", LOCAL_ACTOR.name, ["Cem", "Ben", "Anna"]),
    ],
)
def test_searches(three_cases: None, key: str, value: str, expected: list[str]) -> None:
    page = open_page()
    page.text_input(key=key).set_value(value).run()
    assert listed(page) == expected


@pytest.mark.parametrize("text", ["growing " * 3000, "growing " + "x" * 60_000])
def test_long_search_is_cut_and_says_so(three_cases: None, text: str) -> None:
    page = open_page()
    page.text_input(key="cases_text").set_value(text).run()
    assert wording.SEARCH_TOO_LONG in [warning.value for warning in page.warning]
    if "x" in text:
        assert wording.NOTHING_FOUND_TITLE in shown(page)
    else:
        assert listed(page) == ["Anna"]


def test_what_was_pasted_with_a_nul_is_found(three_cases: None) -> None:
    page = open_page()
    page.text_input(key="cases_text").set_value("Anna\0").run()
    assert not page.exception and not page.error
    assert listed(page) == ["Anna"]


def test_days_are_included_on_both_sides(three_cases: None) -> None:
    page = open_page()
    days = kept_days()
    page.date_input(key="cases_from").set_value(days[0]).run()
    page.date_input(key="cases_to").set_value(days[-1]).run()
    assert len(listed(page)) == 3


def kept_days() -> list[date]:
    """The days of the cases, oldest first: two of them where it has just struck midnight."""
    return sorted(case.saved_at.date() for case in stores.case_log().find(CaseQuery(), LOCAL_ACTOR))


def test_search_that_finds_nothing_can_be_reset(three_cases: None) -> None:
    page = open_page()
    page.text_input(key="cases_text").set_value("no such words").run()
    assert wording.NOTHING_FOUND_TITLE in shown(page) and table_of(page) is None
    assert len(listed(press(page, "Reset"))) == 3
    assert page.text_input(key="cases_text").value == ""


def test_ticked_rows_are_what_is_exported(three_cases: None) -> None:
    page = open_page()
    assert "all 3 cases found" in shown(page)
    rows = rows_of(page)
    page.session_state[f"cases_table_{hash(tuple(row['id'] for row in rows))}"] = {
        "ticked": [rows[0]["id"], rows[2]["id"]]
    }
    page.run()
    assert "2 selected cases" in shown(page)
    assert [button.label for button in page.get("download_button")] == ["CSV", "JSON", "Images (ZIP)"]
    assert not any(button.disabled for button in page.get("download_button"))


def test_one_case_that_cannot_be_read_is_told_and_the_others_are_listed(three_cases: None) -> None:
    broken, *_ = stores.case_log().cases(CaseQuery(), LOCAL_ACTOR)
    with stores.case_log()._database.writing() as session:
        session.execute(text("UPDATE cases SET saved_at = 'yesterday' WHERE case_id = :id"), {"id": broken.case_id.hex})
    page = open_page()
    assert len(rows_of(page)) == 2 and not page.exception
    assert [error.value for error in page.error] == [wording.unreadable_cases([broken.case_id])]


def test_log_without_its_key_can_be_read_and_no_more(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = actions()
    with case_log_of(tmp_path, monkeypatch, CASE_KEY="k" * 32, CASE_LOG_READ_ONLY="1"):
        banner = AppTest.from_function(_banner, default_timeout=60).run()
        assert "Nothing proves that cases and audit trail are unchanged." in banner.warning[0].value
        assert listed(open_page()) == ["PAT-17"]
        page = open_page(case.case_id)
        assert "growing" in shown(page)
        with pytest.raises(CaseLogReadOnly):
            stores.case_log().delete(case.case_id, LOCAL_ACTOR)
        assert actions() == before
    with case_log_of(tmp_path, monkeypatch):
        assert not AppTest.from_function(_banner, default_timeout=60).run().warning


def _banner() -> None:
    from dashboard.shell.widgets import read_only_banner

    read_only_banner()


def test_images_of_too_many_cases_are_not_offered(monkeypatch: pytest.MonkeyPatch, three_cases: None) -> None:
    monkeypatch.setattr(cases_widgets, "MAX_ZIP_CASES", 2)
    page = open_page()
    assert [button.disabled for button in page.get("download_button")] == [False, False, True]
    assert wording.too_many_images(2) in shown(page)


def test_opened_case_closes_again(case: Case) -> None:
    page = open_page()
    open_row(page, case)
    assert wording.case_heading(case) in shown(page)
    press(page, "All cases")
    assert "case" not in page.query_params and listed(page) == ["PAT-17"]


def test_rows_read_without_codes_or_gaps(case: Case) -> None:
    save_sample(patient=Patient(), lesion=Lesion(uuid4()), own_read=None, decision=Decision("nv", "no follow-up"))
    page = open_page()
    assert cells_of(page, "Patient") == [["age and sex unknown", "site unknown"], ["52 years, female", "back, left"]]
    assert cells_of(page, "Own read") == [[], ["Melanocytic nevus"]]
    assert cells_of(page, "Decision") == [["Melanocytic nevus", "No follow-up"], ["Melanoma", "Excision"]]
    assert cells_of(page, "AI")[1] == ["Melanoma", wording.flag(SKIN, percent(case.result.p_positive), True)]
    assert listed(page) == [wording.NO_REFERENCE, "PAT-17"]
    words = {word for row in rows_of(page) for cell in row["cells"] for line in cell["lines"] for word in line.split()}
    assert not words & {"None", "nan", *SKIN.codes}


def test_times_are_those_of_the_browser(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    assert cells_of(page, "Case")[0][1].endswith(" UTC")
    monkeypatch.setattr(times, "zone", lambda: ZoneInfo("Pacific/Kiritimati"))  # 14 hours before UTC
    page.run()
    local = case.saved_at.astimezone(ZoneInfo("Pacific/Kiritimati"))
    assert cells_of(page, "Case")[0][1] == f"{local.day} {local:%b %Y, %H:%M}"
    open_row(page, case)
    assert f"Saved {local.day} {local:%b %Y, %H:%M} by" in shown(page)
    press(page, "All cases")
    # The filters take the reader's days.
    page.date_input(key="cases_from").set_value(local.date() + timedelta(days=1)).run()
    assert table_of(page) is None
    page.date_input(key="cases_from").set_value(local.date()).run()
    page.date_input(key="cases_to").set_value(local.date()).run()
    assert listed(page) == ["PAT-17"]


# --- What is left to do, and the way through a list ------------------------------------------------------------------


def to_do_counts(page: AppTest) -> list[str]:
    return [button.label for button in page.button if str(button.key).startswith("cases_to_do_")]


def test_what_is_left_to_do_is_counted_and_one_press_away(three_cases: None) -> None:
    flagged = made_up_result([0, 0.05, 0.05, 0, 0.6, 0.3, 0])
    dora = made_up(4, patient=Patient("Dora"), result=flagged, decision=Decision("nv", "no follow-up"))
    emil = made_up(5, patient=Patient("Emil"), result=flagged, decision=Decision("nv", "no follow-up"))
    stores.case_log().record_biopsy(emil.case_id, Biopsy("nv", date(2026, 1, 2)), LOCAL_ACTOR)
    fred = made_up(6, patient=Patient("Fred"), decision=Decision("nv", "follow-up"))
    gina = made_up(7, patient=Patient("Gina"), decision=Decision("nv", "follow-up"))
    seen_again = made_up(8, patient=Patient("Gina"), lesion=gina.lesion, decision=Decision("nv", "referral"))
    with stores.case_log()._database.writing() as session:
        for case, days in ((fred, 92), (gina, 92), (seen_again, 1)):
            saved_at = case.saved_at - timedelta(days=days)
            session.execute(update(CaseRow).where(CaseRow.case_id == case.case_id).values(saved_at=saved_at))
    page = open_page()
    assert to_do_counts(page) == [
        "Flagged, no follow-up planned: **1**",
        "Biopsy or excision planned, no result: **1**",
        "Follow-up due: **1**",
    ]
    # Anna's excision has its result, Cem's follow-up is of today.
    for name, expected in (
        (wording.UNPLANNED, ["Dora"]),
        (wording.awaited(SKIN.awaited), ["Ben"]),
        (wording.DUE, ["Fred"]),
    ):
        page.button(key=f"cases_to_do_{name}").click().run()
        assert not page.exception and listed(page) == expected
    assert dora.patient.reference in listed(press(page, "Reset"))


@pytest.mark.parametrize(("plans", "expected"), [(["biopsy"], ["Ben"]), (["biopsy", "follow-up"], ["Cem", "Ben"])])
def test_plans_are_a_filter(three_cases: None, plans: list[str], expected: list[str]) -> None:
    page = open_page()
    page.multiselect(key="cases_plans").set_value(plans).run()
    assert listed(page) == expected
    assert len(listed(press(page, "Reset"))) == 3


@pytest.fixture
def three_samples() -> list[Case]:
    """Oldest first: flagged by a melanoma, a basal cell carcinoma and a nevus, of which the last is not flagged."""
    folder = ROOT / "data" / "sample"
    return [save_sample(folder / f"synthetic_{dx}_1.jpg", patient=Patient(dx)) for dx in ("mel", "bcc", "nv")]


def test_next_and_previous_follow_the_list_as_it_was_filtered(three_samples: list[Case]) -> None:
    melanoma, carcinoma, nevus = three_samples
    assert [case.result.is_flagged for case in three_samples] == [True, True, False]
    page = open_page()
    choose(page, "Flag", True)
    assert listed(page) == ["bcc", "mel"]
    open_row(page, carcinoma)
    assert wording.place_in_list(1, 2) in shown(page) and page.button(key="cases_previous").disabled
    press(page, wording.NEXT)
    assert page.query_params["case"] == str(melanoma.case_id) and wording.case_heading(melanoma) in shown(page)
    assert wording.place_in_list(2, 2) in shown(page) and page.button(key="cases_next").disabled
    press(page, wording.PREVIOUS)
    assert wording.case_heading(carcinoma) in shown(page)
    press(page, "All cases")
    press(page, "Reset")
    open_row(page, nevus)
    assert wording.place_in_list(1, 3) in shown(page)


def test_a_change_moves_no_case_out_of_the_way_through_the_list(three_samples: list[Case]) -> None:
    melanoma, carcinoma, _ = three_samples
    page = open_page()
    page.multiselect(key="cases_plans").set_value([carcinoma.decision.plan]).run()
    shown_first = [case for case in three_samples if case.patient.reference in listed(page)]
    open_row(page, carcinoma)
    page.selectbox(key=f"cases_decision_plan_{carcinoma.case_id}").set_value("referral")
    press(page, "Save the decision")
    assert wording.place_in_list(2, len(shown_first)) in shown(page)
    press(page, wording.NEXT)
    assert wording.case_heading(melanoma) in shown(page)


def test_a_case_of_an_address_alone_is_part_of_no_list(three_samples: list[Case]) -> None:
    page = open_page(three_samples[0].case_id)
    assert not [button for button in page.button if button.label in (wording.NEXT, wording.PREVIOUS)]


# --- Small pictures --------------------------------------------------------------------------------------------------


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The cases whose stored images were asked for."""
    asked: list[UUID] = []
    stored_image = CaseLog.stored_image

    def spy(self: CaseLog, case_id: UUID, actor: Actor) -> bytes:
        asked.append(case_id)
        return stored_image(self, case_id, actor)

    monkeypatch.setattr(CaseLog, "stored_image", spy)
    return asked


def test_every_row_has_a_small_picture_made_once(fetched: list[UUID]) -> None:
    kept = [made_up(seed).case_id for seed in range(3)]
    page = open_page()
    for row in rows_of(page):
        with Image.open(io.BytesIO(base64.b64decode(row["image"].partition(",")[2]))) as picture:
            assert picture.format == "JPEG" and max(picture.size) <= THUMBNAIL_SIDE
    page.run()
    open_page()
    assert sorted(fetched) == sorted(kept)
    assert actions() == ["save"] * 3  # a list is no view of a case


def test_the_list_does_not_wait_for_its_pictures(monkeypatch: pytest.MonkeyPatch, fetched: list[UUID]) -> None:
    for seed in range(3):
        made_up(seed)
    monkeypatch.setattr(thumbnails, "AT_ONCE", 0.0)
    drawn: list[tuple[list[bool], int]] = []
    image_table = case_table.image_table

    def spy(caption: str, columns: Any, rows: Any, **options: Any) -> Any:
        drawn.append(([row.thumbnail is not None for row in rows], len(fetched)))
        return image_table(caption, columns, rows, **options)

    monkeypatch.setattr(case_table, "image_table", spy)
    open_page()
    # Drawn before any image is asked for, then again with one more each time.
    assert drawn == [
        ([False, False, False], 0),
        ([True, False, False], 1),
        ([True, True, False], 2),
        ([True, True, True], 3),
    ]


def test_only_the_page_shown_asks_for_images(fetched: list[UUID]) -> None:
    fill(stores.case_log(), 30)
    open_page()
    assert len(fetched) == 25


def test_image_that_is_gone_is_said_in_its_row_and_asked_for_once(
    case: Case, tmp_path: Path, fetched: list[UUID]
) -> None:
    image_path(tmp_path).unlink()
    page = open_page()
    page.run()
    (row,) = rows_of(page)
    assert (row["image"], row["note"]) == ("", wording.NO_PICTURE)
    assert fetched == [case.case_id]


def test_pictures_are_of_the_readers_organisation_alone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    open_page()
    stranger = Actor("eve", "elsewhere", "clinician")
    with pytest.raises(CaseNotFound):
        stores.case_log().stored_image(case.case_id, stranger)
    (summary,) = stores.case_log().find(CaseQuery(), LOCAL_ACTOR)
    assert thumbnails.thumbnails([summary])
    monkeypatch.setattr(thumbnails, "actor", lambda: stranger)
    assert not thumbnails.thumbnails([summary])


def test_a_deleted_case_leaves_no_picture(case: Case) -> None:
    open_page()
    assert len(stores.small_pictures()) == 1
    page = open_page(case.case_id)
    press(page, "Delete")
    page.button(key="cases_delete").click()
    page.button(key="cases_delete_confirmed").click().run()
    assert len(stores.small_pictures()) == 0


# --- One case --------------------------------------------------------------------------------------------------------


def test_case_is_shown_as_it_was_saved(case: Case) -> None:
    page = open_page(case.case_id)
    text = shown(page)
    assert not page.error
    for dx, probability in zip(SKIN.codes, case.result.probabilities, strict=True):
        assert f"({dx})' aria-valuemin='0' aria-valuemax='100' aria-valuenow='{probability * 100:.1f}'" in text
    assert saved.saved_verdict(case.result, saved.facts_of(case)) in text and saved.saved_meaning(case.result) in text
    assert "90 % set: " in text and wording.saved_model(case.result) in text
    assert "Melanocytic nevus (nv)</td><td>fairly sure</td><td>follow-up" in text
    assert "Melanoma (mel)</td><td></td><td>excision</td><td>asymmetric" in text
    assert case.image_sha256 in text and case.result.artifact_sha256 in text
    assert wording.timeline_alone(SKIN) in text


def test_reopened_probabilities_are_the_saved_ones(case: Case) -> None:
    reopened = opened_case.recorded_analysis(kept(), stores.case_log().image(kept(), LOCAL_ACTOR))
    assert list(reopened.answered.prediction.probabilities) == pytest.approx(sample_result().probabilities, abs=1e-12)


def test_opening_is_audited_once_however_often_the_page_runs(case: Case) -> None:
    page = open_page(case.case_id)
    page.run()
    page.run()
    assert actions() == ["save", "view"]
    press(page, "All cases")
    open_row(page, case)
    assert actions() == ["save", "view", "view"]


@pytest.mark.parametrize("asked", ["not-an-id", "", str(UUID(int=7)), "../../etc/passwd", "<script>alert(1)</script>"])
def test_unknown_id_is_no_such_case(asked: str) -> None:
    page = open_page(asked)
    (error,) = page.error
    assert errors.ERRORS[CaseNotFound].title in error.value
    assert "passwd" not in error.value and "script" not in error.value
    press(page, "All cases")
    assert wording.EMPTY_LOG_TITLE in shown(page)


def test_case_of_another_organisation_is_no_such_case() -> None:
    stranger = Actor("eve", "elsewhere", "clinician")
    theirs = stores.case_log().save(made_up_draft(), made_up_image(), stranger)
    page = open_page(theirs.case_id)
    assert errors.ERRORS[CaseNotFound].title in page.error[0].value
    assert theirs.patient.reference not in shown(page)


def test_researcher_sees_neither_list_nor_case(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    researcher = Actor("rita", LOCAL_ACTOR.organisation, "researcher")
    monkeypatch.setattr(cases_widgets, "actor", lambda: researcher)
    monkeypatch.setattr(opened_case, "actor", lambda: researcher)
    for page in (open_page(), open_page(case.case_id)):
        assert "Your role does not allow this" in page.error[0].value
        assert "PAT-17" not in shown(page)


def test_users_texts_are_shown_as_they_were_typed() -> None:
    typed = "*<img src=x onerror=alert(1)>*"
    case = save_sample(
        patient=Patient(typed),
        lesion=Lesion(uuid4(), note=typed),
        decision=Decision("mel", "biopsy", typed),
        captured_name=typed,
    )
    text = shown(open_page(case.case_id))
    assert "<img src=x" not in text.replace(escape(typed), "")
    assert escape(typed) in text and "&lt;img src=x onerror=alert(1)&gt;" in text


# --- Its image -------------------------------------------------------------------------------------------------------


def image_path(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "images").rglob("*.png")
    return path


@pytest.mark.parametrize(
    ("harm", "title"),
    [
        (lambda path: path.unlink(), "The image of this case is missing"),
        (lambda path: path.write_bytes(b"another image"), "The image of this case is not the one that was saved"),
    ],
)
def test_missing_or_altered_image_is_said_and_the_facts_stay(
    case: Case, tmp_path: Path, harm: Any, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    harm(image_path(tmp_path))
    with caplog.at_level(logging.DEBUG):
        page = open_page(case.case_id)
    (error,) = page.error
    assert title in error.value
    assert saved.saved_verdict(case.result, saved.facts_of(case)) in shown(page) and "role='meter'" in shown(page)
    # Without an image there is no report.
    assert not page.get("download_button")
    assert "PAT-17" not in caplog.text and "growing" not in caplog.text and case.captured_name not in caplog.text


def test_image_out_of_reach_is_asked_for_again(case: Case, tmp_path: Path) -> None:
    path = image_path(tmp_path)
    hidden = path.rename(tmp_path / "hidden.png")
    page = open_page(case.case_id)
    assert page.error
    hidden.rename(path)
    page.run()
    assert not page.error and page.get("download_button")


# --- The present model -----------------------------------------------------------------------------------------------


def test_case_of_the_present_model_offers_no_comparison(case: Case) -> None:
    page = open_page(case.case_id)
    assert not page.toggle and "The present model is" not in shown(page)


def test_case_of_another_model_is_marked_and_compared_on_demand() -> None:
    older = replace(sample_result(), artifact_sha256="0" * 64, model_version="1.0", p_positive=0.2)
    case = save_sample(result=replace(older, probabilities=(0.1, 0.05, 0.1, 0.1, 0.05, 0.5, 0.1)))
    page = open_page(case.case_id)
    assert "This answer was given by model skin 1\\.0" in shown(page)
    assert "aria-label='Melanoma (mel)' aria-valuemin='0' aria-valuemax='100' aria-valuenow='5.0'" in shown(page)
    assert "Now (" not in shown(page)
    page.toggle[0].set_value(True).run()
    assert not page.exception
    now = sample_result()
    facts = PatientFacts(case.patient.age, case.lesion.site)
    probabilities = models.artifact().clinical.probabilities(np.array(now.probabilities), facts)
    melanoma = float(probabilities[SKIN.codes.index("mel")])
    row = f'<th scope="row">Melanoma</th><td class="number">5 %</td><td class="number">{percent(melanoma)}</td>'
    assert row in shown(page) and f"{wording.points(0.05, melanoma)}</td>" in shown(page)
    assert "Saved (skin 1.0)" in shown(page)
    assert "given age 41, acral" in shown(page)


# --- Tasks -----------------------------------------------------------------------------------------------------------


def made_up_eye(seed: int = 3, **changes: Any) -> Case:
    draft = replace(made_up_draft(seed, task=RETINA), patient=Patient("Eva"), **changes)
    return stores.case_log().save(draft, made_up_image(seed), LOCAL_ACTOR)


def test_log_of_one_task_asks_for_none(three_cases: None) -> None:
    assert wording.TASK_LABEL not in [box.label for box in open_page().selectbox]


def test_cases_of_one_task_are_listed_at_a_time(three_cases: None) -> None:
    made_up_eye()
    page = open_page()
    assert listed(page) == ["Cem", "Ben", "Anna"] and "all 3 cases found" in shown(page)
    choose(page, "Diagnosis", "bcc")
    choose(page, wording.TASK_LABEL, "retina")
    assert listed(page) == ["Eva"] and cells_of(page, "AI")[0][1].startswith("Referable ")
    grade = next(box for box in page.selectbox if box.label == "Grade")
    assert grade.value is None and grade.options[0] == "No apparent retinopathy (dr0)"


def test_cases_of_all_tasks_name_theirs(three_cases: None) -> None:
    made_up_eye()
    page = open_page()
    choose(page, wording.TASK_LABEL, EVERY)
    assert not page.exception and listed(page) == ["Eva", "Cem", "Ben", "Anna"]
    assert [lines[-1] for lines in cells_of(page, "Case")] == ["Diabetic retinopathy", *["Skin lesions"] * 3]
    assert cells_of(page, "AI")[0][1].startswith("Referable ") and cells_of(page, "AI")[1][1].startswith("Malignant ")
    assert wording.EXPORT_ONE_TASK in shown(page) and not page.get("download_button")
    assert not {"Diagnosis", "Grade"} & {box.label for box in page.selectbox}, "none is common to both"
    assert "Biopsy, excision or referral planned, no result: **1**" in to_do_counts(page)


def test_list_follows_the_task_that_is_chosen_for_all_pages(three_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "tasks", lambda: (SKIN, RETINA))
    page = open_page()
    assert listed(page) == ["Cem", "Ben", "Anna"]
    choose(page, "Diagnosis", "bcc")
    monkeypatch.setattr(models, "task", lambda: RETINA)
    assert wording.EMPTY_LOG in shown(page.run()), "a filter of the task before does not hold"
    made_up_eye()
    assert listed(page.run()) == ["Eva"]
    choose(page, wording.TASK_LABEL, "skin")
    assert listed(page) == ["Cem", "Ben", "Anna"] and listed(page.run()) == ["Cem", "Ben", "Anna"]


def test_case_of_another_task_is_compared_with_a_model_of_that_task(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    eye = save_sample(
        result=eye_result(), own_read=Read("dr1", "sure", "referral"), decision=Decision("dr3", "referral")
    )
    of_eyes = load_artifact(write_artifact(tmp_path / "eyes", ["conformal"], RETINA, "eyes"))
    monkeypatch.setattr(models, "artifacts", lambda: (models.artifact(), of_eyes))
    text = shown(open_page(eye.case_id))
    assert wording.model_has_changed(eye.result, "eyes 0.1") in text and "| the class's share in" in text
    assert "<td>Diabetic retinopathy</td>" in text, "the record names the task"


def test_case_of_another_task_than_the_models_is_shown_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "artifacts", lambda: (models.artifact(),))
    eye = save_sample(
        result=eye_result(), own_read=Read("dr1", "sure", "referral"), decision=Decision("dr3", "referral")
    )
    page = open_page(eye.case_id)
    assert not page.error
    text = shown(page)
    assert "**Flagged as possibly referable**" in text and "Severe nonproliferative retinopathy (dr3)</td>" in text
    assert "(dr2)' aria-valuemin='0' aria-valuemax='100' aria-valuenow='30.0'" in text
    # The model in use is for skin: it knows no shares of these grades and has no answer to compare.
    assert "the class's share in" not in text and "The present model is" not in text and not page.toggle
    press(page, "Save the decision")
    assert kept().decision == eye.decision
    grade = page.selectbox(key=f"cases_decision_dx_{eye.case_id}")
    assert grade.label == "Grade" and grade.options == [*map(RETINA.titled, RETINA.codes), "Other, not among the five"]


def test_cases_of_a_task_that_is_not_known_are_said_and_stop_nothing(three_cases: None) -> None:
    eye = made_up_eye()
    with stores.case_log()._database.writing() as session:
        session.execute(update(CaseRow).where(CaseRow.case_id == eye.case_id).values(task="foot"))
    page = open_page()
    assert listed(page) == ["Cem", "Ben", "Anna"]
    choose(page, wording.TASK_LABEL, "foot")
    assert page.error[0].value == wording.unreadable("foot", 1) and table_of(page) is None
    opened = open_page(eye.case_id)
    assert errors.ERRORS[CaseUnreadable].title in opened.error[0].value and "'foot'" in opened.error[0].value


# --- Changes ---------------------------------------------------------------------------------------------------------


def test_decision_is_changed_and_audited(case: Case) -> None:
    page = open_page(case.case_id)
    page.selectbox(key=f"cases_decision_dx_{case.case_id}").set_value("bkl")
    page.selectbox(key=f"cases_decision_plan_{case.case_id}").set_value("follow-up")
    page.text_area(key=f"cases_decision_reason_{case.case_id}").set_value("second opinion")
    press(page, "Save the decision")
    assert kept().decision == Decision("bkl", "follow-up", "second opinion")
    assert "Benign keratosis-like lesion (bkl)</td><td></td><td>follow-up</td><td>second opinion" in shown(page)
    assert actions() == ["save", "view", "change"]


def test_biopsy_is_entered_and_removed(case: Case) -> None:
    page = open_page(case.case_id)
    assert saved.NO_BIOPSY in shown(page)
    press(page, "Save the result")
    assert SKIN.worded(wording.NO_BIOPSY_DX) in shown(page) and kept().biopsy is None
    page.selectbox(key=f"cases_biopsy_dx_{case.case_id}").set_value("mel")
    page.date_input(key=f"cases_biopsy_day_{case.case_id}").set_value(date(2026, 2, 3))
    page.text_area(key=f"cases_biopsy_note_{case.case_id}").set_value("Breslow 0.4 mm")
    press(page, "Save the result")
    assert kept().biopsy == Biopsy("mel", date(2026, 2, 3), "Breslow 0.4 mm")
    assert "2026-02-03</td><td>Breslow 0.4 mm" in shown(page)
    press(page, "Remove the result")
    assert kept().biopsy is None and saved.NO_BIOPSY in shown(page)


def test_refused_case_is_shown_with_its_reason_and_without_an_answer() -> None:
    refusal = made_up_refusal()
    refused = save_sample(result=refusal, patient=Patient("PAT-19"), own_read=Read("mel", "unsure", "biopsy"))
    page = open_page(refused.case_id)
    assert not page.error
    text = shown(page)
    assert saved.refused(refusal) in text and "role='meter'" not in text and "flagged" not in text.lower()
    assert f"</th><td>{saved.NO_ANSWER}</td>" in text
    page.toggle(key=f"cases_new_{refused.case_id}").set_value(True).run()
    assert not page.exception and "Now (skin" in shown(page)
    assert stores.case_log().case(refused.case_id, LOCAL_ACTOR).refusal == refusal
    page = open_page()
    assert cells_of(page, "AI")[0][0] == saved.NO_ANSWER
    save_sample(lesion=refused.lesion, patient=Patient("PAT-19"))
    page = open_page(refused.case_id)
    assert not page.error and wording.compare_note(SKIN) in shown(page)


def test_another_diagnosis_is_decided_entered_and_filtered_by(case: Case) -> None:
    page = open_page(case.case_id)
    page.selectbox(key=f"cases_decision_dx_{case.case_id}").set_value(OTHER)
    press(page, "Save the decision")
    assert wording.no_dx(SKIN) in shown(page) and kept().decision == case.decision
    page.text_input(key=f"cases_decision_other_{case.case_id}").set_value(" Spitz *naevus* ")
    press(page, "Save the decision")
    assert kept().decision == replace(case.decision, dx=OTHER, other="Spitz *naevus*")
    page.selectbox(key=f"cases_biopsy_dx_{case.case_id}").set_value(OTHER)
    page.text_input(key=f"cases_biopsy_other_{case.case_id}").set_value("Merkel cell carcinoma")
    press(page, "Save the result")
    biopsy = kept().biopsy
    assert biopsy is not None and (biopsy.dx, biopsy.other) == (OTHER, "Merkel cell carcinoma")
    assert "Other: Spitz *naevus*" in shown(page) and "Other: Merkel cell carcinoma" in shown(page)
    page.selectbox(key=f"cases_biopsy_dx_{case.case_id}").set_value("bcc")
    press(page, "Save the result")
    corrected = kept().biopsy
    assert corrected is not None and (corrected.dx, corrected.other) == ("bcc", "")
    save_sample(patient=Patient("PAT-18"))
    page = open_page()
    choose(page, "Diagnosis", OTHER)
    assert listed(page) == ["PAT-17"] and cells_of(page, "Decision")[0][0] == "Other: Spitz *naevus*"


def test_facts_are_corrected(case: Case) -> None:
    page = open_page(case.case_id)
    page.text_input(key=f"cases_facts_reference_{case.case_id}").set_value(" PAT-18 ")
    page.number_input(key=f"cases_facts_age_{case.case_id}").set_value(None)
    page.selectbox(key=f"cases_facts_site_{case.case_id}").set_value("chest")
    press(page, "Save the facts")
    assert kept().patient == Patient("PAT-18", None, "female")
    assert kept().lesion == Lesion(case.lesion.lesion_id, "chest", "left", "growing")
    assert "PAT\\-18 · female · chest, left" in shown(page)


def test_change_that_cannot_be_kept_is_said_and_the_form_stays(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page(case.case_id)

    def away(*_: object) -> Case:
        raise CaseLogUnavailable("expected the database to answer, received nothing")

    with monkeypatch.context() as patch:
        patch.setattr(CaseLog, "decide", away)
        page.text_area(key=f"cases_decision_reason_{case.case_id}").set_value("typed with care")
        press(page, "Save the decision")
    assert errors.ERRORS[CaseLogUnavailable].title in page.error[0].value
    assert page.text_area(key=f"cases_decision_reason_{case.case_id}").value == "typed with care"
    press(page, "Save the decision")
    assert not page.error and kept().decision.reason == "typed with care"


def test_log_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with case_log_of(tmp_path / "file" / "below", monkeypatch):
        (tmp_path / "file").write_text("no folder")
        page = open_page()
    assert errors.ERRORS[CaseLogUnavailable].title in page.error[0].value


def test_deletion_asks_first_and_removes_row_and_image(case: Case, tmp_path: Path) -> None:
    page = open_page(case.case_id)
    press(page, "Delete")
    assert wording.deletion(case) in shown(page) and kept() == case
    assert "PAT\\-17" in wording.deletion(case)
    assert page.button(key="cases_delete_confirmed").label == wording.delete_button(case)
    assert "PAT\\-17" in wording.delete_button(case)
    # AppTest reruns the whole page, which draws the dialog only while its button is pressed as well.
    page.button(key="cases_delete").click()
    page.button(key="cases_delete_confirmed").click().run()
    assert wording.EMPTY_LOG_TITLE in shown(page)
    assert not list((tmp_path / "images").rglob("*.png"))
    assert actions() == ["save", "view", "delete"]


# --- Timeline --------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_visits(case: Case) -> tuple[Case, Case]:
    """The lesion of `case` again, as another image."""
    return case, save_sample(OTHER_SAMPLE, patient=case.patient, lesion=case.lesion, decision=Decision("nv", "biopsy"))


def test_two_visits_are_compared(two_visits: tuple[Case, Case]) -> None:
    first, second = two_visits
    page = open_page(second.case_id)
    text = shown(page)
    assert wording.timeline_heading(SKIN) in text and wording.compare_note(SKIN) in text
    assert [box.value for box in page.selectbox if box.label in ("Compare", "with")] == [0, 1]
    points = wording.points(first.result.p_positive, second.result.p_positive)
    shares = [percent(visit.result.p_positive) for visit in two_visits]
    cells = "".join(f'<td class="number">{cell}</td>' for cell in (*shares, points))
    assert f'<th scope="row">Malignant</th>{cells}' in text
    assert "(this case)" in text and "same day" in text


def test_three_visits_compare_any_two_and_ask_the_log_once_for_each(two_visits: tuple[Case, Case]) -> None:
    first, second = two_visits
    third = save_sample(patient=first.patient, lesion=first.lesion)
    page = open_page(third.case_id)
    choose(page, "Compare", 0)
    page.run()
    views = [entry.case_id for entry in stores.case_log().audit_entries(LOCAL_ACTOR, 100) if entry.action == "view"]
    assert sorted(views) == sorted([first.case_id, second.case_id, third.case_id])


def test_the_open_case_is_not_forgotten_for_the_ones_it_is_compared_with(two_visits: tuple[Case, Case]) -> None:
    first, _ = two_visits
    visits = [save_sample(patient=first.patient, lesion=first.lesion) for _ in range(3)]
    page = open_page(first.case_id)
    for position in (2, 3, 4):
        choose(page, "with", position)
        page.run()
    views = [entry.case_id for entry in stores.case_log().audit_entries(LOCAL_ACTOR, 100) if entry.action == "view"]
    assert views.count(first.case_id) == 1 and all(views.count(visit.case_id) == 1 for visit in visits)


def test_a_case_is_read_again_after_another_way_back_to_the_list(case: Case) -> None:
    page = open_page(case.case_id)
    del page.query_params["case"]
    page.run()
    stores.case_log().decide(case.case_id, Decision("vasc", "no follow-up"), LOCAL_ACTOR)
    page.query_params["case"] = str(case.case_id)
    page.run()
    assert "Vascular lesion (vasc)</td><td></td><td>no follow-up" in shown(page)


def test_a_case_joins_the_lesion_of_an_earlier_visit(case: Case) -> None:
    later = save_sample(OTHER_SAMPLE, patient=case.patient, lesion=Lesion(uuid4(), "back"))
    page = open_page(later.case_id)
    assert wording.timeline_alone(SKIN) in shown(page)
    page.selectbox(key=f"cases_facts_lesion_{later.case_id}").set_value(case.lesion.lesion_id)
    press(page, "Save the facts")
    assert wording.compare_note(SKIN) in shown(page)
    page.selectbox(key=f"cases_facts_lesion_{later.case_id}").set_value(NEW_LESION)
    press(page, "Save the facts")
    assert wording.timeline_alone(SKIN) in shown(page)


def test_lesions_of_other_patients_are_not_offered(case: Case) -> None:
    other = save_sample(OTHER_SAMPLE, patient=Patient("PAT-99"))
    page = open_page(other.case_id)
    offered = page.selectbox(key=f"cases_facts_lesion_{other.case_id}").options
    assert offered == [wording.SAME_LESION_AS_NOW, wording.of_its_own(SKIN)]
