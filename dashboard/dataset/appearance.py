"""How the images of a cohort look, by class: what was measured of them, and their colours. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.datasets.appearance import AROUND_COLOUR, IMAGE_COLOUR, LESION_COLOUR, Colour
from data.tasks.task import Task

# Of red, green and blue in how light a colour is. Source: ITU-R BT.601.
LIGHTNESS = (0.299, 0.587, 0.114)
PARTS = 5  # of the images of a class, from the darkest to the lightest


@dataclass(frozen=True)
class Strip:
    """The colours of a class.

    Attributes:
        dx: code of the class.
        images: how many were measured.
        fields: for each part that was measured, mean colour of each fifth of its images, RGB 0-255, the darkest of the
            first part first; fewer where it has fewer images.
    """

    dx: str
    images: int
    fields: tuple[tuple[Colour, ...], ...]


def middles(task: Task, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """What was measured of the images, by class (rows, those with images, in order).

    Returns:
        Columns low, median, high (a quarter, half and three quarters of the images have at most so much) and images.
    """
    of_class = {dx: rows.loc[rows["dx"] == dx, column].to_numpy(float) for dx in task.codes}
    found = {
        dx: (*np.quantile(values, (0.25, 0.5, 0.75)), len(values)) for dx, values in of_class.items() if len(values)
    }
    return pd.DataFrame.from_dict(found, orient="index", columns=["low", "median", "high", "images"])


def coloured_parts(rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Columns of red, green and blue of each part whose colour was measured: lesion and around it, or the image."""
    return tuple(part for part in (LESION_COLOUR, AROUND_COLOUR, IMAGE_COLOUR) if part[0] in rows)


def strips(task: Task, rows: pd.DataFrame) -> list[Strip]:
    """The colours of each class that has images, in their order; images without all colours are left out."""
    columns = [column for part in coloured_parts(rows) for column in part]
    whole = rows.dropna(subset=columns)
    dx, colours = whole["dx"].to_numpy(), whole[columns].to_numpy(float)
    return [_strip(code, colours[dx == code]) for code in task.codes if (dx == code).any()]


def _strip(dx: str, colours: np.ndarray) -> Strip:
    from_dark_to_light = np.argsort(colours[:, :3] @ LIGHTNESS, kind="stable")
    parts = [colours[part].mean(axis=0) for part in np.array_split(from_dark_to_light, PARTS) if len(part)]
    starts = range(0, colours.shape[1], 3)
    fields = tuple(tuple(_colour(part[start : start + 3]) for part in parts) for start in starts)
    return Strip(dx, len(colours), fields)


def _colour(mean: np.ndarray) -> Colour:
    red, green, blue = (int(value) for value in np.round(mean))
    return red, green, blue


def strips_frame(found: list[Strip], parts: Sequence[Sequence[str]]) -> pd.DataFrame:
    """The strips for download: dx, images, part (1 is the darkest), and the colours as columns.

    Args:
        found: of `strips`.
        parts: of `coloured_parts`.
    """
    rows = [
        (strip.dx, strip.images, part, *(value for colour in colours for value in colour))
        for strip in found
        for part, colours in enumerate(zip(*strip.fields, strict=True), start=1)
    ]
    return pd.DataFrame(rows, columns=["dx", "images", "part", *(column for part in parts for column in part)])
