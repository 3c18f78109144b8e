"""Every text of the Review page that is more than a label.

Three rules: unsure is never shown as safe; a number carries its interval and its n; nobody is told what to do, only
what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.answer.diagnosis import choices
from dashboard.answer.wording import (
    class_and_share,
    confirmed,
    elsewhere,
    leading_class,
    missed,
    most_likely,
    of_100,
    two_names,
)
from dashboard.review import focus
from dashboard.review.state import Progress
from dashboard.shell.formats import escape, one_decimal, percent
from dashboard.shell.glossary import standout_meaning
from data.tasks.task import Task
from model.analysis.quality import Quality, advice
from model.explain.keras_worker import WorkerFailed
from model.images.rejection import ImageRejected
from model.inference.artifact import Artifact
from model.inference.classifier import Prediction
from model.inference.conformal import (
    ADAPTIVE,
    CLASS_CONDITIONAL,
    CONTIGUOUS,
    CONTIGUOUS_BY_CLASS,
    PRIOR_WEIGHTED,
    ConformalSets,
)
from model.inference.measured import ExternalResult, GroupRate, MeasuredRate, OperatingPoint
from model.measures.intervals import Estimate

EMPTY = (
    "Drop a {image} below, photograph one with a phone attachment, or open a sample. It is analysed in the "
    "memory of the server that runs LesionLens; no image and no entry is stored before you save a case."
)
NO_SUCH_IMAGE = "The link asks for an image that the dataset folder does not hold."
UPLOADER = "{Images} (JPEG, PNG, TIFF, WebP, BMP, DICOM; one {subject} each)"
INTENDED_USE_HEADING = "Before you start"
INTENDED_USE_KEPT = (
    "**What is kept.** Images are analysed in the memory of the server that runs LesionLens. Your queue and what you "
    "typed are held there for this browser tab, for you alone, and go after an hour or when you sign out; after a "
    "refresh of the page they are back. No image and no entry is stored before you press **Save case**. Once you have "
    "seen an answer, one thing is stored, for a year: that you have seen the answer to a file with this fingerprint, "
    "so that a later read of yours is not taken for an unaided one. Open no image on which a name, a face or another "
    "person can be recognised."
)
INTENDED_USE_BUTTON = "I have read this"
CLOSE_THIS = "Close this image"
CLOSE_HEADING = "Close without saving?"
KEEP_OPEN, CLOSE_UNSAVED = "Keep open", "Close without saving"
TAKE_PHOTO, SENDING_PHOTO = "Take a photo", "Sending the photo ..."
QUEUE_LIST = "Images of the queue"
TABLE_CAPTION = "Images of the queue, highest risk first; the button with the picture shows an image"
NO_PICTURE = "No image"
# What a screen reader calls the parts that a step leads to.
REGIONS = {
    focus.IMAGE: "Image",
    focus.REFUSED: "Image without an answer",
    focus.ANSWER: "The AI's answer",
    focus.SAVED: "Saved case",
}
TABLE_WAITS = "The table of all images opens when each has your own read, because it holds the AI's answers."
BURNT_IN_TEXT = (
    "The DICOM file does not say whether text is burnt into the image. Look for names and numbers in it before you "
    "save it."
)
OPEN_HEADING, OPEN_ANCHOR = "Open an image", "open-an-image"
REFUSED_ALT = "The image that was not answered"
DECISION_ANCHOR = "decide-and-save"
TO_DECISION = f"[decide and save](#{DECISION_ANCHOR})"
OPEN_ANOTHER = f"[open another image](#{OPEN_ANCHOR})"
SAMPLES_NOTE = "Synthetic images, drawn by LesionLens. They show no patient and carry no diagnosis."
REFUSED_SAMPLE = (
    "This image is drawn, and the model can tell: it answers what looks like the {images} it knows. "
    "Open a photograph of your own."
)

OPERATING_POINT_HELP = (
    "Thresholds were set for this share of {positive} {subjects} on held-out training images, and measured on other "
    "{subjects}."
)
ON_DEMAND_LABEL = "Other heatmap methods (computed on demand)"
ON_DEMAND = (
    "The heatmap above comes with the answer itself. These methods of tf-keras-vis look at the same network in "
    "another way; where they disagree with it, trust neither too much."
)


def not_installed(methods: Sequence[str]) -> str:
    """Which heatmap methods are not there where TensorFlow was left out."""
    return (
        f"Not available here: {', '.join(methods)}. They need TensorFlow, which this installation was made without. "
        "The heatmap above does not: it comes with the answer itself."
    )


_REJECTIONS: dict[str, str] = {
    "empty": "This file is empty.",
    "too_many_bytes": "This file is too large.",
    "not_an_image": "This file is not an image that can be read.",
    "too_many_pixels": "This image has too many pixels.",
    "too_narrow": "This image is a narrow strip.",
    "too_costly": "This file takes too much time or memory to open.",
    "too_small": "This image is too small to judge.",
    "damaged": "This image file is damaged.",
    "burnt_in_text": "This image may show who the patient is.",
    "unsupported_tiff": "This TIFF file is of a kind that cannot be read.",
    "other_task": "This DICOM file shows what another model judges.",
    "unsupported_dicom": "This DICOM file is of a kind that cannot be read.",
}

_FLAGGED_SETS = "Where the image is flagged, the set also holds the {positive} {labels} that raised the flag."
_NOT_EXCLUDED = "A {label} outside the set is not excluded."
# LEVEL stands for the share of subjects aimed at.
_SET_METHODS: dict[str, str] = {
    CLASS_CONDITIONAL: (
        "Each {label} has a threshold of its own, which LEVEL of the held-out {subjects} that truly had it reached. "
        "A {label} is in the set when its probability reaches that."
    ),
    ADAPTIVE: (
        "{Labels} enter the set by falling probability until it is large enough to have held the true one in LEVEL "
        "of the held-out {subjects}."
    ),
    CONTIGUOUS: (
        "The set grows from the most likely {label} to its neighbours until it is large enough to have held the true "
        "one in LEVEL of the held-out {subjects}; it has no gap."
    ),
    CONTIGUOUS_BY_CLASS: (
        "The set grows from the most likely {label} to its neighbours, for each {label} as far as LEVEL of the "
        "held-out {subjects} that truly had it need; it has no gap."
    ),
    PRIOR_WEIGHTED: (
        "A {label} is in the set when its probability is high enough for how common it is; the line was drawn where "
        "the sets of LEVEL of the held-out {subjects} still held the true one."
    ),
}


def title(task: Task) -> str:
    """What the page is for."""
    return f"Review {task.a_subject}"


def shortcuts(task: Task) -> list[tuple[str, str]]:
    """Keys of the page, and what each does."""
    words = task.words
    return [
        (f"1 to {len(choices(task))}", f"Pick the {words.label} in your own read"),
        ("A", "Show the AI's answer"),
        ("H", "Hide or show the heatmap"),
        ("+ and -", "Zoom in and out"),
        ("0", "Fit the image"),
        ("N and P", "Next and previous image"),
        ("?", "Open this list"),
        ("Ctrl+S", "Save the case"),
        ("Ctrl+Enter", "Save the case and open the next image"),
    ]


def small_picture(width: int, height: int, wanted_width: int, wanted_height: int) -> str:
    """What a picture has too few of, and how to get more; all in pixels."""
    return (
        f"This picture is small: {width:,} x {height:,} px; at least {wanted_width:,} x {wanted_height:,} px are "
        f"wanted. Details that decide may be missing. Open the original file, or on a phone press **{TAKE_PHOTO}**."
    )


def back_to(images: int) -> str:
    """The way back from a sample to the user's own images."""
    return "Back to your image" if images == 1 else f"Back to your {images} images"


def of_other_task(task: Task, images: int, unsaved: int) -> str:
    """Images that are open of a task that is not shown: `2 images of Skin lesions are open as well, 1 not saved.`"""
    are = "image is" if images == 1 else "images are"
    not_saved = f", {unsaved:,} not saved" if unsaved else ""
    return f"{images:,} {are} open of **{task.name}** as well{not_saved}: choose that task to go on."


def close(images: int) -> str:
    """Forget the user's own images."""
    return "Close your image" if images == 1 else f"Close your {images} images"


def not_saved(names: Sequence[str]) -> str:
    """What is lost where these images are closed."""
    listed = ", ".join(f"**{escape(name)}**" for name in names)
    return f"What you said of {listed} is not saved. Closing loses it."


def not_held(images: int) -> str:
    """Images that did not come back after a refresh."""
    which = "1 image was" if images == 1 else f"{images} images were"
    return f"{which} too large to be held while the page was refreshed. Open them again."


def without_room(names: Sequence[str]) -> str:
    """Images that were not opened, since the others take all the room that a session has."""
    listed = ", ".join(map(escape, names))
    were = "was" if len(names) == 1 else "were"
    return f"{listed} {were} not opened: too many images are open. Save and close some of them to make room."


def queue_position(position: int, progresses: Sequence[Progress]) -> str:
    """`Image 3 of 12, 2 saved`; the position counts from 0."""
    saved = sum(progress.saved is not None for progress in progresses)
    return f"Image **{position + 1} of {len(progresses)}**, {saved} saved"


def queue_entry(number: int, name: str, progress: Progress) -> str:
    """`3. lesion.jpg: saved`, plain text, as a list of choices shows it."""
    return f"{number}. {name}: {progress_name(progress)}"


def table_toggle(images: int) -> str:
    """Opens the table of a queue."""
    return f"Table of all {images} images, highest risk first"


def flag_name(is_flagged: bool) -> str:
    """In a table; what it means stands beside the answer."""
    return "flagged" if is_flagged else "not flagged"


def progress_name(progress: Progress) -> str:
    """How far the review of an image has come, in one word."""
    if progress.saved is not None:
        return "saved"
    if progress.is_refused:
        return "refused"
    return "read" if progress.is_read else "open"


def rejection(name: str, rejected: ImageRejected) -> str:
    """What was wrong with a file and what to do; no part of a path is shown."""
    return f"**{escape(name)}**: {_REJECTIONS[rejected.reason]} {_sentence(str(rejected))}"


def rejection_reason(rejected: ImageRejected) -> str:
    """The same in a table, as plain text."""
    return f"Not answered. {_REJECTIONS[rejected.reason]}"


def refusal(task: Task, quality: Quality) -> str:
    """Why a readable image got no answer, and what to retake."""
    if quality.refusal is None:
        raise ValueError("expected a refused image")
    reason = advice(quality.refusal, task)
    return f"Not answered: {reason[0].lower()}{reason[1:]}"


def of_another_task(artifact: Artifact) -> str:
    """That the model of another task takes an image for one of its own."""
    other = artifact.task
    return (
        f"This looks like an image for the other task, **{other.name}**: its model, {artifact.name} "
        f"{artifact.version}, takes it for a {other.words.image} like those it knows."
    )


def open_as(task: Task) -> str:
    """Ask the model of that task instead."""
    return f"Open it as a {task.words.image}"


def distance(score: float, limit: float) -> str:
    """How far a refused image is from those that the model knows."""
    return f"Distance from the training images: {score:.2f}; the limit is {limit:.2f}."


def usable(quality: Quality, limit: float) -> str:
    """One quiet line on an image that passed the checks."""
    sharpness = "blurred" if "blurred" in quality.issues else "sharp enough"
    distance = percent(quality.ood_score / limit)
    place = ", at the edge" if "at_the_edge" in quality.issues else ""
    return f"{sharpness} · exposure usable · distance from the training images {distance} of the limit{place}"


def verdict(
    prediction: Prediction, point: OperatingPoint, other: ExternalResult | None = None, group: GroupRate | None = None
) -> str:
    """Whether the image is flagged, never that it is safe.

    Args:
        prediction: of the image.
        point: the threshold.
        other: what the threshold did at other clinics.
        group: its sensitivity at the stated age or site.
    """
    task, positive = prediction.task, prediction.task.question.positive
    # One decimal: a p just below the threshold must not read "3 % against 3 %".
    compared = f"{positive} {one_decimal(prediction.p_positive)}, threshold {one_decimal(point.threshold)}"
    if prediction.p_positive >= point.threshold:
        return f"**Flagged as possibly {positive}** ({compared})."
    missing = missed(task, point.sensitivity, group)
    promise = f"That is not an all-clear: {missing} {elsewhere(task, other, is_flagged=False)}"
    return f"**Not flagged** ({compared}). {promise.strip()}"


def measured_meaning(
    task: Task, point: OperatingPoint, excised: Estimate | None = None, other: ExternalResult | None = None
) -> str:
    """What the threshold was measured to do, with intervals, at home, there also to what was excised, and elsewhere."""
    flagged = point.specificity.of_others
    at_home = (
        f"On the locked test {task.words.subjects} of {task.dataset.name} this threshold flagged "
        f"{of_100(point.sensitivity, f'{task.question.positive} images')} and "
        f"{of_100(flagged, f'{task.question.negative} images')}."
    )
    return " ".join(filter(None, (at_home, confirmed(task, excised), elsewhere(task, other, is_flagged=True))))


def headline(prediction: Prediction, artifact: Artifact, is_flagged: bool) -> str:
    """The most likely class and the one that stands out; of a flagged image the most likely positive one as well.

    Markdown. A flagged image under the name of a negative class would contradict itself: positive classes come first.
    """
    task, leading = prediction.task, leading_class(prediction, is_flagged)
    named = dict(two_names(task, prediction.probabilities, prediction.dx))
    if leading not in named.values():
        named[task.worded("most likely {positive} {label}")] = leading
    in_order = sorted(named.items(), key=lambda one: is_flagged and not task.is_positive(one[1]))
    lines = [f"**{name.capitalize()}:** {class_and_share(task, prediction.probabilities, dx)}" for name, dx in in_order]
    if len(named) > 1 and prediction.dx != most_likely(task, prediction.probabilities):
        lines.append(" ".join([standout_meaning(task, prediction.population), *_times_its_share(prediction, artifact)]))
    return "  \n".join(lines)


def _times_its_share(prediction: Prediction, artifact: Artifact) -> list[str]:
    task, index = prediction.task, prediction.task.index(prediction.dx)
    if task.is_ordinal:
        return []
    probability, share = float(prediction.probabilities[index]), artifact.calibration.prior[index]
    return [f"Here it has {probability / share:.1f} times its share ({percent(share)})."]


def set_help(task: Task, sets: ConformalSets) -> str:
    """How the sets are made."""
    sentences = (_SET_METHODS[sets.method], _FLAGGED_SETS, _NOT_EXCLUDED)
    return task.worded(" ".join(sentences)).replace("LEVEL", percent(sets.level))


def set_meaning(task: Task, measured: dict[str, Any]) -> str:
    """What such sets were measured to hold; `measured` is a `SetMetrics` as the manifest stores it."""
    coverage = measured["coverage"]
    if coverage["value"] is None:
        return f"How often such sets hold the right {task.words.label} could not be measured."
    rate = MeasuredRate(coverage["value"], coverage["low"], coverage["high"], measured["images"])
    gravest = next((one for one in measured.get("coverage_by_dx", ()) if one["dx"] == task.gravest), None)
    of_gravest = ""
    if gravest is not None and gravest["coverage"]["value"] is not None:
        of_class = MeasuredRate(**gravest["coverage"], n=gravest["images"])
        of_gravest = f", and in {of_100(of_class, task.named(task.gravest).plural)}"
    return (
        f"On the locked test {task.words.subjects} such sets held the right {task.words.label} in {of_100(rate)}"
        f"{of_gravest}. They held {measured['mean_size']['value']:.1f} {task.words.labels} on average. "
        f"{task.worded(_NOT_EXCLUDED)}"
    )


def set_without_predicted(prediction: Prediction) -> str | None:
    """A remark where the class that stands out is not in the set."""
    task = prediction.task
    if prediction.dx in prediction.conformal_set:
        return None
    return (
        f"{task.titled(prediction.dx)} is the {task.standout}, but its probability is too low for this set: the two "
        "rules disagree on this image."
    )


def computing(method: str, is_first: bool) -> str:
    """What is happening while the reader waits."""
    start = (
        "Starting TensorFlow in a process of its own (only the first time), then computing" if is_first else "Computing"
    )
    return f"{start} {method} ..."


def worker_failed(failed: WorkerFailed) -> str:
    return f"The heatmap could not be computed: {_sentence(str(failed))} The probabilities and the first heatmap stand."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
