"""Sentences on the studies: they name what the numbers say, with interval and n, and no more."""

from __future__ import annotations

import pytest

from dashboard.evaluation.studies import trust_wording as wording
from dashboard.evaluation.studies.trust_tables import (
    retrieval_frame,
    robustness_frame,
    sets_frame,
    subgroup_frame,
)
from dashboard.shell.glossary import metric_of
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.inference.conformal import METHODS, ORDINAL_METHODS
from tests.support.dashboard import made_up_sets, made_up_studies, made_up_subgroup

STUDIES = made_up_studies()


def test_every_section_explains_itself() -> None:
    for task in (SKIN, RETINA):
        for section in (wording.study_of(task, key) for key in wording.STUDIES):
            assert section.sentence[-1] in ".?" and section.command.startswith("python -m ")
            assert "{" not in section.heading + section.sentence
    assert set(wording.SET_METHODS) == {*METHODS, *ORDINAL_METHODS}


def test_estimate_with_interval_and_what_cannot_be_said() -> None:
    metric = metric_of("coverage", SKIN)
    assert wording.with_interval(metric, 0.9, 0.85, 0.95) == "90 % (85 to 95 %)"
    assert wording.with_interval(metric, float("nan"), float("nan"), float("nan")) == "–"


def test_sets_name_the_level_the_coverage_and_the_class_that_is_covered_least() -> None:
    text = wording.sets_found(SKIN, sets_frame(made_up_sets(0.88)), 0.9)
    assert "90 % of lesions" in text
    assert "88 % (78 to 98 %, n = 63) of the images, with 1.5 diagnoses on average" in text
    assert "least for melanoma, 68 % (58 to 78 %, n = 9)" in text


def test_robustness_names_most_flips_and_lowest_accuracy() -> None:
    text = wording.robustness_found(SKIN, robustness_frame(STUDIES["robustness"]))
    assert text.startswith("Of 2 simulated changes, the most decisions flip under: strong JPEG (quality 20), 10.0 %")
    assert "lowest under: dark hair, 50 % (40 to 60 %) instead of 80 % (70 to 90 %)" in text


def test_lowest_and_highest_subgroups_come_from_the_data() -> None:
    text = wording.lowest_and_highest(SKIN, subgroup_frame(STUDIES["subgroups"]), "positive_auroc")
    assert text == (
        "Malignant AUROC: lowest for site face, 0.60 (0.50 to 0.70, n = 40); "
        "highest for sex female, 0.80 (0.70 to 0.90, n = 40)."
    )
    one_group = subgroup_frame([made_up_subgroup("sex", "female", 0.8), made_up_subgroup("sex", "male", None)])
    assert "too few groups" in wording.lowest_and_highest(SKIN, one_group, "sensitivity")


def test_groups_that_are_too_small_are_named() -> None:
    groups = subgroup_frame(STUDIES["subgroups"])
    assert wording.too_small(SKIN, groups).endswith("too few for every rate: age under 30.")
    assert wording.too_small(SKIN, groups[~groups["is_too_small"]]) == ""


@pytest.mark.parametrize(
    ("attribute", "group", "name"),
    [
        ("age", "30 to 44", "age 30 to 44"),
        ("sex", "unknown", "sex unknown"),
        ("site", "lower extremity", "site lower extremity"),
        ("dx_type", "histo", "confirmed by histopathology"),
    ],
)
def test_group_in_full(attribute: str, group: str, name: str) -> None:
    assert wording.group_in_full({"attribute": attribute, "group": group}) == name


def test_facts_of_a_task_that_takes_none_are_no_gap() -> None:
    assert wording.study_of(RETINA, "clinical").sentence == wording.NO_FACTS.format(labels="grades")
    assert wording.missing(RETINA, "clinical") == ""
    assert "python -m model.studies.clinical" in wording.missing(SKIN, "clinical")


def test_similar_cases_against_chance() -> None:
    text = wording.retrieval_found(SKIN, retrieval_frame(STUDIES["retrieval"]), 10)
    assert text == (
        "Of the 10 most similar training lesions, 40 % (30 to 50 %, n = 63) have the diagnosis of the image (mean of "
        "the diagnoses); at random, 14 %."
    )


def test_gain_of_age_and_site_is_told_in_points_with_its_interval() -> None:
    text = wording.clinical_found(SKIN, STUDIES["clinical"])
    assert "balanced accuracy 72 % (62 to 82 %) with what" in text and "70 % (60 to 80 %) from the image alone" in text
    assert "gain +1.5 points (+0.5 to +2.5), n = 63" in text
    row = {"gain": 0.015, "gain_low": -0.002, "gain_high": 0.03}
    assert wording.clinical_gain(row, metric_of("macro_auroc", SKIN)) == ("+0.015", "-0.002 to +0.030")
    nothing = dict.fromkeys(row, float("nan"))
    assert wording.clinical_gain(nothing, metric_of("macro_auroc", SKIN)) == ("", "")


def test_it_is_said_how_often_age_and_site_were_known() -> None:
    assert "Known: age 50 %, site 100 % of the images." in wording.clinical_limits(SKIN, {"age": 5, "site": 10}, 10)
