"""Differences of areas on the same images: a published example, groups, too few of them, and equal scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.measures.areas import FEWEST_GROUPS, auroc_difference, macro_auroc_difference
from model.measures.metrics import auroc, macro_auroc

# Albumin, total protein, K-G score and outcome of 43 patients with ovarian cancer: the example of DeLong et al.,
# Biometrics 1988;44:837, without the six patients who lack a value, as printed in SAS/STAT 9.22 User's Guide (PROC
# LOGISTIC, "Comparing Receiver Operating Characteristic Curves"), which takes 10 minus the K-G score.
PATIENTS = np.array(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
    """.split(),
    dtype=np.float64,
).reshape(-1, 4)


@pytest.mark.parametrize(
    ("column", "area", "difference", "low", "high", "p_value"),
    [(0, 0.7366, 0.0108, -0.1761, 0.1976, 0.9102), (1, 0.6478, -0.0780, -0.2830, 0.1271, 0.4561)],
    ids=["albumin", "total protein"],
)
def test_the_published_example(
    column: int, area: float, difference: float, low: float, high: float, p_value: float
) -> None:
    is_positive, k_g = PATIENTS[:, 3] == 1, 10 - PATIENTS[:, 2]
    assert auroc(is_positive, k_g) == pytest.approx(0.7258, abs=5e-5)
    assert auroc(is_positive, PATIENTS[:, column]) == pytest.approx(area, abs=5e-5)
    found = auroc_difference(is_positive, PATIENTS[:, column], k_g, np.arange(43).astype(str), fewest_groups=2)
    assert [found.value, found.low, found.high] == pytest.approx([difference, low, high], abs=5e-5)
    assert found.p_value == pytest.approx(p_value, abs=5e-5)


def scores(seed: int, lesions: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reference, two models' scores and lesions, all images of a lesion alike."""
    generator = np.random.default_rng(seed)
    is_positive = np.arange(lesions) % 2 == 0
    first = generator.normal(size=lesions) + is_positive
    second = first + generator.normal(size=lesions)
    return tuple(np.repeat(part, images) for part in (is_positive, first, second, np.arange(lesions).astype(str)))


def test_copies_of_an_image_add_nothing() -> None:
    single, fourfold = (auroc_difference(*scores(1, 200, images)) for images in (1, 4))
    assert single.low < single.value < single.high
    assert [fourfold.value, fourfold.low, fourfold.high, fourfold.p_value] == pytest.approx(
        [single.value, single.low, single.high, single.p_value]
    )


def test_positives_and_negatives_of_one_lesion_count_together() -> None:
    # Half of each lesion's images are positive and a model is off by as much on both: the errors cancel.
    generator = np.random.default_rng(2)
    is_positive, shift = np.tile([True, False], 200), np.repeat(generator.normal(size=200), 2)
    score = generator.normal(size=400) + is_positive
    by_lesion = auroc_difference(is_positive, score + shift, score, np.repeat(np.arange(200), 2).astype(str))
    by_image = auroc_difference(is_positive, score + shift, score, np.arange(400).astype(str))
    assert by_lesion.high - by_lesion.low < 0.9 * (by_image.high - by_image.low)


def test_the_other_way_round_is_the_opposite() -> None:
    is_positive, first, second, lesions = scores(3, 150, 2)
    one, other = (auroc_difference(is_positive, *pair, lesions) for pair in ((first, second), (second, first)))
    assert [one.value, one.low, one.high] == pytest.approx([-other.value, -other.high, -other.low])
    assert one.p_value == pytest.approx(other.p_value)
    assert one.value == pytest.approx(auroc(is_positive, first) - auroc(is_positive, second))


def test_models_that_rank_alike_do_not_differ() -> None:
    is_positive, first, _, lesions = scores(4, 150, 1)
    alike = auroc_difference(is_positive, first, np.exp(first), lesions)
    assert (alike.value, alike.low, alike.high, alike.p_value) == (0, 0, 0, 1)


def test_too_few_lesions_have_a_difference_without_interval() -> None:
    is_positive, first, second, lesions = scores(5, 2 * FEWEST_GROUPS, 1)
    keep = np.arange(len(lesions)) != 0
    few = auroc_difference(is_positive[keep], first[keep], second[keep], lesions[keep])
    assert not math.isnan(few.value) and np.isnan([few.low, few.high, few.p_value]).all()
    assert not math.isnan(auroc_difference(is_positive, first, second, lesions).low)
    one_side = auroc_difference(np.ones(3, dtype=bool), np.arange(3.0), np.arange(3.0), np.arange(3).astype(str))
    nothing = auroc_difference(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0), np.zeros(0, dtype=str))
    assert all(math.isnan(part) for found in (one_side, nothing) for part in vars(found).values())
    with pytest.raises(ValueError, match="one length"):
        auroc_difference(is_positive, first, second[1:], lesions)


def test_mean_over_the_classes() -> None:
    generator = np.random.default_rng(6)
    dx_true = generator.integers(3, size=300)
    first, second = (generator.random((300, 4)) + np.eye(4)[dx_true] * weight for weight in (0.6, 0.3))
    lesions = np.arange(300).astype(str)
    mean = macro_auroc_difference(dx_true, first, second, lesions)
    assert mean.value == pytest.approx(macro_auroc(dx_true, first) - macro_auroc(dx_true, second))
    assert 0 < mean.low < mean.value < mean.high and mean.p_value < 0.01
    # Nine lesions of a class are too few.
    few = macro_auroc_difference(np.where(np.arange(300) < 9, 3, dx_true), first, second, lesions)
    assert math.isnan(few.low) and not math.isnan(few.value)
    none = macro_auroc_difference(dx_true[:0], first[:0], second[:0], lesions[:0])
    assert math.isnan(none.value)


def test_of_two_classes_the_mean_is_the_area_of_either() -> None:
    is_positive, first, second, lesions = scores(7, 300, 1)
    mean = macro_auroc_difference(
        is_positive.astype(np.int64), *(np.column_stack([-score, score]) for score in (first, second)), lesions
    )
    single = auroc_difference(is_positive, first, second, lesions)
    # The mean's variance is taken over all lesions at once, the area's by side: 299 / 300 against 149 / 150.
    assert [mean.value, mean.low, mean.high] == pytest.approx([single.value, single.low, single.high], abs=1e-3)
