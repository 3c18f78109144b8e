"""The fields of the forms on decision, patient and lesion: the same on the Review page and for a saved case.

On Review a field stands alone: what is chosen is sent at once and kept while the session lasts. On the Cases page the
fields stand in a form and are sent by its button.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from dashboard.answer.diagnosis import OTHER_LABEL, choice_name, choices
from dashboard.answer.patient import choice
from data.cases.case import MAX_OTHER, MAX_REFERENCE, MAX_TEXT, PLANS, SEXES, Decision
from data.tasks.task import OTHER, Task

REFERENCE_LABEL = "Patient reference"
OTHER_IN_FORM = "If other: which?"
_NOTE_HEIGHT = 80  # pixels of a text that is sent alone


@dataclass(frozen=True)
class Form:
    """Where fields stand.

    Attributes:
        key: of a field by its name, in this session.
        is_live: whether each field is sent by itself and kept, rather than by a form's button.
    """

    key: Callable[[str], str]
    is_live: bool

    @property
    def persistence(self) -> Literal["session"] | None:
        """How long a field is kept while the user looks at another page."""
        return "session" if self.is_live else None


def decision_fields(
    form: Form, task: Task, start: Decision | None, question: Callable[[str | None], str | None]
) -> tuple[str | None, str | None, str, str]:
    """Diagnosis, plan, reason and what another diagnosis is, as far as they are chosen.

    Args:
        form: where they stand.
        task: whose classes there are to choose from.
        start: what the form starts with; None for nothing.
        question: asks for the reason of a chosen code; None where none is asked for.
    """
    dx, other = dx_field(
        form, task.words.label.capitalize(), task, start.dx if start else None, start.other if start else ""
    )
    plan = choice_field(form, "plan", "Plan", plans_of(task, start), start.plan if start else None)
    asked = question(dx)
    reason = "" if asked is None else text_field(form, "reason", asked, start.reason if start else "", is_optional=True)
    return dx, plan, reason, other


def plans_of(task: Task, start: Decision | None = None) -> tuple[str, ...]:
    """What a reader may want to do next, least first; with what a case says already, whichever task offers it."""
    return tuple(plan for plan in PLANS if plan in task.plans or (start is not None and plan == start.plan))


def dx_field(form: Form, label: str, task: Task, start: str | None, start_other: str) -> tuple[str | None, str]:
    """A class of the task or `OTHER`, and what that is; nothing chosen where `start` is None."""
    codes = choices(task)
    dx = st.selectbox(
        label,
        codes,
        index=None if start is None else codes.index(start),
        format_func=lambda code: choice_name(task, code),
        placeholder=f"Choose a {task.words.label}",
        key=form.key("dx"),
        filter_mode=None if form.is_live else "fuzzy",
        persist_state=form.persistence,
    )
    return dx, other_field(form, dx, start_other)


def other_field(form: Form, dx: str | None, start: str = "") -> str:
    """What the diagnosis `OTHER` is; empty for any other.

    A live field stands there only when it is needed; in a form, which is drawn before anything is chosen, always.
    """
    if form.is_live and dx != OTHER:
        return ""
    text = st.text_input(
        OTHER_LABEL if form.is_live else OTHER_IN_FORM,
        start,
        max_chars=MAX_OTHER,
        key=form.key("other"),
        persist_state=form.persistence,
    )
    return (text or "").strip() if dx == OTHER else ""


def is_named(dx: str | None, other: str) -> bool:
    """Whether a diagnosis was chosen, and said where it is none of the classes."""
    return dx is not None and (dx != OTHER or bool(other))


def sex_field(form: Form, start: str | None = None) -> str:
    """One of `SEXES`; a live field takes its start from the session."""
    return choice_field(form, "sex", "Sex", SEXES, start, is_required=True) or "unknown"


def side_field(form: Form, task: Task, start: str | None = None) -> str:
    """One of the task's sides, or the one that a case already has; a live field takes its start from the session."""
    kept = (start,) if start is not None and start not in task.sides else ()
    return choice_field(form, "side", "Side", (*task.sides, *kept), start, is_required=True) or "unknown"


def choice_field(
    form: Form, name: str, label: str, options: Sequence[str], start: str | None, is_required: bool = False
) -> str | None:
    """One word of a short list: as buttons where each press is sent, as a list in a form."""
    key = form.key(name)
    if not form.is_live:
        return st.selectbox(label, options, index=options.index(start) if start else 0, key=key)
    return st.pills(
        label,
        options,
        default=start,
        required=is_required,
        format_func=choice,
        key=key,
        wrap=True,
        persist_state=form.persistence,
    )


def reference_field(form: Form, start: str = "", **more: Any) -> str:
    """The clinic's own word for the patient; `more` goes to the text field."""
    key, kept = form.key("reference"), form.persistence
    reference = st.text_input(REFERENCE_LABEL, start, max_chars=MAX_REFERENCE, key=key, persist_state=kept, **more)
    return (reference or "").strip()


def text_field(
    form: Form, name: str, label: str, start: str, help_text: str | None = None, is_optional: bool = False
) -> str:
    """A free text; a live one redraws nothing when it is sent: a form that moves while one types is no form."""
    text = st.text_area(
        label,
        start,
        height=_NOTE_HEIGHT if form.is_live else None,
        max_chars=MAX_TEXT,
        key=form.key(name),
        help=help_text,
        on_change="ignore" if form.is_live else "rerun",
        placeholder="Optional" if form.is_live and is_optional else None,
        persist_state=form.persistence,
    )
    return (text or "").strip()
