"""Functions that draw what is known of an image's patient, which moves the answer: age and body site."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import streamlit as st

from dashboard.answer.patient import site_name
from dashboard.resources import models
from dashboard.review import facts_wording as wording
from dashboard.review import state
from dashboard.review.state import Upload
from data.cases.case import SITES
from data.tasks.task import SITE
from model.analysis.analyzer import Analysis
from model.inference.clinical import MAX_AGE, NO_TERMS, UNKNOWN, PatientFacts


def stated(upload: Upload) -> PatientFacts:
    """What the user stated so far; the age that a DICOM upload says stands there at first."""
    age_key, site_key = (_key(_owner(upload), name) for name in ("age", "site"))
    kept: Any = st.session_state
    if site_key not in kept:
        said = state.analysis(upload).dicom
        kept[age_key] = None if said is None or said.age is None else int(said.age)
        kept[site_key] = UNKNOWN
    age = kept[age_key]
    return PatientFacts(None if age is None else float(age), kept[site_key] or UNKNOWN)


def stated_age(case_id: UUID) -> float | None:
    """The age that was stated of an image's patient."""
    age = st.session_state.get(_key(case_id, "age"))
    return None if age is None else float(age)


def state_age(case_id: UUID, age: float | None) -> None:
    """Callback: the patient is the one of another image."""
    st.session_state[_key(case_id, "age")] = None if age is None else int(age)


def state_site(case_id: UUID, site: str) -> None:
    """Callback: the lesion is where an earlier case of it said."""
    st.session_state[_key(case_id, "site")] = site


def informed(upload: Upload, analysis: Analysis) -> Analysis:
    """The analysis with what was stated taken into account."""
    return models.analyzer().with_facts(analysis, stated(upload))


def facts_popover(upload: Upload, *, is_saved: bool = False, is_answered: bool = True) -> None:
    """Two fields that need no room until they are wanted, and what of them the answer takes into account.

    Args:
        upload: the fields are kept with it.
        is_saved: the case is in the log, so that the answer stays as it was saved.
        is_answered: whether there is an answer that they can move.
    """
    owner, facts = _owner(upload), stated(upload)  # first: it sets what the fields start with
    task = models.artifact().task
    with st.popover(wording.heading(task), icon=":material/person:", width="stretch", key=_key(owner, "facts")):
        st.caption(wording.intro(models.artifact().manifest.get("clinical")) if is_answered else wording.KEPT)
        st.number_input(
            "Age, years", 0, MAX_AGE, value=None, key=_key(owner, "age"), disabled=is_saved, persist_state="session"
        )
        if SITE in task.facts:
            st.pills(
                "Body site",
                SITES,
                required=True,
                format_func=site_name,
                key=_key(owner, "site"),
                wrap=True,
                disabled=is_saved,
                persist_state="session",
            )
        if is_saved:
            st.caption(wording.SAVED)
    st.caption(wording.used(facts, is_of_use=is_answered and models.artifact().clinical != NO_TERMS))


def _owner(upload: Upload) -> UUID | str:
    return upload.case_id or upload.name


def _key(owner: UUID | str, field: str) -> str:
    return f"facts_{owner}_{field}"
