"""Whatever is done to the audit trail behind the program's back is found, on SQLite and on PostgreSQL."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.cases.audit import AuditReport, AuditTrail
from data.cases.case import Actor
from data.cases.database import CaseLogUnavailable, Database, open_database

pytest_plugins = ("tests.support.servers.postgres_server",)

TRAIL = AuditTrail(b"0123456789abcdef0123456789abcdef")
ANNA = Actor("anna@north.org", "North", "clinician")
COPY = (
    "INSERT INTO audit_entries SELECT {number}, at, actor, organisation, role, action, case_id, details, {previous}, "
    "hash FROM audit_entries WHERE number = {source}"
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A trail of five entries, whose triggers are still there."""
    database = open_database(database_url)
    database.migrate(TRAIL.begin)
    append(database, 5)
    yield database
    database.close()


@pytest.fixture
def unguarded(database: Database) -> Database:
    """The same without its triggers, as for somebody who owns the database."""
    with database.writing() as session:
        for table, name in TRIGGERS:
            of_table = "" if database.engine.dialect.name == "sqlite" else f" ON {table}"
            session.execute(text(f"DROP TRIGGER {name}{of_table}"))
    return database


TRIGGERS = (
    ("audit_entries", "audit_entries_keep"),
    ("audit_entries", "audit_entries_stay"),
    ("audit_head", "audit_head_keep"),
    ("audit_head", "audit_head_stay"),
)


def append(database: Database, count: int) -> None:
    for number in range(count):
        with database.writing() as session:
            TRAIL.append(session, ANNA, "view", UUID(int=number), {"round": number})


def change(database: Database, *statements: str, **values: Any) -> None:
    with database.writing() as session:
        for statement in statements:
            session.execute(text(statement), values)


def verify(database: Database, trail: AuditTrail = TRAIL) -> AuditReport:
    with database.reading() as session:
        return trail.verify(session)


def found(database: Database) -> tuple[str, int]:
    """Kind and number of the first fault."""
    fault = verify(database).fault
    assert fault is not None and fault.text
    return fault.kind, fault.number


def test_untouched_trail_is_whole(database: Database) -> None:
    report = verify(database)
    assert report.fault is None and report.entries == 5
    with database.reading() as session:
        entries = TRAIL.latest(session, "North", 10)[::-1]
        assert TRAIL.latest(session, "South", 10) == []
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous_hash for entry in entries] == ["", *(entry.hash for entry in entries[:-1])]
    assert entries[-1].hash == report.last_hash
    assert (entries[2].actor, entries[2].role, entries[2].action) == ("anna@north.org", "clinician", "view")
    assert (entries[2].case_id, entries[2].details) == (UUID(int=2), '{"round": 2}')


def test_empty_trail_is_whole(database_url: str) -> None:
    database = open_database(database_url)
    database.migrate(TRAIL.begin)
    assert verify(database) == AuditReport(entries=0, last_hash="", fault=None)
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'nobody' WHERE number = 2",
        "DELETE FROM audit_entries WHERE number = 5",
        "DELETE FROM audit_entries",
        "UPDATE audit_head SET number = 4",
        "UPDATE audit_head SET seal = ''",
        "DELETE FROM audit_head",
    ],
)
def test_database_refuses_to_change_the_trail(database: Database, statement: str) -> None:
    with pytest.raises(CaseLogUnavailable):
        change(database, statement)
    assert verify(database).fault is None


@pytest.mark.parametrize("table", ["audit_entries", "audit_head"])
def test_postgresql_refuses_to_empty_the_trail(postgres_url: str, table: str) -> None:
    database = open_database(postgres_url)
    database.migrate(TRAIL.begin)
    with pytest.raises(CaseLogUnavailable):
        change(database, f"TRUNCATE {table}")
    database.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00.000000"),
        ("actor", "nobody"),
        ("organisation", "South"),
        ("role", "admin"),
        ("action", "delete"),
        ("case_id", UUID(int=4).hex),
        ("case_id", None),
        ("details", "{}"),
        ("previous_hash", "0" * 64),
        ("hash", "0" * 64),
        ("hash", "é"),
    ],
)
def test_changed_field_is_found(unguarded: Database, column: str, value: Any) -> None:
    cast = {"at": "timestamp", "case_id": "uuid"}.get(column, "text")
    parameter = ":value" if unguarded.engine.dialect.name == "sqlite" else f"CAST(:value AS {cast})"
    change(unguarded, f"UPDATE audit_entries SET {column} = {parameter} WHERE number = 3", value=value)
    assert found(unguarded) == ("changed", 3)
    assert verify(unguarded).entries == 2


def test_changed_number_is_found(unguarded: Database) -> None:
    change(unguarded, "UPDATE audit_entries SET number = 9 WHERE number = 3")
    assert found(unguarded) == ("missing", 3)
    change(unguarded, "UPDATE audit_entries SET number = 0 WHERE number = 9")
    assert found(unguarded) == ("reordered", 0)


@pytest.mark.parametrize(("column", "value"), [("at", "yesterday"), ("at", 17), ("case_id", "none"), ("details", b"x")])
def test_field_that_cannot_be_read_is_found(tmp_path: Path, column: str, value: Any) -> None:
    # SQLite keeps any value in any column.
    database = open_database(f"sqlite:///{tmp_path / 'cases.db'}")
    database.migrate(TRAIL.begin)
    append(database, 4)
    change(database, "DROP TRIGGER audit_entries_keep")
    change(database, f"UPDATE audit_entries SET {column} = :value WHERE number = 3", value=value)
    assert found(database) == ("changed", 3)
    database.close()


@pytest.mark.parametrize("number", [1, 3])
def test_deleted_entry_is_found(unguarded: Database, number: int) -> None:
    change(unguarded, f"DELETE FROM audit_entries WHERE number = {number}")
    assert found(unguarded) == ("missing", number)


def test_deleted_end_is_found(unguarded: Database) -> None:
    change(unguarded, "DELETE FROM audit_entries WHERE number > 3")
    assert found(unguarded) == ("cut off", 4)
    # Going on does not hide it.
    append(unguarded, 1)
    assert found(unguarded) == ("missing", 4)


def test_deleted_end_with_the_head_moved_back_is_found(unguarded: Database) -> None:
    change(
        unguarded,
        "DELETE FROM audit_entries WHERE number > 3",
        "UPDATE audit_head SET number = 3, hash = (SELECT hash FROM audit_entries WHERE number = 3)",
    )
    assert found(unguarded) == ("forged", 3)
    # Nor does it here: the head is never sealed again.
    append(unguarded, 2)
    assert found(unguarded) == ("forged", 5)


def test_deleted_trail_is_found(unguarded: Database) -> None:
    change(unguarded, "DELETE FROM audit_entries", "UPDATE audit_head SET number = 0, hash = ''")
    assert found(unguarded) == ("forged", 0)
    change(unguarded, "DELETE FROM audit_head")
    assert found(unguarded) == ("cut off", 0)
    with pytest.raises(CaseLogUnavailable):
        append(unguarded, 1)


def test_trail_put_back_by_hand_starts_no_new_one(unguarded: Database) -> None:
    change(unguarded, "DELETE FROM audit_entries", "DELETE FROM audit_head")
    unguarded.migrate(TRAIL.begin)
    assert found(unguarded) == ("cut off", 0)


@pytest.mark.parametrize(("one", "other"), [(2, 3), (1, 5)])
def test_swapped_entries_are_found(unguarded: Database, one: int, other: int) -> None:
    change(
        unguarded,
        f"UPDATE audit_entries SET number = -1 WHERE number = {one}",
        f"UPDATE audit_entries SET number = {one} WHERE number = {other}",
        f"UPDATE audit_entries SET number = {other} WHERE number = -1",
    )
    assert found(unguarded) == ("reordered", one)


def test_entry_put_in_at_the_end_is_found(unguarded: Database) -> None:
    change(unguarded, COPY.format(number=6, previous="hash", source=5).replace("view", "save"))
    kind, number = found(unguarded)
    assert (kind, number) == ("forged", 6)


def test_copy_of_an_entry_under_another_number_is_found(unguarded: Database) -> None:
    change(unguarded, COPY.format(number=6, previous="previous_hash", source=5))
    assert found(unguarded) == ("reordered", 6)


def test_entry_of_another_history_is_found(unguarded: Database) -> None:
    # Put back to an earlier state, gone on from there, and then mixed with what had been written before.
    change(
        unguarded,
        "CREATE TABLE kept AS SELECT * FROM audit_entries",
        "CREATE TABLE kept_head AS SELECT * FROM audit_head",
        "DELETE FROM audit_entries WHERE number = 5",
        "UPDATE audit_head SET number = 4, hash = (SELECT hash FROM audit_entries WHERE number = 4)",
    )
    append(unguarded, 2)
    change(
        unguarded,
        "DELETE FROM audit_entries WHERE number = 5",
        "INSERT INTO audit_entries SELECT * FROM kept WHERE number = 5",
    )
    assert found(unguarded) == ("forged", 6)


def test_another_key_finds_the_first_entry_changed(database: Database) -> None:
    fault = verify(database, AuditTrail(b"another")).fault
    assert fault is not None and (fault.kind, fault.number) == ("changed", 1)


def test_another_key_does_not_open_the_trail(database: Database) -> None:
    with database.reading() as session, pytest.raises(CaseLogUnavailable, match="CASE_KEY"):
        AuditTrail(b"another").log_id(session)


def test_trail_that_grows_while_it_is_read_is_whole(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(append, database, 40)
        reports = []
        while not writer.done():
            reports.append(verify(database))
    writer.result()
    assert reports and all(report.fault is None for report in reports)
    assert verify(database).entries == 45


def test_key_is_not_shown() -> None:
    assert "0123" not in repr(TRAIL)


def test_entry_is_not_written_when_its_transaction_fails(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as session:
        TRAIL.append(session, ANNA, "view")
        raise RuntimeError("cut short")
    assert verify(database).entries == 5
    append(database, 1)
    assert verify(database).fault is None


def test_long_trail_is_read_a_part_at_a_time(database: Database) -> None:
    entries, size = 300, 20_000
    with database.writing() as session:
        for _ in range(entries):
            TRAIL.append(session, ANNA, "view", details={"words": "x" * size})
            session.expunge_all()
    with database.reading() as session:
        tracemalloc.start()
        report = TRAIL.verify(session, at_once=10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert report.fault is None and report.entries == 5 + entries
    assert peak < entries * size / 2, "bytes; all entries at once would take more than twice as many"
