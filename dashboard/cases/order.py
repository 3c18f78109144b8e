"""The way from an opened case to the one before and after it, in the order of the list that the reader came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

import streamlit as st

from dashboard.cases import wording
from dashboard.cases.opened import ask_for
from dashboard.resources import stores
from dashboard.shell import keyboard
from dashboard.shell.identity import actor
from data.cases.queries import CaseQuery

_LIST = "cases_list"
_ORDER = "cases_order_of_list"
# Cases before the page of the list, on it and after it; nobody goes further one by one.
MAX_BEFORE, MAX_LISTED = 500, 1000


@dataclass(frozen=True)
class _List:
    """What was listed last: the question, how many cases before the page shown, and how many in all."""

    query: CaseQuery
    offset: int
    count: int


@dataclass(frozen=True)
class _Order:
    """The cases around that page as they stood when the first of them was opened, so that a change moves none away."""

    first: int
    case_ids: tuple[UUID, ...]
    count: int


def remember_list(query: CaseQuery, offset: int, count: int) -> None:
    """What is listed now is what an opened case is one of."""
    st.session_state[_LIST] = _List(query, offset, count)
    st.session_state.pop(_ORDER, None)


def neighbour_buttons(case_id: UUID) -> None:
    """The way to the previous and the next case; nothing where the case was not opened from a list."""
    order = _order()
    if order is None or case_id not in order.case_ids or len(order.case_ids) < 2:
        return
    index = order.case_ids.index(case_id)
    _button(wording.PREVIOUS, order.case_ids[index - 1] if index else None, "p")
    _button(wording.NEXT, order.case_ids[index + 1] if index + 1 < len(order.case_ids) else None, "n")
    st.caption(wording.place_in_list(order.first + index + 1, order.count), width="content")


def _button(label: str, case_id: UUID | None, shortcut: str) -> None:
    st.button(
        label,
        on_click=ask_for,
        args=(case_id,),
        disabled=case_id is None,
        shortcut=keyboard.single_key(shortcut),
        key=f"cases_{label.lower()}",
    )


def _order() -> _Order | None:
    listed: _List | None = st.session_state.get(_LIST)
    order: _Order | None = st.session_state.get(_ORDER)
    if listed is not None and order is None:
        first = max(listed.offset - MAX_BEFORE, 0)
        query = replace(listed.query, limit=MAX_LISTED, offset=first)
        order = _Order(first, tuple(stores.case_log().case_ids(query, actor())), listed.count)
        st.session_state[_ORDER] = order
    return order
