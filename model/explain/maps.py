"""Heatmaps: class-activation maps from the forward pass, and how they are laid over the image.

A heatmap shows what raised a class score. It is not a segmentation of the lesion and not a proof of the diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.images.framing import Framing, to_image_pixels
from model.images.rejection import RgbImage

Heatmap = NDArray[np.float32]

# Every 32nd colour of matplotlib's magma, a perceptually uniform map (S. van der Walt, N. Smith, 2015, CC0).
MAGMA_STOPS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 4),
    (28, 16, 68),
    (79, 18, 123),
    (129, 37, 129),
    (181, 54, 122),
    (229, 80, 100),
    (251, 135, 97),
    (254, 194, 135),
    (252, 253, 191),
)
# A position counts as lesion from this probability on.
LESION_THRESHOLD = 0.5
# Rows blended at a time: whole-image float arrays of a 50-megapixel image would take 2 GB.
_BAND_ROWS = 256


@dataclass(frozen=True)
class Explanation:
    """The heatmaps of all classes for one image.

    Attributes:
        method: for example `Grad-CAM`.
        classes: dx codes the maps belong to; a method computed on demand may have one only.
        heatmaps: (C, h, w) float32 in [0, 1], each class scaled by its own maximum; all zero where nothing in the
            image raised the class score.
        peaks: (C,) float64 >= 0, each map's maximum before scaling.
        min_peak: a map whose maximum is below it is said to show no positive evidence: a map of noise stretched to full
            colour would look like a finding.
        framing: where on the image the maps lie.
    """

    method: str
    classes: tuple[str, ...]
    heatmaps: Heatmap
    peaks: NDArray[np.float64]
    min_peak: float
    framing: Framing

    def heatmap(self, dx: str) -> Heatmap:
        """(h, w) float32 in [0, 1], the map of one class at network resolution.

        Raises:
            ValueError: the method was not computed for this class.
        """
        return self.heatmaps[self._position(dx)]

    def strength(self, dx: str) -> float:
        """The class's strongest evidence relative to the strongest class's, in [0, 1]."""
        highest = float(self.peaks.max())
        return float(self.peaks[self._position(dx)]) / highest if highest > 0 else 0.0

    def has_evidence(self, dx: str) -> bool:
        """Whether anything in the image raised this class's score noticeably."""
        peak = self.peaks[self._position(dx)]
        return bool(peak > 0 and peak >= self.min_peak)

    @property
    def strongest(self) -> str:
        """The dx code with the strongest evidence."""
        return self.classes[int(np.argmax(self.peaks))]

    def _position(self, dx: str) -> int:
        if dx not in self.classes:
            raise ValueError(f"expected one of {', '.join(self.classes)}, received {dx!r}")
        return self.classes.index(dx)


def normalise(heatmap: Heatmap) -> Heatmap:
    """Scale a non-negative map by its maximum to [0, 1]; a map of zeros stays zero (no division by zero, no NaN)."""
    highest = float(heatmap.max(initial=0.0))
    return (heatmap / highest).astype(np.float32) if highest > 0 else np.zeros_like(heatmap, dtype=np.float32)


def explain(maps: Heatmap, codes: Sequence[str], framing: Framing, min_peak: float) -> Explanation:
    """Turn a forward pass's class-activation maps into an `Explanation`: what raised each class's score.

    Args:
        maps: (h, w, C) float32, signed; what lowered a score is left out.
        codes: (C,) of the classes, in the maps' order.
        framing: what `to_network_input` returned for the image.
        min_peak: from the artifact, see `Explanation`.

    Source:
        Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319 (class-activation map); Selvaraju et al., ICCV 2017,
        doi:10.1109/ICCV.2017.74 (section 3: Grad-CAM equals it behind global average pooling and one dense layer).
    """
    return explanation_of(
        "Grad-CAM", dict(zip(codes, np.moveaxis(np.maximum(maps, 0), -1, 0), strict=True)), framing, min_peak
    )


def explanation_of(method: str, maps: Mapping[str, Heatmap], framing: Framing, min_peak: float = 0.0) -> Explanation:
    """An `Explanation` of maps by dx code, each (h, w) float32 >= 0 and not yet scaled."""
    return Explanation(
        method=method,
        classes=tuple(maps),
        heatmaps=np.stack([normalise(heatmap) for heatmap in maps.values()]),
        peaks=np.array([float(heatmap.max(initial=0.0)) for heatmap in maps.values()]),
        min_peak=min_peak,
        framing=framing,
    )


def contrast(maps: Heatmap, index: int, other: int) -> Heatmap:
    """Why one class rather than another: what each position adds to the difference of their logits.

    Args:
        maps: (h, w, C) float32, signed, of a forward pass.
        index, other: two class indices.

    Returns:
        (h, w) float32 in [-1, 1], scaled by the largest absolute value: above 0 where the image speaks for `index`,
        below where it speaks for `other`; zero everywhere where both maps are the same.

    Source:
        Prabhushankar et al., ICIP 2020, arXiv:2008.00178 (contrastive explanations).
    """
    difference = maps[..., index] - maps[..., other]
    largest = float(np.abs(difference).max(initial=0.0))
    return (difference / largest).astype(np.float32) if largest > 0 else np.zeros_like(difference, dtype=np.float32)


def share_inside(heatmap: Heatmap, lesion: Heatmap) -> float:
    """The share of a heatmap that lies where the network sees the lesion.

    Args:
        heatmap: (h, w) float32 >= 0.
        lesion: (h, w) float32 in [0, 1]; a position counts as lesion from 0.5 on.

    Returns:
        In [0, 1]; NaN for a map of zeros.
    """
    total = float(heatmap.sum())
    return float(heatmap[lesion >= LESION_THRESHOLD].sum()) / total if total > 0 else float("nan")


def colour(heatmap: Heatmap) -> RgbImage:
    """(H, W, 3) uint8 RGB magma colours of an (H, W) map in [0, 1]."""
    levels = np.clip(np.rint(heatmap * 255), 0, 255).astype(np.uint8)
    return _magma_table()[levels]


def _magma_table() -> RgbImage:
    stops = np.array(MAGMA_STOPS, dtype=np.float64)
    positions = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(positions, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def overlay(image: RgbImage, heatmap: Heatmap, framing: Framing, opacity: float = 0.6) -> RgbImage:
    """Lay a heatmap over its image: transparent where there is no evidence, coloured where there is.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255; not changed.
        heatmap: (h, w) float32 in [0, 1] at network resolution.
        framing: where on the image the map lies.
        opacity: of full evidence, in [0, 1]; 0 returns the image.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    evidence = np.clip(to_image_pixels(heatmap, framing), 0, 1)
    blended = np.empty(image.shape, dtype=np.uint8)
    for top in range(0, len(image), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        alpha = (evidence[band] * opacity)[..., np.newaxis]
        blended[band] = np.rint(image[band] * (1 - alpha) + colour(evidence[band]) * alpha)
    return blended


# Ends of the two-sided scale of contrast maps: vermilion and blue of the Okabe-Ito palette, told apart by everyone.
FOR_COLOUR, AGAINST_COLOUR = (213, 94, 0), (0, 114, 178)


def contrast_overlay(image: RgbImage, difference: Heatmap, framing: Framing, opacity: float = 0.7) -> RgbImage:
    """Lay a contrast map over its image: `FOR_COLOUR` where it is above 0, `AGAINST_COLOUR` where below.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255; not changed.
        difference: (h, w) float32 in [-1, 1] from `contrast`.
        framing: where on the image the map lies.
        opacity: of a difference of 1, in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB.
    """
    signed = np.clip(to_image_pixels(difference, framing), -1, 1)[..., np.newaxis]
    ends = np.where(signed > 0, np.array(FOR_COLOUR, np.float32), np.array(AGAINST_COLOUR, np.float32))
    alpha = np.abs(signed) * opacity
    return np.rint(image * (1 - alpha) + ends * alpha).astype(np.uint8)
