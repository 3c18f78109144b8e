"""Figures: what is drawn is what was counted, axes are labelled, and the theme may set the colours of text."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboard.dataset import charts as dataset_charts
from dashboard.dataset.cohort import count_by_dx, cross_count, positive_share
from dashboard.dataset.wording import CONFIRMATION_NAMES
from dashboard.evaluation import charts as evaluation_charts
from dashboard.evaluation import curves as curves_of
from dashboard.evaluation.tables import (
    benefit_frame,
    confusion_frame,
    per_class_frame,
    published,
    reweighed,
    summary_frame,
    threshold_frame,
)
from dashboard.evaluation.wording import measure_name
from dashboard.shell import charts
from dashboard.shell.colours import DX_TYPE_COLOURS, SEX_COLOURS, translucent
from dashboard.shell.formats import SEX_NAMES
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import interval, interval_range, with_chance, with_interval
from data.datasets.ham10000 import DX_TYPES, load_counts
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.evaluation.precision_recall import precision_recall_curves
from model.evaluation.predictions import Cohort, cohort_of
from model.evaluation.questions import question_scores, questions_of
from model.evaluation.results import MACRO, evaluate, roc_curves
from model.inference.measured import MeasuredRate, OperatingPoint
from model.measures.calibration import CalibrationError
from model.measures.intervals import Estimate
from model.measures.shares import BinaryThresholds
from tests.support.dashboard import made_up_history, made_up_predictions

COUNTS = load_counts()
EMPTY = COUNTS.iloc[:0]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return cohort_of(made_up_predictions(), SKIN)


def dataset_figures(counts: pd.DataFrame) -> dict[str, go.Figure]:
    return {
        "dx": dataset_charts.class_bars(SKIN, count_by_dx(SKIN, counts, "images"), "images"),
        "age": dataset_charts.age_bars(SKIN, cross_count(SKIN, counts, "age", "images"), "images"),
        "sex": dataset_charts.share_bars(
            SKIN, cross_count(SKIN, counts, "sex", "images"), "images", SEX_NAMES, SEX_COLOURS
        ),
        "dx_type": dataset_charts.share_bars(
            SKIN, cross_count(SKIN, counts, "dx_type", "images"), "images", CONFIRMATION_NAMES, DX_TYPE_COLOURS
        ),
        "site": dataset_charts.site_heatmap(SKIN, cross_count(SKIN, counts, "localization", "images"), "images"),
        "share by age": dataset_charts.positive_share_dots(
            SKIN, positive_share(SKIN, counts, "age", "images"), "images", True
        ),
        "share by site": dataset_charts.positive_share_dots(
            SKIN, positive_share(SKIN, counts, "localization", "images"), "images", False
        ),
    }


@pytest.mark.parametrize("name", list(dataset_figures(COUNTS)))
def test_figures_leave_background_and_text_to_the_theme(name: str) -> None:
    figure = dataset_figures(COUNTS)[name]
    assert figure.layout.template.layout.paper_bgcolor == charts.TRANSPARENT
    assert figure.layout.paper_bgcolor is None
    assert figure.layout.font.color is None
    assert figure.layout.title.text is None  # titles stand above a chart, where they wrap
    assert figure.layout.dragmode is False  # a phone can scroll past


@pytest.mark.parametrize("name", list(dataset_figures(EMPTY)))
def test_figures_of_an_empty_cohort_can_be_drawn(name: str) -> None:
    dataset_figures(EMPTY)[name].to_json()


def test_one_colour_for_each_diagnosis() -> None:
    assert set(DX_TYPE_COLOURS) == set(DX_TYPES) == set(CONFIRMATION_NAMES)
    assert translucent("#102030", 0.5) == "rgba(16,32,48,0.5)"


def test_diagnosis_bars_fade_what_the_filter_leaves_out() -> None:
    figure = dataset_charts.class_bars(SKIN, count_by_dx(SKIN, COUNTS, "images"), "images", chosen=("mel",))
    bars = figure.data[0]
    assert list(bars.y) == list(SKIN.codes)
    assert list(bars.x) == [327, 514, 1099, 115, 1113, 6705, 142]
    assert [dx for dx, opacity in zip(bars.y, bars.marker.opacity, strict=True) if opacity == 1] == ["mel"]
    assert bars.text[5] == "6,705"


def test_age_bars_add_up_to_all_images() -> None:
    figure = dataset_figures(COUNTS)["age"]
    assert sum(np.sum(trace.y) for trace in figure.data) == 10015
    assert "years" in figure.layout.xaxis.title.text


def test_share_bars_add_up_to_one() -> None:
    for name in ("sex", "dx_type"):
        total = np.sum([trace.x for trace in dataset_figures(COUNTS)[name].data], axis=0)
        np.testing.assert_allclose(total, 1)


def test_site_heatmap_columns_add_up_to_one_and_cells_say_counts() -> None:
    heatmap, text = dataset_figures(COUNTS)["site"].data
    np.testing.assert_allclose(heatmap.z.sum(axis=0), 1)
    assert "1,427" in text.text  # nevi on the back


def test_roc_draws_band_curve_and_marks(cohort: Cohort) -> None:
    once = made_up_predictions()
    copies = [once.assign(**{name: once[name] + f"_{n}" for name in ("image_id", "lesion_id")}) for n in range(15)]
    curves = roc_curves(cohort_of(pd.concat(copies), SKIN), resamples=20)
    current = BinaryThresholds(*question_scores(cohort, "mel"), cohort.lesion_ids).at(0.3)
    figure = curves_of.roc(SKIN, curves, ["malignant", "mel"], {}, "mel", current)
    names = [trace.name for trace in figure.data if trace.name]
    assert [name.split()[0] for name in names] == ["mel", "malignant", "threshold"]
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(bands) == 2
    assert figure.data[-1].y[0] == current.sensitivity.value
    assert figure.data[-1].x[0] == pytest.approx(1 - current.specificity.value)


def test_roc_of_too_few_lesions_says_so_and_has_no_band(cohort: Cohort) -> None:
    figure = curves_of.roc(SKIN, roc_curves(cohort, resamples=5), ["mel"])
    assert next(trace.name for trace in figure.data if trace.name).endswith(" (too few to say)")
    assert not [trace for trace in figure.data if trace.fill]


def test_roc_of_many_curves_has_no_bands(cohort: Cohort) -> None:
    figure = curves_of.roc(SKIN, roc_curves(cohort, resamples=5), list(questions_of(SKIN)))
    assert len(figure.data) == 1 + len(questions_of(SKIN))
    assert not [trace for trace in figure.data if trace.fill]


def test_roc_of_no_curve_is_the_diagonal(cohort: Cohort) -> None:
    assert len(curves_of.roc(SKIN, roc_curves(cohort, resamples=5), []).data) == 1


def test_precision_recall_draws_band_curve_guessing_and_marks(cohort: Cohort) -> None:
    once = made_up_predictions()
    copies = [once.assign(**{name: once[name] + f"_{n}" for name in ("image_id", "lesion_id")}) for n in range(15)]
    curves = precision_recall_curves(cohort_of(pd.concat(copies), SKIN), resamples=20)
    current = BinaryThresholds(*question_scores(cohort, "mel"), cohort.lesion_ids).at(0.3)
    figure = curves_of.precision_recall(SKIN, curves, ["malignant", "mel"], {}, "mel", current)
    names = [trace.name for trace in figure.data if trace.name]
    assert [name.split()[0] for name in names] == ["malignant", "mel", "threshold"]
    assert len([trace for trace in figure.data if trace.fill == "toself"]) == 2
    guessing = [trace.y[0] for trace in figure.data if trace.line.dash == "dot"]
    assert guessing == pytest.approx([27 / 63, 9 / 63])
    assert (figure.data[-1].x[0], figure.data[-1].y[0]) == (current.sensitivity.value, current.ppv.value)


def test_precision_recall_of_too_few_lesions_says_so_and_has_no_band(cohort: Cohort) -> None:
    figure = curves_of.precision_recall(SKIN, precision_recall_curves(cohort, resamples=5), ["mel"])
    assert next(trace.name for trace in figure.data if trace.name).endswith(" (too few to say)")
    assert not [trace for trace in figure.data if trace.fill]


def test_decision_curve_is_worked_out_by_hand() -> None:
    is_positive = np.array([True] * 10 + [False] * 10)
    score = np.array([0.9] * 8 + [0.1] * 2 + [0.9] * 4 + [0.1] * 6)  # sensitivity 0.8, specificity 0.6 at 20 %
    rates = [BinaryThresholds(is_positive, score, np.arange(20).astype(str)).at(threshold) for threshold in (0.0, 0.2)]
    table = benefit_frame(rates, 0.1)
    # At 20 % an unneeded action weighs a quarter: 80 - 360 / 4, and of all 100 - 900 / 4.
    assert table["benefit"].tolist() == pytest.approx([100, -10])
    assert table["of_all"].tolist() == pytest.approx([100, -125])
    model, of_all, none = (trace for trace in curves_of.decision_curve(table, "malignant", 0.2).data if trace.name)
    assert (list(model.y), list(of_all.y)) == (table["benefit"].tolist(), table["of_all"].tolist())
    assert list(none.y) == [0, 0]


def test_corners_keep_the_shape_of_a_curve() -> None:
    x = np.array([0.0, 0.0, 0.0, 0.5, 1.0])
    y = np.array([0.0, 0.5, 1.0, 1.0, 1.0])
    assert curves_of._corners(x, y).tolist() == [True, False, True, False, True]


def test_confusion_matrix_shows_shares_or_counts() -> None:
    confusion = np.diag([3, 0, 5, 1, 1, 200, 2])
    confusion[5, 4] = 1
    shares = evaluation_charts.confusion_matrix(SKIN, confusion, shows_counts=False)
    heatmap, text = shares.data
    assert heatmap.z[0, 0] == 1
    assert heatmap.z[1].sum() == 0  # no image of the class: nothing to share out, and no division by zero
    assert text.text[5 * 7 + 4] == "<1"
    assert evaluation_charts.confusion_matrix(SKIN, confusion, shows_counts=True).data[1].text[5 * 7 + 5] == "200"
    assert heatmap.y[5] == "nv  n 201"


def test_training_curve_without_a_measure_in_training_shows_validation_alone() -> None:
    figure = evaluation_charts.training_curve(made_up_history().drop(columns="auc"), "auc", "AUC (area)")
    assert {line.name for line in figure.data} == {"validation"}


def test_training_curve_marks_the_phases() -> None:
    figure = evaluation_charts.training_curve(made_up_history(), "loss", "loss")
    assert [trace.name for trace in figure.data] == ["training", "validation"] * 2  # of two networks
    assert [trace.showlegend for trace in figure.data] == [True, True, False, False]
    assert all(list(trace.x) == [1, 2, 3, 4] for trace in figure.data)
    assert [shape.x0 for shape in figure.layout.shapes] == [1.5]


def test_reliability_dots_grow_with_the_images() -> None:
    table = pd.DataFrame({"stated": [0.2, 0.8], "observed": [0.1, 0.9], "images": [10, 40]})
    diagonal, dots = evaluation_charts.reliability(table, "share that was right").data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(zip(dots.x, dots.y, dots.marker.size, strict=True)) == [(0.2, 0.1, 10), (0.8, 0.9, 40)]
    # Plotly draws an area of size / sizeref: the largest dot is 20 pixels wide.
    assert (40 / dots.marker.sizeref) ** 0.5 == pytest.approx(evaluation_charts.MAX_DOT_SIZE)


def test_reliability_without_images_is_the_diagonal() -> None:
    evaluation_charts.reliability(pd.DataFrame({"stated": [], "observed": [], "images": []}), "share").to_json()


def test_interval_dots_draw_value_interval_and_reference() -> None:
    table = pd.DataFrame(
        {
            "name": ["mel", "a name that is too long for one line"],
            "value": [0.5, np.nan],
            "low": [0.4, np.nan],
            "high": [0.75, np.nan],
            "reference": [0.9, 0.9],
            "images": [10, 0],
            "colour": ["#D55E00", "#3590ad"],
        }
    )
    figure = charts.interval_dots(table, "share", "aimed at")
    references, dot, missing = figure.data
    assert list(references.x) == [0.9, 0.9]
    assert (dot.x[0], dot.error_x.array[0], dot.error_x.arrayminus[0]) == pytest.approx((0.5, 0.25, 0.1))
    assert np.isnan(missing.x[0])
    assert missing.y[0] == "a name that is too long for<br>one line"
    assert list(figure.layout.yaxis.categoryarray) == [missing.y[0], "mel"]  # drawn from the top


def test_set_sizes_say_their_share() -> None:
    bars = evaluation_charts.set_sizes(SKIN, [0.5, 0.25, 0.245, 0.005, 0, 0, 0]).data[0]
    assert list(bars.x) == [1, 2, 3, 4, 5, 6, 7]
    assert list(bars.text) == ["50 %", "25 %", "24 %", "< 1 %", "0 %", "0 %", "0 %"]


def test_questions_are_the_groups_and_the_classes(cohort: Cohort) -> None:
    assert questions_of(SKIN) == ("malignant", *SKIN.codes)
    is_positive, score = question_scores(cohort, "malignant")
    assert is_positive.sum() == 27  # three malignant classes of six lesions, three of which have two images
    np.testing.assert_allclose(score, cohort.probabilities[:, [0, 1, 4]].sum(axis=1))
    with pytest.raises(ValueError, match="expected one of"):
        question_scores(cohort, MACRO)


def test_predictive_values_elsewhere_are_worked_out_by_hand() -> None:
    is_positive = np.array([True] * 10 + [False] * 10)
    score = np.array([0.9] * 8 + [0.1] * 2 + [0.9] * 4 + [0.1] * 6)  # sensitivity 0.8, specificity 0.6
    metrics = BinaryThresholds(is_positive, score, np.arange(20).astype(str)).at(0.5)
    result = reweighed(metrics, 0.1)
    assert result.ppv == pytest.approx(80 / 440)
    assert result.npv == pytest.approx(540 / 560)
    frame = threshold_frame("malignant", metrics, result)
    assert frame["measure"].tolist()[:5] == ["sensitivity", "specificity", "ppv", "npv", "accuracy"]
    assert frame["hits"].tolist()[:5] == [8, 6, 8, 6, 14]
    assert frame["n"].tolist()[:5] == [10, 10, 12, 8, 20]
    assert frame["prevalence"].isna().tolist() == [True] * 5 + [False] * 2
    assert frame.loc[5:, ["measure", "prevalence"]].values.tolist() == [["ppv", 0.1], ["npv", 0.1]]
    assert (measure_name(SKIN, "ppv", math.nan), measure_name(SKIN, "npv", 0.125)) == ("PPV", "NPV at 12.5 %")


def test_download_tables_hold_every_number(cohort: Cohort) -> None:
    evaluation = evaluate(cohort, resamples=20)
    classes = per_class_frame(SKIN, evaluation)
    assert tuple(classes["dx"]) == SKIN.codes
    assert {"sensitivity", "sensitivity_low", "auroc_high"} <= set(classes.columns)
    assert confusion_frame(SKIN, evaluation.confusion).iloc[:, 1:].to_numpy().sum() == evaluation.images
    assert summary_frame(SKIN, evaluation)["metric"].tolist() == [
        "balanced_accuracy",
        "macro_auroc",
        "malignant_auroc",
        "calibration_error",
        "accuracy",
    ]


def test_names_in_downloads_are_those_of_the_question_and_of_the_gravest_class() -> None:
    names = ("positive_auroc_low", "gravest_auroc", "positive_lesions", "negative_lesions", "positive", "images")
    assert [published(SKIN, name) for name in names] == [
        "malignant_auroc_low",
        "melanoma_auroc",
        "malignant_lesions",
        "benign_lesions",
        "malignant",
        "images",
    ]
    assert published(RETINA, "negative_lesions") == "not_referable_lesions"
    assert published(RETINA, "gravest_auroc_high") == "proliferative_retinopathy_auroc_high"


def test_numbers_are_written_for_a_reader() -> None:
    assert metric_of("ppv", SKIN).format(0.834) == "83 %"
    assert metric_of("ppv", SKIN).format(0.004) == "< 1 %"
    assert metric_of("ppv", SKIN).format(float("nan")) == "–"
    assert metric_of("auroc", SKIN).format(0.934) == "0.93"
    assert metric_of("calibration_error", SKIN).format(0.0263) == "2.6 %"
    assert interval_range(0.75, 0.831, metric_of("ppv", SKIN)) == "75 to 83 %"
    assert interval_range(0.97, 0.999, metric_of("ppv", SKIN)) == "97 to > 99 %"
    assert interval_range(float("nan"), 1.0, metric_of("ppv", SKIN)) == "–"


def test_value_without_interval_says_why() -> None:
    nan, area, error = float("nan"), metric_of("auroc", SKIN), metric_of("calibration_error", SKIN)
    assert interval(Estimate(0.91, nan, nan), area, 18) == "too few to say, n = 18"
    assert with_interval(area, 0.91, nan, nan, 18) == "0.91 (too few to say, n = 18)"
    assert interval(Estimate(nan, nan, nan), area, 0) == "–, n = 0"
    measured = CalibrationError(0.0263, nan, nan, 0.019, 0.0274)
    assert interval(measured, error, 1502) == "if perfectly calibrated: 1.9 %, up to 2.7 %, n = 1,502"
    assert with_chance(error, 0.0263, 0.019, 0.0274) == "2.6 % (if perfectly calibrated: 1.9 %, up to 2.7 %)"
    assert with_chance(error, 0.0263, nan, nan, 9) == "2.6 % (n = 9)"


def test_shares_of_a_figure_read_as_on_the_rest_of_the_screen() -> None:
    figure = charts.new_figure(200)
    figure.add_scatter(
        x=[0.1, 0.25], y=[0.5, math.nan], customdata=[0.9, 1.0], hovertemplate="%{y:.1%}, %{customdata:.0%} at %{x:.2f}"
    )
    figure.add_scatter(
        x=[0.3], y=[0.4], customdata=[[7, 0.125]], hovertemplate="%{customdata[0]:,} of %{customdata[1]:.1%}"
    )
    figure.add_heatmap(z=[[0.2, 0.8]], customdata=[[[1], [2]]], hovertemplate="%{customdata[0]} (%{z:.0%})")
    figure.update_xaxes(tickformat=".0%", nticks=6)
    figure.update_yaxes(tickformat=".0%", dtick=0.25, range=[-0.04, 1.04])
    charts.space_percents(figure)
    first, second, cells = figure.data
    assert first.hovertemplate == "%{customdata[2]}, %{customdata[1]} at %{x:.2f}"
    assert first.customdata.tolist() == [[0.9, "90 %", "50.0 %"], [1.0, "100 %", ""]]
    assert second.hovertemplate == "%{customdata[0]:,} of %{customdata[2]}"
    assert second.customdata.tolist() == [[7, 0.125, "12.5 %"]]
    assert cells.hovertemplate == "%{customdata[0]} (%{customdata[1]})"
    assert cells.customdata.tolist() == [[[1, "20 %"], [2, "80 %"]]]
    assert figure.layout.yaxis.ticktext == ("0 %", "25 %", "50 %", "75 %", "100 %")
    assert figure.layout.xaxis.ticktext[:3] == ("0 %", "10 %", "20 %") and figure.layout.xaxis.tickformat is None


def test_a_further_question_has_its_own_points_and_dashes() -> None:
    cohort = cohort_of(made_up_predictions(RETINA), RETINA)
    rate = MeasuredRate(0.9, 0.8, 0.95, 20)
    point = OperatingPoint("sensitivity_95", 0.25, 0.95, rate, rate, rate, rate)
    points = {"referable": (point,), "vision_threatening": (point,)}
    shown = ["vision_threatening"]
    for figure in (
        curves_of.roc(RETINA, roc_curves(cohort, resamples=5), shown, points),
        curves_of.precision_recall(RETINA, precision_recall_curves(cohort, resamples=5), shown, points),
    ):
        curve, stored = figure.data[-2:]
        assert curve.name.startswith("vision-threatening ") and curve.line.dash == "longdash"
        assert stored.name == "stored operating points" and len(stored.x) == 1
