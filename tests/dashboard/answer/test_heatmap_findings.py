"""Sentences on what tests of the heatmaps found: they follow from the figures, whichever way these turned out."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.answer.heatmap_findings import (
    against_spot,
    findings,
    found_in_full,
    noise_found,
    randomisation_found,
    study_data,
)
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from tests.support.dashboard import made_up_estimate, made_up_studies


def section() -> dict[str, Any]:
    return made_up_studies()["heatmaps"]


def against(difference: float | None, half_width: float = 0.1) -> dict[str, Any]:
    changed = section()
    changed["comparisons"][0]["measures"]["faithfulness"] = made_up_estimate(difference, half_width)
    return changed


@pytest.mark.parametrize(
    ("difference", "words"), [(0.2, "hot more than on"), (-0.2, "hot less than on"), (0.05, "hot about as much as on")]
)
def test_spot_is_beaten_only_where_the_interval_leaves_out_zero(difference: float, words: str) -> None:
    text = against_spot(against(difference))
    assert words in text
    assert text.endswith(f"is {difference:+.2f} ({difference - 0.1:+.2f} to {difference + 0.1:+.2f}), n = 4.")


def test_random_map_is_the_yardstick_where_it_was_measured() -> None:
    study = section()
    measures = study["comparisons"][0]["measures"] | {"faithfulness": made_up_estimate(0.34)}
    study["comparisons"].append(study["comparisons"][0] | {"other": "Random", "measures": measures})
    assert against_spot(study).endswith("n = 4; against a random map it is +0.34 (+0.24 to +0.44).")


def randomised(output: float, whole: float) -> str:
    study = section()
    for stage, value in ((0, output), (-1, whole)):
        study["randomisation"]["stages"][stage]["absolute_rank_correlation"] = made_up_estimate(value)
    return randomisation_found(SKIN, study)


def test_map_that_survives_randomisation_is_said_to_be_no_sign_of_the_diagnosis() -> None:
    text = randomised(0.7, 0.3)
    assert "cannot tell one diagnosis from another" in text
    assert "from 0 for none to 1 for the same, is 0.70 (0.60 to 0.80, n = 7). What is left is where the network" in text
    assert text.endswith(
        "With all weights shuffled it is 0.30 (0.20 to 0.40). "
        "That likeness does not come from what the network has learned."
    )
    gone = randomised(0.05, -0.02)
    assert gone.count("No likeness could be measured.") == 2 and "is left" not in gone


def test_change_under_noise_proves_nothing() -> None:
    assert noise_found(SKIN, section()) == (
        "Noise that is too faint to see (at most 5 of 255 levels, 10 draws) changes the map by up to 6 % (4 to 8 %) of "
        "itself on average, n = 8. A steady map need not be right."
    )


def test_data_are_those_of_the_study() -> None:
    assert study_data(SKIN, section()) == (
        "lesions of HAM10000, each answered by a network that was not trained on it, 8 images, 8 lesions"
    )
    older = section() | {"split": "locked test"}
    assert study_data(SKIN, older) == "locked test lesions of HAM10000, 8 images, 8 lesions"
    del older["split"]
    assert study_data(SKIN, older) == "locked test lesions of HAM10000, 8 images, 8 lesions"


def test_all_is_told_below_what_it_was_measured_on() -> None:
    lines = found_in_full(SKIN, section()).splitlines()
    assert lines[0].startswith("What tests of the heatmap found, on lesions of HAM10000, each answered by a network")
    assert lines[1] == "" and [line[:2] for line in lines[2:]] == ["- "] * 3
    assert "lesion" not in " ".join(findings(RETINA, section()))


def test_what_older_artifacts_have_not_measured_is_not_told() -> None:
    older = section()
    del older["noise"], older["randomisation"]
    assert len(findings(SKIN, older)) == 1
    unmeasured = against(None)
    assert against_spot(unmeasured) == "" and against_spot({"comparisons": []}) == ""
    assert found_in_full(SKIN, None) == found_in_full(SKIN, {"comparisons": [], "noise": None}) == ""
    study = section()
    study["noise"]["change"] = made_up_estimate(None)
    study["randomisation"]["stages"][0]["absolute_rank_correlation"] = made_up_estimate(None)
    assert noise_found(SKIN, study) == randomisation_found(SKIN, study) == ""
