"""Functions that draw the page on local performance: agreement, rates against the biopsy, drift, labelled cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape
from uuid import UUID

import pandas as pd
import streamlit as st

from dashboard.resources import models, stores
from dashboard.shell import charts as shell_charts
from dashboard.shell.formats import percent
from dashboard.shell.glossary import metric_of
from dashboard.shell.identity import actor
from dashboard.shell.metrics import Metric, interval_of
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from dashboard.use import charts, wording
from dashboard.use.tables import RATES, SWITCHES, answers_frame, bins_frame, rates_frame, use_frame
from data.cases.case import Actor
from data.cases.labelled import labelled_zip
from data.cases.queries import CaseQuery
from data.tasks.task import OTHER, Task
from model.evaluation.drift import Drift, Reference, Shift, answered_by, measure_drift, reference_of, since
from model.evaluation.use import LiveCalibration, ReaderRates, Share, Use, measure_use, use_table
from model.measures.intervals import Estimate

HEADLINES = ("before", "after", "switched", "flagged")
SHIFTS = ("classes", "distance", "blurred")
# About 300 kB an image; a ZIP is made in memory.
MAX_ZIP_CASES = 1000


def present_task() -> Task:
    """The task of the model in use: cases of one task are measured at a time."""
    return models.artifact().task


def intro() -> None:
    """What the page is."""
    st.markdown(wording.intro(present_task()))


def load_cases() -> pd.DataFrame:
    """All cases of the model's task in the actor's organisation as a table of `model.evaluation.use`.

    Raises:
        CaseLogUnavailable, NotAllowed, ArtifactMismatch: as the case log and the model do.
    """
    task = present_task()
    with st.spinner(wording.LOADING):
        unreadable: list[UUID] = []
        table = use_table(stores.case_log().cases(CaseQuery(task=task.key), actor(), unreadable), task)
    if unreadable:
        st.error(wording.unreadable(len(unreadable)), icon=":material/error:")
    return table


def empty_log() -> None:
    """What to do first."""
    st.info(f"**{wording.EMPTY_LOG_TITLE}.** {wording.empty_log(present_task())}", icon=":material/folder_open:")


def filters(table: pd.DataFrame) -> tuple[pd.DataFrame, int | None]:
    """Period and model: the chosen rows, and the period in days, None for all."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # A control cannot hold None as a choice.
        period = st.segmented_control(
            "Saved",
            list(wording.PERIODS.values()),
            default=wording.PERIODS[None],
            required=True,
            key="use_period",
            persist_state="session",
        )
        model = st.selectbox(
            "Model",
            [wording.ALL_MODELS, *sorted(table["model"].unique())],
            key="use_model",
            persist_state="session",
            width=260,
        )
    days = next(days for days, name in wording.PERIODS.items() if name == period)
    chosen = since(table, days, datetime.now(UTC))
    return chosen if model == wording.ALL_MODELS else chosen[chosen["model"] == model], days


def agreement_and_rates(chosen: pd.DataFrame, days: int | None) -> None:
    """Everything that is measured of the chosen cases."""
    if chosen.empty:
        st.info(f"**{wording.NOTHING_FOUND_TITLE}.** {wording.NOTHING_FOUND}", icon=":material/filter_alt_off:")
        return
    task = present_task()
    use = measure_use(chosen, task)
    if use.refused:
        st.markdown(wording.refused(use.refused, task))
    _agreement(use, task, days)
    _against_biopsy(use, task, days)


# --- Clinician and AI ------------------------------------------------------------------------------------------------


def _agreement(use: Use, task: Task, days: int | None) -> None:
    st.header(wording.AGREEMENT_HEADING)
    st.markdown(wording.agreement_text(task))
    _quiet(wording.left_out(use.informed_reads))
    shares = {
        "before": use.before.share,
        "after": use.after.share,
        "switched": use.switches.switched,
        "flagged": use.flagged,
    }
    kappas = {"before": use.before.kappa, "after": use.after.kappa}
    with st.grid(4, min_column_width=170, border=True, gap="small") as grid:
        for name in HEADLINES:
            with grid.cell(), st.container(key=f"use_{name}", gap="xxsmall"):
                _headline(metric_of(name, task), shares[name], task)
                _quiet(wording.kappa_line(kappas[name], task) if name in kappas else "")
    chart_heading(wording.SWITCHES_TITLE, wording.data_line(use.cases, use.lesions, wording.PERIOD_NAMES[days], task))
    _switches(use, task)
    csv_download(use_frame(use, task), "use.csv", key="use_csv")


def _headline(metric: Metric, share: Share, task: Task) -> None:
    st.metric(metric.name, metric.format(share.estimate.value), help=metric.tooltip)
    _quiet(wording.under_metric(share, metric, task))


def _switches(use: Use, task: Task) -> None:
    metric, names = metric_of("switched", task), wording.switch_names(task)
    switches = [(getattr(use.switches, name), *names[name]) for name in SWITCHES]
    switches += [(use.other, *wording.other_name(task))]
    rows = [
        (
            _noted(label, of),
            _noted(*_cell(share, metric, task)),
            _noted(wording.hits_of_n(share), wording.lesions(share, task)),
        )
        for share, label, of in switches
    ]
    html_table(("decision", "share", "n"), rows, numeric=(1, 2))
    if use.other.hits:
        st.caption(wording.other_note(task))


# --- Against the biopsy ----------------------------------------------------------------------------------------------


def _against_biopsy(use: Use, task: Task, days: int | None) -> None:
    st.header(task.worded(wording.LIVE_HEADING))
    if use.other_biopsies:
        st.markdown(wording.other_biopsies(use.other_biopsies, task))
    if not use.biopsied_cases:
        st.markdown(task.worded(wording.NO_BIOPSIES))
        return
    st.markdown(wording.verification_bias(task))
    data = wording.biopsied_line(use.biopsied_cases, use.biopsied_lesions, wording.PERIOD_NAMES[days], task)
    with card_grid(540, columns=2) as grid:
        with grid.cell():
            names = {rate: metric_of(rate, task).name for rate in RATES}
            figure = charts.reader_rates(rates_frame(use.rates), wording.READER_NAMES, names, task)
            chart(wording.RATES_TITLE, data, figure, "use_rates_chart", note=wording.RATES_NOTE)
        with grid.cell():
            chart_heading(wording.RATES_TITLE, data)
            _rates_table(use.rates, task)
        with grid.cell():
            figure = charts.calibration(bins_frame(use.calibration), task)
            note = wording.calibration_note(task, models.artifact().calibration.population)
            chart(task.worded(wording.CALIBRATION_TITLE), data, figure, "use_calibration_chart", note=note)
        with grid.cell():
            chart_heading(wording.CALIBRATION_TABLE_TITLE, data)
            _calibration_tables(use.calibration, task)


def _rates_table(rates: Sequence[ReaderRates], task: Task) -> None:
    """One row a rate, one column a reader: narrow enough for a phone."""
    rows = [
        (
            metric_of(rate, task).name,
            *(_noted(*_rate(getattr(reader, rate), metric_of(rate, task), task)) for reader in rates),
        )
        for rate in RATES
    ]
    accuracy = metric_of("balanced_accuracy", task)
    rows += [
        (accuracy.name, *(_noted(*_of_estimate(reader.balanced_accuracy, accuracy)) for reader in rates)),
        (f"{task.words.labels} among them", *(f"{reader.classes} of {len(task.classes)}" for reader in rates)),
        (f"cases ({task.words.subjects})", *(f"{reader.cases:,} ({reader.lesions:,})" for reader in rates)),
    ]
    headers = ("", *(wording.READER_NAMES[reader.reader] for reader in rates))
    html_table(headers, rows, numeric=range(1, len(headers)))


def _calibration_tables(calibration: LiveCalibration, task: Task) -> None:
    estimates = {
        "stated": calibration.stated,
        "observed": calibration.observed.estimate,
        "difference": calibration.difference,
        "calibration_error": calibration.calibration_error,
    }
    metrics = {name: metric_of(name, task) for name in estimates}
    html_table(
        ("measure", "value"),
        [(metrics[name].name, _beside(*_of_estimate(estimate, metrics[name]))) for name, estimate in estimates.items()],
        numeric=(1,),
    )
    observed = metrics["observed"]
    html_table(
        ("stated", observed.name.lower(), "n"),
        [
            (percent(each.stated), _beside(*_cell(each.observed, observed, task)), wording.hits_of_n(each.observed))
            for each in calibration.bins
        ],
        numeric=(1, 2),
    )


# --- Drift -----------------------------------------------------------------------------------------------------------


def measured_drift(table: pd.DataFrame) -> tuple[Drift, ...]:
    """All windows of the model in use; a second for ten thousand cases, so not at every filter."""
    return measure_drift(table, reference_of(models.artifact().manifest, present_task()), datetime.now(UTC))


def drift(table: pd.DataFrame, measured: Sequence[Drift], days: int | None) -> None:
    """Recent cases of the model in use against what its manifest says of the training data.

    Args:
        table: all cases.
        measured: of `measured_drift`.
        days: the period that the figures show, None for all.
    """
    artifact = models.artifact()
    reference = reference_of(artifact.manifest, present_task())
    task = reference.task
    st.header(wording.DRIFT_HEADING)
    st.markdown(wording.drift_text(f"{artifact.name} {artifact.version}", reference))
    _alarms(measured, task)
    whole = next(window for window in measured if window.days is None)
    chart_heading(wording.DRIFT_TABLE_TITLE, wording.data_line(whole.cases, whole.lesions, "model in use", task))
    _drift_table(measured, task)
    _quiet(wording.drift_note(task))
    shown = next(window for window in measured if window.days == days)
    data = wording.data_line(shown.cases, shown.lesions, f"model in use, {wording.PERIOD_NAMES[days]}", task)
    with card_grid(540, columns=2) as grid:
        with grid.cell():
            _class_shares(shown, reference, data)
        with grid.cell():
            _distances(table, reference, days, data)


def _alarms(measured: Sequence[Drift], task: Task) -> None:
    """One amber box for each kind of shift that is beyond in some window."""
    for name in SHIFTS:
        beyond = [window for window in measured if getattr(window, name).is_beyond]
        if beyond:
            shifts = [getattr(window, name) for window in beyond]
            st.warning(wording.beyond(beyond, shifts, metric_of(name, task), task), icon=":material/warning:")


def _drift_table(measured: Sequence[Drift], task: Task) -> None:
    metrics = {name: metric_of(name, task) for name in SHIFTS}
    rows = [
        (
            wording.PERIOD_NAMES[window.days],
            f"{window.cases:,} ({window.lesions:,})",
            *(_shift_cell(window, getattr(window, name), metric, task) for name, metric in metrics.items()),
        )
        for window in measured
    ]
    headers = ("period", f"cases ({task.words.subjects})", *(metric.name for metric in metrics.values()))
    tooltips = ("", "", *(metric.plain_tooltip for metric in metrics.values()))
    html_table(headers, rows, numeric=range(1, len(headers)), tooltips=tooltips)


def _shift_cell(window: Drift, shift: Shift, metric: Metric, task: Task) -> Html:
    return _noted(*_of_estimate(shift.estimate, metric), wording.shift_state(window, shift, task))


def _class_shares(window: Drift, reference: Reference, data: str) -> None:
    if reference.class_shares is None:
        chart_heading(wording.CLASS_SHARES_TITLE, data)
        _quiet(wording.NO_ANSWERS)
        return
    task = reference.task
    rows = answers_frame(window, reference.class_shares, task)
    figure = shell_charts.interval_dots(rows, "share of cases, by the AI's answer", wording.reference_name(task))
    chart(wording.CLASS_SHARES_TITLE, data, figure, "use_classes_chart", note=wording.class_shares_note(task))
    csv_download(rows.drop(columns=["images", "colour"]), "answers.csv", key="use_classes_csv")


def _distances(table: pd.DataFrame, reference: Reference, days: int | None, data: str) -> None:
    if reference.ood_levels is None or reference.ood_values is None:
        chart_heading(wording.DISTANCE_TITLE, data)
        _quiet(wording.NO_DISTANCES)
        return
    of_model = since(answered_by(table, reference), days, datetime.now(UTC))
    scores = of_model["ood_score"].to_numpy()
    figure = charts.distances(scores, reference.ood_levels, reference.ood_values, wording.distance_name(reference.task))
    chart(wording.DISTANCE_TITLE, data, figure, "use_distance_chart", note=wording.DISTANCE_NOTE)


# --- Labelled cases --------------------------------------------------------------------------------------------------


def labelled_export(table: pd.DataFrame, who: Actor) -> None:
    """How many cases have a biopsy, and all of them as a training set."""
    task = present_task()
    st.header(wording.EXPORT_HEADING)
    biopsied = table[table["biopsy_dx"].notna()]
    is_clear = biopsied.groupby("lesion_id")["biopsy_dx"].transform("nunique") == 1
    is_refused = is_clear & biopsied["is_refused"]
    is_other = is_clear & ~is_refused & (biopsied["biopsy_dx"] == OTHER)
    clear = biopsied[is_clear & ~is_refused & ~is_other]
    if clear.empty:
        st.markdown(task.worded(wording.NOTHING_LABELLED))
        return
    left_out = (int((~is_clear).sum()), int(is_refused.sum()), int(is_other.sum()))
    st.markdown(wording.labelled(len(clear), clear["lesion_id"].nunique(), *left_out, task))
    st.caption(wording.export_note(task))
    if who.role == "researcher":
        st.caption(wording.EXPORT_NOT_ALLOWED)
        return
    st.download_button(
        wording.EXPORT_BUTTON,
        data=partial(labelled_zip, stores.case_log(), who, task),
        file_name=wording.EXPORT_FILE,
        mime="application/zip",
        key="use_labelled_zip",
        icon=":material/download:",
        on_click="ignore",
        disabled=len(clear) > MAX_ZIP_CASES,
    )
    if len(clear) > MAX_ZIP_CASES:
        st.caption(wording.too_many(MAX_ZIP_CASES))


# --- Cells -----------------------------------------------------------------------------------------------------------


def _cell(share: Share, metric: Metric, task: Task) -> tuple[str, str]:
    """A share and its interval, or that there are too few lesions."""
    value, interval = _of_estimate(share.estimate, metric)
    return value, interval or wording.too_few(share.lesions, task)


def _rate(share: Share, metric: Metric, task: Task) -> tuple[str, ...]:
    """The same, and n."""
    return *_cell(share, metric, task), wording.hits_of_n(share)


def _of_estimate(estimate: Estimate, metric: Metric) -> tuple[str, str]:
    return metric.format(estimate.value), interval_of(estimate, metric)


def _beside(text: str, note: str) -> Html:
    return Html(f"{escape(text)} <small>{escape(note)}</small>")


def _noted(text: str, *notes: str) -> Html:
    """Text with quieter lines below it, which keeps a table narrow enough for a phone."""
    lines = "".join(f'<br><small style="margin: 0">{escape(note)}</small>' for note in notes if note)
    return Html(f'<span style="white-space: normal">{escape(text)}{lines}</span>')


def _quiet(text: str) -> None:
    if text:
        st.html(f'<p class="lens-data">{escape(text)}</p>')
