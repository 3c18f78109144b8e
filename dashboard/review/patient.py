"""Functions that draw what may be said of the patient and the lesion of an image; nothing is required.

Text is sent when a field loses the focus, and redraws nothing: a form that moves while one types is no form.
"""

from __future__ import annotations

import logging
from uuid import UUID

import streamlit as st

from dashboard.review import decision_wording as wording
from dashboard.review import facts as facts_widgets
from dashboard.review import facts_wording
from dashboard.review.state import Upload
from dashboard.shell import errors, identity, resources
from data.cases.case import MAX_REFERENCE, MAX_TEXT, SEXES, SIDES, Lesion, Patient
from data.cases.queries import CaseQuery, CaseSummary
from model.images.dicom import dicom_facts
from model.inference.clinical import UNKNOWN

MAX_EARLIER = 50  # cases of one patient that are looked through for their lesions

_log = logging.getLogger(__name__)


def patient_fields(upload: Upload, case_id: UUID) -> Patient:
    """Reference and sex, which a DICOM upload may say; the age stands beside the answer, which it moves."""
    st.markdown(f"**{wording.PATIENT_HEADING}**")
    reference = st.text_input(
        wording.REFERENCE_LABEL,
        max_chars=MAX_REFERENCE,
        help=wording.REFERENCE_HELP,
        key=_key(case_id, "reference"),
        on_change=_look_up,
        args=(case_id,),
        autocomplete="off",
        persist_state="session",
    )
    st.caption(wording.REFERENCE_KEPT)
    sex_key = _key(case_id, "sex")
    if sex_key not in st.session_state:
        st.session_state[sex_key] = dicom_facts(upload.content).sex
    sex = _pills("Sex", SEXES, sex_key)
    facts = facts_widgets.stated(upload)
    st.caption(facts_wording.kept(facts))
    return Patient((reference or "").strip(), facts.age, sex)


def lesion_fields(upload: Upload, case_id: UUID) -> Lesion:
    """Which lesion, its side, and a note; the body site stands beside the answer, which it moves."""
    st.markdown("**Lesion**")
    lesion_id = _lesion_id(case_id)
    # Not as its default: an earlier case of the same lesion may set it.
    st.session_state.setdefault(_key(case_id, "side"), "unknown")
    side = _pills("Side", SIDES, _key(case_id, "side"))
    note = st.text_area(
        "Note",
        max_chars=MAX_TEXT,
        help=wording.NOTE_HELP,
        key=_key(case_id, "note"),
        on_change="ignore",
        persist_state="session",
        height=80,
    )
    return Lesion(lesion_id, facts_widgets.stated(upload).site, side, (note or "").strip())


def _pills(label: str, options: tuple[str, ...], key: str) -> str:
    chosen = st.pills(
        label, options, required=True, format_func=wording.choice, key=key, wrap=True, persist_state="session"
    )
    return chosen or "unknown"


def _key(case_id: UUID, field: str) -> str:
    return f"case_{case_id}_{field}"


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
    return st.selectbox(
        wording.EARLIER_LABEL,
        [case_id, *earlier],
        format_func=lambda lesion_id: (
            wording.earlier_lesion(earlier[lesion_id]) if lesion_id in earlier else wording.NEW_LESION
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
        query = CaseQuery(patient_reference=reference, limit=MAX_EARLIER)
        found = resources.case_log().find(query, identity.actor())
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
