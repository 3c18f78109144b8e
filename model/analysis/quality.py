"""Is this a usable dermoscopic image? Sharpness, exposure, contrast, and distance from what the network has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import Task
from model.images.rejection import RgbImage
from model.inference.artifact import QualityLimits

Array = NDArray[np.float64]
Issue = Literal["too_dark", "too_bright", "no_contrast", "too_blurred", "out_of_distribution", "blurred", "at_the_edge"]

# Refused: nothing in such an image can be read, or the network was never shown anything like it. A blurred image that
# still resembles what it was shown is answered with an amber warning instead, since a clinician may have no better one;
# so is one at the edge of that.
REFUSED: frozenset[Issue] = frozenset(("too_dark", "too_bright", "no_contrast", "too_blurred", "out_of_distribution"))
# Templates of `Task.worded`.
_ADVICE: Mapping[Issue, str] = {
    "too_dark": "The image is too dark. Check that the {instrument}'s light is on and take it again.",
    "too_bright": "The image is over-exposed. Lower the exposure, avoid reflections, and take it again.",
    "no_contrast": "The image shows almost no structure. Focus on the {subject} and take it again.",
    "too_blurred": (
        "The image is too blurred to be judged. Use a {instrument}, hold it still, focus on the {subject}, and take it "
        "again."
    ),
    "out_of_distribution": (
        "This does not look like the {images} the model knows, so any answer would be a guess. "
        "Use a {instrument}, fill the frame with one {subject}, and take it again. Photographs without a {instrument}, "
        "other parts of the body, documents and drawings cannot be judged."
    ),
    "blurred": "The image is blurred. The answer is less certain than its numbers say; take a sharper image.",
    "at_the_edge": "The image is unlike most of those the model was trained on. Fill the frame with one {subject}.",
}


def advice(issue: Issue, task: Task) -> str:
    """What is wrong and what to do about it, on screen and over HTTP."""
    return task.worded(_ADVICE[issue])


@dataclass(frozen=True)
class Quality:
    """What was measured on one image, at the network's input size.

    Attributes:
        sharpness: standard deviation of the Laplacian of the grey image, grey levels.
        brightness: mean grey level, 0-255.
        contrast: standard deviation of the grey levels.
        ood_score: distance of the texture from the training images', see `Gate`.
        issues: what is wrong, worst first; empty for a usable image.
    """

    sharpness: float
    brightness: float
    contrast: float
    ood_score: float
    issues: tuple[Issue, ...]

    @property
    def refusal(self) -> Issue | None:
        """The first issue that forbids an answer, or None."""
        return next((issue for issue in self.issues if issue in REFUSED), None)


@dataclass(frozen=True)
class Gate:
    """Distance of an image's texture from the training images'.

    The score is the squared Mahalanobis distance of the texture (`NetworkOutput.texture`) from the training images'
    mean, divided by the number of values. On images held back for choosing, textures from the middle of the network
    refused nearly all photographs and fundus images where the last layer's embedding let a third to two thirds pass.

    Attributes:
        mean, scale: (T,) of the training images' textures.
        precision: (T, T) inverse covariance of the standardised textures.

    Source:
        Lee et al., NeurIPS 2018, arXiv:1807.03888 (Mahalanobis distance of features, also of earlier layers).
    """

    mean: Array
    scale: Array
    precision: Array

    def score(self, textures: NDArray[np.floating]) -> Array:
        """Scores, (N,) float64 >= 0, of (N, T) textures; about 1 for an image like the training images."""
        standardised = (np.asarray(textures, dtype=np.float64) - self.mean) / self.scale
        return np.einsum("nk,kl,nl->n", standardised, self.precision, standardised) / standardised.shape[1]

    def save(self, path: Path) -> None:
        """Write the gate as float32 arrays (about 0.3 MB)."""
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in vars(self).items()}
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_gate(path: Path) -> Gate:
    """Read what `Gate.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Gate(*(arrays[name].astype(np.float64) for name in ("mean", "scale", "precision")))


def fit_gate(textures: NDArray[np.floating]) -> Gate:
    """Fit a `Gate` on the (N, T) textures of the training images.

    Raises:
        ValueError: fewer than 2 images.
    """
    values = np.asarray(textures, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"expected the textures of at least 2 images, received {len(values)}")
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-6
    standardised = (values - mean) / scale
    covariance = standardised.T @ standardised / len(values)
    # A hundredth of each value's variance on the diagonal keeps the inverse stable with few images.
    return Gate(mean, scale, np.linalg.inv(covariance + 1e-2 * np.eye(len(covariance))))


def measure(network_input: RgbImage) -> tuple[float, float, float]:
    """Sharpness, brightness and contrast (see `Quality`) of an image at the network's input size."""
    grey = network_input.astype(np.float64) @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.std()), float(grey.mean()), float(grey.std())


def assess(network_input: RgbImage, ood_score: float, limits: QualityLimits) -> Quality:
    """Measure one image and compare it with the artifact's limits.

    Args:
        network_input: (height, width, 3) uint8 RGB, 0-255, from `to_network_input`.
        ood_score: `Gate.score` of its texture.
        limits: from the manifest.
    """
    sharpness, brightness, contrast = measure(network_input)
    # Written so that a score that is not a number is refused, not let through. A blurred lesion is far from the sharp
    # ones: what is wrong with it is the blur.
    is_foreign, is_blurred = not ood_score <= limits.max_ood_score, sharpness < limits.min_sharpness
    found: dict[Issue, bool] = {
        "too_dark": brightness < limits.min_brightness,
        "too_bright": brightness > limits.max_brightness,
        "no_contrast": contrast < limits.min_contrast,
        "out_of_distribution": is_foreign and not is_blurred,
        "too_blurred": is_foreign and is_blurred,
        "blurred": is_blurred and not is_foreign,
        "at_the_edge": limits.edge_ood_score < ood_score <= limits.max_ood_score,
    }
    return Quality(
        sharpness, brightness, contrast, ood_score, tuple(issue for issue, is_found in found.items() if is_found)
    )
