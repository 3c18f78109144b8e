"""Who the patient is and where the lesion lies, in words: the one wording for every page, on paper and in exports."""

from __future__ import annotations

import math

from data.cases.case import Patient
from data.tasks.task import Task

UNKNOWN = "unknown"
SITE_NAMES = {"acral": "Palm or sole (acral)", "genital": "Genital area", "trunk": "Trunk (not specified)"}


def choice(word: str) -> str:
    """A word of a list in `data.cases.case` as it stands on a button."""
    return word[:1].upper() + word[1:]


def site_name(word: str) -> str:
    """A body site as it stands on a button."""
    return SITE_NAMES.get(word, choice(word))


def years(age: float | None) -> str:
    """`52 years`, or `age unknown` for None and NaN."""
    return "age unknown" if age is None or math.isnan(age) else f"{age:.0f} years"


def sex(word: str) -> str:
    """`female`, `sex unknown`."""
    return "sex unknown" if word == UNKNOWN else word


def place(site: str, side: str = UNKNOWN) -> str:
    """`back, left`, `back`, `site unknown`, `site unknown, left`."""
    where = "site unknown" if site == UNKNOWN else site
    return where if side == UNKNOWN else f"{where}, {side}"


def place_of(task: Task, site: str, side: str = UNKNOWN) -> str:
    """The same of a case of a task; where all its images show one place, its side alone: `left eye`, `side unknown`."""
    if task.has_sites:
        return place(site, side)
    return "side unknown" if side == UNKNOWN else f"{side} {task.words.subject}"


def named_place(site: str, side: str) -> str:
    """The same as it stands on buttons: `Palm or sole (acral), left`."""
    return site_name(site) if side == UNKNOWN else f"{site_name(site)}, {side}"


def person(patient: Patient) -> str:
    """`52 years, female`; what is not known is left out, or `age and sex unknown`."""
    known = [
        *([] if patient.age is None else [years(patient.age)]),
        *([] if patient.sex == UNKNOWN else [patient.sex]),
    ]
    return ", ".join(known) or "age and sex unknown"


def person_and_site(age: float | None, sex_word: str, site: str) -> str:
    """`52 years, female, back`; what is not known is named."""
    return ", ".join((years(age), sex(sex_word), place(site)))
