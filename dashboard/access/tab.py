"""The browser tab: a random name by which it is known again after a refresh, and a warning before work is left."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, cast

import streamlit as st

from dashboard.resources import stores

_COMPONENT = "browser_tab"
_NAME = "browser_tab_name"
_GUARD = "browser_tab_guard"

# A longer text is sent when it is left: Streamlit keeps it in the browser until something else is sent, and there
# neither a refresh nor a look at another page would leave it. No key is feigned for that: keys save.
# The name stays in this tab: session storage outlives a refresh, ends with the tab and is read by no other site. A
# phone puts a page away without asking, so what stands in a field is sent then as well.
_SCRIPT = """
const KEY = "lesionlens_tab";

function name() {
  const known = sessionStorage.getItem(KEY);
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(KEY, made);
  return made;
}

export default function ({ data, setStateValue, setTriggerValue }) {
  if (!data.isKnown) setStateValue("name", name());
  const isText = (field) => field?.matches?.("textarea");
  const send = () => setTriggerValue("sent", true);
  const left = ({ target }) => {
    if (isText(target)) setTimeout(send);
  };
  // The field hands its text over when it loses the focus, a moment later.
  const sendAll = () => {
    const field = document.activeElement;
    field?.blur?.();
    queueMicrotask(() => {
      send();
      field?.focus?.();
    });
  };
  const leaving = (event) => {
    if (!data.isUnsaved) return;
    sendAll();
    event.preventDefault();
  };
  const hidden = () => {
    if (data.isUnsaved && document.visibilityState === "hidden") sendAll();
  };
  const listeners = [
    [document, "focusout", left],
    [document, "visibilitychange", hidden],
    [window, "beforeunload", leaving],
  ];
  for (const [target, event, listener] of listeners) target.addEventListener(event, listener);
  return () => {
    for (const [target, event, listener] of listeners) target.removeEventListener(event, listener);
  };
}
"""


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_tab", js=_SCRIPT)


@st.fragment(key=_GUARD)
def guard(keep: Callable[[], None], is_unsaved: Callable[[], bool], restore: Callable[[], bool]) -> None:
    """Learn the tab's name, and have the browser ask before a page with unsaved work is left or refreshed.

    A fragment: what the browser says redraws nothing, unless there is work to take up.

    Args:
        keep: called when the browser has sent what stands in a field.
        is_unsaved: says whether leaving would lose work.
        restore: called once the name is known; takes up what is held for this tab, and says whether there was any.
    """
    said = _component()(
        key=_COMPONENT,
        data={"isKnown": name() is not None, "isUnsaved": is_unsaved()},
        on_name_change=lambda: None,  # a state of a component is declared by naming a callback
        on_sent_change=keep,
    )
    if name() is None and re.fullmatch("[0-9a-f]{32}", str(said.name or "")):
        st.session_state[_NAME] = said.name
        if restore():
            st.rerun()


def fragments() -> list[str]:
    """Keys of what is drawn again where work has become unsaved; none in a browser that has not said its name yet."""
    return [_GUARD] if name() is not None else []


def name() -> str | None:
    """What only this tab knows; None until the browser has said it."""
    return cast(str | None, st.session_state.get(_NAME))


def forget_draft() -> None:
    """Drop what is held for this tab."""
    if (known := name()) is not None:
        stores.drafts().forget(known)
