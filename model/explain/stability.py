"""Does a heatmap stay where it is when the image moves a little? One that jumps is not worth a look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.images.rejection import RgbImage
from model.inference.classifier import Classifier

# Half a cell of the maps: an image shifted by a whole cell would give the same map shifted by a cell. Down and right,
# up and left: four straight shifts say the same (docs/experiments.md) and take twice as long.
SHIFT = 8  # pixels of the network's input
SHIFTS: tuple[tuple[int, int], ...] = ((SHIFT, SHIFT), (-SHIFT, -SHIFT))


def heatmap_stability(
    classifier: Classifier, network_input: RgbImage, maps: NDArray[np.float32], class_index: int
) -> float:
    """Mean correlation of a class's heatmap with the heatmaps of shifted copies, shifted back.

    Args:
        classifier: answers one forward pass for each of `SHIFTS`.
        network_input: (height, width, 3) uint8 RGB, 0-255.
        maps: (rows, columns, C) float32 class maps of that input.
        class_index: position in the order of the classes.

    Returns:
        Pearson correlation in [-1, 1] over the pixels that both show, 1 for a heatmap that moves with the image; NaN
        where a heatmap is the same everywhere.
    """
    size = (network_input.shape[1], network_input.shape[0])
    original = _heatmap(maps[..., class_index], size)
    correlations = []
    for rows, columns in SHIFTS:
        moved_maps = classifier.forward(_shifted(network_input, rows, columns)).maps
        moved = _heatmap(moved_maps[..., class_index], size)
        inside = _both_show(original.shape, rows, columns)
        correlations.append(_correlation(original[inside], np.roll(moved, (-rows, -columns), axis=(0, 1))[inside]))
    return float(np.mean(correlations))


def _heatmap(class_map: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """The positive evidence, bicubic at the input's resolution (`size` is width, height)."""
    cells = np.ascontiguousarray(np.maximum(class_map, 0))
    return np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)


def _shifted(image: RgbImage, rows: int, columns: int) -> RgbImage:
    """The image moved down and right; what comes in at the edge repeats the edge."""
    height, width = image.shape[:2]
    from_rows = np.clip(np.arange(height) - rows, 0, height - 1)
    from_columns = np.clip(np.arange(width) - columns, 0, width - 1)
    return np.ascontiguousarray(image[from_rows][:, from_columns])


def _both_show(shape: tuple[int, ...], rows: int, columns: int) -> NDArray[np.bool_]:
    """Which pixels of the original are still on the shifted image."""
    inside = np.ones(shape, dtype=bool)
    inside[: max(-rows, 0)] = False
    inside[shape[0] - max(rows, 0) :] = False
    inside[:, : max(-columns, 0)] = False
    inside[:, shape[1] - max(columns, 0) :] = False
    return inside


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
