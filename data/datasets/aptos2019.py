"""APTOS 2019: retinal photographs graded for diabetic retinopathy, as a folder in the shape of HAM10000.

    python -m data.datasets.aptos2019 --source ../shared/aptos2019 --output data/raw/aptos2019

The training part of the challenge: 3,662 photographs from screening in rural India (Aravind Eye Hospital), each graded
from 0 (none) to 4 (proliferative). Licence: for research use. Known gaps: no patient, no eye, no age, no sex.

Some photographs are in it more than once, pixel for pixel: what shows the same pixels is taken for one eye, so that a
split never parts it. In 30 of the 123 such groups the grades differ. Each of their images keeps its grade, is told
from no other grade of its group, and is trained on alone (`data.datasets.splits`); the command names them.

Source:
    APTOS 2019 Blindness Detection, https://www.kaggle.com/c/aptos2019-blindness-detection.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image, UnidentifiedImageError

from data.datasets.ham10000 import (
    METADATA_COLUMNS,
    METADATA_FILE,
    NOT_TOLD_FROM,
    UNKNOWN,
    DatasetError,
    check_metadata,
    image_path,
)
from data.datasets.tables import TableUnreadable, read_table
from data.tasks.retina import RETINA

NAME = "aptos2019"
TABLE = "train.csv"
IMAGE_FOLDER = "train_images"
COLUMNS: tuple[str, ...] = ("id_code", "diagnosis")


def load_aptos2019(source: Path) -> pd.DataFrame:
    """The graded photographs, shaped like HAM10000's metadata.

    Args:
        source: folder with `train.csv` and `train_images/`, whose files are JPEG or PNG.

    Returns:
        One row an image: the columns of HAM10000's metadata and `not_told_from`, the other grades that the same pixels
        were given (empty for almost all). `lesion_id` is the same for images of the same pixels.

    Raises:
        DatasetError: the table is missing or another one, a grade is not 0 to 4, or an image is missing or broken.
    """
    graded = _read(source)
    image_ids = list(graded["id_code"])
    eyes = eyes_of(image_ids, [_path(source, image_id) for image_id in image_ids])
    table = pd.DataFrame({"image_id": image_ids, "lesion_id": eyes, "dx": list(graded["dx"])})
    given = table.groupby("lesion_id")["dx"].agg(set)
    others = [" ".join(sorted(given[eye] - {dx})) for eye, dx in zip(table["lesion_id"], table["dx"], strict=True)]
    whole = table.assign(dx_type=UNKNOWN, age=UNKNOWN, sex=UNKNOWN, localization=UNKNOWN, **{NOT_TOLD_FROM: others})[
        [*METADATA_COLUMNS, NOT_TOLD_FROM]
    ]
    return check_metadata(whole, TABLE, RETINA.codes)


def _read(source: Path) -> pd.DataFrame:
    path = source / TABLE
    if not path.is_file():
        raise DatasetError(f"expected {TABLE} of APTOS 2019 in {source}, found none")
    try:
        table = read_table(path, COLUMNS)
    except TableUnreadable as error:
        raise DatasetError(str(error)) from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DatasetError(f"{path}: expected columns {', '.join(COLUMNS)}; missing {', '.join(missing)}")
    codes = dict(zip("01234", RETINA.codes, strict=True))
    wrong = table.index[~table["diagnosis"].isin(codes)]
    if len(wrong):
        raise DatasetError(
            f"{path}, row {wrong[0] + 2}: expected a grade from 0 to 4, received {table.at[wrong[0], 'diagnosis']!r}"
        )
    return table.assign(dx=table["diagnosis"].map(codes))


def _path(source: Path, image_id: str) -> Path:
    path = image_path(source / IMAGE_FOLDER, image_id) if isinstance(image_id, str) else None
    if path is None:
        raise DatasetError(f"expected {image_id}.jpg or .png in {source / IMAGE_FOLDER}, found none")
    return path


def eyes_of(image_ids: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """An eye's id for each image: `aptos2019_` and the first image that shows the same pixels.

    Raises:
        DatasetError: a file is no image, or a broken one.
    """
    first_of: dict[str, str] = {}
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(_hash_of_pixels, paths))
    return [f"{NAME}_{first_of.setdefault(pixels, name)}" for pixels, name in zip(hashes, image_ids, strict=True)]


def _hash_of_pixels(path: Path) -> str:
    try:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise DatasetError(f"{path}: expected an image, could not read it ({error})") from error
    return hashlib.sha256(f"{pixels.size}".encode() + pixels.tobytes()).hexdigest()


def differently_graded(table: pd.DataFrame) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Images of the same pixels that were given different grades, with those grades, in the table's order.

    Args:
        table: see `load_aptos2019`.
    """
    groups = table[table[NOT_TOLD_FROM] != ""].groupby("lesion_id", sort=False)
    return {tuple(group["image_id"]): tuple(group["dx"]) for _, group in groups}


def write_folder(source: Path, output: Path) -> pd.DataFrame:
    """Write a folder shaped like HAM10000, its images as links into `source`; the table that it holds.

    Raises:
        DatasetError: as `load_aptos2019`.
    """
    table = load_aptos2019(source)
    images = output / "images"
    images.mkdir(parents=True, exist_ok=True)
    for image_id in table["image_id"]:
        path = _path(source, image_id)
        link = images / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    table.to_csv(output / METADATA_FILE, index=False)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help=f"folder with {TABLE} and {IMAGE_FOLDER}/")
    parser.add_argument("--output", type=Path, default=Path("data/raw/aptos2019"), help="folder to write")
    arguments = parser.parse_args(argv)
    try:
        table = write_folder(arguments.source, arguments.output)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2
    repeated = table["lesion_id"].value_counts()
    conflicts = differently_graded(table)
    print(
        f"wrote {len(table):,} images of {len(repeated):,} eyes to {arguments.output}; {(repeated > 1).sum()} eyes "
        f"have several images of the same pixels, {len(conflicts)} of them with different grades, never measured on:"
    )
    for image_ids, grades in conflicts.items():
        print(", ".join(f"{image_id} {grade}" for image_id, grade in zip(image_ids, grades, strict=True)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
