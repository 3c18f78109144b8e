"""Which images a cell, a bin, a subgroup and a point stand for, and in which order they are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dashboard.evaluation.images.groups import (
    bin_groups,
    bin_key,
    confusion_groups,
    image_key,
    p_reference,
    subgroup_groups,
    with_image,
    worst_first,
)
from data.tasks.skin import SKIN
from model.evaluation.predictions import Cohort, cohort_of
from model.evaluation.results import evaluate, reliability_bins
from model.evaluation.subgroups import measure_subgroups
from tests.support.dashboard import made_up_predictions


@pytest.fixture
def predictions() -> pd.DataFrame:
    return made_up_predictions()


@pytest.fixture
def cohort(predictions: pd.DataFrame) -> Cohort:
    return cohort_of(predictions, SKIN)


def test_cells_hold_the_images_that_the_matrix_counts_errors_first(cohort: Cohort) -> None:
    groups = confusion_groups(cohort)
    confusion = evaluate(cohort, resamples=5).confusion
    for group in groups:
        true, predicted = (SKIN.codes.index(code) for code in group.key.split(":"))
        assert len(group.positions) == confusion[true, predicted] > 0
        assert set(cohort.dx_true[group.positions]) == {true}
        assert set(cohort.dx_predicted[group.positions]) == {predicted}
    assert sum(len(group.positions) for group in groups) == 63
    wrong = [len(group.positions) for group in groups if len(set(group.key.split(":"))) == 2]
    assert [len(group.positions) for group in groups][: len(wrong)] == sorted(wrong, reverse=True)
    assert any(group.title == "mel taken for nv" for group in groups) == bool(confusion[4, 5])


def test_bins_hold_the_images_that_the_diagram_counts(cohort: Cohort) -> None:
    counted = {
        bin_key(question, number): images
        for question, bins in reliability_bins(cohort).items()
        for number, images in enumerate(bins["images"])
        if images
    }
    assert {group.key: len(group.positions) for group in bin_groups(cohort)} == counted


def test_subgroups_hold_the_images_that_were_measured(predictions: pd.DataFrame) -> None:
    measured = {f"{one.attribute}:{one.group}": one.images for one in measure_subgroups(predictions, SKIN, 0.5, 5)}
    groups = subgroup_groups(predictions)
    assert {group.key: len(group.positions) for group in groups} == measured
    faces = next(group for group in groups if group.key == "site:face")
    assert set(predictions["localization"].iloc[faces.positions]) == {"face"} and faces.title == "Site face"


def test_wrong_answers_come_first_and_the_surest_of_them_before_the_others(cohort: Cohort) -> None:
    order = worst_first(cohort, np.arange(63))
    assert sorted(order) == list(range(63))
    is_right = (cohort.dx_true == cohort.dx_predicted)[order]
    assert is_right.any() and not is_right.all() and (np.diff(is_right.astype(int)) >= 0).all()
    given = p_reference(cohort)[order]
    assert given[0] == cohort.probabilities[order[0], cohort.dx_true[order[0]]]
    for side in (is_right, ~is_right):
        assert (np.diff(given[side]) >= 0).all()


def test_a_point_is_one_image_before_the_groups(cohort: Cohort) -> None:
    groups = bin_groups(cohort)
    chosen, *others = with_image(cohort, groups, image_key("ISIC_410"))
    assert others == groups and cohort.image_ids[chosen.positions].tolist() == ["ISIC_410"]
    for key in (None, groups[0].key, image_key("nothing")):
        assert with_image(cohort, groups, key) == groups
