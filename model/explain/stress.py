"""Stress test of one image: does the decision stay when ink, hair, a ruler or other light come into the picture?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import Task
from model.images.perturbations import Perturbation, perturbations_of
from model.images.rejection import RgbImage
from model.measures.metrics import positive_probability

# What may befall an image that was already framed and focused: no zoom, shift or foreign file format.
STRESS_KEYS: tuple[str, ...] = (
    "ink",
    "ruler",
    "hair",
    "vignette",
    "blur",
    "jpeg",
    "rotation_90",
    "rotation_30",
    "darker",
    "brighter",
    "warm",
    "cool",
)
Answer = Callable[[RgbImage], NDArray[np.float64]]


@dataclass(frozen=True)
class StressOutcome:
    """What became of the answer under one perturbation.

    Attributes:
        key, name: see `model.images.perturbations.Perturbation`.
        p_positive: in [0, 1].
        dx: the most probable class.
        is_flagged: p_positive reaches the threshold.
        is_flipped: it did not before, or it did and does no more.
    """

    key: str
    name: str
    p_positive: float
    dx: str
    is_flagged: bool
    is_flipped: bool


@dataclass(frozen=True)
class StressResult:
    """The answers to one image and its perturbed copies.

    Attributes:
        baseline: p(positive) of the image as it is.
        outcomes: one a perturbation, in the order of `stresses_of`.
    """

    baseline: float
    outcomes: tuple[StressOutcome, ...]

    @property
    def lowest(self) -> float:
        """The lowest p(positive), of the image as it is or perturbed."""
        return min(self.baseline, *(outcome.p_positive for outcome in self.outcomes))

    @property
    def highest(self) -> float:
        """The highest p(positive), of the image as it is or perturbed."""
        return max(self.baseline, *(outcome.p_positive for outcome in self.outcomes))

    @property
    def flips(self) -> tuple[str, ...]:
        """Keys of the perturbations under which the decision is another."""
        return tuple(outcome.key for outcome in self.outcomes if outcome.is_flipped)


def stresses_of(task: Task) -> tuple[Perturbation, ...]:
    """What one image of a task is changed by."""
    return tuple(one for one in perturbations_of(task.artefacts) if one.key in STRESS_KEYS)


def stress_test(image: RgbImage, answer: Answer, task: Task, threshold: float, seed: int = 0) -> StressResult:
    """Answer an image and a dozen perturbed copies of it; an answer that stays is no proof that it is right.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255. Drawing takes about two seconds for 3 megapixels; reduce what is larger.
        answer: from an RGB image of any size to (C,) calibrated probabilities; called for one image after the other.
        task: what the classes are.
        threshold: images with p(positive) >= threshold are flagged; in [0, 1].
        seed: of what is drawn.

    Raises:
        ValueError: another shape or type of image, a threshold outside [0, 1], or an answer that is not one
            probability a class.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"expected an (H, W, 3) uint8 RGB image, received {image.shape} {image.dtype}; "
            "use model.images.decoding.decode_image"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"expected a threshold from 0 to 1, received {threshold}")
    baseline = float(positive_probability(_checked(answer(image), task), task.positives))
    outcomes = []
    for stress in stresses_of(task):
        probabilities = _checked(answer(stress.apply(image, seed)), task)
        p_positive = float(positive_probability(probabilities, task.positives))
        is_flagged = p_positive >= threshold
        outcomes.append(
            StressOutcome(
                stress.key,
                stress.name,
                p_positive,
                task.codes[int(np.argmax(probabilities))],
                is_flagged,
                is_flagged != (baseline >= threshold),
            )
        )
    return StressResult(baseline, tuple(outcomes))


def _checked(probabilities: NDArray[np.float64], task: Task) -> NDArray[np.float64]:
    """NaN is below every threshold: unchecked, it would count as negative."""
    if probabilities.shape != (len(task.classes),) or not np.isclose(probabilities.sum(), 1, atol=1e-3):
        raise ValueError(
            f"expected {len(task.classes)} probabilities that sum to 1, received {probabilities}; "
            "answer with calibrated probabilities"
        )
    return probabilities
