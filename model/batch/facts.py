"""Age and body site of the images of a batch, from a table beside them, as spreadsheets and scripts write it.

    image,age,site
    ISIC_0027419.jpg,80,scalp

HAM10000's metadata is such a table: `image_id` names an image without its ending, `localization` is its site.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.datasets.tables import separator_of, text_encoding
from model.batch.names import ImageNames
from model.batch.sources import Source
from model.inference.clinical import UNKNOWN, PatientFacts

_IMAGE = "image"
# The names a column may have.
_NAMES: Mapping[str, tuple[str, ...]] = {
    _IMAGE: ("image", "image_id"),
    "age": ("age",),
    "site": ("site", "localization"),
}


class FactsUnreadable(Exception):
    """A table of facts that cannot be used; the message names the file, the row and what to do."""


@dataclass(frozen=True)
class FactsTable:
    """What a table says of the images of a batch.

    Attributes:
        by_image: facts of the images that have a row.
        unused: names of the rows that fit no image, as they are written, each with its line.
    """

    by_image: Mapping[Source, PatientFacts]
    unused: Sequence[tuple[str, int]]


def read_facts(path: Path, sources: Sequence[Source]) -> FactsTable:
    """The rows of a table and whose they are.

    Args:
        path: commas, semicolons or tabs, UTF-8 or UTF-16 with its mark; a column `image` (path, file name, or file name
            without ending) and `age`, `site` or both. Other columns are left alone, an empty cell is unknown. Names
            are the same in any case, with either slash, and whichever way their accents are encoded; where several
            images fit so, the one that is spelled alike is meant.
        sources: the images; rows of others are checked and not used.

    Raises:
        OSError: the file cannot be read.
        FactsUnreadable: it is no such table, a cell holds something else, or a row fits several images or one that has
            a row already.
    """
    found: dict[Source, PatientFacts] = {}
    unused: list[tuple[str, int]] = []
    index = ImageNames(sources)
    for row, name, facts in _rows(path):
        meant = index.named(name)
        if not meant:
            unused.append((name, row))
        if len(meant) > 1:
            raise _unreadable(path, row, f"a name of one image, received {name}, which fits {len(meant)}; write paths")
        for source in meant:
            if source in found:
                raise _unreadable(path, row, f"one row an image, received another of {name}; remove one")
            found[source] = facts
    return FactsTable(found, unused)


def _rows(path: Path) -> Iterator[tuple[int, str, PatientFacts]]:
    """Line number, image and facts of each row."""
    with path.open(newline="", encoding=text_encoding(path)) as file:
        try:
            separator = separator_of(file.readline(), _NAMES[_IMAGE])
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator)
            reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
            columns = _columns(path, reader.fieldnames)
            for cells in reader:
                if None in cells or None in cells.values():
                    raise _unreadable(path, reader.line_num, "as many cells as the first row, received others")
                if not any(cells.values()):
                    continue  # spreadsheets write rows that were emptied
                values = {field: cells[column].strip() for field, column in columns.items()}
                if not values[_IMAGE]:
                    raise _unreadable(path, reader.line_num, "a name of an image, received nothing")
                if separator != ",":
                    values["age"] = values.get("age", "").replace(",", ".")
                yield reader.line_num, values[_IMAGE], _facts(path, reader.line_num, values)
        # Bytes that are no text are a ValueError.
        except (csv.Error, ValueError) as error:
            raise FactsUnreadable(f"{path}: expected a table in UTF-8, received something else") from error


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    """The column of each field that has one."""
    columns = {}
    for field, names in _NAMES.items():
        found = [column for column in header if column in names]
        if len(found) > 1:
            raise FactsUnreadable(f"{path}: expected one column {field}, received {', '.join(found)}; remove one")
        if found:
            columns[field] = found[0]
    if _IMAGE not in columns or len(columns) == 1:
        raise FactsUnreadable(
            f"{path}: expected a column {_IMAGE} and age, site or both, separated by commas, semicolons or tabs, "
            "received others"
        )
    return columns


def _facts(path: Path, row: int, values: Mapping[str, str]) -> PatientFacts:
    age = values.get("age", "")
    try:
        years = float(age) if age else None
    except ValueError as error:
        raise _unreadable(path, row, f"an age in years, received {age!r}; correct it or leave it empty") from error
    try:
        return PatientFacts(years, values.get("site") or UNKNOWN)
    except ValueError as error:
        raise FactsUnreadable(f"{path}, row {row}: {error}; correct it or leave it empty") from error


def _unreadable(path: Path, row: int, expected: str) -> FactsUnreadable:
    return FactsUnreadable(f"{path}, row {row}: expected {expected}")
