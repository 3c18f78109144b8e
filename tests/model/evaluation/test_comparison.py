"""Two models on the same images: figures of both, differences by hand, equal models, and text tables."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.evaluation.comparison import Comparison, PairedMetric, compare
from model.evaluation.comparison_report import comparison_frame, format_comparison
from model.evaluation.predictions import Cohort
from model.evaluation.results import evaluate
from model.measures.metrics import auroc, squared_errors
from model.measures.shares import BinaryThresholds


def made(seed: int, skill: float, images: int = 600, task: Task = SKIN) -> Cohort:
    """A model of some skill; the same images and lesions (two of each) for every seed and skill."""
    dx_true = np.repeat(np.random.default_rng(0).integers(len(task.classes), size=images // 2), 2)
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(images, len(task.classes)))
    logits[np.arange(images), dx_true] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = np.array([f"I{number}" for number in range(images)])
    lesions = np.array([f"L{number // 2}" for number in range(images)])
    return Cohort(task, ids, lesions, dx_true, probabilities, probabilities.argmax(axis=1))


@pytest.fixture(scope="module")
def both() -> tuple[Cohort, Cohort]:
    return made(1, 2.0), made(2, 1.0)


@pytest.fixture(scope="module")
def compared(both: tuple[Cohort, Cohort]) -> Comparison:
    return compare(*both, thresholds=[0.3], resamples=200)


def test_both_sides_are_what_each_is_alone(both: tuple[Cohort, Cohort], compared: Comparison) -> None:
    alone = [evaluate(one, resamples=200) for one in both]
    for name in ("balanced_accuracy", "accuracy", "macro_auroc", "positive_auroc", "calibration_error"):
        one = compared.metric(name)
        assert (one.first, one.second) == tuple(getattr(evaluation, name) for evaluation in alone)
    mel = SKIN.index("mel")
    sensitivity = compared.metric("sensitivity", "mel")
    assert (sensitivity.first, sensitivity.second) == tuple(e.per_class[mel].sensitivity for e in alone)
    assert sensitivity.images == (both[0].dx_true == mel).sum()
    assert (compared.images, compared.lesions) == (600, 300)


def test_every_difference_is_first_minus_second(compared: Comparison) -> None:
    assert len(compared.metrics) == 6 + 4 + 7 * 5
    for one in compared.metrics:
        assert one.difference.value == pytest.approx(one.first.value - one.second.value, abs=1e-12)
    better = compared.metric("balanced_accuracy").difference
    assert 0 < better.low < better.value < better.high
    brier = compared.metric("brier_score").difference
    assert brier.low < brier.value < brier.high < 0


def test_areas_have_delong_s_interval_and_p(both: tuple[Cohort, Cohort], compared: Comparison) -> None:
    one = compared.metric("positive_auroc")
    areas = [auroc(cohort.is_positive, cohort.p_positive) for cohort in both]
    assert one.difference.value == pytest.approx(areas[0] - areas[1])
    assert one.p_value < 0.001 and one.difference.low > 0
    # About 43 lesions of each class are too few.
    assert math.isnan(compared.metric("auroc", "mel").p_value)
    assert math.isnan(compared.metric("accuracy").p_value)


def test_brier_s_score_has_its_mean(both: tuple[Cohort, Cohort], compared: Comparison) -> None:
    one = compared.metric("brier_score")
    assert one.first.value == pytest.approx(squared_errors(both[0].dx_true, both[0].probabilities).mean())
    assert one.first.low < one.first.value < one.first.high


def test_a_calibration_error_has_a_difference_without_interval(compared: Comparison) -> None:
    one = compared.metric("calibration_error").difference
    assert not math.isnan(one.value) and math.isnan(one.low) and math.isnan(one.high)


def at_threshold(compared: Comparison, rate: str) -> PairedMetric:
    (one,) = [one for one in compared.metrics if one.metric == rate and not math.isnan(one.threshold)]
    return one


def test_thresholds_are_tried_on_both(both: tuple[Cohort, Cohort], compared: Comparison) -> None:
    alone = [BinaryThresholds(one.is_positive, one.p_positive, one.lesion_ids).at(0.3) for one in both]
    for rate in ("sensitivity", "specificity", "ppv", "npv"):
        one = at_threshold(compared, rate)
        assert (one.question, one.first, one.second) == ("malignant", *(getattr(each, rate) for each in alone))
        assert one.difference.low < one.difference.value < one.difference.high


def test_decisions_are_mcnemar_s(both: tuple[Cohort, Cohort]) -> None:
    # Every image a lesion of its own: the binomial test of those that only one gets right.
    first, second = (replace(one, lesion_ids=one.image_ids) for one in both)
    compared = compare(first, second, thresholds=[0.3], resamples=5)
    named, by_class_positive, by_class_negative, at_positive, at_negative = compared.decisions
    right = [one.dx_predicted == one.dx_true for one in (first, second)]
    only = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (named.test.only_first, named.test.only_second, named.images) == (*only, 600)
    assert named.test.p_exact == pytest.approx(binomtest(only[0], sum(only)).pvalue, rel=1e-9)
    flagged = [one.p_positive >= 0.3 for one in (first, second)]
    assert at_positive.test.only_first == (first.is_positive & flagged[0] & ~flagged[1]).sum()
    # Of the negatives, not to flag is right.
    assert at_negative.test.only_first == (~first.is_positive & ~flagged[0] & flagged[1]).sum()
    assert by_class_positive.images + by_class_negative.images == at_positive.images + at_negative.images == 600
    assert (by_class_positive.side, at_negative.side, at_negative.threshold) == ("positive", "negative", 0.3)


def test_a_model_against_itself_differs_in_nothing(both: tuple[Cohort, Cohort]) -> None:
    same = compare(both[0], both[0], thresholds=[0.3], resamples=20)
    for one in same.metrics:
        assert one.difference.value == 0
        if not math.isnan(one.difference.low):
            assert (one.difference.low, one.difference.high) == (0, 0)
    assert {one.test.p_exact for one in same.decisions} == {1.0}


def test_few_lesions_of_a_class_have_no_interval(both: tuple[Cohort, Cohort]) -> None:
    # Nine lesions of vasc, no image of df.
    vasc, df, nv = (SKIN.index(code) for code in ("vasc", "df", "nv"))
    dx_true = np.where(np.isin(both[0].dx_true, [vasc, df]), nv, both[0].dx_true)
    dx_true[:18] = vasc
    compared = compare(*(replace(one, dx_true=dx_true) for one in both), resamples=20)
    few, none = compared.metric("sensitivity", "vasc").difference, compared.metric("sensitivity", "df").difference
    assert not math.isnan(few.value) and math.isnan(few.low)
    assert math.isnan(none.value) and math.isnan(none.low)
    assert not math.isnan(compared.metric("specificity", "vasc").difference.low)
    assert math.isnan(compared.metric("ppv", "vasc").difference.low)


def test_other_images_are_refused(both: tuple[Cohort, Cohort]) -> None:
    with pytest.raises(ValueError, match="same images in the same order"):
        compare(both[0], replace(both[1], image_ids=both[1].image_ids[::-1]))
    with pytest.raises(ValueError, match="expected a metric that was compared"):
        compare(*both, resamples=2).metric("beauty")


def test_grades_have_kappa_and_error_as_well_and_every_question_an_area() -> None:
    first, second = made(1, 2.0, task=RETINA), made(2, 1.0, task=RETINA)
    compared = compare(first, second, resamples=50)
    kappa, error = compared.metric("weighted_kappa"), compared.metric("grade_error")
    assert 0 < kappa.difference.low < kappa.difference.value
    assert error.difference.value < error.difference.high < 0
    assert error.first.value == np.abs(first.dx_true - first.dx_predicted).mean()
    (question,) = RETINA.further
    area = next(one for one in compared.metrics if one.question == question.key)
    alone = compare(first.asked(question), second.asked(question), resamples=50).metric("positive_auroc")
    assert (area.metric, area.first, area.p_value) == ("auroc", alone.first, alone.p_value)
    lines = [line.split("  ")[0] for line in format_comparison(compared, RETINA).splitlines()]
    assert "vision threatening auroc" in lines and "grade error" in lines
    assert not [line for line in lines if line.startswith("vision_threatening: ")]


def test_text_and_table_hold_every_row(compared: Comparison) -> None:
    text = format_comparison(compared, SKIN)
    assert text.startswith("600 images of 300 lesions that both have\n")
    lines = [line.split("  ") for line in text.splitlines()]
    assert any(line[0] == "malignant auroc" and "< 0.001" in line[-1] for line in lines)
    assert "(no interval)" in text and "sensitivity at 0.3000 (n = " in text
    assert any(line[0].startswith("malignant at 0.3000, of the benign images") for line in lines)
    frame = comparison_frame(compared)
    assert len(frame) == len(compared.metrics) + len(compared.decisions)
    row = frame[(frame["metric"] == "balanced_accuracy")].iloc[0]
    one = compared.metric("balanced_accuracy")
    assert (row["first"], row["difference_low"], row["images"]) == (one.first.value, one.difference.low, 600)
    assert frame["p_exact"].notna().sum() == len(compared.decisions)
