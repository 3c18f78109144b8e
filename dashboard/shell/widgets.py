"""Functions that draw what several pages share."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.settings import settings
from dashboard.shell import errors, formats
from dashboard.shell.charts import space_percents
from data.tasks.task import Task

STYLE_FILE = Path(__file__).resolve().parents[1] / "assets" / "style.css"
CARD_WIDTH = 400  # pixels; three cards side by side on a wide screen, one on a phone
SAVE_FILE = Path(__file__).resolve().parents[1] / "assets" / "save.js"
# The bar of buttons shows while the pointer is over a chart; what zooms is left out, because nothing may be hidden.
CHART_CONFIG = {
    "displayModeBar": "hover",
    "scrollZoom": False,
    "doubleClick": False,
    "modeBarButtonsToRemove": ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"],
}
PICTURE_FORMATS = ("png", "svg")

_log = logging.getLogger(__name__)


@functools.cache
def _picture_saver() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_save", js=SAVE_FILE.read_text(encoding="utf-8"))


def save_pictures() -> None:
    """What the buttons under charts press, once for every page."""
    with st.container(key="shell_save_place"):
        _picture_saver()(key="shell_save")


def page_style() -> None:
    """The few rules of style that the theme cannot state."""
    st.html(STYLE_FILE)


def research_banner() -> None:
    """The quiet line on every page."""
    st.html(f'<p class="lens-banner">{escape(formats.RESEARCH_USE)}</p>')


def read_only_banner() -> None:
    """What cannot be done, and not be relied on, where the case log is open without its key."""
    if settings().is_case_log_read_only:
        st.warning(formats.READ_ONLY_LOG, icon=":material/lock:")


@contextmanager
def explained_errors(still_works: str = "") -> Iterator[None]:
    """Draw the message of an error that a user can meet, in place of what the block would have drawn.

    Args:
        still_works: said in place of what the table of errors says.
    """
    try:
        yield
    except errors.ANY_PAGE as error:
        _log.warning("%s: %s", type(error).__name__, error)
        st.error(errors.error_message(error, still_works), icon=":material/error:")


def card_grid(width: int = CARD_WIDTH, columns: int = 3) -> Any:
    """A grid of bordered cards, as many side by side as fit."""
    return st.grid(columns, min_column_width=width, border=True, gap="small")


def chart_heading(title: str, data: str) -> None:
    """What a chart shows, and on what data."""
    st.html(f'<p class="lens-title">{escape(title)}</p><p class="lens-data">{escape(data)}</p>')


def chart(
    title: str,
    data: str,
    figure: go.Figure,
    key: str,
    note: str = "",
    has_heading: bool = True,
    table: pd.DataFrame | None = None,
    **plotly: Any,
) -> Any:
    """A figure under its title, which can be saved as a picture.

    Args:
        title: what is shown.
        data: on what data, with n; title and data are also the text for screen readers.
        figure: drawn here and nowhere else, see `dashboard.shell.charts.space_percents`.
        key: stable identity, so that the chart changes in place.
        note: a quiet line under the figure.
        has_heading: whether to draw title and data; False where the caller has placed them.
        table: the numbers of the figure, to be saved as CSV.
        plotly: further arguments of `st.plotly_chart`.
    """
    if has_heading:
        chart_heading(title, data)
    space_percents(figure)
    event = st.plotly_chart(figure, key=key, config=CHART_CONFIG, alt=f"{title}. {data}.", **plotly)
    if note:
        st.html(f'<p class="lens-data">{escape(note)}</p>')
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"{key}_files"):
        st.html(_save_buttons(title, key), width="content")
        if table is not None:
            csv_download(table, f"{key}.csv", key=f"{key}_csv", type="tertiary")
    return event


def _save_buttons(title: str, key: str) -> str:
    return "".join(
        f'<button type="button" class="lens-save" value="{escape(key)} {form}" '
        f'aria-label="{escape(f"{title}: save as {form.upper()}")}">{form.upper()}</button>'
        for form in PICTURE_FORMATS
    )


def class_key(task: Task) -> None:
    """The colour, code and name of each class, once for all charts of a page."""
    chips = "".join(
        f'<div role="listitem" title="{escape(item.summary)} ({escape(task.side(item.code))})">'
        f'<i style="background:{item.colour}"></i><b>{item.code}</b> {escape(item.name)}</div>'
        for item in task.classes
    )
    label = escape(f"Colours of the {task.words.labels}")
    st.html(f'<div class="lens-key" role="list" aria-label="{label}">{chips}</div>')


def csv_download(table: pd.DataFrame, file_name: str, key: str, label: str = "CSV", **button: Any) -> None:
    """A button that writes a table as CSV when it is pressed; `button` are further arguments of it."""
    st.download_button(
        label,
        data=lambda: table.to_csv(index=False).encode(),
        file_name=file_name,
        mime="text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
        help=f"Download {file_name}",
        **button,
    )


class Html(str):
    """Text that is markup already and is not escaped again."""


def html_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int], tooltips: Sequence[str] = ()
) -> None:
    """A small table that a screen reader can read and a phone can scroll; the first column heads its row.

    Args:
        headers: one a column.
        rows: cells; `Html` stands as it is, other text is escaped.
        numeric: columns to set flush right.
        tooltips: one a column, shown over its header; empty for none.
    """
    explained = tooltips or [""] * len(headers)
    head = "".join(
        f'<th scope="col"{_flush(column, numeric)} title="{escape(tooltip)}">{escape(header)}</th>'
        for column, (header, tooltip) in enumerate(zip(headers, explained, strict=True))
    )
    body = "".join(
        f"<tr>{''.join(_cell(column, cell, numeric) for column, cell in enumerate(row))}</tr>" for row in rows
    )
    st.html(
        f'<div class="lens-table" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(column: int, cell: str, numeric: Sequence[int]) -> str:
    content = cell if isinstance(cell, Html) else escape(cell)
    tag = 'th scope="row"' if column == 0 else "td"
    return f"<{tag}{_flush(column, numeric)}>{content}</{tag[:2]}>"


def _flush(column: int, numeric: Sequence[int]) -> str:
    return ' class="number"' if column in numeric else ""
