"""Seals of case rows: what shows that a row is another than the program wrote, is gone, or was put in.

Each writing of a row leaves a seal of its own, made with the log's key and bound to the audit entry of that writing. So
an earlier row that is put back with its seal shows as well, and the audit trail tells which rows there must be.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from data.cases.audit import AuditFault, FaultKind
from data.cases.tables import DERIVED, GARBLED, AuditRow, CaseRow, CaseSealRow

# The migration since which rows are sealed.
SEALED_SINCE = "0008"
_AT_ONCE = 100  # rows in memory, with their evidence
_WRITING = ("save", "change", "delete")
_COLUMNS = tuple(column.key for column in CaseRow.__table__.columns if column.key not in DERIVED)

# By case id; nothing where a row cannot be read, or has no seal.
_Found = dict[UUID, tuple[CaseRow | None, CaseSealRow | None]]


@dataclass(frozen=True)
class CaseSeals:
    """Makes and checks the seals; every method works in the caller's transaction.

    Attributes:
        key: secret, used for the seals only.
    """

    key: bytes = field(repr=False)

    def seal(self, session: Session, row: CaseRow, number: int) -> None:
        """Seal a row as it is now, as written by the audit entry of this number."""
        session.merge(self._sealed(row, number))

    def remove(self, session: Session, case_id: UUID) -> None:
        """Take away the seal of a row that is deleted."""
        sealed = session.get(CaseSealRow, case_id)
        if sealed is not None:
            session.delete(sealed)

    def seal_all(self, session: Session) -> int:
        """Seal every row as it is found, whatever was done to it before; how many there are."""
        numbers = written_cases(session)
        session.execute(delete(CaseSealRow))
        case_ids = session.scalars(select(CaseRow.case_id)).all()
        for start in range(0, len(case_ids), _AT_ONCE):
            some = select(CaseRow).where(CaseRow.case_id.in_(case_ids[start : start + _AT_ONCE]))
            session.add_all(self._sealed(row, numbers.get(row.case_id, 0)) for row in session.scalars(some))
            session.flush()
            session.expunge_all()
        return len(case_ids)

    def verify(self, session: Session) -> tuple[int, AuditFault | None]:
        """How many rows are as the program wrote them, and the first fault; of a trail that is whole."""
        numbers, whole, faults = written_cases(session), 0, []
        for case_id, row, sealed in self._rows(session, tuple(numbers)):
            number = numbers.pop(case_id, None) if case_id is not None else None
            kind = self._kind_of_fault(row, sealed, number)
            if kind is None:
                whole += 1
            else:
                faults.append(_fault(kind, case_id, number or 0))
        faults += [_fault("case missing", case_id, number) for case_id, number in numbers.items()]
        if not faults:
            return whole, None
        first = min(faults, key=lambda fault: fault.number)
        more = f", and {len(faults) - 1} more cases do not hold either" if len(faults) > 1 else ""
        return whole, AuditFault(first.number, first.kind, f"{first.text}{more}")

    def _kind_of_fault(self, row: CaseRow | None, sealed: CaseSealRow | None, number: int | None) -> FaultKind | None:
        if number is None:
            return "case put in"
        if row is None or sealed is None or sealed.number != number:
            return "case changed"
        try:
            is_whole = hmac.compare_digest(str(sealed.seal).encode(), self._seal(row, number).encode())
        except GARBLED:
            is_whole = False
        return None if is_whole else "case changed"

    def _rows(
        self, session: Session, expected: tuple[UUID, ...]
    ) -> Iterator[tuple[UUID | None, CaseRow | None, CaseSealRow | None]]:
        """Every row with its seal; where one cannot be read, one at a time: case id alone, or nothing where not even
        that is one."""
        statement = select(CaseRow, CaseSealRow).outerjoin(CaseSealRow, CaseRow.case_id == CaseSealRow.case_id)
        readable: list[UUID | None]
        try:
            readable = list(session.scalars(select(CaseRow.case_id)))
        except GARBLED:
            unknown = (session.scalar(select(func.count()).select_from(CaseRow)) or 0) - len(expected)
            readable = [*expected, *[None] * max(unknown, 0)]
        for start in range(0, len(readable), _AT_ONCE):
            some = readable[start : start + _AT_ONCE]
            try:
                of_some = statement.where(CaseRow.case_id.in_([one for one in some if one is not None]))
                found: _Found = {row.case_id: (row, sealed) for row, sealed in session.execute(of_some)}
            except GARBLED:
                found = self._one_at_a_time(session, some)
            for case_id in some:
                row, sealed = found.get(case_id, (None, None)) if case_id is not None else (None, None)
                yield case_id, row, sealed
            session.expunge_all()

    def _one_at_a_time(self, session: Session, case_ids: Sequence[UUID | None]) -> _Found:
        found: _Found = {}
        for case_id in case_ids:
            if case_id is not None:
                with contextlib.suppress(*GARBLED):
                    found[case_id] = (session.get(CaseRow, case_id), session.get(CaseSealRow, case_id))
        return found

    def _sealed(self, row: CaseRow, number: int) -> CaseSealRow:
        return CaseSealRow(case_id=row.case_id, number=number, seal=self._seal(row, number))

    def _seal(self, row: CaseRow, number: int) -> str:
        # What is empty is left out, so that a later migration can add a column without sealing anew.
        values = {name: _plain(getattr(row, name)) for name in _COLUMNS}
        values = {name: value for name, value in values.items() if value is not None}
        message = json.dumps(["case", number, values], sort_keys=True, separators=(",", ":"))
        return hmac.new(self.key, message.encode(), hashlib.sha256).hexdigest()


def written_cases(session: Session) -> dict[UUID, int]:
    """The cases that there must be by the audit trail, with the number of the entry that last wrote each."""
    of_cases = AuditRow.action.in_(_WRITING), AuditRow.case_id.is_not(None)
    last = select(func.max(AuditRow.number)).where(*of_cases).group_by(AuditRow.case_id)
    statement = select(AuditRow.case_id, AuditRow.number).where(AuditRow.number.in_(last), AuditRow.action != "delete")
    return {case_id: number for case_id, number in session.execute(statement) if case_id is not None}


def _fault(kind: FaultKind, case_id: UUID | None, number: int) -> AuditFault:
    case = f"case {case_id}" if case_id else "a case whose id cannot be read"
    said = {
        "case changed": f"{case} is not what entry {number} wrote: its row was changed without the program",
        "case missing": f"{case}, which entry {number} wrote, is missing: its row was taken out without the program",
        "case put in": f"{case} is none that the trail knows: its row was put in without the program",
    }
    return AuditFault(number, kind, said[kind])


def _plain(value: Any) -> Any:
    """A value as JSON that is the same before it is stored and after, in both databases; None for nothing."""
    match value:
        case bool() | str() | None:
            return value
        case int() | float():
            # A whole double may come back as an integer, and SQLite keeps neither NaN nor the sign of 0.
            return None if value != value else float(value) + 0.0
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID() | date():
            return str(value)
        case _:
            return value  # JSON already
