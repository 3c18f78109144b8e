"""Age and body site of the images of a batch, from a CSV table beside them.

    image,age,site
    ISIC_0027419.jpg,80,scalp

HAM10000's metadata is such a table: `image_id` names an image without its ending, `localization` is its site.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from model.batch.sources import Source, source_of
from model.batch.table import source_text, valid_text
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


def read_facts(path: Path, sources: Sequence[Source]) -> dict[Source, PatientFacts]:
    """What a table says of the images of a batch.

    Args:
        path: CSV with a column `image` (path, file name, or file name without ending) and `age`, `site` or both;
            other columns are left alone, an empty cell is unknown.
        sources: the images; rows of others are checked and not used.

    Returns:
        Facts by image; an image without a row is not among them.

    Raises:
        OSError: the file cannot be read.
        FactsUnreadable: it is no such table, a cell holds something else, or a row fits several images or one that has
            a row already.
    """
    found: dict[Source, PatientFacts] = {}
    index = _Index(sources)
    for row, name, facts in _rows(path):
        meant = index.named(name)
        if len(meant) > 1:
            raise _unreadable(path, row, f"a name of one image, received {name}, which fits {len(meant)}; write paths")
        for source in meant:
            if source in found:
                raise _unreadable(path, row, f"one row an image, received another of {name}; remove one")
            found[source] = facts
    return found


class _Index:
    """Images by path, by file name and by file name without ending."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._by_path: dict[str, list[Source]] = defaultdict(list)
        self._by_name: dict[str, list[Source]] = defaultdict(list)
        self._by_stem: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            self._by_path[source_text(source)].append(source)
            self._by_name[valid_text(source.name)].append(source)
            self._by_stem[valid_text(source.stem)].append(source)

    def named(self, name: str) -> Sequence[Source]:
        if "/" in name:
            return self._by_path.get(source_text(source_of(name)), [])
        return self._by_name.get(name, self._by_stem.get(name, []))


def _rows(path: Path) -> Iterator[tuple[int, str, PatientFacts]]:
    """Line number, image and facts of each row."""
    # Excel puts a byte-order mark first.
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file)
            columns = _columns(path, reader.fieldnames or ())
            for cells in reader:
                if None in cells or None in cells.values():
                    raise _unreadable(path, reader.line_num, "as many cells as the first row, received others")
                values = {field: cells[column].strip() for field, column in columns.items()}
                if not values[_IMAGE]:
                    raise _unreadable(path, reader.line_num, "a name of an image, received nothing")
                yield reader.line_num, values[_IMAGE], _facts(path, reader.line_num, values)
        # Bytes that are no text are a ValueError.
        except (csv.Error, ValueError) as error:
            raise FactsUnreadable(f"{path}: expected a CSV table in UTF-8, received something else") from error


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
            f"{path}: expected a column {_IMAGE} and age, site or both, separated by commas, received others"
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
