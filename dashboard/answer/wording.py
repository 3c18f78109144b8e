"""Text about an answer that Review, Cases, paper and exports share.

Three rules: unsure is never shown as safe; a number carries its interval and its n; nobody is told what to do, only
what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dashboard.shell.formats import one_decimal, percent, span
from dashboard.shell.glossary import standout_meaning
from data.tasks.task import Task
from model.analysis.quality import REFUSED, Quality, advice
from model.explain.maps import Explanation
from model.images.framing import Framing
from model.images.rejection import Remark
from model.inference.artifact import Artifact
from model.inference.classifier import Prediction
from model.inference.measured import EdgeResult, ExternalResult, GroupRate, MeasuredRate, OperatingPoint, Repeats
from model.measures.intervals import Estimate
from model.measures.shares import difference_of_sums

# Judged as surely: sensitivity and specificity together are not lower by more than this, at the end of the interval.
SAME_SURENESS = 0.1

_HEATMAP_LIMITS = """
- The heatmap shows which parts of the image **raised the score of the chosen class** in this network. It is not an
  outline of the {subject} and does not show where disease is.
- Its grid is coarse: {rows} x {columns} cells over the whole image, smoothed for display.
- Each class is scaled to its own maximum. A bright spot for an unlikely class is still an unlikely class.
- A wrong answer can have a convincing heatmap. {distractions} can raise scores too.
- It is no evidence for or against a {step}. The decision stays with the person who sees the patient.
"""


def original_alt(task: Task) -> str:
    return f"The uploaded {task.words.image}"


def prepared_alt(task: Task) -> str:
    return f"The {task.words.image} as the network was shown it"


def prepared_note(height: int, width: int) -> str:
    """What the picture beside an image is, where more was done to it than fitting it to the network's input."""
    return f"The network was shown this part of the image alone, prepared like this, at {width} x {height} px."


def heatmap_limits(task: Task, rows: int, columns: int) -> str:
    """What a heatmap of so many cells does not say."""
    return task.worded(_HEATMAP_LIMITS, rows=str(rows), columns=str(columns), step=task.awaited[0])


_AS_READ: dict[Remark, str] = {
    "profile_ignored": (
        "The file's colour profile is broken or belongs to another kind of image: colours are read as sRGB and may be "
        "off. Export the image as sRGB to be sure."
    ),
    "first_page": "The file holds several images; only the first one was read.",
}


def warnings(
    quality: Quality, framing: Framing, task: Task, edge: EdgeResult | None, as_read: Sequence[Remark] = ()
) -> list[str]:
    """Amber remarks on an image that was answered, and on how its file was read.

    Args:
        quality: of the image.
        framing: of the image.
        task: what the model tells apart.
        edge: what was measured for images at the edge of what the model knows; None where nothing was.
        as_read: what is to be said of the file.
    """
    remarks = [*(_AS_READ[remark] for remark in as_read)]
    for issue in quality.issues:
        if issue not in REFUSED:
            measured = f" {edge_found(task, edge)}" if issue == "at_the_edge" and edge is not None else ""
            remarks.append(f"{advice(issue, task)}{measured}")
    if framing.seen_share < 0.99 and not framing.is_of_field:
        remarks.append(
            f"The network takes 4:3 images and saw the central {percent(framing.seen_share)} of this one; "
            f"keep the {task.words.subject} in the middle."
        )
    return remarks


def _missed_of_100(rate: Estimate) -> str:
    """Never 0: that would read as if none could be missed."""
    return "fewer than 1" if rate.value < 0.005 else f"{rate.value * 100:.0f}"


def _of_group(group: GroupRate) -> str:
    return f"of this age ({group.group})" if group.attribute == "age" else f"of this site ({group.group})"


def edge_found(task: Task, edge: EdgeResult, images: str = "Images like this") -> str:
    """How images at the edge of what the model knows were judged, against the others."""
    question = task.question
    at_edge, inside = edge.edge, edge.inside
    if not (at_edge.sensitivity.n and at_edge.specificity.n):
        return f"{images} were too few to measure how surely they are judged."
    # Sensitivity and specificity together: a threshold may find more there only because it flags nearly everything.
    loss = difference_of_sums((inside.sensitivity, inside.specificity), (at_edge.sensitivity, at_edge.specificity))
    if loss.low > 0:
        judged = "were judged less surely"
    elif loss.high <= SAME_SURENESS:
        judged = "were judged as surely as others"
    else:
        judged = "may be judged less surely (too few were measured to tell)"
    return (
        f"{images} {judged}: at the usual threshold "
        f"{of_100(at_edge.sensitivity, f'{question.positive} ones')} and "
        f"{of_100(at_edge.specificity.of_others, f'{question.negative} ones')} were flagged, against "
        f"{inside.sensitivity.value * 100:.0f} and {inside.specificity.of_others.value * 100:.0f} of 100 of the others."
    )


def of_100(rate: MeasuredRate, what: str = "") -> str:
    """`95 of 100 malignant images (95 % interval 91 to 98, n = 290)`; without `what`, the images stand behind n."""
    counted = f"{rate.value * 100:.0f} of 100{f' {what}' if what else ''}"
    n = f"n = {rate.n:,}{'' if what else ' images'}"
    return f"{counted} (95 % interval {rate.low * 100:.0f} to {rate.high * 100:.0f}, {n})"


def missed(task: Task, sensitivity: MeasuredRate, group: GroupRate | None = None) -> str:
    """How many positive images a threshold was measured to miss; without the interval where that was not kept.

    Args:
        task: what the model tells apart.
        sensitivity: of all test images.
        group: of the patient's age or the site, where it was measured; then the sentence is about that.
    """
    if group is not None:
        low, high = _outwards(group.of_others)
        return (
            f"at this threshold, of 100 {task.question.positive} test images {_of_group(group)}, "
            f"{_missed_of_100(group.of_others)} (95 % interval {low} to {high}, n = {group.lesions:,} "
            f"{task.words.subjects}) were not flagged either."
        )
    positive, rate = task.question.positive, sensitivity.of_others
    if math.isnan(rate.value):
        return f"how many {positive} {task.words.subjects} it misses could not be measured."
    measured = f" (95 % interval {' to '.join(map(str, _outwards(rate)))}, n = {rate.n:,})" if rate.n else ""
    return f"at this threshold {_missed_of_100(rate)} of 100 {positive} test images{measured} were not flagged either."


def elsewhere(task: Task, result: ExternalResult | None, is_flagged: bool) -> str:
    """What a threshold did at the other clinics where it did worst, end to end; nothing where none was measured."""
    if result is None:
        return ""
    positives, noun = result.positives, _positive_noun(task, result)
    place = f"At other clinics ({result.source})"
    if is_flagged:
        negative = "other" if "positive" not in result.outcomes else task.question.negative
        return (
            f"{place} it flagged {of_100(positives.flagged, noun)} and "
            f"{of_100(result.outcomes['negative'].flagged, f'{negative} images')}."
        )
    return (
        f"{place}, of 100 {noun}, {_counted(positives.not_flagged)} were not flagged and "
        f"{_counted(positives.not_answered)} got no answer (n = {positives.flagged.n:,})."
    )


def confirmed(task: Task, specificity: Estimate | None) -> str:
    """How many of the negative subjects that someone had excised are flagged; nothing where it was not measured."""
    if specificity is None:
        return ""
    value, low, high = (round((1 - share) * 100, 6) for share in (specificity.value, specificity.high, specificity.low))
    return (
        f"Of {task.question.negative} {task.words.subjects} that were biopsied or excised it flagged {value:.0f} of "
        f"100 (95 % interval {math.floor(low)} to {math.ceil(high)})."
    )


def _positive_noun(task: Task, result: ExternalResult) -> str:
    """`melanomas` where the positive images there are of no other class."""
    if result.outcomes["gravest"].flagged.n == result.positives.flagged.n:
        return task.named(task.gravest).plural
    return f"{task.question.positive} images"


def _counted(rate: MeasuredRate) -> str:
    """`11 (95 % interval 6 to 18)`, rounded outwards."""
    low, high = _outwards(rate)
    return f"{rate.value * 100:.0f} (95 % interval {low} to {high})"


def _outwards(rate: Estimate) -> tuple[int, int]:
    """Bounds in percent, rounded outwards, but not by the last bits of a float."""
    return math.floor(round(rate.low * 100, 6)), math.ceil(round(rate.high * 100, 6))


def repeats(task: Task, measured: Repeats | None) -> str:
    """How far the answers to repeat photographs differ at this level; nothing where that was not measured."""
    if measured is None:
        return ""
    return (
        f"At this level, {measured.share * 100:.0f} of 100 repeat photographs of one {task.words.subject} differ by up "
        f"to {_points(measured.difference)} (n = {measured.pairs:,} comparisons)."
    )


def beyond_repeats(old: float, new: float, measured: Repeats | None) -> str:
    """Whether a difference of two answers is more than repeat photographs show; nothing where that is not known."""
    if measured is None:
        return ""
    is_beyond = abs(new - old) > measured.difference
    return f"{'beyond' if is_beyond else 'within'} what repeat photographs show (up to {_points(measured.difference)})"


def _points(difference: float) -> str:
    """Rounded up: `up to` holds for what was measured."""
    points = math.ceil(round(difference * 100, 6))
    return "1 point" if points == 1 else f"{points} points"


def operating_point_name(point: OperatingPoint) -> str:
    """What the reader chooses between."""
    return f"set for {percent(point.target_sensitivity)} sensitivity"


def leading_class(prediction: Prediction, is_flagged: bool) -> str:
    """The dx code the page leads with: the most probable class, or, if flagged, the most probable positive one.

    A flagged image under the name of a negative class would contradict itself.
    """
    task = prediction.task
    candidates = task.question.positives if is_flagged else task.codes
    return max(candidates, key=lambda dx: prediction.probabilities[task.index(dx)])


def population(artifact: Artifact) -> str:
    """Whose probabilities these are."""
    task, prior = artifact.task, artifact.calibration.prior
    share, commonest = percent(max(prior)), task.classes[int(np.argmax(prior))]
    return (
        f"Probabilities are calibrated for {artifact.calibration.population}, where {share} of the images show "
        f"{commonest.plural}. Where {task.question.positive} {task.words.subjects} are rarer, the true chance is "
        "lower; where they are more common, higher."
    )


# --- Prediction set --------------------------------------------------------------------------------------------------


def set_name(level: float) -> str:
    """`90 % set`."""
    return f"{percent(level)} set"


def prediction_set(task: Task, conformal_set: Sequence[str], level: float) -> str:
    """The classes of a prediction set, the most probable first; plain text. What is not in it is not excluded."""
    return f"{set_name(level)}: {', '.join(task.titled(dx) for dx in conformal_set)}."


def set_without_flag(task: Task, conformal_set: Sequence[str], is_flagged: bool) -> str | None:
    """A remark on a set of an earlier version, which could leave out why the image was flagged."""
    if not is_flagged or any(task.is_positive(dx) for dx in conformal_set):
        return None
    return (
        f"This set was saved by an earlier version and holds no {task.question.positive} {task.words.label}, although "
        "the image was flagged: the flag counts."
    )


# --- Most likely, and standing out -----------------------------------------------------------------------------------


def most_likely(task: Task, probabilities: Sequence[float] | np.ndarray) -> str:
    """The code with the highest probability; the first in the task's order on a tie."""
    return task.codes[int(np.argmax(probabilities))]


def two_names(task: Task, probabilities: Sequence[float] | np.ndarray, dx: str) -> list[tuple[str, str]]:
    """What the most likely class and `dx`, which stands out, are called, and their codes; one pair for one class."""
    likely = most_likely(task, probabilities)
    if likely == dx:
        return [(f"most likely and {task.standout}", dx)]
    return [("most likely", likely), (task.standout, dx)]


def class_and_share(task: Task, probabilities: Sequence[float] | np.ndarray, dx: str) -> str:
    """`Melanoma (mel), 39 %.`"""
    return f"{task.titled(dx)}, {percent(float(probabilities[task.index(dx)]))}."


def both_names(task: Task, probabilities: Sequence[float] | np.ndarray, dx: str, population: str) -> str:
    """The most likely class and the one that stands out, `dx`, and why these are two, as sentences of plain text."""
    named = two_names(task, probabilities, dx)
    sentences = [f"{name.capitalize()}: {class_and_share(task, probabilities, code)}" for name, code in named]
    return " ".join([*sentences, *([standout_meaning(task, population)] if len(named) > 1 else [])])


# --- Agreement -------------------------------------------------------------------------------------------------------


def agreement(task: Task, member_p_positive: Sequence[float] | np.ndarray, threshold: float) -> tuple[str, bool] | None:
    """How far the networks of an ensemble agree, and whether all are on one side of the threshold.

    Returns:
        The sentence, and False where some networks would flag the image and some would not; None for one network.
    """
    members = len(member_p_positive)
    if members < 2:
        return None
    low, high = float(min(member_p_positive)), float(max(member_p_positive))
    put = f"the {task.question.positive} probability at {span(low, high)}"
    sentence = f"Asked one by one, the {members} networks behind this answer put {put}."
    if low < threshold <= high:
        return f"{sentence} They disagree on whether it is flagged (threshold {one_decimal(threshold)}).", False
    return sentence, True


def heatmap_alt(name: str) -> str:
    return f"Heatmap: what raised the score of {name}"


def heatmap_note(task: Task, explanation: Explanation, dx: str, named: str) -> str:
    """How the shown map compares with the others, since each is scaled by its own maximum; `named` stands out."""
    if not explanation.has_evidence(dx):
        return no_evidence(task, dx, named)
    if len(explanation.classes) == 1 or dx == explanation.strongest:
        return "Brighter means it raised the class score more; clear means no evidence."
    return (
        f"The strongest evidence for {dx} is {percent(explanation.strength(dx))} of that for {explanation.strongest}; "
        "each map is scaled to its own maximum."
    )


def no_evidence(task: Task, dx: str, named: str) -> str:
    """A class without a heatmap worth drawing; `named` is the one that stands out, for which that needs a word."""
    sentence = f"No positive evidence for {task.titled(dx)}: nothing in this image raised its score noticeably."
    if dx != named:
        return sentence
    return (
        f"{sentence} It is the {task.standout} all the same, because the other scores fell further; a heatmap shows "
        "only what raises a score."
    )
