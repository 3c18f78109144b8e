"""Functions that draw the forms of one open case: decision, biopsy result, facts, deletion.

What is typed stays in the form when saving fails: the error is said, and pressing again is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import streamlit as st

from dashboard.answer.fields import (
    Form,
    choice_field,
    decision_fields,
    dx_field,
    is_named,
    reference_field,
    sex_field,
    side_field,
    text_field,
)
from dashboard.answer.patient import UNKNOWN
from dashboard.cases import wording
from dashboard.cases.opened import close, keep
from dashboard.cases.thumbnails import forget
from dashboard.resources import stores
from dashboard.shell.identity import actor
from dashboard.shell.times import today
from dashboard.shell.widgets import explained_errors
from data.cases.case import SITES, Biopsy, Case, Decision, Lesion, Patient
from data.cases.log import CaseLog
from data.cases.queries import CaseQuery

# More lesions of one patient than a picker can show are no timeline any more.
MAX_OFFERED = 100
# Stands in the picker for an id that is made when the facts are saved.
NEW_LESION = UUID(int=0)


def case_forms(case: Case) -> None:
    """The three forms side by side, folded."""
    decision, biopsy, facts = st.columns(3, gap="medium")
    with decision, st.expander("Change the decision"):
        _decision_form(case)
    with biopsy, st.expander(f"{case.task.words.reference.capitalize()} result"):
        _biopsy_form(case)
    with facts, st.expander(f"Patient and {case.task.words.subject}"):
        _facts_form(case)


def _change(change: Callable[[CaseLog], Case]) -> None:
    """Write a change and show the case as it is then; an error is said and the form stays filled in."""
    with explained_errors():
        keep(change(stores.case_log()))
        st.toast("Saved")
        st.rerun()


def _decision_form(case: Case) -> None:
    with st.form(f"cases_decision_{case.case_id}", border=False):
        dx, plan, reason, other = decision_fields(_form("decision", case), case.task, case.decision, lambda dx: "Why")
        st.caption(wording.DECISION_HINT)
        is_wanted = st.form_submit_button("Save the decision")
    if is_wanted and not is_named(dx, other):
        st.warning(wording.no_dx(case.task), icon=":material/edit:")
    elif is_wanted and dx is not None and plan is not None:
        decision = Decision(dx, plan, reason, other)
        _change(lambda log: log.decide(case.case_id, decision, actor()))


def _biopsy_form(case: Case) -> None:
    known, now, form = case.biopsy, today(), _form("biopsy", case)
    with st.form(f"cases_biopsy_{case.case_id}", border=False):
        dx, other = dx_field(
            form,
            case.task.words.examination.capitalize(),
            case.task,
            known.dx if known else None,
            known.other if known else "",
        )
        reported_on = st.date_input(
            "Day of the report",
            known.reported_on if known else now,
            max_value=now,
            format="YYYY-MM-DD",
            key=form.key("day"),
        )
        note = text_field(form, "note", "Note", known.note if known else "")
        st.caption(case.task.worded(wording.BIOPSY_HINT))
        is_wanted = st.form_submit_button("Save the result")
    if is_wanted and not is_named(dx, other):
        st.warning(case.task.worded(wording.NO_BIOPSY_DX), icon=":material/edit:")
    elif is_wanted and dx is not None:
        biopsy = Biopsy(dx, reported_on, note, other)
        _change(lambda log: log.record_biopsy(case.case_id, biopsy, actor()))
    if known and st.button("Remove the result", key="cases_biopsy_remove"):
        _change(lambda log: log.record_biopsy(case.case_id, None, actor()))


def _facts_form(case: Case) -> None:
    lesions, form = _lesions_of_patient(case), _form("facts", case)
    with st.form(f"cases_facts_{case.case_id}", border=False):
        patient = _patient_fields(case, form)
        site = case.lesion.site
        if case.task.has_sites:
            site = choice_field(form, "site", "Site", SITES, site) or UNKNOWN
        side = side_field(form, case.task, case.lesion.side)
        note = text_field(form, "note", "Note", case.lesion.note)
        lesion_id = st.selectbox(
            wording.same_lesion_label(case.task),
            list(lesions),
            format_func=lesions.__getitem__,
            help=wording.same_lesion_help(case.task),
            key=form.key("lesion"),
        )
        st.caption(wording.correct_hint(case.task))
        if st.form_submit_button("Save the facts"):
            lesion = Lesion(uuid4() if lesion_id == NEW_LESION else lesion_id, site, side, note)
            _change(lambda log: log.correct(case.case_id, patient, lesion, actor()))


def _patient_fields(case: Case, form: Form) -> Patient:
    reference = reference_field(form, case.patient.reference)
    # Through the state, not as a default: only a field without one can be emptied again.
    st.session_state.setdefault(form.key("age"), None if case.patient.age is None else round(case.patient.age))
    age = st.number_input("Age (years)", 0, 120, None, key=form.key("age"))
    return Patient(reference, None if age is None else float(age), sex_field(form, case.patient.sex))


def _form(name: str, case: Case) -> Form:
    return Form(lambda field: f"cases_{name}_{field}_{case.case_id}", is_live=False)


def _lesions_of_patient(case: Case) -> dict[UUID, str]:
    """Lesions to choose from: the case's own, the others under the same reference, and one of its own."""
    lesions: dict[UUID, str] = {case.lesion.lesion_id: wording.SAME_LESION_AS_NOW}
    if case.patient.reference:
        query = CaseQuery(patient_reference=case.patient.reference, task=case.task.key, limit=MAX_OFFERED)
        for number, summary in enumerate(stores.case_log().find(query, actor()), start=1):
            lesions.setdefault(summary.lesion_id, wording.one_line(number, summary))
    return {**lesions, NEW_LESION: wording.of_its_own(case.task)}


@st.dialog(wording.DELETE_TITLE)
def confirm_delete(case: Case) -> None:
    """Say what is removed, and remove it when that is confirmed."""
    st.markdown(wording.deletion(case))
    with st.container(horizontal=True):
        if st.button(wording.delete_button(case), key="cases_delete_confirmed"):
            with explained_errors():
                stores.case_log().delete(case.case_id, actor())
                forget(case)
                close()
                st.rerun()
        if st.button("Keep it", key="cases_delete_cancelled"):
            st.rerun()
