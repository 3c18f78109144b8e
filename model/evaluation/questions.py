"""Yes/no questions asked of a cohort: the task's own (is it malignant), further ones, and whether it is this class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import Task
from model.evaluation.predictions import Cohort


def questions_of(task: Task) -> tuple[str, ...]:
    """What a threshold can be set on: the keys of the task's questions, then each class's code against the rest."""
    return (*(question.key for question in task.questions), *task.codes)


def question_scores(cohort: Cohort, question: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which images are truly positive, (N,) bool, and their scores, (N,) in [0, 1].

    Raises:
        ValueError: `question` is none of `questions_of` the cohort's task.
    """
    asked = cohort.task.question_of(question)
    if asked is not None:
        of_question = cohort.asked(asked)
        return of_question.is_positive, of_question.p_positive
    index = cohort.task.index(question)
    return cohort.dx_true == index, cohort.probabilities[:, index]
