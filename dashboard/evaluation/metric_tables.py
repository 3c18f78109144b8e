"""Tables of estimates whose columns explain themselves, as the sections of the Evaluation page show them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard.evaluation.studies.trust_tables import CHANCE
from dashboard.shell.metrics import Metric, chance_range, interval_or_why
from dashboard.shell.widgets import Html, html_table

WIDE_CARD = 540  # pixels; two side by side on a wide screen

Row = Mapping[Hashable, Any]


def metric_table(
    before: Sequence[str], rows: Sequence[Sequence[str]], metrics: Sequence[Metric], after: Sequence[str] = ()
) -> None:
    """A table whose metric columns explain themselves; all but the first column are numbers."""
    headers = (*before, *(metric.name for metric in metrics), *after)
    tooltips = (*[""] * len(before), *(metric.plain_tooltip for metric in metrics), *[""] * len(after))
    html_table(headers, rows, numeric=range(1, len(headers)), tooltips=tooltips)


def beside(row: Row, name: str, metric: Metric) -> Html:
    """An estimate with its interval beside it."""
    return Html(f"{escape(metric.format(row[name]))} <small>{escape(span_of(row, name, metric))}</small>")


def stacked(row: Row, name: str, metric: Metric, prefix: str = "") -> Html:
    """An estimate with its interval below it, which keeps a wide table narrow."""
    return with_note(prefix + metric.format(row[name]), span_of(row, name, metric))


def span_of(row: Row, name: str, metric: Metric) -> str:
    """The interval, or what stands in its place; empty where there is no value."""
    median, limit = (row.get(f"{name}_{part}", math.nan) for part in CHANCE)
    if not math.isnan(median):
        return chance_range(median, limit, metric)
    return interval_or_why(row[name], row[f"{name}_low"], row[f"{name}_high"], metric)


def row_name(text: str, note: str = "") -> Html:
    """The first cell of a row of a wide table: it may wrap, so that a phone shows more of the others."""
    style = "display: block; min-width: 7rem; white-space: normal"
    return Html(f'<span style="{style}">{with_note(text, note)}</span>')


def with_note(text: str, note: str) -> Html:
    shown = text if isinstance(text, Html) else escape(text)
    return Html(f'{shown}<br><small style="margin: 0">{escape(note)}</small>' if note else shown)


def quiet(text: str) -> None:
    if text:
        st.html(f'<p class="lens-data">{escape(text)}</p>')
