"""Functions that draw the decision about an image: the form, saving it as a case, and what was saved."""

from __future__ import annotations

import functools
import logging
from typing import Any
from uuid import UUID

import streamlit as st

from dashboard.access import task_choice
from dashboard.answer.diagnosis import knows_only
from dashboard.answer.fields import Form, choice_field, decision_fields, dx_field, is_named
from dashboard.resources import models, stores
from dashboard.review import decision_wording as wording
from dashboard.review import evidence as evidence_widgets
from dashboard.review import facts as facts_widgets
from dashboard.review import focus, state
from dashboard.review import wording as review_wording
from dashboard.review.inputs import other_task_hint
from dashboard.review.patient import lesion_fields, look_for_saved, may_save, patient_fields, saved_before
from dashboard.review.state import Upload
from dashboard.review.wording import DECISION_ANCHOR
from dashboard.settings import ROOT
from dashboard.shell import errors, identity
from dashboard.shell.formats import escape
from data.cases.case import CERTAINTIES, Case, CaseDraft, Decision, Read
from data.cases.log import CaseNotFound
from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.analysis.case_record import image_to_store, refusal_of, result_of

# Ctrl+S and Ctrl+Enter reach their button while the cursor is still in a field, whose text the browser sends when it
# loses the focus.
_SEND_TYPED_TEXT = """
export default function () {
  const send = (event) => {
    if (!(event.ctrlKey || event.metaKey) || !["s", "enter"].includes(event.key.toLowerCase())) return;
    const field = document.activeElement;
    field?.blur?.();
    field?.focus?.();
  };
  document.addEventListener("keydown", send, true);
  return () => document.removeEventListener("keydown", send, true);
}
"""

_log = logging.getLogger(__name__)


@functools.cache
def _sender() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_send_typed_text", js=_SEND_TYPED_TEXT)


def decision(upload: Upload, analysis: Analysis) -> None:
    """The form of an image that is not saved, or what was saved of it."""
    st.header(wording.DECISION_HEADING, anchor=DECISION_ANCHOR)
    if upload.case_id is None:
        st.info(wording.SAMPLE_NOT_SAVED, icon=":material/science:")
        return
    progress = state.progress(upload.case_id)
    st.markdown(wording.own_read(progress.own_read, models.artifact().task))
    if progress.saved is None:
        saved_before(upload.case_id, analysis.image_sha256)
        _form(upload, upload.case_id, analysis, progress.own_read)
    else:
        saved(progress.saved)


@st.fragment
def _form(upload: Upload, case_id: UUID, analysis: Analysis, own_read: Read | None) -> None:
    """A fragment: choosing redraws the form and nothing else."""
    if facts_widgets.informed(upload, analysis) is not analysis:
        st.rerun()  # an earlier case of the lesion has said where it is
    decision_column, patient_column, lesion_column = st.columns(3, gap="medium")
    with decision_column:
        prediction = analysis.answered.prediction
        start = Decision(own_read.dx, own_read.plan, other=own_read.other) if own_read else None
        decided = _decided(f"decision_{case_id}", prediction.task, start, own_read, prediction.dx)
    with patient_column:
        patient = patient_fields(upload, case_id)
    with lesion_column:
        lesion = lesion_fields(upload, case_id)
    state.keep_draft()
    is_wanted, goes_on = _save_buttons(wording.SAVE, wording.SAVE_HELP, is_enabled=may_save(case_id))
    if is_wanted and decided is not None:
        if look_for_saved(case_id, analysis.image_sha256):
            st.rerun()  # somebody has saved the same image meanwhile: it is told first
        point = evidence_widgets.chosen_operating_point(models.analyzer().artifact)
        result = result_of(analysis, models.analyzer().artifact, point)
        draft = CaseDraft(case_id, upload.name, patient, lesion, result, own_read, decided, analysis.image_sha256)
        _save(draft, analysis, upload.content, goes_on)


def _save_buttons(label: str, help_text: str, *, is_enabled: bool) -> tuple[bool, bool]:
    """Whether the case is to be saved, and whether the next image is wanted then; the last one has none."""
    _sender()(key="review_send_typed_text")
    images = len(state.uploads())
    with st.container(horizontal=True):
        is_wanted = st.button(
            label,
            type="primary",
            icon=":material/save:",
            shortcut="Ctrl+S",
            help=help_text,
            key="review_save",
            disabled=not is_enabled,
        )
        goes_on = state.position(images) < images - 1 and st.button(
            wording.SAVE_AND_NEXT,
            icon=":material/skip_next:",
            shortcut="Ctrl+Enter",
            help=help_text,
            key="review_save_and_next",
            disabled=not is_enabled,
        )
    return is_wanted or goes_on, goes_on


def _decided(
    key: str, task: Task, start: Decision | None, own_read: Read | None, prediction: str | None
) -> Decision | None:
    """The decision of the form; None, and what is missing, until diagnosis and plan are chosen.

    Args:
        key: of the form's fields.
        task: whose classes there are to choose from.
        start: what the form starts with; None for nothing.
        own_read, prediction: a diagnosis that differs from either is asked for its reason; None where there is none.
    """
    form = Form(lambda field: f"{key}_{field}", is_live=True)
    dx, plan, reason, other = decision_fields(
        form, task, start, lambda dx: wording.reason_label(dx, own_read, prediction, task)
    )
    st.caption(knows_only(task))
    missing = [name for name, value in ((task.words.label, is_named(dx, other)), ("plan", plan)) if not value]
    if missing:
        st.caption(wording.still_to_pick(missing))
    return None if dx is None or plan is None or missing else Decision(dx, plan, reason, other)


def _save(draft: CaseDraft, analysis: Analysis, content: bytes, goes_on: bool) -> None:
    try:
        case = stores.case_log().save(draft, image_to_store(analysis, content), identity.actor())
    except errors.SAVING as error:
        _failed("The case was not saved", error)
        st.caption(wording.KEPT)
        return
    state.keep_progress(draft.case_id, saved=case)
    if goes_on:
        state.move(1, len(state.uploads()))
    else:
        focus.to_saved()
    st.rerun()


def _failed(what: str, error: Exception) -> None:
    _log.warning("%s: %s", what, type(error).__name__)
    st.error(errors.failure_message(what, error), icon=":material/error:")


# --- Refused ---------------------------------------------------------------------------------------------------------


def refused(upload: Upload, analysis: Analysis) -> None:
    """The image, why it was refused, and the form, or what was saved of it.

    Args:
        upload: the image.
        analysis: of it, without an answer.
    """
    task = models.artifact().task
    with st.container(key=focus.REFUSED):
        image, reason = st.columns([1, 2], gap="medium")
    image.image(analysis.image, width="stretch", alt=review_wording.REFUSED_ALT)
    with reason:
        st.warning(
            f"**{escape(upload.name)}**  \n{review_wording.refusal(task, analysis.quality)}", icon=":material/block:"
        )
        st.caption(review_wording.distance(analysis.quality.ood_score, models.artifact().quality.max_ood_score))
        other_task_hint(upload)
        if upload.case_id is None:
            st.caption(task.worded(review_wording.REFUSED_SAMPLE))
    if upload.case_id is None:
        return
    st.subheader(wording.KEEP_HEADING, anchor=DECISION_ANCHOR)
    kept = state.progress(upload.case_id).saved
    if kept is None:
        saved_before(upload.case_id, analysis.image_sha256)
        _form_without_answer(upload, upload.case_id, analysis, task)
    else:
        saved(kept)


@st.fragment
def _form_without_answer(upload: Upload, case_id: UUID, analysis: Analysis, task: Task) -> None:
    """A fragment: choosing redraws the form and nothing else."""
    st.caption(task.worded(wording.KEEP_INTRO))
    read_column, patient_column, lesion_column = st.columns(3, gap="medium")
    with read_column:
        read = _read(case_id, task)
    with patient_column:
        facts_widgets.facts_popover(upload, is_answered=False)
        patient = patient_fields(upload, case_id)
    with lesion_column:
        lesion = lesion_fields(upload, case_id)
    state.keep_draft()
    is_wanted, goes_on = _save_buttons(wording.KEEP, wording.KEEP_HELP, is_enabled=may_save(case_id))
    if is_wanted and read is not None:
        if look_for_saved(case_id, analysis.image_sha256):
            st.rerun()
        refusal = refusal_of(analysis, models.artifact())
        decided = Decision(read.dx, read.plan, other=read.other)
        draft = CaseDraft(case_id, upload.name, patient, lesion, refusal, read, decided, analysis.image_sha256)
        _save(draft, analysis, upload.content, goes_on)


def _read(case_id: UUID, task: Task) -> Read | None:
    """The reader's own read; None, and what is missing, until diagnosis, certainty and plan are chosen."""
    form = Form(lambda field: f"read_{case_id}_{field}", is_live=True)
    dx, other = dx_field(form, task.words.label.capitalize(), task, None, "")
    certainty = choice_field(form, "certainty", wording.CERTAINTY_LABEL, CERTAINTIES, None)
    plan = choice_field(form, "plan", "Plan", models.task().plans, None)
    picked = {task.words.label: is_named(dx, other), "certainty": certainty, "plan": plan}
    missing = [name for name, value in picked.items() if not value]
    if missing:
        st.caption(wording.still_to_pick(missing))
        return None
    return Read(str(dx), str(certainty), str(plan), other=other)


# --- Saved -----------------------------------------------------------------------------------------------------------


@st.fragment
def saved(case: Case) -> None:
    """What was saved, the way to it, and the decision to change."""
    with st.container(key=focus.SAVED):
        st.info(wording.saved(case), icon=":material/inventory_2:")
    st.caption(wording.facts(case.patient, case.lesion, case.task))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            st.Page(ROOT / "pages" / "cases.py"),
            label=wording.OPEN_CASE,
            icon=":material/folder_open:",
            query_params={"case": str(case.case_id)} | task_choice.query(),
            width="content",
        )
        if len(state.uploads()) > 1:
            st.caption(wording.NEXT_HINT, width="content")
    with st.expander(wording.CHANGE_DECISION):
        _change(case)


def _change(case: Case) -> None:
    key = f"changed_{case.case_id}"
    prediction = None if case.refusal else case.answered.prediction
    decided = _decided(key, case.task, case.decision, case.own_read, prediction)
    if not st.button(wording.CHANGE_DECISION, key="review_change_decision") or decided is None:
        return
    try:
        changed = stores.case_log().decide(case.case_id, decided, identity.actor())
    except errors.SAVING as error:
        _failed("The decision was not changed", error)
        if isinstance(error, CaseNotFound):
            state.keep_progress(case.case_id, saved=None)
        return
    state.keep_progress(case.case_id, saved=changed)
    focus.to_saved()
    st.rerun()
