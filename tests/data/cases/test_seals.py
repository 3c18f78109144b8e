"""Whatever is done to a case behind the program's back is found, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from data.cases.case import LOCAL_ACTOR, Biopsy, Case, Decision
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import open_image_store
from data.cases.tables import CaseRow
from data.tasks.task import OTHER
from tests.support.case_log import made_up_draft, made_up_image, made_up_refusal

pytest_plugins = ("tests.support.servers.postgres_server",)

KEY = b"0123456789abcdef0123456789abcdef"
# What a column is set to, by its kind, as SQL.
CHANGES = {
    "TEXT": "'another'",
    "VARCHAR(64)": "'another'",
    "CHAR(32)": f"'{uuid4().hex}'",
    "UUID": f"'{uuid4()}'",
    "DATETIME": "'2020-01-01 00:00:00.000000'",
    "TIMESTAMP": "'2020-01-01 00:00:00+00'",
    "DATE": "'2020-01-01'",
    "INTEGER": "7",
    "DOUBLE": "0.123",
    "DOUBLE PRECISION": "0.123",
    "JSON": "'7'",
    "BLOB": "X'00'",
    "BYTEA": "decode('00', 'hex')",
}
SEALED = [
    column
    for column in CaseRow.__table__.columns
    if column.key not in ("case_id", "image_key", "reference_hash", "search_text")
]


@pytest.fixture
def log(database_url: str, tmp_path: Path) -> Iterator[CaseLog]:
    """Four cases: changed, with a biopsy, refused, and one more; a fifth was deleted."""
    log = open_case_log(database_url, open_image_store(str(tmp_path / "images")), KEY)
    cases = [save(log, seed) for seed in range(4)]
    log.decide(cases[0].case_id, Decision(OTHER, "excision", other="Merkel cell carcinoma"), LOCAL_ACTOR)
    log.correct(cases[1].case_id, cases[1].patient, replace(cases[1].lesion, note="übrigens"), LOCAL_ACTOR)
    log.record_biopsy(cases[1].case_id, Biopsy("mel", date(2026, 3, 3)), LOCAL_ACTOR)
    save(log, 5, result=made_up_refusal())
    log.delete(cases[3].case_id, LOCAL_ACTOR)
    yield log
    log.close()


def save(log: CaseLog, seed: int, **changes: Any) -> Case:
    return log.save(replace(made_up_draft(seed), **changes), made_up_image(seed), LOCAL_ACTOR)


def all_cases(log: CaseLog) -> list[Case]:
    return list(log.cases(CaseQuery(is_descending=False), LOCAL_ACTOR))


def change(log: CaseLog, *statements: str, **values: Any) -> None:
    with log._database.writing() as session:
        for statement in statements:
            session.execute(text(statement), values)


def found(log: CaseLog) -> tuple[str, str]:
    fault = log.verify(LOCAL_ACTOR).fault
    assert fault is not None
    return fault.kind, fault.text


def test_untouched_cases_are_whole_also_when_opened_again(log: CaseLog, database_url: str, tmp_path: Path) -> None:
    again = open_case_log(database_url, open_image_store(str(tmp_path / "images")), KEY)
    for opened in (log, again):
        report = opened.verify(LOCAL_ACTOR)
        assert (report.fault, report.cases, report.sealed_at) == (None, 4, None)
    again.close()


def test_change_of_any_column_is_found(log: CaseLog) -> None:
    dialect, case = log._database.engine.dialect, all_cases(log)[1]
    change(log, "CREATE TABLE kept AS SELECT * FROM cases")
    for column in SEALED:
        value = changed(column.type.compile(dialect), is_sqlite=dialect.name == "sqlite")
        own = "case_id = (SELECT case_id FROM kept WHERE biopsy_dx = 'mel')"
        change(log, f"UPDATE cases SET {column.key} = {value} WHERE {own}")
        kind, said = found(log)
        assert (kind, str(case.case_id) in said) == ("case changed", True), column.key
        assert log.verify(LOCAL_ACTOR).cases == 3
        change(log, "DELETE FROM cases", "INSERT INTO cases SELECT * FROM kept")
    assert log.verify(LOCAL_ACTOR).fault is None


def changed(kind: str, is_sqlite: bool) -> str:
    """A value for a column of a kind, as SQL, that no case of these tests has."""
    values = CHANGES | ({"BOOLEAN": "1"} if is_sqlite else {"BOOLEAN": "true"})
    return values[kind.partition(" WITH")[0]]


@pytest.mark.parametrize("column", ["saved_at", "lesion_id", "probabilities"])
def test_value_that_cannot_be_read_is_found(tmp_path: Path, column: str) -> None:
    # SQLite keeps any value in any column.
    log = open_case_log(f"sqlite:///{tmp_path}/cases.db", open_image_store(str(tmp_path / "images")), KEY)
    cases = [save(log, seed) for seed in range(3)]
    change(log, f"UPDATE cases SET {column} = 'none' WHERE case_id = :id", id=cases[1].case_id.hex)
    assert found(log)[0] == "case changed" and str(cases[1].case_id) in found(log)[1]
    assert log.verify(LOCAL_ACTOR).cases == 2
    change(log, "UPDATE cases SET case_id = 'none' WHERE case_id = :id", id=cases[2].case_id.hex)
    assert log.verify(LOCAL_ACTOR).fault is not None
    log.close()


def test_case_that_was_taken_out_is_found(log: CaseLog) -> None:
    gone = all_cases(log)[2]
    change(log, "DELETE FROM cases WHERE biopsy_dx IS NULL AND refusal IS NULL AND dx <> 'other'")
    assert found(log)[0] == "case missing" and str(gone.case_id) in found(log)[1]
    change(log, "DELETE FROM case_seals")
    assert "and 3 more cases" in found(log)[1]


def test_case_that_was_put_in_is_found(log: CaseLog) -> None:
    names = [column.key for column in CaseRow.__table__.columns]
    other = uuid4()
    is_sqlite = log._database.engine.dialect.name == "sqlite"
    made = {"case_id": f"'{other.hex if is_sqlite else other}'", "image_key": "'another'"}
    values = ", ".join(made.get(name, name) for name in names)
    change(log, f"INSERT INTO cases ({', '.join(names)}) SELECT {values} FROM cases WHERE biopsy_dx = 'mel'")
    assert found(log) == (
        "case put in",
        f"case {other} is none that the trail knows: its row was put in without the program",
    )


def test_row_that_was_put_back_with_its_seal_is_found(log: CaseLog) -> None:
    case = all_cases(log)[2]
    change(log, "CREATE TABLE kept AS SELECT * FROM cases", "CREATE TABLE kept_seals AS SELECT * FROM case_seals")
    log.decide(case.case_id, Decision("mel", "biopsy"), LOCAL_ACTOR)
    change(
        log,
        "DELETE FROM cases",
        "DELETE FROM case_seals",
        "INSERT INTO cases SELECT * FROM kept",
        "INSERT INTO case_seals SELECT * FROM kept_seals",
    )
    assert found(log)[0] == "case changed" and str(case.case_id) in found(log)[1]


def test_another_key_seals_nothing(log: CaseLog) -> None:
    whole = log.verify(LOCAL_ACTOR)
    change(log, "UPDATE case_seals SET seal = :seal", seal="0" * 64)
    assert (whole.fault, found(log)[0], log.verify(LOCAL_ACTOR).cases) == (None, "case changed", 0)
