"""Tables as spreadsheets and scripts write them: commas, semicolons or tabs, UTF-8 or UTF-16, marked or not."""

from __future__ import annotations

import codecs
import csv
import unicodedata
from collections.abc import Collection
from pathlib import Path

import pandas as pd

SEPARATORS = ",;\t"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TableUnreadable(Exception):
    """A file that is no table; the message says what was expected."""


def comparable(text: str) -> str:
    """A text as names and texts are compared: in any case, and whichever way its accents are encoded.

    macOS takes letters and accents apart that Windows and Linux keep together.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def text_encoding(path: Path) -> str:
    """How the text of a file is encoded, see `encoding_of`."""
    with path.open("rb") as file:
        return encoding_of(file.read(2))


def encoding_of(content: bytes) -> str:
    """How a text is encoded, by its first two bytes: Excel puts a mark first, and calls UTF-16 "Unicode text"."""
    return "utf-16" if content[:2] in _UTF_16 else "utf-8-sig"


def separator_of(header: str, names: Collection[str] = ()) -> str:
    """What separates the cells of a header: what leaves most of the names, and of those what stands there most often; a
    comma where nothing does.

    Args:
        header: the first line.
        names: of columns, in lower case, where they are known.
    """
    found = {
        separator: (
            len({cell.strip(' "\r\n').lower() for cell in header.split(separator)} & set(names)),
            header.count(separator),
        )
        for separator in SEPARATORS
    }
    return max(found, key=found.__getitem__)


def read_table(path: Path, names: Collection[str]) -> pd.DataFrame:
    """A table as text, spaces around cells and headers removed, and NaN where a cell is empty.

    Args:
        path: the file.
        names: columns that it should have, by which its separator is told.

    Returns:
        One row a line, without empty lines; a row's index is the number of its line in the file, less 2.

    Raises:
        OSError: the file cannot be read.
        TableUnreadable: it is empty, no text, or has rows with more cells than its header.
    """
    encoding = text_encoding(path)
    try:
        with path.open(encoding=encoding) as file:
            separator = separator_of(file.readline(), names)
        table = pd.read_csv(path, sep=separator, encoding=encoding, dtype=str, skip_blank_lines=False, index_col=False)
    # ParserError and EmptyDataError of pandas, and bytes that are no text, are ValueErrors.
    except (csv.Error, ValueError) as error:
        raise TableUnreadable(
            f"{path}: expected a comma-, semicolon- or tab-separated table, received something else"
        ) from error
    table.columns = [str(column).strip() for column in table.columns]
    table = table.apply(lambda cells: cells.str.strip().replace("", None))
    return table.dropna(how="all")
