"""Functions that draw the parts of the Evaluation page."""

from __future__ import annotations

from collections.abc import Hashable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import wording
from dashboard.evaluation.tables import headlines, per_class_frame, published, summary_frame
from dashboard.resources import measurements, models, trained
from dashboard.shell import metrics
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import Metric
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, class_key, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.results import Evaluation
from model.measures.intervals import Estimate

TRAINING_MEASURES = ("loss", "accuracy", "auc")


def header() -> None:
    """Which model, measured on what."""
    evaluation, artifact = measurements.evaluation(), models.artifact()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(wording.EVALUATION_TITLE, width="content")
        csv_download(summary_frame(artifact.task, evaluation), "evaluation_summary.csv", key="summary_csv")
    st.markdown(
        wording.evaluated_model(artifact.task, artifact.name, artifact.version, evaluation.images, evaluation.lesions)
    )


def colours() -> None:
    """What the colours of the classes are, for sections whose charts have them."""
    class_key(models.artifact().task)


def summary() -> None:
    """The headline metrics with interval, n and explanation; accuracy in a quieter tone."""
    evaluation, task = measurements.evaluation(), models.artifact().task
    shown = list(headlines(task, vars(evaluation)))
    # More than seven stand in two rows, so that their names have room.
    columns, width = (len(shown), 155) if len(shown) < 8 else (-(-len(shown) // 2), 200)
    with st.grid(columns, min_column_width=width, border=True, gap="small") as grid:
        for name, asking, estimate in shown:
            key = f"metric_{name}" if asking is task else f"metric_{published(asking, name)}"
            with grid.cell(), st.container(key=key, gap="xxsmall"):
                _metric(metric_of(name, asking), estimate, evaluation)


def _metric(explanation: Metric, estimate: Estimate, evaluation: Evaluation) -> None:
    st.metric(explanation.name, explanation.format(estimate.value), help=explanation.tooltip)
    st.html(f'<p class="lens-data">{escape(metrics.interval(estimate, explanation, evaluation.images))}</p>')


def per_class() -> None:
    """One row a class: every rate with its interval."""
    evaluation, task = measurements.evaluation(), models.artifact().task
    st.header(task.worded(wording.PER_CLASS_HEADING))
    title = task.worded(wording.PER_CLASS_TITLE)
    chart_heading(title, wording.test_data(task, evaluation.images, evaluation.lesions))
    frame = per_class_frame(task, evaluation)
    _per_class_table(task, frame)
    st.html(f'<p class="lens-data">{escape(wording.too_few_for_areas(task))}</p>')
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
    span = metrics.interval_or_why(row[rate], row[f"{rate}_low"], row[f"{rate}_high"], metric) or "–"
    return Html(f"{escape(metric.format(row[rate]))} <small>{escape(span)}</small>")


def training() -> None:
    """Loss, accuracy and AUC by epoch, one line a network."""
    history, task = trained.history(), models.artifact().task
    data = wording.training_data(task, history)
    with card_grid(320) as grid:
        for measure in TRAINING_MEASURES:
            with grid.cell():
                explanation = wording.TRAINING_MEASURES[measure]
                figure = evaluation_charts.training_curve(history, measure, explanation.axis)
                chart(explanation.title, data, figure, f"training_{measure}")
    st.html(f'<p class="lens-data">{escape(wording.training_note(task, history))}</p>')
    csv_download(history, "history.csv", key="history_csv", label="Training history as CSV")
