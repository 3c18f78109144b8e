"""Functions that draw how far to trust the model, from what the studies stored in the artifact's manifest."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.answer.wording import population
from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import trust_wording as wording
from dashboard.evaluation.tables import published
from dashboard.evaluation.trust_tables import (
    HEATMAP_MEASURES,
    QUESTIONS,
    SUBGROUP_RATES,
    UNPERTURBED,
    clinical_frame,
    gate_frame,
    heatmap_differences,
    heatmap_frame,
    reliability_frame,
    retrieval_frame,
    robustness_frame,
    sets_frame,
    subgroup_frame,
    tried_sets_frame,
)
from dashboard.evaluation.wording import test_data
from dashboard.shell import charts as shell_charts
from dashboard.shell import resources
from dashboard.shell.colours import ACCENT, NEUTRAL
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import Metric, interval, interval_range
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.results import Evaluation
from model.studies.heatmap_summary import GRAD_CAM, SPOT

WIDE_CARD = 540  # pixels; two side by side on a wide screen
# Three short tables are about as high as the one of the sites.
SUBGROUP_CARDS = (("age", "sex", "dx_type"), ("site",))

Row = Mapping[Hashable, Any]


def calibration(evaluation: Evaluation) -> None:
    """Reliability of both questions, and the calibration error."""
    section = _section("reliability")
    if section is None:
        return
    task = resources.artifact().task
    data = test_data(task, evaluation.images, evaluation.lesions)
    table = reliability_frame(section)
    with card_grid() as grid:
        for question in QUESTIONS:
            with grid.cell():
                figure = evaluation_charts.reliability(
                    table[table["question"] == question], task.worded(wording.RELIABILITY_AXES[question])
                )
                title = task.worded(wording.RELIABILITY_TITLES[question])
                chart(title, data, figure, f"reliability_{question}")
        with grid.cell():
            _calibration_error(task, evaluation)
            named = table.assign(question=[published(task, question) for question in table["question"]])
            csv_download(named, "reliability.csv", key="reliability_csv")


def _calibration_error(task: Task, evaluation: Evaluation) -> None:
    metric = metric_of("calibration_error", task)
    st.metric(metric.name, metric.format(evaluation.calibration_error.value), help=metric.tooltip)
    _quiet(interval(evaluation.calibration_error, metric, evaluation.images))
    st.markdown(population(resources.artifact()))
    _quiet(wording.RELIABILITY_NOTE)


def prediction_sets() -> None:
    """Coverage overall and by diagnosis, size, and how the sets were chosen."""
    section = _section("conformal")
    if section is None:
        return
    task, measured, chosen = resources.artifact().task, section["measured"], section["sets"]
    _quiet(wording.set_purpose(task, chosen["level"]))
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
            _beside(row, "coverage", coverage),
            mean_size.format(row["mean_size"]),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    _metric_table((task.words.label,), rows, (coverage, mean_size), ("n",))


def _tried_sets(task: Task, section: Mapping[str, Any]) -> None:
    folds = len(resources.artifact().description.split.out_of_fold)
    chart_heading(wording.TRIED_TITLE, wording.out_of_fold(task, section["chosen_on"], folds))
    tried = tried_sets_frame(section["tried_out_of_fold"])
    if tried.empty:
        _quiet(wording.NOT_TRIED)
        return
    coverage, mean_size = metric_of("coverage", task), metric_of("mean_size", task)
    rows = [
        (
            row["method"],
            _stacked(row, "coverage", coverage),
            _stacked(row, "least_coverage", coverage, prefix=f"{row['least_covered']} "),
            _stacked(row, "mean_size", mean_size),
        )
        for row in tried.to_dict("records")
    ]
    html_table(("way", "coverage", "least covered", "mean size"), rows, numeric=(1, 2, 3))
    _quiet(wording.set_method(task, section["sets"]["method"]))
    csv_download(tried, "prediction_sets_tried.csv", key="sets_tried_csv")


def clinical_facts() -> None:
    """What age and body site add to the image."""
    section = _section("clinical")
    if section is None:
        return
    task, measured = resources.artifact().task, section["measured"]
    chart_heading(wording.CLINICAL_TITLE, test_data(task, measured["images"], measured["lesions"]))
    table = clinical_frame(measured)
    rows = []
    for row in table.to_dict("records"):
        metric = metric_of(row["metric"], task)
        cells = [_stacked(row, name, metric) for name in ("alone", "informed")]
        rows.append((metric.name, *cells, _with_note(*wording.clinical_gain(row, metric))))
    html_table(wording.CLINICAL_HEADERS, rows, numeric=(1, 2, 3))
    _quiet(wording.clinical_limits(task, section["known"], measured["images"]))
    csv_download(table, "age_and_site.csv", key="clinical_csv")


def subgroups() -> None:
    """Metrics by age, sex, site and way of diagnosis; groups that are too small are named."""
    section = _section("subgroups")
    if section is None:
        return
    task, table = resources.artifact().task, subgroup_frame(section)
    _quiet(wording.subgroup_rates(task, resources.artifact().operating_points[0].threshold))
    with card_grid(WIDE_CARD, columns=2) as grid:
        for attributes in SUBGROUP_CARDS:
            with grid.cell():
                for attribute in attributes:
                    _subgroup_table(task, attribute, table[table["attribute"] == attribute])
    csv_download(_published(task, table), "subgroups.csv", key="subgroups_csv")


def _subgroup_table(task: Task, attribute: str, groups: pd.DataFrame) -> None:
    data = test_data(task, int(groups["images"].sum()), int(groups["lesions"].sum()))
    chart_heading(task.worded(wording.SUBGROUP_TITLES[attribute]), data)
    rates = {rate: metric_of(rate, task) for rate in SUBGROUP_RATES}
    rows = [
        (
            _name(wording.group_name(row["attribute"], row["group"]), wording.group_size(row)),
            *(_stacked(row, rate, metric) for rate, metric in rates.items()),
        )
        for row in groups.to_dict("records")
    ]
    _metric_table(("group",), rows, tuple(rates.values()))
    _quiet(wording.too_small(task, groups))


def robustness() -> None:
    """How many decisions flip under each change of the image, and what is left of the metrics."""
    section = _section("robustness")
    if section is None:
        return
    task, table = resources.artifact().task, robustness_frame(section)
    _quiet(wording.flips_of(task, section["threshold"]))
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
        (_name(row["name"]), *(_beside(row, name, metric) for name, metric in shown.items()))
        for row in table.to_dict("records")
    ]
    _metric_table(("change",), rows, tuple(shown.values()))


def gate() -> None:
    """What the quality gate refused, of lesions and of other images."""
    section = _section("gate")
    if section is None:
        return
    table = gate_frame(section)
    metric = metric_of("refused", resources.artifact().task)
    rows = [
        (
            wording.source_name(row["source"]),
            "refused" if row["should_be_refused"] else "answered",
            _beside(row, "refused", metric),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    _metric_table(("images", "should be"), rows, (metric,), ("n",))
    csv_download(table, "refusals.csv", key="gate_csv")


def heatmaps() -> None:
    """Every heatmap method against the lesion masks, with what it means."""
    section = _section("heatmaps")
    if section is None:
        return
    task, table = resources.artifact().task, heatmap_frame(section)
    chart_heading(task.worded(wording.HEATMAP_TITLE), test_data(task, section["images"], section["lesions"]))
    measures = {name: metric_of(name, task) for name in HEATMAP_MEASURES}
    rows = [
        (
            _name(row["method"], wording.without_evidence(row)),
            *(_stacked(row, name, metric) for name, metric in measures.items()),
            f"{row['images']:,} ({row['faithfulness_images']:,})",
        )
        for row in table.to_dict("records")
    ]
    _metric_table(("method",), rows, tuple(measures.values()), ("n (faithfulness)",))
    st.markdown(wording.heatmap_meaning(task, heatmap_differences(section), GRAD_CAM, SPOT))
    csv_download(table, "heatmaps.csv", key="heatmaps_csv")


def similar_cases() -> None:
    """Precision of the nearest lesions against chance."""
    section = _section("retrieval")
    if section is None:
        return
    task, table = resources.artifact().task, retrieval_frame(section)
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
            _beside(row, "precision", metric),
            metric.format(row["chance"]),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    _metric_table((task.words.label,), rows, (metric,), ("at random", "n"))


def _section(key: str) -> Any:
    """Draw a section's heading; what the manifest holds on it, None (and a sentence) where nothing was measured."""
    artifact = resources.artifact()
    section = wording.section_of(artifact.task, key)
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


def _metric_table(
    before: Sequence[str], rows: Sequence[Sequence[str]], metrics: Sequence[Metric], after: Sequence[str] = ()
) -> None:
    """A table whose metric columns explain themselves; all but the first column are numbers."""
    headers = (*before, *(metric.name for metric in metrics), *after)
    tooltips = (*[""] * len(before), *(metric.plain_tooltip for metric in metrics), *[""] * len(after))
    html_table(headers, rows, numeric=range(1, len(headers)), tooltips=tooltips)


def _beside(row: Row, name: str, metric: Metric) -> Html:
    """An estimate with its interval beside it."""
    return Html(f"{escape(metric.format(row[name]))} <small>{escape(_span(row, name, metric))}</small>")


def _stacked(row: Row, name: str, metric: Metric, prefix: str = "") -> Html:
    """An estimate with its interval below it, which keeps a wide table narrow."""
    return _with_note(prefix + metric.format(row[name]), _span(row, name, metric))


def _span(row: Row, name: str, metric: Metric) -> str:
    """The interval; empty where it cannot be said."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if math.isnan(low) else interval_range(low, high, metric)


def _name(text: str, note: str = "") -> Html:
    """The first cell of a row of a wide table: it may wrap, so that a phone shows more of the others."""
    style = "display: block; min-width: 7rem; white-space: normal"
    return Html(f'<span style="{style}">{_with_note(text, note)}</span>')


def _with_note(text: str, note: str) -> Html:
    return Html(f'{escape(text)}<br><small style="margin: 0">{escape(note)}</small>' if note else escape(text))


def _quiet(text: str) -> None:
    if text:
        st.html(f'<p class="lens-data">{escape(text)}</p>')
