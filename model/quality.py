"""Is this a usable dermoscopic image? Sharpness, exposure, contrast, and distance from what the network has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.diagnoses import DX_CODES
from model.artifact import QualityLimits
from model.preprocessing import RgbImage

Array = NDArray[np.float64]
Issue = Literal["too_dark", "too_bright", "no_contrast", "blurred", "out_of_distribution"]

# Refused: nothing in such an image can be read, or the network was never shown anything like it. A blurred image is
# answered with an amber warning instead, since a clinician may have no better one.
REFUSED: frozenset[Issue] = frozenset(("too_dark", "too_bright", "no_contrast", "out_of_distribution"))
GATE_COMPONENTS = 64


@dataclass(frozen=True)
class Quality:
    """What was measured on one image, at the network's input size.

    Attributes:
        sharpness: standard deviation of the Laplacian of the grey image, grey levels.
        brightness: mean grey level, 0-255.
        contrast: standard deviation of the grey levels.
        ood_score: distance of the embedding from the training images', see `Gate`.
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
    """Distance of an embedding from the training images' embeddings.

    The score is the mean of two parts, each scaled so that the training images have mean 1: the smallest Mahalanobis
    distance to a class centre within the leading principal components, and the squared distance from the subspace
    these components span.

    Source:
        Lee et al., NeurIPS 2018, arXiv:1807.03888 (Mahalanobis); Ndiour et al. 2020, arXiv:2012.04250 (residual).
    """

    mean: Array
    components: Array
    centres: Array
    precision: Array
    distance_scale: float
    residual_scale: float

    def score(self, embeddings: NDArray[np.floating]) -> Array:
        """Scores, (N,) float64 >= 0, of (N, K) embeddings; about 1 for an image like the training images."""
        centred = np.asarray(embeddings, dtype=np.float64) - self.mean
        projected = centred @ self.components
        # Rounding can leave a little less than nothing of an embedding within the subspace.
        residual = np.maximum((centred**2).sum(axis=1) - (projected**2).sum(axis=1), 0)
        offsets = projected[:, np.newaxis, :] - self.centres
        distances = np.einsum("nck,kl,ncl->nc", offsets, self.precision, offsets).min(axis=1)
        return (distances / self.distance_scale + residual / self.residual_scale) / 2

    def save(self, path: Path) -> None:
        """Write the gate as float32 arrays (about 0.4 MB)."""
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in vars(self).items()}
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_gate(path: Path) -> Gate:
    """Read what `Gate.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        values = {name: arrays[name].astype(np.float64) for name in Gate.__dataclass_fields__}
    return Gate(
        values["mean"],
        values["components"],
        values["centres"],
        values["precision"],
        float(values["distance_scale"]),
        float(values["residual_scale"]),
    )


def fit_gate(embeddings: NDArray[np.floating], dx_true: NDArray[np.int64], components: int = GATE_COMPONENTS) -> Gate:
    """Fit a `Gate` on training images.

    Args:
        embeddings: (N, K), N larger than `components`.
        dx_true: (N,) class indices; classes without images are left out.
        components: how many principal components the Mahalanobis part uses.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    _, vectors = np.linalg.eigh(centred.T @ centred / len(values))
    leading = vectors[:, ::-1][:, : min(components, len(values) - 1)]
    projected = centred @ leading
    present = [index for index in range(len(DX_CODES)) if np.any(dx_true == index)]
    centres = np.stack([projected[dx_true == index].mean(axis=0) for index in present])
    within = projected - centres[np.searchsorted(present, dx_true)]
    # A little of the mean variance on the diagonal keeps the inverse stable with few images.
    covariance = within.T @ within / len(values)
    covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    unscaled = Gate(mean, leading, centres, np.linalg.inv(covariance), 1.0, 1.0)
    residual = (centred**2).sum(axis=1) - (projected**2).sum(axis=1)
    offsets = projected[:, np.newaxis, :] - centres
    distances = np.einsum("nck,kl,ncl->nc", offsets, unscaled.precision, offsets).min(axis=1)
    return Gate(mean, leading, centres, unscaled.precision, float(distances.mean()), float(max(residual.mean(), 1e-12)))


def measure(network_input: RgbImage) -> tuple[float, float, float]:
    """Sharpness, brightness and contrast (see `Quality`) of an image at the network's input size."""
    grey = network_input.astype(np.float64) @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.std()), float(grey.mean()), float(grey.std())


def assess(network_input: RgbImage, ood_score: float, limits: QualityLimits) -> Quality:
    """Measure one image and compare it with the artifact's limits.

    Args:
        network_input: (height, width, 3) uint8 RGB, 0-255, from `to_network_input`.
        ood_score: `Gate.score` of its embedding.
        limits: from the manifest.
    """
    sharpness, brightness, contrast = measure(network_input)
    found: dict[Issue, bool] = {
        "too_dark": brightness < limits.min_brightness,
        "too_bright": brightness > limits.max_brightness,
        "no_contrast": contrast < limits.min_contrast,
        # Written so that a score that is not a number is refused, not let through.
        "out_of_distribution": not ood_score <= limits.max_ood_score,
        "blurred": sharpness < limits.min_sharpness,
    }
    return Quality(
        sharpness, brightness, contrast, ood_score, tuple(issue for issue, is_found in found.items() if is_found)
    )
