"""Functions that draw what may be said of the patient and the lesion of an image; nothing is required.

The fields themselves are those of the Cases page (`dashboard.answer.fields`).
"""

from __future__ import annotations

import logging
from uuid import UUID

import streamlit as st

from dashboard.access import task_choice
from dashboard.answer.fields import Form, reference_field, sex_field, side_field, text_field
from dashboard.resources import models, stores
from dashboard.review import decision_wording as wording
from dashboard.review import facts as facts_widgets
from dashboard.review import facts_wording, state
from dashboard.review.state import Upload
from dashboard.settings import ROOT
from dashboard.shell import errors, identity
from data.cases.case import Lesion, Patient
from data.cases.queries import CaseQuery, CaseSummary
from model.inference.clinical import UNKNOWN

NOBODY = Patient()
MAX_EARLIER = 50  # cases of one patient that are looked through for their lesions

_log = logging.getLogger(__name__)


def patient_fields(upload: Upload, case_id: UUID) -> Patient:
    """Reference and sex, which a DICOM upload may say; the age stands beside the answer, which it moves."""
    st.markdown(f"**{wording.PATIENT_HEADING}**")
    form = _form(case_id)
    before = _patient_before(case_id)
    if before is not None:
        st.button(
            wording.SAME_PATIENT,
            on_click=_take_patient,
            args=(case_id, before),
            key="review_same_patient",
            icon=":material/person_check:",
            help=wording.same_patient_help(before),
        )
    reference = reference_field(
        form, help=wording.REFERENCE_HELP, on_change=_look_up, args=(case_id,), autocomplete="off"
    )
    st.caption(wording.REFERENCE_KEPT)
    sex_key = _key(case_id, "sex")
    if sex_key not in st.session_state:
        said = state.analysis(upload).dicom
        st.session_state[sex_key] = "unknown" if said is None else said.sex
    sex = sex_field(form)
    facts = facts_widgets.stated(upload)
    st.caption(facts_wording.kept(facts, models.artifact().task))
    return Patient(reference, facts.age, sex)


def lesion_fields(upload: Upload, case_id: UUID) -> Lesion:
    """Which lesion, its side, and a note; the body site stands beside the answer, which it moves."""
    st.markdown(f"**{models.artifact().task.words.subject.capitalize()}**")
    earlier = state.progress(case_id).saved_before
    lesion_id = earlier[0].lesion_id if earlier else _lesion_id(case_id)
    # Not as its default: an earlier case of the same lesion may set it.
    st.session_state.setdefault(_key(case_id, "side"), "unknown")
    form = _form(case_id)
    side = side_field(form, models.artifact().task)
    note = text_field(form, "note", "Note", "", help_text=wording.NOTE_HELP)
    return Lesion(lesion_id, facts_widgets.stated(upload).site, side, note)


def _patient_before(case_id: UUID) -> Patient | None:
    """Whom the image before in the queue shows, or the case that was saved last; None where nothing is known of them.

    None as well once this image says the same.
    """
    case_ids = [upload.case_id for upload in state.uploads()]
    before = case_ids[: case_ids.index(case_id)] if case_id in case_ids else []
    typed = [_typed(other) for other in reversed(before) if other is not None]
    saved = state.latest_saved()
    known = [patient for patient in (*typed, *([saved.patient] if saved else [])) if patient != NOBODY]
    return known[0] if known and known[0] != _typed(case_id) else None


def _typed(case_id: UUID) -> Patient:
    reference = str(st.session_state.get(_key(case_id, "reference")) or "").strip()
    return Patient(reference, facts_widgets.stated_age(case_id), st.session_state.get(_key(case_id, "sex")) or UNKNOWN)


def _take_patient(case_id: UUID, patient: Patient) -> None:
    """Callback: this image shows the same patient."""
    st.session_state[_key(case_id, "reference")] = patient.reference
    st.session_state[_key(case_id, "sex")] = patient.sex
    facts_widgets.state_age(case_id, patient.age)
    _look_up(case_id)


def _form(case_id: UUID) -> Form:
    return Form(lambda field: _key(case_id, field), is_live=True)


def _key(case_id: UUID, field: str) -> str:
    return f"case_{case_id}_{field}"


# --- The same image, saved before ------------------------------------------------------------------------------------


def saved_before(case_id: UUID, content_sha256: str) -> None:
    """Say so where the organisation has a case of the same file, with the way to it; looked up once for each image.

    What was decided then is told to those only who have read the image, or have seen its answer before.
    """
    progress = state.progress(case_id)
    if progress.saved_before is None:
        look_for_saved(case_id, content_sha256)
        progress = state.progress(case_id)
    if not progress.saved_before:
        return
    newest = progress.saved_before[0]
    is_told = progress.is_read or bool(progress.is_informed)
    with st.container(key="review_saved_before"):
        st.info(wording.saved_before(progress.saved_before, is_told), icon=":material/inventory_2:")
        st.page_link(
            st.Page(ROOT / "pages" / "cases.py"),
            label=wording.OPEN_EARLIER,
            icon=":material/folder_open:",
            query_params={"case": str(newest.case_id)} | task_choice.query(),
            width="content",
        )


def look_for_saved(case_id: UUID, content_sha256: str) -> bool:
    """Look up cases of the same file; whether there are others than were known. None while the log is away."""
    known = state.progress(case_id).saved_before or ()
    query = CaseQuery(content_sha256=content_sha256, task=models.artifact().task.key, limit=MAX_EARLIER)
    try:
        found = tuple(stores.case_log().find(query, identity.actor()))
    except errors.SAVING as error:
        _log.warning("cases of the same file were not looked up: %s", type(error).__name__)
        found = known
    state.keep_progress(case_id, saved_before=found)
    return {summary.case_id for summary in found} > {summary.case_id for summary in known}


def may_save(case_id: UUID) -> bool:
    """Whether the image is in no case yet, or the user wants another case of it."""
    if not state.progress(case_id).saved_before:
        return True
    worded = models.artifact().task.worded
    return st.checkbox(worded(wording.SAVE_AGAIN), key=f"again_{case_id}", help=worded(wording.SAVE_AGAIN_HELP))


# --- Earlier cases ---------------------------------------------------------------------------------------------------


def _lesion_id(case_id: UUID) -> UUID:
    """Of the earlier case that the reader says shows the same lesion; else a new lesion, called like its first case."""
    earlier: dict[UUID, CaseSummary] | str | None = st.session_state.get(_key(case_id, "earlier"))
    if isinstance(earlier, str):
        st.error(earlier, icon=":material/error:")
    if not isinstance(earlier, dict):
        return case_id
    if not earlier:
        st.caption(wording.NO_EARLIER)
        return case_id
    worded = models.artifact().task.worded
    return st.selectbox(
        worded(wording.EARLIER_LABEL),
        [case_id, *earlier],
        format_func=lambda lesion_id: (
            wording.earlier_lesion(earlier[lesion_id]) if lesion_id in earlier else worded(wording.NEW_LESION)
        ),
        key=_key(case_id, "lesion"),
        on_change=_take_place,
        args=(case_id,),
        persist_state="session",
        filter_mode=None,
    )


def _look_up(case_id: UUID) -> None:
    """Callback: the latest case of each lesion of the patient, or what went wrong; asked once for each reference."""
    reference = str(st.session_state[_key(case_id, "reference")] or "").strip()
    st.session_state[_key(case_id, "lesion")] = case_id
    st.session_state[_key(case_id, "earlier")] = _earlier_cases(reference) if reference else None


def _earlier_cases(reference: str) -> dict[UUID, CaseSummary] | str:
    try:
        query = CaseQuery(patient_reference=reference, task=models.artifact().task.key, limit=MAX_EARLIER)
        found = stores.case_log().find(query, identity.actor())
    except errors.SAVING as error:
        _log.warning("earlier cases were not looked up: %s", type(error).__name__)
        return errors.failure_message("Earlier cases were not looked up", error)
    # Newest first; the later entry of a dict wins.
    return {summary.lesion_id: summary for summary in reversed(found)}


def _take_place(case_id: UUID) -> None:
    """Callback: the same lesion is in the same place."""
    earlier = st.session_state[_key(case_id, "earlier")]
    lesion_id = st.session_state[_key(case_id, "lesion")]
    if lesion_id in earlier:
        if earlier[lesion_id].site != UNKNOWN:
            facts_widgets.state_site(case_id, earlier[lesion_id].site)
        st.session_state[_key(case_id, "side")] = earlier[lesion_id].side
