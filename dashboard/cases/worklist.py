"""Functions that draw the worklist of the Cases page: search, filters, one page of cases, and exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import streamlit as st

from dashboard.answer.diagnosis import choice_name, choices
from dashboard.answer.patient import choice, site_name
from dashboard.cases import wording
from dashboard.cases.case_table import case_table
from dashboard.cases.opened import close
from dashboard.cases.order import remember_list
from dashboard.cases.thumbnails import make_missing
from dashboard.cases.to_do import to_do
from dashboard.reports import exports as case_exports
from dashboard.reports.exports import MAX_ZIP_CASES, Selection
from dashboard.resources import models, stores
from dashboard.shell.identity import actor
from dashboard.shell.times import days_ago, start_of
from data.cases.case import PLANS, SITES
from data.cases.queries import MAX_SEARCH, ORDERS, CaseQuery
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task

CASES_PER_PAGE = 25
# Instead of a task's key: cases of all of them.
EVERY = ""
_TASK, _FOLLOWED = "cases_task", "cases_task_of_all_pages"

# Key and starting value of every filter of the page.
FILTERS: dict[str, Any] = {
    "cases_text": "",
    "cases_dx": None,
    "cases_prediction": None,
    "cases_flagged": None,
    "cases_differs": None,
    "cases_refused": None,
    "cases_biopsy": None,
    "cases_plans": (),
    "cases_due": None,
    "cases_site": None,
    "cases_from": None,
    "cases_to": None,
    "cases_saved_by": "",
}


def worklist() -> None:
    """Filters, one page of the cases found, and their exports. Only that page is ever read from the log."""
    close()  # whichever way the reader came back to the list
    keys = _tasks()
    key = _chosen(keys)
    if key != EVERY and key not in TASKS:
        count = stores.case_log().count(CaseQuery(task=key), actor())
        st.error(wording.unreadable(key, count), icon=":material/error:")
        return
    task = None if key == EVERY else TASKS[key]
    # Only where there are several: asked for a task as well, SQLite counts without the index of patient references.
    of_task = CaseQuery(task=None if task is None or len(keys) == 1 else key)
    to_do([TASKS[one] for one in keys] if task is None else [task], of_task, show=_show)
    query = replace(_query(task), task=of_task.task)
    count = stores.case_log().count(query, actor())
    if count == 0:
        _nothing_found(query)
        return
    offset = _headline(query, count)
    of_page = replace(query, limit=CASES_PER_PAGE, offset=offset)
    summaries = stores.case_log().find(of_page, actor())
    if len(summaries) < min(CASES_PER_PAGE, count - offset):
        _unreadable(of_page)
    remember_list(query, offset, count)
    chosen = case_table(summaries, task)
    ticked = {TASKS[one.task] for one in summaries if one.case_id in chosen}
    _exports(query, task or (ticked.pop() if len(ticked) == 1 else None), count, chosen)
    if make_missing(summaries):
        st.rerun()


# --- Tasks -----------------------------------------------------------------------------------------------------------


def _tasks() -> list[str]:
    """Keys of the tasks that there are cases of, those that this program does not know last.

    Where a task is chosen for all pages, it is among them.
    """
    keys = {*stores.case_log().tasks(actor()), *([models.task().key] if len(models.tasks()) > 1 else [])}
    order = [*TASKS, *sorted(keys - TASKS.keys())]
    return sorted(keys, key=order.index) or [DEFAULT_TASK]


def _chosen(tasks: Sequence[str]) -> str:
    """Whose cases are listed; asked only where there are several, and then those of the task of all pages first."""
    if len(tasks) == 1:
        return tasks[0]
    every = [EVERY] if TASKS.keys() >= set(tasks) else []
    _follow(models.task().key, (*every, *tasks))
    return st.selectbox(
        wording.TASK_LABEL,
        [*every, *tasks],
        format_func=lambda key: wording.EVERY_TASK if key == EVERY else TASKS[key].name if key in TASKS else key,
        help=wording.TASK_HELP,
        key=_TASK,
        on_change=reset_filters,  # another task has other diagnoses to filter by
        persist_state="session",
        width=320,
    )


def _follow(task: str, offered: Sequence[str]) -> None:
    """List the cases of the task that has been chosen for all pages, until the reader chooses others here."""
    followed = st.session_state.get(_FOLLOWED)
    if followed == task and st.session_state.get(_TASK) in offered:
        return
    if followed is not None:
        reset_filters()
    st.session_state[_FOLLOWED] = task
    st.session_state[_TASK] = task if task in offered else next(one for one in offered if one != EVERY)


# --- Search and filters ----------------------------------------------------------------------------------------------


def reset_filters() -> None:
    """Set every filter back to its starting value (a callback: it must run before the filters are drawn)."""
    st.session_state.update(FILTERS)


def _show(filters: Mapping[str, Any]) -> None:
    """Callback: these filters and no others."""
    st.session_state.update({**FILTERS, **filters})


def _query(task: Task | None) -> CaseQuery:
    """What the filters ask for; their state outlives an opened case and a switch of pages.

    Cases of several tasks (None) have no diagnoses in common to filter by.
    """
    for key, value in FILTERS.items():
        st.session_state.setdefault(key, value)
    with st.container(border=True):
        with st.grid(3, min_column_width=210, gap="small"):
            text = _words("Search", "cases_text", wording.SEARCH_HELP)
            dx = None if task is None else _diagnosis(task, wording.label_name(task), "cases_dx")
            is_flagged = _yes_or_no("Flag", "cases_flagged", wording.FLAGGED_NAMES)
        if len(text) > MAX_SEARCH:
            st.warning(wording.SEARCH_TOO_LONG, icon=":material/warning:")
        with st.container(horizontal=True):
            with st.popover("More filters and order", icon=":material/tune:", width="content"):
                rest = _further_filters(task)
            st.button("Reset", icon=":material/restart_alt:", on_click=reset_filters, help="Undo all filters")
    return CaseQuery(text=text[:MAX_SEARCH], dx=dx, is_flagged=is_flagged, **rest)


def _further_filters(task: Task | None) -> dict[str, Any]:
    label = wording.label_name(task)
    with st.grid(2, min_column_width=210, gap="small"):
        return {
            "differs_from_model": _yes_or_no(f"{label} and AI", "cases_differs", wording.DIFFERS_NAMES),
            "is_refused": _yes_or_no("Answer", "cases_refused", wording.REFUSED_NAMES),
            "has_biopsy": _yes_or_no(wording.reference_name(task), "cases_biopsy", wording.BIOPSY_NAMES),
            "plans": tuple(_plans("Plan", "cases_plans", PLANS if task is None else task.plans)),
            "not_seen_since": _since(_due(task, "Follow-up due", "cases_due")),
            **({} if task is None else {"prediction": _class(task, f"AI's {task.standout}", "cases_prediction")}),
            **({"site": _choice("Site", SITES, "cases_site", site_name)} if task is None or task.has_sites else {}),
            "saved_from": _start_of(_day("Saved from", "cases_from")),
            "saved_before": _start_of(_day("Saved until", "cases_to"), days_later=1),
            "saved_by": _words("Saved by", "cases_saved_by", wording.SAVED_BY_HELP) or None,
            **_order(task),
        }


def _order(task: Task | None) -> dict[str, Any]:
    names = wording.order_names(task)
    order_by = st.selectbox(
        "Order by",
        ORDERS,
        format_func=lambda order: names.get(order, order),
        key="cases_order",
        persist_state="session",
    )
    is_descending = st.segmented_control(
        "Direction",
        [True, False],
        format_func={True: "Newest or highest first", False: "Oldest or lowest first"}.__getitem__,
        default=True,
        required=True,
        key="cases_descending",
        persist_state="session",
    )
    return {"order_by": order_by, "is_descending": is_descending}


def _words(label: str, key: str, help_text: str) -> str:
    words = st.text_input(label, key=key, help=help_text, persist_state="session")
    # No database compares a NUL, which some programs leave at the end of what they copy.
    return words.replace("\0", " ").strip()


def _diagnosis(task: Task, label: str, key: str) -> str | None:
    return _choice(label, choices(task), key, lambda code: choice_name(task, code))


def _class(task: Task, label: str, key: str) -> str | None:
    return _choice(label, task.codes, key, task.titled)


def _choice(label: str, options: Sequence[str], key: str, name: Callable[[str], str]) -> str | None:
    return st.selectbox(
        label,
        options,
        format_func=name,
        index=None,
        placeholder=wording.ANY,
        key=key,
        persist_state="session",
    )


def _plans(label: str, key: str, offered: Sequence[str]) -> list[str]:
    plans: list[str] = st.multiselect(
        label,
        offered,
        format_func=choice,
        placeholder=wording.ANY,
        key=key,
        persist_state="session",
        # Enter takes the first match, not all that match.
        select_all=False,
        filter_mode="contains",
    )
    return plans


def _due(task: Task | None, label: str, key: str) -> int | None:
    """Days for which a lesion that was to be followed up was not seen again; None for any case."""
    return st.selectbox(
        label,
        list(wording.NOT_SEEN_FOR),
        format_func=wording.NOT_SEEN_FOR.__getitem__,
        index=None,
        placeholder=wording.ANY,
        key=key,
        help=wording.helped(wording.DUE_HELP, list(TASKS.values()) if task is None else [task]),
        persist_state="session",
    )


def _since(days: int | None) -> datetime | None:
    return None if days is None else days_ago(days)


def _yes_or_no(label: str, key: str, names: Mapping[bool, str]) -> bool | None:
    return st.selectbox(
        label,
        list(names),
        format_func=names.__getitem__,
        index=None,
        placeholder=wording.ANY,
        key=key,
        persist_state="session",
    )


def _day(label: str, key: str) -> date | None:
    day: date | None = st.date_input(label, key=key, format="YYYY-MM-DD", persist_state="session")
    return day


def _start_of(day: date | None, days_later: int = 0) -> datetime | None:
    return None if day is None else start_of(day + timedelta(days=days_later))


# --- The cases found -------------------------------------------------------------------------------------------------


def _is_filtered(query: CaseQuery) -> bool:
    return replace(query, task=None, order_by=CaseQuery.order_by, is_descending=CaseQuery.is_descending) != CaseQuery()


def _nothing_found(query: CaseQuery) -> None:
    title, text = (
        (wording.NOTHING_FOUND_TITLE, wording.NOTHING_FOUND)
        if _is_filtered(query)
        else (wording.EMPTY_LOG_TITLE, wording.EMPTY_LOG)
    )
    st.info(f"**{title}.** {text}", icon=":material/folder_open:")


def _unreadable(query: CaseQuery) -> None:
    """Which cases of a page cannot be shown."""
    case_ids = stores.case_log().unreadable(query, actor())
    if case_ids:  # else one was deleted since they were counted
        st.error(wording.unreadable_cases(case_ids), icon=":material/error:")


def _headline(query: CaseQuery, count: int) -> int:
    """How many cases were found and the way through their pages; gives the number of cases before the page shown."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        said = st.container(width="content")
        page = 1
        if count > CASES_PER_PAGE:
            # A page of its own for each question, so that another question starts at its first page.
            key = f"cases_page_{hash(query)}"
            page = st.pagination(-(-count // CASES_PER_PAGE), key=key, persist_state="session")
    offset = (page - 1) * CASES_PER_PAGE
    last = min(offset + CASES_PER_PAGE, count)
    said.markdown(f"**{wording.found(count, offset + 1, last, _is_filtered(query))}**")
    return offset


# --- Exports ---------------------------------------------------------------------------------------------------------


def _exports(query: CaseQuery, task: Task | None, count: int, chosen: tuple[UUID, ...]) -> None:
    if task is None:
        st.caption(wording.EXPORT_ONE_TASK)
        return
    selection = Selection(stores.case_log(), actor(), task, query, chosen)
    held = len(chosen) or count
    with st.container(border=True):
        st.markdown(
            f"**{wording.EXPORT_HEADING}** {wording.export_of(held, bool(chosen))}",
            help=task.worded(wording.EXPORT_NOTE),
        )
        with st.container(horizontal=True):
            download("CSV", partial(case_exports.export_csv, selection), "lesionlens_cases.csv", "text/csv")
            download("JSON", partial(case_exports.export_json, selection), "lesionlens_cases.json", "application/json")
            is_too_many = held > MAX_ZIP_CASES
            make_zip = partial(case_exports.export_images, selection)
            download("Images (ZIP)", make_zip, "lesionlens_images.zip", "application/zip", is_disabled=is_too_many)
        if not chosen:
            st.caption(wording.TICK_HINT)
        if is_too_many:
            st.caption(wording.too_many_images(MAX_ZIP_CASES))


def download(label: str, make: Callable[[], bytes], file_name: str, mime: str, is_disabled: bool = False) -> None:
    """A button that makes a file when it is pressed; no file name says anything of a patient."""
    st.download_button(
        label,
        data=make,
        file_name=file_name,
        mime=mime,
        key=f"cases_download_{label}",
        icon=":material/download:",
        on_click="ignore",
        disabled=is_disabled,
    )
