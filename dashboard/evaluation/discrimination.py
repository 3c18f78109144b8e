"""Functions that draw how well classes are told apart: curves over all thresholds."""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation import curves as figures
from dashboard.evaluation import decision_state, wording
from dashboard.evaluation.metric_tables import WIDE_CARD
from dashboard.shell import resources
from dashboard.shell.widgets import card_grid, chart
from model.evaluation.results import MACRO


@st.fragment
def curves() -> None:
    """ROC and precision-recall curves of the classes that are chosen; a fragment, so that a choice reruns no more."""
    evaluation, task = resources.evaluation(), resources.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    shown = st.pills(
        "Curves",
        [task.question.key, MACRO, *task.codes],
        selection_mode="multi",
        default=[task.question.key, MACRO],
        key="evaluation_curves",
        help=task.worded(wording.CURVES_HELP),
        wrap=True,
        persist_state="session",
    )
    points, (question, measured) = resources.artifact().operating_points, decision_state.chosen()
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            figure = figures.roc(task, resources.test_roc_curves(), shown, points, question, measured)
            chart(wording.ROC_TITLE, data, figure, "roc_chart", note=task.worded(wording.ROC_NOTE))
        with grid.cell():
            of_precision = resources.test_precision_recall_curves()
            figure = figures.precision_recall(task, of_precision, shown, points, question, measured)
            note = task.worded(wording.PRECISION_RECALL_NOTE)
            chart(wording.PRECISION_RECALL_TITLE, data, figure, "precision_recall_chart", note=note)
