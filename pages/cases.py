"""Saved cases: find one, open it as it was, follow a lesion, add what the biopsy found, export."""

from __future__ import annotations

import streamlit as st

from dashboard.cases import wording
from dashboard.cases import worklist as widgets
from dashboard.cases.case_view import case_view
from dashboard.cases.opened import asked_case
from dashboard.shell.widgets import explained_errors

asked = asked_case()

with explained_errors():
    if asked is None:
        st.title(wording.TITLE)
        widgets.worklist()
    else:
        case_view(asked)
