"""What use teaches: agreement of clinician and AI, who was right where a biopsy says, drift, and a training set."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.shell import identity
from dashboard.shell.widgets import explained_errors
from dashboard.use import widgets, wording


@st.fragment
def explore(cases: Any, drift: Any) -> None:
    """Filters and figures; a fragment, so that a filter neither reads the cases nor measures drift again."""
    with explained_errors():
        who = identity.actor()
        chosen, days = widgets.filters(cases)
        widgets.agreement_and_rates(chosen, days)
        if drift is not None:
            widgets.drift(cases, drift, days)
        widgets.labelled_export(cases, who)


st.title(wording.TITLE)
with explained_errors():
    widgets.intro()
    cases = widgets.load_cases()
    drift = None
    if cases.empty:
        widgets.empty_log()
    else:
        with explained_errors():
            drift = widgets.measured_drift(cases)
        explore(cases, drift)
