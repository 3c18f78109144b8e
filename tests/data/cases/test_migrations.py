"""Tables come into being by migration, once, and are those that the code expects."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from data.cases.database import CaseLogUnavailable, Database, open_database
from data.cases.tables import AuditHeadRow, Base

pytest_plugins = ("tests.support.servers.postgres_server",)

ROOT = Path(__file__).resolve().parents[3]
OPEN = """
import sys
from data.cases.case import LOCAL_ACTOR
from data.cases.log import open_case_log
from data.cases.storage import open_image_store
print("ready", flush=True)
sys.stdin.readline()
log = open_case_log(sys.argv[1], open_image_store("."), b"key")
log.record_sign_in(LOCAL_ACTOR)
log.close()
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


def begin(session: Session) -> None:
    session.add(AuditHeadRow(log_id=UUID(int=1), key_check="", number=0, hash="", seal=""))


def heads(database: Database) -> int:
    with database.reading() as session:
        return len(session.scalars(select(AuditHeadRow)).all())


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    database.migrate(begin)
    with database.engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    assert names == {
        "cases",
        "case_seals",
        "shown_answers",
        "ended_sign_ins",
        "audit_entries",
        "audit_head",
        "alembic_version",
    }


def test_comparison_would_see_a_difference(database: Database) -> None:
    database.migrate(begin)
    with database.writing() as session:
        session.execute(text("DROP INDEX ix_cases_lesion_id"))
        session.execute(text("ALTER TABLE cases ADD COLUMN extra INTEGER"))
    with database.engine.connect() as connection:
        kinds = {
            difference[0] for difference in compare_metadata(MigrationContext.configure(connection), Base.metadata)
        }
    assert kinds == {"add_index", "remove_column"}


def test_migrating_again_changes_nothing(database: Database) -> None:
    for _ in range(3):
        database.migrate(begin)
    assert heads(database) == 1


def test_migration_that_is_cut_short_leaves_nothing(database: Database) -> None:
    def fail(session: Session) -> None:
        raise RuntimeError("cut short")

    with pytest.raises(RuntimeError):
        database.migrate(fail)
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    database.migrate(begin)
    assert heads(database) == 1


def test_threads_that_open_at_once_migrate_once(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: database.migrate(begin), range(4)))
    assert heads(database) == 1


def test_a_new_file_that_another_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "cases.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE unrelated (number)")
    # Not yet in write-ahead mode: here SQLite gives up at once, whatever its time-out.
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO unrelated VALUES (1)")
    end = threading.Timer(0.3, other.execute, ["COMMIT"])
    end.start()
    database = open_database(f"sqlite:///{path}")
    database.migrate(begin)
    end.join()
    other.close()
    assert heads(database) == 1


def test_processes_that_open_at_once_migrate_once(database_url: str, tmp_path: Path) -> None:
    # Another working directory than the repository's: nothing is looked for there.
    environment, pipe = {**os.environ, "PYTHONPATH": str(ROOT)}, subprocess.PIPE
    command = [sys.executable, "-c", OPEN, database_url]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == ["", ""]
    database = open_database(database_url)
    with database.reading() as session:
        assert session.scalars(select(AuditHeadRow)).one().number == 2
    database.close()


def test_tables_of_a_newer_program_are_refused(database: Database) -> None:
    database.migrate(begin)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CaseLogUnavailable, match="update the program"):
        database.migrate(begin)
