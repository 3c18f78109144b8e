"""Shortcuts of one character, which a reader can switch off (WCAG 2.2, 2.1.4), and the list of all shortcuts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.shell.widgets import html_table

KEYS_FILE = Path(__file__).resolve().parents[1] / "assets" / "keys.js"
LIST, SWITCH = "shell_shortcuts", "shell_single_keys"
LIST_LABEL = "Keyboard shortcuts"
LIST_KEY = "?"
SWITCH_LABEL = "Shortcuts of a single key"
SWITCH_HELP = "Switch them off if you dictate or often touch keys by mistake. Shortcuts with Ctrl stay."


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_keys", js=KEYS_FILE.read_text(encoding="utf-8"))


def are_single_keys_on() -> bool:
    """Whether keys of one character are shortcuts in this session."""
    return bool(st.session_state.get(SWITCH, True))


def single_key(key: str) -> str | None:
    """The shortcut of a button, for its argument `shortcut`; None where they are switched off."""
    return key if are_single_keys_on() else None


def guard() -> None:
    """Keep single keys from whatever listens for them where they are switched off; for every page."""
    if not are_single_keys_on():
        _listen({}, key="shell_keys")


def number_keys(radio: str, options: int) -> None:
    """Number keys pick an option of a list of radio buttons.

    Args:
        radio: its key in this session.
        options: how many there are; the first nine have a number.
    """
    if are_single_keys_on():
        inputs = f".st-key-{radio} input[type=radio]"
        _listen(
            {str(number): (inputs, number - 1) for number in range(1, min(options, 9) + 1)}, key="shell_number_keys"
        )


def shortcuts(rows: Sequence[tuple[str, str]]) -> None:
    """A button that opens the list, which a question mark opens as well, and in it the switch.

    Args:
        rows: keys and what they do.
    """
    with st.popover(LIST_LABEL, icon=":material/keyboard:", type="tertiary", key=LIST):
        st.toggle(SWITCH_LABEL, value=True, key=SWITCH, help=SWITCH_HELP, persist_state="session")
        html_table(("Key", "What it does"), rows, numeric=())
    if are_single_keys_on():
        _listen({LIST_KEY: (f".st-key-{LIST} button", 0)}, key="shell_list_key")


def _listen(presses: Mapping[str, tuple[str, int]], key: str) -> None:
    """What each key presses: the match, counted from 0, of a selector."""
    with st.container(key=f"{key}_place"):
        _component()(key=key, data={"isOn": are_single_keys_on(), "presses": dict(presses)})
