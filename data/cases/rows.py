"""One row of the case log: whose it is, whether it can be read, and who has been shown what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from data.cases.case import Actor, Case
from data.cases.queries import CaseSummary, summary_of, summary_statement
from data.cases.rules import NotAllowed
from data.cases.tables import GARBLED, UNREADABLE, CaseRow, CaseUnreadable, ShownAnswerRow, case_of


class CaseNotFound(Exception):
    """The actor's organisation has no case of this id."""


def row_of_actor(session: Session, case_id: UUID, actor: Actor) -> CaseRow:
    """The row of a case of the actor's organisation; raises `CaseNotFound`."""
    row = session.get(CaseRow, case_id)
    if row is None or row.organisation != actor.organisation:
        raise not_found()
    return row


def line_of(session: Session, case_id: UUID) -> CaseSummary | None:
    """A case as a line of a list; None where its row cannot be read."""
    try:
        return summary_of(session.execute(summary_statement(case_id)).one())
    except UNREADABLE:
        return None


def readable(session: Session, case_ids: Sequence[UUID], unreadable: list[UUID] | None) -> dict[UUID, Case]:
    """The cases that can be read; the others go into `unreadable`, or the first raises `CaseUnreadable` without it."""
    found: dict[UUID, Case] = {}
    for case_id in case_ids:
        try:
            found[case_id] = readable_case(session.scalars(select(CaseRow).where(CaseRow.case_id == case_id)).one)
        except CaseUnreadable:
            if unreadable is None:
                raise
            unreadable.append(case_id)
    return found


def readable_case(row: Callable[[], CaseRow]) -> Case:
    """A row, as it is read, as a case; raises `CaseUnreadable`."""
    try:
        return case_of(row())
    except GARBLED as error:
        raise CaseUnreadable(
            "expected the row of a case, received values that are none; restore the case log from a backup"
        ) from error


def saved_case(session: Session, case_id: UUID, actor: Actor) -> Case | None:
    """The case if it is saved already; raises `NotAllowed` where the id is another organisation's."""
    row = session.get(CaseRow, case_id)
    if row is None:
        return None
    if row.organisation != actor.organisation:
        raise NotAllowed("expected a new case id, received one that cannot be used; open the image again and save")
    return case_of(row)


def shown_answer(session: Session, hashed: str | None, actor: Actor) -> ShownAnswerRow | None:
    """That the answer to a file of this hash was shown to the actor; None where it was not, or no hash is known."""
    return session.get(ShownAnswerRow, (actor.organisation, actor.name, hashed)) if hashed else None


def note_answer(session: Session, hashed: str | None, actor: Actor) -> bool:
    """Whether the answer to a file of this hash had been shown to the actor; from now on it has."""
    shown = shown_answer(session, hashed, actor)
    if hashed and shown is None:
        now = datetime.now(UTC)
        session.add(
            ShownAnswerRow(organisation=actor.organisation, actor=actor.name, content_hash=hashed, shown_at=now)
        )
    elif shown is not None:
        shown.shown_at = datetime.now(UTC)
    return shown is not None


def not_found() -> CaseNotFound:
    """The error to raise for a case that the actor's organisation does not have."""
    return CaseNotFound("expected the id of a case of your organisation, received another; it may have been deleted")
