"""The training part of the ISIC 2017 challenge: dermoscopic images of other clinics, in three parts.

    python -m data.datasets.isic2017 --source ../shared/isic2017_training --output data/raw/isic2017

Writes three folders shaped like HAM10000: `training` (for `model.train --extra`), `choosing` (to choose and calibrate
on) and `locked`, which is scored for final figures alone. Which image is in which part stands in
`data/isic2017_parts.csv`; `--assign` makes that table again. There are no lesion ids, so images that are nearly the
same are taken for one lesion. Its nevi are what is neither melanoma nor seborrheic keratosis: a nevus there is no
dermatofibroma, but it may be a lentigo, which HAM10000 counts among its benign keratoses.

Source:
    Codella et al., arXiv:1710.05006; licence CC0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from data.datasets.ham10000 import METADATA_COLUMNS, METADATA_FILE, NOT_TOLD_FROM, SOURCE, UNKNOWN, DatasetError
from data.datasets.near_copies import alike, grey_pictures

NAME = "isic2017"
PARTS_PATH = Path(__file__).resolve().parents[1] / "isic2017_parts.csv"
COLUMNS: tuple[str, ...] = ("image_id", "dx", "age", "sex", "framing")
# What else a lesion may be that is labelled so.
MAY_BE: dict[str, str] = {"nv": "bkl"}

Part = Literal["training", "choosing", "locked"]
PARTS: tuple[Part, ...] = get_args(Part)
SHARES: dict[Part, float] = {"training": 0.45, "choosing": 0.23, "locked": 0.32}
# The seed of the locked part. Changing it unlocks its images.
SEED = 20170308
# Small grey pictures (`data.datasets.near_copies`) are one lesion from this correlation on: the pairs seen to show one
# lesion lie above it, and some that only look alike.
SAME_LESION = 0.96


def load_isic2017(source: Path) -> pd.DataFrame:
    """The images with labels, shaped like HAM10000's metadata, and the part each is in.

    Args:
        source: folder with `metadata.csv` and `images/`.

    Returns:
        One row an image: the columns of HAM10000's metadata, `source`, `not_told_from`, `framing` (how the image was
        made: `cropped` in true proportions or `squashed`) and `part`.

    Raises:
        DatasetError: the table is missing or another one, or holds an image that has no part.
    """
    table = _read(source)
    parts = pd.read_csv(PARTS_PATH)
    table = table.merge(parts, on="image_id", how="left")
    unknown = table["image_id"][table["part"].isna()]
    if len(unknown):
        raise DatasetError(
            f"{source}: expected the images of {PARTS_PATH.name}, received {unknown.iloc[0]}, which has no part"
        )
    return table.assign(
        dx_type=UNKNOWN,
        localization=UNKNOWN,
        # A column without a single value was read as numbers.
        sex=table["sex"].astype("object").fillna(UNKNOWN),
        **{SOURCE: NAME, NOT_TOLD_FROM: [MAY_BE.get(dx, "") for dx in table["dx"]]},
    )[[*METADATA_COLUMNS, SOURCE, NOT_TOLD_FROM, "framing", "part"]]


def _read(source: Path) -> pd.DataFrame:
    path = source / "metadata.csv"
    if not path.is_file():
        raise DatasetError(f"expected metadata.csv of ISIC 2017 in {source}, found none")
    table = pd.read_csv(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DatasetError(f"{path}: expected columns {', '.join(COLUMNS)}; missing {', '.join(missing)}")
    return table


def write_parts(source: Path, output: Path) -> dict[Part, int]:
    """Write a folder shaped like HAM10000 for each part, its images as links into `source`; how many images each has.

    Raises:
        DatasetError: as `load_isic2017`.
    """
    table = load_isic2017(source)
    for part in PARTS:
        images = output / part / "images"
        images.mkdir(parents=True, exist_ok=True)
        rows = table[table["part"] == part]
        for image_id in rows["image_id"]:
            link = images / f"{image_id}.jpg"
            link.unlink(missing_ok=True)
            link.symlink_to((source / "images" / f"{image_id}.jpg").resolve())
        rows.drop(columns="part").to_csv(output / part / METADATA_FILE, index=False)
    return {part: int((table["part"] == part).sum()) for part in PARTS}


def assign_parts(table: pd.DataFrame, lesions: Sequence[str], seed: int = SEED) -> pd.Series:
    """The part of each image, all images of a lesion together, dealt by diagnosis and framing.

    Args:
        table: image_id, dx and framing, one row an image.
        lesions: aligned with it.
        seed: the same seed and lesions give the same parts, whatever the row order.
    """
    rows = table.assign(lesion_id=list(lesions)).sort_values("image_id")
    firsts = rows[~rows["lesion_id"].duplicated()].sort_values(["dx", "framing", "lesion_id"])
    generator = np.random.default_rng(seed)
    part_of: dict[str, Part] = {}
    edges = np.cumsum([SHARES[part] for part in PARTS])
    for _, group in firsts.groupby(["dx", "framing"], sort=True):
        shuffled = generator.permutation(group["lesion_id"].to_numpy())
        places = (np.arange(len(shuffled)) + 0.5) / len(shuffled)
        part_of |= {
            lesion: PARTS[int(np.searchsorted(edges, place))] for lesion, place in zip(shuffled, places, strict=True)
        }
    return pd.Series(list(lesions), index=table.index).map(part_of).rename("part")


def lesions_of(image_ids: Sequence[str], images: Path) -> list[str]:
    """A lesion id for each image: the first image that it, or one that it is nearly the same as, nearly equals."""
    pictures = grey_pictures([images / f"{image_id}.jpg" for image_id in image_ids])
    group = np.arange(len(pictures))
    for first, second, _ in alike(pictures, SAME_LESION):
        group[group == group[second]] = group[first]
    return [f"{NAME}_{image_ids[int(first)]}" for first in group]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder with metadata.csv and images/")
    parser.add_argument("--output", type=Path, default=Path("data/raw/isic2017"), help="folder for the three parts")
    parser.add_argument("--assign", action="store_true", help=f"write {PARTS_PATH.name} again instead")
    arguments = parser.parse_args(argv)
    try:
        if arguments.assign:
            table = _read(arguments.source)
            lesions = lesions_of(list(table["image_id"]), arguments.source / "images")
            parts = pd.DataFrame(
                {"image_id": table["image_id"], "lesion_id": lesions, "part": assign_parts(table, lesions)}
            )
            parts.to_csv(PARTS_PATH, index=False)
            print(f"wrote {PARTS_PATH.name}: {len(parts)} images of {parts['lesion_id'].nunique()} lesions")
            return 0
        written = write_parts(arguments.source, arguments.output)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {', '.join(f'{part} ({count} images)' for part, count in written.items())} to {arguments.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
