"""Every text about age and body site beside the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.decision_wording import site
from model.clinical import UNKNOWN, ClinicalFacts

HEADING = "Age and body site"
SAVED = "The case is saved, and its answer with it. Facts are corrected on the Cases page; the answer stays as it was."
NO_TERMS = "Kept with the case. This model answers from the image alone."


def intro(section: Mapping[str, Any] | None) -> str:
    """Why to state them: what they were measured to add.

    Args:
        section: `clinical` of the manifest; None where it was not measured.
    """
    if section is None:
        return NO_TERMS
    measured = section["measured"]
    alone, informed = (
        [measured[part][name]["value"] for name in ("balanced_accuracy", "macro_auroc")]
        for part in ("image_alone", "with_facts")
    )
    return (
        f"Optional. With both, balanced accuracy on the {measured['lesions']:,} locked test lesions was "
        f"{informed[0]:.3f} instead of {alone[0]:.3f}, macro AUROC {informed[1]:.3f} instead of {alone[1]:.3f}. What "
        "is not stated changes nothing."
    )


def used(facts: ClinicalFacts, *, is_of_use: bool) -> str:
    """What the answer takes into account."""
    stated = described(facts)
    is_partial = (facts.age is None) != (facts.site == UNKNOWN)
    if not is_of_use:
        return f"Stated: {stated}." if stated else "Nothing stated."
    remark = " Thresholds were chosen where both are known." if is_partial else ""
    return f"The answer takes into account: {stated}.{remark}" if stated else "The answer is of the image alone."


def kept(facts: ClinicalFacts) -> str:
    """What is saved of them, and where they are stated."""
    return f"{HEADING}: {described(facts) or 'not stated'}. Stated beside the answer, which takes them into account."


def described(facts: ClinicalFacts) -> str:
    """The facts as on a form, `age 60, back`; empty where nothing is known."""
    age = "" if facts.age is None else f"age {facts.age:g}"
    place = "" if facts.site == UNKNOWN else site(facts.site).lower()
    return ", ".join(word for word in (age, place) if word)
