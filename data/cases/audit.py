"""The audit trail: who did what with which case and when, in a chain that shows any later change.

Each entry holds the hash of the one before it, and its own hash can be made only with the log's key. The head, a row of
its own, says how many entries there are and is sealed with the key, so that a cut-off end shows as well. What no chain
can show is a whole database put back to an earlier state: keep the last line of `verify` elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from data.cases.case import Actor
from data.cases.database import CaseLogUnavailable
from data.cases.tables import AuditHeadRow, AuditRow

Action = Literal["sign-in", "sign-out", "view", "save", "change", "export", "delete", "seal", "new key"]
FaultKind = Literal[
    "changed", "missing", "reordered", "cut off", "forged", "case changed", "case missing", "case put in"
]
# What `data.cases.seals` finds.
CASE_FAULTS: tuple[FaultKind, ...] = ("case changed", "case missing", "case put in")
_AT_ONCE = 1000  # entries in memory while the chain is read


@dataclass(frozen=True)
class AuditEntry:
    """One entry.

    Attributes:
        number: 1, 2, 3 ...
        at: UTC, aware.
        actor: name of who did it; `organisation` and `role` as they were then.
        case_id: None where it is not about one case.
        details: JSON; nothing of a patient, no image, no file name.
        previous_hash: of the entry before, empty for the first.
        hash: HMAC-SHA256 of all the others, hexadecimal.
    """

    number: int
    at: datetime
    actor: str
    organisation: str
    role: str
    action: str
    case_id: UUID | None
    details: str
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class AuditFault:
    """The first thing wrong with the trail or with a case: at which entry, of what kind, and in plain words."""

    number: int
    kind: FaultKind
    text: str


@dataclass(frozen=True)
class AuditReport:
    """What a check of the whole trail found, and of the cases by it.

    Attributes:
        entries: how many were read and in order.
        last_hash: of the last of them; written down elsewhere, it proves later that nothing was put back.
        fault: None if all is whole.
        cases: how many are as they were last saved; 0 where the trail is not whole, since nothing tells then.
        sealed_at: when the cases that there were then were sealed as they were found; None where each was from the
            first.
        is_proven: False where the log was opened without its key: entries follow one another, and that is all.
    """

    entries: int
    last_hash: str
    fault: AuditFault | None
    cases: int = 0
    sealed_at: datetime | None = None
    is_proven: bool = True


@dataclass(frozen=True)
class AuditTrail:
    """Reads and writes the trail; every method works in the caller's transaction.

    Attributes:
        key: secret, used for the trail only.
    """

    key: bytes = field(repr=False)

    def begin(self, session: Session) -> None:
        """Make the head of an empty trail."""
        log_id = uuid4()
        head = AuditHeadRow(log_id=log_id, key_check=self._mac("key", log_id), number=0, hash="")
        head.seal = self._seal(head)
        session.add(head)

    def log_id(self, session: Session) -> UUID:
        """Whose trail it is; raises `CaseLogUnavailable` where it was made with another key."""
        return self.head(session).log_id

    def head(self, session: Session) -> AuditHeadRow:
        """The head as it is; raises as `log_id`."""
        head = session.scalars(select(AuditHeadRow)).one()
        if not _is_same(head.key_check, self._mac("key", head.log_id)):
            raise CaseLogUnavailable(
                "expected the key that this case log was made with, received another; set CASE_KEY to that key"
            )
        return head

    def append(
        self,
        session: Session,
        actor: Actor,
        action: Action,
        case_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an entry; its number. The transaction must be one that no other writer runs beside.

        Raises:
            CaseLogUnavailable: the log has been given another key since it was opened.
        """
        head = self.head(session)
        # Sealing a head that somebody moved would hide it for ever. So work goes on, and the fault stays to be found.
        is_sealed = _is_same(head.seal, self._seal(head))
        entry = AuditEntry(
            number=head.number + 1,
            at=datetime.now(UTC),
            actor=actor.name,
            organisation=actor.organisation,
            role=actor.role,
            action=action,
            case_id=case_id,
            details=json.dumps(details or {}, sort_keys=True),
            previous_hash=head.hash,
            hash="",
        )
        entry = replace(entry, hash=self._hash(entry))
        session.add(AuditRow(**asdict(entry)))
        head.number, head.hash = entry.number, entry.hash
        head.seal = self._seal(head) if is_sealed else ""
        session.flush()
        return entry.number

    def hash_at(self, session: Session, number: int) -> str | None:
        """The hash of an entry; None where there is none of that number."""
        return session.scalar(select(AuditRow.hash).where(AuditRow.number == number))

    def pass_on(self, session: Session, to: AuditTrail) -> None:
        """Make every entry's hash and the head anew with another trail's key; the triggers must be off."""
        last_hash, number = "", 0
        head = self.head(session)
        statement = select(AuditRow).order_by(AuditRow.number).limit(_AT_ONCE)
        while rows := session.scalars(statement.where(AuditRow.number > number)).all():
            for row in rows:
                row.previous_hash = last_hash
                row.hash = last_hash = to._hash(_entry_of(row))
                number = row.number
            session.flush()
            for row in rows:
                session.expunge(row)
        head.key_check, head.hash = to._mac("key", head.log_id), last_hash
        head.seal = to._seal(head)
        session.flush()

    def times(self, session: Session, action: Action) -> list[datetime]:
        """When something was done, oldest first, by whomever."""
        return list(session.scalars(select(AuditRow.at).where(AuditRow.action == action).order_by(AuditRow.number)))

    def latest(self, session: Session, organisation: str, limit: int) -> list[AuditEntry]:
        """The newest entries of an organisation, newest first."""
        statement = select(AuditRow).where(AuditRow.organisation == organisation)
        return [_entry_of(row) for row in session.scalars(statement.order_by(AuditRow.number.desc()).limit(limit))]

    def verify(self, session: Session, at_once: int = _AT_ONCE) -> AuditReport:
        """Read the whole trail, `at_once` entries in memory, up to the first fault."""
        head = session.scalars(select(AuditHeadRow)).one_or_none()
        number, last_hash = 0, ""
        statement = select(AuditRow).order_by(AuditRow.number).execution_options(yield_per=at_once)
        try:
            with session.scalars(statement) as rows:
                for row in rows:
                    entry = _entry_of(row)
                    fault = self._fault_of(entry, number + 1, last_hash, head.number if head else 0)
                    if fault is not None:
                        return AuditReport(number, last_hash, fault)
                    number, last_hash = entry.number, entry.hash
        except (TypeError, ValueError):  # a time or a case id that is none; which entry holds it, one at a time tells
            if at_once > 1:
                return self.verify(session, at_once=1)
            fault = AuditFault(number + 1, "changed", f"entry {number + 1} was changed: it cannot be read")
            return AuditReport(number, last_hash, fault)
        return AuditReport(number, last_hash, self._fault_of_end(head, number, last_hash))

    def _fault_of(self, entry: AuditEntry, expected: int, last_hash: str, head: int) -> AuditFault | None:
        if entry.number > expected:
            return AuditFault(expected, "missing", f"entry {expected} is missing; the next one is {entry.number}")
        if not self._is_genuine(entry):
            return self._fault_of_content(entry, head)
        if entry.number < expected or entry.previous_hash != last_hash:
            text = f"entry {entry.number} does not follow the one before it: entries were put in from another trail"
            return AuditFault(entry.number, "forged", text)
        return None

    def _fault_of_content(self, entry: AuditEntry, head: int) -> AuditFault:
        # An entry that was moved is genuine under its old number.
        for number in range(1, head + 1):
            if self._is_genuine(replace(entry, number=number)):
                text = f"entry {entry.number} was made as entry {number}: entries were reordered"
                return AuditFault(entry.number, "reordered", text)
        if entry.number > head or entry.number < 1:
            text = f"entry {entry.number} stands outside the trail, which has {head}: it was put in without the key"
            return AuditFault(entry.number, "forged", text)
        return AuditFault(entry.number, "changed", f"entry {entry.number} was changed after it was written")

    def _fault_of_end(self, head: AuditHeadRow | None, number: int, last_hash: str) -> AuditFault | None:
        if head is None:
            return AuditFault(number, "cut off", "the head is missing, so entries may have been cut off at the end")
        if head.number > number:
            text = f"entries {number + 1} to {head.number} were cut off at the end"
            return AuditFault(number + 1, "cut off", text)
        if (head.number, head.hash) != (number, last_hash) or not _is_same(head.seal, self._seal(head)):
            text = f"the head was changed without the key, so entries after {number} may have been cut off or put in"
            return AuditFault(number, "forged", text)
        return None

    def _is_genuine(self, entry: AuditEntry) -> bool:
        return _is_same(entry.hash, self._hash(entry))

    def _hash(self, entry: AuditEntry) -> str:
        values = {**asdict(entry), "at": entry.at.isoformat(), "case_id": str(entry.case_id or "")}
        del values["hash"]
        return self._mac("entry", values)

    def _seal(self, head: AuditHeadRow) -> str:
        return self._mac("head", [str(head.log_id), head.number, head.hash])

    def _mac(self, what: str, value: Any) -> str:
        message = json.dumps([what, value], sort_keys=True, separators=(",", ":"), default=str)
        return hmac.new(self.key, message.encode(), hashlib.sha256).hexdigest()


def follow(session: Session) -> AuditReport:
    """What can be said of the trail without the key: whether its entries are numbered on and name one another."""
    number, last_hash = 0, ""
    columns = AuditRow.number, AuditRow.previous_hash, AuditRow.hash
    for found, previous, own in session.execute(select(*columns).order_by(AuditRow.number)):
        if (found, previous) != (number + 1, last_hash):
            fault = AuditFault(number + 1, "missing", f"entry {found} does not follow entry {number}")
            return AuditReport(number, last_hash, fault, is_proven=False)
        number, last_hash = found, own
    return AuditReport(number, last_hash, None, is_proven=False)


def _is_same(found: str, expected: str) -> bool:
    return hmac.compare_digest(str(found).encode(), expected.encode())


def _entry_of(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=row.actor,
        organisation=row.organisation,
        role=row.role,
        action=row.action,
        case_id=row.case_id,
        details=row.details,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
