"""The audit trail, for administrators: who did what, and whether anything was changed since."""

from __future__ import annotations

import streamlit as st

from dashboard.access import audit as widgets
from dashboard.access import wording
from dashboard.shell.widgets import explained_errors

st.title(wording.AUDIT_TITLE)
st.write(wording.AUDIT_INTRODUCTION)

with explained_errors():
    widgets.check()
    widgets.entries()
