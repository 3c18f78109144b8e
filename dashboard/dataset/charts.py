"""Plotly figures of the Dataset page; see `dashboard.shell.charts` for what all figures share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.dataset.cohort import AGE_LABELS, AGES, UNKNOWN, Unit
from dashboard.dataset.wording import share_axis, unit_noun
from dashboard.shell.charts import CARD_HEIGHT, Trace, add_share_cells, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from data.datasets.cohort import stated
from data.tasks.task import Task

MAP_HEIGHT = 520  # pixels
# A selection filters; the fading is ours, from the filter, and not Plotly's own.
UNFADED = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}
# Every age band, present or not, so that the axis stays where it is; a label every 15 years fits a phone.
AGE_AXIS: dict[str, Any] = {
    "title": "age (years, 5-year bands)",
    "type": "category",
    "categoryorder": "array",
    "categoryarray": AGE_LABELS,
    "range": [-0.6, len(AGE_LABELS) - 0.4],
    "tickvals": [*(str(age) for age in AGES if age % 15 == 0), UNKNOWN],
    "tickangle": 0,
}


def class_bars(task: Task, counts: pd.Series, unit: Unit, chosen: tuple[str, ...] = ()) -> go.Figure:
    """Horizontal bars of counts by class, the count at each bar's end.

    Args:
        task: whose classes are counted.
        counts: indexed by dx code, all of them.
        unit: what is counted.
        chosen: classes the page is filtered to; the others fade. Empty: none fades.
    """
    names = [task.named(dx).name for dx in counts.index]
    opacity = [1.0 if not chosen or dx in chosen else 0.25 for dx in counts.index]
    bars = {
        "type": "bar",
        "x": counts.to_numpy(),
        "y": list(counts.index),
        "orientation": "h",
        "marker": {"color": [task.named(dx).colour for dx in counts.index], "opacity": opacity},
        "text": [f"{count:,}" for count in counts],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": names,
        "hovertemplate": f"%{{y}} · %{{customdata}}<br>%{{x:,}} {unit_noun(task, unit)}<extra></extra>",
    }
    # Room for the number beside the longest bar.
    room = [0, max(int(counts.max()), 1) * 1.18]
    return new_figure(
        CARD_HEIGHT,
        [bars | UNFADED],
        showlegend=False,
        clickmode="event+select",
        xaxis={"title": unit_noun(task, unit), "range": room, "nticks": 5, "tickformat": ","},
        yaxis={"autorange": "reversed", "tickfont": {"size": 13}},
    )


def age_bars(task: Task, table: pd.DataFrame, unit: Unit) -> go.Figure:
    """Stacked bars of counts by five-year age band, one colour a class.

    Args:
        task: whose classes are counted.
        table: age labels (rows) by dx (columns), see `dashboard.dataset.cohort.cross_count`.
        unit: what is counted.
    """
    bars = _stacked_bars(task, table, list(table.index), "age %{x}", unit_noun(task, unit))
    return new_figure(
        CARD_HEIGHT,
        [one | UNFADED for one in bars],
        showlegend=False,
        barmode="stack",
        bargap=0.12,
        clickmode="event+select",
        xaxis=AGE_AXIS,
        yaxis={"title": unit_noun(task, unit), "nticks": 6, "tickformat": ","},
    )


def images_per_lesion(task: Task, table: pd.DataFrame) -> go.Figure:
    """Stacked bars of lesions by how many images the dataset has of them, one colour a class.

    Args:
        task: whose classes are counted.
        table: see `dashboard.dataset.cohort.lesions_by_images`.
    """
    places = [str(images) for images in table.index]
    return new_figure(
        CARD_HEIGHT,
        _stacked_bars(task, table, places, "%{x} images each", task.words.subjects),
        showlegend=False,
        barmode="stack",
        bargap=0.25,
        xaxis={"title": f"images of the {task.words.subject} in the dataset", "type": "category"},
        yaxis={"title": task.words.subjects, "nticks": 6, "tickformat": ","},
    )


def _stacked_bars(task: Task, table: pd.DataFrame, places: list[str], place: str, noun: str) -> list[Trace]:
    """A trace a class (column): its counts at each place (row); the hover names the place as `place` says."""
    totals = table.sum(axis=1).to_numpy()
    return [
        {
            "type": "bar",
            "x": places,
            "y": table[dx].to_numpy(),
            "name": dx,
            "marker": {"color": task.named(dx).colour, "line": {"width": 0}},
            "customdata": totals,
            "hovertemplate": f"{place}<br>{dx} · {task.named(dx).name}<br>%{{y:,}} of %{{customdata:,}} {noun}"
            "<extra></extra>",
        }
        for dx in table.columns
    ]


def middle_dots(task: Task, table: pd.DataFrame, axis: str, number: str) -> go.Figure:
    """A dot at the median of what was measured of a class's images, and a bar over the middle half of them.

    Args:
        task: whose classes have their colours.
        table: see `dashboard.dataset.appearance.middles`.
        axis: what was measured, with its unit.
        number: how it is written, as d3 formats numbers; of shares the axis is the whole from 0 to 1.
    """
    most = float(table["high"].max())
    span = {"range": [0, 1.02], "dtick": 0.25} if number.endswith("%") else {"range": [0, most * 1.1], "nticks": 6}
    dots = {
        "type": "scatter",
        "x": table["median"].to_numpy(),
        "y": list(table.index),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (table["high"] - table["median"]).to_numpy(),
            "arrayminus": (table["median"] - table["low"]).to_numpy(),
            "color": translucent(NEUTRAL, 0.7),
            "thickness": 3,
            "width": 0,
        },
        "mode": "markers",
        "marker": {"color": [task.named(dx).colour for dx in table.index], "size": 11},
        "cliponaxis": False,
        "customdata": table[["low", "high", "images"]].to_numpy(dtype=float),
        "hovertemplate": f"%{{y}}<br>half of the images: up to %{{x:{number}}}<br>the middle half: "
        f"%{{customdata[0]:{number}}} to %{{customdata[1]:{number}}}<br>%{{customdata[2]:,}} images<extra></extra>",
    }
    return new_figure(
        CARD_HEIGHT,
        [dots],
        showlegend=False,
        hovermode="closest",
        xaxis={"title": axis, "tickformat": number, "showgrid": True} | span,
        yaxis={"type": "category", "autorange": "reversed", "tickfont": {"size": 13}},
    )


def embedding_dots(task: Task, rows: pd.DataFrame) -> go.Figure:
    """A dot an image where the network sees it, in the colour of its class.

    Args:
        task: whose classes are drawn.
        rows: see `dashboard.dataset.embedding.index_rows`.
    """
    parts = [(dx, rows[rows["dx"] == dx]) for dx in task.codes]
    person = "<br>%{customdata[2]}, %{customdata[1]}" if {"sex", "localization"} & set(stated(rows)) else ""
    dots = [
        {
            "type": "scatter",
            "x": of_class["x"].to_numpy(),
            "y": of_class["y"].to_numpy(),
            "mode": "markers",
            "name": dx,
            "marker": {"color": task.named(dx).colour, "size": 6, "opacity": 0.75},
            "selected": {"marker": {"opacity": 0.75}},
            "unselected": {"marker": {"opacity": 0.75}},
            "customdata": of_class[["image_id", "localization", "sex"]].to_numpy(dtype=object),
            "hovertemplate": f"{dx} · {task.named(dx).name}<br>%{{customdata[0]}}{person}<extra></extra>",
        }
        for dx, of_class in parts
    ]
    return new_figure(
        MAP_HEIGHT,
        dots,
        showlegend=False,
        clickmode="event+select",
        hovermode="closest",
        xaxis={"title": "first component", "showgrid": True},
        yaxis={"title": "second component"},
    )


def site_heatmap(task: Task, table: pd.DataFrame, unit: Unit) -> go.Figure:
    """Body site by class: the cell says how many, the colour which share of the class lies at that site.

    Args:
        task: whose classes are counted.
        table: sites (rows) by dx (columns).
        unit: what is counted.
    """
    noun, counts = unit_noun(task, unit), table.to_numpy(dtype=float)
    totals = counts.sum(axis=0)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    figure = new_figure(CARD_HEIGHT, showlegend=False)
    add_share_cells(
        figure,
        shares,
        columns=list(table.columns),
        rows=list(table.index),
        text=[[f"{int(count):,}" if count else "" for count in row] for row in counts],
        customdata=np.dstack([counts, np.broadcast_to(totals, counts.shape)]),
        hovertemplate=f"%{{x}}, %{{y}}<br>%{{customdata[0]:,}} of %{{customdata[1]:,}} {noun} (%{{z:.0%}})"
        "<extra></extra>",
    )
    figure.update_xaxes(side="top", tickfont={"size": 12})
    figure.update_yaxes(autorange="reversed")
    return figure


def share_bars(
    task: Task, table: pd.DataFrame, unit: Unit, names: Mapping[str, str], colours: Mapping[str, str]
) -> go.Figure:
    """Bars from 0 to 100 %, one a class, divided by the values of a second column.

    Args:
        task: whose classes are counted.
        table: values (rows) by dx (columns).
        unit: what is counted.
        names: text of each value for the legend, in the order of the divisions.
        colours: colour of each value.
    """
    noun, totals = unit_noun(task, unit), table.sum(axis=0)
    shares = table.div(totals.where(totals > 0), axis=1)
    bars = [
        {
            "type": "bar",
            "x": shares.loc[value].to_numpy(),
            "y": list(table.columns),
            "orientation": "h",
            "name": name,
            # What a selected bar stands for.
            "legendgroup": value,
            "marker": {"color": colours[value], "line": {"width": 0}},
            "customdata": np.column_stack([table.loc[value], totals]),
            "hovertemplate": f"%{{y}}, {name}<br>%{{customdata[0]:,}} of %{{customdata[1]:,}} {noun} (%{{x:.0%}})"
            "<extra></extra>",
        }
        for value, name in names.items()
        if value in table.index
    ]
    return new_figure(
        CARD_HEIGHT,
        [one | UNFADED for one in bars],
        barmode="stack",
        legend={"traceorder": "normal", "itemwidth": 30},
        clickmode="event+select",
        xaxis={"title": share_axis(task, unit), "tickformat": ".0%", "range": [0, 1.04], "dtick": 0.25},
        yaxis={"autorange": "reversed", "tickfont": {"size": 13}, "categoryarray": list(task.codes)},
    )


def positive_share_dots(task: Task, shares: pd.DataFrame, unit: Unit, is_by_age: bool) -> go.Figure:
    """Share of the classes that answer the task's question with yes, with its 95 % interval, one row a group.

    Args:
        task: whose question it is.
        shares: see `dashboard.dataset.cohort.positive_share`.
        unit: what is counted.
        is_by_age: groups are age bands and run along the horizontal axis; otherwise they are sorted by share and stand
            below each other.
    """
    ordered = shares if is_by_age else shares.sort_values("share", ascending=False, kind="stable")
    noun, yes = unit_noun(task, unit), task.question.positive
    value, group = ("y", "x") if is_by_age else ("x", "y")
    dots = {
        "type": "scatter",
        value: ordered["share"].to_numpy(),
        group: list(ordered.index),
        f"error_{value}": {
            "type": "data",
            "symmetric": False,
            "array": (ordered["high"] - ordered["share"]).fillna(0).to_numpy(),
            "arrayminus": (ordered["share"] - ordered["low"]).fillna(0).to_numpy(),
            "color": translucent(ACCENT, 0.6),
            "thickness": 2,
            "width": 0,
        },
        "mode": "markers",
        "marker": {"color": ACCENT, "size": 9},
        "customdata": ordered[["positive", "n", "low", "high", "lesions"]].to_numpy(dtype=float),
        "hovertemplate": f"%{{{group}}}<br>%{{{value}:.0%}} {yes}, 95 % interval %{{customdata[2]:.0%}} to "
        f"%{{customdata[3]:.0%}}<br>%{{customdata[0]:,}} of %{{customdata[1]:,}} {noun}, %{{customdata[4]:,}} "
        f"{task.words.subjects}<extra></extra>",
    }
    of_shares = {"title": f"{yes} share of {noun}", "tickformat": ".0%", "rangemode": "tozero", "nticks": 6}
    sites = {"type": "category", "autorange": "reversed"}
    return new_figure(
        CARD_HEIGHT,
        [dots | UNFADED],
        showlegend=False,
        clickmode="event+select",
        xaxis=AGE_AXIS if is_by_age else of_shares | {"showgrid": True},
        yaxis=of_shares if is_by_age else sites,
    )
