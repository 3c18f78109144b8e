"""The round field that a fundus camera sees, found in a photograph: a bright disc, often cut off, on black.

A copy that was squashed to another aspect, as many public ones are, shows an ellipse. Its two axes are found by
themselves, so that such a copy and the photograph it was made from look alike once the field is brought to a circle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.images.rejection import RgbImage

# Looked for in a copy of at most so many pixels a side.
_SIDE = 256
# Grey levels of 255 by which the field must be brighter than the darkest corner; noise of a JPEG stays below.
_MIN_CONTRAST, _MIN_STEP = 12.0, 6.0
# A corner that is brighter than so much of the field's bright parts is field itself, or another kind of image.
_DARK_SHARE = 0.5
# Of the way from the corner's level to that of the field's bright parts: dark rims still count as field.
_RIM_SHARE = 0.1
_CORNER = 0.05  # of the side
# What is no ellipse, or not the camera's: axes of the image's half side, their ratio, the centre's distance.
_MIN_AXIS, _MAX_AXIS, _MAX_RATIO, _MAX_SHIFT = 0.3, 1.6, 2.0, 0.4
_MIN_POINTS, _MIN_INLIERS, _NEAR = 60, 0.6, 0.02
_ROUNDS = 5


@dataclass(frozen=True)
class Field:
    """The box around the field's ellipse, pixels of the image; beyond it where the image cuts the field off."""

    left: float
    top: float
    width: float
    height: float


def find_field(image: RgbImage) -> Field | None:
    """The round field of a retinal photograph; None where no such edge is seen: black, flat, or filled to the corners.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
    """
    height, width = image.shape[:2]
    shrink = min(1.0, _SIDE / max(height, width))
    size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    small = Image.fromarray(image).resize(size, Image.Resampling.BOX) if shrink < 1 else Image.fromarray(image)
    inside = _bright(np.asarray(small).max(axis=2).astype(np.float64))
    ellipse = None if inside is None else _ellipse_through(_edge_points(inside))
    if ellipse is None:
        return None
    centre_x, centre_y, half_width, half_height = ellipse
    return Field(
        left=(centre_x - half_width + 1) / 2 * width,
        top=(centre_y - half_height + 1) / 2 * height,
        width=half_width * width,
        height=half_height * height,
    )


def _bright(levels: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Whether a pixel is of the field, (h, w) in and out; None where nothing is brighter than the darkest corner."""
    rows, columns = (max(round(side * _CORNER), 1) for side in levels.shape)
    corners = [
        np.median(part) for half in (levels[:rows], levels[-rows:]) for part in (half[:, :columns], half[:, -columns:])
    ]
    floor, top = min(corners), float(np.quantile(levels, 0.9))
    if top - floor < _MIN_CONTRAST or floor > _DARK_SHARE * top:
        return None
    return levels > floor + max(_MIN_STEP, _RIM_SHARE * (top - floor))


def _edge_points(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Where each row and each column enters and leaves the field, (N, 2) of x and y in [-1, 1] of the image.

    Ends that lie on the image's border are left out: there the field is cut off.
    """
    height, width = inside.shape
    found = []
    for is_row, lines in ((True, inside), (False, inside.T)):
        # Two of three neighbours: a lone bright pixel is no edge.
        bordered = np.pad(lines, ((0, 0), (1, 1))).astype(np.int8)
        solid = bordered[:, :-2] + bordered[:, 1:-1] + bordered[:, 2:] >= 2
        numbers = np.flatnonzero(solid.any(axis=1))
        first = solid[numbers].argmax(axis=1)
        last = lines.shape[1] - solid[numbers, ::-1].argmax(axis=1)
        for ends, is_cut in ((first, first <= 2), (last, last >= lines.shape[1] - 2)):
            along, across = ends[~is_cut].astype(np.float64), numbers[~is_cut] + 0.5
            found.append(np.stack((along, across) if is_row else (across, along), axis=1))
    return np.concatenate(found) * 2 / (width, height) - 1


def _ellipse_through(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Centre and half axes of the upright ellipse that most of (N, 2) points lie on; None where they do not."""
    is_near = np.ones(len(points), dtype=bool)
    ellipse = None
    for _ in range(_ROUNDS):
        if is_near.sum() < _MIN_POINTS:
            return None
        ellipse = _fitted(points[is_near])
        if ellipse is None:
            return None
        distance = np.abs(np.hypot(*((points - ellipse[:2]) / ellipse[2:]).T) - 1)
        is_near = distance <= max(_NEAR, 1.5 * float(np.median(distance)))
    is_on = distance <= _NEAR
    return ellipse if is_on.sum() >= max(_MIN_POINTS, _MIN_INLIERS * len(points)) else None


def _fitted(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """The upright conic A x^2 + B y^2 + C x + D y = 1 by least squares, where it is an ellipse like a camera's."""
    x, y = points.T
    terms = np.stack((x * x, y * y, x, y), axis=1)
    (a, b, c, d), _, rank, _ = np.linalg.lstsq(terms, np.ones(len(points)), rcond=None)
    if rank < 4 or a <= 0 or b <= 0:
        return None
    centre_x, centre_y = -c / (2 * a), -d / (2 * b)
    scale = 1 + a * centre_x**2 + b * centre_y**2
    half_width, half_height = float(np.sqrt(scale / a)), float(np.sqrt(scale / b))
    is_like_one = (
        _MIN_AXIS <= min(half_width, half_height)
        and max(half_width, half_height) <= _MAX_AXIS
        and max(half_width, half_height) <= _MAX_RATIO * min(half_width, half_height)
        and max(abs(centre_x), abs(centre_y)) <= _MAX_SHIFT
    )
    return (float(centre_x), float(centre_y), half_width, half_height) if is_like_one else None
