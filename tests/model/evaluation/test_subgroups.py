"""Parts of a cohort: who belongs where, metrics worked out by hand, and no rate from too few lesions."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.evaluation.predictions import check_predictions, cohort_of
from model.evaluation.results import evaluate, to_plain
from model.evaluation.subgroups import MIN_LESIONS, Subgroup, age_bands, measure_subgroups
from model.measures.intervals import Estimate

# dx and probability of mel (nv has the rest) of one image each of 20 lesions.
# At 0.5: 8 of 10 melanomas called, 9 of 10 nevi not. Of 100 pairs 80 + 2 * 9 stand in the right order.
BALANCED = [("mel", 0.9)] * 8 + [("mel", 0.2)] * 2 + [("nv", 0.1)] * 9 + [("nv", 0.5)]


def predictions(images: Iterable[tuple[str, float]], lesion: str = "", **columns: object) -> pd.DataFrame:
    """A checked table, one lesion an image (or all of `lesion`); the diagnosis is mel from 0.5 on."""
    rows = [
        {
            "lesion_id": lesion or f"L{number} {columns}",
            "image_id": f"I{number} {lesion} {columns}",
            "dx": dx,
            "dx_type": "histo",
            "age": 65.0,
            "sex": "female",
            "localization": "back",
            **dict.fromkeys(SKIN.codes, 0.0),
            "mel": p_mel,
            "nv": 1 - p_mel,
            "prediction": "mel" if p_mel >= 0.5 else "nv",
            **columns,
        }
        for number, (dx, p_mel) in enumerate(images)
    ]
    return check_predictions(pd.DataFrame(rows), "made up", SKIN)


def joined(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)


def measured(table: pd.DataFrame, resamples: int = 50) -> dict[tuple[str, str], Subgroup]:
    return {(row.attribute, row.group): row for row in measure_subgroups(table, SKIN, 0.5, resamples, seed=1)}


def is_nan(estimate: Estimate) -> bool:
    return all(math.isnan(bound) for bound in dataclasses.astuple(estimate))


def test_age_bands_hold_their_lower_end() -> None:
    ages = pd.Series([0, 29.5, 30, 44, 45, 59, 60, 74, 75, 90, np.nan], index=range(5, 16))
    assert age_bands(ages).tolist() == [
        *["under 30"] * 2,
        *["30 to 44"] * 2,
        *["45 to 59"] * 2,
        *["60 to 74"] * 2,
        *["75 and older"] * 2,
        "unknown",
    ]
    assert age_bands(ages).index.equals(ages.index)


def test_groups_stand_in_order_and_only_those_with_images() -> None:
    image = [("nv", 0.1)]
    table = joined(
        predictions(image, sex="unknown", age=np.nan, localization="unknown"),
        predictions(image, sex="male", age=80.0, localization="upper extremity", dx_type="follow_up"),
        predictions(image, sex="female", age=20.0, localization="abdomen", dx_type="consensus"),
    )
    assert [(row.attribute, row.group) for row in measure_subgroups(table, SKIN, 0.5, 5)] == [
        ("age", "under 30"),
        ("age", "75 and older"),
        ("age", "unknown"),
        ("sex", "female"),
        ("sex", "male"),
        ("sex", "unknown"),
        ("site", "abdomen"),
        ("site", "upper extremity"),
        ("site", "unknown"),
        ("dx_type", "consensus"),
        ("dx_type", "follow_up"),
        ("dx_type", "histo"),
    ]


def test_metrics_by_hand() -> None:
    # The men are no part of the women's row.
    table = joined(predictions(BALANCED), predictions([("mel", 0.0)] * 30, sex="male"))
    women = measured(table)["sex", "female"]
    assert (women.images, women.lesions, women.positive_lesions, women.negative_lesions) == (20, 20, 10, 10)
    assert women.classes == 2
    assert women.sensitivity.value == 0.8
    assert women.specificity.value == 0.9
    assert women.balanced_accuracy.value == pytest.approx(0.85)
    assert women.positive_auroc.value == pytest.approx(0.98)
    for estimate in (women.sensitivity, women.specificity, women.balanced_accuracy):
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    # Ten lesions of either side are too few for the interval of an area.
    assert math.isnan(women.positive_auroc.low) and math.isnan(women.positive_auroc.high)
    assert not women.is_too_small


def test_the_threshold_decides_sensitivity_and_specificity_alone() -> None:
    strict, loose = (measure_subgroups(predictions(BALANCED), SKIN, threshold, 20)[0] for threshold in (0.6, 0.2))
    assert (strict.sensitivity.value, strict.specificity.value) == (0.8, 1.0)
    # A score equal to the threshold is called.
    assert (loose.sensitivity.value, loose.specificity.value) == (1.0, 0.9)
    assert strict.balanced_accuracy == loose.balanced_accuracy
    assert strict.positive_auroc == loose.positive_auroc


def test_a_part_is_measured_as_a_cohort_of_its_own() -> None:
    part = predictions(BALANCED, localization="face")
    face = measured(joined(predictions(BALANCED), part), resamples=40)["site", "face"]
    alone = evaluate(cohort_of(part, SKIN), resamples=40, seed=1)
    assert face.balanced_accuracy == alone.balanced_accuracy
    assert face.positive_auroc == alone.positive_auroc


def test_a_rate_needs_enough_lesions_of_its_own_kind() -> None:
    malignant, benign = BALANCED[:10], BALANCED[10:]
    few_malignant = measured(predictions(malignant[1:] + benign))["sex", "female"]
    assert (few_malignant.positive_lesions, few_malignant.negative_lesions) == (MIN_LESIONS - 1, MIN_LESIONS)
    assert few_malignant.is_too_small
    assert is_nan(few_malignant.sensitivity)
    assert is_nan(few_malignant.positive_auroc)
    assert few_malignant.specificity.value == 0.9
    assert few_malignant.balanced_accuracy.value == pytest.approx((7 / 9 + 0.9) / 2)
    few_benign = measured(predictions(malignant + benign[1:]))["sex", "female"]
    assert few_benign.is_too_small
    assert few_benign.sensitivity.value == 0.8
    assert is_nan(few_benign.specificity)
    assert is_nan(few_benign.positive_auroc)


def test_a_small_group_stays_with_its_counts() -> None:
    row = measured(predictions(BALANCED[6:13]))["dx_type", "histo"]
    assert (row.images, row.lesions, row.positive_lesions, row.negative_lesions, row.classes) == (7, 7, 4, 3, 2)
    assert row.is_too_small
    for estimate in (row.balanced_accuracy, row.positive_auroc, row.sensitivity, row.specificity):
        assert is_nan(estimate)


def test_images_of_one_lesion_do_not_make_a_group_large() -> None:
    table = joined(predictions([("mel", 0.9)] * 30, lesion="M"), predictions([("nv", 0.1)] * 10))
    row = measured(table)["sex", "female"]
    assert (row.images, row.lesions, row.positive_lesions, row.negative_lesions) == (40, 11, 1, 10)
    assert is_nan(row.sensitivity)
    # 10 of 10 lesions: 1, with the exact bound 0.025 ** (1 / 10) = 0.69.
    assert row.specificity == Estimate(1.0, pytest.approx(0.6915, abs=1e-4), 1.0)
    table = joined(predictions([("nv", 0.1)] * 30, lesion="N"), predictions([("mel", 0.9)] * 10))
    row = measured(table)["sex", "female"]
    assert (row.images, row.lesions, row.positive_lesions, row.negative_lesions) == (40, 11, 10, 1)
    assert is_nan(row.specificity)


def test_a_group_of_one_class_has_the_sensitivity_of_that_class() -> None:
    row = measured(predictions(BALANCED[10:], dx_type="follow_up"))["dx_type", "follow_up"]
    assert (row.classes, row.positive_lesions) == (1, 0)
    assert row.balanced_accuracy.value == 0.9
    assert is_nan(row.positive_auroc)
    assert row.is_too_small


def test_every_image_is_in_one_group_of_each_attribute() -> None:
    table = joined(
        predictions(BALANCED, age=np.nan),
        predictions(BALANCED, age=29.0, sex="male"),
        predictions(BALANCED, age=30.0, sex="unknown", localization="scalp", dx_type="confocal"),
    )
    rows = measure_subgroups(table, SKIN, 0.5, 5)
    for attribute in ("age", "sex", "site", "dx_type"):
        assert sum(row.images for row in rows if row.attribute == attribute) == 60


def test_no_images_make_no_groups() -> None:
    assert measure_subgroups(predictions(BALANCED).iloc[:0], SKIN, 0.5, 5) == ()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"expected a threshold from 0 to 1, received {threshold}"):
        measure_subgroups(predictions(BALANCED), SKIN, threshold)


def test_fewer_than_one_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one bootstrap sample"):
        measure_subgroups(predictions(BALANCED), SKIN, 0.5, 0)


def test_a_subgroup_survives_json() -> None:
    row = measured(predictions(BALANCED[1:]))["age", "60 to 74"]
    stored = json.loads(json.dumps(to_plain(dataclasses.asdict(row)), allow_nan=False))
    assert (stored["attribute"], stored["group"], stored["positive_lesions"]) == ("age", "60 to 74", 9)
    assert stored["is_too_small"] is True
    assert stored["sensitivity"] == {"value": None, "low": None, "high": None}
    assert stored["specificity"]["value"] == 0.9
