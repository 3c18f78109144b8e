"""Functions that draw another model beside ours: its table, what was left out of it, and every figure of both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.evaluation import charts
from dashboard.evaluation.comparison import figures, wording
from dashboard.evaluation.metric_tables import WIDE_CARD, quiet, row_name, with_note
from dashboard.evaluation.studies.trust_tables import reliability_frame
from dashboard.evaluation.wording import question_noun
from dashboard.resources import measurements, models
from dashboard.shell import metrics
from dashboard.shell.glossary import metric_of
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.comparison import AgainstOurs, PairedDecision, PairedMetric
from model.evaluation.comparison_report import comparison_frame, p_text
from model.evaluation.predictions import PredictionsError
from model.evaluation.questions import questions_of
from model.evaluation.results import reliability_bins

MAX_MEGABYTES = 20
SUFFIXES = ("csv", "tsv", "txt", "parquet")


@st.fragment
def section() -> None:
    """Upload, what could be read of it, and the comparison; a fragment, so that a choice reruns no more."""
    task = models.artifact().task
    st.header(wording.HEADING)
    st.markdown(wording.INTRODUCTION)
    given = st.file_uploader(
        wording.UPLOADER,
        type=list(SUFFIXES),
        max_upload_size=MAX_MEGABYTES,
        help=wording.upload_help(task),
        key="comparison_upload",
    )
    kind = st.segmented_control(
        wording.KIND_LABEL,
        list(wording.KINDS),
        format_func=wording.KINDS.__getitem__,
        default="probabilities",
        required=True,
        key="comparison_kind",
    )
    if given is None:
        return
    try:
        with st.spinner(task.worded(wording.READING)):
            found = measurements.against_ours(given.getvalue(), given.name, kind == "logits")
    except PredictionsError as error:
        # Of an upload: the message says what to mend, and nothing else on the page depends on it.
        st.error(str(error), icon=":material/error:")
        return
    _what_was_read(found)
    _draw(task, found)


def _what_was_read(found: AgainstOurs) -> None:
    submission = found.submission
    st.markdown(wording.what_was_read(submission, len(submission.cohort.image_ids) + submission.missing))
    if not submission.left_out:
        return
    st.warning(wording.left_out(len(submission.left_out)), icon=":material/rule:")
    frame = pd.DataFrame([vars(one) for one in submission.left_out])
    with st.expander(wording.LEFT_OUT_TITLE):
        rows = [(f"{one.row:,}", one.image or "–", one.reason) for one in submission.left_out[: wording.MOST_SHOWN]]
        html_table(("row", "image", "reason"), rows, numeric=(0,))
        csv_download(frame, "left_out.csv", key="comparison_left_out_csv")


def _draw(task: Task, found: AgainstOurs) -> None:
    comparison = found.comparison
    data = wording.compared_on(task, comparison.images, comparison.lesions)
    overall = [one for one in comparison.metrics if one.question not in task.codes]
    chart_heading(wording.METRICS_TITLE, data)
    _metrics_table(task, overall)
    quiet(task.worded(wording.METRICS_NOTE))
    csv_download(comparison_frame(comparison), "comparison.csv", key="comparison_csv")
    chart_heading(wording.DECISIONS_TITLE, data)
    _decisions_table(task, comparison.decisions)
    quiet(task.worded(wording.DECISIONS_NOTE))
    _curves(task, found, data)
    with st.expander(task.worded(wording.PER_CLASS_TITLE)):
        _metrics_table(task, [one for one in comparison.metrics if one.question in task.codes])


def _metrics_table(task: Task, rows: Sequence[PairedMetric]) -> None:
    cells = []
    for one in rows:
        metric = metric_of(one.metric, task)
        sides = [
            with_note(metric.format(side.value), metrics.interval_of(side, metric)) for side in (one.first, one.second)
        ]
        name = row_name(wording.metric_label(task, one), metrics.n_of(one.images))
        cells.append((name, *sides, _difference(task, one), _p(one)))
    html_table(("measure", "theirs", "ours", "difference", "p"), cells, numeric=(1, 2, 3, 4))


def _difference(task: Task, one: PairedMetric) -> Html:
    metric, difference = metric_of(one.metric, task), one.difference
    value, span = metrics.gain(difference.value, difference.low, difference.high, metric)
    if not value:
        return Html("–")
    if math.isnan(difference.low):
        span = "no interval" if one.metric == "calibration_error" else metrics.TOO_FEW
    return with_note(value, span)


def _p(one: PairedMetric) -> str:
    return "" if math.isnan(one.p_value) else p_text(one.p_value)


def _decisions_table(task: Task, decisions: Sequence[PairedDecision]) -> None:
    rows = [
        (
            row_name(wording.decision_label(task, one), metrics.n_of(one.images)),
            f"{one.test.only_first:,}",
            f"{one.test.only_second:,}",
            p_text(one.test.p_exact),
            "–"
            if math.isnan(one.test.chi_squared)
            else f"{one.test.chi_squared:.1f} (p {p_text(one.test.p_chi_squared)})",
        )
        for one in decisions
    ]
    headers = ("decision", "only theirs right", "only ours right", "exact p", "chi-squared")
    html_table(headers, rows, numeric=(1, 2, 3, 4))


def _curves(task: Task, found: AgainstOurs, data: str) -> None:
    with card_grid(WIDE_CARD, columns=3) as grid:
        with grid.cell():
            chart_heading(wording.ROC_TITLE, data)
            question = st.selectbox(
                wording.ROC_TITLE,
                questions_of(task),
                format_func=lambda asked: question_noun(task, asked, True),
                key="comparison_question",
                label_visibility="collapsed",
            )
            figure = figures.both_roc(task, *found.curves, question)
            chart(wording.ROC_TITLE, data, figure, "comparison_roc", note=wording.ROC_NOTE, has_heading=False)
        for whose, cohort in (("theirs", found.theirs), ("ours", found.ours)):
            with grid.cell():
                table = reliability_frame(reliability_bins(cohort))
                figure = charts.reliability(table[table["question"] == "top_class"], wording.RELIABILITY_AXIS)
                chart(wording.RELIABILITY_TITLES[whose], data, figure, f"comparison_reliability_{whose}")
