"""A dataset shaped like HAM10000, in a folder or below `s3://bucket/prefix`: its table, and the files of its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from data.datasets.ham10000 import (
    IMAGE_ENDINGS,
    IMAGE_FOLDERS,
    METADATA_FILE,
    METADATA_FILES,
    DatasetError,
    image_path,
    is_file_name,
    load_metadata,
)
from model.batch.sources import SourceUnavailable, read_source, source_of


def metadata_of(place: Path | str, codes: Sequence[str]) -> pd.DataFrame:
    """The checked metadata table of a dataset; see `data.datasets.ham10000.load_metadata`.

    Args:
        place: a folder, or `s3://bucket/prefix`.
        codes: what may stand as `dx`.

    Raises:
        DatasetError: no such table, one that is not what it should be, or a bucket that cannot be reached.
    """
    if isinstance(place, Path):
        return load_metadata(place, codes)
    with TemporaryDirectory() as folder:
        _fetch_table(place, Path(folder))
        return load_metadata(Path(folder), codes)


def image_content(place: Path | str, image_id: str) -> bytes | None:
    """The file of an image, or one byte more than is accepted of it; None where the dataset does not hold it.

    Raises:
        OSError: the file cannot be read.
        SourceUnavailable: the bucket cannot be reached or refuses.
    """
    if isinstance(place, Path):
        path = image_path(place, image_id)
        return None if path is None else read_source(path)
    names = (f"{folder}/{image_id}{ending}" for ending in IMAGE_ENDINGS for folder in IMAGE_FOLDERS)
    contents = (_content(place, name.removeprefix("./")) for name in names)
    return next((one for one in contents if one is not None), None) if is_file_name(image_id) else None


def _fetch_table(place: str, folder: Path) -> None:
    try:
        for name in METADATA_FILES:
            content = _content(place, name)
            if content is not None:
                (folder / name).write_bytes(content)
                return
    except SourceUnavailable as error:
        raise DatasetError(f"{error}") from error
    raise DatasetError(f"expected {METADATA_FILE} below {place}, found none; correct DATASET_DIR")


def _content(place: str, name: str) -> bytes | None:
    try:
        return read_source(source_of(f"{place.rstrip('/')}/{name}"))
    except FileNotFoundError:
        return None
