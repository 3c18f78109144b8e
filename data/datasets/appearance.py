"""How an image of a HAM10000-shaped folder looks: how large its lesion is, and the colours of both sides of its edge.

    python -m data.datasets.appearance --dataset ../shared/ham10000     # rewrites data/ham10000_appearance.csv

A colour is a mean of the pixels as the camera gave them. Dermatoscopes differ in light and white balance, so a colour
tells of the dataset as much as of skin.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from data.datasets.cohort import NAMED_COLUMNS
from data.datasets.ham10000 import image_path, load_metadata, mask_path

APPEARANCE_PATH = Path(__file__).resolve().parents[1] / "ham10000_appearance.csv"
# What a cohort is filtered by stands beside what was measured, so that the table needs no dataset.
FACTS: tuple[str, ...] = ("image_id", *NAMED_COLUMNS, "age")
LESION_COLOUR: tuple[str, ...] = ("lesion_red", "lesion_green", "lesion_blue")
AROUND_COLOUR: tuple[str, ...] = ("around_red", "around_green", "around_blue")
MEASURED: tuple[str, ...] = ("area", *LESION_COLOUR, *AROUND_COLOUR)

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


def measure_appearance(dataset: Path) -> pd.DataFrame:
    """Size and colours of every image of a HAM10000 folder that has a lesion mask.

    Returns:
        One row an image: image_id and what a cohort is filtered by, as in the metadata; area, share of the image that
        is lesion, in [0, 1]; mean colours inside (`lesion_red` ...) and outside (`around_red` ...), 0-255; NaN where a
        mask is empty or covers all.

    Raises:
        DatasetError: there is no table, or none of HAM10000's kind.
    """
    metadata = load_metadata(dataset)
    with ThreadPoolExecutor() as pool:
        measured = list(pool.map(partial(_measured, dataset), metadata["image_id"]))
    rows = metadata[list(FACTS)].assign(**pd.DataFrame(measured, columns=list(MEASURED), index=metadata.index))
    return rows[rows["area"].notna()].reset_index(drop=True)


def _measured(dataset: Path, image_id: str) -> tuple[float, ...]:
    path, outline = image_path(dataset, image_id), mask_path(dataset, image_id)
    nothing = (np.nan,) * 3
    if path is None or outline is None:
        return (np.nan, *nothing, *nothing)
    with Image.open(path) as opened:
        image = np.asarray(opened.convert("RGB"))
    with Image.open(outline) as opened:
        size = (image.shape[1], image.shape[0])
        mask = np.asarray(opened.convert("L").resize(size, Image.Resampling.NEAREST)) > 127
    facts = image_facts(image, mask)
    area = np.nan if facts.area is None else round(facts.area, 3)
    return (area, *(facts.lesion or nothing), *(facts.around or nothing))


def load_appearance(path: Path = APPEARANCE_PATH) -> pd.DataFrame:
    """The committed table (see `measure_appearance`); works without the dataset."""
    return pd.read_csv(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("data/raw/ham10000"), help="HAM10000 folder")
    parser.add_argument("--output", type=Path, default=APPEARANCE_PATH, help="table to write")
    arguments = parser.parse_args()
    table = measure_appearance(arguments.dataset)
    # Colours are whole numbers; those that are missing are empty.
    colours = [*LESION_COLOUR, *AROUND_COLOUR]
    table.astype(dict.fromkeys(colours, "Int64")).to_csv(arguments.output, index=False)
    print(f"{arguments.output}: {len(table):,} images")


if __name__ == "__main__":
    main()
