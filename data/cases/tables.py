"""The tables of the case log, and a case as a row. A change here needs a migration in
`data/cases/migrations/versions`."""

from __future__ import annotations

import hashlib
import hmac
import math
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, Date, DateTime, Double, Index, LargeBinary, MetaData, String, Text, select
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, load_only, mapped_column
from sqlalchemy.types import TypeDecorator

from data.cases.case import (
    Actor,
    Biopsy,
    Case,
    CaseDraft,
    Decision,
    Lesion,
    ModelResult,
    Patient,
    Read,
    Refusal,
    StoredImage,
)
from data.datasets.tables import comparable
from data.tasks.known import TASKS
from data.tasks.task import OTHER, Task

_SHA256 = String(64)  # hexadecimal
# Soft hyphen, hyphen bullet and minus sign, which Unicode does not count as dashes.
_MORE_HYPHENS = "\u00ad\u2043\u2212"
# Columns that only say again, for searching, what others say.
DERIVED = ("reference_hash", "search_text")


# What reading a value of SQLite ends in that is none of its column's type: it keeps any value in any column.
GARBLED: tuple[type[Exception], ...] = (TypeError, ValueError, LookupError, AttributeError)


class CaseUnreadable(Exception):
    """A case of a task, or with classes, that this version of the program does not know, or a row that is none."""


UNREADABLE: tuple[type[Exception], ...] = (CaseUnreadable, *GARBLED)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, UTC on both sides; SQLite itself knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return None if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


class NumberOrNaN(TypeDecorator[float]):
    """A double that may be NaN, kept as NULL: SQLite has no NaN."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        return math.nan if value is None else value


class Base(DeclarativeBase):
    """What all tables share: names for their constraints, so that a migration can name them."""

    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"})
    type_annotation_map: ClassVar = {str: Text, float: Double, datetime: UtcTime}


class CaseRow(Base):
    """One saved case. `evidence` stands last, so that a list can read a row without it."""

    __tablename__ = "cases"

    case_id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation: Mapped[str]
    saved_at: Mapped[datetime]
    saved_by: Mapped[str]
    captured_name: Mapped[str]
    patient_reference: Mapped[str]
    reference_hash: Mapped[str | None] = mapped_column(_SHA256)
    age: Mapped[float | None]
    sex: Mapped[str]
    lesion_id: Mapped[UUID]
    site: Mapped[str]
    side: Mapped[str]
    note: Mapped[str]
    search_text: Mapped[str]
    image_key: Mapped[str] = mapped_column(unique=True)
    image_sha256: Mapped[str] = mapped_column(_SHA256)
    content_hash: Mapped[str | None] = mapped_column(_SHA256)
    image_width: Mapped[int]
    image_height: Mapped[int]
    own_dx: Mapped[str | None]
    own_certainty: Mapped[str | None]
    own_plan: Mapped[str | None]
    own_is_informed: Mapped[bool | None]  # None also where nobody knew: of cases before migration 0003
    own_other: Mapped[str | None]
    dx: Mapped[str]
    plan: Mapped[str]
    reason: Mapped[str]
    other: Mapped[str] = mapped_column(server_default="")
    biopsy_dx: Mapped[str | None]
    biopsy_reported_on: Mapped[date | None] = mapped_column(Date)
    biopsy_note: Mapped[str | None]
    biopsy_other: Mapped[str | None]
    task: Mapped[str]
    model_name: Mapped[str]
    model_version: Mapped[str]
    artifact_sha256: Mapped[str]
    preprocessing_version: Mapped[str]
    population: Mapped[str | None]
    prediction: Mapped[str | None]
    p_positive: Mapped[float | None]
    probabilities: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))  # code to probability
    conformal_set: Mapped[str | None]  # codes joined by |
    conformal_level: Mapped[float | None]
    member_p_positive: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True))
    quality: Mapped[str]
    refusal: Mapped[str | None]  # where it is set, all that an answer says is empty
    ood_score: Mapped[float] = mapped_column(NumberOrNaN, nullable=True)
    operating_point: Mapped[str | None]
    threshold: Mapped[float | None]
    sensitivity: Mapped[float] = mapped_column(NumberOrNaN, nullable=True)
    specificity: Mapped[float] = mapped_column(NumberOrNaN, nullable=True)
    heatmap_method: Mapped[str | None]
    runtime_ms: Mapped[float]
    evidence: Mapped[bytes | None] = mapped_column(LargeBinary)

    # Each ends as the list is sorted, so that SQLite picks it without statistics.
    __table_args__ = (
        Index("ix_cases_saved_at", "organisation", "saved_at", "case_id"),
        Index("ix_cases_reference_hash", "organisation", "reference_hash", "saved_at", "case_id"),
        # Which tasks there are is asked at every look at the list.
        Index("ix_cases_task", "organisation", "task"),
        Index("ix_cases_lesion_id", "organisation", "lesion_id", "saved_at", "case_id"),
        Index("ix_cases_content_hash", "organisation", "content_hash", "saved_at", "case_id"),
    )


class CaseSealRow(Base):
    """What a case row was when the program last wrote it (`data.cases.seals`)."""

    __tablename__ = "case_seals"

    case_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int]  # of the audit entry that stands for that writing
    seal: Mapped[str] = mapped_column(_SHA256)


class ShownAnswerRow(Base):
    """That an actor has seen the answer to a file, known by its keyed hash; nothing of the file itself."""

    __tablename__ = "shown_answers"

    organisation: Mapped[str] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[str] = mapped_column(_SHA256, primary_key=True)
    shown_at: Mapped[datetime]


class EndedSignInRow(Base):
    """A sign-in that was ended before its time, known by a hash of what its token says; it holds for nobody."""

    __tablename__ = "ended_sign_ins"

    sign_in: Mapped[str] = mapped_column(_SHA256, primary_key=True)
    holds_until: Mapped[datetime]


class AuditRow(Base):
    """One entry of the audit trail (`data.cases.audit`). Triggers refuse to change or delete it."""

    __tablename__ = "audit_entries"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    organisation: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
    case_id: Mapped[UUID | None]
    details: Mapped[str]
    previous_hash: Mapped[str] = mapped_column(_SHA256)
    hash: Mapped[str] = mapped_column(_SHA256)


class AuditHeadRow(Base):
    """The one row that says how far the audit trail goes, whose log it is, and which key made it."""

    __tablename__ = "audit_head"

    log_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_check: Mapped[str] = mapped_column(_SHA256)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(_SHA256)
    seal: Mapped[str] = mapped_column(_SHA256)
    kept_key: Mapped[str | None] = mapped_column(_SHA256)  # `data.cases.keys`; None until the log gets another key


@dataclass(frozen=True)
class SearchKeys:
    """What is searched by keyed hash, and the secret key of each: of patient references and of uploaded files."""

    reference: bytes = field(repr=False)
    content: bytes = field(repr=False)


def row_of(draft: CaseDraft, image: StoredImage, image_key: str, actor: Actor, keys: SearchKeys) -> CaseRow:
    """A draft as the row that is inserted, saved now."""
    result, own = draft.result, draft.own_read
    row = CaseRow(
        case_id=draft.case_id,
        organisation=actor.organisation,
        saved_at=datetime.now(UTC),
        saved_by=actor.name,
        captured_name=draft.captured_name,
        image_key=image_key,
        image_sha256=image.sha256,
        content_hash=content_hash(draft.content_sha256, keys.content),
        image_width=image.width,
        image_height=image.height,
        own_dx=None if own is None else own.dx,
        own_certainty=None if own is None else own.certainty,
        own_plan=None if own is None else own.plan,
        own_is_informed=None if own is None else own.is_informed,
        own_other=None if own is None else own.other,
        task=result.task.key,
        model_name=result.model_name,
        model_version=result.model_version,
        artifact_sha256=result.artifact_sha256,
        preprocessing_version=result.preprocessing_version,
        quality=result.quality,
        refusal=result.reason if isinstance(result, Refusal) else None,
        ood_score=result.ood_score,
        runtime_ms=result.runtime_ms,
        **({} if isinstance(result, Refusal) else _answer_columns(result)),
    )
    set_decision(row, draft.decision)
    set_facts(row, draft.patient, draft.lesion, keys)
    return row


def _answer_columns(result: ModelResult) -> dict[str, Any]:
    return {
        "population": result.population,
        "prediction": result.prediction,
        "p_positive": result.p_positive,
        "probabilities": dict(zip(result.task.codes, result.probabilities, strict=True)),
        "conformal_set": "|".join(result.conformal_set),
        "conformal_level": result.conformal_level,
        "member_p_positive": list(result.member_p_positive),
        "operating_point": result.operating_point,
        "threshold": result.threshold,
        "sensitivity": result.sensitivity,
        "specificity": result.specificity,
        "heatmap_method": result.heatmap_method,
        "evidence": result.evidence,
    }


def set_facts(row: CaseRow, patient: Patient, lesion: Lesion, keys: SearchKeys) -> None:
    """Write patient and lesion into a row, with what they are searched by."""
    row.patient_reference = patient.reference
    row.reference_hash = reference_hash(patient.reference, keys.reference)
    row.age = patient.age
    row.sex = patient.sex
    row.lesion_id = lesion.lesion_id
    row.site = lesion.site
    row.side = lesion.side
    row.note = lesion.note
    _set_search_text(row)


def set_decision(row: CaseRow, decision: Decision) -> None:
    """Write a decision into a row."""
    row.dx, row.plan, row.reason, row.other = decision.dx, decision.plan, decision.reason, decision.other
    _set_search_text(row)


def set_biopsy(row: CaseRow, biopsy: Biopsy | None) -> None:
    """Write a biopsy into a row, or take it out."""
    row.biopsy_dx = None if biopsy is None else biopsy.dx
    row.biopsy_reported_on = None if biopsy is None else biopsy.reported_on
    row.biopsy_note = None if biopsy is None else biopsy.note
    row.biopsy_other = None if biopsy is None else biopsy.other
    _set_search_text(row)


def _set_search_text(row: CaseRow) -> None:
    texts = (row.note, row.captured_name, row.own_other, row.other, row.biopsy_other)
    row.search_text = comparable("\n".join(text for text in texts if text))


def case_of(row: CaseRow) -> Case:
    """A row as a case; raises `CaseUnreadable`."""
    check_codes(task_of(row), row.own_dx, row.dx, row.prediction, row.biopsy_dx)
    return Case(
        case_id=row.case_id,
        saved_at=row.saved_at,
        saved_by=row.saved_by,
        organisation=row.organisation,
        captured_name=row.captured_name,
        patient=Patient(row.patient_reference, row.age, row.sex),
        lesion=Lesion(row.lesion_id, row.site, row.side, row.note),
        image_key=row.image_key,
        image_sha256=row.image_sha256,
        image_width=row.image_width,
        image_height=row.image_height,
        result=_result_of(row),
        own_read=_own_read_of(row),
        decision=Decision(row.dx, row.plan, row.reason, row.other),
        biopsy=_biopsy_of(row),
    )


def reference_hash(reference: str, key: bytes) -> str | None:
    """What a patient reference is searched by: HMAC-SHA256, the same however the reference is typed.

    `MRN 1003`, `mrn-1003` and `MRN1003` are one reference; None without a reference.
    """
    text = "".join(one for one in comparable(reference) if not one.isspace())
    # A reference of hyphens alone is itself.
    text = "".join(one for one in text if unicodedata.category(one) != "Pd" and one not in _MORE_HYPHENS) or text
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest() if text else None


def hash_references(session: Session, keys: SearchKeys) -> None:
    """Give each case with a reference the hash that it is searched by, where a migration took away an older one."""
    statement = select(CaseRow).where(CaseRow.reference_hash.is_(None), CaseRow.patient_reference != "")
    statement = statement.options(load_only(CaseRow.case_id, CaseRow.patient_reference))
    for row in session.scalars(statement):
        row.reference_hash = reference_hash(row.patient_reference, keys.reference)


def content_hash(sha256: str, key: bytes) -> str | None:
    """What an uploaded file is known by: HMAC-SHA256 of its SHA-256 (hexadecimal); None where that is not known."""
    return hmac.new(key, sha256.encode(), hashlib.sha256).hexdigest() if sha256 else None


def task_of(row: CaseRow) -> Task:
    """What the model of a case tells apart; raises `CaseUnreadable` where this program knows no such task."""
    task = TASKS.get(row.task)
    if task is None:
        raise CaseUnreadable(
            f"expected a case of a known task ({', '.join(TASKS)}), received one of {row.task!r}; open it with the "
            "version of the program that saved it"
        )
    return task


def check_codes(task: Task, *codes: str | None) -> None:
    """Raises `CaseUnreadable` where one is neither None nor a class of the task, nor `OTHER`."""
    unknown = [code for code in codes if code is not None and code not in (*task.codes, OTHER)]
    if unknown:
        raise CaseUnreadable(
            f"expected classes of the task {task.key!r}, received {unknown[0]!r}; open the case with the version of "
            "the program that saved it"
        )


def _result_of(row: CaseRow) -> ModelResult | Refusal:
    task = task_of(row)
    shared = {
        name: getattr(row, name)
        for name in (
            "model_name",
            "model_version",
            "artifact_sha256",
            "preprocessing_version",
            "quality",
            "ood_score",
            "runtime_ms",
        )
    }
    if row.refusal is not None:
        return Refusal(task=task, reason=row.refusal, **shared)
    probabilities = row.probabilities or {}
    if probabilities.keys() != set(task.codes):
        raise CaseUnreadable(
            f"expected probabilities of {', '.join(task.codes)}, received those of {', '.join(probabilities)}; "
            "open the case with the version of the program that saved it"
        )
    answer: dict[str, Any] = {
        name: getattr(row, name)
        for name in (
            "population",
            "prediction",
            "p_positive",
            "conformal_level",
            "operating_point",
            "threshold",
            "sensitivity",
            "specificity",
            "heatmap_method",
            "evidence",
        )
    }
    return ModelResult(
        task=task,
        probabilities=tuple(float(probabilities[code]) for code in task.codes),
        conformal_set=tuple(row.conformal_set.split("|")) if row.conformal_set else (),
        member_p_positive=tuple(float(value) for value in row.member_p_positive or ()),
        **shared,
        **answer,
    )


def _own_read_of(row: CaseRow) -> Read | None:
    if row.own_dx is None or row.own_certainty is None or row.own_plan is None:
        return None
    return Read(row.own_dx, row.own_certainty, row.own_plan, bool(row.own_is_informed), row.own_other or "")


def _biopsy_of(row: CaseRow) -> Biopsy | None:
    if row.biopsy_dx is None or row.biopsy_reported_on is None:
        return None
    return Biopsy(row.biopsy_dx, row.biopsy_reported_on, row.biopsy_note or "", row.biopsy_other or "")
