"""Draws what is left to do: three lists with their counts, each one press away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard.cases import wording
from dashboard.shell import resources
from dashboard.shell.identity import actor
from dashboard.shell.times import days_ago
from data.cases.case import BIOPSY, EXCISION, NO_FOLLOW_UP
from data.cases.queries import CaseQuery
from data.tasks.task import Task


@dataclass(frozen=True)
class ToDo:
    """A list of what is left to do.

    Attributes:
        name, help: what it is called, and which cases are in it.
        query: that finds them.
        filters: of the page that ask the same.
    """

    name: str
    help: str
    query: CaseQuery
    filters: Mapping[str, Any]


def to_dos() -> tuple[ToDo, ...]:
    """The lists, the most pressing first."""
    return (
        ToDo(
            wording.UNPLANNED,
            wording.UNPLANNED_HELP,
            CaseQuery(is_flagged=True, plans=(NO_FOLLOW_UP,), has_biopsy=False),
            {"cases_flagged": True, "cases_plans": [NO_FOLLOW_UP], "cases_biopsy": False},
        ),
        ToDo(
            wording.AWAITED,
            wording.AWAITED_HELP,
            CaseQuery(plans=(BIOPSY, EXCISION), has_biopsy=False),
            {"cases_plans": [BIOPSY, EXCISION], "cases_biopsy": False},
        ),
        ToDo(
            wording.DUE,
            wording.DUE_BUTTON_HELP,
            CaseQuery(not_seen_since=days_ago(wording.DUE_DAYS)),
            {"cases_due": wording.DUE_DAYS},
        ),
    )


def to_do(task: Task, of_task: CaseQuery, show: Callable[[Mapping[str, Any]], None]) -> None:
    """The lists as buttons.

    Args:
        task: of the cases.
        of_task: whose cases are listed on the page.
        show: callback that sets the page's filters.
    """
    with st.container(horizontal=True, gap="small", key="cases_to_do"):
        for one in to_dos():
            count = resources.case_log().count(replace(one.query, task=of_task.task), actor())
            st.button(
                wording.to_do(one.name, count),
                help=task.worded(one.help),
                key=f"cases_to_do_{one.name}",
                on_click=show,
                args=(one.filters,),
            )
