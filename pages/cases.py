"""Saved cases: find one, open it as it was, follow a lesion, add what the biopsy found, export."""

import streamlit as st

from dashboard import cases_widgets as widgets
from dashboard import cases_wording as wording
from dashboard.case_view import case_view
from dashboard.opened_case import asked_case
from dashboard.widgets import explained_errors

asked = asked_case()

with explained_errors():
    if asked is None:
        st.title(wording.TITLE)
        widgets.worklist()
    else:
        case_view(asked)
