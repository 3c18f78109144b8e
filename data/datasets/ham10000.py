"""Read, check and describe HAM10000; find its images.

    python -m data.datasets.ham10000 --dataset ../shared/ham10000     # rewrites data/ham10000_counts.csv
    python -m data.datasets.ham10000 --task retina     # a folder of that shape, data/raw/aptos2019

HAM10000 ("human against machine"): 10,015 dermoscopic images of 7,470 lesions, collected over twenty years at the
Medical University of Vienna and a practice in Queensland, Australia. Diagnoses by histopathology (more than half),
follow-up, expert consensus or confocal microscopy. Licence CC BY-NC 4.0. Known gaps: 57 ages missing, sex and site
sometimes "unknown", no skin type, mostly light skin, several images of one lesion.

Source:
    Tschandl, Rosendahl, Kittler, Scientific Data 2018;5:180161, doi:10.1038/sdata.2018.161;
    data doi:10.7910/DVN/DBW86T.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data.datasets.tables import TableUnreadable, read_table
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.skin import SKIN

UNKNOWN = "unknown"
# How a diagnosis was made. It leaks the answer (every `follow_up` is a nevus), so no model ever sees it.
DX_TYPES: dict[str, str] = {
    "histo": "Histopathology",
    "follow_up": "Follow-up",
    "consensus": "Expert consensus",
    "confocal": "Confocal microscopy",
    UNKNOWN: "Not stated",
}
METADATA_COLUMNS: tuple[str, ...] = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
# Columns that a table may have besides: where an image comes from, and which other classes its dx is not told from.
SOURCE = "source"
NOT_TOLD_FROM = "not_told_from"
OPTIONAL_COLUMNS: tuple[str, ...] = (SOURCE, NOT_TOLD_FROM)
METADATA_FILE = "HAM10000_metadata.csv"
# The original archive names the same table without an extension, or .tab when Dataverse has converted it.
METADATA_FILES: tuple[str, ...] = (METADATA_FILE, "HAM10000_metadata", "HAM10000_metadata.tab")
MASK_FOLDER = "HAM10000_segmentations_lesion_tschandl"
IMAGE_FOLDERS: tuple[str, ...] = ("HAM10000_images_part_1", "HAM10000_images_part_2", "images", ".")
IMAGE_ENDINGS: tuple[str, ...] = (".jpg", ".JPG", ".jpeg", ".JPEG", ".png", ".PNG")
# At the end of an id, where a table was made of file names.
_ENDING = r"(?i)\.(?:jpe?g|png)$"
MOST_YEARS = 130
IMAGES_OF_LESION = "images_of_lesion"
COUNTED_COLUMNS: tuple[str, ...] = ("dx", "dx_type", "age", "sex", "localization", IMAGES_OF_LESION)
# What was counted and measured of a dataset, a file each; a task's `Dataset` names them.
TABLES = Path(__file__).resolve().parents[1]
COUNTS_PATH = TABLES / SKIN.dataset.counts


class DatasetError(Exception):
    """A dataset folder or table that is not what HAM10000 should be; the message says what was expected."""


def load_metadata(dataset: Path, codes: Sequence[str] = SKIN.codes) -> pd.DataFrame:
    """The metadata table of a HAM10000 folder, or of one shaped like it, checked.

    Args:
        dataset: folder that holds `HAM10000_metadata.csv` (separated by commas, semicolons or tabs).
        codes: what may stand as `dx`: those of HAM10000, or of another task.

    Returns:
        One row an image with the seven original columns, and those of `OPTIONAL_COLUMNS` that the table has; `age`
        float64 in years, NaN where missing.

    Raises:
        DatasetError: file missing or no table, columns missing, an unknown dx or dx_type, or an image_id given twice.
    """
    path = next((dataset / name for name in METADATA_FILES if (dataset / name).is_file()), None)
    if path is None:
        raise DatasetError(f"expected {METADATA_FILE} in {dataset}, found none; run: python -m data.download")
    try:
        metadata = read_table(path, METADATA_COLUMNS)
    except TableUnreadable as error:
        raise DatasetError(str(error)) from error
    return check_metadata(metadata, source=path.name, codes=codes)


def check_metadata(metadata: pd.DataFrame, source: str, codes: Sequence[str] = SKIN.codes) -> pd.DataFrame:
    """The seven columns of a HAM10000-shaped table, or a DatasetError that names the first row at fault.

    An age that is empty or "unknown" is missing, and one may have a decimal comma; an empty sex, site or dx_type is
    unknown. The ending of an image's file is no part of its id.

    Args:
        metadata: any table.
        source: file name for the message.
        codes: what may stand as `dx`.
    """
    missing = [column for column in METADATA_COLUMNS if column not in metadata.columns]
    if missing:
        raise DatasetError(f"{source}: expected columns {', '.join(METADATA_COLUMNS)}; missing {', '.join(missing)}")
    optional = [column for column in OPTIONAL_COLUMNS if column in metadata.columns]
    checked = metadata.loc[:, [*METADATA_COLUMNS, *optional]].copy()
    # A column without a single value was read as numbers.
    checked["dx_type"] = checked["dx_type"].astype("object").fillna(UNKNOWN)
    checked[optional] = checked[optional].astype("object").fillna("")
    for column, allowed in (("dx", codes), ("dx_type", tuple(DX_TYPES))):
        wrong = checked.index[~checked[column].isin(allowed)]
        if len(wrong):
            raise DatasetError(
                f"{source}, row {wrong[0] + 2}: expected {column} in {', '.join(allowed)}, "
                f"received {checked.at[wrong[0], column]!r}"
            )
    if NOT_TOLD_FROM in optional:
        strange = checked.index[[not set(codes) >= set(text.split()) for text in checked[NOT_TOLD_FROM]]]
        if len(strange):
            raise DatasetError(
                f"{source}, row {strange[0] + 2}: expected codes of {', '.join(codes)} in {NOT_TOLD_FROM}, received "
                f"{checked.at[strange[0], NOT_TOLD_FROM]!r}"
            )
    for column in ("lesion_id", "image_id"):
        empty = checked.index[checked[column].isna()]
        if len(empty):
            raise DatasetError(f"{source}, row {empty[0] + 2}: expected a {column}, received nothing")
    checked["image_id"] = checked["image_id"].astype(str).str.replace(_ENDING, "", regex=True)
    checked[["sex", "localization"]] = checked[["sex", "localization"]].astype("object").fillna(UNKNOWN)
    repeated = checked.index[checked["image_id"].duplicated()]
    if len(repeated):
        raise DatasetError(
            f"{source}, row {repeated[0] + 2}: image_id {checked.at[repeated[0], 'image_id']} stands twice"
        )
    checked["age"] = _years(checked["age"], source)
    return checked.reset_index(drop=True)


def _years(age: pd.Series, source: str) -> pd.Series:
    text = age.astype("object").fillna(UNKNOWN).astype(str).str.lower()
    is_missing = text == UNKNOWN
    years = pd.to_numeric(text.str.replace(",", "."), errors="coerce").astype("float64")
    wrong = years.index[~is_missing & ~years.between(0, MOST_YEARS)]
    if len(wrong):
        raise DatasetError(f"{source}, row {wrong[0] + 2}: expected an age in years, received {age[wrong[0]]!r}")
    return years


def image_path(dataset: Path, image_id: str) -> Path | None:
    """Path of one image's file, JPEG or PNG, in a HAM10000 folder, or None where the folder does not hold it."""
    if not is_file_name(image_id):
        return None
    candidates = (dataset / folder / f"{image_id}{ending}" for ending in IMAGE_ENDINGS for folder in IMAGE_FOLDERS)
    return next((path for path in candidates if path.is_file()), None)


def mask_path(dataset: Path, image_id: str) -> Path | None:
    """Path of one image's lesion mask (PNG, 255 inside) in a HAM10000 folder, or None where it holds none."""
    path = dataset / MASK_FOLDER / f"{image_id}_segmentation.png"
    return path if is_file_name(image_id) and path.is_file() else None


def is_file_name(image_id: str) -> bool:
    """Whether an id of a table can name a file of the folder, rather than one elsewhere."""
    return not {"/", "\\", "\0"} & set(image_id)


def count_images_and_lesions(metadata: pd.DataFrame) -> pd.DataFrame:
    """Image and lesion counts for each combination of diagnosis, confirmation, age, sex, site and images of the lesion.

    Returns:
        Columns dx, dx_type, age (NaN where missing), sex, localization, images_of_lesion (how many images the table has
        of the lesion that an image shows), images, lesions. `lesions` counts each lesion
        once over the whole table, in the group of its first image, so that the column adds up to the number of
        lesions even where two images of one lesion carry different metadata.
    """
    first_of_lesion = ~metadata["lesion_id"].duplicated()
    of_lesion = metadata.groupby("lesion_id")["image_id"].transform("size")
    counted = metadata.assign(images=1, lesions=first_of_lesion.astype(int), **{IMAGES_OF_LESION: of_lesion})
    return counted.groupby(list(COUNTED_COLUMNS), dropna=False, as_index=False)[["images", "lesions"]].sum()


def load_counts(path: Path = COUNTS_PATH) -> pd.DataFrame:
    """The committed counts table (see `count_images_and_lesions`); works without the dataset."""
    return pd.read_csv(path)


def dataset_arguments(description: str | None) -> argparse.ArgumentParser:
    """The arguments of a command that makes a table of a dataset: its task, its folder and the table to write.

    Without `--dataset` and `--output` these are None, and stand for what the task's `Dataset` names.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tuple(TASKS), default=DEFAULT_TASK, help="whose dataset it is")
    parser.add_argument("--dataset", type=Path, help="folder shaped like HAM10000; that of the task where not set")
    parser.add_argument("--output", type=Path, help="table to write; that of the task's dataset in data/ where not set")
    return parser


def main() -> None:
    arguments = dataset_arguments(__doc__).parse_args()
    task = TASKS[arguments.task]
    counts = count_images_and_lesions(load_metadata(arguments.dataset or task.dataset.folder, task.codes))
    output = arguments.output or TABLES / task.dataset.counts
    counts.to_csv(output, index=False)
    print(f"{output}: {counts['images'].sum():,} images, {counts['lesions'].sum():,} {task.words.subjects}")


if __name__ == "__main__":
    main()
