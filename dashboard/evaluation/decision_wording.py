"""Text on what a threshold is worth: counts of 1,000 images, net benefit, and how two kinds of error are weighed."""

from __future__ import annotations

import math

from dashboard.evaluation.wording import question_noun
from dashboard.shell.formats import one_decimal
from data.tasks.task import Task
from model.measures.decisions import PerThousand
from model.measures.intervals import Estimate

PER_THOUSAND_TITLE = "Of 1,000 images"
BENEFIT_TITLE = "Net benefit"
CURVE_TITLE = "Decision curve"
BENEFIT_HELP = (
    "Positives found among 1,000 images, less the unneeded {actions}, of which each weighs as little as set here. "
    "0 is worth as much as acting on none."
)
CURVE_NOTE = (
    "Every threshold stands for a weighing: who acts from a probability of 10 % on takes one missed positive for as "
    "bad as nine unneeded {actions}. Shaded: 95 % interval by {subject}. Upright line: the threshold that is set. Where"
    " the prevalence is another than in the test, the stated probabilities do not fit it, and the curve "
    "shows what acting on them is worth there. Vickers and Elkin 2006."
)


def prevalence_preset(share: float) -> str:
    """What the prevalence is before it is moved."""
    return (
        f"The slider starts at the prevalence in the locked test: {one_decimal(share)} of the images that are measured "
        "here. Yours is likely to be another."
    )


def per_thousand_rows(task: Task, question: str, counts: PerThousand) -> list[tuple[str, str, str]]:
    """The four counts: what is counted, how many, and the interval."""
    positive, negative = question_noun(task, question, True), question_noun(task, question, False)
    names = {
        "flagged": "Flagged",
        "found": f"Found: {positive} and flagged",
        "missed": f"Missed: {positive} and not flagged",
        "unneeded": f"{task.words.actions.capitalize()} for nothing: {negative} and flagged",
    }
    return [(name, whole(getattr(counts, key).value), whole_range(getattr(counts, key))) for key, name in names.items()]


def counted_on(task: Task, question: str, prevalence: float, share: float, positives: int, negatives: int) -> str:
    """On what the counts stand."""
    where = (
        "as among the images measured"
        if math.isclose(prevalence, share, abs_tol=5e-4)
        else "not that of the images measured"
    )
    return (
        f"At a prevalence of {one_decimal(prevalence)} ({where}). Measured on {positives:,} "
        f"{question_noun(task, question, True)} and {negatives:,} {question_noun(task, question, False)} images; each "
        f"flag counts as one {task.words.action}."
    )


def weight_label(task: Task, question: str) -> str:
    """The question behind every threshold."""
    noun = question_noun(task, question, True)
    return f"One missed {noun} image is as bad as how many unneeded {task.words.actions}?"


def implied(threshold: float) -> str:
    """The threshold that goes with a weight."""
    return (
        f"With this weighing one acts from a probability of **{one_decimal(threshold)}** on, provided that "
        "probabilities can be taken at their word."
    )


def set_to_implied(threshold: float) -> str:
    """A button."""
    return f"Set the threshold to {one_decimal(threshold)}"


def benefit_rows(threshold: float, benefit: Estimate, of_all: float) -> list[tuple[str, str, str]]:
    """Three ways to act: which, net benefit of 1,000 images, and the interval; two need no model and have none."""
    acting = f"Act on what is flagged at {one_decimal(threshold)}"
    return [
        (acting, whole(1000 * benefit.value), whole_range(benefit, 1000)),
        ("Act on every image", whole(1000 * of_all), "by definition"),
        ("Act on none", whole(0.0), "by definition"),
    ]


def benefit_found(benefit: Estimate, of_all: float) -> str:
    """Whether the flag is worth acting on, as far as the interval says so; empty where nothing can be said."""
    best, name = max((of_all, "acting on every image"), (0.0, "acting on none"))
    if math.isnan(benefit.low):
        return ""
    if benefit.low > best:
        return "So weighed, acting on the flag is worth more than acting on every image or on none."
    if benefit.high < best:
        return f"So weighed, acting on the flag is worth less than {name}."
    return f"So weighed, whether acting on the flag is worth more than {name} cannot be told from these images."


def whole(value: float) -> str:
    """`187`, `1,000`; a dash where it cannot be said."""
    return "–" if math.isnan(value) else f"{round(value):,}"


def whole_range(estimate: Estimate, factor: float = 1.0) -> str:
    """`181 to 190`; a dash where it cannot be said."""
    if math.isnan(estimate.low):
        return "–"
    return f"{whole(factor * estimate.low)} to {whole(factor * estimate.high)}"
