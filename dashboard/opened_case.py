"""The case that is open: the address names it, this session keeps it. Nothing in here outlives the browser tab.

Reading a case is written into the audit trail, so it is read once when it is opened and not at every click.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from uuid import UUID

import streamlit as st

from dashboard import resources
from dashboard.identity import actor
from data.case_log import CaseNotFound
from data.cases import Case
from model.analysis import Analysis
from model.case_record import recorded_analysis

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
    kept = cast(dict[UUID, Case], st.session_state.get(_CASES, {}))
    if case_id not in kept:
        keep(resources.case_log().case(case_id, actor()))
    return cast(Case, st.session_state[_CASES][case_id])


def keep(case: Case) -> None:
    """Remember a case as it is now; the oldest goes when there are too many."""
    kept = {**st.session_state.get(_CASES, {}), case.case_id: case}
    st.session_state[_CASES] = dict(list(kept.items())[-MAX_KEPT:])


def picture(case: Case) -> Picture:
    """The image of a case; raises `ImageMissing`, `ImageAltered`, `StorageUnavailable`."""
    kept = cast(dict[UUID, Picture], st.session_state.get(_PICTURES, {}))
    if case.case_id not in kept:
        content = resources.case_log().image(case, actor())
        kept = {**kept, case.case_id: Picture(content, recorded_analysis(case, content))}
        st.session_state[_PICTURES] = dict(list(kept.items())[-MAX_KEPT:])
    return kept[case.case_id]
