"""A whole case log as a folder, and back: database, images, and what tells that all of it is there.

| file | holds |
|---|---|
| `cases.db` or `cases.dump` | the database: a SQLite file, or what pg_dump makes of PostgreSQL |
| `images/` | the images of its cases, under their keys |
| `SHA256SUMS` | of every file above, as `sha256sum -c` reads it |
| `backup.json` | written last (`Backup`): a folder without it is no backup |

The key is not in it, only its fingerprint: keep the key apart. The folder is for its owner only, and so is any copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from data.cases.audit import AuditReport
from data.cases.case import LOCAL_ACTOR, StoredImage
from data.cases.database import newest_revision, open_database, open_there, sqlite_file
from data.cases.keys import fingerprint
from data.cases.log import CaseLog, LogState, open_case_log
from data.cases.stores.folder import FolderStore, ImageAltered, ImageMissing, ImageStore, is_key, write_whole

MANIFEST, SUMS, IMAGES = "backup.json", "SHA256SUMS", "images"
FILES = {"sqlite": "cases.db", "postgresql": "cases.dump"}
_FORMAT = 1


class BackupError(Exception):
    """A backup cannot be made, is damaged, or cannot be put back here."""


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself.

    Attributes:
        format: of the folder.
        made_at: ISO 8601, UTC.
        database: `sqlite` or `postgresql`.
        revision: of the tables.
        log_id: whose log it is.
        key_fingerprint: of the key that opens it.
        entries, last_hash: of the audit trail.
        cases: how many.
        images: how many there are; None where they were not asked for.
        lacking: keys of images that the store did not give, or not as they were saved.
        fault: what was wrong with the log already; None where it was whole.
    """

    format: int
    made_at: str
    database: str
    revision: str
    log_id: str
    key_fingerprint: str
    entries: int
    last_hash: str
    cases: int
    images: int | None
    lacking: tuple[str, ...]
    fault: str | None


def make_backup(database_url: str, images: ImageStore | None, key: bytes, folder: Path) -> Backup:
    """Copy a log that may be in use into a new folder: all of it as it was at one moment.

    Args:
        database_url: of the log.
        images: its images; None to leave them out.
        key: the log's key.
        folder: new or empty.

    Raises:
        BackupError: the folder holds something, or the database cannot be copied.
        CaseLogUnavailable: as `open_case_log`; also for tables of another version of the program.
        StorageUnavailable: the image store does not answer.
        ValueError: the database's URL, or no file.
        OSError: the folder cannot be written.
    """
    open_there(database_url, is_current=True).close()  # a backup changes nothing, so it must not migrate either
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"expected a new or empty folder, received {folder}, which holds something; choose another")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    store = images or FolderStore(folder / IMAGES)  # which is empty
    with (
        contextlib.closing(open_case_log(database_url, store, key)) as log,
        _copied(log, database_url, key, folder) as (
            kind,
            state,
        ),
    ):
        kept, lacking = ({}, ()) if images is None else _copy_images(log, state.images, folder / IMAGES)
        file = folder / FILES[kind]
        sums = {file.name: _sha256(file)} | {f"{IMAGES}/{name}": sha256 for name, sha256 in kept.items()}
        write_whole(folder / SUMS, "".join(f"{value}  {name}\n" for name, value in sums.items()).encode())
        report = state.report
        backup = Backup(
            format=_FORMAT,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            database=kind,
            revision=newest_revision(),
            log_id=str(state.log_id),
            key_fingerprint=fingerprint(key),
            entries=report.entries,
            last_hash=report.last_hash,
            cases=len(state.images),
            images=None if images is None else len(kept),
            lacking=lacking,
            fault=None if report.fault is None else report.fault.text,
        )
    write_whole(folder / MANIFEST, (json.dumps(asdict(backup), indent=2) + "\n").encode())
    return backup


def restore(folder: Path, database_url: str, images: ImageStore | None, key: bytes) -> tuple[Backup, AuditReport]:
    """Put a backup back, images first, and check it. What is in the store already stays; no database is replaced.

    Cut short, it can be done again: the database is there whole or not at all, and last.

    Args:
        folder: as `make_backup` left it.
        database_url: of a SQLite file that does not exist yet, or an empty PostgreSQL database.
        images: where its images go; None where the backup has none, or they are all in place.
        key: the key of the log that was backed up.

    Returns:
        What the backup says of itself, and what a check of the restored log found.

    Raises:
        BackupError: no backup, a damaged one, one of another key or kind of database, or a database that is not empty.
        CaseLogUnavailable, StorageUnavailable, ValueError, OSError: as `make_backup`.
    """
    backup = read_manifest(folder)
    if fingerprint(key) != backup.key_fingerprint:
        raise BackupError(
            f"expected the key with the fingerprint {backup.key_fingerprint}, received {fingerprint(key)}; take the "
            "key that the log had when the backup was made"
        )
    sums = _read_sums(folder)
    file = folder / FILES[backup.database]
    if _sha256(file) != sums.get(file.name):
        raise BackupError(f"expected {file} as it was written, received another; use another copy of the backup")
    _check_empty(database_url, backup)
    if images is not None:
        for name, sha256 in sums.items():
            if name.startswith(f"{IMAGES}/"):
                _restore_image(folder / name, sha256, images)
    if backup.database == "sqlite":
        _put_file(file, Path(str(sqlite_file(database_url))))
    else:
        _run_tool("pg_restore", database_url, "--no-owner", "--no-privileges", "--exit-on-error",
                  "--single-transaction", str(file))  # fmt: skip
    with contextlib.closing(open_case_log(database_url, images or FolderStore(folder / IMAGES), key, True)) as log:
        report = log.verify(LOCAL_ACTOR)
        if not log.holds_entry(backup.entries, backup.last_hash):
            raise BackupError(
                f"expected {backup.entries} entries of the backup, found others; do not use this database"
            )
    return backup, report


def read_manifest(folder: Path) -> Backup:
    """What the backup in a folder says of itself; raises `BackupError` where there is none, or of a newer program."""
    try:
        values = json.loads((folder / MANIFEST).read_text())
        backup = Backup(**values | {"lacking": tuple(values["lacking"])})
    except FileNotFoundError as error:
        text_of = f"expected {folder / MANIFEST}, found none: no backup, or one that was cut short"
        raise BackupError(text_of) from error
    except (ValueError, TypeError, KeyError) as error:
        raise BackupError(f"expected a backup's description in {folder / MANIFEST}, received another text") from error
    if backup.format != _FORMAT or backup.database not in FILES:
        raise BackupError(f"expected a backup of format {_FORMAT}, received {backup.format}; update the program")
    return backup


# --- The database ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _copied(log: CaseLog, database_url: str, key: bytes, folder: Path) -> Iterator[tuple[str, LogState]]:
    """The kind of a database that has been copied, and the state of the log that the copy holds."""
    source = sqlite_file(database_url)
    if source is None:
        with log.at_one_moment() as state:
            snapshot = state.session.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            _run_tool("pg_dump", database_url, "--format=custom", "--no-owner", "--no-privileges",
                      f"--snapshot={snapshot}", f"--file={folder / FILES['postgresql']}")  # fmt: skip
            yield "postgresql", state
        return
    target = folder / FILES["sqlite"]
    _copy_file(source, target)
    copy = open_case_log(f"sqlite:///{target}", FolderStore(folder / IMAGES), key, is_there=True)
    with contextlib.closing(copy), copy.at_one_moment() as state:
        yield "sqlite", state


def _copy_file(source: Path, target: Path) -> None:
    """SQLite's own way, which takes along what stands in the file -wal and waits for nobody."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
            one.backup(other)
            if other.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise BackupError(f"expected a sound database, received a damaged one; look at {source}")
    except sqlite3.Error as error:
        raise BackupError(f"expected to copy {source}, received {error}") from error


def _check_empty(database_url: str, backup: Backup) -> None:
    file = sqlite_file(database_url)
    kind = "postgresql" if file is None else "sqlite"
    if kind != backup.database:
        raise BackupError(f"expected a database of the kind {backup.database}, received {kind}; check --database")
    if file is not None:
        is_empty = not file.exists()
    else:
        with contextlib.closing(open_database(database_url)) as database:
            is_empty = database.revision() is None
    if not is_empty:
        raise BackupError(
            "expected a database that is not there yet, or an empty one, received a case log; nothing was replaced"
        )


def _put_file(source: Path, target: Path) -> None:
    """Whole or not at all, and never in the place of another."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    write_whole(part, source.read_bytes())
    try:
        os.link(part, target)
    finally:
        part.unlink()


def _run_tool(name: str, database_url: str, *options: str) -> None:
    program = shutil.which(name)
    if program is None:
        raise BackupError(f"expected the program {name}, found none; install PostgreSQL's client")
    url = make_url(database_url.replace("postgres://", "postgresql://", 1))
    # Without the password: everyone on the machine can read a command line.
    place = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    command = [program, f"--dbname={place}", "--no-password", *options]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BackupError(f"expected {name} to work, received: {result.stderr.strip() or result.returncode}")


# --- Images ----------------------------------------------------------------------------------------------------------


def _copy_images(log: CaseLog, wanted: Mapping[str, str], folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Hashes of the images that were copied, by key, and the keys of those that cannot be."""
    folder.mkdir(mode=0o700)
    kept, lacking = {}, []
    for key, sha256 in wanted.items():
        try:
            write_whole(folder / key, log.stored_content(key, sha256))
            kept[key] = sha256
        except (ImageMissing, ImageAltered):
            if log.names_image(key):  # else the case was deleted since the database was copied
                lacking.append(key)
    return kept, tuple(lacking)


def _restore_image(file: Path, sha256: str, images: ImageStore) -> None:
    with contextlib.suppress(ImageMissing, ImageAltered):
        images.get(file.name, sha256)
        return
    content = file.read_bytes()
    if not is_key(file.name) or hashlib.sha256(content).hexdigest() != sha256:
        raise BackupError(f"expected {file} as it was written, received another; use another copy of the backup")
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    images.put(file.name, StoredImage(content, sha256, width, height))


def _read_sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text().splitlines()
        return {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise BackupError(f"expected {folder / SUMS}, received {error}; use another copy of the backup") from error


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BackupError(f"expected {file}, found none; use another copy of the backup") from error
