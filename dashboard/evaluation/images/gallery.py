"""Draws the images behind a part of a figure: chosen in a list or by a click, worst errors first, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.access import sign_in, task_choice
from dashboard.evaluation.images import rows, wording
from dashboard.evaluation.images.groups import ImageGroup, p_reference, with_image, worst_first
from dashboard.evaluation.metric_tables import quiet, row_name
from dashboard.resources import answers, dataset, measurements, models
from dashboard.shell import focus
from dashboard.shell.formats import percent
from dashboard.shell.identity import actor, may
from dashboard.shell.widgets import csv_download, html_table
from data.datasets.cohort import stated
from data.tasks.task import Task

PICTURES, ROWS = 12, 25  # a page

Point = dict[str, Any]


def clicks(place: str, key_of: Callable[[Point], str], figure: str = "") -> dict[str, Any]:
    """Arguments of `dashboard.shell.widgets.chart` for a figure whose points choose the images of a gallery.

    Args:
        place: of the gallery.
        key_of: key of the group of images that a point stands for.
        figure: names the figure where a gallery has several.
    """
    # A chart keeps its selection for as long as it keeps its key; a new key lets the next click count.
    counter = f"evaluation_clicks_{place}_{figure}"
    key = f"{place}_{figure}_chart_{st.session_state.setdefault(counter, 0)}"
    return {"key": key, "on_select": partial(_take, place, key, counter, key_of), "selection_mode": "points"}


def gallery(place: str, groups: Sequence[ImageGroup]) -> None:
    """The list of groups, and the images of the one that is chosen.

    Args:
        place: names the gallery within the page.
        groups: of `measurements.cohort()`.
    """
    region = _region(place)
    with st.container(key=region):
        _gallery(place, groups)
    rows.listen(place, partial(_choose, place))
    focus.follow({region: wording.REGION}, key=f"shell_focus_{place}")


def chosen_group(place: str) -> str | None:
    """Key of the group whose images a gallery shows."""
    key: str | None = st.session_state.get(_chosen(place))
    return key


def _gallery(place: str, groups: Sequence[ImageGroup]) -> None:
    task, cohort, key = models.artifact().task, measurements.cohort(), _chosen(place)
    offered = {group.key: group for group in with_image(cohort, groups, st.session_state.get(key))}
    if st.session_state.get(key) not in offered:
        st.session_state[key] = None
    chosen = st.selectbox(
        wording.LABEL,
        list(offered),
        format_func=lambda one: wording.counted(offered[one].title, len(offered[one].positions)),
        index=None,
        placeholder=wording.PLACEHOLDER,
        key=key,
        persist_state="session",
        width=480,
    )
    if chosen is None:
        return
    group = offered[chosen]
    found = measurements.predictions().iloc[worst_first(cohort, group.positions)]
    found = found.assign(p_reference=p_reference(cohort)[found.index], p_positive=cohort.p_positive[found.index])
    st.markdown(f"**{wording.found(task, group.title, len(found), found['lesion_id'].nunique())}**")
    quiet(task.worded(wording.ORDER))
    if dataset.has_dataset_images():
        _pictures(task, place, chosen, found)
    else:
        _rows(task, place, chosen, found)
        st.caption(wording.NO_PICTURES)
    published = found.rename(columns={"p_positive": task.question.column})
    csv_download(published, f"images_{place}.csv", key=f"images_{place}_csv")


def _pictures(task: Task, place: str, chosen: str, rows: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        has_heatmaps = st.toggle(
            wording.HEATMAPS,
            key=f"evaluation_heatmaps_{place}",
            help=task.worded(wording.HEATMAPS_HELP),
            persist_state="session",
        )
        shown = _page(place, chosen, rows, PICTURES)
    with st.grid("auto", min_column_width=170, gap="small") as grid:
        for row in shown.to_dict("records"):
            with grid.cell(), st.container(gap="xxsmall"):
                _picture(task, row, has_heatmaps)


def _picture(task: Task, row: dict[Any, Any], has_heatmap: bool) -> None:
    image_id = row["image_id"]
    content, note = dataset.thumbnail(image_id), ""
    if content is not None and has_heatmap:
        overlaid = answers.heatmap_thumbnail(image_id, row["prediction"])
        content, note = overlaid or content, "" if overlaid else wording.NO_HEATMAP
    if content is None:
        note = wording.NO_FILE
    else:
        st.image(content, width="stretch", alt=wording.alternative(task, row))
    named, probabilities = wording.answer(task, row)
    whom = wording.of_whom(row, stated(measurements.predictions()))
    lines = [f"<b>{escape(named)}</b>", *(escape(line) for line in (probabilities, whom, image_id, note) if line)]
    st.html(f'<p class="lens-data">{"<br>".join(lines)}</p>')
    if content is not None and may(actor(), "review"):
        st.page_link(
            sign_in.page("review"),
            label=wording.OPEN,
            icon=":material/frame_inspect:",
            query_params={dataset.IMAGE_PARAMETER: image_id} | task_choice.query(),
            width="content",
        )


def _rows(task: Task, place: str, chosen: str, rows: pd.DataFrame) -> None:
    shown, facts = _page(place, chosen, rows, ROWS), stated(measurements.predictions())
    headers = (task.words.image, "reference", "answer", "p(reference)", f"p({task.question.positive})")
    html_table(
        (*headers, "of") if facts else headers,
        [
            (
                row_name(row["image_id"]),
                row["dx"],
                row["prediction"],
                percent(row["p_reference"]),
                percent(row["p_positive"]),
                *((wording.of_whom(row, facts),) if facts else ()),
            )
            for row in shown.to_dict("records")
        ],
        numeric=(3, 4),
    )


def _page(place: str, chosen: str, rows: pd.DataFrame, size: int) -> pd.DataFrame:
    """The rows of the page that is looked at; another group begins at its first."""
    pages = -(-len(rows) // size)
    page = st.pagination(pages, key=f"evaluation_page_{place}_{chosen}") if pages > 1 else 1
    first, last = (page - 1) * size, min(page * size, len(rows))
    if pages > 1:
        st.caption(wording.part(first + 1, last, len(rows)), width="content")
    return rows.iloc[first:last]


def _take(place: str, chart_key: str, counter: str, key_of: Callable[[Point], str]) -> None:
    """Callback: a point was clicked."""
    for point in st.session_state[chart_key].selection.points[:1]:
        st.session_state[_chosen(place)] = key_of(point)
    st.session_state[counter] += 1


def _choose(place: str, group: str) -> None:
    """Callback: a row of a table was pressed, which may stand far above its images."""
    st.session_state[_chosen(place)] = group
    focus.go_to(_region(place))


def _region(place: str) -> str:
    return f"gallery_{place}"


def _chosen(place: str) -> str:
    return f"evaluation_images_{place}"
