"""Functions that draw what a threshold does and what it is worth: the bench on which one is tried."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from dashboard.evaluation import decision_wording, wording
from dashboard.evaluation.curves import decision_curve
from dashboard.evaluation.metric_tables import quiet, row_name
from dashboard.evaluation.tables import benefit_frame, counts_frame, reweighed, threshold_frame
from dashboard.shell import metrics, resources
from dashboard.shell.glossary import metric_of
from dashboard.shell.widgets import card_grid, chart, chart_heading, csv_download, html_table
from data.tasks.task import Task
from model.evaluation.questions import questions_of
from model.inference.measured import OperatingPoint
from model.measures.decisions import net_benefit, net_benefit_of_all, per_thousand, threshold_odds
from model.measures.shares import ThresholdMetrics

THRESHOLD_STEP = 0.001
PREVALENCE_STEP = 0.001
MAX_PREVALENCE = 0.6
MAX_WEIGHT = 500
_QUESTION, _THRESHOLD, _PREVALENCE = "evaluation_question", "evaluation_threshold", "evaluation_prevalence"
_WEIGHT = "evaluation_weight"


@st.fragment
def bench() -> None:
    """A threshold, what it does and what it is worth; a fragment, so that a slider reruns nothing else."""
    evaluation, task = resources.evaluation(), resources.artifact().task
    data = wording.test_data(task, evaluation.images, evaluation.lesions)
    with card_grid() as grid:
        with grid.cell():
            question, measured, prevalence = _threshold_card(task, data)
        with grid.cell():
            _counts(task, data, question, measured, prevalence)
            _benefit(task, question, measured, prevalence)
        with grid.cell():
            _decision_curve(task, data, question, measured, prevalence)


def chosen() -> tuple[str, ThresholdMetrics]:
    """The decision that this session looks at, and what the threshold it has chosen does."""
    question = st.session_state.setdefault(_QUESTION, resources.artifact().task.question.key)
    chosen_threshold = st.session_state.setdefault(_THRESHOLD, _starting_threshold(_points_of(question)))
    return question, resources.thresholds(question).at(chosen_threshold)


def _threshold_card(task: Task, data: str) -> tuple[str, ThresholdMetrics, float]:
    chart_heading(wording.THRESHOLD_TITLE, data)
    chosen()  # so that the widgets have what they start with
    question = st.selectbox(
        "Decision",
        questions_of(task),
        format_func=lambda asked: wording.question_name(task, asked),
        key=_QUESTION,
        on_change=_forget_threshold,
        label_visibility="collapsed",
        persist_state="session",
    )
    _operating_point_buttons(_points_of(question))
    st.slider(
        "Threshold",
        0.0,
        1.0,
        step=THRESHOLD_STEP,
        format="percent",
        key=_THRESHOLD,
        help=wording.threshold_help(task, question),
        persist_state="session",
    )
    question, measured = chosen()
    st.session_state.setdefault(_PREVALENCE, _starting_prevalence(question))
    prevalence = st.slider(
        wording.PREVALENCE_LABEL,
        0.0,
        MAX_PREVALENCE,
        step=PREVALENCE_STEP,
        format="percent",
        key=_PREVALENCE,
        help=wording.prevalence_help(_share(measured)),
        persist_state="session",
    )
    st.caption(decision_wording.prevalence_preset(_share(measured)))
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
    quiet(decision_wording.counted_on(task, question, prevalence, _share(measured), positives, negatives))
    csv_download(counts_frame(counts, prevalence), f"of_1000_{question}.csv", key="of_1000_csv")


def _benefit(task: Task, question: str, measured: ThresholdMetrics, prevalence: float) -> None:
    st.session_state.setdefault(_WEIGHT, _starting_weight(question))
    weight = st.number_input(
        decision_wording.weight_label(task, question),
        1,
        MAX_WEIGHT,
        key=_WEIGHT,
        help=task.worded(decision_wording.BENEFIT_HELP),
        persist_state="session",
    )
    implied = 1 / (1 + weight)
    st.markdown(decision_wording.implied(implied))
    st.button(
        decision_wording.set_to_implied(implied),
        key="evaluation_set_implied",
        on_click=_set_threshold,
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
    table = benefit_frame(resources.threshold_rates(question), prevalence)
    figure = decision_curve(table, wording.question_noun(task, question, True), measured.threshold)
    title, note = decision_wording.CURVE_TITLE, task.worded(decision_wording.CURVE_NOTE)
    chart(title, data, figure, "decision_chart", note=note)
    csv_download(table.assign(question=question), f"decision_curve_{question}.csv", key="decision_csv")


def _share(measured: ThresholdMetrics) -> float:
    """Of the images, the share that is positive."""
    return (measured.counts.true_positives + measured.counts.false_negatives) / max(measured.counts.n, 1)


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
                on_click=_set_threshold,
                args=(point.threshold,),
                help=wording.OPERATING_POINT_HELP,
            )


def _points_of(question: str) -> tuple[OperatingPoint, ...]:
    """The stored operating points are those of the task's question."""
    artifact = resources.artifact()
    return artifact.operating_points if question == artifact.task.question.key else ()


def _set_threshold(threshold: float) -> None:
    st.session_state[_THRESHOLD] = threshold


def _forget_threshold() -> None:
    """A new question starts at its own threshold and prevalence."""
    question = st.session_state[_QUESTION]
    st.session_state[_THRESHOLD] = _starting_threshold(_points_of(question))
    st.session_state[_PREVALENCE] = _starting_prevalence(question)
    st.session_state[_WEIGHT] = _starting_weight(question)


def _starting_threshold(points: tuple[OperatingPoint, ...]) -> float:
    return points[0].threshold if points else 0.5


def _starting_prevalence(question: str) -> float:
    """The share of the locked test images that are positive, as far as the slider goes."""
    return min(round(_share(resources.thresholds(question).at(0.5)), 3), MAX_PREVALENCE)


def _starting_weight(question: str) -> int:
    """What the threshold that a question starts at says of the two kinds of error."""
    odds = threshold_odds(_starting_threshold(_points_of(question)))
    return min(max(round(1 / max(odds, 1 / MAX_WEIGHT)), 1), MAX_WEIGHT)
