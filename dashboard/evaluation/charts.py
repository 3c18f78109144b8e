"""Plotly figures of the Evaluation page; see `dashboard.shell.charts` for what all figures share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.shell.charts import CARD_HEIGHT, add_share_cells, neutral_line, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from dashboard.shell.formats import percent
from data.tasks.task import Task
from model.evaluation.predictions import Cohort

CHART_HEIGHT = 480  # pixels
CURVE_HEIGHT = 260
BAND_OPACITY = 0.18
MAX_BANDS = 3  # more of them hide each other
MAX_DOT_SIZE = 20  # pixels


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
        is_clickable=True,
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


def answers(task: Task, cohort: Cohort, p_reference: NDArray[np.float64]) -> go.Figure:
    """Every image: the probability of its reference class against that of the question's positive side.

    Args:
        task: whose classes they are; a trace each, in class order, so that a click says which image.
        cohort: the images.
        p_reference: (N,) of each image's reference class.
    """
    figure = new_figure(CHART_HEIGHT, showlegend=False, hovermode="closest")
    for index, one in enumerate(task.classes):
        positions = np.flatnonzero(cohort.dx_true == index)
        figure.add_scatter(
            x=np.round(cohort.p_positive[positions], 4),
            y=np.round(p_reference[positions], 4),
            mode="markers",
            marker={"color": one.colour, "size": 7, "opacity": 0.6},
            cliponaxis=False,
            hovertemplate=f"{one.code}, given %{{y:.1%}}<br>{task.question.positive} %{{x:.1%}}<extra></extra>",
        )
    share_axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}
    figure.update_xaxes(title=f"{task.question.positive} probability", **share_axis)
    figure.update_yaxes(title=f"probability of the reference {task.words.label}", **share_axis)
    return figure


def training_curve(history: pd.DataFrame, column: str, axis_title: str) -> go.Figure:
    """A measure by epoch, in training and in validation, one line a network, with the phases of training marked.

    Args:
        history: one row an epoch of a network: fold, epoch from 1, phase, height, width, `column`, `val_<column>`; the
            networks go through the same phases. Without `column`, validation stands alone.
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
            if source not in epochs:
                continue
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
