"""Filter and count a HAM10000-shaped dataset: pure functions on the counts table or on the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from data.tasks.task import Task

Unit = Literal["images", "lesions"]

MIN_AGE, MAX_AGE, AGE_STEP = 0, 85, 5  # HAM10000 rounds ages to 5 years and ends at 85
UNKNOWN = "unknown"
# Two-sided 95 % point of the standard normal distribution.
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class CohortFilter:
    """Which images to keep; an empty tuple keeps every value of that column.

    Attributes:
        dx, sex, localization, dx_type: values to keep, spelled as in HAM10000.
        min_age, max_age: years, both included.
        keeps_unknown_age: whether images without an age stay in.
    """

    dx: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    localization: tuple[str, ...] = ()
    dx_type: tuple[str, ...] = ()
    min_age: float = MIN_AGE
    max_age: float = MAX_AGE
    keeps_unknown_age: bool = True


@dataclass(frozen=True)
class CohortSize:
    """How much a cohort holds; several images can show one lesion."""

    images: int
    lesions: int


def filter_rows(table: pd.DataFrame, wanted: CohortFilter, ignoring: str = "") -> pd.DataFrame:
    """The rows of a counts or metadata table that a filter keeps, in their order.

    Args:
        table: has dx, dx_type, age, sex, localization.
        wanted: the filter.
        ignoring: a column whose filter is left out, for a chart that offers that column's values for choice.
    """
    is_kept = table["age"].between(wanted.min_age, wanted.max_age)
    if wanted.keeps_unknown_age:
        is_kept |= table["age"].isna()
    for column in ("dx", "sex", "localization", "dx_type"):
        values = getattr(wanted, column)
        if values and column != ignoring:
            is_kept &= table[column].isin(values)
    return table[is_kept]


def cohort_size(counts: pd.DataFrame) -> CohortSize:
    """Images and lesions of a counts table (a lesion stands in the row of its first image)."""
    return CohortSize(int(counts["images"].sum()), int(counts["lesions"].sum()))


def count_by_dx(task: Task, counts: pd.DataFrame, unit: Unit) -> pd.Series:
    """Counts indexed by all dx codes of the task in their order; 0 where there is none."""
    return counts.groupby("dx")[unit].sum().reindex(list(task.codes), fill_value=0)


def cross_count(task: Task, counts: pd.DataFrame, column: str, unit: Unit) -> pd.DataFrame:
    """Counts of each value of a column (rows) by dx (columns, all codes of the task in order).

    Returns:
        Ages ascending as whole numbers from 0 to 85 in steps of 5, then `unknown`, all present even where 0, so that an
        axis does not jump; any other column by falling total.
    """
    groups, row_of = _rows_of(counts, column)
    column_of = pd.Categorical(counts["dx"], categories=list(task.codes)).codes
    # bincount on cell numbers: a pivot table costs ten times as much, at every move of a filter.
    shape = (len(groups), len(task.codes))
    cells = np.bincount(row_of * shape[1] + column_of, weights=counts[unit], minlength=shape[0] * shape[1]).astype(
        np.int64
    )
    table = pd.DataFrame(cells.reshape(shape), index=groups, columns=list(task.codes))
    if column == "age":
        return table
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def _rows_of(counts: pd.DataFrame, column: str) -> tuple[list[str], np.ndarray]:
    """The groups of a column, and the group number of each row."""
    if column == "age":
        labels = pd.Categorical(age_labels(counts["age"]), categories=AGE_LABELS)
        return AGE_LABELS, labels.codes.astype(np.int64)
    row_of, groups = pd.factorize(counts[column], sort=True)
    return [str(group) for group in groups], row_of


AGES = range(MIN_AGE, MAX_AGE + 1, AGE_STEP)
AGE_LABELS: list[str] = [*map(str, AGES), UNKNOWN]


def age_labels(age: pd.Series) -> pd.Series:
    """Ages as labels of five-year bands, `0`, `5` ... `85`, and `unknown` where missing.

    An age between two bands goes to the lower one, an age above the last band to the last.
    """
    bands = (age.clip(MIN_AGE, MAX_AGE) // AGE_STEP * AGE_STEP).astype("Int64")
    return bands.astype("string").fillna(UNKNOWN).astype(object)


def positive_share(task: Task, counts: pd.DataFrame, column: str, unit: Unit) -> pd.DataFrame:
    """Share of the classes that answer the task's question with yes, for each value of a column, with a 95 % interval.

    Images of one lesion are not independent, so the interval takes the number of lesions as its n, whatever is counted.

    Returns:
        Indexed like `cross_count`, rows without images left out; columns positive, n (both in `unit`), lesions,
        share, low, high in [0, 1]; low and high are NaN where no lesion has its first image in the row.
    """
    table = cross_count(task, counts, column, unit)
    lesions = cross_count(task, counts, column, "lesions").reindex(table.index, fill_value=0).sum(axis=1)
    result = pd.DataFrame({"positive": table[list(task.question.positives)].sum(axis=1), "n": table.sum(axis=1)})
    result = result.assign(lesions=lesions)[lambda rows: rows["n"] > 0]
    result["share"] = result["positive"] / result["n"]
    result["low"], result["high"] = wilson_interval(
        result["share"].to_numpy(dtype=float), result["lesions"].to_numpy(dtype=float)
    )
    return result


def wilson_interval(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % score interval of shares of n independent units; NaN where n is 0.

    Source:
        Wilson, J Am Stat Assoc 1927;22:209, doi:10.1080/01621459.1927.10502953.
    """
    n = np.where(n > 0, n, np.nan)
    centre = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def page_of(table: pd.DataFrame, page: int, size: int) -> pd.DataFrame:
    """Rows of one page of a table; pages count from 1, a page past the end is empty."""
    return table.iloc[(page - 1) * size : page * size]
