"""Functions that draw the reader's own read: the image alone, and a form; nothing of the answer is sent yet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import streamlit as st

from dashboard.access import redraw
from dashboard.answer.diagnosis import choice_name, choices, knows_only
from dashboard.answer.fields import Form, is_named, other_field
from dashboard.answer.patient import choice
from dashboard.answer.viewer import image_viewer
from dashboard.resources import models, stores
from dashboard.review import decision_wording as wording
from dashboard.review import facts as facts_widgets
from dashboard.review import focus, state
from dashboard.review import widgets as review_widgets
from dashboard.review.patient import saved_before
from dashboard.review.state import Upload
from dashboard.settings import settings
from dashboard.shell import errors, identity, keyboard
from data.cases.case import CERTAINTIES, Actor, Read
from data.cases.log import CaseLog
from data.tasks.task import OTHER
from model.analysis.analyzer import Analysis

_log = logging.getLogger(__name__)


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
    _is_informed(upload.case_id, analysis.image_sha256)
    saved_before(upload.case_id, analysis.image_sha256)
    picture, form = st.columns([7, 3], gap="medium")
    with picture:
        review_widgets.image_caption(upload, analysis)
        with st.container(key=focus.IMAGE):
            image_viewer(analysis, models.artifact().task, key="review_own_read_viewer")
        review_widgets.image_warnings(analysis)
    with form:
        facts_widgets.facts_popover(upload)
        _form(upload.case_id, analysis.image_sha256)


@st.fragment
def _form(case_id: UUID, content_sha256: str) -> None:
    """A fragment: picking redraws the form and nothing else."""
    is_informed = _is_informed(case_id, content_sha256)
    st.markdown(f"## {wording.OWN_READ_HEADING}")
    st.caption(wording.OWN_READ_INTRO)
    if is_informed:
        st.info(wording.SEEN_BEFORE, icon=":material/visibility:")
    task = models.artifact().task
    form = Form(lambda field: _key(case_id, field), is_live=True)
    dx = st.radio(
        task.words.label.capitalize(),
        choices(task),
        index=None,
        format_func=lambda code: choice_name(task, code),
        key=form.key("dx"),
        persist_state="session",
    )
    keyboard.number_keys(form.key("dx"), len(choices(task)))
    other = other_field(form, dx)
    st.caption(knows_only(task))
    certainty = _choice(wording.CERTAINTY_LABEL, CERTAINTIES, form.key("certainty"))
    plan = _choice("Plan", models.task().plans, form.key("plan"))
    picked = {task.words.label: is_named(dx, other), "certainty": certainty, "plan": plan}
    missing = [name for name, value in picked.items() if not value]
    st.button(
        wording.SHOW_ANSWER,
        type="primary",
        disabled=bool(missing),
        shortcut=keyboard.single_key("a"),
        key="review_show_answer",
        on_click=_lock,
        args=(case_id, content_sha256),
    )
    state.keep_draft()
    if missing:
        st.caption(wording.still_to_pick(missing))
    if not settings().is_read_first:
        st.button(
            wording.SKIP_READ,
            type="tertiary",
            help=wording.SKIP_READ_HELP,
            key="review_skip_read",
            on_click=_skip,
            args=(case_id, content_sha256),
        )


def _lock(case_id: UUID, content_sha256: str) -> None:
    """Callback: the read is what stands in the fields now, and the answer is shown."""
    dx, certainty, plan = (st.session_state.get(_key(case_id, field)) for field in ("dx", "certainty", "plan"))
    other = str(st.session_state.get(_key(case_id, "other")) or "").strip() if dx == OTHER else ""
    if is_named(dx, other) and certainty and plan:
        is_informed = _is_informed(case_id, content_sha256)
        is_informed = _show_answer(content_sha256) or is_informed
        read = Read(str(dx), certainty, plan, is_informed, other)
        _go_on(case_id, own_read=read, is_informed=is_informed)


def _skip(case_id: UUID, content_sha256: str) -> None:
    """Callback: the answer is shown without a read."""
    is_informed = _is_informed(case_id, content_sha256)
    _go_on(case_id, is_skipped=True, is_informed=_show_answer(content_sha256) or is_informed)


def _go_on(case_id: UUID, **changes: Any) -> None:
    state.keep_progress(case_id, **changes)
    focus.to_answer()
    redraw.part(state.SHOWN)


def _key(case_id: UUID, field: str) -> str:
    return f"read_{case_id}_{field}"


def _is_informed(case_id: UUID, content_sha256: str) -> bool:
    """Whether the reader has been shown the answer on an earlier occasion; asked once for each image of the queue."""
    known = state.progress(case_id).is_informed
    if known is None:
        known = content_sha256 in state.seen_answers() or _answered(CaseLog.was_answer_shown, content_sha256)
        state.keep_progress(case_id, is_informed=known)
    return known


def _show_answer(content_sha256: str) -> bool:
    """Note that the answer is shown now; whether it had been before."""
    was_seen = content_sha256 in state.seen_answers()
    state.seen_answers().add(content_sha256)
    return _answered(CaseLog.note_answer_shown, content_sha256) or was_seen


def _answered(question: Callable[[CaseLog, str, Actor], bool], content_sha256: str) -> bool:
    """What the case log knows; nothing while it cannot be reached, since reviewing works without it."""
    try:
        return question(stores.case_log(), content_sha256, identity.actor())
    except errors.SAVING as error:
        _log.warning("shown answers are not known: %s", type(error).__name__)
        return False


def _choice(label: str, options: tuple[str, ...], key: str) -> str | None:
    return st.pills(label, options, format_func=choice, key=key, wrap=True, persist_state="session")
