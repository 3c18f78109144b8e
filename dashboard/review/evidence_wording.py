"""Every text of the Review page's panels below the answer: evidence, contrast, similar cases, other populations.

The rules of `dashboard.review.wording` hold here as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.answer.wording import between, name_and_code, of_100
from dashboard.shell.formats import one_decimal, percent
from data.tasks.skin import DX_CODES, DX_TYPES, diagnosis
from model.explain.neighbours import Neighbour, majority
from model.explain.stress import STRESS_KEYS, StressOutcome, StressResult
from model.inference.artifact import MeasuredRate, OperatingPoint
from model.inference.classifier import Prediction

PREVALENCE_HEADING = "At your clinic's share of malignant lesions"
PREVALENCE_LABEL = "Malignant among the lesions you image"
EVIDENCE_HEADING = "Where the heatmap lies"
EVIDENCE_CLASS = "Heatmap of"
INSIDE_LABEL = "Inside the lesion"
INSIDE_HELP = (
    "Of everything that raised the score, the share inside the lesion as the networks outline it. "
    "*Sum of the heatmap where p(lesion) is 50 % or more, divided by its sum over the image.*"
)
STABILITY_LABEL = "Steady when shifted"
COMPUTING_STABILITY = "Shifting the image ..."
STABILITY_HELP = (
    "Whether the heatmap moves with the lesion when the image is shifted. "
    "*Mean Pearson correlation of the heatmap with those of two copies, shifted by {pixels} pixels of the network's "
    "input down and right, or up and left, and shifted back.*"
)
CONTRAST_HEADING = "Why one diagnosis rather than another"
CONTRAST_LIMITS = (
    "The colours show where the image moved the two scores of the networks apart, not which of the two is right. The "
    "prediction also weighs in how common each diagnosis is; the colours do not."
)
SIMILAR_HEADING = "Similar cases"
SIMILAR_HELP = (
    "The training lesions that the networks describe most alike, one image each. What the networks find alike need not "
    "look alike to a person. *Distance is 1 - cosine of the angle between the embeddings' principal components: 0 is "
    "the same, 1 has nothing in common.*"
)
NO_THUMBNAILS = "Their images appear here when `DATASET_DIR` names a HAM10000 folder."
STRESS_HEADING = "Stress test"
STRESS_HELP = (
    "Each change is drawn onto a copy of this image, and the model is asked again. A drawing is no recording: real "
    "rulers lie under the glass, and real hair casts shadows."
)
STRESS_INTRO = (
    "Does the answer stay when ink, a ruler, hair or other light comes between? The image is changed in "
    f"{len(STRESS_KEYS)} ways and judged again, which takes a few seconds."
)
STRESS_BUTTON = "Run the stress test"
STRESS_TABLE_HEADERS = ("change", "malignant", "decision", "most probable")


# --- Another share of malignant lesions ------------------------------------------------------------------------------


def one_in(share: float) -> str:
    """`1 in 24`, `1 in 1.5`, `none`; N has one decimal below 10."""
    if math.isnan(share):
        return "an unknown share"
    if share <= 0:
        return "none"
    per_case = 1 / share
    return f"1 in {per_case:.1f}".removesuffix(".0") if per_case < 9.95 else f"1 in {per_case:,.0f}"


def span(low: float, high: float) -> str:
    """`18 % to 24 %`, or one value where both read the same."""
    if math.isnan(low) or math.isnan(high):
        return "range unknown"
    return between(low, high)


def flagged_at(ppv: float, low: float, high: float) -> str:
    """What a flag means at a prevalence: PPV and its range."""
    if math.isnan(ppv):
        return "**Flagged:** how many are malignant cannot be said."
    return (
        f"**Flagged:** {one_in(ppv)} is malignant ({one_in(low)} to {one_in(high)}). "
        f"PPV {percent(ppv)}, {span(low, high)}."
    )


def unflagged_at(npv: float, low: float, high: float) -> str:
    """What no flag means at a prevalence: NPV and its range."""
    if math.isnan(npv):
        return "**Not flagged:** how many are malignant cannot be said."
    return (
        f"**Not flagged:** {one_in(1 - npv)} is malignant ({one_in(1 - low)} to {one_in(1 - high)}). "
        f"NPV {percent(npv)}, {span(low, high)}."
    )


def this_image_at(p_malignant: float, reweighed: float, share: float, prevalence: float) -> str:
    """The image's own probability where `share` of the lesions are malignant, and where `prevalence` are."""
    return (
        f"**This image:** malignant {one_decimal(reweighed)} where {one_decimal(prevalence)} of the lesions are; "
        f"{one_decimal(p_malignant)} in HAM10000, where {one_decimal(share)} are."
    )


def prevalence_limits(point: OperatingPoint) -> str:
    """Where the figures of another prevalence come from, and what they assume."""
    return (
        f"From what was measured on locked test lesions: sensitivity {of_100(point.sensitivity)} and specificity "
        f"{of_100(point.specificity)}. Ranges take both at the low and both at the high end. They hold only where "
        "malignant and benign lesions look as they do in HAM10000: a clinic with easier or harder cases differs."
    )


# --- Evidence --------------------------------------------------------------------------------------------------------


def inside_value(share: float) -> str:
    """The share of a heatmap inside the lesion; a dash where no lesion is seen."""
    return "–" if math.isnan(share) else percent(share)


def inside_meaning(share: float) -> str:
    """What that share says, in one sentence."""
    if math.isnan(share):
        return "The networks outline no lesion in this image, so the share cannot be said."
    if share < 0.5:
        return "Most of it lies outside the lesion: skin, ink, hair or the rim raised the score. Read it with doubt."
    return "The rest lies on the skin around it."


def stability_value(correlation: float) -> str:
    """The correlation with two decimals; a dash where it cannot be said."""
    return "–" if math.isnan(correlation) else f"{correlation:.2f}"


def stability_meaning(correlation: float) -> str:
    """What that correlation says, in one sentence."""
    if math.isnan(correlation):
        return "A heatmap that is the same everywhere cannot be compared."
    if correlation < 0.5:
        return "The heatmap jumps when the image is shifted a little: do not read its details. 1 would be steady."
    return "1 is a heatmap that moves with the lesion when the image is shifted, 0 one that jumps."


def contrast_pair(prediction: Prediction) -> tuple[str, str]:
    """Which two classes to compare first: the predicted one and the most probable other; mel and nv for a nevus."""
    if prediction.dx == "nv":
        return "mel", "nv"
    others = [dx for dx in DX_CODES if dx != prediction.dx]
    return prediction.dx, max(others, key=lambda dx: prediction.probabilities[DX_CODES.index(dx)])


def contrast_alt(dx: str, other: str) -> str:
    """The contrast map for those who do not see it."""
    return f"The image, orange where it speaks for {diagnosis(dx).name}, blue where for {diagnosis(other).name}"


def contrast_balance(difference: np.ndarray, dx: str, other: str) -> str:
    """How the colour divides between the two classes; `difference` as `model.explain.maps.contrast` gives it."""
    speaks_for, speaks_against = float(np.maximum(difference, 0).sum()), float(np.maximum(-difference, 0).sum())
    if speaks_for + speaks_against == 0:
        return f"The image does not speak for {dx} or {other} anywhere."
    share = speaks_for / (speaks_for + speaks_against)
    return f"{percent(share)} of the colour speaks for {dx}, {percent(1 - share)} for {other}."


# --- Similar cases ---------------------------------------------------------------------------------------------------


def neighbour_facts(neighbour: Neighbour) -> str:
    """Whose lesion it is, and where."""
    years = "age unknown" if neighbour.age is None else f"{neighbour.age:.0f} years"
    person = "sex unknown" if neighbour.sex == "unknown" else neighbour.sex
    site = "site unknown" if neighbour.localization == "unknown" else neighbour.localization
    return f"{years}, {person}, {site}"


def confirmed_by(neighbour: Neighbour) -> str:
    """How the diagnosis of a training lesion was made."""
    return f"confirmed by {DX_TYPES[neighbour.dx_type].lower()}"


def seen_in_training(neighbour: Neighbour) -> str:
    """A remark on an image that the networks were trained on."""
    return (
        f"This is a training image, or a copy of one: {neighbour.image_id}, {name_and_code(neighbour.dx)}, "
        f"{confirmed_by(neighbour)}. The networks know it, so its answer says little about how they do on new lesions. "
        "It is left out below."
    )


def neighbours_disagree(neighbours: Sequence[Neighbour], dx: str) -> str | None:
    """A remark where the neighbours' most frequent diagnosis is not the predicted one."""
    most_frequent, share = majority(neighbours)
    if most_frequent == dx:
        return None
    return (
        f"The most frequent diagnosis among these {len(neighbours)} is {name_and_code(most_frequent)} "
        f"({share * len(neighbours):.0f} of {len(neighbours)}); the prediction is {name_and_code(dx)}. "
        "Where the two differ, trust neither too much."
    )


def retrieval(measured: dict[str, Any]) -> str:
    """How often similar cases share the diagnosis; `measured` is a `RetrievalMetrics` as the manifest stores it."""
    macro = measured["macro"]
    if macro["value"] is None:
        return "How often similar cases share the diagnosis could not be measured."
    rate = MeasuredRate(macro["value"], macro["low"], macro["high"], measured["images"])
    return (
        f"Of the {measured['count']} training lesions nearest to a locked test image, {of_100(rate)} had its "
        f"diagnosis, averaged over the seven; by chance {measured['macro_chance'] * 100:.0f} of 100."
    )


# --- Stress test -----------------------------------------------------------------------------------------------------


def stress_progress(done: int) -> str:
    """How far a running stress test is."""
    return f"Judged {done} of {len(STRESS_KEYS) + 1} images"


def stress_range(result: StressResult) -> str:
    """Between which values the malignant probability moved."""
    return (
        f"Malignant **{between(result.lowest, result.highest)}** over {len(result.outcomes)} changes; "
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
    return f"{outcome.name}: {one_decimal(outcome.p_malignant)}, {stress_decision(outcome.is_flagged, False)}"


def stress_table_label(result: StressResult) -> str:
    """The heading of the table of all answers."""
    return f"All {len(result.outcomes) + 1} answers"


def stress_rows(result: StressResult, threshold: float, most_probable: str) -> list[tuple[str, str, str, str]]:
    """Rows of that table: change, malignant probability, decision, most probable class; the image as it is first."""
    first = (
        "as it is",
        one_decimal(result.baseline),
        stress_decision(result.baseline >= threshold, False),
        most_probable,
    )
    return [first] + [
        (
            outcome.name,
            one_decimal(outcome.p_malignant),
            stress_decision(outcome.is_flagged, outcome.is_flipped),
            outcome.dx,
        )
        for outcome in result.outcomes
    ]
