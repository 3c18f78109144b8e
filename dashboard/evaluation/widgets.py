"""Functions that draw the parts of the Evaluation page."""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import wording
from dashboard.evaluation.tables import (
    confusion_frame,
    per_class_frame,
    reweighed,
    summary_frame,
    summary_metrics,
    threshold_frame,
)
from dashboard.shell import metrics, resources
from dashboard.shell.glossary import metric_of, standout_meaning
from dashboard.shell.metrics import Metric
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.questions import questions_of
from model.evaluation.results import MACRO, Evaluation
from model.inference.artifact import OperatingPoint
from model.measures.intervals import Estimate, ThresholdMetrics

THRESHOLD_STEP = 0.001
PREVALENCE_STEP = 0.001
MAX_PREVALENCE = 0.6
TRAINING_MEASURES = ("loss", "accuracy", "auc")


def header(evaluation: Evaluation) -> None:
    """Which model, measured on what."""
    artifact = resources.artifact()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(wording.EVALUATION_TITLE, width="content")
        csv_download(summary_frame(artifact.task, evaluation), "evaluation_summary.csv", key="summary_csv")
    st.markdown(
        wording.evaluated_model(artifact.task, artifact.name, artifact.version, evaluation.images, evaluation.lesions)
    )


def summary(evaluation: Evaluation) -> None:
    """The headline metrics with interval, n and explanation; accuracy in a quieter tone."""
    task = resources.artifact().task
    names = summary_metrics(task)
    with st.grid(len(names), min_column_width=155, border=True, gap="small") as grid:
        for name in names:
            with grid.cell(), st.container(key=f"metric_{name}", gap="xxsmall"):
                _metric(metric_of(name, task), getattr(evaluation, name), evaluation)


def _metric(explanation: Metric, estimate: Estimate, evaluation: Evaluation) -> None:
    st.metric(explanation.name, explanation.format(estimate.value), help=explanation.tooltip)
    st.html(f'<p class="lens-data">{escape(metrics.interval(estimate, explanation, evaluation.images))}</p>')


def decision_cards(evaluation: Evaluation) -> None:
    """ROC curves, confusion matrix and threshold, side by side: the threshold is marked on the curve."""
    task = resources.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    with card_grid() as grid:
        roc_cell, confusion_cell, threshold_cell = grid.cell(), grid.cell(), grid.cell()
    with threshold_cell:
        question, measured = _threshold_card(task, data)
    with roc_cell:
        _roc_card(task, data, question, measured)
    with confusion_cell:
        _confusion_card(task, data, evaluation)


def _roc_card(task: Task, data: str, question: str, measured: ThresholdMetrics) -> None:
    curves = resources.test_roc_curves()
    chart_heading(wording.ROC_TITLE, data)
    shown = st.pills(
        "Curves",
        [task.question.key, MACRO, *task.codes],
        selection_mode="multi",
        default=[task.question.key, MACRO],
        key="evaluation_curves",
        help=task.worded(wording.ROC_HELP),
        label_visibility="collapsed",
        wrap=True,
        persist_state="session",
    )
    figure = evaluation_charts.roc(task, curves, shown, resources.artifact().operating_points, question, measured)
    chart(wording.ROC_TITLE, data, figure, "roc_chart", note=task.worded(wording.ROC_NOTE), has_heading=False)


def _confusion_card(task: Task, data: str, evaluation: Evaluation) -> None:
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
    note = f"{task.worded(wording.CONFUSION_NOTE)} {standout_meaning(task)}"
    chart(wording.CONFUSION_TITLE, data, figure, "confusion_chart", note=note, has_heading=False)
    csv_download(confusion_frame(task, evaluation.confusion), "confusion_matrix.csv", key="confusion_csv")


def _threshold_card(task: Task, data: str) -> tuple[str, ThresholdMetrics]:
    chart_heading(wording.THRESHOLD_TITLE, data)
    question = st.selectbox(
        "Decision",
        questions_of(task),
        format_func=lambda asked: wording.question_name(task, asked),
        key="evaluation_question",
        on_change=_forget_threshold,
        label_visibility="collapsed",
        persist_state="session",
    )
    points = _points_of(question)
    _operating_point_buttons(points)
    st.session_state.setdefault("evaluation_threshold", _starting_threshold(points))
    threshold = st.slider(
        "Threshold",
        0.0,
        1.0,
        step=THRESHOLD_STEP,
        format="percent",
        key="evaluation_threshold",
        help=wording.threshold_help(task, question),
        persist_state="session",
    )
    measured = resources.thresholds(question).at(threshold)
    positives = measured.counts.true_positives + measured.counts.false_negatives
    share = positives / max(measured.counts.n, 1)
    st.session_state.setdefault("evaluation_prevalence", min(round(share, 3), MAX_PREVALENCE))
    prevalence = st.slider(
        wording.PREVALENCE_LABEL,
        0.0,
        MAX_PREVALENCE,
        step=PREVALENCE_STEP,
        format="percent",
        key="evaluation_prevalence",
        help=wording.prevalence_help(share),
        persist_state="session",
    )
    at_prevalence = reweighed(measured, prevalence)
    frame = threshold_frame(question, measured, at_prevalence)
    _threshold_table(task, question, frame)
    negatives = measured.counts.n - positives
    st.caption(wording.per_thousand(task, question, at_prevalence, positives, negatives))
    csv_download(frame, f"threshold_{question}.csv", key="threshold_csv")
    return question, measured


def _threshold_table(task: Task, question: str, frame: pd.DataFrame) -> None:
    rows = [
        (
            wording.measure_name(task, row.measure, row.prevalence),
            metric_of(row.measure, task).format(row.value),
            metrics.interval_range(row.low, row.high, metric_of("ppv", task)),
            wording.hits_of_n(task, question, row.measure, row.hits, row.n),
        )
        for row in frame.itertuples()
    ]
    html_table(("measure", "value", "95 % interval", "n"), rows, numeric=(1,))


def _operating_point_buttons(points: tuple[OperatingPoint, ...]) -> None:
    if not points:
        return
    with st.container(horizontal=True, gap="xsmall"):
        for point in points:
            st.button(
                wording.operating_point_button(point.target_sensitivity, point.threshold),
                key=f"operating_point_{point.name}",
                on_click=_set_threshold,
                args=(point.threshold,),
                help=wording.OPERATING_POINT_HELP,
            )


def _points_of(question: str) -> tuple[OperatingPoint, ...]:
    """The stored operating points are those of the task's question."""
    artifact = resources.artifact()
    return artifact.operating_points if question == artifact.task.question.key else ()


def _set_threshold(threshold: float) -> None:
    st.session_state["evaluation_threshold"] = threshold


def _forget_threshold() -> None:
    """A new question starts at its own threshold and prevalence."""
    question = st.session_state["evaluation_question"]
    st.session_state["evaluation_threshold"] = _starting_threshold(_points_of(question))
    counts = resources.thresholds(question).at(0.5).counts
    share = (counts.true_positives + counts.false_negatives) / max(counts.n, 1)
    st.session_state["evaluation_prevalence"] = min(round(share, 3), MAX_PREVALENCE)


def _starting_threshold(points: tuple[OperatingPoint, ...]) -> float:
    return points[0].threshold if points else 0.5


def per_class(evaluation: Evaluation) -> None:
    """One row a class: every rate with its interval."""
    task = resources.artifact().task
    st.header(task.worded(wording.PER_CLASS_HEADING))
    title = task.worded(wording.PER_CLASS_TITLE)
    chart_heading(title, wording.test_data(task, evaluation.images, evaluation.lesions))
    frame = per_class_frame(task, evaluation)
    _per_class_table(task, frame)
    csv_download(frame, "per_class_metrics.csv", key="per_class_csv")


def _per_class_table(task: Task, frame: pd.DataFrame) -> None:
    explained = {rate: metric_of(rate, task) for rate in wording.RATES}
    rows = [
        (
            Html(f'<b>{row["dx"]}</b><span class="lens-long"> {escape(str(row["name"]))}</span>'),
            f"{row['images']:,}",
            f"{row['lesions']:,}",
            *(_with_interval(row, rate, metric) for rate, metric in explained.items()),
        )
        for row in frame.to_dict("records")
    ]
    headers = (task.words.label, "images", task.words.subjects, *(metric.name for metric in explained.values()))
    tooltips = ("", "", "", *(metric.plain_tooltip for metric in explained.values()))
    html_table(headers, rows, numeric=tuple(range(1, len(headers))), tooltips=tooltips)


def _with_interval(row: dict[Hashable, Any], rate: str, metric: Metric) -> Html:
    span = metrics.interval_range(row[f"{rate}_low"], row[f"{rate}_high"], metric)
    return Html(f"{escape(metric.format(row[rate]))} <small>{escape(span)}</small>")


def training(history: pd.DataFrame) -> None:
    """Loss, accuracy and AUC by epoch, one line a network."""
    task = resources.artifact().task
    data = wording.training_data(task, history)
    with card_grid(320) as grid:
        for measure in TRAINING_MEASURES:
            with grid.cell():
                explanation = wording.TRAINING_MEASURES[measure]
                figure = evaluation_charts.training_curve(history, measure, explanation.axis)
                chart(explanation.title, data, figure, f"training_{measure}")
    st.html(f'<p class="lens-data">{escape(wording.training_note(task, history))}</p>')
    csv_download(history, "history.csv", key="history_csv", label="Training history as CSV")
