"""What is measured of a clinic's images: counts by hand, labels that know one class, and the locked test beside it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.studies.clinics.entry import measure
from model.studies.clinics.labelled import Labelled
from tests.support.artifacts import made_up_clinic

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)
MEL, NV = SKIN.index("mel"), SKIN.index("nv")


def labelled(rows: list[tuple[str, int, str, float]]) -> Labelled:
    """Rows of lesion, class, refusal and p(mel); the rest is nevus."""
    probabilities = np.zeros((len(rows), len(SKIN.codes)))
    for number, (_, _, refusal, p) in enumerate(rows):
        probabilities[number, [MEL, NV]] = (np.nan, np.nan) if refusal == "unreadable" else (p, 1 - p)
    lesions, classes, refusals, _ = zip(*rows, strict=True)
    ids = np.array([f"image {number}" for number in range(len(rows))])
    return Labelled(ids, np.array(lesions), np.array(classes), np.array(refusals), probabilities)


def test_counts_are_end_to_end() -> None:
    threshold = ARTIFACT.operating_points[0].threshold
    low, high = threshold / 2, 0.9
    rows = [
        *[(f"m{n}", MEL, "", high) for n in range(5)],
        *[(f"m{n}", MEL, "", low) for n in (5, 6)],
        ("m7", MEL, "out_of_distribution", high),
        *[(f"n{n}", NV, "", low) for n in range(3)],
        ("n3", NV, "", high),
        ("n4", NV, "unreadable", 0.0),
    ]
    entry = measure("a clinic", labelled(rows), ARTIFACT)
    outcome = entry["points"][0]["outcomes"]["gravest"]
    assert outcome == entry["points"][0]["outcomes"]["positive"]
    assert [outcome[fate]["value"] for fate in ("flagged", "not_flagged", "not_answered")] == [5 / 8, 2 / 8, 1 / 8]
    assert outcome["flagged"]["n"] == 8 and outcome["flagged"]["low"] < 5 / 8 < outcome["flagged"]["high"]
    negative = entry["points"][0]["outcomes"]["negative"]
    assert [negative[fate]["value"] for fate in ("flagged", "not_flagged", "not_answered")] == [1 / 5, 3 / 5, 1 / 5]
    answered = entry["points"][0]["answered"]
    assert (answered["sensitivity"]["value"], answered["sensitivity"]["n"]) == (5 / 7, 7)
    assert (answered["specificity"]["value"], answered["specificity"]["n"]) == (3 / 4, 4)
    # Ranks: five of seven melanomas above three nevi and level with the fourth; two level with three, below the fourth.
    assert entry["gravest_auroc"]["value"] == pytest.approx((5 * 3.5 + 2 * 1.5) / 28)
    assert entry["gravest_auroc_with_refused"]["value"] == pytest.approx((6 * 3.5 + 2 * 1.5) / 32)
    assert [(row["dx"], row["refused"]["value"]) for row in entry["refused"]] == [
        ("all", 2 / 13),
        ("mel", 1 / 8),
        ("nv", 1 / 5),
    ]
    assert entry["sets"]["coverage"][0]["coverage"]["n"] == 11
    json.dumps(entry, allow_nan=False)


def test_labels_of_melanoma_alone_ask_nothing_they_do_not_know() -> None:
    rows = [("a", MEL, "", 0.9), ("b", -1, "", 0.01), ("c", -1, "", 0.9)]
    entry = measure("a clinic", labelled(rows), ARTIFACT)
    assert set(entry["points"][0]["outcomes"]) == {"gravest", "negative"}
    assert "positive_auroc" not in entry and entry["calibration_error"] is None
    assert [row["dx"] for row in entry["sets"]["coverage"]] == ["mel"]
    assert entry["points"][0]["outcomes"]["negative"]["flagged"]["value"] == 1 / 2


def test_every_metric_stands_next_to_the_locked_test_s() -> None:
    entry = measure("a clinic", made_up_clinic(ARTIFACT, 600), ARTIFACT)
    rows = {(row["metric"], row["question"], row["point"], row["is_end_to_end"]): row for row in entry["beside"]}
    locked = ARTIFACT.manifest["metrics"]
    row = rows["positive_auroc", "", "", False]
    assert row["here"] == entry["metrics"]["positive_auroc"] and row["locked"] == locked["positive_auroc"]
    assert row["difference"]["value"] == pytest.approx(row["here"]["value"] - row["locked"]["value"])
    # Two independent samples: wider than either interval alone, narrower than both end to end.
    widths = [row[name]["high"] - row[name]["low"] for name in ("here", "locked", "difference")]
    assert max(widths[:2]) < widths[2] < sum(widths[:2])
    for point in ARTIFACT.operating_points:
        for rate in ("sensitivity", "specificity"):
            for is_end_to_end in (True, False):
                row = rows[rate, "malignant", point.name, is_end_to_end]
                assert row["locked"]["value"] == getattr(point, rate).value
    assert {question for metric, question, *_ in rows if metric == "auroc"} == set(SKIN.codes)
    assert rows["coverage", "", "", False]["locked"] == ARTIFACT.manifest["conformal"]["measured"]["coverage"]
    # What the mix of images moves gets no difference.
    for key in (("accuracy", ""), ("calibration_error", ""), ("ppv", "mel"), ("npv", "mel")):
        assert rows[(*key, "", False)]["difference"]["value"] is None
    assert sum(map(sum, entry["metrics"]["confusion"])) == 600
    json.dumps(entry, allow_nan=False)


def test_image_without_answer_counts_end_to_end_alone() -> None:
    images = labelled([*[(f"m{n}", MEL, "", 0.9) for n in range(15)], *[(f"n{n}", NV, "", 0.0) for n in range(15)]])
    refused = labelled([*[(f"m{n}", MEL, "blurred" if n < 5 else "", 0.9) for n in range(15)], ("n", NV, "", 0.0)])
    for one, expected in ((images, (1.0, 1.0)), (refused, (10 / 15, 1.0))):
        rows = measure("a clinic", one, ARTIFACT)["beside"]
        found = [row["here"]["value"] for row in rows if row["metric"] == "sensitivity" and row["point"]]
        assert tuple(found[:2]) == pytest.approx(expected)


def test_other_classes_and_few_lesions_make_no_difference_that_could_be_told() -> None:
    rows = measure("a clinic", labelled([("a", MEL, "", 0.9), ("b", NV, "", 0.1)]), ARTIFACT)["beside"]
    of_all = {row["metric"]: row["difference"] for row in rows if not row["question"] and not row["point"]}
    # Two of seven classes: their mean sensitivity is another metric.
    assert of_all["balanced_accuracy"]["value"] is None and of_all["macro_auroc"]["value"] is None
    at_point = [row["difference"] for row in rows if row["point"]]
    assert all(one["value"] is not None and one["low"] is None for one in at_point)
    assert {row["question"] for row in rows} == {"", "malignant", "mel", "nv"}
