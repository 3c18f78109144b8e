"""Plotly figures of the page on local performance; see `dashboard.shell.charts` for what all figures share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.shell.charts import CARD_HEIGHT, neutral_line, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from data.tasks.task import Task
from model.measures.metrics import Array

# Told apart by shape as well as by colour.
READER_STYLES: dict[str, dict[str, str]] = {
    "model": {"symbol": "circle", "color": ACCENT},
    "own_read": {"symbol": "diamond-open", "color": NEUTRAL},
    "decision": {"symbol": "square", "color": NEUTRAL},
}
_SHARE_AXIS = {"range": [-0.04, 1.04], "tickformat": ".0%", "dtick": 0.25, "showgrid": True}
_HOVER = "%{y:.0%}, 95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%}<br>"


def reader_rates(
    table: pd.DataFrame, reader_names: Mapping[str, str], rate_names: Mapping[str, str], task: Task
) -> go.Figure:
    """Rates of the readers side by side, each with its 95 % interval; a rate that cannot be said is left out.

    Args:
        table: see `dashboard.use.tables.rates_frame`.
        reader_names, rate_names: how they are shown, in this order.
        task: of the cases.
    """
    figure = new_figure(CARD_HEIGHT, scattermode="group", hovermode="closest")
    for reader, name in reader_names.items():
        rows = table[(table["reader"] == reader) & table["value"].notna()]
        figure.add_scatter(
            x=rows["rate"].map(rate_names),
            y=rows["value"],
            error_y=_bars(rows, READER_STYLES[reader]["color"]),
            mode="markers",
            name=name,
            cliponaxis=False,
            marker={"size": 9, **READER_STYLES[reader]},
            customdata=rows[["low", "high", "hits", "cases", "lesions"]].to_numpy(dtype=float),
            hovertemplate=f"{name}, %{{x}}<br>{_HOVER}%{{customdata[2]:,}} of %{{customdata[3]:,}} cases, "
            f"%{{customdata[4]:,}} {task.words.subjects}<extra></extra>",
        )
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(rate_names.values()),
        range=[-0.5, len(rate_names) - 0.5],
    )
    figure.update_yaxes(title=f"share of cases with a {task.words.reference} result", **_SHARE_AXIS)
    return figure


def calibration(table: pd.DataFrame, task: Task) -> go.Figure:
    """Observed share of positives against the stated probability, a dot a bin with its interval; diagonal: as stated.

    Args:
        table: see `dashboard.use.tables.bins_frame`; bins with too few lesions are left out.
        task: of the cases.
    """
    figure = new_figure(CARD_HEIGHT, showlegend=False, hovermode="closest")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=neutral_line(), hoverinfo="skip")
    rows = table[table["value"].notna()]
    figure.add_scatter(
        x=rows["stated"],
        y=rows["value"],
        error_y=_bars(rows, ACCENT),
        mode="markers",
        cliponaxis=False,
        marker={"color": ACCENT, "size": 9},
        customdata=rows[["low", "high", "hits", "cases", "lesions"]].to_numpy(dtype=float),
        hovertemplate=f"stated %{{x:.0%}}, observed {_HOVER}%{{customdata[2]:,}} of %{{customdata[3]:,}} cases, "
        f"%{{customdata[4]:,}} {task.words.subjects}<extra></extra>",
    )
    figure.update_xaxes(title=f"stated p({task.question.positive})", **_SHARE_AXIS)
    figure.update_yaxes(title=f"{task.question.positive} by {task.words.reference} (share)", **_SHARE_AXIS)
    return figure


def distances(ood_scores: Array, levels: Array, values: Array, reference_name: str) -> go.Figure:
    """Which share of the images lies within a distance from the training images: these cases and the reference.

    Args:
        ood_scores: (N,) of the cases.
        levels, values: of `model.evaluation.drift.Reference`.
        reference_name: for the legend.
    """
    figure = new_figure(CARD_HEIGHT, hovermode="closest")
    figure.add_scatter(
        x=values,
        y=levels,
        mode="lines",
        name=reference_name,
        line={"color": NEUTRAL, "width": 2, "dash": "dot"},
        hovertemplate=f"{reference_name}<br>%{{y:.0%}} within %{{x:.2f}}<extra></extra>",
    )
    ordered = np.sort(ood_scores)
    figure.add_scatter(
        x=ordered,
        y=np.arange(1, len(ordered) + 1) / len(ordered),
        mode="lines",
        name=f"these cases (n {len(ordered):,})",
        line={"color": ACCENT, "width": 2, "shape": "hv"},
        hovertemplate=f"these cases (n {len(ordered):,})<br>%{{y:.0%}} within %{{x:.2f}}<extra></extra>",
    )
    figure.update_xaxes(title="distance (about 1: like the training images)", rangemode="tozero", nticks=6)
    figure.update_yaxes(title="share of images", **_SHARE_AXIS)
    return figure


def _bars(rows: pd.DataFrame, colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows["high"] - rows["value"]).to_numpy(),
        "arrayminus": (rows["value"] - rows["low"]).to_numpy(),
        "color": translucent(colour, 0.6),
        "thickness": 2,
        "width": 0,
    }
