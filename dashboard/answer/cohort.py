"""A cohort of the dataset in words, and what of a link was left out: for Dataset and Evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.answer.patient import UNKNOWN
from dashboard.shell.formats import escape
from data.datasets.cohort import MAX_AGE, MIN_AGE, CohortFilter
from data.datasets.ham10000 import DX_TYPES
from data.tasks.task import Task

# Of a link that anybody may have written.
MOST_NAMED, MOST_SHOWN = 10, 60
_DROPPED = "**The link asks for something that is not on offer here**, which was left out: {values}."


def described(task: Task, wanted: CohortFilter) -> str:
    """`diagnosis mel or bcc; site back; ages 20 to 60, or unknown`; nothing where every image is kept."""
    named = (
        (task.words.label, wanted.dx),
        ("site", wanted.localization),
        ("sex", wanted.sex),
        ("confirmed by", tuple(_confirmation(value) for value in wanted.dx_type)),
    )
    parts = [f"{what} {' or '.join(values)}" for what, values in named if values]
    if (wanted.min_age, wanted.max_age) != (MIN_AGE, MAX_AGE):
        unknown = ", or unknown" if wanted.keeps_unknown_age else ""
        parts.append(f"ages {wanted.min_age} to {wanted.max_age}{unknown}")
    elif not wanted.keeps_unknown_age:
        parts.append("age known")
    return "; ".join(parts)


def _confirmation(dx_type: str) -> str:
    return "means not stated" if dx_type == UNKNOWN else DX_TYPES[dx_type].lower()


def dropped(asked: Sequence[str]) -> str:
    """What of a link was left out, as it stands there."""
    return _DROPPED.format(values=", ".join(escape(text[:MOST_SHOWN]) for text in asked[:MOST_NAMED]))
