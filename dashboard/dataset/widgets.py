"""Functions that draw the parts of the Dataset page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.dataset import appearance, charts, selection, viewer, wording
from dashboard.dataset.body_map import body_map, has_sites
from dashboard.dataset.cohort import (
    CohortSize,
    Unit,
    cohort_size,
    count_by_dx,
    cross_count,
    lesions_by_images,
    missing_values,
    page_of,
    positive_share,
)
from dashboard.dataset.embedding import drawn_rows, index_rows
from dashboard.dataset.hovered import hovered_image
from dashboard.resources import answers, dataset
from dashboard.shell import formats
from dashboard.shell.colours import DX_TYPE_COLOURS, SEX_COLOURS
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, explained_errors, html_table
from data.datasets.appearance import Colour
from data.datasets.cohort import AGE, CohortFilter, filter_rows, stated
from data.datasets.ham10000 import IMAGES_OF_LESION
from data.tasks.task import Task

IMAGES_PER_PAGE = 24


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
        st.markdown(wording.empty_cohort(task, dataset.stated_facts()))


def no_counts(task: Task) -> None:
    """What to do where there is nothing to count."""
    st.title(wording.DATASET_TITLE)
    st.info(wording.no_counts(task), icon=":material/database_off:")


def cohort_charts(task: Task, counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    """The charts of a cohort, of what its dataset states; what is selected in one filters them all."""
    kept, facts = filter_rows(counts, wanted), stated(counts)
    data = wording.cohort_data(task, cohort_size(kept), cohort_size(counts))
    nouns, label = wording.unit_noun(task, unit), task.words.label
    with card_grid() as grid:
        with grid.cell():
            _class_chart(task, counts, wanted, unit)
        if AGE in facts:
            with grid.cell():
                _age_chart(task, kept, unit, data)
        if "localization" in facts:
            with grid.cell():
                _site_chart(task, counts, wanted, unit)
        with grid.cell():
            _share_chart(task, kept, unit, data, [fact for fact in wording.SHARE_GROUPS if fact in facts])
        if "sex" in facts:
            with grid.cell():
                table = cross_count(task, kept, "sex", unit)
                figure = charts.share_bars(task, table, unit, formats.SEX_NAMES, SEX_COLOURS)
                title = f"Sex of the patient by {label}, share of {nouns}"
                _value_chart(title, data, figure, "sex", table)
        if "dx_type" in facts:
            with grid.cell():
                table = cross_count(task, kept, "dx_type", unit)
                figure = charts.share_bars(task, table, unit, wording.CONFIRMATION_NAMES, DX_TYPE_COLOURS)
                _value_chart(f"How the {label} was confirmed, share of {nouns}", data, figure, "dx_type", table)
        if "localization" in facts:
            with grid.cell():
                table = cross_count(task, kept, "localization", unit)
                figure = charts.site_heatmap(task, table, unit)
                note = task.worded(wording.SITE_COLOUR_NOTE)
                title = f"{nouns.capitalize()} by site and {label}"
                chart(title, data, figure, "site_chart", note=note, table=_named(table, "localization"))
        with grid.cell():
            table = lesions_by_images(task, kept)
            title = task.worded(wording.IMAGES_PER_LESION_TITLE)
            note = task.worded(wording.IMAGES_PER_LESION_NOTE)
            figure = charts.images_per_lesion(task, table)
            chart(title, data, figure, "images_chart", note=note, table=_named(table, IMAGES_OF_LESION))
        _appearance(grid, task, wanted)
        if facts:
            with grid.cell():
                _missing(kept, data, facts)


def _named(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A table of counts with its groups as a column, for download."""
    return table.rename_axis(column).reset_index()


def _age_chart(task: Task, kept: pd.DataFrame, unit: Unit, data: str) -> None:
    table = cross_count(task, kept, "age", unit)
    chart(
        f"{wording.unit_noun(task, unit).capitalize()} by age and {task.words.label}",
        data,
        charts.age_bars(task, table, unit),
        selection.chart_key("age_chart"),
        wording.SELECTION_HINT,
        table=_named(table, "age"),
        **selection.selecting("age_chart", AGE, lambda point: point["x"]),
    )


def _value_chart(title: str, data: str, figure: go.Figure, column: str, table: pd.DataFrame) -> None:
    """A chart whose traces are the values of a column."""
    name = f"{column}_chart"
    chosen = selection.selecting(name, column, lambda point: point["legendgroup"])
    key = selection.chart_key(name)
    chart(title, data, figure, key, wording.SELECTION_HINT, table=_named(table, column), **chosen)


def _class_chart(task: Task, counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    # This chart leaves out its own filter, so that a reader can move from one class to another.
    offered = filter_rows(counts, wanted, ignoring="dx")
    by_dx = count_by_dx(task, offered, unit)
    chart(
        f"{wording.unit_noun(task, unit).capitalize()} by {task.words.label}",
        wording.cohort_data(task, cohort_size(offered), cohort_size(counts)),
        charts.class_bars(task, by_dx, unit, wanted.dx),
        selection.chart_key("dx_chart"),
        note=task.worded(wording.CLASS_CHART_HINT),
        table=by_dx.rename_axis("dx").reset_index(),
        **selection.selecting("dx_chart", "dx", lambda point: point["y"]),
    )


def _site_chart(task: Task, counts: pd.DataFrame, wanted: CohortFilter, unit: Unit) -> None:
    """The body map, which leaves out its own filter as well; nothing where the sites are no parts of the body."""
    offered = filter_rows(counts, wanted, ignoring="localization")
    by_site = offered.groupby("localization")[unit].sum().sort_values(ascending=False)
    if not has_sites(by_site):
        return
    chart(
        f"{wording.unit_noun(task, unit).capitalize()} on the body",
        wording.cohort_data(task, cohort_size(offered), cohort_size(counts)),
        body_map(task, by_site, unit, wanted.localization),
        selection.chart_key("body_chart"),
        note=wording.BODY_HINT,
        table=by_site.reset_index(),
        **selection.selecting("body_chart", "localization", lambda point: point["customdata"][0]),
    )


def _appearance(grid: Any, task: Task, wanted: CohortFilter) -> None:
    """What was measured of the images, and their colours, a card each; nothing where nothing was measured."""
    table = dataset.appearance()
    rows = None if table is None else filter_rows(table, wanted)
    if rows is None or rows.empty:
        return
    has_masks = "area" in rows
    data = wording.appearance_data(task, len(rows), has_masks)
    with grid.cell():
        _measure(task, rows, data)
    with grid.cell():
        words = wording.COLOURS_OF_SUBJECT if has_masks else wording.COLOURS_OF_IMAGE
        chart_heading(task.worded(words.title), data)
        found, columns = appearance.strips(task, rows), [task.worded(column) for column in words.columns]
        cells = [
            (
                Html(f"<b>{escape(strip.dx)}</b>"),
                *(_strip(task.worded(name), field) for name, field in zip(words.spoken, strip.fields, strict=True)),
                f"{strip.images:,}",
            )
            for strip in found
        ]
        html_table((task.words.label, *columns, "images"), cells, numeric=(1 + len(columns),))
        st.html(f'<p class="lens-data">{escape(task.worded(words.note))}</p>')
        frame = appearance.strips_frame(found, appearance.coloured_parts(rows))
        csv_download(frame, "colours.csv", key="colour_csv", type="tertiary")


def _measure(task: Task, rows: pd.DataFrame, data: str) -> None:
    """One thing that was measured of the images, by choice where there are several."""
    offered = [column for column in wording.MEASURES if column in rows]
    column = offered[0]
    if len(offered) > 1:
        column = st.segmented_control(
            wording.MEASURE,
            offered,
            format_func=lambda name: task.worded(wording.MEASURES[name].name),
            default=column,
            required=True,
            key="dataset_measure",
            label_visibility="collapsed",
            persist_state="session",
        )
    measure, of_class = wording.MEASURES[column], appearance.middles(task, rows, column)
    figure = charts.middle_dots(task, of_class, task.worded(measure.axis), measure.number)
    note = f"{wording.MIDDLE_NOTE} {task.worded(measure.note)}"
    chart(task.worded(measure.title), data, figure, "size_chart", note=note, table=_named(of_class, "dx"))


def _strip(name: str, colours: Sequence[Colour]) -> Html:
    fields = "".join(f'<i style="background:rgb{colour}"></i>' for colour in colours)
    return Html(
        f'<span class="lens-strip" role="img" aria-label="{escape(wording.strip_alternative(name, colours))}">'
        f"{fields}</span>"
    )


def _missing(kept: pd.DataFrame, data: str, facts: Sequence[str]) -> None:
    """What is not known of the cohort's images, of what the dataset states at all."""
    chart_heading(wording.MISSING_TITLE, data)
    table = missing_values(kept)
    table = table[table.index.isin(facts)]
    rows = [
        (wording.MISSING_NAMES[str(column)], f"{missing:,}", formats.percent(missing / images))
        for column, missing, images in table.itertuples()
    ]
    html_table(("not stated", "images", "share"), rows, numeric=(1, 2))
    st.html(f'<p class="lens-data">{escape(wording.MISSING_NOTE)}</p>')
    csv_download(_named(table, "column"), "missing_values.csv", key="missing_csv", type="tertiary")


def _share_chart(task: Task, kept: pd.DataFrame, unit: Unit, data: str, groups: Sequence[str]) -> None:
    """Share of yes by a group that is chosen; for every question of the task where nothing is stated to group by."""
    if not groups:
        _shares(task, kept, unit, data)
        return
    heading = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", gap="small")
    title = heading.container(width="stretch")
    group = heading.segmented_control(
        f"{task.worded('{Positive}')} share",
        groups,
        format_func=wording.SHARE_GROUPS.__getitem__,
        default=groups[0],
        required=True,
        key="dataset_share_group",
        label_visibility="collapsed",
        persist_state="session",
    )
    shares, is_by_age = positive_share(task, kept, group, unit), group == "age"
    figure = charts.positive_share_dots(task, shares, unit, is_by_age)
    name = wording.share_title(task, unit)
    with title:
        chart_heading(name, data)
    chart(
        name,
        data,
        figure,
        selection.chart_key("share_chart"),
        note=task.worded(wording.BARS_BY_SUBJECT),
        has_heading=False,
        table=_named(shares, group),
        **selection.selecting("share_chart", group, lambda point: point["x" if is_by_age else "y"]),
    )


def _shares(task: Task, kept: pd.DataFrame, unit: Unit, data: str) -> None:
    chart_heading(wording.shares_title(task, unit), data)
    whole = kept.assign(all="all")
    found = [positive_share(task.asking(question), whole, "all", unit).iloc[0] for question in task.questions]
    rows = [
        (
            question.positive.capitalize(),
            formats.percent(row["share"]),
            formats.span(row["low"], row["high"]),
            f"{row['positive']:,.0f} of {row['n']:,.0f}",
        )
        for question, row in zip(task.questions, found, strict=True)
    ]
    html_table(("question", "share", "95 % interval", wording.unit_noun(task, unit)), rows, numeric=(1, 2, 3))
    st.html(f'<p class="lens-data">{escape(task.worded(wording.INTERVAL_BY_SUBJECT))}</p>')
    frame = pd.DataFrame(found).assign(question=[question.key for question in task.questions])
    csv_download(frame, "shares.csv", key="shares_csv", type="tertiary")


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
    caption = wording.image_caption(row, dataset.stated_facts())
    content = dataset.thumbnail(row.image_id)
    if content is None:
        with st.container(border=True, horizontal_alignment="center"):
            st.markdown(f":material/broken_image: *{wording.no_readable_file(row.image_id)}*")
            st.caption(caption)
        return
    alternative = f"{task.words.image.capitalize()} {row.image_id}, {row.dx}"
    st.image(content, caption=caption, width="stretch", alt=alternative)
    st.button(
        row.image_id,
        icon=":material/zoom_in:",
        type="tertiary",
        width="stretch",
        key=f"dataset_open_{row.image_id}",
        on_click=viewer.ask_for,
        args=(row.image_id,),
    )


def embedding_map(task: Task, wanted: CohortFilter, has_images: bool) -> None:
    """The training images of a cohort as the network sees them, when the panel is opened; nothing without a model.

    Args:
        task: the model's.
        wanted: the filter.
        has_images: whether a point that is selected opens its image.
    """
    with st.expander(wording.MAP_TITLE, key="dataset_map", on_change="rerun") as panel:
        if panel.open:
            with explained_errors():
                _map(task, filter_rows(index_rows(answers.neighbour_index()), wanted), has_images)


def _map(task: Task, rows: pd.DataFrame, has_images: bool) -> None:
    if rows.empty:
        st.caption(wording.MAP_EMPTY)
        return
    drawn, key = drawn_rows(rows), selection.chart_key("map_chart")
    if not has_images:
        _map_chart(task, drawn, len(rows), key, wording.MAP_NOTE)
        return
    selecting: dict[str, Any] = {"on_select": lambda: _open_selected(key), "selection_mode": "points"}
    beside, image = st.columns([4, 1], gap="medium")
    with beside:
        _map_chart(task, drawn, len(rows), key, wording.MAP_NOTE + wording.MAP_HINT, **selecting)
    with image:
        hovered_image(key, drawn)


def _map_chart(task: Task, drawn: pd.DataFrame, images: int, key: str, note: str, **selecting: Any) -> None:
    data, figure = wording.map_data(task, len(drawn), images), charts.embedding_dots(task, drawn)
    chart(wording.MAP_TITLE, data, figure, key, note=note, table=drawn, **selecting)


def _open_selected(key: str) -> None:
    for point in st.session_state[key].selection.points[:1]:
        viewer.ask_for(point["customdata"][0])
    selection.forget()
