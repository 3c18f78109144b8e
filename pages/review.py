"""Open an image, read it, see what the classifier makes of it, decide and save."""

from __future__ import annotations

import streamlit as st

from dashboard.resources import models
from dashboard.review import decision as decision_widgets
from dashboard.review import facts as facts_widgets
from dashboard.review import focus, inputs, state, widgets, wording
from dashboard.review import own_read as own_read_widgets
from dashboard.review.queue_table import queue_table
from dashboard.shell import keyboard
from dashboard.shell.widgets import explained_errors


@st.fragment(key=state.SHOWN)
def shown() -> None:
    """The image that is shown; a fragment, since a step of the review changes nothing above or below it."""
    with explained_errors():
        if uploads := state.opened():
            upload = inputs.shown_image(uploads)
            queue_area = st.container()
            analysis = widgets.analyse(upload)
            with queue_area:
                inputs.queue_navigation(uploads)
            if analysis is not None and analysis.answer is None:
                decision_widgets.refused(upload, analysis)
            elif analysis is not None and own_read_widgets.is_due(upload):
                own_read_widgets.own_read(upload, analysis)
            elif analysis is not None:
                informed = facts_widgets.informed(upload, analysis)
                widgets.result(upload, informed)
                decision_widgets.decision(upload, informed)
                widgets.further_evidence(informed)
            queue_table(uploads)
            st.divider()
        else:
            inputs.empty_state()
        focus.follow(wording.REGIONS)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title(wording.title(models.task()), width="content")
    keyboard.shortcuts(wording.shortcuts(models.task()))
if not inputs.intended_use():
    st.stop()
inputs.open_asked_image()
answer_area = st.container()
inputs.image_inputs()
with answer_area:
    shown()
