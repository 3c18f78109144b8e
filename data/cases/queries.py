"""What is asked of the case log: a query, the lines of a list, and both as SQL."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from data.cases.case import FOLLOW_UP
from data.cases.tables import CaseRow, SearchKeys, check_codes, content_hash, reference_hash
from data.datasets.tables import comparable
from data.tasks.known import TASKS

# What a list can be sorted by.
ORDERS: tuple[str, ...] = (
    "saved_at",
    "saved_by",
    "patient_reference",
    "age",
    "site",
    "dx",
    "prediction",
    "p_positive",
)


# Characters of a search: SQLite takes at most 1,000 conditions of words, and a pattern of 50,000 bytes.
MAX_SEARCH = 500
_MAY_BE_NONE = ("age", "prediction", "p_positive")


@dataclass(frozen=True)
class CaseQuery:
    """Which cases, in what order. A field left as it is asks for nothing.

    Attributes:
        text: words that must all occur in the note, the file name or what stands beside `OTHER`, in any case; or a
            whole patient reference; at most `MAX_SEARCH` characters.
        patient_reference: the whole reference, with or without capitals, spaces and hyphens; found by its hash.
        content_sha256: of an uploaded file, hexadecimal; found by its keyed hash, of cases since migration 0003.
        task: key of one; cases of tasks that this program does not know are found as well.
        dx: of the decision, `OTHER` included; `prediction` is the model's.
        is_flagged: whether p_positive reached the threshold; a refused image is neither.
        is_refused: whether the model gave no answer.
        plans: of the decision, any of these; empty for every plan.
        not_seen_since: an aware time; the cases saved before it that were to be followed up and were not: neither has
            the lesion a later case nor the case a biopsy result. The log holds no date of a planned follow-up.
        differs_from_model: whether the decision's dx is another than the prediction; of a refused image it is neither.
        saved_from, saved_before: aware times; the first is included, the second is not.
        order_by: one of `ORDERS`; cases equal in it stand newest first, those without any last.
        limit, offset: how many, after how many.
    """

    text: str = ""
    patient_reference: str = ""
    content_sha256: str = ""
    task: str | None = None
    dx: str | None = None
    prediction: str | None = None
    site: str | None = None
    is_flagged: bool | None = None
    is_refused: bool | None = None
    has_biopsy: bool | None = None
    plans: tuple[str, ...] = ()
    not_seen_since: datetime | None = None
    differs_from_model: bool | None = None
    saved_by: str | None = None
    saved_from: datetime | None = None
    saved_before: datetime | None = None
    lesion_id: UUID | None = None
    order_by: str = "saved_at"
    is_descending: bool = True
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if self.order_by not in ORDERS:
            raise ValueError(f"expected an order ({', '.join(ORDERS)}), received {self.order_by!r}")
        if len(self.text) > MAX_SEARCH:
            raise ValueError(f"expected a search of at most {MAX_SEARCH} characters, received {len(self.text)}")
        if self.offset < 0 or (self.limit is not None and self.limit < 0):
            raise ValueError(f"expected limit and offset of at least 0, received {self.limit} and {self.offset}")

    @property
    def asks_for_names(self) -> bool:
        """Whether the answer would tell something of a patient's reference, a free text or a user's name."""
        is_filtered = bool(self.text or self.patient_reference) or self.saved_by is not None
        return is_filtered or self.order_by in ("saved_by", "patient_reference")


@dataclass(frozen=True)
class CaseSummary:
    """A case as one line of a list; `dx` and `plan` are the decision's, `task` is a key, known here or not.

    Of a refused image, `refusal` says why, and what an answer says is None.
    """

    case_id: UUID
    saved_at: datetime
    saved_by: str
    patient_reference: str
    age: float | None
    sex: str
    lesion_id: UUID
    site: str
    side: str
    task: str
    dx: str
    other: str
    plan: str
    own_dx: str | None
    own_is_informed: bool | None
    own_other: str | None
    prediction: str | None
    p_positive: float | None
    is_flagged: bool | None
    refusal: str | None
    model_version: str
    artifact_sha256: str
    biopsy_dx: str | None
    biopsy_other: str | None
    image_key: str


_IS_FLAGGED = CaseRow.p_positive >= CaseRow.threshold
_SUMMARY = tuple(
    _IS_FLAGGED.label("is_flagged") if field.name == "is_flagged" else getattr(CaseRow, field.name)
    for field in fields(CaseSummary)
)


def summaries_statement(query: CaseQuery, organisation: str, keys: SearchKeys) -> Select[Any]:
    """The lines of a list; each row goes to `summary_of`."""
    return _ordered(select(*_SUMMARY).where(*_conditions(query, organisation, keys)), query)


def summary_statement(case_id: UUID) -> Select[Any]:
    """One line of a list."""
    return select(*_SUMMARY).where(CaseRow.case_id == case_id)


def ids_statement(query: CaseQuery, organisation: str, keys: SearchKeys) -> Select[UUID]:
    """The case ids of a list, in its order."""
    return _ordered(select(CaseRow.case_id).where(*_conditions(query, organisation, keys)), query)


def count_statement(query: CaseQuery, organisation: str, keys: SearchKeys) -> Select[int]:
    """How many cases match, whatever limit and offset."""
    return select(func.count()).select_from(CaseRow).where(*_conditions(query, organisation, keys))


def tasks_statement(organisation: str) -> Select[str]:
    """The keys of the tasks that an organisation has cases of, in the order of the alphabet."""
    return select(CaseRow.task).where(CaseRow.organisation == organisation).distinct().order_by(CaseRow.task)


def summary_of(row: Row[Any]) -> CaseSummary:
    """A row of `summaries_statement`; raises `CaseUnreadable` for codes that its task does not have."""
    values = row._asdict()
    if values["task"] in TASKS:  # of another task a list says nothing but how many there are
        codes = (values[name] for name in ("own_dx", "dx", "prediction", "biopsy_dx"))
        check_codes(TASKS[values["task"]], *codes)
    is_flagged = values["is_flagged"]
    return CaseSummary(**values | {"is_flagged": None if is_flagged is None else bool(is_flagged)})


def _conditions(query: CaseQuery, organisation: str, keys: SearchKeys) -> list[ColumnElement[bool]]:
    conditions = [CaseRow.organisation == organisation]
    conditions += [
        getattr(CaseRow, name) == getattr(query, name)
        for name in ("task", "dx", "prediction", "site", "saved_by", "lesion_id")
        if getattr(query, name) is not None
    ]
    facts = {
        "is_flagged": _IS_FLAGGED,
        "is_refused": CaseRow.refusal.is_not(None),
        "has_biopsy": CaseRow.biopsy_dx.is_not(None),
        "differs_from_model": CaseRow.dx != CaseRow.prediction,
    }
    conditions += [
        fact if getattr(query, name) else ~fact for name, fact in facts.items() if getattr(query, name) is not None
    ]
    if query.plans:
        conditions.append(CaseRow.plan.in_(query.plans))
    if query.not_seen_since is not None:
        conditions += _not_seen_since(query.not_seen_since)
    if query.patient_reference.strip():
        conditions.append(CaseRow.reference_hash == reference_hash(query.patient_reference, keys.reference))
    if query.content_sha256:
        conditions.append(CaseRow.content_hash == content_hash(query.content_sha256, keys.content))
    words = [CaseRow.search_text.contains(word, autoescape=True) for word in comparable(query.text).split()]
    if words:
        conditions.append(or_(and_(*words), CaseRow.reference_hash == reference_hash(query.text, keys.reference)))
    return conditions + _days(query)


def _not_seen_since(time: datetime) -> list[ColumnElement[bool]]:
    later = aliased(CaseRow)
    is_later = (
        later.organisation == CaseRow.organisation,
        later.lesion_id == CaseRow.lesion_id,
        later.saved_at > CaseRow.saved_at,
    )
    return [
        CaseRow.plan == FOLLOW_UP,
        CaseRow.saved_at < time,
        CaseRow.biopsy_dx.is_(None),
        ~select(later.case_id).where(*is_later).exists(),
    ]


def _days(query: CaseQuery) -> list[ColumnElement[bool]]:
    conditions = []
    if query.saved_from is not None:
        conditions.append(CaseRow.saved_at >= query.saved_from)
    if query.saved_before is not None:
        conditions.append(CaseRow.saved_at < query.saved_before)
    return conditions


def _ordered(statement: Select[Any], query: CaseQuery) -> Select[Any]:
    column = getattr(CaseRow, query.order_by)
    first = column.desc() if query.is_descending else column.asc()
    if query.order_by == "saved_at":
        # The order of the index, so that a page of the list is read without sorting.
        statement = statement.order_by(first, CaseRow.case_id.desc() if query.is_descending else CaseRow.case_id.asc())
    else:
        first = first.nulls_last() if query.order_by in _MAY_BE_NONE else first
        statement = statement.order_by(first, CaseRow.saved_at.desc(), CaseRow.case_id.desc())
    return statement.limit(query.limit).offset(query.offset or None)
