"""The case log: saved cases and the audit trail, in SQLite or PostgreSQL, limited to the actor's organisation.

An image is put into the store first, under a key of its own; then one transaction inserts the row and its audit entry.
Whoever is killed between the two leaves an image that no row names: no one sees it, and `sweep` removes it. Deleting
goes the other way round, so that no row is ever without its image.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, inspect, select
from sqlalchemy.orm import Session

from data.cases.audit import Action, AuditEntry, AuditReport, AuditTrail
from data.cases.case import (
    Actor,
    Biopsy,
    Case,
    CaseDraft,
    Decision,
    Lesion,
    Patient,
    StoredImage,
    check_biopsy,
    check_decision,
)
from data.cases.database import CaseLogUnavailable, Database, open_database
from data.cases.queries import (
    ORDERS,
    CaseQuery,
    CaseSummary,
    count_statement,
    ids_statement,
    summaries_statement,
    summary_of,
    tasks_statement,
)
from data.cases.rules import (
    CLINICAL_ROLES,
    NotAllowed,
    check_admin,
    check_clinical,
    check_texts,
    checked_draft,
    de_identified,
    not_allowed,
)
from data.cases.storage import ImageStore, StorageUnavailable
from data.cases.tables import (
    DERIVED,
    CaseRow,
    SearchKeys,
    ShownAnswerRow,
    case_of,
    content_hash,
    hash_references,
    row_of,
    set_biopsy,
    set_decision,
    set_facts,
    task_of,
)

__all__ = [
    "ORDERS",
    "AuditEntry",
    "AuditReport",
    "CaseLog",
    "CaseLogUnavailable",
    "CaseNotFound",
    "CaseQuery",
    "CaseSummary",
    "NotAllowed",
    "open_case_log",
]

_AT_ONCE = 200  # cases read, or image keys looked up, in one go
# How long it is known that somebody has seen an answer. A convention of ours: studies of readers wait about four weeks
# between two reads of an image, and a year is long beyond that.
SHOWN_ANSWERS_KEPT = timedelta(days=365)

logger = logging.getLogger(__name__)


class CaseNotFound(Exception):
    """The actor's organisation has no case of this id."""


def open_case_log(database_url: str, images: ImageStore, key: bytes) -> CaseLog:
    """The case log of a database; makes or updates its tables.

    Args:
        database_url: `sqlite:///file.db` (made, with its folder, readable by its owner only) or `postgresql://...`.
        images: where the images of the cases lie.
        key: secret for the search by patient reference and by uploaded file, and for the audit trail; a log can be
            opened only with the key it was made with.

    Raises:
        ValueError: another kind of URL, or an empty key.
        CaseLogUnavailable: the database cannot be reached, is newer than the program, or was made with another key.
    """
    if not key:
        raise ValueError("expected a secret key, received nothing; set CASE_KEY")
    database, trail = open_database(database_url), AuditTrail(_subkey(key, "audit trail"))
    try:
        database.migrate(trail.begin)
        with database.reading() as session:
            log_id = trail.log_id(session)  # first: another key would make hashes that nobody finds
        keys = SearchKeys(_subkey(key, "patient reference"), _subkey(key, "uploaded file"))
        with database.writing() as session:
            hash_references(session, keys)
    except CaseLogUnavailable:
        database.close()
        raise
    return CaseLog(database, images, trail, keys, log_id)


class CaseLog:
    """Saved cases. Every method is limited to the actor's organisation and may raise `CaseLogUnavailable`.

    A researcher may only read `cases`, which are then de-identified; all else raises `NotAllowed`.
    """

    def __init__(
        self, database: Database, images: ImageStore, trail: AuditTrail, keys: SearchKeys, log_id: UUID
    ) -> None:
        self._database = database
        self._images = images
        self._trail = trail
        self._keys = keys
        self._log_id = log_id

    # --- One case ----------------------------------------------------------------------------------------------------

    def save(self, draft: CaseDraft, image: StoredImage, actor: Actor) -> Case:
        """Keep a case and its image, both or neither; a second save of the same `case_id` gives the first one back.

        Raises:
            ValueError: an unknown word, a text that is too long, or a probability that is none.
            NotAllowed: the id is another organisation's.
            StorageUnavailable: the image cannot be kept; neither is the case.
        """
        check_clinical(actor)
        draft = checked_draft(draft)
        with self._database.reading() as session:
            saved = _saved(session, draft.case_id, actor)
        if saved is not None:
            return saved
        key = self._new_image_key()
        self._images.put(key, image)
        with self._database.writing() as session:
            saved = _saved(session, draft.case_id, actor)
            if saved is None:
                row = row_of(draft, image, key, actor, self._keys)
                session.add(row)
                self._trail.append(session, actor, "save", draft.case_id)
                _note_answer(session, row.content_hash, actor)
                saved = case_of(row)
        return saved

    def case(self, case_id: UUID, actor: Actor) -> Case:
        """A whole case; the view goes into the audit trail. Raises `CaseNotFound`, `CaseUnreadable`."""
        check_clinical(actor)
        with self._database.writing() as session:
            row = _row(session, case_id, actor)
            self._trail.append(session, actor, "view", case_id)
            _note_answer(session, row.content_hash, actor)
            return case_of(row)

    def image(self, case: Case, actor: Actor) -> bytes:
        """PNG bytes of a case's image; raises `ImageMissing`, `ImageAltered`, `StorageUnavailable`, `CaseNotFound`."""
        check_clinical(actor)
        if case.organisation != actor.organisation:
            raise _not_found()
        return self._images.get(case.image_key, case.image_sha256)

    def stored_image(self, case_id: UUID, actor: Actor) -> bytes:
        """PNG bytes of the image of a case in a list, which is no view of the case.

        Raises:
            CaseNotFound: the actor's organisation has no such case; its image is not asked for.
            ImageMissing, ImageAltered, StorageUnavailable: as `image`.
        """
        check_clinical(actor)
        of_own = CaseRow.case_id == case_id, CaseRow.organisation == actor.organisation
        with self._database.reading() as session:
            row = session.execute(select(CaseRow.image_key, CaseRow.image_sha256).where(*of_own)).one_or_none()
        if row is None:
            raise _not_found()
        return self._images.get(row.image_key, row.image_sha256)

    def decide(self, case_id: UUID, decision: Decision, actor: Actor) -> Case:
        """Replace the decision; raises `CaseNotFound`, and ValueError for an unknown word."""
        check_texts(decision.reason, decision.other)
        with self._changing(case_id, actor) as row:
            check_decision(decision, task_of(row))
            set_decision(row, decision)
        return case_of(row)

    def record_biopsy(self, case_id: UUID, biopsy: Biopsy | None, actor: Actor) -> Case:
        """Enter, replace or (None) remove what histopathology said; raises `CaseNotFound`, and ValueError."""
        if biopsy is not None:
            check_texts(biopsy.note, biopsy.other)
        with self._changing(case_id, actor) as row:
            if biopsy is not None:
                check_biopsy(biopsy, task_of(row))
            set_biopsy(row, biopsy)
        return case_of(row)

    def correct(self, case_id: UUID, patient: Patient, lesion: Lesion, actor: Actor) -> Case:
        """Replace the facts on patient and lesion; raises `CaseNotFound`, and ValueError for an unknown word."""
        with self._changing(case_id, actor) as row:
            checked_draft(_draft_of(case_of(row), patient, lesion))
            set_facts(row, patient, lesion, self._keys)
        return case_of(row)

    def delete(self, case_id: UUID, actor: Actor) -> None:
        """Remove a case and its image; the audit trail keeps that it was there. Raises `CaseNotFound`."""
        check_clinical(actor)
        with self._database.writing() as session:
            row = _row(session, case_id, actor)
            key = row.image_key
            session.delete(row)
            self._trail.append(session, actor, "delete", case_id)
        try:
            self._images.delete(key)
        except StorageUnavailable:
            logger.warning("the image of a deleted case could not be removed yet; the next sweep removes it")

    # --- Who has seen which answer -----------------------------------------------------------------------------------

    def was_answer_shown(self, content_sha256: str, actor: Actor) -> bool:
        """Whether the actor has been shown the answer to an uploaded file, here or on opening a case of it.

        Args:
            content_sha256: of the file, hexadecimal.
            actor: whose shown answers of the last year (`SHOWN_ANSWERS_KEPT`) are asked for.
        """
        check_clinical(actor)
        with self._database.reading() as session:
            return _shown_answer(session, content_hash(content_sha256, self._keys.content), actor) is not None

    def note_answer_shown(self, content_sha256: str, actor: Actor) -> bool:
        """Keep that the actor is shown the answer to a file now: its keyed hash and the time, nothing else of it.

        Returns:
            Whether they had been shown it before.
        """
        check_clinical(actor)
        with self._database.writing() as session:
            return _note_answer(session, content_hash(content_sha256, self._keys.content), actor)

    def forget_shown_answers(self, older_than: timedelta = SHOWN_ANSWERS_KEPT) -> int:
        """Remove what is known of answers shown longer ago than that; how many there were."""
        with self._database.writing() as session:
            statement = delete(ShownAnswerRow).where(ShownAnswerRow.shown_at < datetime.now(UTC) - older_than)
            return cast("CursorResult[Any]", session.execute(statement)).rowcount

    # --- Several cases -----------------------------------------------------------------------------------------------

    def find(self, query: CaseQuery, actor: Actor) -> list[CaseSummary]:
        """The lines of a list."""
        check_clinical(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            rows = session.execute(summaries_statement(query, actor.organisation, self._keys))
            return [summary_of(row) for row in rows]

    def count(self, query: CaseQuery, actor: Actor) -> int:
        """How many cases match, whatever limit and offset."""
        check_clinical(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            return session.scalars(count_statement(query, actor.organisation, self._keys)).one()

    def case_ids(self, query: CaseQuery, actor: Actor) -> list[UUID]:
        """The cases of a list, in its order."""
        check_clinical(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            return list(session.scalars(ids_statement(query, actor.organisation, self._keys)))

    def tasks(self, actor: Actor) -> list[str]:
        """Keys of the tasks that there are cases of; of some, this version of the program may not know the task."""
        check_clinical(actor)
        with self._database.reading() as session:
            return list(session.scalars(tasks_statement(actor.organisation)))

    def timeline(self, lesion_id: UUID, actor: Actor) -> list[CaseSummary]:
        """The cases of one lesion, oldest first."""
        return self.find(CaseQuery(lesion_id=lesion_id, is_descending=False), actor)

    def cases(self, query: CaseQuery, actor: Actor) -> Iterator[Case]:
        """Whole cases for exports and statistics, without a view in the audit trail.

        They are read some at a time: a case deleted meanwhile is left out, one of an unknown task raises
        `CaseUnreadable` (a query for one known task finds none). For a researcher they carry no patient
        reference, free text, file name or user name, and a query may not ask for one either (`NotAllowed`).
        """
        is_clinical = actor.role in CLINICAL_ROLES
        if not is_clinical and (actor.role != "researcher" or query.asks_for_names):
            raise not_allowed(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            case_ids = session.scalars(ids_statement(query, actor.organisation, self._keys)).all()
        cases = self._whole(case_ids, actor)
        return cases if is_clinical else (de_identified(case) for case in cases)

    def _whole(self, case_ids: Sequence[UUID], actor: Actor) -> Iterator[Case]:
        for start in range(0, len(case_ids), _AT_ONCE):
            some = case_ids[start : start + _AT_ONCE]
            with self._database.reading() as session:
                statement = select(CaseRow).where(CaseRow.case_id.in_(some), CaseRow.organisation == actor.organisation)
                found = {row.case_id: case_of(row) for row in session.scalars(statement)}
            yield from (found[case_id] for case_id in some if case_id in found)

    def sweep(self, older_than: timedelta = timedelta(hours=1)) -> int:
        """Remove images of this log that no row names, left by a save or a delete that was cut short.

        Args:
            older_than: what is younger may belong to a save under way.

        Returns:
            How many images were removed. Images of another log in the same store are never touched.
        """
        keys = (key for key in self._images.keys(datetime.now(UTC) - older_than) if self._is_own(key))
        removed = 0
        while some := list(islice(keys, _AT_ONCE)):
            with self._database.reading() as session:
                named = set(session.scalars(select(CaseRow.image_key).where(CaseRow.image_key.in_(some))))
            for key in set(some) - named:
                self._images.delete(key)
                removed += 1
        return removed

    # --- Audit trail -------------------------------------------------------------------------------------------------

    def record_export(self, case_ids: Sequence[UUID], what: str, actor: Actor) -> None:
        """Write down that cases leave the log, as what (`CSV`, `PDF` ...); to be called before they do."""
        details = {"what": what, "case_ids": [str(case_id) for case_id in case_ids]}
        self._record(actor, "export", case_ids[0] if len(case_ids) == 1 else None, details)

    def record_sign_in(self, actor: Actor) -> None:
        """Write down that somebody came."""
        self._record(actor, "sign-in")

    def record_sign_out(self, actor: Actor) -> None:
        """Write down that somebody went."""
        self._record(actor, "sign-out")

    def audit_entries(self, actor: Actor, limit: int) -> list[AuditEntry]:
        """The newest entries of the actor's organisation, newest first; for an admin only."""
        check_admin(actor)
        with self._database.reading() as session:
            return self._trail.latest(session, actor.organisation, limit)

    def verify(self, actor: Actor) -> AuditReport:
        """Check the whole audit trail, of all organisations, for they share one chain; for an admin only."""
        check_admin(actor)
        with self._database.reading() as session:
            return self._trail.verify(session)

    def close(self) -> None:
        """Give the database's connections back."""
        self._database.close()

    def _record(
        self, actor: Actor, action: Action, case_id: UUID | None = None, details: dict[str, Any] | None = None
    ) -> None:
        with self._database.writing() as session:
            self._trail.append(session, actor, action, case_id, details)

    @contextlib.contextmanager
    def _changing(self, case_id: UUID, actor: Actor) -> Iterator[CaseRow]:
        """A row to be changed, with an audit entry that names the columns that were."""
        check_clinical(actor)
        with self._database.writing() as session:
            row = _row(session, case_id, actor)
            yield row
            changed = {name for name, column in inspect(row).attrs.items() if column.history.has_changes()}
            self._trail.append(session, actor, "change", case_id, {"columns": sorted(changed.difference(DERIVED))})

    def _new_image_key(self) -> str:
        # The first half says whose image it is, so that a sweep with another log's database removes nothing.
        return f"{UUID(bytes=self._log_id.bytes[:8] + secrets.token_bytes(8))}.png"

    def _is_own(self, image_key: str) -> bool:
        return UUID(image_key.removesuffix(".png")).bytes[:8] == self._log_id.bytes[:8]


def _row(session: Session, case_id: UUID, actor: Actor) -> CaseRow:
    row = session.get(CaseRow, case_id)
    if row is None or row.organisation != actor.organisation:
        raise _not_found()
    return row


def _saved(session: Session, case_id: UUID, actor: Actor) -> Case | None:
    """The case if it is saved already; raises `NotAllowed` where the id is another organisation's."""
    row = session.get(CaseRow, case_id)
    if row is None:
        return None
    if row.organisation != actor.organisation:
        raise NotAllowed("expected a new case id, received one that cannot be used; open the image again and save")
    return case_of(row)


def _shown_answer(session: Session, hashed: str | None, actor: Actor) -> ShownAnswerRow | None:
    return session.get(ShownAnswerRow, (actor.organisation, actor.name, hashed)) if hashed else None


def _note_answer(session: Session, hashed: str | None, actor: Actor) -> bool:
    """Whether the answer to a file of this hash had been shown to the actor; from now on it has."""
    shown = _shown_answer(session, hashed, actor)
    if hashed and shown is None:
        now = datetime.now(UTC)
        session.add(
            ShownAnswerRow(organisation=actor.organisation, actor=actor.name, content_hash=hashed, shown_at=now)
        )
    elif shown is not None:
        shown.shown_at = datetime.now(UTC)
    return shown is not None


def _not_found() -> CaseNotFound:
    return CaseNotFound("expected the id of a case of your organisation, received another; it may have been deleted")


def _draft_of(case: Case, patient: Patient, lesion: Lesion) -> CaseDraft:
    return CaseDraft(case.case_id, case.captured_name, patient, lesion, case.result, case.own_read, case.decision)


def _subkey(key: bytes, purpose: str) -> bytes:
    # One key for each purpose: else a patient reference could be chosen so that its hash forges an audit entry.
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
