"""The name of a table's row as a button that shows the row's images, for mouse, finger, keyboard and screen reader."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.evaluation.images import wording
from dashboard.shell.widgets import Html

ROWS_FILE = Path(__file__).resolve().parents[2] / "assets" / "rows.js"


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_rows", js=ROWS_FILE.read_text(encoding="utf-8"))


def row_button(place: str, key: str, name: str, is_chosen: bool) -> Html:
    """What stands in a cell of `dashboard.shell.widgets.html_table`.

    Args:
        place: of the gallery that shows the images.
        key: of the group of images.
        name: of the row.
        is_chosen: whether they are shown.
    """
    return Html(
        f'<button type="button" class="lens-row" value="{escape(f"{place} {key}")}" '
        f'aria-label="{escape(wording.show_images_of(name))}" aria-pressed="{str(is_chosen).lower()}">'
        f"{escape(name)}</button>"
    )


def listen(place: str, take: Callable[[str], None]) -> None:
    """Give the key of a row that is pressed to a callback; drawn by the gallery, and takes no room."""
    key = f"evaluation_rows_{place}"
    with st.container(key=f"shell_rows_{place}_place"):
        _component()(key=key, data={"place": place}, on_pressed_change=lambda: _pressed(key, take))


def _pressed(key: str, take: Callable[[str], None]) -> None:
    pressed = st.session_state[key].pressed
    if isinstance(pressed, str):
        take(pressed)
