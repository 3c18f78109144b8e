"""Functions that draw the parts of the Dataset page."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.dataset import charts, wording
from dashboard.dataset.cohort import (
    AGE_STEP,
    MAX_AGE,
    MIN_AGE,
    CohortFilter,
    CohortSize,
    Unit,
    cohort_size,
    count_by_dx,
    cross_count,
    filter_rows,
    page_of,
    positive_share,
)
from dashboard.shell import formats, resources
from dashboard.shell.colours import DX_TYPE_COLOURS, SEX_COLOURS
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download
from data.tasks.task import Task

IMAGES_PER_PAGE = 24
UNITS: tuple[Unit, ...] = ("images", "lesions")

# Key and starting value of every filter of the page.
FILTERS: dict[str, Any] = {
    "dataset_dx": [],
    "dataset_localization": [],
    "dataset_age": (MIN_AGE, MAX_AGE),
    "dataset_keeps_unknown_age": True,
    "dataset_sex": [],
    "dataset_dx_type": [],
}


def unit_control(task: Task) -> Unit:
    """Count by image or by what it shows."""
    return st.segmented_control(
        "Count by",
        options=UNITS,
        format_func=lambda unit: wording.unit_noun(task, unit).capitalize(),
        default="images",
        required=True,
        key="dataset_unit",
        help=task.worded(wording.UNIT_HELP),
        persist_state="session",
    )


def cohort_filters(task: Task, counts: pd.DataFrame) -> CohortFilter:
    """The filter row; its state outlives a switch of pages."""
    for key, value in FILTERS.items():
        st.session_state.setdefault(key, value)
    with st.container(border=True), st.grid(5, min_column_width=210, gap="small"):
        dx = st.multiselect(
            task.words.label.capitalize(),
            task.codes,
            format_func=lambda code: f"{code} · {task.named(code).name}",
            placeholder=f"All {task.words.labels}",
            key="dataset_dx",
            persist_state="session",
        )
        localization = st.multiselect(
            "Site",
            sorted(counts["localization"].unique()),
            placeholder="All sites",
            key="dataset_localization",
            persist_state="session",
        )
        with st.container(gap="xxsmall"):
            ages: Any = st.slider(
                "Age (years)", MIN_AGE, MAX_AGE, step=AGE_STEP, key="dataset_age", persist_state="session"
            )
            keeps_unknown = st.checkbox("Keep unknown ages", key="dataset_keeps_unknown_age", persist_state="session")
        sex = st.pills(
            "Sex",
            list(formats.SEX_NAMES),
            format_func=formats.SEX_NAMES.__getitem__,
            selection_mode="multi",
            key="dataset_sex",
            persist_state="session",
        )
        dx_type = st.multiselect(
            "Confirmed by",
            list(wording.CONFIRMATION_NAMES),
            format_func=wording.CONFIRMATION_NAMES.__getitem__,
            placeholder="Any confirmation",
            key="dataset_dx_type",
            persist_state="session",
        )
    return CohortFilter(tuple(dx), tuple(sex), tuple(localization), tuple(dx_type), ages[0], ages[1], keeps_unknown)


def reset_filters() -> None:
    """Set every filter back to its starting value (a callback: it must run before the filters are drawn)."""
    for key, value in FILTERS.items():
        st.session_state[key] = value


def reset_button() -> None:
    """Undo all filters."""
    st.button("Reset", icon=":material/restart_alt:", on_click=reset_filters, help="Undo all filters")


def cohort_headline(task: Task, size: CohortSize) -> None:
    """How many images and lesions the filters keep."""
    st.html(f'<p class="lens-headline" aria-live="polite">{escape(wording.cohort_headline(task, size))}</p>')


def cohort_download(task: Task, filtered_counts: pd.DataFrame, filtered_metadata: pd.DataFrame | None) -> None:
    """The filtered table: metadata rows where a dataset folder is set, else count rows."""
    name = task.dataset.name.lower().replace(" ", "_")
    if filtered_metadata is None:
        csv_download(filtered_counts, f"{name}_cohort_counts.csv", key="dataset_csv")
    else:
        csv_download(filtered_metadata, f"{name}_cohort.csv", key="dataset_csv")


def empty_cohort(task: Task) -> None:
    """What to do when the filters keep nothing."""
    with st.container(border=True, horizontal_alignment="center", key="dataset_empty"):
        st.markdown(f"## :material/filter_alt_off: {wording.EMPTY_COHORT_TITLE}")
        st.markdown(task.worded(wording.EMPTY_COHORT))


def no_counts(task: Task) -> None:
    """What to do where there is nothing to count."""
    st.title(wording.DATASET_TITLE)
    st.info(wording.no_counts(task), icon=":material/database_off:")


def cohort_charts(task: Task, counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    """The six charts of a cohort."""
    kept = filter_rows(counts, wanted)
    data = wording.cohort_data(task, cohort_size(kept), cohort_size(counts))
    nouns, label = wording.unit_noun(task, unit), task.words.label
    with card_grid() as grid:
        with grid.cell():
            _class_chart(task, counts, wanted, unit)
        with grid.cell():
            figure = charts.age_bars(task, cross_count(task, kept, "age", unit), unit)
            chart(f"{nouns.capitalize()} by age and {label}", data, figure, "age_chart")
        with grid.cell():
            _share_chart(task, kept, unit, data)
        with grid.cell():
            table = cross_count(task, kept, "sex", unit)
            figure = charts.share_bars(task, table, unit, formats.SEX_NAMES, SEX_COLOURS)
            chart(f"Sex of the patient by {label}, share of {nouns}", data, figure, "sex_chart")
        with grid.cell():
            table = cross_count(task, kept, "dx_type", unit)
            figure = charts.share_bars(task, table, unit, wording.CONFIRMATION_NAMES, DX_TYPE_COLOURS)
            chart(f"How the {label} was confirmed, share of {nouns}", data, figure, "dx_type_chart")
        with grid.cell():
            figure = charts.site_heatmap(task, cross_count(task, kept, "localization", unit), unit)
            note = task.worded(wording.SITE_COLOUR_NOTE)
            chart(f"{nouns.capitalize()} by site and {label}", data, figure, "site_chart", note=note)


def _class_chart(task: Task, counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    # This chart leaves out its own filter, so that a reader can move from one class to another.
    offered = filter_rows(counts, wanted, ignoring="dx")
    clicks = st.session_state.setdefault("dataset_clicks", 0)
    key = f"dx_chart_{clicks}"
    chart(
        f"{wording.unit_noun(task, unit).capitalize()} by {task.words.label}",
        wording.cohort_data(task, cohort_size(offered), cohort_size(counts)),
        charts.class_bars(task, count_by_dx(task, offered, unit), unit, wanted.dx),
        key,
        note=task.worded(wording.CLASS_CHART_HINT),
        on_select=lambda: _toggle_class(key),
        selection_mode="points",
    )


def _toggle_class(key: str) -> None:
    for point in st.session_state[key].selection.points:
        chosen = list(st.session_state["dataset_dx"])
        is_chosen = point["y"] in chosen
        st.session_state["dataset_dx"] = (
            [dx for dx in chosen if dx != point["y"]] if is_chosen else [*chosen, point["y"]]
        )
    # A chart keeps its selection for as long as it keeps its key; a new key lets the next click count.
    st.session_state["dataset_clicks"] += 1


def _share_chart(task: Task, kept: pd.DataFrame, unit: Unit, data: str) -> None:
    heading = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", gap="small")
    title = heading.container(width="stretch")
    group = heading.segmented_control(
        f"{task.worded('{Positive}')} share",
        list(wording.SHARE_GROUPS),
        format_func=wording.SHARE_GROUPS.__getitem__,
        default="age",
        required=True,
        key="dataset_share_group",
        label_visibility="collapsed",
        persist_state="session",
    )
    shares = positive_share(task, kept, group, unit)
    figure = charts.positive_share_dots(task, shares, unit, is_by_age=group == "age")
    name = wording.share_title(task, unit)
    with title:
        chart_heading(name, data)
    note = task.worded(wording.INTERVAL_BY_SUBJECT)
    chart(name, data, figure, "share_chart", note=note, has_heading=False)


def image_grid(task: Task, filtered: pd.DataFrame) -> None:
    """The images of a cohort, a page at a time, with their captions."""
    pages = max(1, -(-len(filtered) // IMAGES_PER_PAGE))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"## Images of the cohort ({len(filtered):,})")
        page = st.pagination(pages, key=f"dataset_page_{pages}")
    with st.grid("auto", min_column_width=150, gap="small") as grid:
        for row in page_of(filtered.sort_values("image_id"), page, IMAGES_PER_PAGE).itertuples():
            with grid.cell():
                _captioned_image(task, row)


def _captioned_image(task: Task, row: Any) -> None:
    caption = wording.image_caption(row.image_id, row.dx, row.dx_type, row.age, row.sex, row.localization)
    content = resources.thumbnail(row.image_id)
    if content is None:
        st.markdown(f"*no readable file for {row.image_id}*")
    else:
        alternative = f"{task.words.image.capitalize()} {row.image_id}, {row.dx}"
        st.image(content, caption=caption, width="stretch", alt=alternative)
