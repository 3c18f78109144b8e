"""The filters of the Dataset page, which the address of the page carries: reloaded or shared, it shows the same."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.access import task_choice
from dashboard.answer.cohort import dropped
from dashboard.dataset import wording
from dashboard.dataset.cohort import Unit
from dashboard.settings import ROOT
from dashboard.shell import formats
from data.datasets.cohort import (
    AGE,
    AGE_STEP,
    MAX_AGE,
    MIN_AGE,
    NAMED_COLUMNS,
    QUERY_NAMES,
    CohortFilter,
    filter_rows,
    from_query,
    stated,
    to_query,
)
from data.tasks.task import Task

UNITS: tuple[Unit, ...] = ("images", "lesions")
UNIT_KEY = "dataset_unit"
# In an address, and only where it is not images that are counted.
UNIT_NAME = "count"
# Key and starting value of every filter of the page.
FILTERS: dict[str, Any] = {
    "dataset_dx": [],
    "dataset_localization": [],
    "dataset_age": (MIN_AGE, MAX_AGE),
    "dataset_keeps_unknown_age": True,
    "dataset_sex": [],
    "dataset_dx_type": [],
}
# What this session has written into its address, and what was dropped from the last address that came from outside.
_WRITTEN, _DROPPED = "dataset_address", "dataset_dropped"

Query = dict[str, list[str]]


def offered_values(task: Task, counts: pd.DataFrame) -> dict[str, list[str]]:
    """What can be chosen in each filter that names values, in the order of the lists on screen."""
    offered = {
        "dx": list(task.codes),
        "localization": sorted(counts["localization"].unique()),
        "sex": list(formats.SEX_NAMES),
        "dx_type": [dx_type for dx_type in wording.CONFIRMATION_NAMES if (counts["dx_type"] == dx_type).any()],
    }
    # Nothing can be chosen of what the dataset states of no image.
    return {column: values if column in ("dx", *stated(counts)) else [] for column, values in offered.items()}


def asked_query() -> Query:
    """What the address of the page says of filters."""
    return {name: st.query_params.get_all(name) for name in QUERY_NAMES if name in st.query_params}


def follow_address(task: Task, counts: pd.DataFrame | None) -> None:
    """Take over the filters of an address that somebody has opened; call it where the whole page is drawn.

    An address without filters leaves them as they are: it is that of the page in the navigation bar.
    """
    asked = asked_query() | _asked_unit()
    if counts is None or not asked or asked == st.session_state.get(_WRITTEN):
        return
    wanted, unknown = from_query(asked, offered_values(task, counts))
    set_filter(wanted)
    unit = asked.get(UNIT_NAME, [UNITS[0]])[-1]
    if unit not in UNITS:
        unit, unknown = UNITS[0], (*unknown, f"{UNIT_NAME}={unit}")
    st.session_state[UNIT_KEY] = unit
    st.session_state[_DROPPED] = (wanted, unknown)


def _asked_unit() -> Query:
    return {UNIT_NAME: st.query_params.get_all(UNIT_NAME)} if UNIT_NAME in st.query_params else {}


def write_address(wanted: CohortFilter, unit: Unit) -> None:
    """Let the address carry the filters; what else stands in it stays."""
    query = to_query(wanted) | ({} if unit == UNITS[0] else {UNIT_NAME: [unit]})
    st.session_state[_WRITTEN] = query
    if asked_query() | _asked_unit() != query:
        kept = {
            name: st.query_params.get_all(name) for name in st.query_params if name not in (*QUERY_NAMES, UNIT_NAME)
        }
        st.query_params.from_dict(kept | query)


def dropped_remark(wanted: CohortFilter) -> None:
    """What an opened address asked for that is unknown here, until the filters are changed."""
    filtered, names = st.session_state.get(_DROPPED, (wanted, ()))
    if filtered != wanted:
        del st.session_state[_DROPPED]
    elif names:
        st.info(dropped(names), icon=":material/link_off:")


def unit_control(task: Task) -> Unit:
    """Count by image or by what it shows."""
    st.session_state.setdefault(UNIT_KEY, UNITS[0])
    unit: Any = st.segmented_control(
        "Count by",
        options=UNITS,
        format_func=lambda unit: wording.unit_noun(task, unit).capitalize(),
        required=True,
        key=UNIT_KEY,
        help=task.worded(wording.UNIT_HELP),
        persist_state="session",
    )
    return UNITS[0] if unit is None else unit


def cohort_filters(task: Task, counts: pd.DataFrame) -> CohortFilter:
    """The filter row, without what the dataset states of no image; its state outlives a switch of pages."""
    for key, value in FILTERS.items():
        st.session_state.setdefault(key, value)
    offered, facts = offered_values(task, counts), stated(counts)
    with st.container(border=True), st.grid(1 + len(facts), min_column_width=210, gap="small"):
        _values(
            task.words.label.capitalize(),
            offered,
            "dx",
            f"All {task.words.labels}",
            lambda code: f"{code} · {task.named(code).name}",
        )
        if "localization" in facts:
            _values("Site", offered, "localization", "All sites", str)
        if AGE in facts:
            _ages()
        if "sex" in facts:
            st.pills(
                "Sex",
                offered["sex"],
                format_func=formats.SEX_NAMES.__getitem__,
                selection_mode="multi",
                key="dataset_sex",
                persist_state="session",
            )
        if "dx_type" in facts:
            _values("Confirmed by", offered, "dx_type", "Any confirmation", wording.CONFIRMATION_NAMES.__getitem__)
    return chosen_filter()


def _ages() -> None:
    with st.container(gap="xxsmall"):
        st.slider("Age (years)", MIN_AGE, MAX_AGE, step=AGE_STEP, key="dataset_age", persist_state="session")
        st.checkbox("Keep unknown ages", key="dataset_keeps_unknown_age", persist_state="session")


def _values(label: str, offered: dict[str, list[str]], column: str, placeholder: str, name: Any) -> None:
    st.multiselect(
        label,
        offered[column],
        format_func=name,
        placeholder=placeholder,
        key=f"dataset_{column}",
        persist_state="session",
        # Enter takes the first match. With "Select matches" on offer it takes them all: "mel" is in "melanocytic" too.
        select_all=False,
        filter_mode="contains",
    )


def chosen_filter() -> CohortFilter:
    """The filter as the widgets of this session stand."""
    named: dict[str, Any] = {column: tuple(st.session_state[f"dataset_{column}"]) for column in NAMED_COLUMNS}
    low, high = st.session_state["dataset_age"]
    keeps_unknown = st.session_state["dataset_keeps_unknown_age"]
    return CohortFilter(**named, min_age=low, max_age=high, keeps_unknown_age=keeps_unknown)


def evaluation_link(task: Task, wanted: CohortFilter) -> None:
    """The way to the figures of the locked test images of a cohort."""
    st.page_link(
        st.Page(ROOT / "pages" / "evaluation.py"),
        label=wording.EVALUATE_COHORT,
        icon=":material/monitoring:",
        help=task.worded(wording.EVALUATE_HELP),
        query_params={**to_query(wanted), **task_choice.query()},
        width="content",
    )


def kept_rows(table: pd.DataFrame, wanted: CohortFilter) -> pd.DataFrame:
    """The rows of a counts or metadata table that a filter keeps."""
    return filter_rows(table, wanted)


def set_filter(wanted: CohortFilter) -> None:
    """Set every filter (in a callback or before they are drawn)."""
    st.session_state.update({f"dataset_{column}": list(getattr(wanted, column)) for column in NAMED_COLUMNS})
    st.session_state["dataset_age"] = (wanted.min_age, wanted.max_age)
    st.session_state["dataset_keeps_unknown_age"] = wanted.keeps_unknown_age


def reset_button() -> None:
    """Undo all filters."""
    st.button(
        "Reset", icon=":material/restart_alt:", on_click=set_filter, args=(CohortFilter(),), help="Undo all filters"
    )
