"""The sections of the Evaluation page: a question each, at an address of its own (`?section=decisions`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard.answer.cohort import dropped
from dashboard.evaluation import cohort, decision_state, decisions, discrimination, errors, widgets
from dashboard.evaluation.comparison import section as comparison
from dashboard.evaluation.studies import camera, elsewhere, heatmaps, trust
from dashboard.evaluation.trained import costs
from dashboard.evaluation.trained import models as model_table
from dashboard.resources import models
from dashboard.shell.widgets import explained_errors

PARAMETER = "section"
_TABS = "evaluation_section"


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        key: what its address names it.
        title: on its tab.
        question: what it answers; braces as in `data.tasks.task.Task.worded`.
        parts: draw it, one after the other.
        applies: whether there is such a thing for this model; it has no tab where there is not.
    """

    key: str
    title: str
    question: str
    parts: tuple[Callable[[], None], ...]
    applies: Callable[[], bool] = _always


SECTIONS: tuple[Section, ...] = (
    Section(
        "summary", "Summary", "How good are the answers, overall and for each {label}?",
        (widgets.summary, widgets.per_class),
    ),
    Section(
        "discrimination", "Discrimination", "How well does the model tell one {label} from the others?",
        (widgets.colours, discrimination.curves, trust.clinical_facts),
    ),
    Section(
        "decisions", "Decisions", "What does a threshold find, what does it miss, and is it worth it?",
        (decisions.bench,),
    ),
    Section(
        "calibration", "Calibration and sets", "Can the probabilities be taken at their word?",
        (trust.calibration, trust.prediction_sets),
    ),
    Section("errors", "Errors", "Which {labels} are taken for which?", (widgets.colours, errors.errors)),
    Section(
        "subgroups", "Subgroups", "For whom is the model better or worse?", (trust.subgroups,), trust.has_subgroups
    ),
    Section("other-clinics", "Other clinics", "Does it hold elsewhere?", (elsewhere.other_clinics,)),
    Section(
        "robustness", "Robustness", "What do bad images do to the answers, and which get none?",
        (trust.robustness, trust.gate, camera.camera),
    ),
    Section(
        "heatmaps", "Heatmaps", "What are heatmaps and similar cases worth?", (heatmaps.heatmaps, trust.similar_cases)
    ),
    Section("training", "Training", "How did the networks learn?", (widgets.training, costs.section)),
    Section("compare", "Compare", "How does it stand beside other models?", (comparison.section, model_table.section)),
)  # fmt: skip


def navigation() -> None:
    """The tabs, and the section that is open; the others are not drawn."""
    cohort.banner()
    if cohort.is_empty():
        return
    if unknown := decision_state.follow_address():
        st.info(dropped(unknown), icon=":material/link_off:")
    asked, offered = asked_section(), offered_sections()
    st.session_state[_TABS] = asked.title
    tabs = st.tabs([one.title for one in offered], key=_TABS, on_change=_note_in_address)
    with tabs[offered.index(asked)], explained_errors():
        st.markdown(f"**{models.artifact().task.worded(asked.question)}**")
        for draw in asked.parts:
            cohort.say_if_stored(draw)
            draw()


def offered_sections() -> tuple[Section, ...]:
    """Those that there are for this model."""
    return tuple(one for one in SECTIONS if one.applies())


def asked_section() -> Section:
    """The section that the address names; the first one where it names none of them."""
    key = st.query_params.get(PARAMETER)
    return next((one for one in offered_sections() if one.key == key), SECTIONS[0])


def _note_in_address() -> None:
    """Callback: reload, bookmark and link lead to the section that was opened."""
    title = st.session_state[_TABS]
    st.query_params[PARAMETER] = next(one.key for one in SECTIONS if one.title == title)
