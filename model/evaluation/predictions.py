"""A table of predictions and reference diagnoses, checked, and the arrays that metrics work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import METADATA_COLUMNS
from data.tasks.skin import DX_CODES
from model.measures.intervals import LesionIds
from model.measures.metrics import Array, Booleans, Indices, is_malignant, malignant_probability

PREDICTION_COLUMNS: tuple[str, ...] = (*METADATA_COLUMNS, *DX_CODES, "prediction")
# Probabilities are stored with few decimals, so their sum is 1 only within rounding.
SUM_TOLERANCE = 1e-3


class PredictionsError(Exception):
    """A predictions file, or the manifest beside it, that is not what it should be; the message says where and why."""


@dataclass(frozen=True)
class Cohort:
    """Predictions and reference diagnoses of N images.

    Attributes:
        image_ids, lesion_ids: (N,) str.
        dx_true: (N,) int64 class indices, the reference.
        probabilities: (N, 7) float64 in dx order, sum 1.
        dx_predicted: (N,) int64 class indices; not always the argmax, since the decision corrects for class shares.
    """

    image_ids: NDArray[np.str_]
    lesion_ids: LesionIds
    dx_true: Indices
    probabilities: Array
    dx_predicted: Indices

    @property
    def is_malignant(self) -> Booleans:
        return is_malignant(self.dx_true)

    @property
    def p_malignant(self) -> Array:
        return malignant_probability(self.probabilities)


def load_predictions(path: Path) -> pd.DataFrame:
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
    return check_predictions(table, Path(path).name)


def check_predictions(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The columns of a predictions table, or an error that names the first row at fault.

    Args:
        table: any table; further columns are left out.
        source: file name for the message.

    Returns:
        `PREDICTION_COLUMNS` in this order, one row an image; age (years, NaN where missing) and probabilities float64.

    Raises:
        PredictionsError: no rows, a column missing, a value missing (other than age), an unknown dx, an age that is
            not a number, a probability outside [0, 1], probabilities whose sum differs from 1 by more than 0.001, or
            an image_id that stands twice.
    """
    missing = [column for column in PREDICTION_COLUMNS if column not in table.columns]
    if missing:
        raise PredictionsError(
            f"{source}: expected columns {', '.join(PREDICTION_COLUMNS)}; missing {', '.join(missing)}"
        )
    checked = table.loc[:, list(PREDICTION_COLUMNS)].reset_index(drop=True)
    if checked.empty:
        raise PredictionsError(f"{source}: expected one row an image, received none")
    for column in PREDICTION_COLUMNS:
        if column != "age":
            _refuse(checked[column].isna(), checked[column], source, "a value")
    for column in ("dx", "prediction"):
        _refuse(~checked[column].isin(DX_CODES), checked[column], source, f"one of {', '.join(DX_CODES)}")
    for column in ("age", *DX_CODES):
        numbers = pd.to_numeric(checked[column], errors="coerce").astype("float64")
        _refuse(numbers.isna() & checked[column].notna(), checked[column], source, "a number")
        checked[column] = numbers
    for column in DX_CODES:
        _refuse(~checked[column].between(0, 1), checked[column], source, "a probability from 0 to 1")
    total = checked[list(DX_CODES)].sum(axis=1).rename("sum of the probabilities")
    _refuse((total - 1).abs() > SUM_TOLERANCE, total, source, "1")
    _refuse(checked["image_id"].duplicated(), checked["image_id"], source, "each image once")
    return checked


def _refuse(is_wrong: pd.Series, values: pd.Series, source: str, expected: str) -> None:
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        received = "nothing" if pd.isna(values.iloc[row]) else values.iloc[row]
        # + 2: the header is line 1 of the file.
        raise PredictionsError(f"{source}, row {row + 2}, {values.name}: expected {expected}, received {received}")


def cohort_of(predictions: pd.DataFrame) -> Cohort:
    """The arrays of a checked predictions table, or of any selection of its rows."""
    index_of = {dx: index for index, dx in enumerate(DX_CODES)}
    return Cohort(
        image_ids=predictions["image_id"].to_numpy(dtype=str),
        lesion_ids=predictions["lesion_id"].to_numpy(dtype=str),
        dx_true=predictions["dx"].map(index_of).to_numpy(dtype=np.int64),
        probabilities=predictions[list(DX_CODES)].to_numpy(dtype=np.float64),
        dx_predicted=predictions["prediction"].map(index_of).to_numpy(dtype=np.int64),
    )
