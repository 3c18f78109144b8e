"""A log gets another key, and one whose key is lost can still be read: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from data import case_log as commands
from data.cases.case import LOCAL_ACTOR, Case, Decision, Patient
from data.cases.database import CaseLogReadOnly, CaseLogUnavailable, open_there
from data.cases.keys import fingerprint, rekey
from data.cases.log import CaseLog, open_case_log, open_without_key
from data.cases.queries import CaseQuery
from data.cases.storage import FolderStore
from tests.support.case_log import made_up_draft, made_up_image

pytest_plugins = ("tests.support.servers.postgres_server",)

OLD, NEW, NEWER = b"0123456789abcdef0123456789abcdef", b"n" * 32, b"m" * 32
FILE = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "images")


@pytest.fixture
def log(database_url: str, store: FolderStore) -> Iterator[CaseLog]:
    """Two cases, of which the first was changed; somebody was shown the answer to a file of neither."""
    log = open_case_log(database_url, store, OLD)
    first = save(log, 0, content_sha256=FILE)
    save(log, 1)
    log.decide(first.case_id, Decision("mel", "excision"), LOCAL_ACTOR)
    log.note_answer_shown("cd" * 32, LOCAL_ACTOR)
    yield log
    log.close()


def save(log: CaseLog, seed: int, **changes: Any) -> Case:
    draft = replace(made_up_draft(seed), patient=Patient(f"MRN {seed}"), **changes)
    return log.save(draft, made_up_image(seed), LOCAL_ACTOR)


def give(database_url: str, old: bytes, new: bytes) -> None:
    with closing(open_there(database_url)) as database:
        rekey(database, old, new)


def test_another_key_loses_nothing(log: CaseLog, database_url: str, store: FolderStore) -> None:
    cases, entries = list(log.cases(CaseQuery(), LOCAL_ACTOR)), log.verify(LOCAL_ACTOR).entries
    give(database_url, OLD, NEW)
    give(database_url, NEW, NEWER)
    for wrong in (OLD, NEW):
        with pytest.raises(CaseLogUnavailable, match="CASE_KEY"):
            open_case_log(database_url, store, wrong)
    with closing(open_case_log(database_url, store, NEWER)) as opened:
        report = opened.verify(LOCAL_ACTOR)
        assert (report.fault, report.entries, report.cases) == (None, entries + 2, 2)
        assert list(opened.cases(CaseQuery(), LOCAL_ACTOR)) == cases
        for query in (CaseQuery(patient_reference="mrn-0"), CaseQuery(content_sha256=FILE)):
            assert [case.case_id for case in opened.find(query, LOCAL_ACTOR)] == [cases[1].case_id]
        assert opened.was_answer_shown("cd" * 32, LOCAL_ACTOR) and opened.was_answer_shown(FILE, LOCAL_ACTOR)
        newest = opened.audit_entries(LOCAL_ACTOR, 1)[0]
        assert newest.action == "new key" and newest.details == (
            f'{{"from": "{fingerprint(NEW)}", "to": "{fingerprint(NEWER)}"}}'
        )
        opened.decide(cases[0].case_id, Decision("nv", "follow-up"), LOCAL_ACTOR)
        assert opened.verify(LOCAL_ACTOR).fault is None
        with pytest.raises(CaseLogUnavailable), opened._database.writing() as session:
            session.execute(text("UPDATE audit_entries SET actor = 'eve'"))


def test_program_with_the_old_key_writes_nothing_more(log: CaseLog, database_url: str, store: FolderStore) -> None:
    give(database_url, OLD, NEW)
    with pytest.raises(CaseLogUnavailable, match="CASE_KEY"):
        save(log, 2)
    with closing(open_case_log(database_url, store, NEW)) as opened:
        assert (opened.verify(LOCAL_ACTOR).fault, opened.count(CaseQuery(), LOCAL_ACTOR)) == (None, 2)


def test_what_another_key_would_hide_keeps_the_old_one(log: CaseLog, database_url: str) -> None:
    before = log.verify(LOCAL_ACTOR)
    for old, new, error in ((NEW, NEWER, CaseLogUnavailable), (OLD, b"short", ValueError)):
        with pytest.raises(error):
            give(database_url, old, new)
    assert log.verify(LOCAL_ACTOR) == before
    with log._database.writing() as session:
        session.execute(text("UPDATE cases SET note = 'another'"))
    with pytest.raises(CaseLogUnavailable, match="another key would hide what was done to it"):
        give(database_url, OLD, NEW)
    fault = log.verify(LOCAL_ACTOR).fault
    assert fault is not None and fault.kind == "case changed"


def test_rekeying_that_is_cut_short_changes_nothing(log: CaseLog, database_url: str) -> None:
    before = log.verify(LOCAL_ACTOR)
    with log._database.writing() as session:  # so that the last step fails
        session.execute(text("CREATE TABLE kept AS SELECT * FROM cases"))
        session.execute(text("DROP TABLE case_seals"))
        session.execute(text("CREATE VIEW case_seals AS SELECT case_id, 0 AS number, '' AS seal FROM kept"))
    with pytest.raises(CaseLogUnavailable):
        give(database_url, OLD, NEW)
    with log._database.reading() as session:
        assert log._trail.verify(session).last_hash == before.last_hash


def test_lost_key_leaves_a_log_to_be_read(log: CaseLog, database_url: str, store: FolderStore) -> None:
    cases, report = list(log.cases(CaseQuery(), LOCAL_ACTOR)), log.verify(LOCAL_ACTOR)
    with closing(open_without_key(database_url, store)) as opened:
        assert list(opened.cases(CaseQuery(), LOCAL_ACTOR)) == cases
        assert [one.case_id for one in opened.find(CaseQuery(), LOCAL_ACTOR)] == [case.case_id for case in cases]
        assert opened.find(CaseQuery(patient_reference="MRN 0"), LOCAL_ACTOR) == []
        assert opened.case(cases[0].case_id, LOCAL_ACTOR) == cases[0] and opened.image(cases[0], LOCAL_ACTOR)
        opened.record_export([cases[0].case_id], "CSV", LOCAL_ACTOR)
        opened.record_sign_in(LOCAL_ACTOR)
        assert not opened.note_answer_shown("ef" * 32, LOCAL_ACTOR)
        for call in (
            lambda: save(opened, 3),
            lambda: opened.decide(cases[0].case_id, Decision("nv", "biopsy"), LOCAL_ACTOR),
            lambda: opened.delete(cases[0].case_id, LOCAL_ACTOR),
            lambda: opened.sweep(),
            lambda: opened.forget_shown_answers(),
        ):
            with pytest.raises(CaseLogReadOnly, match="it can only be read"):
                call()
        said = opened.verify(LOCAL_ACTOR)
        assert (said.entries, said.last_hash, said.fault, said.is_proven, said.cases) == (
            report.entries, report.last_hash, None, False, 0,
        )  # fmt: skip
    assert log.verify(LOCAL_ACTOR) == report


def test_commands_rekey_and_read_without_a_key(
    tmp_path: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["case_log", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        return int(ended.value.code or 0)

    url = f"sqlite:///{tmp_path / 'cases.db'}"
    with closing(open_case_log(url, store, OLD)) as log:
        save(log, 0)
    files = {}
    for name, key in (("old", OLD), ("new", NEW)):
        files[name] = tmp_path / name
        files[name].write_bytes(key)
    assert run("verify", "--database", url, "--without-key") == 0
    assert "nothing proves that they, or the cases, are what was written" in capsys.readouterr().out
    assert run("rekey", "--database", url, "--key-file", files["old"], "--new-key-file", files["new"]) == 0
    assert fingerprint(NEW) in capsys.readouterr().out
    assert run("verify", "--database", url, "--key-file", files["old"]) == 2
    assert run("verify", "--database", url, "--key-file", files["new"]) == 0
