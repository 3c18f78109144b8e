"""Even light and stronger contrast for photographs that are dark at the rim: two known ways, at the network's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from model.images.rejection import RgbImage

Contrast = Literal["none", "local_average", "equalised"]
CONTRASTS: tuple[Contrast, ...] = get_args(Contrast)

# Ben Graham's: four times the distance from the average of a neighbourhood of a thirtieth of the radius, on mid-grey.
_GAIN, _GREY = 4.0, 128.0
_SIGMA_SHARE = 1 / 60  # of the side, twice the radius
# The usual settings of contrast-limited equalisation: 8 x 8 tiles, no grey level more than twice its even share.
_TILES, _CLIP = 8, 2.0
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def local_average_subtracted(image: RgbImage, seen: NDArray[np.bool_]) -> RgbImage:
    """Each pixel's distance from the average around it, on grey: even light, vessels and lesions in relief.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
        seen: (H, W) what of it is photograph; the average is taken of that alone, so that the rim throws no halo.

    Returns:
        (H, W, 3) uint8; mid-grey where nothing is seen.

    Source:
        Graham, "Kaggle Diabetic Retinopathy Detection competition report" 2015.
    """
    weight = seen.astype(np.float32)[..., np.newaxis]
    sigma = min(image.shape[:2]) * _SIGMA_SHARE
    values = np.concatenate([image * weight, weight], axis=2, dtype=np.float32)
    blurred = _blurred(_blurred(values, sigma, 0), sigma, 1)
    average = blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-6)
    relief = _GAIN * (image.astype(np.float32) - average) + _GREY
    return np.where(seen[..., np.newaxis], np.clip(np.rint(relief), 0, 255), _GREY).astype(np.uint8)


def _blurred(values: NDArray[np.float32], sigma: float, axis: int) -> NDArray[np.float32]:
    """A Gaussian blur along an axis; beyond the border there is nothing."""
    reach = max(round(3 * sigma), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    margin = [(reach, reach) if number == axis else (0, 0) for number in range(3)]
    padded, length = np.pad(values, margin), values.shape[axis]
    total = np.zeros_like(values)
    for shift, share in enumerate(kernel.astype(np.float32)):
        total += share * np.take(padded, range(shift, shift + length), axis=axis)
    return total


def equalised(image: RgbImage, seen: NDArray[np.bool_]) -> RgbImage:
    """Brightness equalised tile by tile, its contrast limited; colours keep their ratios.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
        seen: (H, W) what of it is photograph; a tile's brightness is counted there alone.

    Returns:
        (H, W, 3) uint8; black where nothing is seen.

    Source:
        Zuiderveld, Graphics Gems IV 1994, 474 (contrast limited adaptive histogram equalization).
    """
    luma = image.astype(np.float32) @ _LUMA
    levels = np.rint(luma).astype(np.int64)
    curves = _tile_curves(levels, seen)
    rows, row_shares = _between_tiles(image.shape[0])
    columns, column_shares = _between_tiles(image.shape[1])
    wanted = np.zeros_like(luma)
    for row, row_share in zip(rows, row_shares, strict=True):
        for column, column_share in zip(columns, column_shares, strict=True):
            curve = curves[row[:, np.newaxis], column[np.newaxis, :], levels]
            wanted += row_share[:, np.newaxis] * column_share[np.newaxis, :] * curve
    gain = wanted / np.maximum(luma, 1.0)
    brightened = np.clip(np.rint(image * gain[..., np.newaxis]), 0, 255)
    return np.where(seen[..., np.newaxis], brightened, 0).astype(np.uint8)


def _tile_curves(levels: NDArray[np.int64], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(tiles, tiles, 256) float32: what each grey level becomes in each tile, 0-255; itself where nothing is seen."""
    curves = np.tile(np.arange(256, dtype=np.float32), (_TILES, _TILES, 1))
    row_edges, column_edges = (np.linspace(0, side, _TILES + 1).round().astype(int) for side in levels.shape)
    for row in range(_TILES):
        for column in range(_TILES):
            tile = np.s_[row_edges[row] : row_edges[row + 1], column_edges[column] : column_edges[column + 1]]
            counts = np.bincount(levels[tile][seen[tile]], minlength=256).astype(np.float64)
            if counts.sum():
                limit = _CLIP * counts.sum() / 256
                excess = np.maximum(counts - limit, 0).sum()
                curves[row, column] = np.cumsum(np.minimum(counts, limit) + excess / 256) / counts.sum() * 255
    return curves


def _between_tiles(side: int) -> tuple[tuple[NDArray[np.int64], ...], tuple[NDArray[np.float32], ...]]:
    """The two tiles whose middles a pixel lies between, and how much each counts; beyond the last one, that alone."""
    place = np.clip((np.arange(side) + 0.5) / side * _TILES - 0.5, 0, _TILES - 1)
    low = np.minimum(place.astype(np.int64), _TILES - 2)
    share = (place - low).astype(np.float32)
    return (low, low + 1), (1 - share, share)


ENHANCED: Mapping[Contrast, Callable[[RgbImage, NDArray[np.bool_]], RgbImage]] = {
    "local_average": local_average_subtracted,
    "equalised": equalised,
}
