"""Figures, tables and words of the Use page."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dashboard.shell.glossary import METRIC_NAMES, metric_of
from dashboard.use import charts as use_charts
from dashboard.use import wording
from dashboard.use.tables import answers_frame, bins_frame, rates_frame, share_columns, use_frame
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.evaluation.drift import Drift, Reference, Shift, measure_drift
from model.evaluation.use import NOTHING, Share, Use, measure_use, use_table
from model.measures.intervals import Estimate
from tests.support.use import NOON, made_up_case

RESAMPLES = 50
NAMES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV", "npv": "NPV"}
SHARE = Share(Estimate(0.72, 0.58, 0.82), 36, 50, 41)
TOO_FEW = Share(NOTHING, 2, 3, 3)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Twelve melanomas that all readers find, two of which the own read misses, and eleven nevi; no bcc."""
    cases = [made_up_case("mel", "nv" if number < 2 else "mel", "mel", "mel") for number in range(12)]
    return use_table(cases + [made_up_case("nv", None, "nv", "nv") for _ in range(11)], SKIN)


@pytest.fixture(scope="module")
def use(table: pd.DataFrame) -> Use:
    return measure_use(table, SKIN, RESAMPLES)


def test_rates_are_drawn_for_each_reader_that_has_them(use: Use) -> None:
    figure = use_charts.reader_rates(rates_frame(use.rates), wording.READER_NAMES, NAMES, SKIN)
    drawn = {trace.name: dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data}
    assert drawn["AI"] == {"Sensitivity": 1, "Specificity": 1, "PPV": 1, "NPV": 1}
    # No own read of a nevus, and only two own reads that say benign: only sensitivity and PPV can be said.
    assert drawn["Own read"] == {"Sensitivity": pytest.approx(10 / 12), "PPV": 1}
    assert list(drawn) == list(wording.READER_NAMES.values())
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    sensitivity = figure.data[0].customdata[0]
    assert sensitivity[2:].tolist() == [12, 12, 12] and 0 < sensitivity[0] < 1 == sensitivity[1]


def test_calibration_draws_bins_with_enough_lesions(use: Use) -> None:
    frame = bins_frame(use.calibration)
    few = frame.assign(value=[math.nan, *frame["value"][1:]])
    dots = use_charts.calibration(frame, SKIN).data[1], use_charts.calibration(few, SKIN).data[1]
    assert [len(trace.x) for trace in dots] == [2, 1]
    assert list(dots[0].y) == [0, 1]
    assert all(trace.error_y.array is not None for trace in dots)


def test_distances_end_at_all_images() -> None:
    figure = use_charts.distances(np.array([0.9, 0.5]), np.array([0, 0.5, 1]), np.array([0.1, 1, 2]), "reference")
    reference, cases = figure.data
    assert (list(reference.x), list(reference.y)) == ([0.1, 1, 2], [0, 0.5, 1])
    assert (list(cases.x), list(cases.y)) == ([0.5, 0.9], [0.5, 1]) and "n 2" in cases.name
    assert len(use_charts.distances(np.array([]), np.array([0, 1]), np.array([0, 1]), "reference").data) == 2


def test_tables_hold_every_share_with_its_n(use: Use) -> None:
    frame = use_frame(use, SKIN)
    assert len(frame) == 5 + 5 + 12 + 1 and frame["measure"].is_unique
    assert "malignant_by_biopsy" in set(frame["measure"])
    before = frame.set_index("measure").loc["agreement_before"]
    assert (before["hits"], before["cases"], before["lesions"]) == (10, 12, 12)
    assert share_columns(SHARE) == {
        "value": 0.72,
        "low": 0.58,
        "high": 0.82,
        "hits": 36,
        "cases": 50,
        "lesions": 41,
    }


def test_answers_have_a_row_a_diagnosis(table: pd.DataFrame) -> None:
    reference = Reference(SKIN, "0" * 64, 7, 7, np.full(7, 1 / 7), None, None, None)
    frame = answers_frame(measure_drift(table, reference, NOON, RESAMPLES)[-1], np.full(7, 1 / 7), SKIN)
    assert list(frame["name"]) == list(SKIN.codes)
    assert frame.set_index("name").loc[["mel", "nv", "bcc"], "hits"].tolist() == [12, 11, 0]


def test_words_under_a_figure_say_interval_and_n() -> None:
    metric = metric_of("before", SKIN)
    assert wording.under_metric(SHARE, metric, SKIN) == "58 to 82 % · 36 of 50 cases, 41 lesions"
    assert (
        wording.under_metric(TOO_FEW, metric, SKIN) == "too few to say (3 lesions; 10 needed) · 2 of 3 cases, 3 lesions"
    )
    assert wording.hits_of_n(SHARE) == "36 of 50" and wording.lesions(SHARE, SKIN) == "41 lesions"
    assert wording.kappa_line(Estimate(0.4, 0.3, 0.52), SKIN) == "kappa 0.40 (0.30 to 0.52)"
    assert wording.kappa_line(NOTHING, SKIN) == ""


def drift_of(shift: Shift) -> Drift:
    return Drift(30, 50, 41, shift, shift, shift, ())


@pytest.mark.parametrize(
    ("shift", "state"),
    [
        (Shift(Estimate(0.2, 0.12, 0.3), 0.1), "shifted, above 10 %"),
        (Shift(Estimate(0.05, 0.0, 0.09), 0.1), "within 10 %"),
        (Shift(Estimate(0.12, 0.05, 0.2), 0.1), "cannot be told"),
        (Shift(Estimate(0.02, 0.01, 0.05), 0.001), "shifted, above 0.1 %"),
        (Shift(Estimate(0.02, 0.01, 0.05), math.nan), "no reference"),
    ],
)
def test_state_of_a_shift(shift: Shift, state: str) -> None:
    assert wording.shift_state(drift_of(shift), shift, SKIN) == state


def test_too_few_lesions_are_said_of_a_shift() -> None:
    shift = Shift(NOTHING, 0.1)
    drift = Drift(30, 5, 4, shift, shift, shift, ())
    assert wording.shift_state(drift, shift, SKIN) == "too few to say (4 lesions; 30 needed)"


def test_amber_sentence_names_window_value_interval_and_limit() -> None:
    shift = Shift(Estimate(0.2, 0.12, 0.3), 0.1)
    later = replace(drift_of(shift), days=None, lesions=90)
    sentence = wording.beyond([drift_of(shift), later], [shift, shift], metric_of("classes", SKIN), SKIN)
    assert sentence.startswith(
        "**Shift of answers above the accepted 10 %:** last 30 days 20 % (12 to 30 %, 41 lesions); all time 20 % "
        "(12 to 30 %, 90 lesions). See"
    )


def test_no_text_calls_anything_safe() -> None:
    texts = [value for name, value in vars(wording).items() if isinstance(value, str) and name.isupper()]
    of_task = (
        wording.intro, wording.empty_log, wording.agreement_text, wording.verification_bias,
        wording.reference_name, wording.class_shares_note, wording.drift_note, wording.export_note,
    )  # fmt: skip
    texts += [tell(task) for tell in of_task for task in (SKIN, RETINA)]
    texts += [wording.calibration_note(task, task.dataset.population) for task in (SKIN, RETINA)]
    metrics = [metric_of(name, task) for name in METRIC_NAMES for task in (SKIN, RETINA)]
    texts += [metric.tooltip for metric in metrics]
    assert len(texts) > 30
    assert not [text for text in texts if " safe" in text.lower() or "no risk" in text.lower()]
    for metric in metrics:
        assert metric.sentence.endswith(".") and metric.formula
