"""Which test images a part of a figure stands for: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.evaluation.images import wording
from dashboard.evaluation.studies.trust_tables import POSITIVE, TOP_CLASS
from data.tasks.task import Task
from model.evaluation.predictions import Cohort
from model.evaluation.subgroups import parts
from model.measures.metrics import CALIBRATION_BINS, bin_of_probability

_IMAGE = "image:"


@dataclass(frozen=True)
class ImageGroup:
    """The images behind a cell, bin, row or point.

    Attributes:
        key: of its own among the groups of a figure.
        title: names it.
        positions: (N,) where its images stand in the cohort.
    """

    key: str
    title: str
    positions: NDArray[np.int64]


def confusion_groups(cohort: Cohort) -> list[ImageGroup]:
    """A group for each cell of the confusion matrix that has images: errors first, the commonest first."""
    codes = cohort.task.codes
    cells = [
        ImageGroup(
            confusion_key(cohort.task, true, predicted),
            wording.cell(codes[true], codes[predicted]),
            np.flatnonzero((cohort.dx_true == true) & (cohort.dx_predicted == predicted)),
        )
        for true in range(len(codes))
        for predicted in range(len(codes))
    ]
    is_right = {confusion_key(cohort.task, index, index) for index in range(len(codes))}
    filled = [cell for cell in cells if len(cell.positions)]
    return sorted(filled, key=lambda cell: (cell.key in is_right, -len(cell.positions)))


def confusion_key(task: Task, true: int, predicted: int) -> str:
    """Key of a cell: the class indices of the reference and of the answer."""
    return f"{task.codes[true]}:{task.codes[predicted]}"


def bin_groups(cohort: Cohort) -> list[ImageGroup]:
    """A group for each bin with images of every reliability diagram, by rising probability."""
    stated = {TOP_CLASS: cohort.probabilities.max(axis=1), POSITIVE: cohort.p_positive}
    stated |= {question.key: cohort.asked(question).p_positive for question in cohort.task.further}
    return [
        ImageGroup(bin_key(question, number), wording.bin_of(cohort.task, question, number), positions)
        for question, probability in stated.items()
        for number, positions in enumerate(_in_bins(probability))
        if len(positions)
    ]


def _in_bins(probability: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    bin_of = bin_of_probability(probability, CALIBRATION_BINS)
    return [np.flatnonzero(bin_of == number) for number in range(CALIBRATION_BINS)]


def bin_key(question: str, number: int) -> str:
    """Key of a bin, counted from 0, of a reliability diagram."""
    return f"{question}:{number}"


def subgroup_groups(predictions: pd.DataFrame) -> list[ImageGroup]:
    """A group for each subgroup that has images.

    Args:
        predictions: one row an image, in the order of the cohort.
    """
    place_of = pd.Series(np.arange(len(predictions)), index=predictions.index)
    return [
        ImageGroup(subgroup_key(attribute, group), wording.subgroup(attribute, group), place_of[rows.index].to_numpy())
        for attribute, group, rows in parts(predictions)
    ]


def subgroup_key(attribute: str, group: str) -> str:
    """Key of a subgroup, by its names in `model.evaluation.subgroups`."""
    return f"{attribute}:{group}"


def image_key(image_id: str) -> str:
    """Key of a single image, a point of a scatter."""
    return f"{_IMAGE}{image_id}"


def with_image(cohort: Cohort, groups: Sequence[ImageGroup], key: str | None) -> list[ImageGroup]:
    """The groups, and before them the single image of a key, where it is that of one."""
    if key is None or not key.startswith(_IMAGE):
        return list(groups)
    image_id = key.removeprefix(_IMAGE)
    positions = np.flatnonzero(cohort.image_ids == image_id)
    return [ImageGroup(key, image_id, positions), *groups] if len(positions) else list(groups)


def worst_first(cohort: Cohort, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The images with wrong answers first, and among each the one first whose reference got the lowest probability."""
    is_right = cohort.dx_true[positions] == cohort.dx_predicted[positions]
    return positions[np.lexsort((p_reference(cohort)[positions], is_right))]


def p_reference(cohort: Cohort) -> NDArray[np.float64]:
    """(N,) the probability that each image's reference class was given."""
    return cohort.probabilities[np.arange(len(cohort.dx_true)), cohort.dx_true]
