"""After a step, what it has brought is in view and holds the keyboard focus, as on a page that was newly opened."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st

FOCUS_FILE = Path(__file__).resolve().parents[1] / "assets" / "focus.js"
_WANTED = "shell_focus_wanted"


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_focus", js=FOCUS_FILE.read_text(encoding="utf-8"))


def go_to(*regions: str) -> None:
    """Take the reader there once the page is drawn; for callbacks and before `st.rerun`.

    Args:
        regions: keys of containers; the first that is drawn is meant.
    """
    st.session_state[_WANTED] = {"step": uuid4().hex, "regions": regions}


def follow(names: Mapping[str, str], key: str) -> None:
    """Draw what carries out `go_to`; below all regions in the order of the script, so that they are drawn before it.

    Args:
        names: what each region is called by a screen reader, by its key.
        key: of the component in this session; it takes no room.
    """
    with st.container(key=f"{key}_place"):
        _component()(key=key, data=st.session_state.get(_WANTED, {"step": "", "regions": []}) | {"names": dict(names)})
