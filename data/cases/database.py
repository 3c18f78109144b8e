"""The database of the case log: a SQLite file or PostgreSQL, brought up to date when it is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_CONNECT_SECONDS = 3
# How long a save waits for those before it. A save holds the lock for a few milliseconds.
_LOCK_SECONDS = 10
# A server that hangs still answers for TCP, so nothing but a clock tells. A statement may wait for a lock first.
_ANSWER_SECONDS = _LOCK_SECONDS + 2.0
# Before a connection is used again it is asked whether it lives.
_PING_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.02
# Any number, the same in every process: it names the lock that makes writers go one by one on PostgreSQL.
_WRITE_LOCK = 4_711_020_181
# Alembic keeps the migration under way in globals of its module.
_alembic_lock = threading.Lock()


class CaseLogUnavailable(Exception):
    """The case log's database cannot be reached or refuses: away, full, locked, no permission, another key."""


class CaseLogReadOnly(CaseLogUnavailable):
    """The case log was opened without its key, and so for reading only."""


class Database:
    """Transactions on one database; writers go one by one, readers see one state throughout.

    Attributes:
        engine: SQLAlchemy's, for tests and tools.
    """

    def __init__(self, engine: Engine, is_read_only: bool = False) -> None:
        self.engine = engine
        self._is_read_only = is_read_only
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._writer = engine.execution_options(is_writing=True) if self._is_sqlite else engine
        self._reader = engine if self._is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")

    @contextlib.contextmanager
    def reading(self, is_patient: bool = False) -> Iterator[Session]:
        """A transaction that sees the database as it is now; raises `CaseLogUnavailable`.

        Args:
            is_patient: whether a statement may take as long as it likes.
        """
        with _failures(), Session(self._reader) as session:
            if is_patient:
                self._wait_for_ever(session)
            yield session

    @contextlib.contextmanager
    def writing(self, is_patient: bool = False) -> Iterator[Session]:
        """A transaction that no other writer runs beside; all of it is kept or none. Raises `CaseLogUnavailable`.

        Args:
            is_patient: whether a statement may take as long as it likes, in which others cannot write.
        """
        self.check_writable()
        with _failures(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()  # begins: on SQLite this takes the lock
            if is_patient:
                self._wait_for_ever(session)
            if not self._is_sqlite:
                session.execute(text("SELECT set_config('lock_timeout', :time, true)"), {"time": f"{_LOCK_SECONDS}s"})
                session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _WRITE_LOCK})
            yield session

    def check_writable(self) -> None:
        """Raises `CaseLogReadOnly` where nothing may be changed."""
        if self._is_read_only:
            raise CaseLogReadOnly(
                "expected the key of the case log, received none, so that it can only be read; nothing was changed"
            )

    def migrate(self, begin: Callable[[Session], None], go_on: Callable[[Session, str], None] | None = None) -> None:
        """Bring the tables up to date, one process at a time.

        Args:
            begin: fills a database that had no tables.
            go_on: does what a migration cannot, in its transaction, to a database of an older revision, which it is
                given.

        Raises:
            CaseLogUnavailable: also for a database that a newer version of the program has changed.
        """
        with self.writing(is_patient=True) as session:
            before, now = _upgraded(session.connection())
            if before is None:
                begin(session)
            elif go_on is not None and before != now:
                go_on(session, before)

    def revision(self) -> str | None:
        """Of the tables; None where there are none. Raises `CaseLogUnavailable`."""
        from alembic.runtime.migration import MigrationContext

        with self.reading() as session:
            return MigrationContext.configure(session.connection()).get_current_revision()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def _wait_for_ever(self, session: Session) -> None:
        """Until the connection is given back; SQLite's statements end by themselves."""
        if not self._is_sqlite:
            _set_patience(session.connection().connection.driver_connection, None)


def open_database(database_url: str) -> Database:
    """A database by its URL; nothing is connected to yet, but a SQLite file's folder and file are made.

    Args:
        database_url: `sqlite:///relative/path`, `sqlite:////absolute/path`, or
            `postgresql://user:password@host/name` (`postgres://` is the same).

    Raises:
        ValueError: another kind of URL.
        CaseLogUnavailable: the file cannot be made.
    """
    url = _checked(database_url)
    if url.get_backend_name() == "sqlite":
        return Database(_sqlite_engine(url))
    url = url.set(drivername="postgresql+psycopg")
    # tcp_user_timeout: milliseconds after which a server that fell silent counts as away.
    arguments = {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": int(1000 * _LOCK_SECONDS)}
    return Database(_postgresql_engine(url, arguments))


def open_there(database_url: str, is_current: bool = False, is_read_only: bool = False) -> Database:
    """The database of a case log that there must be; nothing is made or changed.

    Args:
        database_url: as of `open_database`.
        is_current: whether its tables must be those of this version of the program.
        is_read_only: whether `writing` refuses.

    Raises:
        ValueError: another kind of URL, or no file.
        CaseLogUnavailable: it cannot be reached, has no tables, or those of another version.
    """
    file = sqlite_file(database_url)
    if file is not None and not file.is_file():  # which opening it would make
        raise ValueError(f"expected the file of a case log, found none at {file}; check the database's URL")
    database = Database(open_database(database_url).engine, is_read_only)
    try:
        revision = database.revision()
        if revision is None:
            raise CaseLogUnavailable(
                "expected the tables of a case log, found none. A file copied while the program runs lacks what stands "
                "in the file -wal beside it: make copies by python -m data.case_log backup"
            )
        if is_current and revision != newest_revision():
            raise CaseLogUnavailable(
                f"expected the tables of this version of the program ({newest_revision()}), received those of another "
                f"({revision}); do this with the version that last opened the log"
            )
    except CaseLogUnavailable:
        database.close()
        raise
    return database


def newest_revision() -> str:
    """Of the tables that this version of the program makes."""
    return max(path.stem.rpartition("_")[2] for path in (MIGRATIONS / "versions").glob("*_*.py"))


def sqlite_file(database_url: str) -> Path | None:
    """Where the SQLite file of a URL lies; None for PostgreSQL. Raises ValueError for another kind of URL."""
    url = _checked(database_url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _checked(database_url: str) -> URL:
    try:
        url = make_url(database_url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):  # its text would tell the password
        raise _unknown_url("a text that is no URL") from None
    if url.drivername == "sqlite" and (url.database or ":memory:") != ":memory:":
        return url
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url
    raise _unknown_url(f"{url.drivername}:// without a file" if url.drivername == "sqlite" else url.drivername)


def _unknown_url(received: str) -> ValueError:
    return ValueError(
        f"expected sqlite:///path/to/file.db or postgresql://user:password@host/name, received {received}; "
        "set DATABASE_URL"
    )


def _postgresql_engine(url: URL, arguments: dict[str, Any]) -> Engine:
    engine = create_engine(
        url, connect_args=arguments, pool_pre_ping=True, pool_timeout=_LOCK_SECONDS, hide_parameters=True
    )
    connection_class = _impatient_connection()
    event.listen(engine, "do_connect", lambda dialect, record, places, named: connection_class.connect(**named))
    # The ping is before "checkout", the rollback before "checkin".
    event.listen(engine, "checkout", lambda connection, *_: _set_patience(connection, _ANSWER_SECONDS))
    event.listen(engine, "checkin", lambda connection, *_: _set_patience(connection, _PING_SECONDS))
    return engine


def _set_patience(connection: Any, seconds: float | None) -> None:
    if connection is not None:  # where it was given up
        connection.patience = seconds


def _impatient_connection() -> Any:
    import psycopg  # of no use to a laptop

    class ImpatientConnection(psycopg.Connection[Any]):
        """A connection that is given up where the server is silent for longer than `patience`, in seconds."""

        patience: float | None = _PING_SECONDS

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            """What psycopg waits for; raises OperationalError, and then the connection is closed."""
            try:
                return super().wait(gen, interval, timeout or self.patience)
            except psycopg.errors._WaitTimeout:
                self.pgconn.finish()  # its state is unknown, and so is the fate of a commit
                raise psycopg.errors.ConnectionTimeout("no answer in time") from None

    return ImpatientConnection


def _sqlite_engine(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the files beside it (-wal, -shm) the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise CaseLogUnavailable(
            f"expected to write the case log {path}, received {error.strerror}; "
            "check the folder's permissions and the disk, or set DATABASE_URL"
        ) from error
    engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # Python's driver would begin transactions by itself, too late and not before DDL: `_begin_sqlite` does it.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in (
        "synchronous = FULL",  # an acknowledged save survives a power cut
        "foreign_keys = ON",
        "secure_delete = ON",  # what is deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Readers do not wait for the writer. SQLite itself does not wait here for others who open a new file as well."""
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_LOOK_AGAIN_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get("is_writing", False)
    # A transaction that reads first and asks for the write lock later can find it taken and must be given up.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _upgraded(connection: Connection) -> tuple[str | None, str | None]:
    """Run the migrations that are missing, inside the connection's transaction; the revisions before and after."""
    # Alembic takes as long to import as SQLAlchemy and is of use only here.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    before = MigrationContext.configure(connection).get_current_revision()
    try:
        with _alembic_lock:
            command.upgrade(config, "head")
    except CommandError as error:
        raise CaseLogUnavailable(
            "expected the tables of this version of the program or an older one, received others; update the program"
        ) from error
    return before, MigrationContext.configure(connection).get_current_revision()


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # The error's own text may hold rows and addresses: only its kind is passed on.
        raise CaseLogUnavailable(
            f"expected the case log's database to answer, received {_cause(error)}; check that it runs, has space and "
            "is the one of DATABASE_URL, then try again"
        ) from None


def _cause(error: SQLAlchemyError) -> str:
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.Error):
        return f'"{original}"'  # of SQLite: names of tables and columns, no values
    state = getattr(original, "sqlstate", None)
    return f"{type(original or error).__name__}{f' ({state})' if state else ''}"
