"""Text of the comparison with another model: what a table must hold, what was left out, and what is compared."""

from __future__ import annotations

import math

from dashboard.evaluation.wording import question_noun
from dashboard.shell.formats import one_decimal, plural
from dashboard.shell.glossary import metric_of
from data.tasks.task import Task
from model.evaluation.comparison import PairedDecision, PairedMetric
from model.evaluation.submissions import Submission

HEADING = "Another model on the same images"
INTRODUCTION = (
    "Upload a table of predictions of the locked test images. It is measured beside this model on the images that both "
    "have. Nothing of it is stored."
)
UPLOADER = "Table of predictions (CSV)"
_HELP = (
    "One row an image: a column image or image_id (the file's name), and a column for each {label} by code or name: "
    "{codes}. A column prediction says what the model decides on; without one the highest number decides. What "
    "`python -m model.predict` writes is read as it is{challenge}."
)
KINDS = {"probabilities": "Probabilities", "logits": "Logits"}
KIND_LABEL = "The numbers are"
READING = "Reading the table and comparing by {subject} ..."
LEFT_OUT_TITLE = "Rows left out, with the reason"
MOST_SHOWN = 200
METRICS_TITLE = "Theirs against ours"
PER_CLASS_TITLE = "Each {label} against the rest"
DECISIONS_TITLE = "Who decides rightly where the other does not"
METRICS_NOTE = (
    "Difference: theirs minus ours, with its 95 % interval by {subject}. Of AUROCs interval and p are DeLong's; the "
    "other intervals come from a paired bootstrap. p values are not corrected for their number."
)
DECISIONS_NOTE = (
    "McNemar's test by {subject}, exact and chi-squared: small p values say that the two models are not equally often "
    "right on these images. Their thresholds are ours, which were chosen for this model."
)
ROC_TITLE = "ROC curves of both"
ROC_NOTE = "Solid: theirs. Dashed: ours."
RELIABILITY_TITLES = {"theirs": "Theirs: is what it states true?", "ours": "Ours: is what it states true?"}
RELIABILITY_AXIS = "share that was right"


def upload_help(task: Task) -> str:
    """What the table must hold."""
    challenge = "" if task.is_ordinal else ", and so are submissions to the ISIC challenge"
    return task.worded(_HELP, codes=", ".join(task.codes), challenge=challenge)


def what_was_read(submission: Submission, of: int) -> str:
    """How many of the locked test images were read, and how the decision was found."""
    measured = len(submission.cohort.image_ids)
    decided = (
        "Decisions are those of its column prediction."
        if submission.has_decision
        else "It names no decision, so the highest number of a row decides."
    )
    return f"**{measured:,} of {plural(of, 'image')}** can be compared. {decided}"


def left_out(count: int) -> str:
    """That rows are not measured."""
    return f"{plural(count, 'row')} left out"


def compared_on(task: Task, images: int, lesions: int) -> str:
    """The data of every figure of the comparison."""
    subjects = plural(lesions, task.words.subject, task.words.subjects)
    both = f"locked test {task.words.subjects} of {task.dataset.name} that both have"
    return f"{both}, {plural(images, 'image')}, {subjects}"


def metric_label(task: Task, one: PairedMetric) -> str:
    """`Sensitivity, malignant at 18.0 %`."""
    name = metric_of(one.metric, task).name
    if not one.question:
        return name
    return f"{name}, {question_noun(task, one.question, True)}{_at(one.threshold)}"


def decision_label(task: Task, one: PairedDecision) -> str:
    """Which decision, of which images."""
    if not one.question:
        return f"{task.words.label.capitalize()} named rightly"
    side = task.question.positive if one.side == "positive" else task.question.negative
    right = one.question if one.side == "positive" else f"not {one.question}"
    how = _at(one.threshold) or f" by {task.words.label}"
    return f"{side.capitalize()} images called {right}{how}"


def _at(threshold: float) -> str:
    return "" if math.isnan(threshold) else f" at {one_decimal(threshold)}"
