"""Every text of the Review page's panels below the answer: evidence, contrast, similar cases, other populations.

The rules of `dashboard.review.wording` hold here as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.answer.patient import person_and_site, years
from dashboard.answer.wording import of_100
from dashboard.shell.formats import one_decimal, percent, span
from data.datasets.ham10000 import DX_TYPES, UNKNOWN
from data.tasks.task import Task
from model.explain.neighbours import Neighbour, majority
from model.explain.stability import SHIFT
from model.explain.stress import StressOutcome, StressResult, stresses_of
from model.inference.calibration import population_name
from model.inference.classifier import Prediction
from model.inference.measured import MeasuredRate, OperatingPoint

PREVALENCE_HEADING = "At your clinic's share of {positive} {subjects}"
PREVALENCE_LABEL = "{Positive} among the {subjects} you image"
EVIDENCE_HEADING = "Where the heatmap lies"
EVIDENCE_CLASS = "Heatmap for"
INSIDE_LABEL = "Inside the {subject}"
INSIDE_HELP = (
    "Of everything that raised the score, the share inside the {subject} as the networks outline it. "
    "*Sum of the heatmap where p({subject}) is 50 % or more, divided by its sum over the image.*"
)
STABILITY_LABEL = "Steady when shifted"
COMPUTING_STABILITY = "Shifting the image ..."
NOT_MEASURED = "Not measured"
STABILITY_BUTTON = "Measure"
STABILITY_WAITS = (
    "Does the heatmap stay where it is when the image is shifted a little? Do not rely on it before this is measured."
)
_STABILITY_HELP = (
    "Whether the heatmap moves with the {subject} when the image is shifted. "
    "*Mean Pearson correlation of the heatmap with those of two copies, shifted by {pixels} pixels of the network's "
    "input down and right, or up and left, and shifted back.*"
)
CONTRAST_HEADING = "Why one {label} rather than another"
CONTRAST_LIMITS = (
    "The colours show where the image moved the two scores of the networks apart, not which of the two is right. "
    "The {standout} also depends on how common each {label} is; the colours do not."
)
SIMILAR_HEADING = "Similar cases"
SIMILAR_HELP = (
    "The training {subjects} that the networks describe most alike, one image each. What networks find alike need not "
    "look alike to a person. *Distance is 1 - cosine of the angle between the embeddings' principal components: 0 is "
    "the same, 1 has nothing in common.*"
)
SIMILAR_LABEL = "Show the most similar training {subjects}"
NO_THUMBNAILS = "Their images appear here when `DATASET_DIR` names a {dataset} folder."
STRESS_HEADING = "Stress test"
STRESS_HELP = (
    "Each change is drawn onto a copy of this image, and the model is asked again. A drawing is no recording: real "
    "rulers lie under the glass, and real hair casts shadows."
)
STRESS_HELP_LIGHT = "A copy of this image is changed, and the model is asked again. A computed change is no recording."
STRESS_BUTTON = "Run the stress test"
STRESS_TABLE_HEADERS = ("change", "{positive}", "flag", "most likely")


# --- Another share of positives --------------------------------------------------------------------------------------


def one_in(share: float) -> str:
    """`1 in 24`, `1 in 1.5`, `none`; N has one decimal below 10."""
    if math.isnan(share):
        return "an unknown share"
    if share <= 0:
        return "none"
    per_case = 1 / share
    return f"1 in {per_case:.1f}".removesuffix(".0") if per_case < 9.95 else f"1 in {per_case:,.0f}"


def _range(low: float, high: float) -> str:
    return "range unknown" if math.isnan(low) or math.isnan(high) else span(low, high)


def flagged_at(task: Task, ppv: float, low: float, high: float) -> str:
    """What a flag means at a prevalence: PPV and its range."""
    if math.isnan(ppv):
        return f"**Flagged:** how many are {task.question.positive} cannot be said."
    return (
        f"**Flagged:** {one_in(ppv)} is {task.question.positive} ({one_in(low)} to {one_in(high)}). "
        f"PPV {percent(ppv)} ({_range(low, high)})."
    )


def unflagged_at(task: Task, npv: float, low: float, high: float) -> str:
    """What no flag means at a prevalence: NPV and its range."""
    if math.isnan(npv):
        return f"**Not flagged:** how many are {task.question.positive} cannot be said."
    return (
        f"**Not flagged:** {one_in(1 - npv)} is {task.question.positive} ({one_in(1 - low)} to {one_in(1 - high)}). "
        f"NPV {percent(npv)} ({_range(low, high)})."
    )


def this_image_at(prediction: Prediction, reweighed: float, share: float, prevalence: float) -> str:
    """The image's own probability where `share` of the subjects are positive, and where `prevalence` are."""
    task, place = prediction.task, population_name(prediction.population)
    there = f"{one_decimal(prevalence)} of the {task.words.subjects} are"
    return (
        f"**This image:** {task.question.positive} {one_decimal(reweighed)} where {there}; "
        f"{one_decimal(prediction.p_positive)} in {place}, where {one_decimal(share)} of the images are."
    )


def prevalence_limits(task: Task, point: OperatingPoint) -> str:
    """Where the figures of another prevalence come from, and what they assume."""
    sides = f"{task.question.positive} and {task.question.negative} {task.words.subjects}"
    return (
        f"From what was measured on locked test {task.words.subjects}: sensitivity {of_100(point.sensitivity)} and "
        "specificity "
        f"{of_100(point.specificity)}. Ranges take both at the low and both at the high end. They hold only where "
        f"{sides} look as they do in {task.dataset.name}: a clinic with easier or harder cases differs."
    )


# --- Evidence --------------------------------------------------------------------------------------------------------


def inside_value(share: float) -> str:
    """The share of a heatmap inside the subject; a dash where none is seen."""
    return "–" if math.isnan(share) else percent(share)


def inside_meaning(task: Task, share: float) -> str:
    """What that share says, in one sentence."""
    subject, around = task.words.subject, task.words.around
    if math.isnan(share):
        return f"The networks outline no {subject} in this image, so the share cannot be said."
    if share < 0.5:
        return (
            f"Most of it lies outside the {subject}: {around}, ink, hair or the rim raised the score. Read it "
            "with doubt."
        )
    return f"The rest lies on the {around} around it."


def stability_help(task: Task) -> str:
    """How steadiness is measured."""
    return _STABILITY_HELP.format(subject=task.words.subject, pixels=SHIFT)


def stability_value(correlation: float) -> str:
    """The correlation with two decimals; a dash where it cannot be said."""
    return "–" if math.isnan(correlation) else f"{correlation:.2f}"


def stability_meaning(task: Task, correlation: float) -> str:
    """What that correlation says, in one sentence."""
    if math.isnan(correlation):
        return "A heatmap that is the same everywhere cannot be compared."
    if correlation < 0.5:
        return "The heatmap jumps when the image is shifted a little: do not read its details. 1 would be steady."
    return f"1 is a heatmap that moves with the {task.words.subject} when the image is shifted, 0 one that jumps."


def contrast_pair(prediction: Prediction) -> tuple[str, str]:
    """Which two classes to compare first: the one that stands out and the most likely other.

    For the gravest class's look-alike it is the gravest: melanoma and nevus for a nevus.
    """
    task = prediction.task
    if prediction.dx == task.look_alike:
        return task.gravest, task.look_alike
    others = [dx for dx in task.codes if dx != prediction.dx]
    return prediction.dx, max(others, key=lambda dx: prediction.probabilities[task.index(dx)])


def contrast_alt(task: Task, dx: str, other: str) -> str:
    """The contrast map for those who do not see it."""
    return f"The image, orange where it favours {task.named(dx).name}, blue where it favours {task.named(other).name}"


def contrast_balance(difference: np.ndarray, dx: str, other: str) -> str:
    """How the colour divides between the two classes; `difference` as `model.explain.maps.contrast` gives it."""
    speaks_for, speaks_against = float(np.maximum(difference, 0).sum()), float(np.maximum(-difference, 0).sum())
    if speaks_for + speaks_against == 0:
        return f"No part of the image favours {dx} or {other}."
    share = speaks_for / (speaks_for + speaks_against)
    return f"{percent(share)} of the colour favours {dx}, {percent(1 - share)} {other}."


# --- Similar cases ---------------------------------------------------------------------------------------------------


def neighbour_lines(task: Task, neighbour: Neighbour) -> list[str]:
    """How the class of a training image was found, whom it shows, and where; plain text.

    What is not known is named, but for a task whose images come without any of it.
    """
    if task.facts:
        return [confirmed_by(neighbour), neighbour_facts(neighbour)]
    known = [
        *([] if neighbour.dx_type == UNKNOWN else [confirmed_by(neighbour)]),
        *([] if neighbour.age is None or math.isnan(neighbour.age) else [years(neighbour.age)]),
        *([] if neighbour.sex == UNKNOWN else [neighbour.sex]),
    ]
    return [", ".join(known)] if known else []


def neighbour_facts(neighbour: Neighbour) -> str:
    """Whom the image shows, and where."""
    return person_and_site(neighbour.age, neighbour.sex, neighbour.localization)


def confirmed_by(neighbour: Neighbour) -> str:
    """How the diagnosis of a training image was made."""
    if neighbour.dx_type == UNKNOWN:
        return "how it was confirmed is not stated"
    return f"confirmed by {DX_TYPES[neighbour.dx_type].lower()}"


def seen_in_training(task: Task, neighbour: Neighbour) -> str:
    """A remark on an image that the networks were trained on."""
    return (
        f"This is a training image, or a copy of one: {neighbour.image_id}, {task.titled(neighbour.dx)}, "
        f"{confirmed_by(neighbour)}. The networks know it, so its answer says little about how they do on new "
        f"{task.words.subjects}. "
        "It is left out below."
    )


def neighbours_disagree(task: Task, neighbours: Sequence[Neighbour], dx: str) -> str | None:
    """A remark where the neighbours' most frequent diagnosis is not the one that stands out."""
    most_frequent, share = majority(neighbours)
    if most_frequent == dx:
        return None
    return (
        f"The most frequent {task.words.label} among these {len(neighbours)} is {task.titled(most_frequent)} "
        f"({share * len(neighbours):.0f} of {len(neighbours)}); the {task.standout} is {task.titled(dx)}. "
        "Where the two differ, trust neither too much."
    )


def retrieval(task: Task, measured: dict[str, Any]) -> str:
    """How often similar cases share the diagnosis; `measured` is a `RetrievalMetrics` as the manifest stores it."""
    macro = measured["macro"]
    if macro["value"] is None:
        return f"How often similar cases share the {task.words.label} could not be measured."
    rate = MeasuredRate(macro["value"], macro["low"], macro["high"], measured["images"])
    return (
        f"Of the {measured['count']} training {task.words.subjects} nearest to a locked test image, {of_100(rate)} "
        "had its "
        f"{task.words.label}, averaged over the {task.count}; by chance {measured['macro_chance'] * 100:.0f} of 100."
    )


# --- Stress test -----------------------------------------------------------------------------------------------------


def stress_intro(task: Task) -> str:
    """What is asked; of artefacts only where they are drawn."""
    met = "ink, a ruler, hair or different light gets" if task.artefacts else "different light or focus gets"
    return (
        f"Does the answer hold when {met} in the way? The image is changed in {len(stresses_of(task))} ways and judged "
        "again, which takes a few seconds."
    )


def stress_progress(done: int, task: Task) -> str:
    """How far a running stress test is."""
    return f"Judged {done} of {len(stresses_of(task)) + 1} images"


def stress_range(task: Task, result: StressResult) -> str:
    """Between which values the probability of the positive side moved."""
    return (
        f"{task.question.positive.capitalize()} **{span(result.lowest, result.highest)}** over "
        f"{len(result.outcomes)} changes; "
        f"{percent(result.baseline)} as it is."
    )


def stress_flips(result: StressResult, threshold: float) -> str:
    """Which changes turn the decision at the threshold over."""
    limit = f"at the threshold of {one_decimal(threshold)}"
    changes = len(result.outcomes)
    if not result.flips:
        return f"None of the {changes} changes turns the decision {limit}. That it stays is no proof that it is right."
    verb = "turns" if len(result.flips) == 1 else "turn"
    names = "; ".join(outcome.name for outcome in result.outcomes if outcome.is_flipped)
    return f"{len(result.flips)} of {changes} changes {verb} the decision {limit}: {names}."


def stress_decision(is_flagged: bool, is_flipped: bool) -> str:
    """The decision on a changed image, and whether it is another one."""
    return ("flagged" if is_flagged else "not flagged") + (", turned" if is_flipped else "")


def stress_caption(outcome: StressOutcome) -> str:
    """The line under a changed image."""
    return f"{outcome.name}: {one_decimal(outcome.p_positive)}, {stress_decision(outcome.is_flagged, False)}"


def stress_table_label(result: StressResult) -> str:
    """The heading of the table of all answers."""
    return f"All {len(result.outcomes) + 1} answers"


def stress_rows(result: StressResult, threshold: float, most_probable: str) -> list[tuple[str, str, str, str]]:
    """Rows of that table: change, positive probability, flag, most likely class; the image as it is first."""
    first = (
        "as it is",
        one_decimal(result.baseline),
        stress_decision(result.baseline >= threshold, False),
        most_probable,
    )
    return [first] + [
        (
            outcome.name,
            one_decimal(outcome.p_positive),
            stress_decision(outcome.is_flagged, outcome.is_flipped),
            outcome.dx,
        )
        for outcome in result.outcomes
    ]
