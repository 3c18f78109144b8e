"""Functions that draw the Use page: agreement, rates against the biopsy, drift, and the labelled cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape

import pandas as pd
import streamlit as st

from dashboard.shell import charts as shell_charts
from dashboard.shell import resources
from dashboard.shell.formats import percent
from dashboard.shell.glossary import METRICS
from dashboard.shell.identity import actor
from dashboard.shell.metrics import Metric
from dashboard.shell.widgets import Html, card_grid, chart, chart_heading, csv_download, html_table
from dashboard.use import charts, wording
from dashboard.use.tables import RATES, SWITCHES, answers_frame, bins_frame, rates_frame, use_frame
from data.cases.case import Actor
from data.cases.labelled import labelled_zip
from data.cases.queries import CaseQuery
from data.tasks.skin import DX_CODES
from model.evaluation.drift import Drift, Reference, Shift, measure_drift, reference_of, since
from model.evaluation.use import LiveCalibration, ReaderRates, Share, Use, measure_use, use_table
from model.measures.intervals import Estimate

HEADLINES = ("before", "after", "switched", "flagged")
SHIFTS = ("classes", "distance", "blurred")
# About 300 kB an image; a ZIP is made in memory.
MAX_ZIP_CASES = 1000


def load_cases() -> pd.DataFrame:
    """All cases of the actor's organisation as a table of `model.evaluation.use`; raises what the case log raises."""
    with st.spinner(wording.LOADING):
        return use_table(resources.case_log().cases(CaseQuery(), actor()))


def empty_log() -> None:
    """What to do first."""
    st.info(f"**{wording.EMPTY_LOG_TITLE}.** {wording.EMPTY_LOG}", icon=":material/folder_open:")


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
    use = measure_use(chosen)
    _agreement(use, days)
    _against_biopsy(use, days)


# --- Clinician and AI ------------------------------------------------------------------------------------------------


def _agreement(use: Use, days: int | None) -> None:
    st.subheader(wording.AGREEMENT_HEADING)
    st.markdown(wording.AGREEMENT_TEXT)
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
                _headline(METRICS[name], shares[name])
                _quiet(wording.kappa_line(kappas[name]) if name in kappas else "")
    chart_heading(wording.SWITCHES_TITLE, wording.data_line(use.cases, use.lesions, wording.PERIOD_NAMES[days]))
    _switches(use)
    csv_download(use_frame(use), "use.csv", key="use_csv")


def _headline(metric: Metric, share: Share) -> None:
    st.metric(metric.name, metric.format(share.estimate.value), help=metric.tooltip)
    _quiet(wording.under_metric(share, metric))


def _switches(use: Use) -> None:
    metric = METRICS["switched"]
    switches = [(getattr(use.switches, name), *wording.SWITCH_NAMES[name]) for name in SWITCHES]
    rows = [
        (_noted(label, of), _noted(*_cell(share, metric)), _noted(wording.hits_of_n(share), wording.lesions(share)))
        for share, label, of in switches
    ]
    html_table(("decision", "share", "n"), rows, numeric=(1, 2))


# --- Against the biopsy ----------------------------------------------------------------------------------------------


def _against_biopsy(use: Use, days: int | None) -> None:
    st.subheader(wording.LIVE_HEADING)
    if not use.biopsied_cases:
        st.markdown(wording.NO_BIOPSIES)
        return
    st.markdown(wording.VERIFICATION_BIAS)
    data = wording.biopsied_line(use.biopsied_cases, use.biopsied_lesions, wording.PERIOD_NAMES[days])
    with card_grid(540, columns=2) as grid:
        with grid.cell():
            names = {rate: METRICS[rate].name for rate in RATES}
            figure = charts.reader_rates(rates_frame(use.rates), wording.READER_NAMES, names)
            chart(wording.RATES_TITLE, data, figure, "use_rates_chart", note=wording.RATES_NOTE)
        with grid.cell():
            chart_heading(wording.RATES_TITLE, data)
            _rates_table(use.rates)
        with grid.cell():
            figure = charts.calibration(bins_frame(use.calibration))
            chart(wording.CALIBRATION_TITLE, data, figure, "use_calibration_chart", note=wording.CALIBRATION_NOTE)
        with grid.cell():
            chart_heading(wording.CALIBRATION_TABLE_TITLE, data)
            _calibration_tables(use.calibration)


def _rates_table(rates: Sequence[ReaderRates]) -> None:
    """One row a rate, one column a reader: narrow enough for a phone."""
    rows = [
        (METRICS[rate].name, *(_noted(*_rate(getattr(reader, rate), METRICS[rate])) for reader in rates))
        for rate in RATES
    ]
    accuracy = METRICS["balanced_accuracy"]
    rows += [
        (accuracy.name, *(_noted(*_of_estimate(reader.balanced_accuracy, accuracy)) for reader in rates)),
        ("diagnoses found", *(f"{reader.classes} of {len(DX_CODES)}" for reader in rates)),
        ("cases (lesions)", *(f"{reader.cases:,} ({reader.lesions:,})" for reader in rates)),
    ]
    headers = ("", *(wording.READER_NAMES[reader.reader] for reader in rates))
    html_table(headers, rows, numeric=range(1, len(headers)))


def _calibration_tables(calibration: LiveCalibration) -> None:
    estimates = {
        "stated": calibration.stated,
        "observed": calibration.observed.estimate,
        "difference": calibration.difference,
        "calibration_error": calibration.calibration_error,
    }
    html_table(
        ("measure", "value"),
        [(METRICS[name].name, _beside(*_of_estimate(estimate, METRICS[name]))) for name, estimate in estimates.items()],
        numeric=(1,),
    )
    observed = METRICS["observed"]
    html_table(
        ("stated", observed.name.lower(), "n"),
        [
            (percent(each.stated), _beside(*_cell(each.observed, observed)), wording.hits_of_n(each.observed))
            for each in calibration.bins
        ],
        numeric=(1, 2),
    )


# --- Drift -----------------------------------------------------------------------------------------------------------


def measured_drift(table: pd.DataFrame) -> tuple[Drift, ...]:
    """All windows of the model in use; a second for ten thousand cases, so not at every filter."""
    return measure_drift(table, reference_of(resources.artifact().manifest), datetime.now(UTC))


def drift(table: pd.DataFrame, measured: Sequence[Drift], days: int | None) -> None:
    """Recent cases of the model in use against what its manifest says of the training data.

    Args:
        table: all cases.
        measured: of `measured_drift`.
        days: the period that the figures show, None for all.
    """
    artifact = resources.artifact()
    reference = reference_of(artifact.manifest)
    st.subheader(wording.DRIFT_HEADING)
    st.markdown(wording.drift_text(f"{artifact.name} {artifact.version}", reference))
    _alarms(measured)
    whole = next(window for window in measured if window.days is None)
    chart_heading(wording.DRIFT_TABLE_TITLE, wording.data_line(whole.cases, whole.lesions, "model in use"))
    _drift_table(measured)
    _quiet(wording.DRIFT_NOTE)
    shown = next(window for window in measured if window.days == days)
    data = wording.data_line(shown.cases, shown.lesions, f"model in use, {wording.PERIOD_NAMES[days]}")
    with card_grid(540, columns=2) as grid:
        with grid.cell():
            _class_shares(shown, reference, data)
        with grid.cell():
            _distances(table, reference, days, data)


def _alarms(measured: Sequence[Drift]) -> None:
    """One amber box for each kind of shift that is beyond in some window."""
    for name in SHIFTS:
        beyond = [window for window in measured if getattr(window, name).is_beyond]
        if beyond:
            shifts = [getattr(window, name) for window in beyond]
            st.warning(wording.beyond(beyond, shifts, METRICS[name]), icon=":material/warning:")


def _drift_table(measured: Sequence[Drift]) -> None:
    rows = [
        (
            wording.PERIOD_NAMES[window.days],
            f"{window.cases:,} ({window.lesions:,})",
            *(_shift_cell(window, getattr(window, name), METRICS[name]) for name in SHIFTS),
        )
        for window in measured
    ]
    metrics = [METRICS[name] for name in SHIFTS]
    headers = ("period", "cases (lesions)", *(metric.name for metric in metrics))
    tooltips = ("", "", *(metric.plain_tooltip for metric in metrics))
    html_table(headers, rows, numeric=range(1, len(headers)), tooltips=tooltips)


def _shift_cell(window: Drift, shift: Shift, metric: Metric) -> Html:
    return _noted(*_of_estimate(shift.estimate, metric), wording.shift_state(window, shift))


def _class_shares(window: Drift, reference: Reference, data: str) -> None:
    if reference.class_shares is None:
        chart_heading(wording.CLASS_SHARES_TITLE, data)
        _quiet(wording.NO_ANSWERS)
        return
    rows = answers_frame(window, reference.class_shares)
    figure = shell_charts.interval_dots(rows, "share of cases, by the AI's answer", wording.REFERENCE_NAME)
    chart(wording.CLASS_SHARES_TITLE, data, figure, "use_classes_chart", note=wording.CLASS_SHARES_NOTE)
    csv_download(rows.drop(columns=["images", "colour"]), "answers.csv", key="use_classes_csv")


def _distances(table: pd.DataFrame, reference: Reference, days: int | None, data: str) -> None:
    if reference.ood_levels is None or reference.ood_values is None:
        chart_heading(wording.DISTANCE_TITLE, data)
        _quiet(wording.NO_DISTANCES)
        return
    of_model = since(table[table["artifact_sha256"] == reference.artifact_sha256], days, datetime.now(UTC))
    scores = of_model["ood_score"].to_numpy()
    figure = charts.distances(scores, reference.ood_levels, reference.ood_values, wording.REFERENCE_NAME)
    chart(wording.DISTANCE_TITLE, data, figure, "use_distance_chart", note=wording.DISTANCE_NOTE)


# --- Labelled cases --------------------------------------------------------------------------------------------------


def labelled_export(table: pd.DataFrame, who: Actor) -> None:
    """How many cases have a biopsy, and all of them as a training set."""
    st.subheader(wording.EXPORT_HEADING)
    biopsied = table[table["biopsy_dx"].notna()]
    is_clear = biopsied.groupby("lesion_id")["biopsy_dx"].transform("nunique") == 1
    clear = biopsied[is_clear]
    if clear.empty:
        st.markdown(wording.NOTHING_LABELLED)
        return
    st.markdown(wording.labelled(len(clear), clear["lesion_id"].nunique(), int((~is_clear).sum())))
    st.caption(wording.EXPORT_NOTE)
    if who.role == "researcher":
        st.caption(wording.EXPORT_NOT_ALLOWED)
        return
    st.download_button(
        wording.EXPORT_BUTTON,
        data=partial(labelled_zip, resources.case_log(), who),
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


def _cell(share: Share, metric: Metric) -> tuple[str, str]:
    """A share and its interval, or that there are too few lesions."""
    value, interval = _of_estimate(share.estimate, metric)
    return value, interval or wording.too_few(share.lesions)


def _rate(share: Share, metric: Metric) -> tuple[str, ...]:
    """The same, and n."""
    return *_cell(share, metric), wording.hits_of_n(share)


def _of_estimate(estimate: Estimate, metric: Metric) -> tuple[str, str]:
    return metric.format(estimate.value), wording.interval_of(estimate, metric)


def _beside(text: str, note: str) -> Html:
    return Html(f"{escape(text)} <small>{escape(note)}</small>")


def _noted(text: str, *notes: str) -> Html:
    """Text with quieter lines below it, which keeps a table narrow enough for a phone."""
    lines = "".join(f'<br><small style="margin: 0">{escape(note)}</small>' for note in notes if note)
    return Html(f'<span style="white-space: normal">{escape(text)}{lines}</span>')


def _quiet(text: str) -> None:
    if text:
        st.html(f'<p class="lens-data">{escape(text)}</p>')
