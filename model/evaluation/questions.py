"""Yes/no questions asked of a cohort: is it malignant, is it this diagnosis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.tasks.skin import DX_CODES, class_index
from model.evaluation.predictions import Cohort
from model.evaluation.results import MALIGNANT

# What a threshold can be set on: malignant against benign, or one class against the rest.
QUESTIONS: tuple[str, ...] = (MALIGNANT, *DX_CODES)


def question_scores(cohort: Cohort, question: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which images are truly positive, (N,) bool, and their scores, (N,) in [0, 1].

    Raises:
        ValueError: `question` is neither `malignant` nor a dx code.
    """
    if question == MALIGNANT:
        return cohort.is_malignant, cohort.p_malignant
    index = class_index(question)
    return cohort.dx_true == index, cohort.probabilities[:, index]
