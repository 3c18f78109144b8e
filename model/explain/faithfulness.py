"""Does a heatmap lie on the lesion, and does the score depend on where it is hot? In plain numpy, one map at a time.

Two questions that are easily mixed up. Where a map lies (`energy_inside`, `points_inside`, `iou_by_threshold`) is
measured against a lesion mask drawn by people; a map may lie on the lesion and say nothing about the network, as
`centred_gaussian` does. Whether the score depends on it (`insertion_deletion`) is measured on the network, and needs no
mask. Neither shows that the reason is a medical one.

NaN means "cannot be said" and is never replaced by 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.explain.maps import Heatmap, normalise
from model.images.framing import frame, to_image_pixels
from model.images.rejection import RgbImage
from model.measures.intervals import Groups
from model.measures.metrics import Array, Booleans, check_aligned, mean_of_finite

# A map covers what reaches this share of its maximum.
IOU_THRESHOLDS: Array = np.linspace(0.05, 0.95, 19)
STEPS = 16
# Standard deviation of the blur, as a share of the image's height: 32 of 192 pixels. On 84 training images, twelve of
# each class, the mean probability of the predicted class fell from 0.91 to 0.15 under it, and to 0.14 on the bare mean
# colour; at 5 pixels 0.24 were left. So little remains to be read, without the edge that a bare colour would draw.
BLUR_SHARE = 1 / 6
# Least-squares fit of a centred Gaussian to the mean mask of 350 training lesions, fifty of each class, on a grid of
# 0.01: the best guess at a lesion's place without a look at the image. Shares of the height and of the width.
SPOT_SHARES = (0.23, 0.20)
# Input pixels between the cells of the network's maps: noise is drawn in cells of the same size.
CELL_SIDE = 16


def to_input_pixels(heatmap: Heatmap, height: int, width: int) -> Heatmap:
    """Resize a map to the network's input, as the dashboard does: bicubic between cells, cut where it falls below 0.

    Args:
        heatmap: (h, w) float32 >= 0.
        height, width: the network's input size, pixels.

    Returns:
        (height, width) float32 >= 0; a map of zeros stays zero.
    """
    return np.maximum(to_image_pixels(heatmap, frame(height, width, height, width)), 0)


def energy_inside(heatmap: Heatmap, mask: Booleans) -> float:
    """Share of a heatmap's sum that lies on the lesion.

    It rewards narrow maps: a single hot pixel at the centre of the image lies on nearly every lesion.

    Args:
        heatmap: (H, W) float >= 0.
        mask: (H, W) bool, True on the lesion.

    Returns:
        In [0, 1], 0 for an empty mask; NaN for a map of zeros, which shows no evidence anywhere.

    Raises:
        ValueError: shapes differ, or the map holds NaN, infinity or a value below 0.

    Source:
        Wang et al., CVPR Workshops 2020, arXiv:1910.01279 (energy-based pointing game).
    """
    _check_map(heatmap, mask.shape)
    total = float(heatmap.sum(dtype=np.float64))
    return float(heatmap[mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def points_inside(heatmap: Heatmap, mask: Booleans) -> bool:
    """Whether a heatmap's maximum lies on the lesion.

    Args:
        heatmap: (H, W) float >= 0.
        mask: (H, W) bool, True on the lesion.

    Returns:
        True if every pixel that reaches the maximum lies inside: on a tie nobody can say which of them is meant, so one
        outside is a miss. A map of zeros points nowhere: False.

    Raises:
        ValueError: shapes differ, or the map holds NaN, infinity or a value below 0.

    Source:
        Zhang et al., IJCV 2018;126:1084, doi:10.1007/s11263-017-1059-x (pointing game; without its 15-pixel margin).
    """
    _check_map(heatmap, mask.shape)
    highest = heatmap.max(initial=0.0)
    return bool(highest > 0 and mask[heatmap == highest].all())


def iou_by_threshold(heatmap: Heatmap, mask: Booleans, thresholds: Array = IOU_THRESHOLDS) -> Array:
    """Overlap of the mask with what a heatmap covers, at several thresholds: intersection over union.

    Args:
        heatmap: (H, W) float >= 0; it is scaled by its maximum to [0, 1].
        mask: (H, W) bool, True on the lesion.
        thresholds: (T,) in (0, 1]; a pixel is covered from its threshold on.

    Returns:
        (T,) float64 in [0, 1]. A map of zeros covers nothing: 0; NaN where the mask is empty as well.

    Raises:
        ValueError: shapes differ, the map holds NaN, infinity or a value below 0, or a threshold outside (0, 1].
    """
    _check_map(heatmap, mask.shape)
    if not np.all((thresholds > 0) & (thresholds <= 1)):
        raise ValueError(f"expected thresholds above 0 and up to 1, received {thresholds}")
    is_covered = normalise(heatmap) >= thresholds.astype(np.float32)[:, np.newaxis, np.newaxis]
    intersections = (is_covered & mask).sum(axis=(1, 2))
    unions = (is_covered | mask).sum(axis=(1, 2))
    return intersections / np.where(unions > 0, unions, np.nan)


def best_threshold(ious: Array) -> int:
    """Position of the one threshold with the highest mean overlap over a set of images; the lowest of equals.

    Args:
        ious: (N, T) of `iou_by_threshold`, N and T at least 1; NaN is left out of the means.

    Raises:
        ValueError: no images, or none with an overlap.
    """
    means = mean_of_finite(ious)
    if not np.isfinite(means).any():
        raise ValueError(f"expected overlaps of at least one image, received {ious.shape[0]} images without any")
    return int(np.nanargmax(means))


def halves_by_lesion(lesion_ids: Groups, seed: int = 0) -> Booleans:
    """Deal lesions into two halves at random; all images of a lesion fall into one.

    Args:
        lesion_ids: (N,) lesion of each image.
        seed: the same seed and lesions give the same halves.

    Returns:
        (N,) bool, True in the second half, which has one lesion fewer where their number is odd.
    """
    unique_lesions, lesion_of = np.unique(lesion_ids, return_inverse=True)
    lesions = len(unique_lesions)
    return np.random.default_rng(seed).permutation(np.arange(lesions) % 2 == 1)[lesion_of]


def cross_fitted_iou(ious: Array, is_second_half: Booleans) -> tuple[Array, tuple[int, int]]:
    """Overlap of each image at the one threshold that is best on the other half.

    A threshold chosen on the images it is measured on would flatter, most of all the method with the least stable maps.

    Args:
        ious: (N, T) of `iou_by_threshold`.
        is_second_half: (N,) bool of `halves_by_lesion`.

    Returns:
        (N,) float64 in [0, 1], and the positions of the thresholds used on the first and on the second half.

    Raises:
        ValueError: lengths differ, or a half has no image with an overlap.
    """
    check_aligned(ious, is_second_half)
    on_first, on_second = best_threshold(ious[is_second_half]), best_threshold(ious[~is_second_half])
    return np.where(is_second_half, ious[:, on_second], ious[:, on_first]), (on_first, on_second)


def blur(image: RgbImage, sigma: float) -> RgbImage:
    """An image under a Gaussian blur: at the edges, only over the pixels there are.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255; not changed.
        sigma: standard deviation, pixels, above 0.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows, columns = (_smoothing_matrix(side, sigma) for side in image.shape[:2])
    # A Gaussian is separable: rows and columns are smoothed one after the other, each channel for itself.
    smoothed = rows @ np.moveaxis(image.astype(np.float64), -1, 0) @ columns.T
    return np.rint(np.moveaxis(smoothed, 0, -1)).astype(np.uint8)


def insertion_deletion(
    image: RgbImage, heatmap: Heatmap, score: Callable[[RgbImage], float], steps: int = STEPS, seed: int = 0
) -> tuple[float, float]:
    """How fast a score rises as an image appears in the order of its heatmap, and falls as it goes in that order.

    Insertion starts from the blurred image and puts the hottest pixels in first; deletion starts from the image and
    blurs them first. A faithful map has a high insertion and a low deletion: insertion - deletion is its faithfulness,
    and about 0 for an order that has nothing to do with the network. Images half sharp and half blurred are unlike any
    the network was trained on, which lowers all scores alike.

    Args:
        image: (H, W, 3) uint8 RGB, the network's input; not changed.
        heatmap: (H, W) float >= 0. Equal values come in a random order: coarse maps have many, and the order of rows
            would be an order from top to bottom.
        score: the probability in question, of an image like `image`; called 2 * (steps + 1) times.
        steps: equal shares of the pixels that are put in or taken out one after the other, at least 1.
        seed: of the order of ties.

    Returns:
        Areas under the insertion and the deletion curve over the share of pixels (trapezium rule), in the unit of the
        score.

    Raises:
        ValueError: shapes differ, the map holds NaN, infinity or a value below 0, or no steps.

    Source:
        Petsiuk, Das, Saenko, BMVC 2018, arXiv:1806.07421. There, deletion ends at one constant colour; here both
        curves run between the image and its blur, since a hole of one colour looks like nothing on skin.
    """
    _check_map(heatmap, image.shape[:2])
    if steps < 1:
        raise ValueError(f"expected at least one step, received {steps}")
    blurred = blur(image, BLUR_SHARE * image.shape[0])
    ranks = _ranks(heatmap, seed)
    insertion, deletion = [], []
    for pixels in np.linspace(0, heatmap.size, steps + 1).round():
        is_first = (ranks < pixels)[..., np.newaxis]
        insertion.append(score(np.where(is_first, image, blurred)))
        deletion.append(score(np.where(is_first, blurred, image)))
    return _area(insertion), _area(deletion)


def centred_gaussian(height: int, width: int) -> Heatmap:
    """The plain spot to beat: a Gaussian at the centre, where people put lesions, as wide as lesions are on average.

    Its widths are `SPOT_SHARES` of the sides. They decide its energy, which a narrower spot would raise; where its
    maximum lies, its best overlap and the order of its pixels depend on their ratio alone.

    Args:
        height, width: pixels.

    Returns:
        (height, width) float32 in (0, 1].
    """
    rows, columns = (
        np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / share) ** 2)
        for side, share in zip((height, width), SPOT_SHARES, strict=True)
    )
    return np.outer(rows, columns).astype(np.float32)


def random_map(height: int, width: int, generator: np.random.Generator) -> Heatmap:
    """Noise as coarse and as smooth as the network's own maps: uniform in each cell, resized like them.

    Args:
        height, width: pixels.
        generator: source of the noise.

    Returns:
        (height, width) float32 >= 0.
    """
    cells = generator.random((-(-height // CELL_SIDE), -(-width // CELL_SIDE)), dtype=np.float32)
    return to_input_pixels(cells, height, width)


def _check_map(heatmap: Heatmap, shape: tuple[int, ...]) -> None:
    if heatmap.shape != shape:
        raise ValueError(f"expected a heatmap of {shape}, received {heatmap.shape}; use to_input_pixels")
    # NaN is not >= 0 either.
    if not (np.all(heatmap >= 0) and np.all(np.isfinite(heatmap))):
        raise ValueError("expected finite values of at least 0, received others; cut the map at 0 first")


def _smoothing_matrix(side: int, sigma: float) -> NDArray[np.float64]:
    """(side, side): each row the weights of a Gaussian around one position, sum 1."""
    distances = np.arange(side)[:, np.newaxis] - np.arange(side)
    weights = np.exp(-0.5 * (distances / sigma) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


def _ranks(heatmap: Heatmap, seed: int) -> NDArray[np.int64]:
    """Place of each pixel in the order from hot to cold, from 0; equal values in a random order."""
    order = np.lexsort((np.random.default_rng(seed).permutation(heatmap.size), -heatmap.ravel()))
    ranks = np.empty(heatmap.size, dtype=np.int64)
    ranks[order] = np.arange(heatmap.size)
    return ranks.reshape(heatmap.shape)


def _area(scores: list[float]) -> float:
    """Trapezium rule over [0, 1] at equal distances."""
    values = np.array(scores, dtype=np.float64)
    return float((values[1:] + values[:-1]).mean() / 2)
