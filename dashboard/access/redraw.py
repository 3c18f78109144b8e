"""What a step draws again, for whoever is still signed in: a part of the page, or the whole of it."""

from __future__ import annotations

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.access import sign_in, tab


def part(*fragments: str) -> None:
    """Callback: draw the fragments of these keys again, and nothing around them.

    The whole page for somebody whose sign-in has ended meanwhile, and where not all of them were drawn before.
    """
    if sign_in.is_in():
        try:
            st.rerun([*fragments, *tab.fragments()])
        except StreamlitAPIException:
            pass
    whole()


def whole() -> None:
    """Callback: draw the whole page again, wherever the widget stands."""
    st.rerun()
