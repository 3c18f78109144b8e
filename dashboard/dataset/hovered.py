"""The image of the point of a chart that the pointer rests on, shown beside the chart."""

from __future__ import annotations

import functools
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.dataset import wording
from dashboard.resources import dataset

HOVER_FILE = Path(__file__).resolve().parents[1] / "assets" / "hover.js"
WIDTH = 220  # pixels


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    return st.components.v2.component("lesionlens_hover", js=HOVER_FILE.read_text(encoding="utf-8"))


@st.fragment
def hovered_image(chart_key: str, rows: pd.DataFrame) -> None:
    """A fragment, so that a pointer that moves draws no more than this.

    Args:
        chart_key: of the chart, whose points have the image's id as the first of their `customdata`.
        rows: image_id, dx, dx_type, age, sex and localization of the points.
    """
    with st.container(key="shell_hover_place"):
        said = _component()(key="dataset_hover", data={"chart": chart_key}, on_point_change=_nothing)
    found = rows[rows["image_id"] == said.point]
    if found.empty:
        st.html(f'<p class="lens-data">{escape(wording.HOVER_HINT)}</p>')
        return
    row = next(found.itertuples())
    content = dataset.thumbnail(str(row.image_id))
    if content is None:
        st.html(f'<p class="lens-data">{escape(wording.no_readable_file(str(row.image_id)))}</p>')
        return
    caption = wording.image_caption(row, dataset.stated_facts())
    st.image(content, caption=f"{caption}  \n{row.image_id}", width=WIDTH, alt=f"{row.image_id}, {row.dx}")


def _nothing() -> None:
    """Streamlit reports only what has a callback."""
