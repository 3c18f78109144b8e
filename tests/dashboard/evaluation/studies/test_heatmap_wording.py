"""Sentences on where heatmaps lie, and names of the stages of a randomised network."""

from __future__ import annotations

import pytest

from dashboard.evaluation.studies import heatmap_wording as wording
from dashboard.evaluation.studies.trust_tables import heatmap_differences, randomisation_frame
from data.tasks.skin import SKIN
from tests.support.dashboard import made_up_estimate, made_up_studies


@pytest.mark.parametrize(
    ("difference", "words"),
    [(0.25, "overlaps the lesion more"), (-0.25, "overlaps the lesion less"), (0.05, "lesion about as much")],
)
def test_heatmap_is_better_only_where_the_interval_leaves_out_zero(difference: float, words: str) -> None:
    study = made_up_studies()["heatmaps"]
    study["comparisons"][0]["measures"]["iou"] = made_up_estimate(difference)
    text = wording.heatmap_meaning(SKIN, heatmap_differences(study), "Grad-CAM", "Centred Gaussian")
    assert words in text
    assert f"IoU {difference:+.2f}" in text and "n = 8" in text
    assert "hot about as much (Faithfulness +0.05, -0.05 to +0.15, n = 4)" in text


def test_heatmap_methods_that_were_not_compared_are_said_so() -> None:
    differences = heatmap_differences({"comparisons": []})
    assert wording.heatmap_meaning(SKIN, differences, "Grad-CAM", "Random") == (
        "Grad-CAM was not compared with the baseline (Random)."
    )


def test_stages_say_how_much_of_the_network_is_randomised() -> None:
    names = [wording.stage_name(row) for row in randomisation_frame(made_up_studies()["heatmaps"]).to_dict("records")]
    assert names == ["last layer", "all above the backbone", "and 1/2 of the backbone", "the whole network"]
    assert wording.stage_name({"part": "backbone", "backbone_share": 0.375}) == "and 3/8 of the backbone"


def test_randomised_maps_are_a_table_and_older_artifacts_have_none() -> None:
    section = made_up_studies()["heatmaps"]
    table = randomisation_frame(section)
    assert table["absolute_rank_correlation"].tolist() == [0.7, 0.3, 0.2, 0.05]
    assert set(table["images"]) == {7} and set(table["without_evidence"]) == {1}
    del section["randomisation"]
    assert randomisation_frame(section).empty and randomisation_frame(section | {"randomisation": None}).empty


def test_card_tells_all_that_was_found_and_of_older_artifacts_what_there_is() -> None:
    section = made_up_studies()["heatmaps"]
    text = wording.found(SKIN, section)
    assert "overlaps the lesion more" in text and "last layer shuffled" in text and "too faint to see" in text
    del section["randomisation"], section["noise"]
    older = wording.found(SKIN, section)
    assert text.startswith(older) and "shuffled" not in older and older.endswith("a medical one.")
