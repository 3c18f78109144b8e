"""The drill: cases are saved, backed up beside a program that goes on, lost, put back, checked and opened."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from data import case_log as commands
from data.cases import backup
from data.cases.backup import BackupError
from data.cases.case import LOCAL_ACTOR, Case, Decision
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import FolderStore, open_image_store
from tests.support.case_log import made_up_draft, made_up_image
from tests.support.servers.postgres_server import new_database
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.postgres_server", "tests.support.servers.s3_server")

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "images")


@pytest.fixture
def log(database_url: str, store: FolderStore) -> Iterator[CaseLog]:
    log = open_case_log(database_url, store, KEY)
    yield log
    log.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    return path


@pytest.fixture
def new_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """Where the log is put back: another database of the same kind, which is empty."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'new' / 'cases.db'}"
    else:
        with new_database(request.getfixturevalue("postgres_socket")) as url:
            yield url


def save(log: CaseLog, seed: int) -> Case:
    return log.save(made_up_draft(seed), made_up_image(seed), LOCAL_ACTOR)


def cases_of(log: CaseLog) -> list[Case]:
    return list(log.cases(CaseQuery(is_descending=False), LOCAL_ACTOR))


class Ran:
    """What a command ended with and said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
        monkeypatch.setattr("sys.argv", ["case_log", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        self.code = int(ended.value.code or 0)
        self.said = "".join(capsys.readouterr())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key_file: Path) -> Any:
    return lambda command, url, *words: Ran(
        capsys, monkeypatch, command, "--database", url, "--key-file", key_file, *words
    )


@contextmanager
def going_on(log: CaseLog) -> Iterator[None]:
    """A program that saves all the while, and has saved once before this begins."""
    is_over, has_begun = threading.Event(), threading.Event()

    def save_on() -> None:
        seed = 100
        while not is_over.is_set():
            save(log, seed)
            has_begun.set()
            seed += 1

    thread = threading.Thread(target=save_on)
    thread.start()
    has_begun.wait()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def test_drill(log: CaseLog, database_url: str, new_url: str, store: FolderStore, tmp_path: Path, run: Any) -> None:
    first = [save(log, seed) for seed in range(5)]
    log.decide(first[0].case_id, Decision("mel", "excision"), LOCAL_ACTOR)
    log.delete(first[4].case_id, LOCAL_ACTOR)
    folder, new_images = tmp_path / "backups" / "today", tmp_path / "new_images"
    with going_on(log):
        made = run("backup", database_url, "--images", store.folder, "--folder", folder)
    assert made.code == 0, made.said
    saved = cases_of(log)
    # Whoever may read the folder may read the cases; the key is not among it.
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} <= {0o600, 0o644} and KEY not in b"".join(
        path.read_bytes() for path in files
    )
    sums = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=False, capture_output=True)
    assert sums.returncode == 0 and not (folder / "cases.db-wal").exists()
    log.close()
    destroy(database_url, store)
    restored = run("restore", new_url, "--images", new_images, "--folder", folder)
    assert restored.code == 0, restored.said
    verified = run("verify", new_url, "--images", new_images)
    assert verified.code == 0 and "whole and in order" in verified.said
    manifest = json.loads((folder / "backup.json").read_text())
    with closing(open_case_log(new_url, open_image_store(str(new_images)), KEY)) as opened:
        found = cases_of(opened)
        # Those before the backup began, and of those saved meanwhile the first ones.
        assert found == saved[: len(found)] and len(found) == manifest["cases"] >= 5
        for case in found:
            assert opened.case(case.case_id, LOCAL_ACTOR) == case
            assert opened.image(case, LOCAL_ACTOR)
        save(opened, 999)
        assert opened.verify(LOCAL_ACTOR).fault is None


def destroy(database_url: str, store: FolderStore) -> None:
    if database_url.startswith("sqlite"):
        for path in Path(database_url.removeprefix("sqlite:///")).parent.glob("cases.db*"):
            path.unlink()
    for path in store.folder.iterdir():
        path.unlink()


def test_restore_replaces_nothing(
    log: CaseLog, database_url: str, new_url: str, store: FolderStore, tmp_path: Path, run: Any
) -> None:
    save(log, 0)
    where = ("--images", store.folder, "--folder", tmp_path / "backup")
    assert run("backup", database_url, *where).code == 0
    again = run("backup", database_url, *where)
    assert again.code == 2 and "expected a new or empty folder" in again.said
    later = save(log, 1)
    refused = run("restore", database_url, *where)
    assert refused.code == 2 and "nothing was replaced" in refused.said
    assert log.image(later, LOCAL_ACTOR) and len(cases_of(log)) == 2
    # Cut short after the images, it is done again.
    assert run("restore", new_url, *where).code == 0


def test_another_key_restores_nothing(
    log: CaseLog, database_url: str, new_url: str, store: FolderStore, tmp_path: Path, key_file: Path, run: Any
) -> None:
    save(log, 0)
    where = ("--images", store.folder, "--folder", tmp_path / "backup")
    assert run("backup", database_url, *where).code == 0
    key_file.write_bytes(b"f" * 32)
    refused = run("restore", new_url, *where)
    assert refused.code == 2 and "expected the key with the fingerprint" in refused.said
    assert run("backup", database_url, "--images", store.folder, "--folder", tmp_path / "other").code == 2


@pytest.mark.parametrize("damage", ["image", "database", "no manifest", "cut sums"])
def test_damaged_backup_restores_nothing(tmp_path: Path, store: FolderStore, run: Any, damage: str) -> None:
    url, folder = f"sqlite:///{tmp_path / 'cases.db'}", tmp_path / "backup"
    with closing(open_case_log(url, store, KEY)) as log:
        case = save(log, 0)
    where = ("--images", tmp_path / "new_images", "--folder", folder)
    assert run("backup", url, "--images", store.folder, "--folder", folder).code == 0
    if damage == "image":
        (folder / "images" / case.image_key).write_bytes(b"another")
    elif damage == "database":
        with (folder / "cases.db").open("r+b") as file:
            file.truncate(4096)
    elif damage == "no manifest":
        (folder / "backup.json").unlink()
    else:
        os.truncate(folder / "SHA256SUMS", 10)
    new = tmp_path / "new.db"
    refused = run("restore", f"sqlite:///{new}", *where)
    assert refused.code == 2 and "expected" in refused.said and not new.exists()


def test_what_was_wrong_already_is_told(tmp_path: Path, store: FolderStore, run: Any) -> None:
    url, folder = f"sqlite:///{tmp_path / 'cases.db'}", tmp_path / "backup"
    with closing(open_case_log(url, store, KEY)) as log:
        cases = [save(log, seed) for seed in range(3)]
        with log._database.writing() as session:
            session.execute(text("UPDATE cases SET dx = 'another' WHERE case_id = :id"), {"id": cases[0].case_id.hex})
    (store.folder / cases[1].image_key).unlink()
    made = run("backup", url, "--images", store.folder, "--folder", folder)
    assert made.code == 1 and f"case {cases[0].case_id} is not what entry 1 wrote" in made.said
    assert f"image missing: {cases[1].image_key}" in made.said
    verified = run("verify", url, "--images", store.folder)
    assert verified.code == 1 and f"image missing: case {cases[1].case_id}" in verified.said


def test_images_may_stay_where_they_are_and_lie_in_a_bucket(tmp_path: Path, moto_url: str, run: Any) -> None:
    url, place = f"sqlite:///{tmp_path / 'cases.db'}", f"s3://{make_bucket(moto_url)}/clinic"
    with closing(open_case_log(url, open_image_store(place, moto_url), KEY)) as log:
        save(log, 0)
    bucket = ("--images", place, "--images-endpoint", moto_url)
    assert run("backup", url, *bucket, "--folder", tmp_path / "whole").code == 0
    assert run("backup", url, "--without-images", "--folder", tmp_path / "rows").code == 0
    assert not (tmp_path / "rows" / "images").exists()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    assert run("restore", new, "--without-images", "--folder", tmp_path / "rows").code == 0
    assert run("verify", new, *bucket).code == 0
    other = ("--images", f"s3://{make_bucket(moto_url)}/clinic", "--images-endpoint", moto_url)
    assert run("restore", f"sqlite:///{tmp_path / 'other.db'}", *other, "--folder", tmp_path / "whole").code == 0
    assert run("verify", new, *other).code == 0


def test_password_is_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$PGPASSWORD: $@" > {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    backup._run_tool("pg_dump", "postgres://anna:hu%40sh@db:5433/cases?sslmode=require", "--format=custom")
    said = (tmp_path / "said").read_text()
    assert said == ("hu@sh: --dbname=postgresql://anna@db:5433/cases?sslmode=require --no-password --format=custom\n")
    program.write_text("#!/bin/sh\necho no such host >&2; exit 1\n")
    with pytest.raises(BackupError, match="expected pg_dump to work, received: no such host"):
        backup._run_tool("pg_dump", "postgresql://db/cases")
    with pytest.raises(BackupError, match="expected the program pg_restore, found none"):
        backup._run_tool("pg_restore", "postgresql://db/cases")


def test_commands_say_what_they_lack(tmp_path: Path, run: Any) -> None:
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    for command, words, lacking in (
        ("backup", ("--images", "."), "--folder"),
        ("backup", ("--folder", tmp_path), "--images or --without-images"),
        ("restore", ("--folder", tmp_path), "--images or --without-images"),
        ("rekey", (), "--new-key-file"),
        ("sweep", (), "--images"),
    ):
        ran = run(command, url, *words)
        assert ran.code == 2 and f"expected {lacking} for {command}" in ran.said
