"""Functions that draw the parts of the Evaluation page."""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import wording
from dashboard.evaluation.tables import confusion_frame, per_class_frame, reweighed, summary_frame, threshold_frame
from dashboard.shell import metrics, resources
from dashboard.shell.glossary import METRICS
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.skin import SKIN
from model.evaluation.questions import questions_of
from model.evaluation.results import MACRO, Evaluation
from model.inference.artifact import OperatingPoint
from model.measures.intervals import Estimate, ThresholdMetrics

MALIGNANT, QUESTIONS = SKIN.question.key, questions_of(SKIN)
THRESHOLD_STEP = 0.001
PREVALENCE_STEP = 0.001
MAX_PREVALENCE = 0.6
TRAINING_MEASURES = ("loss", "accuracy", "auc")


def header(evaluation: Evaluation) -> None:
    """Which model, measured on what."""
    artifact = resources.artifact()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(wording.EVALUATION_TITLE, width="content")
        csv_download(summary_frame(evaluation), "evaluation_summary.csv", key="summary_csv")
    st.markdown(wording.evaluated_model(artifact.name, artifact.version, evaluation.images, evaluation.lesions))


def summary(evaluation: Evaluation) -> None:
    """The headline metrics with interval, n and explanation; accuracy in a quieter tone."""
    with st.grid(5, min_column_width=155, border=True, gap="small") as grid:
        for name in wording.SUMMARY_METRICS:
            with grid.cell(), st.container(key=f"metric_{name}", gap="xxsmall"):
                _metric(name, getattr(evaluation, name), evaluation)


def _metric(name: str, estimate: Estimate, evaluation: Evaluation) -> None:
    explanation = METRICS[name]
    st.metric(explanation.name, explanation.format(estimate.value), help=explanation.tooltip)
    st.html(f'<p class="lens-data">{escape(metrics.interval(estimate, explanation, evaluation.images))}</p>')


def decision_cards(evaluation: Evaluation) -> None:
    """ROC curves, confusion matrix and threshold, side by side: the threshold is marked on the curve."""
    data = wording.test_data(evaluation.images, evaluation.lesions)
    with card_grid() as grid:
        roc_cell, confusion_cell, threshold_cell = grid.cell(), grid.cell(), grid.cell()
    with threshold_cell:
        question, metrics = _threshold_card(data)
    with roc_cell:
        _roc_card(data, question, metrics)
    with confusion_cell:
        _confusion_card(data, evaluation)


def _roc_card(data: str, question: str, metrics: ThresholdMetrics) -> None:
    curves = resources.test_roc_curves()
    chart_heading(wording.ROC_TITLE, data)
    shown = st.pills(
        "Curves",
        [MALIGNANT, MACRO, *QUESTIONS[1:]],
        selection_mode="multi",
        default=[MALIGNANT, MACRO],
        key="evaluation_curves",
        help=wording.ROC_HELP,
        label_visibility="collapsed",
        wrap=True,
        persist_state="session",
    )
    figure = evaluation_charts.roc(curves, shown, resources.artifact().operating_points, question, metrics)
    chart(wording.ROC_TITLE, data, figure, "roc_chart", note=wording.ROC_NOTE, has_heading=False)


def _confusion_card(data: str, evaluation: Evaluation) -> None:
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
    figure = evaluation_charts.confusion_matrix(evaluation.confusion, shows_counts=mode == "counts")
    chart(wording.CONFUSION_TITLE, data, figure, "confusion_chart", note=wording.CONFUSION_NOTE, has_heading=False)
    csv_download(confusion_frame(evaluation.confusion), "confusion_matrix.csv", key="confusion_csv")


def _threshold_card(data: str) -> tuple[str, ThresholdMetrics]:
    chart_heading(wording.THRESHOLD_TITLE, data)
    question = st.selectbox(
        "Decision",
        QUESTIONS,
        format_func=wording.question_name,
        key="evaluation_question",
        on_change=_forget_threshold,
        label_visibility="collapsed",
        persist_state="session",
    )
    points = resources.artifact().operating_points if question == MALIGNANT else ()
    _operating_point_buttons(points)
    st.session_state.setdefault("evaluation_threshold", _starting_threshold(question, points))
    threshold = st.slider(
        "Threshold",
        0.0,
        1.0,
        step=THRESHOLD_STEP,
        format="percent",
        key="evaluation_threshold",
        help=wording.threshold_help(question),
        persist_state="session",
    )
    metrics = resources.thresholds(question).at(threshold)
    positives = metrics.counts.true_positives + metrics.counts.false_negatives
    share = positives / max(metrics.counts.n, 1)
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
    at_prevalence = reweighed(metrics, prevalence)
    frame = threshold_frame(question, metrics, at_prevalence)
    _threshold_table(question, frame)
    st.caption(wording.per_thousand(question, at_prevalence))
    csv_download(frame, f"threshold_{question}.csv", key="threshold_csv")
    return question, metrics


def _threshold_table(question: str, frame: pd.DataFrame) -> None:
    rows = [
        (
            wording.measure_name(row.measure, row.prevalence),
            METRICS[row.measure].format(row.value),
            metrics.interval_range(row.low, row.high, METRICS["ppv"]),
            wording.hits_of_n(question, row.measure, row.hits, row.n),
        )
        for row in frame.itertuples()
    ]
    html_table(("", "value", "95 % interval", "n"), rows, numeric=(1,))


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


def _set_threshold(threshold: float) -> None:
    st.session_state["evaluation_threshold"] = threshold


def _forget_threshold() -> None:
    """A new question starts at its own threshold and prevalence."""
    question = st.session_state["evaluation_question"]
    points = resources.artifact().operating_points if question == MALIGNANT else ()
    st.session_state["evaluation_threshold"] = _starting_threshold(question, points)
    counts = resources.thresholds(question).at(0.5).counts
    share = (counts.true_positives + counts.false_negatives) / max(counts.n, 1)
    st.session_state["evaluation_prevalence"] = min(round(share, 3), MAX_PREVALENCE)


def _starting_threshold(question: str, points: tuple[OperatingPoint, ...]) -> float:
    return points[0].threshold if points else 0.5


def per_class(evaluation: Evaluation) -> None:
    """One row a diagnosis: every rate with its interval."""
    chart_heading(wording.PER_CLASS_TITLE, wording.test_data(evaluation.images, evaluation.lesions))
    frame = per_class_frame(evaluation)
    _per_class_table(frame)
    csv_download(frame, "per_class_metrics.csv", key="per_class_csv")


def _per_class_table(frame: pd.DataFrame) -> None:
    rows = [
        (
            Html(f'<b>{row["dx"]}</b><span class="lens-long"> {escape(str(row["name"]))}</span>'),
            f"{row['images']:,}",
            f"{row['lesions']:,}",
            *(_with_interval(row, rate) for rate in wording.RATES),
        )
        for row in frame.to_dict("records")
    ]
    headers = ("diagnosis", "images", "lesions", *(METRICS[rate].name for rate in wording.RATES))
    tooltips = ("", "", "", *(METRICS[rate].plain_tooltip for rate in wording.RATES))
    html_table(headers, rows, numeric=tuple(range(1, len(headers))), tooltips=tooltips)


def _with_interval(row: dict[Hashable, Any], rate: str) -> Html:
    metric = METRICS[rate]
    span = metrics.interval_range(row[f"{rate}_low"], row[f"{rate}_high"], metric)
    return Html(f"{escape(metric.format(row[rate]))} <small>{escape(span)}</small>")


def training(history: pd.DataFrame) -> None:
    """Loss, accuracy and AUC by epoch, one line a network."""
    data = wording.training_data(history)
    with card_grid(320) as grid:
        for measure in TRAINING_MEASURES:
            with grid.cell():
                explanation = wording.TRAINING_MEASURES[measure]
                figure = evaluation_charts.training_curve(history, measure, explanation.axis)
                chart(explanation.title, data, figure, f"training_{measure}")
    st.html(f'<p class="lens-data">{escape(wording.TRAINING_NOTE)}</p>')
    csv_download(history, "history.csv", key="history_csv", label="Training history as CSV")
