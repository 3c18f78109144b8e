"""Count a HAM10000-shaped dataset: pure functions on the counts table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.cohort import AGE_STEP, MAX_AGE, MIN_AGE, age_bands
from data.datasets.ham10000 import IMAGES_OF_LESION
from data.tasks.task import Task
from model.measures.shares import clustered_interval

Unit = Literal["images", "lesions"]

UNKNOWN = "unknown"
AGES = range(MIN_AGE, MAX_AGE + 1, AGE_STEP)
AGE_LABELS: list[str] = [*map(str, AGES), UNKNOWN]


@dataclass(frozen=True)
class CohortSize:
    """How much a cohort holds; several images can show one lesion."""

    images: int
    lesions: int


def cohort_size(counts: pd.DataFrame) -> CohortSize:
    """Images and lesions of a counts table (a lesion stands in the row of its first image)."""
    return CohortSize(int(counts["images"].sum()), int(counts["lesions"].sum()))


def count_by_dx(task: Task, counts: pd.DataFrame, unit: Unit) -> pd.Series:
    """Counts indexed by all dx codes of the task in their order; 0 where there is none."""
    return counts.groupby("dx")[unit].sum().reindex(list(task.codes), fill_value=0)


def cross_count(task: Task, counts: pd.DataFrame, column: str, unit: str) -> pd.DataFrame:
    """Counts of each value of a column (rows) by dx (columns, all codes of the task in order).

    Returns:
        Ages ascending as five-year bands, `0`, `5` ... `85`, then `unknown`, all present even where 0, so that an axis
        does not jump (an age between two bands goes to the lower one, one above the last band to the last); any other
        column by falling total.
    """
    return _weighed_count(task, counts, column, counts[unit].to_numpy())


def _weighed_count(task: Task, counts: pd.DataFrame, column: str, weights: NDArray[np.int64]) -> pd.DataFrame:
    """The same of any whole number, (N,), that each row of the counts weighs."""
    groups, row_of = _rows_of(counts, column)
    column_of = pd.Index(task.codes).get_indexer(counts["dx"])
    # bincount on cell numbers: a pivot table costs ten times as much, at every move of a filter.
    shape = (len(groups), len(task.codes))
    cells = np.bincount(row_of * shape[1] + column_of, weights=weights, minlength=shape[0] * shape[1])
    table = pd.DataFrame(cells.astype(np.int64).reshape(shape), index=groups, columns=list(task.codes))
    if column == "age":
        return table
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def _rows_of(counts: pd.DataFrame, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """The groups of a column, and the group number of each row."""
    if column == "age":
        bands = age_bands(counts["age"]).to_numpy(float) // AGE_STEP
        return AGE_LABELS, np.where(np.isnan(bands), len(AGES), bands).astype(np.int64)
    row_of, groups = pd.factorize(counts[column], sort=True)
    return [str(group) for group in groups], row_of


def positive_share(task: Task, counts: pd.DataFrame, column: str, unit: Unit) -> pd.DataFrame:
    """Share of the classes that answer the task's question with yes, for each value of a column, with a 95 % interval.

    Images of one lesion are not independent: the interval is that of as many trials as they are worth.

    Returns:
        Indexed like `cross_count`, rows without images left out; columns positive, n (both in `unit`), lesions,
        share, low, high in [0, 1]; low and high are NaN where no lesion has its first image in the row.

    Source:
        As `model.measures.shares.share_estimates`. All images of a lesion have one dx; they are taken to lie in one
        row, as nearly all do, which makes an interval wider rather than narrower where they do not.
    """
    table = cross_count(task, counts, column, unit)
    lesions = cross_count(task, counts, column, "lesions").reindex(table.index, fill_value=0).sum(axis=1)
    # Each image of a lesion of m images counts m, so that the lesion counts m squared.
    each = counts[IMAGES_OF_LESION].to_numpy() if unit == "images" else 1
    squares = _weighed_count(task, counts, column, counts[unit].to_numpy() * each).reindex(table.index, fill_value=0)
    positives = list(task.question.positives)
    result = pd.DataFrame({"positive": table[positives].sum(axis=1), "n": table.sum(axis=1), "lesions": lesions})
    result = result.assign(of_positive=squares[positives].sum(axis=1), squares=squares.sum(axis=1))
    result = result[result["n"] > 0]
    share, n = result["positive"].to_numpy(float) / result["n"].to_numpy(float), result["n"].to_numpy(float)
    groups, of_all = result["lesions"].to_numpy(float), result["squares"].to_numpy(float)
    of_positive = result["of_positive"].to_numpy(float)
    among_lesions = (1 - share) ** 2 * of_positive + share**2 * (of_all - of_positive)
    spread = np.fmax(among_lesions * groups / np.where(groups > 1, groups - 1, np.nan), n * share * (1 - share))
    low, high = clustered_interval(share, n, groups, spread, of_all)
    return result.drop(columns=["of_positive", "squares"]).assign(share=share, low=low, high=high)


def lesions_by_images(task: Task, counts: pd.DataFrame) -> pd.DataFrame:
    """Lesions by how many images the dataset has of them (rows, from 1 on) and dx (columns, all codes in order)."""
    table = cross_count(task, counts, IMAGES_OF_LESION, "lesions")
    table.index = table.index.astype(int)
    return table.sort_index()


def missing_values(counts: pd.DataFrame) -> pd.DataFrame:
    """What is not known: one row a column of `age`, `sex`, `localization` and `dx_type`; columns missing, images."""
    is_missing = {"age": counts["age"].isna()} | {
        column: counts[column] == UNKNOWN for column in ("sex", "localization", "dx_type")
    }
    images = int(counts["images"].sum())
    rows = {column: (int(counts.loc[rows, "images"].sum()), images) for column, rows in is_missing.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["missing", "images"])


def page_of(table: pd.DataFrame, page: int, size: int) -> pd.DataFrame:
    """Rows of one page of a table; pages count from 1, a page past the end is empty."""
    return table.iloc[(page - 1) * size : page * size]
