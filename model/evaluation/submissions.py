"""Predictions of any model as tables of other people hold them, read row by row: what fits is kept, what does not is
named with its reason.

A table has one row an image: `image` or `image_id` (a file's name, with or without folder and ending), and a column for
each class of the task, whatever it is called there (`data.tasks.task.Task.code_of`): codes, names, the capitals of an
ISIC submission. `prediction`, the class that the model decides on, is optional; where there is none, the decision is
the highest number (of grades, the nearest to the expected one). Commas, semicolons or tabs separate.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.tables import comparable, encoding_of, separator_of
from data.tasks.task import Task
from model.evaluation.predictions import SUM_TOLERANCE, Cohort, PredictionsError
from model.measures.metrics import Array, Indices, softmax
from model.measures.ordinal import nearest_grade

_IMAGE_COLUMNS = ("image_id", "image", "image_name", "isic_id", "id_code")
_LABEL_COLUMNS = ("dx", "diagnosis", "label")
# What the name of a column of probabilities may begin or end with.
_AFFIXES = ("p_", "prob_", "probability_", "score_")
_LOGITS = "logit_"
_ENDINGS = {"jpg", "jpeg", "png", "tif", "tiff", "bmp", "dcm", "webp"}


@dataclass(frozen=True)
class LeftOut:
    """A row that is not measured.

    Attributes:
        row: line of the file, the header being line 1.
        image: what it calls the image.
        reason: what was expected, and what stands there.
    """

    row: int
    image: str
    reason: str


@dataclass(frozen=True)
class References:
    """What images truly show: N of them, each once.

    Attributes:
        task: whose classes `dx_true` numbers.
        image_ids, lesion_ids: (N,) str; the image's own id where a table names no lesion.
        dx_true: (N,) class indices.
        left_out: rows of the table that name no class, or no image.
    """

    task: Task
    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    dx_true: Indices
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What could be read of a table of predictions.

    Attributes:
        cohort: the images that can be measured, in the order of the references.
        left_out: rows that cannot, in the order of the file.
        missing: reference images that the table says nothing of.
        columns: which column holds each class, by code.
        has_decision: whether the table says what the model decides on.
    """

    cohort: Cohort
    left_out: tuple[LeftOut, ...]
    missing: int
    columns: Mapping[str, str]
    has_decision: bool


def table_of(content: bytes, source: str) -> pd.DataFrame:
    """A table as text, one row an image, columns as the file names them; a Parquet file by its ending.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        PredictionsError: no table, or one without rows.
    """
    try:
        if source.lower().endswith(".parquet"):
            table = pd.read_parquet(io.BytesIO(content))
            table = table.astype(object).where(table.notna(), None)
        else:
            text = content.decode(encoding_of(content))
            separator = separator_of(text.lstrip().partition("\n")[0])
            table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, index_col=False)
    except (OSError, ValueError) as error:
        # The errors of pandas' parser are ValueErrors, and so is text in another encoding.
        raise PredictionsError(
            f"{source}: expected a CSV table, could not read it ({error}); save it as CSV in UTF-8"
        ) from error
    if table.empty:
        raise PredictionsError(f"{source}: expected one row an image, found none")
    return table.rename(columns=lambda name: str(name).strip()).reset_index(drop=True)


def image_key(name: str) -> str:
    """What two names of one image have in common: the file's name without folder and ending, in any case."""
    last = PurePosixPath(name.strip().replace("\\", "/")).name
    stem, dot, ending = last.rpartition(".")
    return comparable(stem if dot and ending.lower() in _ENDINGS else last)


def references_of(cohort: Cohort) -> References:
    """The references that a cohort was measured against."""
    return References(cohort.task, cohort.image_ids, cohort.lesion_ids, cohort.dx_true)


def has_labels(table: pd.DataFrame) -> bool:
    """Whether a table says what its images truly show."""
    return any(column in table.columns for column in _LABEL_COLUMNS)


def read_references(table: pd.DataFrame, task: Task, source: str) -> References:
    """References of a table: an image column, and `dx` (a class however written) or a 0/1 column for each class.

    Raises:
        PredictionsError: a column is missing, or no row can be used.
    """
    images = _images(table, source)
    label = next((column for column in _LABEL_COLUMNS if column in table.columns), None)
    if label is not None:
        codes = [task.code_of(str(text)) if pd.notna(text) else None for text in table[label]]
        received = table[label].fillna("nothing").astype(str)
    else:
        columns = _class_columns(table, task, source, is_logits=False)
        is_class = np.column_stack([_numbers(table[columns[code]]) == 1 for code in task.codes])
        codes = [task.codes[row.argmax()] if row.sum() == 1 else None for row in is_class]
        received = pd.Series([f"{count} classes" for count in is_class.sum(axis=1)])
    reasons = [
        "" if code else f"expected a class of the task, received {text}"
        for code, text in zip(codes, received, strict=True)
    ]
    reasons = _also(reasons, images)
    kept = np.flatnonzero([not reason for reason in reasons])
    if not len(kept):
        raise PredictionsError(f"{source}: expected images with a class of the task, found none: {reasons[0]}")
    lesions = table["lesion_id"].fillna(images) if "lesion_id" in table.columns else images
    return References(
        task,
        images.to_numpy(dtype=str)[kept],
        lesions.to_numpy(dtype=str)[kept],
        np.array([task.index(codes[row] or "") for row in kept], dtype=np.int64),
        _left_out(reasons, images),
    )


def read_submission(table: pd.DataFrame, references: References, source: str, is_logits: bool = False) -> Submission:
    """Predictions of the reference images, checked row by row.

    Args:
        table: of `table_of`.
        references: which images count, and what they are.
        source: file name, for messages.
        is_logits: the numbers are logits, of which a softmax makes probabilities; otherwise they are probabilities.

    Raises:
        PredictionsError: there is no image column, a class has no column or two, or no row can be used.
    """
    task = references.task
    images = _images(table, source)
    columns = _class_columns(table, task, source, is_logits)
    values = np.column_stack([_numbers(table[columns[code]]) for code in task.codes])
    reasons = _reasons_of_values(table, task, columns, values, is_logits)
    row_of = {image_key(image): row for row, image in enumerate(references.image_ids)}
    places = np.array([row_of.get(image_key(image), -1) for image in images])
    unknown = "expected an image that has a reference, none is known for it"
    reasons = [reason or (unknown if place < 0 else "") for reason, place in zip(reasons, places, strict=True)]
    predicted = _decisions(table, task)
    reasons = [
        reason or (f"expected a class of the task as prediction, received {text}" if index == -1 else "")
        for reason, index, text in zip(reasons, predicted, table.get("prediction", images), strict=True)
    ]
    reasons = _also(reasons, images)
    kept = np.flatnonzero([not reason for reason in reasons])
    if not len(kept):
        raise PredictionsError(
            f"{source}: expected predictions of images that have a reference, found none that can be used; "
            f"row 2, {images[0]}: {reasons[0]}"
        )
    kept = kept[np.argsort(places[kept])]
    probabilities = softmax(values[kept]) if is_logits else values[kept]
    by_number = nearest_grade(probabilities) if task.is_ordinal else probabilities.argmax(axis=1)
    has_decision = "prediction" in table.columns
    of_reference = places[kept]
    return Submission(
        cohort=Cohort(
            task=task,
            image_ids=references.image_ids[of_reference],
            lesion_ids=references.lesion_ids[of_reference],
            dx_true=references.dx_true[of_reference],
            probabilities=probabilities,
            dx_predicted=predicted[kept] if has_decision else by_number,
        ),
        left_out=_left_out(reasons, images),
        missing=len(references.image_ids) - len(kept),
        columns=columns,
        has_decision=has_decision,
    )


def on_the_same_images(first: Cohort, second: Cohort) -> tuple[Cohort, Cohort]:
    """The images that two cohorts share, in the order of the first."""
    place_of = {image: row for row, image in enumerate(second.image_ids.tolist())}
    rows = [row for row, image in enumerate(first.image_ids.tolist()) if image in place_of]
    return _rows(first, rows), _rows(second, [place_of[image] for image in first.image_ids[rows].tolist()])


def _rows(cohort: Cohort, rows: list[int]) -> Cohort:
    index = np.array(rows, dtype=np.int64)
    return replace(
        cohort,
        image_ids=cohort.image_ids[index],
        lesion_ids=cohort.lesion_ids[index],
        dx_true=cohort.dx_true[index],
        probabilities=cohort.probabilities[index],
        dx_predicted=cohort.dx_predicted[index],
    )


def _images(table: pd.DataFrame, source: str) -> pd.Series:
    for name in _IMAGE_COLUMNS:
        if name in table.columns:
            return table[name].fillna("").astype(str)
    raise PredictionsError(
        f"{source}: expected a column image or image_id, found {', '.join(map(str, table.columns[:12]))}"
    )


def _class_columns(table: pd.DataFrame, task: Task, source: str, is_logits: bool) -> dict[str, str]:
    """The column of each class, by code; of a table that has them in several ways, those that say what they are."""
    found: dict[str, list[str]] = {code: [] for code in task.codes}
    for affix in (_LOGITS, "", *_AFFIXES) if is_logits else ("", *_AFFIXES, _LOGITS):
        alike: dict[str, list[str]] = {}
        for column in table.columns:
            if column.lower().startswith(affix) and (code := task.code_of(column[len(affix) :])):
                alike.setdefault(code, []).append(column)
        found.update({code: columns for code, columns in alike.items() if not found[code]})
    missing = [code for code, columns in found.items() if not columns]
    if missing:
        raise PredictionsError(
            f"{source}: expected a column for each of {', '.join(task.codes)}, by code or name; missing "
            f"{', '.join(missing)}"
        )
    for code, columns in found.items():
        if len(columns) > 1:
            raise PredictionsError(f"{source}: expected one column for {code}, found {' and '.join(columns)}")
    return {code: columns[0] for code, columns in found.items()}


def _numbers(column: pd.Series) -> Array:
    """Numbers with a decimal point or comma, (N,) float64; NaN for anything else."""
    text = column.astype("string").str.strip().str.replace(",", ".", regex=False)
    return pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _reasons_of_values(
    table: pd.DataFrame, task: Task, columns: Mapping[str, str], values: Array, is_logits: bool
) -> list[str]:
    reasons = [""] * len(table)
    quality = table.get("quality", pd.Series("ok", index=table.index)).fillna("ok").astype(str)
    totals = values.sum(axis=1)
    for row, numbers in enumerate(values):
        if quality[row] != "ok":
            reasons[row] = f"no answer: {quality[row]}"
            continue
        for code, number in zip(task.codes, numbers, strict=True):
            text = table[columns[code]][row]
            if not np.isfinite(number):
                received = "nothing" if pd.isna(text) else text
                reasons[row] = f"expected a number in {columns[code]}, received {received}"
            elif not is_logits and not 0 <= number <= 1:
                reasons[row] = f"expected a probability from 0 to 1 in {columns[code]}, received {text}"
            if reasons[row]:
                break
        else:
            if not is_logits and abs(totals[row] - 1) > SUM_TOLERANCE:
                reasons[row] = f"expected probabilities that sum to 1, received {totals[row]:.4g}"
    return reasons


def _decisions(table: pd.DataFrame, task: Task) -> Indices:
    """Predicted classes, (N,); -1 where the table names another, and where it has no such column 0."""
    if "prediction" not in table.columns:
        return np.zeros(len(table), dtype=np.int64)
    codes = [None if pd.isna(text) else task.code_of(str(text)) for text in table["prediction"]]
    return np.array([-1 if code is None else task.index(code) for code in codes], dtype=np.int64)


def _also(reasons: list[str], images: pd.Series) -> list[str]:
    """The reasons, and why an image without name, or one that stands twice, does not count: nobody knows which row is
    meant."""
    keys = images.map(image_key)
    is_twice = keys.duplicated(keep=False)
    return [
        "expected the name of an image, received nothing" if not key else reason or ("image stands twice" * twice)
        for reason, key, twice in zip(reasons, keys, is_twice, strict=True)
    ]


def _left_out(reasons: list[str], images: pd.Series) -> tuple[LeftOut, ...]:
    # + 2: the header is line 1 of the file.
    return tuple(LeftOut(row + 2, images[row], reason) for row, reason in enumerate(reasons) if reason)
