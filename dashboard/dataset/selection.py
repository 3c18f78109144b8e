"""What is selected in a chart filters the page: one point by a click, several by a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from data.datasets.cohort import AGE, AGE_STEP, MAX_AGE, MIN_AGE

# How often something was selected. A chart keeps its selection for as long as it keeps its key; a new key lets the next
# click count.
_SELECTIONS = "dataset_clicks"


def chart_key(name: str) -> str:
    """The key of a chart that can be selected in, until the next selection in any."""
    return f"{name}_{st.session_state.setdefault(_SELECTIONS, 0)}"


def selecting(name: str, column: str, value_of: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """Arguments of `st.plotly_chart` with which a selection in a chart filters by a column.

    Args:
        name: of the chart, as for `chart_key`.
        column: one of `NAMED_COLUMNS`, or `AGE`.
        value_of: the value of the column that a selected point stands for.
    """
    key = chart_key(name)
    return {"on_select": lambda: _select(key, column, value_of), "selection_mode": ("points", "box")}


def _select(key: str, column: str, value_of: Callable[[Mapping[str, Any]], Any]) -> None:
    points = st.session_state[key].selection.points
    values = list(dict.fromkeys(value_of(point) for point in points))
    if not values:
        return
    if column == AGE:
        _choose_ages(values)
    else:
        chosen = list(st.session_state[f"dataset_{column}"])
        st.session_state[f"dataset_{column}"] = toggled(chosen, values)
    forget()


def forget() -> None:
    """Callback: what is selected in the charts is no longer, so that the same can be selected again."""
    st.session_state[_SELECTIONS] += 1


def toggled(chosen: Sequence[str], values: Sequence[str]) -> list[str]:
    """What is chosen after a selection: one value joins or leaves what was chosen, several take its place."""
    if len(values) > 1:
        return list(values)
    return [one for one in chosen if one not in values] if values[0] in chosen else [*chosen, values[0]]


def _choose_ages(labels: Sequence[str]) -> None:
    """Ages from the first to the last band that is selected; all of them again where exactly these were chosen."""
    years = [int(label) for label in labels if label.isdecimal()]
    if not years:
        return
    span = (min(years), max(years) // AGE_STEP * AGE_STEP)
    is_undone = st.session_state["dataset_age"] == span
    st.session_state["dataset_age"] = (MIN_AGE, MAX_AGE) if is_undone else span
    st.session_state["dataset_keeps_unknown_age"] = is_undone or len(years) < len(labels)
