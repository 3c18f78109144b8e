"""Every text about age and body site beside the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.answer.patient import site_name
from dashboard.shell.glossary import accuracy_gain
from data.tasks.task import SITE, Task
from model.inference.clinical import UNKNOWN, PatientFacts

SAVED = "The case is saved, and its answer with it. Facts are corrected on the Cases page; the answer stays as it was."
KEPT = "Optional. Kept with the case."
NO_TERMS = "Kept with the case. This model answers from the image alone."


def intro(section: Mapping[str, Any] | None) -> str:
    """Why to state them: what they were measured to add.

    Args:
        section: `clinical` of the manifest; None where it was not measured.
    """
    if section is None:
        return NO_TERMS
    return (
        "Optional. Moves the diagnoses within the malignant and within the benign ones, never the malignant share or "
        f"the flag. Balanced accuracy on the {section['measured']['lesions']:,} locked test lesions: "
        f"{accuracy_gain(section)}."
    )


def used(facts: PatientFacts, *, is_of_use: bool) -> str:
    """What the answer takes into account."""
    stated = described(facts)
    if not is_of_use:
        return f"Stated: {stated}." if stated else "Nothing stated."
    return f"The answer takes into account: {stated}." if stated else "The answer is based on the image alone."


def heading(task: Task) -> str:
    """What may be stated."""
    return "Age and body site" if SITE in task.facts else "Age"


def kept(facts: PatientFacts, task: Task) -> str:
    """What is saved of them, and where they are stated."""
    they = "They" if SITE in task.facts else "It"
    return f"{heading(task)}: {described(facts) or 'not stated'}. {they} can be stated beside the answer."


def described(facts: PatientFacts) -> str:
    """The facts as on a form, `age 60, back`; empty where nothing is known."""
    age = "" if facts.age is None else f"age {facts.age:g}"
    place = "" if facts.site == UNKNOWN else site_name(facts.site).lower()
    return ", ".join(word for word in (age, place) if word)
