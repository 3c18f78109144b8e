"""Functions that draw how well classes are told apart: curves over all thresholds."""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation import curves as figures
from dashboard.evaluation import decision_state, wording
from dashboard.evaluation.metric_tables import WIDE_CARD
from dashboard.resources import measurements, models
from dashboard.shell.widgets import card_grid, chart
from model.evaluation.results import MACRO


@st.fragment
def curves() -> None:
    """ROC and precision-recall curves of the classes that are chosen; a fragment, so that a choice reruns no more."""
    evaluation, task = measurements.evaluation(), models.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    questions = [question.key for question in task.questions]
    shown = st.pills(
        "Curves",
        [*questions, MACRO, *task.codes],
        format_func=lambda name: wording.question_noun(task, name, True),
        selection_mode="multi",
        default=[*questions, MACRO],
        key="evaluation_curves",
        help=wording.curves_help(task),
        wrap=True,
        persist_state="session",
    )
    points = {key: decision_state.points_of(key) for key in questions}
    question, measured = decision_state.chosen()
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            figure = figures.roc(task, measurements.test_roc_curves(), shown, points, question, measured)
            chart(wording.ROC_TITLE, data, figure, "roc_chart", note=task.worded(wording.ROC_NOTE))
        with grid.cell():
            of_precision = measurements.test_precision_recall_curves()
            figure = figures.precision_recall(task, of_precision, shown, points, question, measured)
            note = task.worded(wording.PRECISION_RECALL_NOTE)
            chart(wording.PRECISION_RECALL_TITLE, data, figure, "precision_recall_chart", note=note)
