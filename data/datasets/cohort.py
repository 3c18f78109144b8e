"""A cohort of a HAM10000-shaped dataset: which images to keep, as a value that an address can carry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data.datasets.ham10000 import UNKNOWN

MIN_AGE, MAX_AGE, AGE_STEP = 0, 85, 5  # HAM10000 rounds ages to 5 years and ends at 85
# Columns that are filtered by naming the values to keep, and all names that a filter has in an address.
NAMED_COLUMNS: tuple[str, ...] = ("dx", "localization", "sex", "dx_type")
AGE, UNKNOWN_AGE = "age", "unknown_age"
QUERY_NAMES: tuple[str, ...] = (*NAMED_COLUMNS, AGE, UNKNOWN_AGE)
LEFT_OUT = "no"
# What may be stated of an image beside its class, in the order of the screen.
FACTS: tuple[str, ...] = ("age", "localization", "sex", "dx_type")


@dataclass(frozen=True)
class CohortFilter:
    """Which images to keep; an empty tuple keeps every value of that column.

    Attributes:
        dx, sex, localization, dx_type: values to keep, spelled as in HAM10000.
        min_age, max_age: years, both included: first and last of the five-year bands to keep.
        keeps_unknown_age: whether images without an age stay in.
    """

    dx: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    localization: tuple[str, ...] = ()
    dx_type: tuple[str, ...] = ()
    min_age: int = MIN_AGE
    max_age: int = MAX_AGE
    keeps_unknown_age: bool = True

    @property
    def is_everything(self) -> bool:
        """Whether every image is kept."""
        return self == CohortFilter()


def filter_rows(table: pd.DataFrame, wanted: CohortFilter, ignoring: str = "") -> pd.DataFrame:
    """The rows of a table that a filter keeps, in their order.

    An age counts as the five-year band that it is in, and one above the last band as the last, as charts count it.

    Args:
        table: has dx, dx_type, age, sex, localization.
        wanted: the filter.
        ignoring: a column whose filter is left out, for a chart that offers that column's values for choice.
    """
    is_kept = table["age"].isna() & wanted.keeps_unknown_age
    if ignoring == AGE:
        is_kept |= table["age"].notna()
    else:
        is_kept |= age_bands(table["age"]).between(wanted.min_age, wanted.max_age)
    for column in NAMED_COLUMNS:
        values = getattr(wanted, column)
        if values and column != ignoring:
            is_kept &= table[column].isin(values)
    return table[is_kept]


def stated(table: pd.DataFrame) -> tuple[str, ...]:
    """Of `FACTS`, those that a table has of one image at least; the others are no facts of its dataset at all."""
    return tuple(fact for fact in FACTS if bool((table[fact].notna() & (table[fact] != UNKNOWN)).any()))


def age_bands(age: pd.Series) -> pd.Series:
    """The first year of the five-year band that an age is in, from 0 to 85; NaN where it is missing."""
    return age.clip(MIN_AGE, MAX_AGE) // AGE_STEP * AGE_STEP


def to_query(wanted: CohortFilter) -> dict[str, list[str]]:
    """The filter as an address carries it, `dx=mel&dx=bcc&age=20-60`; nothing for what is not filtered."""
    query = {column: list(getattr(wanted, column)) for column in NAMED_COLUMNS if getattr(wanted, column)}
    if (wanted.min_age, wanted.max_age) != (MIN_AGE, MAX_AGE):
        query[AGE] = [f"{wanted.min_age}-{wanted.max_age}"]
    if not wanted.keeps_unknown_age:
        query[UNKNOWN_AGE] = [LEFT_OUT]
    return query


def from_query(
    query: Mapping[str, Sequence[str]], offered: Mapping[str, Collection[str]]
) -> tuple[CohortFilter, tuple[str, ...]]:
    """The filter that an address carries, and what of it is unknown here and was dropped, as it stands there.

    Args:
        query: values by name; other names than `QUERY_NAMES` are somebody else's.
        offered: the values that each of `NAMED_COLUMNS` has.
    """
    dropped: list[str] = []
    named: dict[str, Any] = {}
    for column in NAMED_COLUMNS:
        asked = tuple(dict.fromkeys(query.get(column, ())))
        named[column] = tuple(value for value in asked if value in offered[column])
        dropped += [f"{column}={value}" for value in asked if value not in offered[column]]
    ages, keeps_unknown = (MIN_AGE, MAX_AGE), True
    for text in query.get(AGE, ()):
        read = _ages(text)
        if read is None:
            dropped.append(f"{AGE}={text}")
        else:
            ages = read
    for text in query.get(UNKNOWN_AGE, ()):
        if text == LEFT_OUT:
            keeps_unknown = False
        else:
            dropped.append(f"{UNKNOWN_AGE}={text}")
    return CohortFilter(**named, min_age=ages[0], max_age=ages[1], keeps_unknown_age=keeps_unknown), tuple(dropped)


def _ages(text: str) -> tuple[int, int] | None:
    """`20-60` as two ages that a slider can stand at, or None."""
    parts = text.split("-")
    # isdecimal alone takes digits of every script, and int reads them.
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 4 for part in parts):
        return None
    low, high = int(parts[0]), int(parts[1])
    is_offered = MIN_AGE <= low <= high <= MAX_AGE and low % AGE_STEP == high % AGE_STEP == 0
    return (low, high) if is_offered else None
