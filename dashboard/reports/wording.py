"""Every text of the printed report of a case.

The rules of `dashboard.review.wording` hold on paper as well: unsure is never shown as safe, and nobody is told what to
do. Nothing here is Markdown, and nothing a user typed is in it.
"""

from __future__ import annotations

import math
from uuid import UUID

from dashboard.answer.saved import (
    INFORMED,
    INFORMED_NOT_COMPARED,
    beside_a_flag,
    finds_and_flags,
    plain_model_name,
    point_name,
    verdict_parts,
)
from dashboard.answer.wording import (
    agreement,
    both_names,
    heatmap_limits,
    heatmap_note,
    prediction_set,
    set_without_flag,
)
from dashboard.shell.formats import one_decimal
from data.cases.case import Case, ModelResult, Read, Refusal
from data.tasks.task import Task
from model.explain.maps import Explanation
from model.inference.clinical import NO_FACTS, PatientFacts

TITLE = "LesionLens case report"
NOT_STATED = "not stated"
OWN_READ_LABEL = "Read before the AI"
RESEARCH_ONLY = (
    "For research use only. LesionLens is no medical device; it advises, and the person who sees the patient decides."
)
_QUALITY_WORDS = {
    "ok": "sharp enough, exposure usable",
    "blurred": "blurred: the answer is less certain than its numbers say",
    "at_the_edge": "unlike most images that the model was trained on: such images may be judged less surely",
}


def title(case_id: UUID) -> str:
    """Of the document's metadata: no patient in it."""
    return f"{TITLE} {case_id}"


def subject(task: Task) -> str:
    """Of the document's metadata: what the report is on."""
    return f"Research report on one {task.words.image}"


def mark_note(task: Task) -> str:
    """What the mark on a bar is."""
    return f"The mark on the bar of {task.question.positive} is the threshold."


def sides(task: Task) -> tuple[str, str]:
    """The two sides of the question with their codes: `Malignant (akiec, bcc, mel)` and the other."""
    question = task.question
    negatives = [code for code in task.codes if code not in question.positives]
    return (
        f"{question.positive.capitalize()} ({', '.join(question.positives)})",
        f"{question.negative.capitalize()} ({', '.join(negatives)})",
    )


def verdict(result: ModelResult, facts: PatientFacts = NO_FACTS) -> str:
    """Whether the image was flagged, never that it is safe."""
    return " ".join(verdict_parts(result, facts))


def measured_meaning(result: ModelResult) -> str:
    """What the threshold was measured to do, at home and at other clinics."""
    if math.isnan(result.sensitivity) or math.isnan(result.specificity):
        return "What this threshold does could not be measured."
    return f"{finds_and_flags(result)}. {beside_a_flag(result)}".strip()


def answer_notes(result: ModelResult) -> list[str]:
    """Sentences below the probabilities, in reading order."""
    task = result.task
    agreed = agreement(task, result.member_p_positive, result.threshold)
    notes = (
        prediction_set(task, result.conformal_set, result.conformal_level),
        set_without_flag(task, result.conformal_set, result.is_flagged),
        both_names(task, result.probabilities, result.prediction, result.population),
        agreed[0] if agreed else None,
        f"Probabilities are calibrated for {result.population}.",
    )
    return [note for note in notes if note is not None]


def heatmap_caption(explanation: Explanation, dx: str, result: ModelResult) -> str:
    """Whose heatmap it is, and how it compares with the others."""
    note = heatmap_note(result.task, explanation, dx, result.prediction)
    return f"{explanation.method}, {result.task.titled(dx)}. {note}"


def image_size(case: Case) -> str:
    """Below the image."""
    return f"Image, {case.image_width} x {case.image_height} pixels"


def image_alt(width: int, height: int, task: Task) -> str:
    """The image for those who do not see it."""
    return f"{task.words.image.capitalize()} of the {task.words.subject}, {width} by {height} pixels"


def quality(result: ModelResult | Refusal) -> str:
    """What was remarked on the image, and how far it is from the known ones."""
    remarks = ", ".join(_QUALITY_WORDS.get(issue, issue.replace("_", " ")) for issue in result.quality.split("|"))
    return f"{remarks}; distance from the training images {result.ood_score:.2f}"


def own_read(read: Read, named: str) -> tuple[str, str]:
    """What the line of an own read is called, and what it says: only an unaided one came before the AI.

    Args:
        read: from the case.
        named: its diagnosis as it is printed.
    """
    said = f"{named}, {read.certainty}, {read.plan}"
    return ("Own read", f"{said}; {INFORMED}") if read.is_informed else (OWN_READ_LABEL, said)


def changed(case: Case) -> str:
    """Whether the diagnosis changed between the two reads, and whether it is the model's."""
    label = case.task.words.label
    if case.refusal is not None:
        return "There was no answer of the AI to compare with."
    verb = "agrees with" if case.agrees_with_model else "differs from"
    compared = f"{verb} the AI's {case.task.standout}, {case.task.titled(case.answered.prediction)}."
    if case.own_read is not None and case.own_read.is_informed:
        return f"{INFORMED_NOT_COMPARED} The decision {compared}"
    if case.has_changed_mind is None:
        return f"No read before the AI was asked for. The decision {compared}"
    kept = "was changed" if case.has_changed_mind else "stayed the same"
    return f"The {label} {kept} after the AI's answer was seen; it {compared}"


def operating_point(result: ModelResult) -> str:
    """`set for 95 % sensitivity, threshold 18.0 %`."""
    return f"set for {point_name(result)}, threshold {one_decimal(result.threshold)}"


def model(result: ModelResult | Refusal) -> str:
    """`skin 2.0, preprocessing 1`."""
    return f"{plain_model_name(result)}, preprocessing {result.preprocessing_version}"


def limits_without_answer(task: Task) -> list[str]:
    """What the report of a refused image does not prove."""
    return [
        f"That the model gave no answer says something of the image and nothing of the {task.words.subject}.",
        RESEARCH_ONLY,
    ]


def limits(rows: int, columns: int, task: Task) -> list[str]:
    """What the report does not prove: of the heatmap, whose grid is `rows` x `columns`, and of the model."""
    dataset, labels = task.dataset.name, task.words.labels
    heatmap = heatmap_limits(task, rows, columns).replace("**", "").strip()
    bullets = [" ".join(bullet.split()) for bullet in heatmap.removeprefix("- ").split("\n- ")]
    return [
        *bullets,
        RESEARCH_ONLY,
        f"The model knows {task.count} {labels}, learned from one dataset ({dataset}). Any other is forced into one of "
        f"the {task.count}.",
        f"The figures on the threshold come from the locked test {task.words.subjects} of {dataset}; expect worse with "
        f"other clinics, cameras and {task.words.people}.",
    ]


def footer(case_id: UUID, page: int, total: str) -> str:
    """At the foot of every page."""
    return f"Research use only  ·  case {case_id}  ·  page {page} of {total}"
