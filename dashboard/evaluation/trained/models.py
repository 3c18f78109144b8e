"""Draws the table of models that were trained here, beside the served one, and what others report."""

from __future__ import annotations

import math
from html import escape

import pandas as pd
import streamlit as st

from dashboard.evaluation import wording as evaluation_wording
from dashboard.evaluation.trained import charts, wording
from dashboard.resources import models, trained
from dashboard.shell.formats import percent
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import with_interval
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task, asked_alone
from model.evaluation.model_table import ModelRow, ReportedFigure
from model.inference.measured import OperatingPoint
from model.measures.intervals import Estimate

AREAS = ("balanced_accuracy", "macro_auroc", "positive_auroc")


def section() -> None:
    """Each model on the same locked lesions: what it finds, how large and fast it is, and what it took to train."""
    task = models.artifact().task
    others = [row for row in trained.trained_models() if row.task in (task.key, asked_alone(task).key)]
    st.header(wording.MODELS_HEADING)
    if not others:
        st.info(wording.NO_MODELS)
        return
    rows = sorted((trained.served_row(), *others), key=lambda row: -row.positive_auroc.value)
    names = [_name(row, task) for row in rows]
    served = next(number for number, row in enumerate(rows) if not row.init)
    data = evaluation_wording.test_data(task, rows[served].images, rows[served].lesions)
    with card_grid(columns=1) as grid, grid.cell():
        figure = charts.areas(rows, names, served, task.worded(wording.MODELS_AXIS))
        chart(task.worded(wording.MODELS_CHART_TITLE), data, figure, "models_chart")
    chart_heading(task.worded(wording.MODELS_TITLE), data)
    _table(task, rows, names)
    st.html(f'<p class="lens-data">{escape(task.worded(wording.MODELS_NOTE))}</p>')
    csv_download(frame(rows), "models.csv", key="models_csv")
    _reported(task, trained.reported_figures())


def _name(row: ModelRow, task: Task) -> str:
    return row.name if not row.init else wording.model_title(row, task)


def _table(task: Task, rows: list[ModelRow], names: list[str]) -> None:
    explained = [metric_of(name, task) for name in AREAS]
    rates = [metric_of(name, task) for name in ("sensitivity", "specificity")]
    targets = sorted({point.target_sensitivity for row in rows for point in row.points}, reverse=True)
    headers = (
        "model",
        "started from",
        *(metric.name for metric in explained),
        *(f"{rate.name}, chosen for {percent(target)}" for target in targets for rate in rates),
        "parameters",
        "MB",
        "ms an image",
        "minutes (of a core)",
        "trained on",
    )
    cells = []
    for row, name in zip(rows, names, strict=True):
        points = {point.target_sensitivity: point for point in row.points}
        areas = [
            with_interval(metric, *_values(getattr(row, key))) for key, metric in zip(AREAS, explained, strict=True)
        ]
        cells.append(
            (
                name,
                wording.started_from(row),
                *areas,
                *(
                    with_interval(rate, *_values(getattr(points[target], key)), getattr(points[target], key).n)
                    if target in points
                    else "–"
                    for target in targets
                    for key, rate in zip(("sensitivity", "specificity"), rates, strict=True)
                ),
                wording.parameters(row),
                f"{row.file_bytes / 1e6:.1f}",
                wording.number(row.milliseconds, 1),
                wording.minutes(row),
                wording.how_trained(row),
            )
        )
    last = len(headers)
    tooltips = [""] * last
    tooltips[2:5] = [metric.plain_tooltip for metric in explained]
    html_table(headers, cells, numeric=range(last - 4, last - 1), tooltips=tooltips)


def _values(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def frame(rows: list[ModelRow]) -> pd.DataFrame:
    """The same as a table of numbers, one row a model."""
    return pd.DataFrame(
        [
            {
                "name": row.name,
                "kind": row.kind,
                "init": row.init,
                "classes": row.classes,
                "images": row.images,
                "lesions": row.lesions,
                **{
                    f"{key}{end}": value
                    for key in AREAS
                    for end, value in zip(("", "_low", "_high"), _values(getattr(row, key)), strict=True)
                },
                **{name: value for point in row.points for name, value in _of_point(point).items()},
                "parameters": row.parameters,
                "file_bytes": row.file_bytes,
                "milliseconds": row.milliseconds,
                "minutes": row.minutes,
                "processor_minutes": row.processor_minutes,
                "trained_on": row.trained_on or math.nan,
                "epochs": row.epochs or math.nan,
                "height": row.height,
                "width": row.width,
            }
            for row in rows
        ]
    )


def _of_point(point: OperatingPoint) -> dict[str, float]:
    return {
        f"{point.name}_{rate}{end}": value
        for rate in ("sensitivity", "specificity")
        for end, value in zip(("", "_low", "_high"), _values(getattr(point, rate)), strict=True)
    }


def _reported(task: Task, figures: tuple[ReportedFigure, ...]) -> None:
    if not figures:
        return
    st.subheader(wording.REPORTED_HEADING)
    st.html(f'<p class="lens-data">{escape(task.worded(wording.REPORTED_NOTE))}</p>')
    rows = [(figure.model, figure.measure, figure.value, figure.like or "–", figure.source) for figure in figures]
    html_table(("model", "measure", "reported", "compare with", "source"), rows, numeric=(2,))
