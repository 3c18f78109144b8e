"""Does a heatmap stay as it is when the image moves a little, or under faint noise? One that jumps is worth no look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.explain.maps import Heatmap, normalise
from model.images.rejection import RgbImage
from model.inference.classifier import Classifier
from model.measures.similarity import correlation

# Half a cell of the maps: an image shifted by a whole cell would give the same map shifted by a cell. Down and right,
# up and left: four straight shifts say the same (docs/experiments.md) and take twice as long.
SHIFT = 8  # pixels of the network's input
SHIFTS: tuple[tuple[int, int], ...] = ((SHIFT, SHIFT), (-SHIFT, -SHIFT))
# Noise of at most so many of the 255 levels, in every channel of every pixel: 2 %, which nobody sees on a photograph.
NOISE_LEVELS = 5
NOISE_SAMPLES = 10


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
        correlations.append(correlation(original[inside], np.roll(moved, (-rows, -columns), axis=(0, 1))[inside]))
    return float(np.mean(correlations))


def max_sensitivity(
    image: RgbImage,
    map_of: Callable[[RgbImage], Heatmap],
    generator: np.random.Generator,
    samples: int = NOISE_SAMPLES,
    levels: int = NOISE_LEVELS,
) -> float:
    """The largest change of a heatmap that faint noise on its image makes, relative to the heatmap.

    A map that never changes has 0, whether or not it has to do with the network: low is needed, and proves nothing.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255; not changed.
        map_of: the heatmap of such an image, of any shape and scale, >= 0; each is scaled by its own maximum, as it is
            shown. Called samples + 1 times.
        generator: source of the noise.
        samples: noisy copies; the more, the larger the largest change.
        levels: the noise is uniform from -levels to levels, whole numbers, and ends at 0 and 255.

    Returns:
        max ||map(noisy) - map(image)|| / ||map(image)|| with Euclidean norms, at least 0: 1 is a change as large as the
        map itself. NaN where the image's map is all zeros.

    Raises:
        ValueError: no samples.

    Source:
        Yeh et al., NeurIPS 2019, arXiv:1901.09392 (max-sensitivity); relative, as Quantus has it.
    """
    if samples < 1:
        raise ValueError(f"expected at least one noisy copy, received {samples}")
    original = normalise(map_of(image)).astype(np.float64)
    norm = np.linalg.norm(original)
    if norm == 0:
        return float("nan")
    changes = []
    for _ in range(samples):
        noise = generator.integers(-levels, levels, size=image.shape, endpoint=True)
        noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
        changes.append(np.linalg.norm(normalise(map_of(noisy)) - original) / norm)
    return float(max(changes))


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
