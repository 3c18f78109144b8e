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
    malignant_share,
    page_of,
)
from dashboard.shell import formats, resources
from dashboard.shell.colours import DX_TYPE_COLOURS, SEX_COLOURS
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download
from data.tasks.skin import DX_CODES, diagnosis

IMAGES_PER_PAGE = 24

# Key and starting value of every filter of the page.
FILTERS: dict[str, Any] = {
    "dataset_dx": [],
    "dataset_localization": [],
    "dataset_age": (MIN_AGE, MAX_AGE),
    "dataset_keeps_unknown_age": True,
    "dataset_sex": [],
    "dataset_dx_type": [],
}


def unit_control() -> Unit:
    """Count by image or by lesion."""
    return st.segmented_control(
        "Count by",
        options=list(wording.UNIT_NAMES),
        format_func=wording.UNIT_NAMES.__getitem__,
        default="images",
        required=True,
        key="dataset_unit",
        help=wording.UNIT_HELP,
        persist_state="session",
    )


def cohort_filters(counts: pd.DataFrame) -> CohortFilter:
    """The filter row; its state outlives a switch of pages."""
    for key, value in FILTERS.items():
        st.session_state.setdefault(key, value)
    with st.container(border=True), st.grid(5, min_column_width=210, gap="small"):
        dx = st.multiselect(
            "Diagnosis",
            DX_CODES,
            format_func=lambda code: f"{code} · {diagnosis(code).name}",
            placeholder="All diagnoses",
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


def cohort_headline(size: CohortSize) -> None:
    """How many images and lesions the filters keep."""
    st.html(f'<p class="lens-headline" aria-live="polite">{escape(wording.cohort_headline(size))}</p>')


def cohort_download(filtered_counts: pd.DataFrame, filtered_metadata: pd.DataFrame | None) -> None:
    """The filtered table: metadata rows where a dataset folder is set, else count rows."""
    if filtered_metadata is None:
        csv_download(filtered_counts, "ham10000_cohort_counts.csv", key="dataset_csv")
    else:
        csv_download(filtered_metadata, "ham10000_cohort.csv", key="dataset_csv")


def empty_cohort() -> None:
    """What to do when the filters keep nothing."""
    with st.container(border=True, horizontal_alignment="center", key="dataset_empty"):
        st.markdown(f"##### :material/filter_alt_off: {wording.EMPTY_COHORT_TITLE}")
        st.markdown(wording.EMPTY_COHORT)


def cohort_charts(counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    """The six charts of a cohort."""
    kept = filter_rows(counts, wanted)
    data = wording.cohort_data(cohort_size(kept), cohort_size(counts))
    noun = wording.UNIT_NAMES[unit]
    with card_grid() as grid:
        with grid.cell():
            _diagnosis_chart(counts, wanted, unit)
        with grid.cell():
            chart(
                f"{noun} by age and diagnosis", data, charts.age_bars(cross_count(kept, "age", unit), unit), "age_chart"
            )
        with grid.cell():
            _share_chart(kept, unit, data)
        with grid.cell():
            figure = charts.share_bars(cross_count(kept, "sex", unit), unit, formats.SEX_NAMES, SEX_COLOURS)
            chart(f"Sex of the patient by diagnosis, share of {unit}", data, figure, "sex_chart")
        with grid.cell():
            figure = charts.share_bars(
                cross_count(kept, "dx_type", unit), unit, wording.CONFIRMATION_NAMES, DX_TYPE_COLOURS
            )
            chart(f"How the diagnosis was confirmed, share of {unit}", data, figure, "dx_type_chart")
        with grid.cell():
            figure = charts.site_heatmap(cross_count(kept, "localization", unit), unit)
            chart(f"{noun} by site and diagnosis", data, figure, "site_chart", note=wording.SITE_COLOUR_NOTE)


def _diagnosis_chart(counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    # This chart leaves out its own filter, so that a reader can move from one diagnosis to another.
    offered = filter_rows(counts, wanted, ignoring="dx")
    clicks = st.session_state.setdefault("dataset_clicks", 0)
    key = f"dx_chart_{clicks}"
    chart(
        f"{wording.UNIT_NAMES[unit]} by diagnosis",
        wording.cohort_data(cohort_size(offered), cohort_size(counts)),
        charts.diagnosis_bars(count_by_dx(offered, unit), unit, wanted.dx),
        key,
        note=wording.DIAGNOSIS_CHART_HINT,
        on_select=lambda: _toggle_diagnosis(key),
        selection_mode="points",
    )


def _toggle_diagnosis(key: str) -> None:
    for point in st.session_state[key].selection.points:
        chosen = list(st.session_state["dataset_dx"])
        is_chosen = point["y"] in chosen
        st.session_state["dataset_dx"] = (
            [dx for dx in chosen if dx != point["y"]] if is_chosen else [*chosen, point["y"]]
        )
    # A chart keeps its selection for as long as it keeps its key; a new key lets the next click count.
    st.session_state["dataset_clicks"] += 1


def _share_chart(kept: pd.DataFrame, unit: Unit, data: str) -> None:
    heading = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", gap="small")
    title = heading.container(width="stretch")
    group = heading.segmented_control(
        "Malignant share",
        list(wording.SHARE_GROUPS),
        format_func=wording.SHARE_GROUPS.__getitem__,
        default="age",
        required=True,
        key="dataset_share_group",
        label_visibility="collapsed",
        persist_state="session",
    )
    figure = charts.malignant_share_dots(malignant_share(kept, group, unit), unit, is_by_age=group == "age")
    name = f"Malignant share of {unit}"
    with title:
        chart_heading(name, data)
    chart(name, data, figure, "share_chart", note=wording.INTERVAL_BY_LESION, has_heading=False)


def image_grid(filtered: pd.DataFrame) -> None:
    """The images of a cohort, a page at a time, with their captions."""
    pages = max(1, -(-len(filtered) // IMAGES_PER_PAGE))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"##### Images of the cohort ({len(filtered):,})")
        page = st.pagination(pages, key=f"dataset_page_{pages}")
    with st.grid("auto", min_column_width=150, gap="small") as grid:
        for row in page_of(filtered.sort_values("image_id"), page, IMAGES_PER_PAGE).itertuples():
            with grid.cell():
                _captioned_image(row)


def _captioned_image(row: Any) -> None:
    caption = wording.image_caption(row.image_id, row.dx, row.dx_type, row.age, row.sex, row.localization)
    content = resources.thumbnail(row.image_id)
    if content is None:
        st.markdown(f"*no file for {row.image_id}*")
    else:
        st.image(content, caption=caption, width="stretch", alt=f"Dermoscopic image {row.image_id}, {row.dx}")
