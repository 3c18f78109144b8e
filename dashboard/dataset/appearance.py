"""How the lesions of a cohort look, by diagnosis: how large they are, and their colours. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.datasets.appearance import AROUND_COLOUR, LESION_COLOUR, Colour
from data.tasks.task import Task

# Of red, green and blue in how light a colour is. Source: ITU-R BT.601.
LIGHTNESS = (0.299, 0.587, 0.114)
PARTS = 5  # of the images of a class, from the darkest lesions to the lightest


@dataclass(frozen=True)
class Strip:
    """The colours of a class.

    Attributes:
        dx: code of the class.
        images: how many were measured.
        lesion, around: mean colour of each fifth of its images, RGB 0-255, those with the darkest lesions first; fewer
            where it has fewer images.
    """

    dx: str
    images: int
    lesion: tuple[Colour, ...]
    around: tuple[Colour, ...]


def sizes(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Share of the image that is lesion, by class (rows, those with images, in order).

    Returns:
        Columns low, median, high (a quarter, half and three quarters of the images have at most so much, in [0, 1])
        and images.
    """
    of_class = {dx: rows.loc[rows["dx"] == dx, "area"].to_numpy(float) for dx in task.codes}
    found = {dx: (*np.quantile(area, (0.25, 0.5, 0.75)), len(area)) for dx, area in of_class.items() if len(area)}
    return pd.DataFrame.from_dict(found, orient="index", columns=["low", "median", "high", "images"])


def strips(task: Task, rows: pd.DataFrame) -> list[Strip]:
    """The colours of each class that has images, in their order; images without both colours are left out."""
    whole = rows.dropna(subset=[*LESION_COLOUR, *AROUND_COLOUR])
    dx, colours = whole["dx"].to_numpy(), whole[[*LESION_COLOUR, *AROUND_COLOUR]].to_numpy(float)
    return [_strip(code, colours[dx == code]) for code in task.codes if (dx == code).any()]


def _strip(dx: str, colours: np.ndarray) -> Strip:
    from_dark_to_light = np.argsort(colours[:, :3] @ LIGHTNESS, kind="stable")
    parts = [colours[part].mean(axis=0) for part in np.array_split(from_dark_to_light, PARTS) if len(part)]
    return Strip(
        dx, len(colours), tuple(_colour(part[:3]) for part in parts), tuple(_colour(part[3:]) for part in parts)
    )


def _colour(mean: np.ndarray) -> Colour:
    red, green, blue = (int(value) for value in np.round(mean))
    return red, green, blue


def strips_frame(found: list[Strip]) -> pd.DataFrame:
    """The strips for download: dx, images, part (1 has the darkest lesions), and the colours as columns."""
    rows = [
        (strip.dx, strip.images, part, *lesion, *around)
        for strip in found
        for part, (lesion, around) in enumerate(zip(strip.lesion, strip.around, strict=True), start=1)
    ]
    return pd.DataFrame(rows, columns=["dx", "images", "part", *LESION_COLOUR, *AROUND_COLOUR])
