"""The case log: saved cases and the audit trail, in SQLite or PostgreSQL, limited to the actor's organisation.

An image is put into the store first, under a key of its own; then one transaction inserts the row and its audit entry.
Whoever is killed between the two leaves an image that no row names: no one sees it, and `sweep` sets it aside. Deleting
goes the other way round, so that no row is ever without its image.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, delete, inspect, select
from sqlalchemy.orm import Session

from data.cases.audit import Action, AuditEntry, AuditReport, AuditTrail, follow
from data.cases.case import (
    LOCAL_ACTOR,
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
from data.cases.database import CaseLogUnavailable, Database, open_database, open_there
from data.cases.keys import seals_of, search_keys, trail_of
from data.cases.orphans import MOST_ORPHANS, Swept, sweep
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
from data.cases.rows import (
    CaseNotFound,
    line_of,
    not_found,
    note_answer,
    readable,
    readable_case,
    row_of_actor,
    saved_case,
    shown_answer,
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
from data.cases.seals import SEALED_SINCE, CaseSeals
from data.cases.storage import ImageAltered, ImageMissing, ImageStore, StorageUnavailable
from data.cases.tables import (
    DERIVED,
    UNREADABLE,
    CaseRow,
    EndedSignInRow,
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


def open_case_log(database_url: str, images: ImageStore, key: bytes, is_there: bool = False) -> CaseLog:
    """The case log of a database; makes or updates its tables.

    Args:
        database_url: `sqlite:///file.db` (made, with its folder, readable by its owner only) or `postgresql://...`.
        images: where the images of the cases lie.
        key: secret for the search by patient reference and by uploaded file, and for the audit trail; a log can be
            opened only with the key it was made with.
        is_there: whether a log is expected, so that none is made.

    Raises:
        ValueError: another kind of URL, an empty key, or no file where one is expected.
        CaseLogUnavailable: the database cannot be reached, is newer than the program, was made with another key, or has
            no tables where they are expected.
    """
    if not key:
        raise ValueError("expected a secret key, received nothing; set CASE_KEY")
    database = open_there(database_url) if is_there else open_database(database_url)
    trail, seals = trail_of(key), seals_of(key)
    try:
        database.migrate(trail.begin, partial(_go_on, trail, seals))
        with database.reading() as session:
            head = trail.head(session)  # first: another key would make hashes that nobody finds
        keys = search_keys(key, head)
        with database.writing(is_patient=True) as session:
            hash_references(session, keys)
    except CaseLogUnavailable:
        database.close()
        raise
    return CaseLog(database, images, trail, seals, keys, head.log_id)


def open_without_key(database_url: str, images: ImageStore) -> CaseLog:
    """A case log whose key is lost, for reading only: nothing is made, changed or written down.

    Cases are listed, opened and exported; not found by patient reference. No view or export goes into the trail, and
    nothing proves that trail and cases are what they were.

    Raises:
        ValueError: another kind of URL, or no file.
        CaseLogUnavailable: the database cannot be reached, has no tables, or those of another version of the program.
    """
    database = open_there(database_url, is_current=True, is_read_only=True)
    unknown = secrets.token_bytes(32)
    return CaseLog(database, images, trail_of(unknown), seals_of(unknown), SearchKeys(unknown, unknown), uuid4(), True)


def _go_on(trail: AuditTrail, seals: CaseSeals, session: Session, revision: str) -> None:
    """Seal the cases of a log from before there were seals, and write down that this was done."""
    trail.head(session)  # another key would seal what nobody can check
    if revision < SEALED_SINCE:
        trail.append(session, LOCAL_ACTOR, "seal", details={"cases": seals.seal_all(session)})


@dataclass(frozen=True)
class LogState:
    """A whole log at one moment.

    Attributes:
        session: the transaction that sees it.
        log_id: whose log it is.
        report: of its trail and cases.
        images: SHA-256, hexadecimal, by key, of every image that a case names.
    """

    session: Session
    log_id: UUID
    report: AuditReport
    images: dict[str, str]


class CaseLog:
    """Saved cases. Every method is limited to the actor's organisation and may raise `CaseLogUnavailable`.

    A researcher may only read `cases`, which are then de-identified; all else raises `NotAllowed`.
    """

    def __init__(
        self,
        database: Database,
        images: ImageStore,
        trail: AuditTrail,
        seals: CaseSeals,
        keys: SearchKeys,
        log_id: UUID,
        is_read_only: bool = False,
    ) -> None:
        self._database = database
        self._images = images
        self._trail = trail
        self._seals = seals
        self._keys = keys
        self._log_id = log_id
        self.is_read_only = is_read_only

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
            saved = saved_case(session, draft.case_id, actor)
        if saved is not None:
            return saved
        key = self._new_image_key()
        self._images.put(key, image)
        with self._database.writing() as session:
            saved = saved_case(session, draft.case_id, actor)
            if saved is None:
                row = row_of(draft, image, key, actor, self._keys)
                session.add(row)
                self._seals.seal(session, row, self._trail.append(session, actor, "save", draft.case_id))
                note_answer(session, row.content_hash, actor)
                saved = case_of(row)
        return saved

    def case(self, case_id: UUID, actor: Actor) -> Case:
        """A whole case; the view goes into the audit trail. Raises `CaseNotFound`, `CaseUnreadable`."""
        check_clinical(actor)
        if self.is_read_only:
            with self._database.reading() as session:
                return readable_case(lambda: row_of_actor(session, case_id, actor))
        with self._database.writing() as session:
            case = readable_case(lambda: row_of_actor(session, case_id, actor))
            self._trail.append(session, actor, "view", case_id)
            note_answer(session, row_of_actor(session, case_id, actor).content_hash, actor)
            return case

    def image(self, case: Case, actor: Actor) -> bytes:
        """PNG bytes of a case's image; raises `ImageMissing`, `ImageAltered`, `StorageUnavailable`, `CaseNotFound`."""
        check_clinical(actor)
        if case.organisation != actor.organisation:
            raise not_found()
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
            raise not_found()
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
            row = row_of_actor(session, case_id, actor)
            key = row.image_key
            session.delete(row)
            self._seals.remove(session, case_id)
            self._trail.append(session, actor, "delete", case_id)
        try:
            self._images.delete(key)
        except StorageUnavailable:
            logger.warning("the image of a deleted case could not be removed yet; the next sweep sets it aside")

    # --- Who has seen which answer -----------------------------------------------------------------------------------

    def was_answer_shown(self, content_sha256: str, actor: Actor) -> bool:
        """Whether the actor has been shown the answer to an uploaded file, here or on opening a case of it.

        Args:
            content_sha256: of the file, hexadecimal.
            actor: whose shown answers of the last year (`SHOWN_ANSWERS_KEPT`) are asked for.
        """
        check_clinical(actor)
        with self._database.reading() as session:
            return shown_answer(session, content_hash(content_sha256, self._keys.content), actor) is not None

    def note_answer_shown(self, content_sha256: str, actor: Actor) -> bool:
        """Keep that the actor is shown the answer to a file now: its keyed hash and the time, nothing else of it.

        Returns:
            Whether they had been shown it before.
        """
        check_clinical(actor)
        if self.is_read_only:
            return False
        with self._database.writing() as session:
            return note_answer(session, content_hash(content_sha256, self._keys.content), actor)

    def forget_shown_answers(self, older_than: timedelta = SHOWN_ANSWERS_KEPT) -> int:
        """Remove what is known of answers shown longer ago than that; how many there were."""
        with self._database.writing() as session:
            statement = delete(ShownAnswerRow).where(ShownAnswerRow.shown_at < datetime.now(UTC) - older_than)
            return cast("CursorResult[Any]", session.execute(statement)).rowcount

    # --- Sign-ins that were ended ------------------------------------------------------------------------------------

    def end_sign_in(self, sign_in: str, holds_until: datetime) -> None:
        """Keep that a sign-in counts no more, in whichever process.

        Args:
            sign_in: hash of what its token says, hexadecimal.
            holds_until: when it would have ended by itself, UTC; until then it must be known.
        """
        with self._database.writing() as session:
            session.merge(EndedSignInRow(sign_in=sign_in, holds_until=holds_until))

    def is_sign_in_ended(self, sign_in: str) -> bool:
        """Whether a sign-in was ended before its time."""
        with self._database.reading() as session:
            return session.get(EndedSignInRow, sign_in) is not None

    def forget_ended_sign_ins(self) -> int:
        """Remove those that would have ended by now anyway; how many there were."""
        with self._database.writing() as session:
            statement = delete(EndedSignInRow).where(EndedSignInRow.holds_until < datetime.now(UTC))
            return cast("CursorResult[Any]", session.execute(statement)).rowcount

    # --- Several cases -----------------------------------------------------------------------------------------------

    def find(self, query: CaseQuery, actor: Actor) -> list[CaseSummary]:
        """The lines of a list; rows that cannot be read are left out, and told by `unreadable`."""
        return self._lines(query, actor)[0]

    def unreadable(self, query: CaseQuery, actor: Actor) -> list[UUID]:
        """The cases of a list that `find` leaves out, since their rows cannot be read."""
        return self._lines(query, actor)[1]

    def _lines(self, query: CaseQuery, actor: Actor) -> tuple[list[CaseSummary], list[UUID]]:
        check_clinical(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            try:
                rows = session.execute(summaries_statement(query, actor.organisation, self._keys))
                return [summary_of(row) for row in rows], []
            except UNREADABLE:  # of one row; which it is, one at a time tells
                case_ids = session.scalars(ids_statement(query, actor.organisation, self._keys)).all()
                found = {case_id: line_of(session, case_id) for case_id in case_ids}
        lines = [line for line in found.values() if line is not None]
        return lines, [case_id for case_id, line in found.items() if line is None]

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

    def cases(self, query: CaseQuery, actor: Actor, unreadable: list[UUID] | None = None) -> Iterator[Case]:
        """Whole cases for exports and statistics, without a view in the audit trail.

        They are read some at a time: a case deleted meanwhile is left out. For a researcher they carry no patient
        reference, free text, file name or user name, and a query may not ask for one either (`NotAllowed`).

        Args:
            query, actor: as of `find`.
            unreadable: takes the ids of cases that cannot be read, which are left out; without it the first of them
                raises `CaseUnreadable`, as one of an unknown task does (a query for one known task finds none).
        """
        is_clinical = actor.role in CLINICAL_ROLES
        if not is_clinical and (actor.role != "researcher" or query.asks_for_names):
            raise not_allowed(actor)
        check_texts(query.text, query.patient_reference, query.saved_by or "")
        with self._database.reading() as session:
            case_ids = session.scalars(ids_statement(query, actor.organisation, self._keys)).all()
        cases = self._whole(case_ids, actor, unreadable)
        return cases if is_clinical else (de_identified(case) for case in cases)

    def _whole(self, case_ids: Sequence[UUID], actor: Actor, unreadable: list[UUID] | None) -> Iterator[Case]:
        for start in range(0, len(case_ids), _AT_ONCE):
            some = case_ids[start : start + _AT_ONCE]
            of_some = CaseRow.case_id.in_(some), CaseRow.organisation == actor.organisation
            with self._database.reading() as session:
                try:
                    found = {row.case_id: case_of(row) for row in session.scalars(select(CaseRow).where(*of_some))}
                except UNREADABLE:
                    found = readable(
                        session, session.scalars(select(CaseRow.case_id).where(*of_some)).all(), unreadable
                    )
            yield from (found[case_id] for case_id in some if case_id in found)

    def sweep(self, older_than: timedelta = timedelta(hours=1), most: int | None = MOST_ORPHANS) -> Swept:
        """Set images aside that no row names, left by a save or a delete that was cut short: see `data.cases.orphans`.

        Args:
            older_than: what is younger may belong to a save under way.
            most: how many at once; None for any number.

        Raises:
            TooManyOrphans: there are more.
        """
        self._database.check_writable()
        return sweep(self._images, self._is_own, self._named, older_than, most)

    def _named(self, keys: list[str]) -> set[str]:
        with self._database.reading() as session:
            return set(session.scalars(select(CaseRow.image_key).where(CaseRow.image_key.in_(keys))))

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
        """Check the whole audit trail, and every case by it; of all organisations, for they share one chain.

        For an admin only.
        """
        check_admin(actor)
        with self._database.reading(is_patient=True) as session:
            return follow(session) if self.is_read_only else self._verified(session)

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[LogState]:
        """The whole log as it is now, for as long as this lasts, for a backup."""
        with self._database.reading(is_patient=True) as session:
            report = self._verified(session)
            images = {key: sha256 for key, sha256 in session.execute(select(CaseRow.image_key, CaseRow.image_sha256))}
            yield LogState(session, self._log_id, report, images)

    def names_image(self, key: str) -> bool:
        """Whether a case still names this image."""
        return bool(self._named([key]))

    def lacking_images(self) -> dict[str, UUID]:
        """Keys of images that the store does not give as they were saved, and whose cases they are; of all cases.

        Raises:
            StorageUnavailable: the store does not answer.
        """
        with self._database.reading() as session:
            columns = CaseRow.image_key, CaseRow.image_sha256, CaseRow.case_id
            named = session.execute(select(*columns).order_by(CaseRow.saved_at)).all()
        return {key: case_id for key, sha256, case_id in named if not self._is_kept(key, sha256)}

    def _is_kept(self, key: str, sha256: str) -> bool:
        try:
            self._images.get(key, sha256)
        except (ImageMissing, ImageAltered):
            return not self.names_image(key)  # deleted meanwhile
        return True

    def stored_content(self, key: str, sha256: str) -> bytes:
        """PNG bytes of an image of the log, of whichever case; raises as `image`."""
        return self._images.get(key, sha256)

    def holds_entry(self, number: int, entry_hash: str) -> bool:
        """Whether the trail's entry of a number is the one with this hash; of an empty trail it is number 0."""
        with self._database.reading() as session:
            return number == 0 or self._trail.hash_at(session, number) == entry_hash

    def _verified(self, session: Session) -> AuditReport:
        report = self._trail.verify(session)
        if report.fault is not None:
            return report
        cases, fault = self._seals.verify(session)
        sealed_at = max(self._trail.times(session, "seal"), default=None)
        return replace(report, cases=cases, fault=fault, sealed_at=sealed_at)

    def close(self) -> None:
        """Give the database's connections back."""
        self._database.close()

    def _record(
        self, actor: Actor, action: Action, case_id: UUID | None = None, details: dict[str, Any] | None = None
    ) -> None:
        if self.is_read_only:
            return
        with self._database.writing() as session:
            self._trail.append(session, actor, action, case_id, details)

    @contextlib.contextmanager
    def _changing(self, case_id: UUID, actor: Actor) -> Iterator[CaseRow]:
        """A row to be changed, with an audit entry that names the columns that were."""
        check_clinical(actor)
        with self._database.writing() as session:
            row = row_of_actor(session, case_id, actor)
            yield row
            changed = {name for name, column in inspect(row).attrs.items() if column.history.has_changes()}
            details = {"columns": sorted(changed.difference(DERIVED))}
            self._seals.seal(session, row, self._trail.append(session, actor, "change", case_id, details))

    def _new_image_key(self) -> str:
        # The first half says whose image it is, so that a sweep with another log's database removes nothing.
        return f"{UUID(bytes=self._log_id.bytes[:8] + secrets.token_bytes(8))}.png"

    def _is_own(self, image_key: str) -> bool:
        return UUID(image_key.removesuffix(".png")).bytes[:8] == self._log_id.bytes[:8]


def _draft_of(case: Case, patient: Patient, lesion: Lesion) -> CaseDraft:
    return CaseDraft(case.case_id, case.captured_name, patient, lesion, case.result, case.own_read, case.decision)
