"""What a person says that a lesion is, in words: a class of the task, or something else with what was typed of it."""

from __future__ import annotations

from dashboard.shell.formats import escape
from data.cases.case import Biopsy, Decision, Read
from data.tasks.task import OTHER, Task

OTHER_LABEL = "Which?"


def choices(task: Task) -> tuple[str, ...]:
    """What a person can name: the task's codes, then `OTHER`."""
    return (*task.codes, OTHER)


def choice_name(task: Task, dx: str) -> str:
    """How a choice stands in a list: `Melanoma (mel)`, `Other, not among the seven`."""
    return f"Other, not among the {task.count}" if dx == OTHER else task.titled(dx)


def diagnosis(task: Task, said: Read | Decision | Biopsy) -> str:
    """`Melanoma (mel)`, `Other: Merkel cell carcinoma`; plain text, of which the user typed what follows the colon."""
    return _other(said.other) if said.dx == OTHER else task.titled(said.dx)


def diagnosis_markdown(task: Task, said: Read | Decision | Biopsy) -> str:
    """The same as Markdown."""
    return _other(escape(said.other)) if said.dx == OTHER else task.titled(said.dx)


def listed_diagnosis(task: Task, dx: str | None, other: str | None) -> str:
    """The same in a table: `Melanoma`, `Other: Merkel cell carcinoma`; empty for None."""
    if dx is None:
        return ""
    return _other(other) if dx == OTHER else task.named(dx).name


def _other(text: str | None) -> str:
    return f"Other: {text}" if text else "Other"  # a de-identified case has no text


def knows_only(task: Task) -> str:
    """What the model can name, said where a person names something."""
    return task.worded(
        "The model knows {count} {labels} only. It answers any other with one of the {count}; choose **Other** to keep "
        "what you think it is."
    )
