"""The Audit page: its table, the check of the trail, and the CSV."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from dashboard.access.audit import audit_csv
from dashboard.resources import stores
from data.cases.case import LOCAL_ACTOR, Actor
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog
from tests.support.case_log import case_log_of, made_up_draft, made_up_image
from tests.support.dashboard import run_page

CASE = UUID("00000000-0000-4000-8000-000000000001")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CaseLog]:
    with case_log_of(tmp_path, monkeypatch):
        yield stores.case_log()


def test_empty_trail_says_what_will_stand_there(log: CaseLog) -> None:
    page = run_page("audit")
    assert "Nothing was recorded yet" in page.info[0].value
    assert not page.dataframe


def test_newest_entry_comes_first(log: CaseLog) -> None:
    log.record_sign_in(LOCAL_ACTOR)
    log.record_export([CASE], "CSV", LOCAL_ACTOR)
    table = run_page("audit").dataframe[0].value
    assert list(table["What"]) == ["export", "sign-in"]
    assert list(table["Who"]) == [LOCAL_ACTOR.name] * 2
    assert list(table["Role"]) == ["Administrator"] * 2
    assert list(table["Case"]) == [str(CASE), ""]
    assert "CSV" in table["Details"][0] and table["Details"][1] == ""


def test_whole_trail_gives_its_seal(log: CaseLog) -> None:
    log.record_sign_in(LOCAL_ACTOR)
    page = run_page("audit")
    page.button(key="audit_check").click().run()
    seal = log.audit_entries(LOCAL_ACTOR, 1)[0].hash
    assert "1 entries" not in page.info[0].value
    assert "The trail is whole: 1 entry" in page.info[0].value and seal in page.info[0].value
    assert "0 cases are as they were saved." in page.info[0].value
    assert not page.error


def test_changed_trail_is_an_error(log: CaseLog, tmp_path: Path) -> None:
    log.record_sign_in(LOCAL_ACTOR)
    with closing(sqlite3.connect(tmp_path / "cases.sqlite3")) as database, database:
        database.execute("DROP TRIGGER audit_entries_keep")
        database.execute("UPDATE audit_entries SET actor = 'somebody else'")
    page = run_page("audit")
    page.button(key="audit_check").click().run()
    assert "The trail is not whole: entry 1 was changed" in page.error[0].value


def test_changed_case_is_an_error(log: CaseLog, tmp_path: Path) -> None:
    case = log.save(made_up_draft(), made_up_image(), LOCAL_ACTOR)
    with closing(sqlite3.connect(tmp_path / "cases.sqlite3")) as database, database:
        database.execute("UPDATE cases SET note = 'another'")
    page = run_page("audit")
    page.button(key="audit_check").click().run()
    said = page.error[0].value
    assert "The trail is whole, but the cases are not" in said and str(case.case_id) in said


def test_log_away_is_told(log: CaseLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise CaseLogUnavailable("expected a database, received none; start it")

    monkeypatch.setattr(CaseLog, "audit_entries", away)
    page = run_page("audit")
    assert "expected a database" in page.error[0].value and not page.exception


def test_only_an_admin_sees_entries(log: CaseLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.record_sign_in(LOCAL_ACTOR)
    monkeypatch.setattr("dashboard.access.audit.actor", lambda: Actor("anna", "this computer", "clinician"))
    page = run_page("audit")
    assert page.error and not page.dataframe


def test_csv_holds_every_field_and_no_formula(log: CaseLog) -> None:
    log.record_sign_in(Actor("=HYPERLINK(1)", LOCAL_ACTOR.organisation, "admin"))
    entry = log.audit_entries(LOCAL_ACTOR, 1)[0]
    row = next(csv.DictReader(io.StringIO(audit_csv([entry]).decode())))
    assert row["actor"] == "'=HYPERLINK(1)"
    assert (row["number"], row["action"], row["hash"]) == ("1", "sign-in", entry.hash)
