"""Text about an answer that Review, Cases, paper and exports share.

Three rules: unsure is never shown as safe; a number carries its interval and its n; nobody is told what to do, only
what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard.shell.formats import one_decimal, percent
from data.tasks.skin import DX_CODES, MALIGNANT_DX, diagnosis
from model.analysis.quality import ADVICE, REFUSED, Quality
from model.explain.maps import Explanation
from model.inference.artifact import Artifact, MeasuredRate, OperatingPoint
from model.inference.classifier import Prediction

ORIGINAL_ALT = "The uploaded dermoscopic image"

HEATMAP_LIMITS = """
- The heatmap shows which parts of the image **raised the score of the chosen class** in this network. It is not an
  outline of the lesion and does not show where disease is.
- Its grid is coarse: {rows} x {columns} cells over the whole image, smoothed for display.
- Each class is scaled to its own maximum. A bright spot for an unlikely class is still an unlikely class.
- A wrong answer can have a convincing heatmap. Ink, rulers, hair and the dark rim of the lens can raise scores too.
- It is no evidence for or against a biopsy. The decision stays with the person who sees the patient.
"""


def warnings(quality: Quality, seen_share: float) -> list[str]:
    """Amber remarks on an image that was answered."""
    remarks = [ADVICE[issue] for issue in quality.issues if issue not in REFUSED]
    if seen_share < 0.99:
        remarks.append(
            f"The network takes 4:3 images and saw the central {percent(seen_share)} of this one; "
            "keep the lesion in the middle."
        )
    return remarks


def of_100(rate: MeasuredRate) -> str:
    """`95 of 100 (95 % interval 91 to 98, n = 290)`."""
    return (
        f"{rate.value * 100:.0f} of 100 "
        f"(95 % interval {rate.low * 100:.0f} to {rate.high * 100:.0f}, n = {rate.n:,} images)"
    )


def operating_point_name(point: OperatingPoint) -> str:
    """What the reader chooses between."""
    return f"aimed at {point.target_sensitivity:.0%} sensitivity"


def leading_class(prediction: Prediction, is_flagged: bool) -> str:
    """The dx code the page leads with: the most probable class, or, if flagged, the most probable malignant one.

    A flagged image under the name of a benign class would contradict itself.
    """
    candidates = MALIGNANT_DX if is_flagged else DX_CODES
    return max(candidates, key=lambda dx: prediction.probabilities[DX_CODES.index(dx)])


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
