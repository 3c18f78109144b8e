"""The audit trail, for administrators: who did what, and whether anything was changed since."""

import streamlit as st

from dashboard import audit_widgets as widgets
from dashboard import sign_in_wording as wording
from dashboard.widgets import explained_errors

st.title(wording.AUDIT_TITLE)
st.write(wording.AUDIT_INTRODUCTION)

with explained_errors():
    widgets.check()
    widgets.entries()
