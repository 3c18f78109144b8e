"""Functions that draw how far to trust the model, from what the studies stored in the artifact's manifest."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.answer.wording import edge_found, population
from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation.images import wording as image_wording
from dashboard.evaluation.images.gallery import Point, chosen_group, clicks, gallery
from dashboard.evaluation.images.groups import bin_groups, bin_key, subgroup_groups, subgroup_key
from dashboard.evaluation.images.rows import row_button
from dashboard.evaluation.metric_tables import WIDE_CARD, beside, metric_table, quiet, row_name, stacked, with_note
from dashboard.evaluation.studies import elsewhere_wording
from dashboard.evaluation.studies import trust_wording as wording
from dashboard.evaluation.studies.trust_tables import (
    SUBGROUP_RATES,
    UNPERTURBED,
    clinical_frame,
    gate_frame,
    reliability_frame,
    retrieval_frame,
    robustness_frame,
    sets_frame,
    subgroup_frame,
    tried_sets_frame,
)
from dashboard.evaluation.tables import published
from dashboard.evaluation.wording import test_data
from dashboard.resources import measurements, models
from dashboard.shell import charts as shell_charts
from dashboard.shell.colours import ACCENT, NEUTRAL
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import interval
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.results import Evaluation, reliability_bins

# Of the rates of a subgroup, those that are shares.
SUBGROUP_SHARES = ("sensitivity", "specificity", "balanced_accuracy")
# Three short tables are about as high as the one of the sites.
SUBGROUP_CARDS = (("age", "sex", "dx_type"), ("site",))

Row = Mapping[Hashable, Any]


@st.fragment
def calibration() -> None:
    """Reliability of the most likely class and of every question, the calibration error, and a clicked bin's images."""
    section = stored_section("reliability")
    if section is None:
        return
    evaluation, task = measurements.evaluation(), models.artifact().task
    data = test_data(task, evaluation.images, evaluation.lesions)
    is_of_all = measurements.test_cohort()[0].is_everything
    # Of a question that was not asked when the model was exported, the same is measured now.
    bins_of = reliability_bins(measurements.cohort()) | (dict(section) if is_of_all else {})
    table = reliability_frame(bins_of)
    with card_grid() as grid:
        for question in bins_of:
            with grid.cell():
                bins = table[table["question"] == question]
                figure = evaluation_charts.reliability(bins, wording.reliability_axis(task, question))
                title = wording.reliability_title(task, question)
                clicked = clicks("calibration", partial(_bin_clicked, bins), question)
                chart(title, data, figure, note=image_wording.RELIABILITY_HINT, **clicked)
        with grid.cell():
            _calibration_error(task, evaluation)
            named = table.assign(question=[published(task, question) for question in table["question"]])
            csv_download(named, "reliability.csv", key="reliability_csv")
    gallery("calibration", bin_groups(measurements.cohort()))


def _bin_clicked(bins: pd.DataFrame, point: Point) -> str:
    row = bins.iloc[point["point_index"]]
    return bin_key(row["question"], row["bin"])


def _calibration_error(task: Task, evaluation: Evaluation) -> None:
    metric = metric_of("calibration_error", task)
    st.metric(metric.name, metric.format(evaluation.calibration_error.value), help=metric.tooltip)
    quiet(interval(evaluation.calibration_error, metric, evaluation.images))
    artifact = models.artifact()
    st.markdown(population(artifact))
    if artifact.description.derived_from is not None:
        st.markdown(elsewhere_wording.calibrated_for(task, artifact.description.derived_from.source))
    quiet(wording.RELIABILITY_NOTE)


def prediction_sets() -> None:
    """Coverage overall and by diagnosis, size, and how the sets were chosen."""
    section = stored_section("conformal")
    if section is None:
        return
    task, measured, chosen = models.artifact().task, section["measured"], section["sets"]
    quiet(wording.set_purpose(task, chosen["level"]))
    data = test_data(task, measured["images"], measured["lesions"])
    table = sets_frame(measured)
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            _coverage_chart(task, data, table, chosen["level"])
        with grid.cell():
            chart_heading(task.worded(wording.SET_TABLE_TITLE), data)
            _coverage_table(task, table)
            csv_download(table, "prediction_sets.csv", key="sets_csv")
        with grid.cell():
            figure = evaluation_charts.set_sizes(task, measured["size_shares"])
            chart(task.worded(wording.SIZES_TITLE), data, figure, "set_sizes_chart")
        with grid.cell():
            _tried_sets(task, section)


def _coverage_chart(task: Task, data: str, table: pd.DataFrame, level: float) -> None:
    figure = shell_charts.interval_dots(
        _dots(task, table, "coverage").assign(reference=level), "coverage (share of images)", "aimed at"
    )
    chart(task.worded(wording.COVERAGE_TITLE), data, figure, "coverage_chart", note=wording.COVERAGE_NOTE)


def _coverage_table(task: Task, table: pd.DataFrame) -> None:
    coverage, mean_size = metric_of("coverage", task), metric_of("mean_size", task)
    rows = [
        (
            wording.set_row_name(row["dx"]),
            beside(row, "coverage", coverage),
            mean_size.format(row["mean_size"]),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    metric_table((task.words.label,), rows, (coverage, mean_size), ("n",))


def _tried_sets(task: Task, section: Mapping[str, Any]) -> None:
    folds = len(models.artifact().description.split.out_of_fold)
    chart_heading(wording.TRIED_TITLE, wording.chosen_data(task, section["chosen_on"], folds))
    tried = tried_sets_frame(section["tried_out_of_fold"])
    if tried.empty:
        quiet(wording.not_tried(section["chosen_on"]))
        return
    coverage, mean_size = metric_of("coverage", task), metric_of("mean_size", task)
    rows = [
        (
            row["method"],
            stacked(row, "coverage", coverage),
            stacked(row, "least_coverage", coverage, prefix=f"{row['least_covered']} "),
            stacked(row, "mean_size", mean_size),
        )
        for row in tried.to_dict("records")
    ]
    html_table(("way", "coverage", "least covered", "mean size"), rows, numeric=(1, 2, 3))
    quiet(wording.set_method(task, section["sets"]["method"]))
    csv_download(tried, "prediction_sets_tried.csv", key="sets_tried_csv")


def clinical_facts() -> None:
    """What age and body site add to the image."""
    section = stored_section("clinical")
    if section is None:
        return
    task, measured = models.artifact().task, section["measured"]
    chart_heading(wording.CLINICAL_TITLE, test_data(task, measured["images"], measured["lesions"]))
    table = clinical_frame(measured)
    rows = []
    for row in table.to_dict("records"):
        metric = metric_of(row["metric"], task)
        cells = [stacked(row, name, metric) for name in ("alone", "informed")]
        rows.append((metric.name, *cells, with_note(*wording.clinical_gain(row, metric))))
    html_table(wording.CLINICAL_HEADERS, rows, numeric=(1, 2, 3))
    quiet(wording.clinical_limits(task, section["known"], measured["images"]))
    csv_download(table, "age_and_site.csv", key="clinical_csv")


@st.fragment
def subgroups() -> None:
    """Metrics by age, sex, site and way of diagnosis, and the images of a group; what is too small is named."""
    task = models.artifact().task
    if not has_subgroups():
        quiet(task.worded(wording.NO_GROUPS))
        return
    section = stored_section("subgroups")
    if section is None:
        return
    table = subgroup_frame(section)
    quiet(wording.subgroup_rates(task, models.artifact().operating_points[0].threshold))
    quiet(image_wording.ROWS_HINT)
    groups = subgroup_groups(measurements.predictions())
    keys = {group.key for group in groups}
    with card_grid(WIDE_CARD, columns=2) as grid:
        for attributes in SUBGROUP_CARDS:
            with grid.cell():
                for attribute in attributes:
                    if attribute not in set(table["attribute"]):
                        continue
                    _subgroup_table(task, attribute, table[table["attribute"] == attribute], keys)
    csv_download(_published(task, table), "subgroups.csv", key="subgroups_csv")
    _subgroup_chart(task, table)
    gallery("subgroups", groups)


def has_subgroups() -> bool:
    """Whether anything is known of the test images by which they could be parted; also where nothing was measured."""
    stored = models.artifact().manifest.get("subgroups")
    return stored is None or not subgroup_frame(stored).empty


def _subgroup_chart(task: Task, table: pd.DataFrame) -> None:
    """One rate of all groups, on one scale; those that are too small for it are left out."""
    rate = st.segmented_control(
        wording.SUBGROUP_RATE,
        SUBGROUP_SHARES,
        format_func=lambda name: metric_of(name, task).name,
        default=SUBGROUP_SHARES[0],
        required=True,
        key="evaluation_subgroup_rate",
        persist_state="session",
    )
    shown = table.dropna(subset=[rate, f"{rate}_low"])
    dots = _dots(task, shown.assign(name=list(map(wording.group_in_full, shown.to_dict("records")))), rate, "name")
    metric = metric_of(rate, task)
    figure = shell_charts.interval_dots(dots.assign(reference=float("nan")), metric.name.lower(), "")
    data = test_data(task, measurements.evaluation().images, measurements.evaluation().lesions)
    clicked = clicks("subgroups", partial(_group_clicked, shown))
    chart(metric.name, data, figure, note=image_wording.SUBGROUP_HINT, **clicked)


def _group_clicked(shown: pd.DataFrame, point: Point) -> str:
    """The first trace is the one of the reference; a row follows each."""
    row = shown.iloc[point["curve_number"] - 1]
    return subgroup_key(row["attribute"], row["group"])


def _subgroup_table(task: Task, attribute: str, groups: pd.DataFrame, keys: Collection[str]) -> None:
    """A row a group; the name of one that has images (`keys`) shows them."""
    data = test_data(task, int(groups["images"].sum()), int(groups["lesions"].sum()))
    chart_heading(task.worded(wording.SUBGROUP_TITLES[attribute]), data)
    rates = {rate: metric_of(rate, task) for rate in SUBGROUP_RATES}
    rows = [
        (
            row_name(_group_button(row, keys), wording.group_size(row)),
            *(stacked(row, rate, metric) for rate, metric in rates.items()),
        )
        for row in groups.to_dict("records")
    ]
    metric_table(("group",), rows, tuple(rates.values()))
    quiet(wording.too_small(task, groups))


def _group_button(row: Row, keys: Collection[str]) -> str:
    name, key = wording.group_name(row["attribute"], row["group"]), subgroup_key(row["attribute"], row["group"])
    return row_button("subgroups", key, name, key == chosen_group("subgroups")) if key in keys else name


def robustness() -> None:
    """How many decisions flip under each change of the image, and what is left of the metrics."""
    section = stored_section("robustness")
    if section is None:
        return
    task, table = models.artifact().task, robustness_frame(section)
    quiet(wording.flips_of(task, section["threshold"]))
    data = test_data(task, section["images"], section["lesions"])
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            figure = shell_charts.interval_dots(_flip_dots(task, table), "share of decisions that flip", "")
            chart(wording.FLIPS_TITLE, data, figure, "flips_chart", note=wording.FLIPS_NOTE)
        with grid.cell():
            chart_heading(wording.ROBUSTNESS_TABLE_TITLE, data)
            _robustness_table(task, table)
            csv_download(_published(task, table), "robustness.csv", key="robustness_csv")


def _flip_dots(task: Task, table: pd.DataFrame) -> pd.DataFrame:
    changes = table[table["key"] != UNPERTURBED]
    return _dots(task, changes, "decision_flips", "name").assign(
        reference=float("nan"), colour=[ACCENT if kind == "artefact" else NEUTRAL for kind in changes["kind"]]
    )


def _robustness_table(task: Task, table: pd.DataFrame) -> None:
    shown = {name: metric_of(name, task) for name in ("decision_flips", "balanced_accuracy", "gravest_auroc")}
    rows = [
        (row_name(row["name"]), *(beside(row, name, metric) for name, metric in shown.items()))
        for row in table.to_dict("records")
    ]
    metric_table(("change",), rows, tuple(shown.values()))


def gate() -> None:
    """What the quality gate refused, of lesions and of other images."""
    section = stored_section("gate")
    if section is None:
        return
    table = gate_frame(section)
    shown = [name for name in ("refused", "at_the_edge") if name in table]
    metrics = [metric_of(name, models.artifact().task) for name in shown]
    rows = [
        (
            wording.source_name(row["source"]),
            "refused" if row["should_be_refused"] else "answered",
            *(beside(row, name, metric) for name, metric in zip(shown, metrics, strict=True)),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    metric_table(("images", "should be"), rows, tuple(metrics), ("n",))
    edge = models.artifact().edges
    if edge:
        st.markdown(edge_found(models.artifact().task, edge[0], wording.AT_THE_EDGE))
    csv_download(table, "refusals.csv", key="gate_csv")


def similar_cases() -> None:
    """Precision of the nearest lesions against chance."""
    section = stored_section("retrieval")
    if section is None:
        return
    task, table = models.artifact().task, retrieval_frame(section)
    data = test_data(task, section["images"], section["lesions"])
    title = f"Precision at {section['count']}"
    with card_grid(WIDE_CARD, columns=2) as grid:
        with grid.cell():
            dots = _dots(task, table, "precision").assign(reference=table["chance"])
            figure = shell_charts.interval_dots(dots, f"share of similar {task.words.subjects}", "at random")
            chart(title, data, figure, "retrieval_chart", note=task.worded(wording.RETRIEVAL_NOTE))
        with grid.cell():
            chart_heading(title, data)
            _retrieval_table(task, table)
            csv_download(table, "similar_cases.csv", key="retrieval_csv")


def _retrieval_table(task: Task, table: pd.DataFrame) -> None:
    metric = metric_of("precision", task)
    rows = [
        (
            wording.retrieval_row_name(row["dx"]),
            beside(row, "precision", metric),
            metric.format(row["chance"]),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    metric_table((task.words.label,), rows, (metric,), ("at random", "n"))


def stored_section(key: str) -> Any:
    """Draw a section's heading; what the manifest holds on it, None (and a sentence) where nothing was measured."""
    artifact = models.artifact()
    section = wording.study_of(artifact.task, key)
    st.header(section.heading)
    st.markdown(section.sentence)
    stored = artifact.manifest.get(key)
    if not stored:
        st.markdown(wording.missing(artifact.task, key))
    return stored or None


def _published(task: Task, table: pd.DataFrame) -> pd.DataFrame:
    """A table for download, with the names that its columns always had in files."""
    return table.rename(columns={column: published(task, column) for column in table.columns})


def _dots(task: Task, table: pd.DataFrame, estimate: str, name: str = "dx") -> pd.DataFrame:
    """Rows of `dashboard.shell.charts.interval_dots`, without reference; a class has its colour.

    Args:
        task: whose classes have their colours.
        table: one row a dot.
        estimate: what is shown.
        name: column that names the dot.
    """
    columns = {estimate: "value", f"{estimate}_low": "low", f"{estimate}_high": "high"}
    dots = table.rename(columns=columns)[["images", "value", "low", "high"]]
    colours = {one.code: one.colour for one in task.classes}
    return dots.assign(name=table[name], colour=[colours.get(code, ACCENT) for code in table[name]])
