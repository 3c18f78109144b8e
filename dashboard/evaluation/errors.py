"""Functions that draw which classes are taken for which."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import wording
from dashboard.evaluation.images import wording as image_wording
from dashboard.evaluation.images.gallery import Point, clicks, gallery
from dashboard.evaluation.images.groups import confusion_groups, confusion_key, image_key, p_reference
from dashboard.evaluation.metric_tables import WIDE_CARD, quiet
from dashboard.evaluation.tables import confusion_frame
from dashboard.resources import measurements, models
from dashboard.shell.glossary import standout_meaning
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download
from data.tasks.task import Task
from model.evaluation.results import Evaluation

PLACE = "errors"


@st.fragment
def errors() -> None:
    """The confusion matrix, every image as a point, and the images of what is clicked; a fragment, so that no more is
    drawn again.
    """
    evaluation, task = measurements.evaluation(), models.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            _confusion(task, data, evaluation)
        with grid.cell():
            _scatter(task, data)
    gallery(PLACE, confusion_groups(measurements.cohort()))


def _confusion(task: Task, data: str, evaluation: Evaluation) -> None:
    chart_heading(wording.CONFUSION_TITLE, data)
    mode = st.segmented_control(
        "Cells show",
        list(wording.CONFUSION_MODES),
        format_func=wording.CONFUSION_MODES.__getitem__,
        default="shares",
        required=True,
        key="evaluation_confusion",
        label_visibility="collapsed",
        persist_state="session",
    )
    figure = evaluation_charts.confusion_matrix(task, evaluation.confusion, shows_counts=mode == "counts")
    standout = standout_meaning(task, models.artifact().calibration.population)
    note = f"{task.worded(wording.CONFUSION_NOTE)} {standout} {image_wording.CONFUSION_HINT}"
    clicked = clicks(PLACE, cell_of)
    chart(wording.CONFUSION_TITLE, data, figure, note=note, has_heading=False, **clicked)
    if evaluation.weighted_kappa is not None and evaluation.grade_error is not None:
        quiet(wording.agreement(task, evaluation.weighted_kappa, evaluation.grade_error, evaluation.images))
    csv_download(confusion_frame(task, evaluation.confusion), "confusion_matrix.csv", key="confusion_csv")


def cell_of(point: Point) -> str:
    """Key of the images of a cell; its points follow each other row by row."""
    task = models.artifact().task
    return confusion_key(task, *divmod(point["point_index"], len(task.codes)))


def _scatter(task: Task, data: str) -> None:
    cohort = measurements.cohort()
    figure = evaluation_charts.answers(task, cohort, p_reference(cohort))
    title, note = task.worded(image_wording.SCATTER_TITLE), task.worded(image_wording.SCATTER_NOTE)
    chart(title, data, figure, note=note, **clicks(PLACE, image_of, figure="scatter"))


def image_of(point: Point) -> str:
    """Key of the image that is a point of the scatter: a trace a class, its images in the order of the cohort."""
    cohort = measurements.cohort()
    positions = np.flatnonzero(cohort.dx_true == point["curve_number"])
    return image_key(str(cohort.image_ids[positions[point["point_index"]]]))
