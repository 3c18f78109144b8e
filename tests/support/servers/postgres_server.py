"""A real PostgreSQL server on this machine, as fixtures: it listens on a socket in a temporary folder only.

`database_url` runs a test on SQLite and on PostgreSQL, `postgres_url` on PostgreSQL; each test gets an empty database.
Without PostgreSQL they skip, but fail in CI. A test file asks for them by `pytest_plugins =
("tests.support.servers.postgres_server",)`, and
may import the functions as well: PYTEST_DONT_REWRITE, for there is no assertion here.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

_PLACES = ("/usr/local/bin", "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")
# Only the clients are killed in tests, never the machine, so that the server need not wait for the disk.
_CONFIGURATION = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "max_connections": "60"}
_START_SECONDS = 60


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """Folder with the socket of a PostgreSQL server that runs as long as the tests do."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres_"))
    try:
        # PostgreSQL refuses to run as root.
        user = _other_user() if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user)
        try:
            _start(programs, folder, user)
            yield folder
        finally:
            _run(programs / "pg_ctl", "stop", "-D", folder / "data", "-m", "immediate", user=user, check=False)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_socket: Path) -> Iterator[str]:
    """URL of an empty PostgreSQL database, which is dropped after the test."""
    with new_database(postgres_socket) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cases.db'}"
    return str(request.getfixturevalue("postgres_url"))


@contextmanager
def new_database(postgres_socket: Path) -> Iterator[str]:
    """URL of an empty database on the server, which is dropped in the end."""
    name = f"cases_{uuid4().hex[:12]}"
    with psycopg.connect(host=str(postgres_socket), user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@/{name}?host={postgres_socket}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _programs() -> Path:
    """Folder with initdb and pg_ctl; skips where there is none, but fails in CI."""
    found = [Path(path).parent.resolve() for path in (shutil.which("initdb"),) if path]
    found += [path for place in _PLACES for path in sorted(Path("/").glob(place[1:]), reverse=True)]
    for folder in found:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    message = "needs PostgreSQL (Debian: apt-get install postgresql), found no initdb and pg_ctl"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _other_user() -> str:
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _start(programs: Path, folder: Path, user: str | None) -> None:
    _run(
        programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N",
        user=user,
    )  # fmt: skip
    options = " ".join(f"-c {name}='{value}'" for name, value in _CONFIGURATION.items())
    _run(
        programs / "pg_ctl", "start", "-D", folder / "data", "-l", folder / "log", "-w", "-t", _START_SECONDS,
        "-o", f"{options} -k {folder}",
        user=user,
    )  # fmt: skip


def _run(*command: Any, user: str | None, check: bool = True) -> None:
    words = [str(word) for word in command]
    # Output goes nowhere: the server would inherit a pipe and hold it open.
    result = subprocess.run(words, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if check and result.returncode != 0:
        name = user or getpass.getuser()
        pytest.fail(f"expected {words[0]} {words[1]} to work as user {name}, it ended with {result.returncode}")
