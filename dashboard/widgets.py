"""Functions that draw what several pages share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import wording
from dashboard.colours import DX_COLOURS
from data.diagnoses import DIAGNOSES

STYLE_FILE = Path(__file__).with_name("assets") / "style.css"
CARD_WIDTH = 400  # pixels; three cards side by side on a wide screen, one on a phone
CHART_CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}

_log = logging.getLogger(__name__)


def page_style() -> None:
    """The few rules of style that the theme cannot state."""
    st.html(STYLE_FILE)


def research_banner() -> None:
    """The quiet line on every page."""
    st.html(f'<p class="lens-banner">{escape(wording.RESEARCH_USE)}</p>')


@contextmanager
def explained_errors() -> Iterator[None]:
    """Draw the message of an error that a user can meet, in place of what the block would have drawn."""
    try:
        yield
    except tuple(wording.ERROR_TITLES) as error:
        _log.exception("explained on the screen")
        st.error(wording.error_message(error), icon=":material/error:")


def card_grid(width: int = CARD_WIDTH, columns: int = 3) -> Any:
    """A grid of bordered cards, as many side by side as fit."""
    return st.grid(columns, min_column_width=width, border=True, gap="small")


def chart_heading(title: str, data: str) -> None:
    """What a chart shows, and on what data."""
    st.html(f'<p class="lens-title">{escape(title)}</p><p class="lens-data">{escape(data)}</p>')


def chart(
    title: str, data: str, figure: go.Figure, key: str, note: str = "", has_heading: bool = True, **plotly: Any
) -> Any:
    """A figure under its title.

    Args:
        title: what is shown.
        data: on what data, with n; title and data are also the text for screen readers.
        figure: the figure.
        key: stable identity, so that the chart changes in place.
        note: a quiet line under the figure.
        has_heading: whether to draw title and data; False where the caller has placed them.
        plotly: further arguments of `st.plotly_chart`.
    """
    if has_heading:
        chart_heading(title, data)
    event = st.plotly_chart(figure, key=key, config=CHART_CONFIG, alt=f"{title}. {data}.", **plotly)
    if note:
        st.html(f'<p class="lens-data">{escape(note)}</p>')
    return event


def diagnosis_key() -> None:
    """The colour, code and name of each diagnosis, once for all charts of a page."""
    chips = "".join(
        f'<div role="listitem" title="{escape(item.summary)} ({item.group})">'
        f'<i style="background:{DX_COLOURS[item.dx]}"></i><b>{item.dx}</b> {escape(item.name)}</div>'
        for item in DIAGNOSES
    )
    st.html(f'<div class="lens-key" role="list" aria-label="Colours of the diagnoses">{chips}</div>')


def csv_download(table: pd.DataFrame, file_name: str, key: str, label: str = "CSV") -> None:
    """A button that writes a table as CSV when it is pressed."""
    st.download_button(
        label,
        data=lambda: table.to_csv(index=False).encode(),
        file_name=file_name,
        mime="text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
        help=f"Download {file_name}",
    )
