"""Plotly figures over all thresholds: ROC, precision-recall, net benefit; see `dashboard.shell.charts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.shell.charts import neutral_line, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from dashboard.shell.formats import one_decimal
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import interval_of
from data.tasks.task import Task
from model.evaluation.precision_recall import PrecisionRecallCurve
from model.evaluation.results import MACRO, RocCurve
from model.inference.measured import OperatingPoint
from model.measures.intervals import Estimate
from model.measures.metrics import Array
from model.measures.shares import ThresholdMetrics

CURVE_HEIGHT = 480  # pixels
BENEFIT_HEIGHT = 360
BAND_OPACITY = 0.18
MAX_BANDS = 3  # more of them hide each other
NO_POINTS: Mapping[str, Sequence[OperatingPoint]] = {}
# Where every curve ends or begins, so that no name hides one.
_LEGEND = {"orientation": "v", "yanchor": "bottom", "y": 0.01, "font": {"size": 12}}
_RATE_AXIS = {"range": [-0.01, 1.01], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}


def roc(
    task: Task,
    curves: Sequence[RocCurve],
    shown: Sequence[str],
    points: Mapping[str, Sequence[OperatingPoint]] = NO_POINTS,
    question: str = "",
    current: ThresholdMetrics | None = None,
) -> go.Figure:
    """ROC curves with their 95 % bands, AUROC in the legend.

    Args:
        task: whose classes and question the curves are of.
        curves: all curves that could be shown.
        shown: names of those to draw; more than three are drawn without bands.
        points: stored operating points of the task's questions, drawn where the question is shown.
        question: whose threshold is being moved, see `model.evaluation.questions.questions_of`.
        current: what that threshold does, marked on the curve; None draws no mark.
    """
    figure = new_figure(
        CURVE_HEIGHT,
        legend=_LEGEND | {"x": 1, "xanchor": "right"},
        hovermode="closest",
    )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=neutral_line(), hoverinfo="skip", showlegend=False)
    wanted = [curve for curve in curves if curve.name in shown and np.isfinite(curve.auroc.value)]
    _add_bands(figure, task, wanted, [curve.auroc for curve in wanted])
    for curve in wanted:
        _add_curve(figure, curve, task)
    stored = [point for name in shown for point in points.get(name, ())]
    _add_points(figure, stored, lambda point: (1 - point.specificity.value, point.sensitivity.value))
    if current is not None:
        place = (1 - current.specificity.value, current.sensitivity.value)
        _add_mark(figure, task, question, current, place)
    figure.update_xaxes(title="1 - specificity (false-positive rate)", **_RATE_AXIS)
    figure.update_yaxes(title="sensitivity", **_RATE_AXIS)
    return figure


def _curve_colour(task: Task, name: str) -> str:
    if name == MACRO:
        return NEUTRAL
    return task.named(name).colour if task.question_of(name) is None else ACCENT


def _dash(task: Task, name: str) -> str:
    """The mean is dashed; of the questions, which share a colour, those after the first have long dashes."""
    if name == MACRO:
        return "dash"
    return "longdash" if name in {question.key for question in task.further} else "solid"


def _name(task: Task, name: str) -> str:
    """A curve as the legend names it: the yes of a question, a code, or `macro`."""
    question = task.question_of(name)
    return name if question is None else question.positive


def _add_bands(
    figure: go.Figure, task: Task, curves: Sequence[RocCurve | PrecisionRecallCurve], areas: Sequence[Estimate]
) -> None:
    """The bands of those curves whose area has an interval; none where they would hide each other."""
    if len(curves) > MAX_BANDS:
        return
    for curve, area in zip(curves, areas, strict=True):
        if np.isfinite(area.low):
            _add_band(figure, curve.band_grid, curve.band_low, curve.band_high, _curve_colour(task, curve.name))


def _add_band(figure: go.Figure, x: Array, low: Array, high: Array, colour: str) -> None:
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=translucent(colour, BAND_OPACITY),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _add_curve(figure: go.Figure, curve: RocCurve, task: Task) -> None:
    rows = _corners(curve.false_positive_rate, curve.sensitivity)
    area = curve.auroc
    figure.add_scatter(
        x=curve.false_positive_rate[rows],
        y=curve.sensitivity[rows],
        mode="lines",
        name=f"{_name(task, curve.name)} {area.value:.2f} ({interval_of(area, metric_of('auroc', task))})",
        line={
            "color": _curve_colour(task, curve.name),
            "width": 2 if curve.name in task.codes else 2.5,
            "dash": _dash(task, curve.name),
        },
        hovertemplate=f"{_name(task, curve.name)}<br>sensitivity %{{y:.1%}}, specificity %{{customdata:.1%}}<br>"
        f"{curve.positives:,} positive, {curve.negatives:,} negative images<extra></extra>",
        customdata=1 - curve.false_positive_rate[rows],
    )


def _corners(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a curve of steps are needed: those inside a straight run are not."""
    is_corner = np.ones(len(x), dtype=bool)
    is_corner[1:-1] = ~(((x[:-2] == x[1:-1]) & (x[1:-1] == x[2:])) | ((y[:-2] == y[1:-1]) & (y[1:-1] == y[2:])))
    return is_corner


def _add_points(
    figure: go.Figure, points: Sequence[OperatingPoint], place: Callable[[OperatingPoint], tuple[float, float]]
) -> None:
    if not points:
        return
    places = [place(point) for point in points]
    figure.add_scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
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
                point.sensitivity.value,
            )
            for point in points
        ],
        hovertemplate="chosen for a sensitivity of %{customdata[0]:.0%}<br>threshold %{customdata[1]:.1%}<br>"
        "sensitivity %{customdata[5]:.1%} (n %{customdata[3]:,}), specificity %{customdata[2]:.1%} "
        "(n %{customdata[4]:,})<extra></extra>",
    )


def _add_mark(
    figure: go.Figure, task: Task, question: str, current: ThresholdMetrics, place: tuple[float, float]
) -> None:
    rates = (("sensitivity", current.sensitivity), ("specificity", current.specificity), ("PPV", current.ppv))
    name = _name(task, question)
    figure.add_scatter(
        x=[place[0]],
        y=[place[1]],
        mode="markers",
        name=f"threshold {one_decimal(current.threshold)} ({name})",
        marker={"size": 12, "color": _curve_colour(task, question), "line": {"width": 2, "color": "#ffffff"}},
        hovertemplate=f"{name} at threshold {one_decimal(current.threshold)}<br>"
        f"{', '.join(f'{name} {one_decimal(rate.value)}' for name, rate in rates)}<extra></extra>",
    )


def precision_recall(
    task: Task,
    curves: Sequence[PrecisionRecallCurve],
    shown: Sequence[str],
    points: Mapping[str, Sequence[OperatingPoint]] = NO_POINTS,
    question: str = "",
    current: ThresholdMetrics | None = None,
) -> go.Figure:
    """Precision-recall curves with their 95 % bands, average precision in the legend, what guessing gives dotted.

    Args:
        task: whose classes and question the curves are of.
        curves: all curves that could be shown.
        shown: names of those to draw; more than three are drawn without bands.
        points: stored operating points of the task's questions, drawn where the question is shown.
        question: whose threshold is being moved, see `model.evaluation.questions.questions_of`.
        current: what that threshold does, marked on the curve; None draws no mark.
    """
    figure = new_figure(CURVE_HEIGHT, legend=_LEGEND | {"x": 0.01, "xanchor": "left"}, hovermode="closest")
    wanted = [curve for curve in curves if curve.name in shown and np.isfinite(curve.average_precision.value)]
    _add_bands(figure, task, wanted, [curve.average_precision for curve in wanted])
    for curve in wanted:
        _add_precision_recall(figure, curve, task)
    stored = [point for name in shown for point in points.get(name, ())]
    _add_points(figure, stored, lambda point: (point.sensitivity.value, point.ppv.value))
    if current is not None and question in shown:
        place = (current.sensitivity.value, current.ppv.value)
        _add_mark(figure, task, question, current, place)
    figure.update_xaxes(title="sensitivity (recall)", **_RATE_AXIS)
    figure.update_yaxes(title="PPV (precision)", **_RATE_AXIS)
    return figure


def _add_precision_recall(figure: go.Figure, curve: PrecisionRecallCurve, task: Task) -> None:
    colour, area = _curve_colour(task, curve.name), curve.average_precision
    rows = _drawn(curve.sensitivity, curve.ppv)
    figure.add_scatter(
        x=[0, 1],
        y=[curve.prevalence] * 2,
        mode="lines",
        line={"color": colour, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=curve.sensitivity[rows],
        y=curve.ppv[rows],
        mode="lines",
        # The precision at a threshold holds for the sensitivity that it adds.
        line={"color": colour, "width": 2 if curve.name in task.codes else 2.5, "shape": "vh"}
        | {"dash": _dash(task, curve.name)},
        name=f"{_name(task, curve.name)} {area.value:.2f} ({interval_of(area, metric_of('average_precision', task))})",
        hovertemplate=f"{_name(task, curve.name)}<br>sensitivity %{{x:.1%}}, PPV %{{y:.1%}}<br>"
        f"{curve.positives:,} positive, {curve.negatives:,} negative images<extra></extra>",
    )


def _drawn(sensitivity: Array, ppv: Array) -> NDArray[np.bool_]:
    """The points of a precision-recall curve at which it is best for its sensitivity: the others lie straight below."""
    return np.diff(sensitivity, prepend=-1.0) > 0


def decision_curve(table: pd.DataFrame, noun: str, threshold: float) -> go.Figure:
    """Net benefit of three ways to act, by the threshold from which on one acts, with the model's 95 % band.

    Args:
        table: of `dashboard.evaluation.tables.benefit_frame`.
        noun: what the positive images are called.
        threshold: marked by a line.
    """
    figure = new_figure(BENEFIT_HEIGHT, hovermode="x")
    x = table["threshold"].to_numpy()
    _add_band(figure, x, table["low"].to_numpy(), table["high"].to_numpy(), ACCENT)
    for name, values, line in (
        ("model", table["benefit"], {"color": ACCENT, "width": 2.5}),
        ("act on all", table["of_all"], {"color": NEUTRAL, "width": 2, "dash": "dash"}),
        ("act on none", [0.0] * len(table), {"color": NEUTRAL, "width": 2, "dash": "dot"}),
    ):
        figure.add_scatter(
            x=x, y=values, mode="lines", name=name, line=line, hovertemplate=f"{name} %{{y:.0f}}<extra></extra>"
        )
    figure.add_vline(x=threshold, line=neutral_line("solid"))
    top = float(np.nanmax([table["high"].max(), table["of_all"].max(), 1.0]))
    figure.update_yaxes(title=f"net benefit ({noun} of 1,000 images)", range=[-top / 4, top * 1.05], showgrid=True)
    figure.update_xaxes(title="threshold", tickformat=".0%", dtick=0.1, range=[0, x[-1]], showgrid=True)
    return figure
