"""The keys of a case log: of the one secret that it is opened with, a key for each purpose; and another secret."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from data.cases.audit import AuditTrail
from data.cases.case import LOCAL_ACTOR
from data.cases.database import CaseLogUnavailable, Database
from data.cases.seals import CaseSeals
from data.cases.tables import AuditHeadRow, CaseRow, SearchKeys, hash_references

_FINGERPRINT_DIGITS = 16
# 32 characters of hexadecimal are 128 bits; whoever guesses a key can forge what it protects.
MIN_KEY_CHARACTERS = 32
_GUARDED = ("audit_entries", "audit_head")


def trail_of(key: bytes) -> AuditTrail:
    """The audit trail of a log with this key."""
    return AuditTrail(_subkey(key, "audit trail"))


def seals_of(key: bytes) -> CaseSeals:
    """The seals of the cases of a log with this key."""
    return CaseSeals(_subkey(key, "case row"))


def search_keys(key: bytes, head: AuditHeadRow) -> SearchKeys:
    """What a log with this key and this head is searched by."""
    return SearchKeys(_subkey(key, "patient reference"), _content_key(key, head))


def fingerprint(key: bytes) -> str:
    """What a key is known by where it must not stand itself, as beside a backup: 16 hexadecimal digits."""
    return _subkey(key, "fingerprint").hex()[:_FINGERPRINT_DIGITS]


def rekey(database: Database, old: bytes, new: bytes) -> None:
    """Give a log another key, all of it or nothing: trail, seals and search are made anew, and an entry says so.

    The hashes of uploaded files cannot be: the files are not kept. So their own key stays, hidden under the new one. A
    program that has the log open with the old key is told at its next entry.

    Raises:
        ValueError: the new key is shorter than `MIN_KEY_CHARACTERS`.
        CaseLogUnavailable: the old key is another, or trail and cases are not whole, which another key would hide.
    """
    if len(new) < MIN_KEY_CHARACTERS:
        raise ValueError(f"expected a new key of at least {MIN_KEY_CHARACTERS} characters, received {len(new)}")
    before, after = trail_of(old), trail_of(new)
    with database.writing(is_patient=True) as session:
        before.head(session)  # first: with another key nothing is whole
        _check_whole(session, before, seals_of(old))
        head = before.head(session)
        content_key = _content_key(old, head)
        with _unguarded(session):
            before.pass_on(session, after)
            head.kept_key = _padded(content_key, new, head.log_id).hex()
            session.flush()
            session.execute(update(CaseRow).values(reference_hash=None))
            hash_references(session, search_keys(new, head))
            session.flush()
            seals_of(new).seal_all(session)
        after.append(session, LOCAL_ACTOR, "new key", details={"from": fingerprint(old), "to": fingerprint(new)})


def _check_whole(session: Session, trail: AuditTrail, seals: CaseSeals) -> None:
    fault = trail.verify(session).fault or seals.verify(session)[1]
    if fault is not None:
        raise CaseLogUnavailable(
            f"expected a whole log, since another key would hide what was done to it; received this: {fault.text}"
        )


@contextlib.contextmanager
def _unguarded(session: Session) -> Iterator[None]:
    """Without the triggers that refuse to change the trail; they are back before anybody else can write."""
    if session.get_bind().dialect.name == "sqlite":
        statement = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (:one, :other)")
        triggers: Any = session.execute(statement, {"one": _GUARDED[0], "other": _GUARDED[1]}).all()
        off = [f"DROP TRIGGER {name}" for name, _ in triggers]
        on = [sql for _, sql in triggers]
    else:
        off = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in _GUARDED]
        on = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in _GUARDED]
    for statement_off in off:
        session.execute(text(statement_off))
    yield
    session.flush()
    for statement_on in on:
        session.connection().exec_driver_sql(statement_on)


def _subkey(key: bytes, purpose: str) -> bytes:
    # One key for each purpose: else a patient reference could be chosen so that its hash forges an audit entry.
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()


def _content_key(key: bytes, head: AuditHeadRow) -> bytes:
    if head.kept_key is None:
        return _subkey(key, "uploaded file")
    return _padded(bytes.fromhex(head.kept_key), key, head.log_id)


def _padded(value: bytes, key: bytes, log_id: UUID) -> bytes:
    # The pad is used for nothing else.
    pad = _subkey(key, f"kept key of uploaded files {log_id}")
    return bytes(one ^ other for one, other in zip(value, pad, strict=True))
