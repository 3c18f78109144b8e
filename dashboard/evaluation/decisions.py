"""Functions that draw what a threshold does and what it is worth: the bench on which one is tried."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from dashboard.evaluation import decision_state, decision_wording, wording
from dashboard.evaluation.curves import decision_curve
from dashboard.evaluation.decision_state import share_of_positives
from dashboard.evaluation.metric_tables import quiet, row_name
from dashboard.evaluation.tables import benefit_frame, counts_frame, reweighed, threshold_frame
from dashboard.resources import measurements, models
from dashboard.shell import metrics
from dashboard.shell.glossary import metric_of
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.questions import questions_of
from model.inference.measured import OperatingPoint
from model.measures.decisions import net_benefit, net_benefit_of_all, per_thousand, threshold_odds
from model.measures.shares import ThresholdMetrics

THRESHOLD_STEP = 0.001
PREVALENCE_STEP = 0.001


@st.fragment
def bench() -> None:
    """A threshold, what it does and what it is worth; a fragment, so that a slider reruns nothing else."""
    evaluation, task = measurements.evaluation(), models.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    with card_grid() as grid:
        with grid.cell():
            question, measured, prevalence = _threshold_card(task, data)
        with grid.cell():
            _counts(task, data, question, measured, prevalence)
            _benefit(task, question, measured, prevalence)
        with grid.cell():
            _decision_curve(task, data, question, measured, prevalence)
    decision_state.write_address()


def _threshold_card(task: Task, data: str) -> tuple[str, ThresholdMetrics, float]:
    chart_heading(wording.THRESHOLD_TITLE, data)
    decision_state.chosen()  # so that the widgets have what they start with
    question = st.selectbox(
        "Decision",
        questions_of(task),
        format_func=lambda asked: wording.question_name(task, asked),
        key=decision_state.QUESTION,
        on_change=decision_state.start_question,
        label_visibility="collapsed",
        persist_state="session",
    )
    _operating_point_buttons(decision_state.points_of(question))
    st.slider(
        "Threshold",
        0.0,
        1.0,
        step=THRESHOLD_STEP,
        format="percent",
        key=decision_state.THRESHOLD,
        help=wording.threshold_help(task, question),
        persist_state="session",
    )
    question, measured = decision_state.chosen()
    decision_state.set_defaults(question)
    prevalence = st.slider(
        wording.PREVALENCE_LABEL,
        0.0,
        decision_state.MAX_PREVALENCE,
        step=PREVALENCE_STEP,
        format="percent",
        key=decision_state.PREVALENCE,
        help=wording.prevalence_help(share_of_positives(measured)),
        persist_state="session",
    )
    st.caption(decision_wording.prevalence_preset(share_of_positives(measured)))
    at_prevalence = reweighed(measured, prevalence)
    frame = threshold_frame(question, measured, at_prevalence)
    _threshold_table(task, question, frame)
    csv_download(frame, f"threshold_{question}.csv", key="threshold_csv")
    return question, measured, prevalence


def _counts(task: Task, data: str, question: str, measured: ThresholdMetrics, prevalence: float) -> None:
    chart_heading(decision_wording.PER_THOUSAND_TITLE, data)
    counts = per_thousand(measured.sensitivity, measured.specificity, prevalence)
    rows = [(row_name(name), *cells) for name, *cells in decision_wording.per_thousand_rows(task, question, counts)]
    html_table(("images", "of 1,000", "95 % interval"), rows, numeric=(1,))
    positives = measured.counts.true_positives + measured.counts.false_negatives
    negatives = measured.counts.n - positives
    quiet(decision_wording.counted_on(task, question, prevalence, share_of_positives(measured), positives, negatives))
    csv_download(counts_frame(counts, prevalence), f"of_1000_{question}.csv", key="of_1000_csv")


def _benefit(task: Task, question: str, measured: ThresholdMetrics, prevalence: float) -> None:
    weight = st.number_input(
        decision_wording.weight_label(task, question),
        1,
        decision_state.MAX_WEIGHT,
        key=decision_state.WEIGHT,
        help=task.worded(decision_wording.BENEFIT_HELP),
        persist_state="session",
    )
    implied = 1 / (1 + weight)
    st.markdown(decision_wording.implied(implied))
    st.button(
        decision_wording.set_to_implied(implied),
        key="evaluation_set_implied",
        on_click=decision_state.set_threshold,
        args=(round(implied, 3),),
        disabled=math.isclose(measured.threshold, implied, abs_tol=THRESHOLD_STEP / 2),
    )
    odds = threshold_odds(implied)
    benefit = net_benefit(measured.sensitivity, measured.specificity, prevalence, odds)
    of_all = net_benefit_of_all(prevalence, odds)
    ways = [
        (row_name(name), *cells) for name, *cells in decision_wording.benefit_rows(measured.threshold, benefit, of_all)
    ]
    html_table((decision_wording.BENEFIT_TITLE, "of 1,000", "95 % interval"), ways, numeric=(1,))
    quiet(decision_wording.benefit_found(benefit, of_all))


def _decision_curve(task: Task, data: str, question: str, measured: ThresholdMetrics, prevalence: float) -> None:
    table = benefit_frame(measurements.threshold_rates(question), prevalence)
    figure = decision_curve(table, wording.question_noun(task, question, True), measured.threshold)
    title, note = decision_wording.CURVE_TITLE, task.worded(decision_wording.CURVE_NOTE)
    chart(title, data, figure, "decision_chart", note=note)
    csv_download(table.assign(question=question), f"decision_curve_{question}.csv", key="decision_csv")


def _threshold_table(task: Task, question: str, frame: pd.DataFrame) -> None:
    rows = [
        (
            wording.measure_name(task, row.measure, row.prevalence),
            metric_of(row.measure, task).format(row.value),
            metrics.interval_range(row.low, row.high, metric_of("ppv", task)),
            wording.hits_of_n(task, question, row.measure, row.hits, row.n),
        )
        for row in frame.itertuples()
    ]
    html_table(("measure", "value", "95 % interval", "n"), rows, numeric=(1,))


def _operating_point_buttons(points: tuple[OperatingPoint, ...]) -> None:
    if not points:
        return
    with st.container(horizontal=True, gap="xsmall"):
        for point in points:
            st.button(
                wording.operating_point_button(point.target_sensitivity, point.threshold),
                key=f"operating_point_{point.name}",
                on_click=decision_state.set_threshold,
                args=(point.threshold,),
                help=wording.OPERATING_POINT_HELP,
            )
