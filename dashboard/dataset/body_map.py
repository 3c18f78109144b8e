"""The body from the front and from the back, drawn of its parts: how many images each site has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.answer.patient import site_name
from dashboard.dataset.cohort import Unit
from dashboard.dataset.wording import unit_noun
from dashboard.shell.charts import CARD_HEIGHT, Trace, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from data.tasks.task import Task

Point = tuple[float, float]
Outline = list[Point]

STEPS = 16  # corners of half an ellipse
BACK = 110.0  # how far the view from the back stands to the right of that from the front
LIST = 205.0  # and the sites that lie nowhere in particular
LIST_TOP, LIST_STEP = 190.0, 34.0
HEIGHT, WIDTH = 230.0, 260.0


def _ellipse(x: float, y: float, width: float, height: float) -> Outline:
    angles = np.linspace(0, 2 * np.pi, 2 * STEPS, endpoint=False)
    return [(x + width / 2 * float(np.cos(a)), y + height / 2 * float(np.sin(a))) for a in angles]


def _limb(start: Point, end: Point, wide: float, narrow: float) -> Outline:
    """A limb between two joints, rounded at both."""
    along = np.arctan2(end[1] - start[1], end[0] - start[0])
    first = np.linspace(along + np.pi / 2, along + 3 * np.pi / 2, STEPS)
    last = np.linspace(along - np.pi / 2, along + np.pi / 2, STEPS)
    return [
        (x + radius * float(np.cos(a)), y + radius * float(np.sin(a)))
        for (x, y), radius, angles in ((start, wide, first), (end, narrow, last))
        for a in angles
    ]


def _box(left: float, right: float, low: float, high: float, waist: float = 0.0) -> Outline:
    """A part of the trunk, `waist` narrower at its lower end on either side."""
    return [(left, high), (right, high), (right - waist, low), (left + waist, low)]


def _mirrored(outline: Outline) -> Outline:
    return [(100 - x, y) for x, y in outline]


def _pair(outline: Outline) -> list[Outline]:
    return [outline, _mirrored(outline)]


_ARMS = _pair(_limb((30, 166), (13, 112), 6.5, 4.5))
_LEGS = _pair(_limb((41, 98), (40, 26), 9.5, 5.5))
_HANDS = _pair(_ellipse(10, 103, 9, 13))
_FEET = _pair(_ellipse(37, 14, 15, 9))
# What each site looks like in each view, feet at 10 and the crown at 220, in a strip 100 wide.
FRONT: Mapping[str, list[Outline]] = {
    "scalp": [[*_ellipse(50, 207, 25, 26)[: STEPS + 1]]],
    "ear": _pair(_ellipse(36.5, 201, 5, 9)),
    "face": [_ellipse(50, 202, 23, 29)],
    "neck": [_box(44, 56, 178, 190)],
    "chest": [_box(30, 70, 146, 177, 2)],
    "abdomen": [_box(32, 68, 112, 144, 1)],
    "genital": [_ellipse(50, 105, 13, 10)],
    "upper extremity": _ARMS,
    "hand": _HANDS,
    "lower extremity": _LEGS,
    "foot": _FEET,
}
REAR: Mapping[str, list[Outline]] = {
    "scalp": [_ellipse(50, 204, 25, 32)],
    "neck": [_box(44, 56, 178, 189)],
    "back": [_box(30, 70, 112, 177, 2)],
    "upper extremity": _ARMS,
    "hand": _HANDS,
    "lower extremity": _LEGS,
    "foot": _FEET,
}
# Where a site's number stands in each view; none where it stands in the other view.
_FRONT_NUMBERS: Mapping[str, Point] = {
    "scalp": (50, 224),
    "ear": (24, 201),
    "face": (50, 202),
    "neck": (66, 184),
    "chest": (50, 161),
    "abdomen": (50, 129),
    "genital": (50, 105),
    "upper extremity": (13, 142),
    "hand": (2, 94),
    "lower extremity": (40, 62),
    "foot": (20, 14),
}
_REAR_NUMBERS: Mapping[str, Point] = {"back": (50, 146)}


def body_map(task: Task, counts: pd.Series, unit: Unit, chosen: tuple[str, ...] = ()) -> go.Figure:
    """The sites of the body, darker with more images; a number can be selected.

    Args:
        task: whose nouns are used.
        counts: by site.
        unit: what is counted.
        chosen: sites that the page is filtered to, drawn with a thick line.
    """
    most, noun = max(int(counts.max()) if len(counts) else 0, 1), unit_noun(task, unit)
    # A square root: nine tenths of the images lie on a third of the sites.
    weights = {site: np.sqrt(int(counts.get(site, 0)) / most) for site in (*FRONT, *REAR)}
    parts = [_part(site, weight, site in chosen) for site, weight in weights.items()]
    rows = list(_numbers(counts))
    numbers = {
        "type": "scatter",
        "x": [x for _, (x, _), _ in rows],
        "y": [y for _, (_, y), _ in rows],
        "mode": "markers+text",
        "marker": {"size": 24, "color": ACCENT, "opacity": 0},
        "text": [text for _, _, text in rows],
        "textfont": {"size": 12},
        "textposition": "middle center",
        "customdata": [[site, f"{int(counts.get(site, 0)):,}"] for site, _, _ in rows],
        "hovertemplate": f"%{{customdata[0]}}<br>%{{customdata[1]}} {noun}<extra></extra>",
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}, "textfont": {}},
    }
    hidden = {"visible": False, "fixedrange": True}
    return new_figure(
        CARD_HEIGHT,
        [*parts, numbers],
        showlegend=False,
        clickmode="event+select",
        hovermode="closest",
        xaxis=hidden | {"range": [-10, WIDTH]},
        yaxis=hidden | {"range": [0, HEIGHT], "scaleanchor": "x"},
    )


def _part(site: str, weight: float, is_chosen: bool) -> Trace:
    """All outlines of a site in both views as one trace, with a gap between two of them."""
    closed = [
        [(x + shift, y) for x, y in (*outline, outline[0])]
        for view, shift in ((FRONT, 0.0), (REAR, BACK))
        for outline in view.get(site, ())
    ]
    points = [point for outline in closed for point in (*outline, (None, None))][:-1]
    return {
        "type": "scatter",
        "name": site,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": translucent(ACCENT, round(0.06 + 0.74 * float(weight), 3)),
        "line": {"color": ACCENT if is_chosen else NEUTRAL, "width": 3 if is_chosen else 0.8},
        "hoverinfo": "skip",
    }


def _numbers(counts: pd.Series) -> Iterator[tuple[str, Point, str]]:
    """Each site with a number: where it stands, and what stands there."""
    for numbers, shift in ((_FRONT_NUMBERS, 0.0), (_REAR_NUMBERS, BACK)):
        for site, (x, y) in numbers.items():
            if counts.get(site, 0):
                yield site, (x + shift, y), f"{int(counts[site]):,}"
    elsewhere = [site for site in counts.index if site not in _FRONT_NUMBERS and site not in _REAR_NUMBERS]
    for number, site in enumerate(elsewhere):
        if counts[site]:
            name = site_name(str(site)).split(" (")[0]
            yield str(site), (LIST + 22, LIST_TOP - LIST_STEP * number), f"{name}<br>{int(counts[site]):,}"


def has_sites(counts: pd.Series) -> bool:
    """Whether a dataset's sites are of the body that is drawn here."""
    return bool(set(counts.index) & (FRONT.keys() | REAR.keys()))
