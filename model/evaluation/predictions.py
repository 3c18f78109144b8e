"""A table of predictions and reference diagnoses, checked, and the arrays that metrics work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import METADATA_COLUMNS
from data.tasks.task import Question, Task
from model.measures.intervals import Groups
from model.measures.metrics import Array, Booleans, Indices, is_positive, positive_probability
from model.measures.shares import BinaryThresholds

# Probabilities are stored with few decimals, so their sum is 1 only within rounding.
SUM_TOLERANCE = 1e-3


class PredictionsError(Exception):
    """A predictions file, or the manifest beside it, that is not what it should be; the message says where and why."""


@dataclass(frozen=True)
class Cohort:
    """Predictions and reference diagnoses of N images.

    Attributes:
        task: what the classes are.
        image_ids, lesion_ids: (N,) str; the lesion (or eye) is what intervals draw.
        dx_true: (N,) int64 class indices, the reference.
        probabilities: (N, C) float64 in class order, sum 1.
        dx_predicted: (N,) int64 class indices; not always the argmax, see `model.inference.calibration.decide`.
    """

    task: Task
    image_ids: NDArray[np.str_]
    lesion_ids: Groups
    dx_true: Indices
    probabilities: Array
    dx_predicted: Indices

    def asked(self, question: Question) -> Cohort:
        """The same images with another of the task's questions asked."""
        return replace(self, task=self.task.asking(question))

    @property
    def is_positive(self) -> Booleans:
        """(N,) whether the reference answers the task's question with yes: malignant."""
        return is_positive(self.dx_true, self.task.positives)

    @property
    def p_positive(self) -> Array:
        """(N,) float64, the summed probability of the positive classes."""
        return positive_probability(self.probabilities, self.task.positives)

    def thresholds(self) -> BinaryThresholds:
        """The task's question, ready to try many thresholds on."""
        return BinaryThresholds(self.is_positive, self.p_positive, self.lesion_ids)


def prediction_columns(task: Task) -> tuple[str, ...]:
    """Columns of a predictions table: the dataset's, one probability a class, and the predicted class."""
    return (*METADATA_COLUMNS, *task.codes, "prediction")


def load_predictions(path: Path, task: Task) -> pd.DataFrame:
    """Read a predictions CSV and check it; see `check_predictions`.

    Raises:
        PredictionsError: no such file, not a CSV, or a table that `check_predictions` refuses.
    """
    try:
        table = pd.read_csv(path, dtype=str)
    except FileNotFoundError:
        raise PredictionsError(f"expected a CSV of predictions at {path}, found none") from None
    except (OSError, ValueError) as error:
        # pandas' parser errors are ValueErrors, and so is text in another encoding.
        raise PredictionsError(f"{path}: expected a CSV of predictions, could not read it ({error})") from error
    return check_predictions(table, Path(path).name, task)


def check_predictions(table: pd.DataFrame, source: str, task: Task) -> pd.DataFrame:
    """The columns of a predictions table, or an error that names the first row at fault.

    Args:
        table: any table; further columns are left out.
        source: file name for the message.
        task: what the classes are.

    Returns:
        `prediction_columns` in this order, one row an image; age (years, NaN where missing) and probabilities float64.

    Raises:
        PredictionsError: no rows, a column missing, a value missing (other than age), an unknown dx, an age that is
            not a number, a probability outside [0, 1], probabilities whose sum differs from 1 by more than 0.001, or
            an image_id that stands twice.
    """
    columns = prediction_columns(task)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise PredictionsError(f"{source}: expected columns {', '.join(columns)}; missing {', '.join(missing)}")
    checked = table.loc[:, list(columns)].reset_index(drop=True)
    if checked.empty:
        raise PredictionsError(f"{source}: expected one row an image, received none")
    for column in columns:
        if column != "age":
            _refuse(checked[column].isna(), checked[column], source, "a value")
    for column in ("dx", "prediction"):
        _refuse(~checked[column].isin(task.codes), checked[column], source, f"one of {', '.join(task.codes)}")
    for column in ("age", *task.codes):
        numbers = pd.to_numeric(checked[column], errors="coerce").astype("float64")
        _refuse(numbers.isna() & checked[column].notna(), checked[column], source, "a number")
        checked[column] = numbers
    for column in task.codes:
        _refuse(~checked[column].between(0, 1), checked[column], source, "a probability from 0 to 1")
    total = checked[list(task.codes)].sum(axis=1).rename("sum of the probabilities")
    _refuse((total - 1).abs() > SUM_TOLERANCE, total, source, "1")
    _refuse(checked["image_id"].duplicated(), checked["image_id"], source, "each image once")
    return checked


def _refuse(is_wrong: pd.Series, values: pd.Series, source: str, expected: str) -> None:
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        received = "nothing" if pd.isna(values.iloc[row]) else values.iloc[row]
        # + 2: the header is line 1 of the file.
        raise PredictionsError(f"{source}, row {row + 2}, {values.name}: expected {expected}, received {received}")


def cohort_of(predictions: pd.DataFrame, task: Task) -> Cohort:
    """The arrays of a checked predictions table, or of any selection of its rows."""
    index_of = {dx: index for index, dx in enumerate(task.codes)}
    return Cohort(
        task=task,
        image_ids=predictions["image_id"].to_numpy(dtype=str),
        lesion_ids=predictions["lesion_id"].to_numpy(dtype=str),
        dx_true=predictions["dx"].map(index_of).to_numpy(dtype=np.int64),
        probabilities=predictions[list(task.codes)].to_numpy(dtype=np.float64),
        dx_predicted=predictions["prediction"].map(index_of).to_numpy(dtype=np.int64),
    )
