"""Draws what is left to do: three lists with their counts, each one press away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard.cases import wording
from dashboard.resources import stores
from dashboard.shell.identity import actor
from dashboard.shell.times import days_ago
from data.cases.case import NO_FOLLOW_UP, PLANS
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


def to_dos(tasks: Sequence[Task]) -> tuple[ToDo, ...]:
    """The lists of cases of these tasks, the most pressing first."""
    awaited = [plan for plan in PLANS if any(plan in task.awaited for task in tasks)]
    return (
        ToDo(
            wording.UNPLANNED,
            wording.helped(wording.UNPLANNED_HELP, tasks),
            CaseQuery(is_flagged=True, plans=(NO_FOLLOW_UP,), has_biopsy=False),
            {"cases_flagged": True, "cases_plans": [NO_FOLLOW_UP], "cases_biopsy": False},
        ),
        ToDo(
            wording.awaited(awaited),
            wording.awaited_help(awaited, tasks),
            CaseQuery(plans=tuple(awaited), has_biopsy=False),
            {"cases_plans": awaited, "cases_biopsy": False},
        ),
        ToDo(
            wording.DUE,
            wording.helped(wording.DUE_BUTTON_HELP, tasks),
            CaseQuery(not_seen_since=days_ago(wording.DUE_DAYS)),
            {"cases_due": wording.DUE_DAYS},
        ),
    )


def to_do(tasks: Sequence[Task], of_task: CaseQuery, show: Callable[[Mapping[str, Any]], None]) -> None:
    """The lists as buttons.

    Args:
        tasks: of the cases.
        of_task: whose cases are listed on the page.
        show: callback that sets the page's filters.
    """
    with st.container(horizontal=True, gap="small", key="cases_to_do"):
        for one in to_dos(tasks):
            count = stores.case_log().count(replace(one.query, task=of_task.task), actor())
            st.button(
                wording.to_do(one.name, count),
                help=one.help,
                key=f"cases_to_do_{one.name}",
                on_click=show,
                args=(one.filters,),
            )
