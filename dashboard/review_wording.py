"""Every text of the Review page that is more than a label.

Three rules: unsure is never shown as safe; a number carries its interval and its n; nobody is told what to do, only
what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard.formats import escape, one_decimal, percent
from dashboard.state import Progress
from data.diagnoses import DX_CODES, MALIGNANT_DX, diagnosis
from model.artifact import Artifact, MeasuredRate, OperatingPoint
from model.classifier import Prediction
from model.conformal import ADAPTIVE, CLASS_CONDITIONAL, PRIOR_WEIGHTED, ConformalSets
from model.explain import Explanation
from model.keras_worker import WorkerFailed
from model.preprocessing import ImageRejected
from model.quality import Issue, Quality

EMPTY = (
    "Drop a dermoscopic image below, photograph one with a phone attachment, or open a sample. It is analysed in the "
    "memory of the server that runs LesionLens; nothing is stored before you save a case."
)
INTENDED_USE_HEADING = "Before you start"
INTENDED_USE_KEPT = (
    "**What is kept.** Images are analysed in the memory of the server that runs LesionLens. Nothing is stored before "
    "you press **Save case**. Open no image on which a name, a face or another person can be recognised."
)
INTENDED_USE_BUTTON = "I have read this"
QUEUE_LIST = "Images of the queue"
TABLE_WAITS = "The table of all images opens when each has your own read, because it holds the AI's answers."
BURNT_IN_TEXT = (
    "The DICOM file does not say whether text is burnt into the image. Look for names and numbers in it before you "
    "save it."
)
OPEN_HEADING, OPEN_ANCHOR = "Open an image", "open-an-image"
DECISION_ANCHOR = "decide-and-save"
TO_DECISION = f"[decide and save](#{DECISION_ANCHOR})"
OPEN_ANOTHER = f"[open another image](#{OPEN_ANCHOR})"
SAMPLES_NOTE = "Synthetic images, drawn by LesionLens. They show no patient and carry no diagnosis."
ORIGINAL_ALT = "The uploaded dermoscopic image"

HEATMAP_LIMITS = """
- The heatmap shows which parts of the image **raised the score of the chosen class** in this network. It is not an
  outline of the lesion and does not show where disease is.
- Its grid is coarse: {rows} x {columns} cells over the whole image, smoothed for display.
- Each class is scaled to its own maximum. A bright spot for an unlikely class is still an unlikely class.
- A wrong answer can have a convincing heatmap. Ink, rulers, hair and the dark rim of the lens can raise scores too.
- It is no evidence for or against a biopsy. The decision stays with the person who sees the patient.
"""

ON_DEMAND = (
    "The heatmap above comes with the prediction itself. These methods of tf-keras-vis look at the same network in "
    "another way; where they disagree with it, trust neither too much."
)

_REFUSALS: dict[Issue, str] = {
    "too_dark": "Not answered: the image is too dark. Check that the dermatoscope's light is on and take it again.",
    "too_bright": "Not answered: the image is over-exposed. Lower the exposure, avoid reflections, and take it again.",
    "no_contrast": "Not answered: the image shows almost no structure. Focus on the lesion and take it again.",
    "out_of_distribution": (
        "Not answered: this does not look like the dermoscopic images the model knows, so any answer would be a guess. "
        "Use a dermatoscope, fill the frame with one lesion, and take it again. Photographs without a dermatoscope, "
        "other parts of the body, documents and drawings cannot be judged."
    ),
    "blurred": "Not answered: the image is blurred.",
}
_WARNINGS: dict[Issue, str] = {
    "blurred": "The image is blurred. The answer is less certain than its numbers say; take a sharper image.",
}
_REJECTIONS: dict[str, str] = {
    "empty": "This file is empty.",
    "too_many_bytes": "This file is too large.",
    "not_an_image": "This file is not an image that can be read.",
    "too_many_pixels": "This image has too many pixels.",
    "too_small": "This image is too small to judge.",
    "damaged": "This image file is damaged.",
    "burnt_in_text": "This image may show who the patient is.",
    "unsupported_dicom": "This DICOM file is of a kind that cannot be read.",
}

_SET_METHODS: dict[str, str] = {
    CLASS_CONDITIONAL: (
        "Each diagnosis has a threshold of its own, which {level} of the held-out lesions that truly had it reached. "
        "A diagnosis is ruled out when its probability stays below that."
    ),
    ADAPTIVE: (
        "Diagnoses enter the set by falling probability until it is large enough to have held the true one in {level} "
        "of the held-out lesions."
    ),
    PRIOR_WEIGHTED: (
        "A diagnosis is ruled out when its probability is small compared with how common it is; the line was drawn "
        "where the sets of {level} of the held-out lesions still held the true one."
    ),
}


def back_to(images: int) -> str:
    """The way back from a sample to the user's own images."""
    return "Back to your image" if images == 1 else f"Back to your {images} images"


def close(images: int) -> str:
    """Forget the user's own images."""
    return "Close your image" if images == 1 else f"Close your {images} images"


def queue_position(position: int, progresses: Sequence[Progress]) -> str:
    """`Image 3 of 12, 2 saved`; the position counts from 0."""
    saved = sum(progress.saved is not None for progress in progresses)
    return f"Image **{position + 1} of {len(progresses)}**, {saved} saved"


def queue_entry(number: int, name: str, progress: Progress) -> str:
    """`3. lesion.jpg: saved`, plain text, as a list of choices shows it."""
    return f"{number}. {name}: {_queue_state(progress)}"


def _queue_state(progress: Progress) -> str:
    if progress.saved is not None:
        return "saved"
    if progress.is_refused:
        return "refused"
    return "read" if progress.is_read else "open"


def rejection(name: str, rejected: ImageRejected) -> str:
    """What was wrong with a file and what to do; no part of a path is shown."""
    return f"**{escape(name)}**: {_REJECTIONS[rejected.reason]} {_sentence(str(rejected))}"


def refusal(quality: Quality) -> str:
    """Why a readable image got no answer, and what to retake."""
    if quality.refusal is None:
        raise ValueError("expected a refused image")
    return _REFUSALS[quality.refusal]


def warnings(quality: Quality, seen_share: float) -> list[str]:
    """Amber remarks on an image that was answered."""
    remarks = [_WARNINGS[issue] for issue in quality.issues if issue in _WARNINGS]
    if seen_share < 0.99:
        remarks.append(
            f"The network takes 4:3 images and saw the central {percent(seen_share)} of this one; "
            "keep the lesion in the middle."
        )
    return remarks


def usable(quality: Quality, limit: float) -> str:
    """One quiet line on an image that passed the checks."""
    sharpness = "blurred" if "blurred" in quality.issues else "sharp enough"
    return f"{sharpness} · exposure usable · distance from known images {quality.ood_score / limit:.0%} of the limit"


def of_100(rate: MeasuredRate) -> str:
    """`95 of 100 (95 % interval 91 to 98, n = 290)`."""
    return (
        f"{rate.value * 100:.0f} of 100 "
        f"(95 % interval {rate.low * 100:.0f} to {rate.high * 100:.0f}, n = {rate.n:,} images)"
    )


def operating_point_name(point: OperatingPoint) -> str:
    """What the reader chooses between."""
    return f"aimed at {point.target_sensitivity:.0%} sensitivity"


def verdict(prediction: Prediction, point: OperatingPoint) -> str:
    """Whether the image is flagged, never that it is safe."""
    # One decimal: a p just below the threshold must not read "3 % against 3 %".
    compared = f"malignant {one_decimal(prediction.p_malignant)}, threshold {one_decimal(point.threshold)}"
    if prediction.p_malignant >= point.threshold:
        return f"**Flagged as possibly malignant** ({compared})."
    return f"**Not flagged** ({compared}). That is not an all-clear: {missed(point.sensitivity)}"


def missed(sensitivity: MeasuredRate) -> str:
    """How many malignant images the threshold was measured to miss; its upper bound where it missed none."""
    if math.isnan(sensitivity.value):
        return "how many malignant lesions it misses could not be measured."
    # Rounded outwards, but not by the last bits of a float.
    low = math.floor(round((1 - sensitivity.high) * 100, 6))
    high = math.ceil(round((1 - sensitivity.low) * 100, 6))
    value = (1 - sensitivity.value) * 100
    shown = "fewer than 1" if value < 0.5 else f"{value:.0f}"
    return (
        f"at this threshold {shown} of 100 malignant test images ({low} to {high}) were not flagged "
        f"either (n = {sensitivity.n:,})."
    )


def measured_meaning(point: OperatingPoint) -> str:
    """What the threshold was measured to do, with intervals."""
    flagged = MeasuredRate(
        1 - point.specificity.value, 1 - point.specificity.high, 1 - point.specificity.low, point.specificity.n
    )
    return (
        f"Chosen out of fold for {point.target_sensitivity:.0%} sensitivity. On locked test lesions of "
        f"HAM10000 it flagged {of_100(point.sensitivity)} malignant and {of_100(flagged)} benign."
    )


def leading_class(prediction: Prediction, is_flagged: bool) -> str:
    """The dx code the page leads with: the most probable class, or, if flagged, the most probable malignant one.

    A flagged image under the name of a benign class would contradict itself.
    """
    candidates = MALIGNANT_DX if is_flagged else DX_CODES
    return max(candidates, key=lambda dx: prediction.probabilities[DX_CODES.index(dx)])


def headline(prediction: Prediction, artifact: Artifact, is_flagged: bool) -> str:
    """The leading class in words, and the class that the decision rule names where that is another."""
    leading = leading_class(prediction, is_flagged)
    kind = "Most probable malignant diagnosis" if is_flagged else "Most probable diagnosis"
    share = float(prediction.probabilities[DX_CODES.index(leading)])
    sentences = [f"{kind}: **{diagnosis(leading).name} ({leading})**, {percent(share)}."]
    if prediction.dx != leading:
        sentences.append(
            f"Raised most against its share of the dataset: {_class_and_share(prediction.dx, prediction, artifact)}."
        )
    return " ".join(sentences)


def _class_and_share(dx: str, prediction: Prediction, artifact: Artifact) -> str:
    index = DX_CODES.index(dx)
    probability, share = float(prediction.probabilities[index]), artifact.calibration.prior[index]
    return (
        f"**{diagnosis(dx).name} ({dx})**, {percent(probability)}, {probability / share:.1f} times its share in "
        f"HAM10000 ({percent(share)})"
    )


def population(artifact: Artifact) -> str:
    """Whose probabilities these are."""
    nevi = artifact.calibration.prior[DX_CODES.index("nv")]
    return (
        f"Probabilities are calibrated for {artifact.calibration.population}, where {percent(nevi)} of the images show "
        "nevi. Where malignant lesions are rarer, the true chance is lower; where they are more common, higher."
    )


def between(low: float, high: float) -> str:
    """`18 % to 24 %`, or one value where both read the same."""
    return percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"


def name_and_code(dx: str) -> str:
    """`Melanoma (mel)`."""
    return f"{diagnosis(dx).name} ({dx})"


# --- Prediction set and agreement ------------------------------------------------------------------------------------


def prediction_set(conformal_set: Sequence[str], level: float) -> str:
    """The diagnoses that cannot be ruled out, the most probable first."""
    names = ", ".join(name_and_code(dx) for dx in conformal_set)
    alone = " alone" if len(conformal_set) == 1 else ""
    return f"**Cannot rule out at {percent(level)}:** {names}{alone}."


def set_help(sets: ConformalSets) -> str:
    """How the sets are made."""
    return _SET_METHODS[sets.method].format(level=percent(sets.level))


def set_meaning(measured: dict[str, Any]) -> str:
    """What such sets were measured to hold; `measured` is a `SetMetrics` as the manifest stores it."""
    coverage = measured["coverage"]
    if coverage["value"] is None:
        return "How often such sets hold the right diagnosis could not be measured."
    rate = MeasuredRate(coverage["value"], coverage["low"], coverage["high"], measured["images"])
    return (
        f"On the locked test lesions such sets held the right diagnosis in {of_100(rate)}, "
        f"{measured['mean_size']['value']:.1f} diagnoses on average."
    )


def set_without_predicted(prediction: Prediction) -> str | None:
    """A remark where the decision rule names a class that is not in the set."""
    if prediction.dx in prediction.conformal_set:
        return None
    return (
        f"{name_and_code(prediction.dx)} stands out most against its share of the dataset, but its probability is too "
        "low for this set: the two rules disagree on this image."
    )


def agreement(member_p_malignant: Sequence[float] | np.ndarray, threshold: float) -> tuple[str, bool] | None:
    """How far the networks of an ensemble agree, and whether all are on one side of the threshold.

    Returns:
        The sentence, and False where some networks would flag the image and some would not; None for one network.
    """
    members = len(member_p_malignant)
    if members < 2:
        return None
    low, high = float(min(member_p_malignant)), float(max(member_p_malignant))
    sentence = f"The {members} networks behind this answer, asked one by one, put malignant at {between(low, high)}."
    if low < threshold <= high:
        return f"{sentence} They disagree on whether it is flagged (threshold {one_decimal(threshold)}).", False
    return sentence, True


def heatmap_alt(name: str) -> str:
    return f"Heatmap of what raised the score of {name}"


def heatmap_note(explanation: Explanation, dx: str) -> str:
    """How the shown map compares with the others, since each is scaled by its own maximum."""
    if not explanation.has_evidence(dx):
        return no_evidence(dx)
    if len(explanation.classes) == 1 or dx == explanation.strongest:
        return "Brighter means it raised the class score more; clear means no evidence."
    return (
        f"The strongest evidence for {dx} is {explanation.strength(dx):.0%} of that for {explanation.strongest}; "
        "each map is scaled to its own maximum."
    )


def no_evidence(dx: str) -> str:
    """A class without a heatmap worth drawing."""
    return f"No positive evidence for {name_and_code(dx)}: nothing in this image raised its score noticeably."


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
