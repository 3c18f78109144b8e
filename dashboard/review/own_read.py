"""Functions that draw the reader's own read: the image alone, and a form; nothing of the answer is sent yet."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from dashboard.answer.patient import choice
from dashboard.answer.viewer import image_viewer
from dashboard.review import decision_wording as wording
from dashboard.review import facts as facts_widgets
from dashboard.review import state
from dashboard.review import widgets as review_widgets
from dashboard.review.state import Upload
from dashboard.shell import resources
from dashboard.shell.settings import settings
from data.cases.case import CERTAINTIES, PLANS, Read
from model.analysis.analyzer import Analysis


def is_due(upload: Upload) -> bool:
    """Whether the reader has yet to read the image; a sample is not read."""
    return not state.progress(upload.case_id).is_read


def own_read(upload: Upload, analysis: Analysis) -> None:
    """The image, large, and the form for diagnosis, certainty and plan; the last step locks them.

    Args:
        upload: with a case id.
        analysis: of it; only its image and what the checks found are drawn.
    """
    if upload.case_id is None:
        raise ValueError("expected an image of the user's own, received a sample")
    picture, form = st.columns([7, 3], gap="medium")
    with picture:
        review_widgets.image_caption(upload, analysis)
        image_viewer(analysis, resources.artifact().task, key="review_own_read_viewer")
        review_widgets.image_warnings(analysis)
    with form:
        facts_widgets.facts_popover(upload)
        _form(upload.case_id)


@st.fragment
def _form(case_id: UUID) -> None:
    """A fragment: picking redraws the form and nothing else."""
    st.markdown(f"### {wording.OWN_READ_HEADING}")
    st.caption(wording.OWN_READ_INTRO)
    task = resources.artifact().task
    dx = st.radio(
        task.words.label.capitalize(),
        task.codes,
        index=None,
        format_func=task.titled,
        key=f"read_{case_id}_dx",
        persist_state="session",
    )
    certainty = _choice(wording.CERTAINTY_LABEL, CERTAINTIES, f"read_{case_id}_certainty")
    plan = _choice("Plan", PLANS, f"read_{case_id}_plan")
    picked = {task.words.label: dx, "certainty": certainty, "plan": plan}
    missing = [name for name, value in picked.items() if value is None]
    if st.button(
        wording.SHOW_ANSWER, type="primary", disabled=bool(missing), shortcut="a", key="review_show_answer"
    ) and None not in (dx, certainty, plan):
        state.keep_progress(case_id, own_read=Read(str(dx), str(certainty), str(plan)))
        st.rerun()
    if missing:
        st.caption(wording.still_to_pick(missing))
    if not settings().is_read_first and st.button(
        wording.SKIP_READ, type="tertiary", help=wording.SKIP_READ_HELP, key="review_skip_read"
    ):
        state.keep_progress(case_id, is_skipped=True)
        st.rerun()


def _choice(label: str, options: tuple[str, ...], key: str) -> str | None:
    return st.pills(label, options, format_func=choice, key=key, wrap=True, persist_state="session")
