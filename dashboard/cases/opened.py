"""The case that is open: the address names it, this session keeps it. Nothing in here outlives the browser tab.

Reading a case is written into the audit trail, so it is read once when it is opened and not at every click.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import streamlit as st

from dashboard.resources import stores
from dashboard.shell.identity import actor
from data.cases.case import Case
from data.cases.log import CaseNotFound
from model.analysis.analyzer import Analysis
from model.analysis.case_record import recorded_analysis

PARAMETER = "case"
_CASES = "cases_opened"
_PICTURES = "cases_pictures"
# The open case and two that its timeline compares; a picture may hold some megabytes.
MAX_KEPT = 3


@dataclass(frozen=True)
class Picture:
    """The stored image of a case.

    Attributes:
        content: PNG bytes, checked against the hash in the log.
        analysis: as it was when the case was saved.
    """

    content: bytes
    analysis: Analysis


def asked_case() -> str | None:
    """The case that the address asks for (`?case=UUID`), as it stands there; None for the list."""
    return st.query_params.get(PARAMETER)


def ask_for(case_id: UUID) -> None:
    """Ask for a case: it is shown next."""
    st.query_params[PARAMETER] = str(case_id)


def close() -> None:
    """Back to the list; a case that is opened again is read again."""
    st.query_params.pop(PARAMETER, None)
    st.session_state[_CASES], st.session_state[_PICTURES] = {}, {}


def parsed_id(text: str) -> UUID:
    """The id of a case as an address states it; raises `CaseNotFound` for any other text, since nothing has it."""
    try:
        return UUID(text)
    except ValueError:
        raise CaseNotFound("expected the id of a saved case in the address, received another text") from None


def opened(case_id: UUID) -> Case:
    """A case; raises `CaseNotFound` where the actor's organisation has none of this id, and what the log raises."""
    case = cast(Case | None, _kept(_CASES).get(case_id)) or stores.case_log().case(case_id, actor())
    keep(case)
    return case


def keep(case: Case) -> None:
    """Remember a case as it is now."""
    _remember(_CASES, case.case_id, case)


def picture(case: Case) -> Picture:
    """The image of a case; raises `ImageMissing`, `ImageAltered`, `StorageUnavailable`."""
    shown = cast(Picture | None, _kept(_PICTURES).get(case.case_id))
    if shown is None:
        content = stores.case_log().image(case, actor())
        shown = Picture(content, recorded_analysis(case, content))
    _remember(_PICTURES, case.case_id, shown)
    return shown


def _kept(key: str) -> dict[UUID, Any]:
    return dict(st.session_state.get(key, {}))


def _remember(key: str, case_id: UUID, value: Case | Picture) -> None:
    """Keep a value as the one used last; the one not used for longest goes when there are too many."""
    others = {other: kept for other, kept in _kept(key).items() if other != case_id}
    st.session_state[key] = dict(list({**others, case_id: value}.items())[-MAX_KEPT:])
