"""What a saved case says, wherever it is shown: Cases page, paper and exports.

Unsure is never shown as safe, also in a case that was saved long ago; what is typed by a user is escaped.
"""

from __future__ import annotations

import math

from dashboard.answer.wording import of_100
from dashboard.shell import resources
from dashboard.shell.formats import escape, one_decimal
from data.cases.case import ModelResult, Refusal
from model.analysis.case_record import is_of_model, recorded_rates
from model.inference.artifact import ArtifactMismatch, MeasuredRate

NO_OWN_READ = "not asked for"
# Of an own read: the reader had seen the AI's answer to this image on an earlier occasion.
INFORMED = "given after the answer had been shown"
INFORMED_NOT_COMPARED = f"The own read was {INFORMED}, so it is not compared with the decision."
NO_BIOPSY = "no result yet"
NO_ANSWER = "no answer"
# Why an image was refused, by the remark that forbade an answer (`model.analysis.quality`).
_REASONS = {
    "too_dark": "is too dark",
    "too_bright": "is over-exposed",
    "no_contrast": "shows almost no structure",
    "out_of_distribution": "does not look like the {images} that the model knows",
}


AFTER_THE_ANSWER = "after the answer"


def listed_own_read(name: str, is_informed: bool | None) -> str:
    """The own read as one cell of a table: `Melanoma`, `Melanoma (after the answer)`, or nothing."""
    return f"{name} ({AFTER_THE_ANSWER})" if name and is_informed else name


def refused(refusal: Refusal) -> str:
    """That there is no answer, and why; plain text."""
    reason = _REASONS.get(refusal.reason, "was refused: {reason}")
    return f"No answer from the AI: the image {refusal.task.worded(reason, reason=refusal.reason.replace('_', ' '))}."


def saved_verdict(result: ModelResult) -> str:
    """Whether the image was flagged when it was saved, never that it is safe; Markdown."""
    flag, meaning = verdict_parts(result)
    return f"**{flag}** {meaning}"


def verdict_parts(result: ModelResult) -> tuple[str, str]:
    """The flag of a saved answer and what it means: the one wording for the screen, on paper and in exports."""
    positive = result.task.question.positive
    compared = f"{positive} {one_decimal(result.p_positive)}, threshold {one_decimal(result.threshold)}"
    if result.is_flagged:
        return f"Flagged as possibly {positive}", f"({compared})."
    return "Not flagged", f"({compared}). That is not an all-clear: {saved_missed(result)}"


def saved_missed(result: ModelResult) -> str:
    """How many positive images the saved threshold was measured to miss."""
    positive, subjects = result.task.question.positive, result.task.words.subjects
    if math.isnan(result.sensitivity):
        return f"how many {positive} {subjects} it misses could not be measured."
    missed = saved_rates(result)[0].of_others
    shown = "fewer than 1" if missed.value < 0.005 else f"{missed.value * 100:.0f}"
    measured = (
        f" (95 % interval {missed.low * 100:.0f} to {missed.high * 100:.0f}, n = {missed.n:,})" if missed.n else ""
    )
    return f"at this threshold {shown} of 100 {positive} test images{measured} were not flagged either."


def saved_rates(result: ModelResult) -> tuple[MeasuredRate, MeasuredRate]:
    """Sensitivity and specificity of the saved threshold, as they were measured of the model that gave the answer.

    Interval and n were not kept with older cases: they are those of the present model where it is the same one, at the
    same threshold; else the interval is NaN and n is 0.
    """
    return (
        recorded_rates(result)
        or _rates_of_present_model(result)
        or (_bare(result.sensitivity), _bare(result.specificity))
    )


def _rates_of_present_model(result: ModelResult) -> tuple[MeasuredRate, MeasuredRate] | None:
    try:
        artifact = resources.artifact()
    except ArtifactMismatch:
        return None
    points = {(point.name, point.threshold): point for point in artifact.operating_points}
    point = points.get((result.operating_point, result.threshold))
    if point is None or not is_of_model(result, artifact):
        return None
    return point.sensitivity, point.specificity


def _bare(value: float) -> MeasuredRate:
    return MeasuredRate(value, math.nan, math.nan, 0)


def saved_meaning(result: ModelResult) -> str:
    """What the saved threshold was measured to do, by the model that gave the answer."""
    if math.isnan(result.sensitivity) or math.isnan(result.specificity):
        return f"Threshold set for {escape(point_name(result))}; what it does could not be measured."
    return f"{finds_and_flags(result)} (model {model_name(result)})."


def point_name(result: ModelResult) -> str:
    """What the chosen threshold was set for, in words: `95 % sensitivity`."""
    aim, _, share = result.operating_point.rpartition("_")
    return f"{share} % {aim.replace('_', ' ')}" if share.isdecimal() else result.operating_point.replace("_", " ")


def finds_and_flags(result: ModelResult) -> str:
    """What a threshold was measured to do, without full stop; only where it could be measured."""
    question, subjects = result.task.question, result.task.words.subjects
    sensitivity, specificity = saved_rates(result)
    missing = "" if sensitivity.n and specificity.n else " (interval and n were not kept with this case)"
    return (
        f"At this threshold the model flags {_of_100(sensitivity, question.positive)} and "
        f"{_of_100(specificity.of_others, question.negative)}, measured on the locked test "
        f"{subjects} of {result.task.dataset.name}{missing}"
    )


def _of_100(rate: MeasuredRate, side: str) -> str:
    what = f"{side} images"
    return of_100(rate, what) if rate.n else f"{rate.value * 100:.0f} of 100 {what}"


def model_name(result: ModelResult | Refusal) -> str:
    """`skin 2.0` for Markdown."""
    return escape(plain_model_name(result))


def plain_model_name(result: ModelResult | Refusal) -> str:
    """`skin 2.0`."""
    return f"{result.model_name} {result.model_version}"
