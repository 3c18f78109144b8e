"""Areas with intervals: the plain area, its variance by hand, groups that are too few, and groups that agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.areas import EXTRA_GROUPS, FEWEST_GROUPS, auroc_estimate, macro_auroc_estimate
from model.measures.intervals import Estimate
from model.measures.metrics import auroc, macro_auroc
from model.measures.shares import wilson_interval


def test_interval_by_hand() -> None:
    # 50 positives and 50 negatives, a lesion each. 40 positives lead all negatives, 10 lead the lower half:
    # 0.8 + 0.2 x 0.5 = 0.9. Influences of positives: 0.1 / 50 (40 of them), -0.4 / 50 (10); of negatives, of which half
    # lose to all and half to 0.8: 0.1 / 50 (25), -0.1 / 50 (25). DeLong: (0.4 + 1.6 + 0.5) / 2500 x 100 / 99.
    is_positive = np.arange(100) < 50
    score = np.where(is_positive, np.where(np.arange(100) < 40, 3, 1), np.where(np.arange(100) < 75, 0, 2))
    delong = 2.5 / 2500 * 100 / 99
    # Twenty more groups, beside the 50, of p (1 - p) / (2 x 50).
    variance = delong + EXTRA_GROUPS / (50 + EXTRA_GROUPS) * 0.9 * 0.1 / 100
    low, high = wilson_interval(np.array(0.9), np.array(0.9 * 0.1 / variance))
    estimate = auroc_estimate(is_positive, score.astype(float), np.arange(100).astype(str))
    assert estimate == Estimate(pytest.approx(0.9), pytest.approx(float(low)), pytest.approx(float(high)))


def test_area_is_the_plain_one_with_ties() -> None:
    generator = np.random.default_rng(3)
    dx_true, score = generator.integers(3, size=300), np.round(generator.random((300, 3)), 1)
    groups = np.arange(300).astype(str)
    assert auroc_estimate(dx_true == 1, score[:, 1], groups).value == pytest.approx(auroc(dx_true == 1, score[:, 1]))
    assert macro_auroc_estimate(dx_true, score, groups).value == pytest.approx(macro_auroc(dx_true, score))


@pytest.mark.parametrize("side", [True, False])
def test_too_few_groups_of_either_side_have_no_interval(side: bool) -> None:
    generator = np.random.default_rng(1)
    is_side = np.arange(300) < FEWEST_GROUPS - 1
    is_positive = is_side if side else ~is_side
    score = generator.normal(size=300) + is_positive
    # Many images of few lesions are few as well.
    groups = np.where(is_side, np.arange(300) % (FEWEST_GROUPS - 1), np.arange(300)).astype(str)
    few = auroc_estimate(is_positive, score, groups)
    assert few.value == auroc(is_positive, score) and math.isnan(few.low) and math.isnan(few.high)
    one_more = np.append(is_positive, side), np.append(score, 0.5), np.append(groups, "another")
    enough = auroc_estimate(*one_more)
    assert enough.low < enough.value < enough.high < 1


def test_images_of_a_lesion_that_agree_widen_the_interval() -> None:
    generator = np.random.default_rng(5)
    is_positive = np.repeat(np.arange(160) < 80, 4)
    score = np.repeat(generator.normal(size=160), 4) + is_positive
    by_lesion = auroc_estimate(is_positive, score, np.repeat(np.arange(160), 4).astype(str))
    by_image = auroc_estimate(is_positive, score, np.arange(640).astype(str))
    assert by_lesion.value == by_image.value
    assert (by_lesion.high - by_lesion.low) / (by_image.high - by_image.low) == pytest.approx(2, rel=0.1)


def test_perfect_order_is_not_certain() -> None:
    is_positive = np.arange(120) < 60
    estimate = auroc_estimate(is_positive, is_positive.astype(float), np.arange(120).astype(str))
    # 60 of 60: 60 / (60 + 3.84).
    assert estimate == Estimate(1.0, pytest.approx(0.9398, abs=1e-4), 1.0)


def test_mean_area_has_an_interval_from_ten_lesions_of_a_class_on() -> None:
    generator = np.random.default_rng(2)
    for rare, has_interval in ((10, True), (9, False)):
        dx_true = np.repeat([0, 1, 2], [rare, 60, 80])
        score = generator.normal(size=(len(dx_true), 4))
        score[np.arange(len(dx_true)), dx_true] += 1
        mean = macro_auroc_estimate(dx_true, score, np.arange(len(dx_true)).astype(str))
        # The fourth class has no images and is in no mean.
        assert mean.value == pytest.approx(macro_auroc(dx_true, score))
        assert (mean.low < mean.value < mean.high) == has_interval
        assert math.isnan(mean.low) != has_interval


def test_areas_of_one_side_or_nothing_cannot_be_said() -> None:
    groups = np.array(["a", "b"])
    one_side = auroc_estimate(np.ones(2, dtype=bool), np.array([0.1, 0.9]), groups)
    nothing = auroc_estimate(np.zeros(0, dtype=bool), np.zeros(0), groups[:0])
    no_class = macro_auroc_estimate(np.zeros(0, dtype=np.int64), np.zeros((0, 3)), groups[:0])
    for estimate in (one_side, nothing, no_class):
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    with pytest.raises(ValueError, match="received 2 and 1"):
        auroc_estimate(np.ones(2, dtype=bool), np.array([0.1]), groups)
