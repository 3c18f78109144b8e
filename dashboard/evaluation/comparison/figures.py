"""Plotly figures of two models on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.evaluation.curves import CURVE_HEIGHT
from dashboard.shell.charts import neutral_line, new_figure
from dashboard.shell.colours import ACCENT
from data.tasks.task import Task
from model.evaluation.results import RocCurve


def both_roc(task: Task, theirs: Sequence[RocCurve], ours: Sequence[RocCurve], question: str) -> go.Figure:
    """The ROC curves of two models over one another, AUROC in the legend.

    Args:
        task: whose question or class it is.
        theirs, ours: their curves, in which `question` is one.
        question: key of one of the task's questions, or a class's code.
    """
    figure = new_figure(
        CURVE_HEIGHT,
        legend={"orientation": "v", "yanchor": "bottom", "y": 0.01, "x": 1, "xanchor": "right", "font": {"size": 12}},
        hovermode="closest",
    )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=neutral_line(), hoverinfo="skip", showlegend=False)
    colour = task.named(question).colour if task.question_of(question) is None else ACCENT
    for name, curves, dash in (("theirs", theirs, "solid"), ("ours", ours, "dash")):
        curve = next(one for one in curves if one.name == question)
        if not np.isfinite(curve.auroc.value):
            continue
        figure.add_scatter(
            x=curve.false_positive_rate,
            y=curve.sensitivity,
            mode="lines",
            name=f"{name} {curve.auroc.value:.3f}",
            line={"color": colour, "width": 2.5, "dash": dash},
            hovertemplate=f"{name}<br>sensitivity %{{y:.1%}}, false-positive rate %{{x:.1%}}<br>"
            f"{curve.positives:,} positive, {curve.negatives:,} negative images<extra></extra>",
        )
    rate_axis = {"range": [-0.01, 1.01], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}
    figure.update_xaxes(title="1 - specificity (false-positive rate)", **rate_axis)
    figure.update_yaxes(title="sensitivity", **rate_axis)
    return figure
