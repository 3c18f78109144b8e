"""Plotly figures of the Evaluation page; see `dashboard.shell.charts` for what all figures share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.shell.charts import CARD_HEIGHT, add_share_cells, neutral_line, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from dashboard.shell.formats import one_decimal, percent
from data.tasks.task import Task
from model.evaluation.results import MACRO, RocCurve
from model.inference.artifact import OperatingPoint
from model.measures.intervals import ThresholdMetrics

CHART_HEIGHT = 480  # pixels
CURVE_HEIGHT = 260
BAND_OPACITY = 0.18
MAX_BANDS = 3  # more of them hide each other
MAX_DOT_SIZE = 20  # pixels


def roc(
    task: Task,
    curves: Sequence[RocCurve],
    shown: Sequence[str],
    points: Sequence[OperatingPoint] = (),
    question: str = "",
    current: ThresholdMetrics | None = None,
) -> go.Figure:
    """ROC curves with their 95 % bands, AUROC in the legend.

    Args:
        task: whose classes and question the curves are of.
        curves: all curves that could be shown.
        shown: names of those to draw; more than three are drawn without bands.
        points: stored operating points, drawn where the task's question is shown.
        question: whose threshold is being moved, see `model.evaluation.questions.questions_of`.
        current: what that threshold does, marked on the curve; None draws no mark.
    """
    figure = new_figure(
        CHART_HEIGHT,
        legend={"orientation": "v", "x": 1, "y": 0.01, "xanchor": "right", "yanchor": "bottom", "font": {"size": 12}},
        hovermode="closest",
    )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=neutral_line(), hoverinfo="skip", showlegend=False)
    wanted = [curve for curve in curves if curve.name in shown and np.isfinite(curve.auroc.value)]
    for curve in wanted if len(wanted) <= MAX_BANDS else []:
        _add_band(figure, curve, _curve_colour(task, curve.name))
    for curve in wanted:
        _add_curve(figure, curve, _curve_colour(task, curve.name), is_of_class=curve.name in task.codes)
    if task.question.key in shown:
        _add_operating_points(figure, points)
    if current is not None:
        _add_current(figure, question, current, _curve_colour(task, question))
    rate_axis = {"range": [-0.01, 1.01], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}
    figure.update_xaxes(title="1 - specificity (false-positive rate)", **rate_axis)
    figure.update_yaxes(title="sensitivity", **rate_axis)
    return figure


def _curve_colour(task: Task, name: str) -> str:
    if name == MACRO:
        return NEUTRAL
    return ACCENT if name == task.question.key else task.named(name).colour


def _add_band(figure: go.Figure, curve: RocCurve, colour: str) -> None:
    figure.add_scatter(
        x=np.concatenate([curve.band_grid, curve.band_grid[::-1]]),
        y=np.concatenate([curve.band_high, curve.band_low[::-1]]),
        fill="toself",
        fillcolor=translucent(colour, BAND_OPACITY),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _add_curve(figure: go.Figure, curve: RocCurve, colour: str, is_of_class: bool) -> None:
    rows = _corners(curve.false_positive_rate, curve.sensitivity)
    area = curve.auroc
    figure.add_scatter(
        x=curve.false_positive_rate[rows],
        y=curve.sensitivity[rows],
        mode="lines",
        name=f"{curve.name} {area.value:.2f} ({area.low:.2f} to {area.high:.2f})",
        line={
            "color": colour,
            "width": 2 if is_of_class else 2.5,
            "dash": "dash" if curve.name == MACRO else "solid",
        },
        hovertemplate=f"{curve.name}<br>sensitivity %{{y:.1%}}, specificity %{{customdata:.1%}}<br>"
        f"{curve.positives:,} positive, {curve.negatives:,} negative images<extra></extra>",
        customdata=1 - curve.false_positive_rate[rows],
    )


def _corners(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a curve of steps are needed: those inside a straight run are not."""
    is_corner = np.ones(len(x), dtype=bool)
    is_corner[1:-1] = ~(((x[:-2] == x[1:-1]) & (x[1:-1] == x[2:])) | ((y[:-2] == y[1:-1]) & (y[1:-1] == y[2:])))
    return is_corner


def _add_operating_points(figure: go.Figure, points: Sequence[OperatingPoint]) -> None:
    if not points:
        return
    figure.add_scatter(
        x=[1 - point.specificity.value for point in points],
        y=[point.sensitivity.value for point in points],
        mode="markers",
        name="stored operating points",
        marker={"symbol": "diamond-open", "size": 12, "color": ACCENT, "line": {"width": 2.5}},
        customdata=[
            (
                point.target_sensitivity,
                point.threshold,
                point.specificity.value,
                point.sensitivity.n,
                point.specificity.n,
            )
            for point in points
        ],
        hovertemplate="chosen for a sensitivity of %{customdata[0]:.0%}<br>threshold %{customdata[1]:.1%}<br>"
        "sensitivity %{y:.1%} (n %{customdata[3]:,}), specificity %{customdata[2]:.1%} (n %{customdata[4]:,})"
        "<extra></extra>",
    )


def _add_current(figure: go.Figure, question: str, current: ThresholdMetrics, colour: str) -> None:
    figure.add_scatter(
        x=[1 - current.specificity.value],
        y=[current.sensitivity.value],
        mode="markers",
        name=f"threshold {one_decimal(current.threshold)} ({question})",
        marker={"size": 12, "color": colour, "line": {"width": 2, "color": "#ffffff"}},
        hovertemplate=f"{question} at threshold {one_decimal(current.threshold)}<br>sensitivity %{{y:.1%}}, "
        f"specificity {one_decimal(current.specificity.value)}<extra></extra>",
    )


def confusion_matrix(task: Task, confusion: NDArray[np.int64], shows_counts: bool) -> go.Figure:
    """Reference (rows) against the class that stands out (columns); the colour is the share of the row.

    Args:
        task: whose classes they are.
        confusion: (C, C) images.
        shows_counts: the cells say how many images; otherwise which share of the row, in whole percents.
    """
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    text = [
        [_cell(int(count), share, shows_counts) for count, share in zip(counts, row, strict=True)]
        for counts, row in zip(confusion, shares, strict=True)
    ]
    figure = new_figure(CHART_HEIGHT, showlegend=False)
    add_share_cells(
        figure,
        shares,
        columns=list(task.codes),
        rows=[f"{dx}  n {total:,}" for dx, total in zip(task.codes, totals[:, 0], strict=True)],
        text=text,
        customdata=np.dstack(
            [
                confusion,
                np.broadcast_to(totals, confusion.shape),
                np.array([[one.name] * len(task.classes) for one in task.classes], dtype=object),
            ]
        ),
        hovertemplate=f"%{{customdata[2]}}<br>{task.standout} %{{x}}: "
        "%{customdata[0]:,} of %{customdata[1]:,} images (%{z:.1%})<extra></extra>",
    )
    figure.update_xaxes(side="top", title=task.standout, tickfont={"size": 12})
    figure.update_yaxes(autorange="reversed", title="reference", tickfont={"size": 12})
    return figure


def _cell(count: int, share: float, shows_counts: bool) -> str:
    if not count:
        return ""
    if shows_counts:
        return f"{count:,}"
    return "<1" if share < 0.01 else f"{share * 100:.0f}"


def training_curve(history: pd.DataFrame, column: str, axis_title: str) -> go.Figure:
    """A measure by epoch, in training and in validation, one line a network, with the phases of training marked.

    Args:
        history: one row an epoch of a network: fold, epoch from 1, phase, height, width, `column`, `val_<column>`; the
            networks go through the same phases.
        column: `loss`, `accuracy` or `auc`.
        axis_title: with its unit, if it has one.
    """
    figure = new_figure(CURVE_HEIGHT, hovermode="closest")
    networks = list(history.groupby("fold"))
    for fold, epochs in networks:
        for name, source, line in (
            ("training", column, {"color": NEUTRAL, "width": 1.5, "dash": "dot"}),
            ("validation", f"val_{column}", {"color": ACCENT, "width": 1.5}),
        ):
            figure.add_scatter(
                x=epochs["epoch"],
                y=epochs[source],
                mode="lines",
                name=name,
                line=line,
                legendgroup=name,
                showlegend=fold == networks[0][0],
                customdata=epochs["phase"],
                hovertemplate=f"{name}, fold {fold}<br>epoch %{{x}} (%{{customdata}}): %{{y:.3f}}<extra></extra>",
            )
    plan = networks[0][1]
    for first in plan.loc[plan["phase"].ne(plan["phase"].shift()), "epoch"].iloc[1:]:
        figure.add_vline(x=first - 0.5, line=neutral_line("dash"), opacity=0.7)
    figure.update_xaxes(title="epoch", tickformat="d", nticks=8)
    figure.update_yaxes(title=axis_title, nticks=5)
    return figure


def reliability(table: pd.DataFrame, observed_title: str) -> go.Figure:
    """Observed share against stated probability, a dot a bin: the more images, the larger; diagonal: as stated.

    Args:
        table: stated, observed (shares), images; one row a bin with images.
        observed_title: what the observed share is a share of.
    """
    figure = new_figure(CARD_HEIGHT, showlegend=False, hovermode="closest")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=neutral_line(), hoverinfo="skip")
    figure.add_scatter(
        x=table["stated"],
        y=table["observed"],
        mode="lines+markers",
        cliponaxis=False,
        line={"color": translucent(ACCENT, 0.4), "width": 1.5},
        marker={
            "color": ACCENT,
            "opacity": 1,
            "size": table["images"],
            "sizemode": "area",
            "sizeref": max(table["images"].max(), 1) / MAX_DOT_SIZE**2,
            "sizemin": 3,
        },
        customdata=table["images"],
        hovertemplate="stated %{x:.1%}, observed %{y:.1%}<br>%{customdata:,} images<extra></extra>",
    )
    share_axis = {"range": [-0.04, 1.04], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}
    figure.update_xaxes(title="stated probability", **share_axis)
    figure.update_yaxes(title=observed_title, **share_axis)
    return figure


def set_sizes(task: Task, shares: Sequence[float]) -> go.Figure:
    """Share of the prediction sets that hold 1, 2, ... classes, the share at each bar's end.

    Args:
        task: whose classes they hold.
        shares: (C,) in [0, 1].
    """
    figure = new_figure(CURVE_HEIGHT, showlegend=False)
    figure.add_bar(
        x=list(range(1, len(shares) + 1)),
        y=list(shares),
        marker={"color": ACCENT},
        text=[percent(share) for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate=f"%{{x}} {task.words.labels}: %{{y:.1%}} of the sets<extra></extra>",
    )
    figure.update_xaxes(title=f"{task.words.labels} in the set", dtick=1)
    figure.update_yaxes(title="share of sets", tickformat=".0%", nticks=5, range=[0, max(shares) * 1.15])
    return figure
