"""What a saved case says, wherever it is shown: Cases page, paper and exports.

Unsure is never shown as safe, also in a case that was saved long ago; what is typed by a user is escaped.
"""

from __future__ import annotations

import math

from dashboard.answer.wording import beyond_repeats, confirmed, elsewhere, missed, of_100
from dashboard.resources import models
from dashboard.shell.formats import escape, one_decimal
from data.cases.case import Case, ModelResult, Refusal
from model.analysis.case_record import is_of_model, recorded_rates
from model.inference.artifact import Artifact, ArtifactMismatch
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.measured import EdgeResult, MeasuredRate

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
    "too_blurred": "is too blurred to be judged",
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


def saved_verdict(result: ModelResult, facts: PatientFacts = NO_FACTS) -> str:
    """Whether the image was flagged when it was saved, never that it is safe; Markdown."""
    flag, meaning = verdict_parts(result, facts)
    return f"**{flag}** {meaning}"


def verdict_parts(result: ModelResult, facts: PatientFacts = NO_FACTS) -> tuple[str, str]:
    """The flag of a saved answer and what it means for such a patient: the one wording for the screen, on paper and in
    exports."""
    positive = result.task.question.positive
    compared = f"{positive} {one_decimal(result.p_positive)}, threshold {one_decimal(result.threshold)}"
    if result.is_flagged:
        return f"Flagged as possibly {positive}", f"({compared})."
    promise = f"That is not an all-clear: {saved_missed(result, facts)} {saved_elsewhere(result, is_flagged=False)}"
    return "Not flagged", f"({compared}). {promise.strip()}"


def facts_of(case: Case) -> PatientFacts:
    """What a case says of the patient and the place."""
    return PatientFacts(case.patient.age, case.lesion.site)


def saved_missed(result: ModelResult, facts: PatientFacts = NO_FACTS) -> str:
    """How many positive images the saved threshold was measured to miss, of such patients where that is known of the
    model that gave the answer."""
    is_known = not math.isnan(result.sensitivity)
    artifact = _present_model(result)
    at_threshold = result.operating_point, result.threshold
    group = None if artifact is None else artifact.group_sensitivity(*at_threshold, facts)
    return missed(result.task, saved_rates(result)[0] if is_known else _bare(math.nan), group)


def saved_elsewhere(result: ModelResult, is_flagged: bool) -> str:
    """What the saved threshold did at other clinics, as far as it was measured of the model that gave the answer."""
    artifact = _present_model(result)
    other = None if artifact is None else artifact.elsewhere(result.operating_point, result.threshold)
    return elsewhere(result.task, other, is_flagged)


def beside_a_flag(result: ModelResult) -> str:
    """The same, and what the threshold did to excised subjects; what stands beside `not flagged` is about misses."""
    if not result.is_flagged:
        return ""
    artifact = _present_model(result)
    at_threshold = result.operating_point, result.threshold
    excised = None if artifact is None else artifact.confirmed_specificity(*at_threshold)
    return " ".join(filter(None, (confirmed(result.task, excised), saved_elsewhere(result, is_flagged=True))))


def saved_edge(result: ModelResult) -> EdgeResult | None:
    """What was measured for images at the edge of what the model knows, of the model that gave the answer."""
    artifact = _present_model(result)
    return artifact.edges[0] if artifact is not None and artifact.edges else None


def saved_beyond_repeats(earlier: ModelResult, later: ModelResult) -> str:
    """Whether two answers of the present model differ by more than repeat photographs do; nothing of other models."""
    artifact = _present_model(later)
    if artifact is None or not is_of_model(earlier, artifact):
        return ""
    old, new = earlier.p_positive, later.p_positive
    compared = beyond_repeats(old, new, artifact.repeats_around((old + new) / 2))
    return f"The change of the {later.task.question.positive} probability is {compared}." if compared else ""


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
    artifact = _present_model(result)
    points = {} if artifact is None else {(point.name, point.threshold): point for point in artifact.operating_points}
    point = points.get((result.operating_point, result.threshold))
    return None if point is None else (point.sensitivity, point.specificity)


def _present_model(result: ModelResult) -> Artifact | None:
    """The artifact at hand, where it is the one that gave the answer."""
    try:
        artifact = models.artifact_of(result.task)
    except ArtifactMismatch:
        return None
    return artifact if artifact is not None and is_of_model(result, artifact) else None


def _bare(value: float) -> MeasuredRate:
    return MeasuredRate(value, math.nan, math.nan, 0)


def saved_meaning(result: ModelResult) -> str:
    """What the saved threshold was measured to do, by the model that gave the answer."""
    if math.isnan(result.sensitivity) or math.isnan(result.specificity):
        return f"Threshold set for {escape(point_name(result))}; what it does could not be measured."
    return f"{finds_and_flags(result)} (model {model_name(result)}). {beside_a_flag(result)}".strip()


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
