"""Tables of the studies in a manifest: every number comes through, null as NaN."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from dashboard.evaluation.studies.trust_tables import (
    CLINICAL_METRICS,
    clinical_frame,
    estimate_columns,
    external_frame,
    heatmap_differences,
    heatmap_frame,
    reliability_frame,
    retrieval_frame,
    robustness_frame,
    sets_frame,
    subgroup_frame,
    tried_sets_frame,
    without_repeated_kinds,
)
from data.tasks.skin import SKIN
from tests.support.dashboard import made_up_estimate, made_up_sets, made_up_studies

STUDIES = made_up_studies()


def test_estimates_become_columns_and_null_becomes_nan() -> None:
    columns = estimate_columns({"iou": {"value": 0.5, "low": 0.4, "high": 0.7}, "energy": made_up_estimate(None)})
    assert {name: columns[name] for name in ("iou", "iou_low", "iou_high")} == {
        "iou": 0.5,
        "iou_low": 0.4,
        "iou_high": 0.7,
    }
    assert all(math.isnan(columns[name]) for name in ("energy", "energy_low", "energy_high"))


def test_bins_without_images_are_left_out() -> None:
    table = reliability_frame(STUDIES["reliability"])
    assert table["question"].tolist() == ["top_class"] * 2 + ["positive"] * 2
    assert table["bin"].tolist() == [1, 2] * 2
    assert table["stated"].tolist() == [0.4, 0.8] * 2
    assert table["observed"].tolist() == [0.5, 0.7] * 2
    assert table["images"].tolist() == [20, 43] * 2


def test_sets_start_with_all_images() -> None:
    table = sets_frame(made_up_sets(0.88)).set_index("dx")
    assert tuple(table.index) == ("all", *SKIN.codes)
    assert table.loc["all", "coverage"] == 0.88
    assert table.loc["all", "mean_size"] == 1.5
    assert table.loc["mel", "coverage"] == pytest.approx(0.68)
    assert table.loc["mel", "coverage_high"] == pytest.approx(0.78)
    assert table.loc["df", ["coverage", "coverage_low", "mean_size"]].isna().all()
    assert table["images"].sum() == 63 + 6 * 9


def test_tried_sets_name_the_class_that_is_covered_least() -> None:
    table = tried_sets_frame(STUDIES["conformal"]["tried_out_of_fold"])
    assert table["method"].tolist() == ["class-conditional", "adaptive"]
    assert table["least_covered"].tolist() == ["mel", "mel"]
    assert table["least_coverage"].tolist() == pytest.approx([0.69, 0.65])
    assert tried_sets_frame({}).empty


def test_heatmap_tables_hold_methods_and_differences() -> None:
    methods, differences = heatmap_frame(STUDIES["heatmaps"]), heatmap_differences(STUDIES["heatmaps"])
    assert methods["method"].tolist() == ["Grad-CAM", "Centred Gaussian"]
    assert methods["without_evidence"].tolist() == [0, 1]
    assert methods["iou_low"].tolist() == pytest.approx([0.4, 0.4])
    assert differences.loc[0, "iou"] == 0.25
    assert heatmap_differences({"comparisons": []}).empty


def test_robustness_starts_unperturbed_and_falls() -> None:
    table = robustness_frame(STUDIES["robustness"])
    assert table["key"].tolist() == ["unperturbed", "jpeg", "hair"]
    assert table["decision_flips"].tolist()[1:] == [0.1, 0.05] and math.isnan(table["decision_flips"].iloc[0])
    assert table["balanced_accuracy"].tolist() == pytest.approx([0.8, 0.7, 0.5])
    assert set(table["images"]) == {42}


def test_subgroups_that_are_too_small_keep_their_counts() -> None:
    table = subgroup_frame(STUDIES["subgroups"])
    assert table["attribute"].tolist() == ["age", "age", "sex", "site", "dx_type"]
    assert table.loc[0, ["sensitivity", "positive_auroc"]].isna().all()
    assert (table.loc[0, "positive_lesions"], table.loc[0, "negative_lesions"]) == (2, 15)
    assert table["is_too_small"].tolist() == [True, False, False, False, False]


def test_retrieval_starts_with_the_mean_of_the_classes() -> None:
    table = retrieval_frame(STUDIES["retrieval"])
    assert table["dx"].tolist() == ["mean", *SKIN.codes]
    assert table.loc[0, ["precision", "chance", "images"]].tolist() == [0.4, 1 / 7, 63]


def test_age_and_site_are_set_beside_the_image_alone() -> None:
    table = clinical_frame(STUDIES["clinical"]["measured"]).set_index("metric")
    assert tuple(table.index) == (*CLINICAL_METRICS, "coverage", "mean_size")
    first, coverage = table.loc["balanced_accuracy"], table.loc["coverage"]
    assert (first["alone"], first["informed"], first["gain"]) == (0.7, 0.715, 0.015)
    assert (coverage["alone"], coverage["informed"]) == (0.88, 0.9)
    assert table["gain"].notna().sum() == 2


def test_positive_images_that_are_all_of_the_gravest_class_stand_in_one_row() -> None:
    rows = pd.DataFrame(
        [
            {"source": source, "point": "a", "kind": kind, "images": images}
            for source, of_kind in (("one", (5, 5, 9)), ("two", (7, 5, 9)))
            for kind, images in zip(("positive", "gravest", "negative"), of_kind, strict=True)
        ]
    )
    kept = without_repeated_kinds(rows)
    assert list(zip(kept["source"], kept["kind"], strict=True)) == [
        ("one", "gravest"),
        ("one", "negative"),
        ("two", "positive"),
        ("two", "gravest"),
        ("two", "negative"),
    ]


def test_areas_of_the_answered_images_count_the_answered_ones() -> None:
    figures = external_frame(STUDIES["external"]).set_index("measure")
    assert figures.loc["gravest_auroc", "images"] == 57
    assert figures.loc["gravest_auroc_with_refused", "images"] == 60
