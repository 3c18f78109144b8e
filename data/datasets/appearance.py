"""How an image of a HAM10000-shaped folder looks: how large its lesion is, and the colours of both sides of its edge.

    python -m data.datasets.appearance --dataset ../shared/ham10000     # rewrites data/ham10000_appearance.csv
    python -m data.datasets.appearance --task retina     # images without masks

Of a task without masks the image is measured instead: light, colour, sharpness, how much of it is lit, and the file.

A colour is a mean of the pixels as the camera gave them. Cameras differ in light and white balance, so a colour tells
of the dataset as much as of what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from data.datasets.cohort import NAMED_COLUMNS
from data.datasets.ham10000 import TABLES, dataset_arguments, image_path, load_metadata, mask_path
from data.tasks.known import TASKS
from data.tasks.skin import SKIN

APPEARANCE_PATH = TABLES / SKIN.dataset.appearance
# What a cohort is filtered by stands beside what was measured, so that the table needs no dataset.
FACTS: tuple[str, ...] = ("image_id", *NAMED_COLUMNS, "age")
LESION_COLOUR: tuple[str, ...] = ("lesion_red", "lesion_green", "lesion_blue")
AROUND_COLOUR: tuple[str, ...] = ("around_red", "around_green", "around_blue")
MEASURED: tuple[str, ...] = ("area", *LESION_COLOUR, *AROUND_COLOUR)
IMAGE_COLOUR: tuple[str, ...] = ("image_red", "image_green", "image_blue")
MEASURED_WHOLE: tuple[str, ...] = ("brightness", "sharpness", "lit", "kilobytes", *IMAGE_COLOUR)
# Pixels are lit from so much of the level that a tenth of them reaches: what lies beyond a round field is black.
LIT_SHARE, LIT_QUANTILE = 0.1, 0.9
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ImageFacts:
    """Size and colour of an image.

    Attributes:
        width, height: pixels.
        area: share of the image that is lesion, in [0, 1]; None without a mask, as the two that follow.
        lesion, around: mean colour inside and outside of the lesion, RGB 0-255; None also where there are no pixels.
        whole: mean colour of the image.
    """

    width: int
    height: int
    area: float | None
    lesion: Colour | None
    around: Colour | None
    whole: Colour | None


def image_facts(image: Rgb, mask: Mask | None) -> ImageFacts:
    """Size and colours of an image, (H, W, 3) uint8 RGB, and of its lesion where there is a mask, (H, W)."""
    height, width = image.shape[:2]
    whole = _mean(image.reshape(-1, 3))
    if mask is None:
        return ImageFacts(width, height, None, None, None, whole)
    return ImageFacts(width, height, float(mask.mean()), _mean(image[mask]), _mean(image[~mask]), whole)


def _mean(pixels: Rgb) -> Colour | None:
    if not len(pixels):
        return None
    red, green, blue = (int(value) for value in np.round(pixels.mean(axis=0)))
    return red, green, blue


def measure_appearance(dataset: Path, codes: Sequence[str] = SKIN.codes) -> pd.DataFrame:
    """Size and colours of every image of a HAM10000 folder that has a lesion mask.

    Args:
        dataset: the folder.
        codes: what may stand as `dx`.

    Returns:
        One row an image: image_id and what a cohort is filtered by, as in the metadata; area, share of the image that
        is lesion, in [0, 1]; mean colours inside (`lesion_red` ...) and outside (`around_red` ...), 0-255; NaN where a
        mask is empty or covers all.

    Raises:
        DatasetError: there is no table, or none of HAM10000's kind.
    """
    rows = _each(dataset, codes, _measured, MEASURED)
    return rows[rows["area"].notna()].reset_index(drop=True)


def measure_whole(dataset: Path, codes: Sequence[str]) -> pd.DataFrame:
    """Light, sharpness, extent and file of every image of a HAM10000-shaped folder that has a file.

    Args:
        dataset: the folder.
        codes: what may stand as `dx`.

    Returns:
        One row an image: image_id and what a cohort is filtered by; brightness, mean grey level of the lit part, 0-255;
        sharpness, standard deviation of the Laplacian of the grey image, grey levels; lit, share of the image that
        is, in [0, 1]; kilobytes of the file; mean colour of the lit part (`image_red` ...), 0-255.

    Raises:
        DatasetError: there is no table, or none of HAM10000's kind.
    """
    rows = _each(dataset, codes, _measured_whole, MEASURED_WHOLE)
    return rows[rows["lit"].notna()].reset_index(drop=True)


def _each(
    dataset: Path, codes: Sequence[str], measure: Callable[[Path, str], tuple[float, ...]], columns: Sequence[str]
) -> pd.DataFrame:
    metadata = load_metadata(dataset, codes)
    with ThreadPoolExecutor() as pool:
        measured = list(pool.map(partial(measure, dataset), metadata["image_id"]))
    return metadata[list(FACTS)].assign(**pd.DataFrame(measured, columns=list(columns), index=metadata.index))


def _measured(dataset: Path, image_id: str) -> tuple[float, ...]:
    path, outline = image_path(dataset, image_id), mask_path(dataset, image_id)
    nothing = (np.nan,) * 3
    if path is None or outline is None:
        return (np.nan, *nothing, *nothing)
    image = _opened(path)
    with Image.open(outline) as opened:
        size = (image.shape[1], image.shape[0])
        mask = np.asarray(opened.convert("L").resize(size, Image.Resampling.NEAREST)) > 127
    facts = image_facts(image, mask)
    area = np.nan if facts.area is None else round(facts.area, 3)
    return (area, *(facts.lesion or nothing), *(facts.around or nothing))


def _measured_whole(dataset: Path, image_id: str) -> tuple[float, ...]:
    path = image_path(dataset, image_id)
    if path is None:
        return (np.nan,) * len(MEASURED_WHOLE)
    image = _opened(path)
    levels = image.max(axis=2)
    is_lit = levels >= max(LIT_SHARE * float(np.quantile(levels, LIT_QUANTILE)), 1)
    grey = image.astype(np.float64) @ np.array(_LUMA)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    brightness = float(grey[is_lit].mean()) if is_lit.any() else 0.0
    colour = _mean(image[is_lit]) or (0, 0, 0)
    measured = (round(brightness, 1), round(float(laplacian.std()), 2), round(float(is_lit.mean()), 3))
    return (*measured, round(path.stat().st_size / 1000, 1), *colour)


def _opened(path: Path) -> Rgb:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def load_appearance(path: Path = APPEARANCE_PATH) -> pd.DataFrame:
    """The committed table (see `measure_appearance`, or `measure_whole`); works without the dataset."""
    return pd.read_csv(path)


def main() -> None:
    arguments = dataset_arguments(__doc__).parse_args()
    task = TASKS[arguments.task]
    measure = measure_appearance if task.dataset.has_masks else measure_whole
    table = measure(arguments.dataset or task.dataset.folder, task.codes)
    output = arguments.output or TABLES / task.dataset.appearance
    # Colours are whole numbers; those that are missing are empty.
    colours = [column for column in (*LESION_COLOUR, *AROUND_COLOUR, *IMAGE_COLOUR) if column in table]
    table.astype(dict.fromkeys(colours, "Int64")).to_csv(output, index=False)
    print(f"{output}: {len(table):,} images")


if __name__ == "__main__":
    main()
