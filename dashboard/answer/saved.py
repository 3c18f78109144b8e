"""What a saved case says, wherever it is shown: Cases page, paper and exports.

Unsure is never shown as safe, also in a case that was saved long ago; what is typed by a user is escaped.
"""

from __future__ import annotations

import math
from datetime import datetime

from dashboard.shell.formats import escape, one_decimal
from data.cases.case import Case, ModelResult


def saved_day(saved_at: datetime) -> str:
    """`21 Nov 2026`."""
    return f"{saved_at.day} {saved_at:%b %Y}"


def saved_time(saved_at: datetime) -> str:
    """`21 Nov 2026, 14:05 UTC`."""
    return f"{saved_day(saved_at)}, {saved_at:%H:%M} UTC"


def place(site: str, side: str) -> str:
    """`back, left`, `back`, `site unknown`."""
    if site == "unknown":
        return "site unknown"
    return site if side == "unknown" else f"{site}, {side}"


NO_OWN_READ = "not asked for"
NO_BIOPSY = "no result yet"


def person(case: Case) -> str:
    """`52 years, female`; what is not known is left out, or `age and sex unknown`."""
    years = "" if case.patient.age is None else f"{case.patient.age:.0f} years"
    sex = "" if case.patient.sex == "unknown" else case.patient.sex
    return ", ".join(part for part in (years, sex) if part) or "age and sex unknown"


def saved_verdict(result: ModelResult) -> str:
    """Whether the image was flagged when it was saved, never that it is safe; Markdown."""
    flag, meaning = verdict_parts(result)
    return f"**{flag}** {meaning}"


def verdict_parts(result: ModelResult) -> tuple[str, str]:
    """The flag of a saved answer and what it means: the one wording for the screen, on paper and in exports."""
    compared = f"malignant {one_decimal(result.p_malignant)}, threshold {one_decimal(result.threshold)}"
    if result.is_flagged:
        return "Flagged as possibly malignant", f"({compared})."
    return "Not flagged", f"({compared}). That is not an all-clear: {saved_missed(result)}"


def saved_missed(result: ModelResult) -> str:
    """How many malignant images the saved threshold was measured to miss."""
    if math.isnan(result.sensitivity):
        return "how many malignant lesions it misses could not be measured."
    missed = (1 - result.sensitivity) * 100
    shown = "fewer than 1" if missed < 0.5 else f"{missed:.0f}"
    return f"at this threshold {shown} of 100 malignant test images were not flagged either."


def saved_meaning(result: ModelResult) -> str:
    """What the saved threshold was measured to do, by the model that gave the answer."""
    if math.isnan(result.sensitivity) or math.isnan(result.specificity):
        return f"Threshold {escape(result.operating_point)}; what it does could not be measured."
    return f"{finds_and_flags(result)} (model {model_name(result)})."


def finds_and_flags(result: ModelResult) -> str:
    """What a threshold was measured to do, without full stop; only where it could be measured."""
    return (
        f"At this threshold the model finds {result.sensitivity * 100:.0f} of 100 malignant lesions and flags "
        f"{(1 - result.specificity) * 100:.0f} of 100 benign, measured on the locked test lesions of HAM10000"
    )


def model_name(result: ModelResult) -> str:
    """`skin 2.0` for Markdown."""
    return escape(plain_model_name(result))


def plain_model_name(result: ModelResult) -> str:
    """`skin 2.0`."""
    return f"{result.model_name} {result.model_version}"
