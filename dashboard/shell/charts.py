"""Plotly figures of the Dataset page, and the one template of all figures. Nothing here draws on the screen.

Text colours, background and grid lines come from the page's theme (Streamlit fills them in, light or dark); a figure
names only the colours that mean something. Titles stand above a chart as text, because a Plotly title does not wrap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.basedatatypes import BasePlotlyType, BaseTraceType

from dashboard.shell.colours import NEUTRAL, SHARE_SCALE, translucent
from dashboard.shell.formats import one_decimal

# A share in a hover, `%{x:.1%}` or `%{customdata[2]:.0%}`: what it is of, and how many decimals.
_SHARE_IN_HOVER = re.compile(r"%\{(x|y|z|customdata(?:\[\d\])?):\.(\d)%\}")
TRANSPARENT = "rgba(0,0,0,0)"
CELL_TEXT_SIZE = 12
CELL_SIZE = 40  # pixels, of what can be clicked of a cell
CARD_HEIGHT = 360  # pixels; fifteen body sites still have a readable row each
ROW_HEIGHT, AXIS_HEIGHT = 32, 70
NAME_LENGTH = 28  # characters a line

# Plain dictionaries: Plotly checks every attribute when a figure is made, and again whenever an object is passed on.
_AXIS = {"zeroline": False, "automargin": True}
TEMPLATE: dict[str, Any] = {
    "layout": {
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "separators": ".,",
        "bargap": 0.25,
        "hoverlabel": {"align": "left"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
}
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left", "title": {"text": ""}}

Trace = dict[str, Any]


def new_figure(height: int, traces: Sequence[Trace] = (), **layout: Any) -> go.Figure:
    """A figure in the project's template; dragging does not zoom, so that a phone can scroll past it.

    Args:
        height: pixels.
        traces: what is drawn, with `type`. A page of figures that is drawn anew at every click gives all of them and
            the axes here: to add them one by one costs five times as much.
        layout: further layout attributes; those of `legend` are added to the project's.
    """
    attributes = {
        "template": TEMPLATE,
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "dragmode": False,
        "font": {"size": 13},
    }
    legend = _LEGEND | layout.pop("legend", {})
    return go.Figure({"data": list(traces), "layout": attributes | layout | {"legend": legend}})


def add_share_cells(
    figure: go.Figure,
    shares: np.ndarray,
    columns: list[str],
    rows: list[str],
    text: list[list[str]],
    customdata: np.ndarray,
    hovertemplate: str,
    is_clickable: bool = False,
) -> None:
    """Add a heatmap of shares in [0, 1] with text in its cells to a figure.

    Plotly selects no cell of a heatmap; where cells can be clicked, each has a point of its own over it, row by row.

    The text is a trace of its own because a trace's text takes the theme's colour, while a heatmap's own text is black
    or white by a cell colour that Plotly computes without knowing the page's background.
    """
    figure.add_heatmap(
        z=shares,
        x=columns,
        y=rows,
        zmin=0,
        zmax=1,
        colorscale=SHARE_SCALE,
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=customdata,
        hovertemplate=hovertemplate,
    )
    figure.add_scatter(
        x=columns * len(rows),
        y=[row for row in rows for _ in columns],
        mode="text",
        text=[cell for row in text for cell in row],
        textfont={"size": CELL_TEXT_SIZE},
        hoverinfo="skip",
    )
    if is_clickable:
        _let_cells_be_clicked(figure, shares, customdata, hovertemplate)
    figure.update_xaxes(type="category", showgrid=False, ticks="")
    figure.update_yaxes(type="category", showgrid=False, ticks="")


def _let_cells_be_clicked(figure: go.Figure, shares: np.ndarray, customdata: np.ndarray, hovertemplate: str) -> None:
    cells, points = figure.data[-2:]
    facts = customdata.shape[-1]
    # Plotly takes a click for what is hovered over, so the cells themselves must not be.
    cells.update(hovertemplate=None, customdata=None, hoverinfo="skip")
    points.update(
        mode="markers+text",
        marker={"symbol": "square", "size": CELL_SIZE, "color": TRANSPARENT},
        customdata=np.concatenate([customdata.reshape(-1, facts), shares.reshape(-1, 1)], axis=1),
        hoverinfo=None,
        hovertemplate=hovertemplate.replace("%{z:", f"%{{customdata[{facts}]:"),
        # What was not clicked stays as it is.
        unselected={"textfont": {"color": None}},
    )


def space_percents(figure: go.Figure) -> None:
    """Let the shares of a figure read as all others do, `95 %`, which Plotly's own format cannot write.

    What a hover shows of a share is written out, point by point, and so are the ticks of axes of shares. The figure
    itself is changed: it is drawn once, and a copy of it costs as much as its making.
    """
    for trace in figure.data:
        _write_out_hover(trace)
    for letter, axes in (("x", figure.select_xaxes()), ("y", figure.select_yaxes())):
        for axis in axes:
            if axis.tickformat == ".0%":
                ticks = _share_ticks(axis, [getattr(trace, letter) for trace in figure.data])
                axis.update(tickvals=ticks, ticktext=[percent_of(tick, 0) for tick in ticks], tickformat=None)
                axis.update(dtick=None, nticks=None)


def percent_of(share: float, decimals: int) -> str:
    """`95.3 %` with so many decimals; empty where there is no share."""
    return "" if np.isnan(share) else f"{share * 100:.{decimals}f} %"


def _write_out_hover(trace: BaseTraceType) -> None:
    template = getattr(trace, "hovertemplate", None) or ""
    found = sorted({match.groups() for match in _SHARE_IN_HOVER.finditer(template)})
    if not found:
        return
    shape = np.shape(trace.z if trace.type == "heatmap" else trace.x)
    kept = np.empty((*shape, 0)) if trace.customdata is None else np.asarray(trace.customdata, dtype=object)
    if kept.ndim == len(shape):
        # One number a point, which the template calls by no index.
        kept = kept[..., np.newaxis]
        template = template.replace("%{customdata:", "%{customdata[0]:")
        found = [(name.replace("customdata", "customdata[0]"), decimals) for name, decimals in found]
    for name, decimals in found:
        values = kept[..., int(name[-2])] if name.startswith("customdata") else np.asarray(getattr(trace, name))
        texts = np.array([percent_of(float(value), int(decimals)) for value in values.ravel()], dtype=object)
        template = template.replace(f"%{{{name}:.{decimals}%}}", f"%{{customdata[{kept.shape[-1]}]}}")
        kept = np.concatenate([kept.astype(object), texts.reshape((*shape, 1))], axis=-1)
    trace.update(hovertemplate=template, customdata=kept)


def _share_ticks(axis: BasePlotlyType, values: list[object]) -> list[float]:
    """Where the ticks of an axis of shares stand: every `dtick`, or at most seven round numbers up to its end."""
    numbers = [np.asarray(one, dtype=float) for one in values if one is not None and np.asarray(one).dtype != object]
    ends = [float(np.nanmax(one)) for one in numbers if one.size and not np.isnan(one).all()]
    end = min(axis.range[1] if axis.range else max(ends, default=1.0) * 1.1, 1.0)
    step = axis.dtick or next(
        step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if end / step <= 6 or step == 0.5
    )
    return [float(tick) for tick in np.arange(0, end + 1e-9, step)]


def neutral_line(dash: str = "dot") -> dict[str, object]:
    """A quiet reference line: diagonals, limits."""
    return {"color": NEUTRAL, "width": 1, "dash": dash}


def interval_dots(table: pd.DataFrame, axis_title: str, reference_name: str) -> go.Figure:
    """A dot with its 95 % interval a row, and a tick where the reference lies.

    Args:
        table: name, value, low, high, reference (shares; NaN draws nothing), images, colour; drawn from the top.
        axis_title: of the shares.
        reference_name: what the ticks are, for the hover.
    """
    figure = new_figure(ROW_HEIGHT * len(table) + AXIS_HEIGHT, showlegend=False, hovermode="closest")
    # Long names would leave no room for the dots on a phone.
    table = table.assign(name=["<br>".join(wrap(name, NAME_LENGTH)) for name in table["name"]])
    figure.add_scatter(
        x=table["reference"],
        y=table["name"],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": NEUTRAL, "line": {"width": 2}},
        hovertemplate=f"{reference_name} %{{x:.1%}}<extra></extra>",
    )
    for row in table.itertuples():
        figure.add_scatter(
            x=[row.value],
            y=[row.name],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row.high - row.value],
                "arrayminus": [row.value - row.low],
                "color": translucent(row.colour, 0.6),
                "thickness": 2,
                "width": 0,
            },
            mode="markers",
            cliponaxis=False,
            marker={"color": row.colour, "size": 9},
            hovertemplate=f"%{{y}}<br>%{{x:.1%}}, 95 % interval {one_decimal(row.low)} to {one_decimal(row.high)}<br>"
            f"{row.images:,} images<extra></extra>",
        )
    figure.update_xaxes(title=axis_title, tickformat=".0%", rangemode="tozero", nticks=6, showgrid=True)
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=list(table["name"])[::-1], showgrid=False)
    return figure
