"""A log of the tables before there were tasks opens, says the same to the last bit, and verifies: on both databases.

`case_log_0001.json` holds the rows that the program of that time wrote, its audit trail included.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from data.cases.backup import Backup, BackupError, restore
from data.cases.case import LOCAL_ACTOR, Actor, Biopsy, Case, Decision, Patient, Read
from data.cases.database import MIGRATIONS, CaseLogUnavailable, open_database
from data.cases.keys import fingerprint
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import open_image_store
from data.tasks.skin import SKIN
from data.tasks.task import OTHER

pytest_plugins = ("tests.support.servers.postgres_server",)

ROOT = Path(__file__).resolve().parents[3]
ROWS: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("case_log_0001.json").read_text())["tables"]
KEY = b"0123456789abcdef0123456789abcdef"
NORTH, SOUTH = Actor("anna@north.org", "North", "admin"), Actor("sven@south.org", "South", "admin")
TIMES = ("saved_at", "at")
OPEN = """
import sys
from data.cases.case import LOCAL_ACTOR
from data.cases.log import open_case_log
from data.cases.storage import open_image_store
print("ready", flush=True)
sys.stdin.readline()
log = open_case_log(sys.argv[1], open_image_store("."), sys.argv[2].encode())
log.record_sign_in(LOCAL_ACTOR)
log.close()
"""


@pytest.fixture
def old_url(database_url: str) -> str:
    """A database as the old program left it."""
    database = open_database(database_url)
    with database.writing() as session:
        connection = session.connection()
        upgrade(connection, "0001")
        for table, rows in ROWS.items():
            for row in rows:
                names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
                statement = text(f"INSERT INTO {table} ({names}) VALUES ({values})")
                connection.execute(statement, {name: kept(name, value, connection) for name, value in row.items()})
    database.close()
    return database_url


def upgrade(connection: Connection, revision: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, revision)


def kept(name: str, value: Any, connection: Connection) -> Any:
    """A value as the database held it."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    is_zoned = connection.dialect.name == "postgresql" and name in TIMES
    return f"{value}+00" if is_zoned else value


@pytest.fixture
def log(old_url: str, tmp_path: Path) -> Iterator[CaseLog]:
    log = open_case_log(old_url, open_image_store(str(tmp_path / "images")), KEY)
    yield log
    log.close()


def bits(number: float | None) -> str | None:
    """A double to its last bit; None for what is not known, which a case calls NaN."""
    return None if number is None or number != number else float(number).hex()


def cases_of(log: CaseLog) -> dict[str, Case]:
    return {case.case_id.hex: case for who in (NORTH, SOUTH) for case in log.cases(CaseQuery(), who)}


def test_every_number_and_word_is_what_it_was(log: CaseLog) -> None:
    cases = cases_of(log)
    assert set(cases) == {row["case_id"] for row in ROWS["cases"]}
    for row in ROWS["cases"]:
        case = cases[row["case_id"]]
        result = case.result
        assert result.task is SKIN
        assert [bits(value) for value in result.probabilities] == [
            bits(row[f"p_{code}"]) for code in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
        ]
        assert bits(result.p_positive) == bits(row["p_malignant"])
        members = json.loads(row["member_p_malignant"])
        assert [bits(value) for value in result.member_p_positive] == [bits(value) for value in members]
        for name in ("ood_score", "threshold", "sensitivity", "specificity", "conformal_level", "runtime_ms"):
            assert bits(getattr(result, name)) == bits(row[name]), name
        for name in (
            "model_name", "model_version", "artifact_sha256", "preprocessing_version", "population", "prediction",
            "quality", "operating_point", "heatmap_method",
        ):  # fmt: skip
            assert getattr(result, name) == row[name], name
        assert "|".join(result.conformal_set) == row["conformal_set"]
        assert result.evidence == base64.b64decode(row["evidence"]["base64"])
        for name in (
            "saved_by", "organisation", "captured_name", "image_key", "image_sha256", "image_width", "image_height"
        ):  # fmt: skip
            assert getattr(case, name) == row[name], name
        assert case.saved_at.strftime("%Y-%m-%d %H:%M:%S.%f") == row["saved_at"]
        assert case.patient == Patient(row["patient_reference"], row["age"], row["sex"])
        lesion = case.lesion
        assert (lesion.lesion_id, lesion.site, lesion.side, lesion.note) == (
            UUID(row["lesion_id"]), row["site"], row["side"], row["note"]
        )  # fmt: skip
        assert case.decision == Decision(row["dx"], row["plan"], row["reason"])
        read = row["own_dx"] and Read(row["own_dx"], row["own_certainty"], row["own_plan"])
        assert case.own_read == read
        day = row["biopsy_reported_on"]
        assert case.biopsy == (day and Biopsy(row["biopsy_dx"], date.fromisoformat(day), row["biopsy_note"]))


def test_old_cases_hold_a_read_that_was_skipped_and_a_biopsy() -> None:
    """So that the comparison above compares both."""
    assert {row["own_dx"] for row in ROWS["cases"]} == {"mel", None}
    assert {row["biopsy_dx"] for row in ROWS["cases"]} == {"bcc", None}


def test_trail_verifies_and_goes_on(log: CaseLog) -> None:
    before = log.verify(NORTH)
    assert before.fault is None and before.entries == len(ROWS["audit_entries"]) + 1
    # The one entry says that the cases were sealed as they were found; it follows the last one of then.
    with log._database.reading() as session:
        sealing = session.execute(text("SELECT action, details, previous_hash FROM audit_entries ORDER BY number"))
        *_, (action, details, previous) = sealing
    assert (action, details) == ("seal", json.dumps({"cases": len(ROWS["cases"])}))
    assert previous == ROWS["audit_entries"][-1]["hash"]
    assert before.cases == len(ROWS["cases"]) and before.sealed_at is not None
    (case,) = [case for case in cases_of(log).values() if case.biopsy]
    log.decide(case.case_id, Decision("nv", "follow-up"), NORTH)
    after = log.verify(NORTH)
    assert after.fault is None and after.entries == before.entries + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_backup_of_an_older_version_is_restored_and_brought_up_to_date(old_url: str, tmp_path: Path) -> None:
    folder, new = tmp_path / "backup", tmp_path / "new.db"
    folder.mkdir()
    with (
        contextlib.closing(sqlite3.connect(old_url.removeprefix("sqlite:///"))) as one,
        contextlib.closing(sqlite3.connect(folder / "cases.db")) as other,
    ):
        one.backup(other)
    entries = ROWS["audit_entries"]
    backup = Backup(
        format=1, made_at="2026-01-01T00:00:00+00:00", database="sqlite", revision="0001", log_id="", cases=len(ROWS),
        key_fingerprint=fingerprint(KEY), entries=len(entries), last_hash=entries[-1]["hash"], images=None, lacking=(),
        fault=None,
    )  # fmt: skip
    (folder / "backup.json").write_text(json.dumps(asdict(backup)))
    digest = hashlib.sha256((folder / "cases.db").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  cases.db\n")
    restored, report = restore(folder, f"sqlite:///{new}", None, KEY)
    assert restored == backup
    assert (report.fault, report.cases, report.entries) == (None, len(ROWS["cases"]), len(entries) + 1)
    (folder / "backup.json").write_text(json.dumps(asdict(replace(backup, last_hash="0" * 64))))
    with pytest.raises(BackupError, match="do not use this database"):
        restore(folder, f"sqlite:///{tmp_path}/other.db", None, KEY)


def test_trail_that_was_changed_before_is_still_found_out(old_url: str, tmp_path: Path) -> None:
    database = open_database(old_url)
    drop = "audit_entries_keep" + ("" if old_url.startswith("sqlite") else " ON audit_entries")
    with database.writing() as session:
        session.execute(text(f"DROP TRIGGER {drop}"))
        session.execute(text("UPDATE audit_entries SET details = '{}' WHERE number = 8"))
    database.close()
    log = open_case_log(old_url, open_image_store(str(tmp_path)), KEY)
    fault = log.verify(NORTH).fault
    log.close()
    assert fault is not None and (fault.number, fault.kind) == (8, "changed")


def test_audit_tables_keep_their_guards(log: CaseLog) -> None:
    for statement in ("UPDATE audit_entries SET actor = 'eve'", "DELETE FROM audit_entries", "DELETE FROM audit_head"):
        with pytest.raises(Exception, match="answer"), log._database.writing() as session:
            session.execute(text(statement))
    assert log.verify(NORTH).fault is None


def test_old_cases_are_found_by_what_they_were_found_by(log: CaseLog) -> None:
    assert [case.patient_reference for case in log.find(CaseQuery(patient_reference="čapek 3"), NORTH)] == ["Čapek 3"]
    assert [case.patient_reference for case in log.find(CaseQuery(text="müller-12"), NORTH)] == ["Müller 12"]
    assert log.count(CaseQuery(is_flagged=True, task=SKIN.key), NORTH) == 2
    assert log.count(CaseQuery(task="retina"), NORTH) == 0
    assert (log.tasks(NORTH), log.tasks(LOCAL_ACTOR)) == ([SKIN.key], [])


def test_another_key_hashes_no_reference(old_url: str, tmp_path: Path) -> None:
    with pytest.raises(CaseLogUnavailable, match="key"):
        open_case_log(old_url, open_image_store(str(tmp_path)), b"another key")
    log = open_case_log(old_url, open_image_store(str(tmp_path)), KEY)
    found = log.find(CaseQuery(patient_reference="MÜLLER12"), NORTH)
    log.close()
    assert [case.patient_reference for case in found] == ["Müller 12"]


def test_a_class_can_be_asked_for_in_sql(log: CaseLog) -> None:
    with log._database.reading() as session:
        rows = session.execute(text("SELECT case_id, probabilities ->> 'mel' FROM cases")).all()
    found = {UUID(str(case_id)).hex: float(value) for case_id, value in rows}
    assert found == pytest.approx({row["case_id"]: row["p_mel"] for row in ROWS["cases"]})


def test_migration_that_is_cut_short_leaves_the_old_tables(old_url: str) -> None:
    database = open_database(old_url)
    with pytest.raises(RuntimeError), database.writing() as session:
        upgrade(session.connection(), "head")
        assert names(session.connection()) >= {"task", "probabilities"}
        raise RuntimeError("cut short")
    with database.engine.connect() as connection:
        assert names(connection) >= {"p_malignant", "p_akiec"} and "task" not in names(connection)
        assert connection.scalar(text("SELECT count(*) FROM cases")) == len(ROWS["cases"])
    database.migrate(lambda session: pytest.fail("the log is not new"))
    with database.engine.connect() as connection:
        assert "task" in names(connection)
    database.close()


def names(connection: Connection) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns("cases")}


def test_processes_that_open_an_old_log_at_once_migrate_it_once(old_url: str, tmp_path: Path) -> None:
    environment, pipe = {**os.environ, "PYTHONPATH": str(ROOT)}, subprocess.PIPE
    order = [sys.executable, "-c", OPEN, old_url, KEY.decode()]
    processes = [
        subprocess.Popen(order, cwd=tmp_path, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
    log = open_case_log(old_url, open_image_store(str(tmp_path)), KEY)
    assert log.verify(NORTH).entries == len(ROWS["audit_entries"]) + 1 + 2 and log.verify(NORTH).fault is None
    assert len(cases_of(log)) == len(ROWS["cases"])
    log.close()


def test_old_cases_can_be_said_to_show_something_else(log: CaseLog) -> None:
    case = next(case for case in cases_of(log).values() if case.organisation == "North")
    decided = log.decide(case.case_id, Decision(OTHER, "excision", other="Merkel cell carcinoma"), NORTH)
    assert log.case(case.case_id, NORTH) == decided
    assert [one.case_id for one in log.find(CaseQuery(dx=OTHER, text="merkel"), NORTH)] == [case.case_id]
    assert log.verify(NORTH).fault is None
