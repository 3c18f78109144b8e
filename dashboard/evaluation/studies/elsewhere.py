"""Functions that draw what was measured on labelled images of other clinics, next to the locked test."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.evaluation.metric_tables import beside, metric_table, quiet, row_name, span_of, with_note
from dashboard.evaluation.studies import elsewhere_wording as wording
from dashboard.evaluation.studies.elsewhere_tables import beside_frame, recalibration_frame
from dashboard.evaluation.studies.trust import stored_section
from dashboard.evaluation.studies.trust_tables import FATES, external_frame, outcome_frame, without_repeated_kinds
from dashboard.resources import models
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import n_of
from dashboard.shell.widgets import Html, chart_heading, csv_download, html_table
from data.tasks.task import Task

Row = Mapping[Any, Any]


def other_clinics() -> None:
    """What each threshold did with labelled images of other clinics, end to end; every metric next to the locked test;
    and what a recalibration on half of the images does to the other half."""
    section = stored_section("external")
    task = models.artifact().task
    if section is not None:
        outcomes, figures = outcome_frame(section), external_frame(section)
        for entry in section:
            name = entry["name"]
            chart_heading(name, wording.measured_on(task, entry))
            _outcomes(task, outcomes[outcomes["source"] == name])
            of_source = figures[figures["source"] == name]
            if "beside" in entry:
                _beside(task, entry, of_source)
            else:
                _figures(task, of_source)
            _recalibration(task, entry)
        with st.container(horizontal=True):
            for table, key, name in (
                (outcomes, "external_csv", "thresholds"),
                (figures, "external_figures_csv", "measures"),
                (beside_frame(section), "external_beside_csv", "beside_locked_test"),
            ):
                csv_download(table, f"other_clinics_{name}.csv", key, wording.CSV_LABELS[name])
    st.markdown(wording.HOW_TO)
    st.code(wording.COMMAND, language="bash", wrap_lines=True)


def _outcomes(task: Task, rows: pd.DataFrame) -> None:
    shares = tuple(metric_of(f"images_{name}", task) for name in FATES)
    cells = [
        (
            row_name(wording.kind_name(task, row["kind"]), wording.threshold_name(row["point"])),
            *(beside(row, name, metric) for name, metric in zip(FATES, shares, strict=True)),
            f"{row['images']:,}",
        )
        for row in without_repeated_kinds(rows).to_dict("records")
    ]
    metric_table(("images",), cells, shares, ("n",))


def _figures(task: Task, rows: pd.DataFrame) -> None:
    """Of labels that do not tell every class, or of an artifact from before all was set beside the locked test."""
    cells = [
        (
            row_name(wording.measure_name(task, row["measure"], row["dx"])),
            beside(row, "value", metric_of(row["metric"], task)),
            f"{row['images']:,}",
        )
        for row in rows.to_dict("records")
    ]
    html_table(("measure", "value", "n"), cells, numeric=(1, 2))


def _beside(task: Task, entry: Row, figures: pd.DataFrame) -> None:
    table = beside_frame([entry])
    is_of_class = table["question"].isin(task.codes)
    _beside_table(task, table[~is_of_class])
    quiet(wording.beside_note(task))
    with st.expander(wording.by_class(task)):
        _beside_table(task, table[is_of_class])
        _confusion(task, entry["metrics"]["confusion"])
        _figures(task, figures[figures["measure"].isin(wording.NOT_IN_LOCKED_TEST)])


def _beside_table(task: Task, table: pd.DataFrame) -> None:
    cells = [
        (
            row_name(wording.beside_name(task, row), wording.beside_threshold(row)),
            _with_n(row, "here", "images", task),
            _with_n(row, "locked", "locked_images", task),
            with_note(*wording.difference(row, metric_of(row["metric"], task))),
        )
        for row in table.to_dict("records")
    ]
    html_table(("measure", "here", "locked test", "difference"), cells, numeric=(1, 2, 3))


def _with_n(row: Row, name: str, images: str, task: Task) -> Html:
    metric = metric_of(row["metric"], task)
    return _narrow(metric.format(row[name]), span_of(row, name, metric), n_of(row[images]))


def _narrow(value: str, *notes: str) -> Html:
    """A value with what stands below it, which may wrap: on a phone two such columns have room beside each other."""
    style = "display: inline-block; max-width: 8rem; margin: 0; white-space: normal"
    below = escape(", ".join(filter(None, notes)))
    return Html(f'{escape(value)}<br><small style="{style}">{below}</small>')


def _confusion(task: Task, confusion: list[list[int]]) -> None:
    chart_heading(wording.CONFUSION_TITLE, wording.CONFUSION_DATA)
    counts = [(dx, *(f"{count:,}" for count in row)) for dx, row in zip(task.codes, confusion, strict=True)]
    html_table(("reference", *task.codes), counts, numeric=range(1, len(task.codes) + 1))


def _recalibration(task: Task, entry: Row) -> None:
    if "not_recalibrated" in entry:
        quiet(wording.not_recalibrated(entry["not_recalibrated"]))
    if "recalibration" not in entry:
        return
    section = entry["recalibration"]
    chart_heading(wording.RECALIBRATION_TITLE, wording.halves(task, section))
    cells = [
        (
            row_name(wording.change_name(task, row), wording.change_threshold(row)),
            *(_narrow(metric.format(row[name]), span_of(row, name, metric)) for name in ("before", "after")),
            with_note(*wording.difference(row, metric)),
            f"{row['images']:,}",
        )
        for row in recalibration_frame(section).to_dict("records")
        for metric in (metric_of(row["metric"], task),)
    ]
    html_table(("measure", "as it stands", "recalibrated", "change", "n"), cells, numeric=(1, 2, 3, 4))
    quiet(wording.without_images(task, section["without_images"]))
    st.markdown(wording.VERDICTS[section["verdict"]])
