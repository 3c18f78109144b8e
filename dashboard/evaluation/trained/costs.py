"""Draws what training costs, on a machine of one's own and in a cloud."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from dashboard.evaluation.trained import charts, wording
from dashboard.resources import models, trained
from dashboard.shell.formats import percent
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import with_interval
from dashboard.shell.widgets import card_grid, chart, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.training_costs import TrainingCost

HEADERS = ("images", "network", "s an epoch", "images/s", "processor", "memory", "load")


def section() -> None:
    """Speed by number of images, and a row a training with machine, metrics and price."""
    st.header(wording.COSTS_HEADING)
    task = models.artifact().task
    costs = tuple(cost for cost in trained.training_costs() if cost.task == task.key)
    if not costs:
        st.info(wording.NO_COSTS)
        return
    data = wording.costs_data(costs)
    with card_grid() as grid, grid.cell():
        figure = charts.speeds(costs, wording.OWN_MACHINE, wording.CLOUD)
        note = "" if any(cost.is_cloud for cost in costs) else wording.NO_CLOUD
        chart(wording.COSTS_TITLE, data, figure, "training_speed", note=note)
    _table(task, costs)
    st.html(f'<p class="lens-data">{escape(wording.COSTS_NOTE)}</p>')
    csv_download(pd.DataFrame([vars(cost) for cost in costs]), "training_costs.csv", key="training_costs_csv")


def _table(task: Task, costs: tuple[TrainingCost, ...]) -> None:
    measured = [metric_of(name, task) for name in ("balanced_accuracy", "macro_auroc")]
    rows = [
        (
            f"{cost.training_images:,}",
            f"{cost.backbone}, {cost.width} x {cost.height} px",
            wording.number(cost.seconds_an_epoch, 1),
            wording.number(cost.images_per_second, 1),
            f"{percent(cost.processor_share)} of {cost.cores}",
            f"{cost.peak_memory_mb:,.0f} MiB",
            wording.number(cost.load_before, 1),
            *(
                with_interval(metric, estimate.value, estimate.low, estimate.high, cost.validation_images)
                for metric, estimate in zip(measured, (cost.balanced_accuracy, cost.macro_auroc), strict=True)
            ),
            wording.price(cost),
            wording.machine(cost),
        )
        for cost in costs
    ]
    headers = (*HEADERS, *(metric.name for metric in measured), "price of an epoch", "machine")
    html_table(headers, rows, numeric=tuple(range(2, 7)))
