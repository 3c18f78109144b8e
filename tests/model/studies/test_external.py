"""What is measured at other clinics: counts by hand, labels as people write them, and the committed entry."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import DatasetError
from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.inference.measured import ExternalResult, MeasuredRate, Outcome
from model.studies.external import Labelled, files_of, main, measure, read_labels

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)
SAMPLES = Path(__file__).resolve().parents[3] / "data" / "sample"
MEL, NV, BKL = (SKIN.index(dx) for dx in ("mel", "nv", "bkl"))


def labelled(rows: list[tuple[str, int, str, float]]) -> Labelled:
    """Rows of lesion, class, refusal and p(mel); the rest is nevus."""
    probabilities = np.zeros((len(rows), len(SKIN.codes)))
    for number, (_, _, refusal, p) in enumerate(rows):
        probabilities[number, [MEL, NV]] = (np.nan, np.nan) if refusal == "unreadable" else (p, 1 - p)
    lesions, classes, refusals, _ = zip(*rows, strict=True)
    return Labelled(np.array(lesions), np.array(classes), np.array(refusals), probabilities)


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


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_labels_are_read_as_people_write_them(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        separator.join(("image_id", "melanoma")) + f"\na{separator}1\nb{separator}0\n", encoding="utf-8-sig"
    )
    labels = read_labels(path, SKIN)
    assert labels.to_dict("list") == {"image_id": ["a", "b"], "lesion_id": ["a", "b"], "dx": ["mel", ""]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image_id,diagnosis\na,mel\n", "expected columns image_id, and dx or melanoma; found image_id, diagnosis"),
        ("image_id,dx\n", "expected one row an image, found none"),
        ("image_id,dx\na,mel\nb,naevus\n", "row 3, dx: expected one of .*, received naevus"),
        ("image_id,dx\na,mel\na,nv\n", "row 3, image_id: expected each image once, received a"),
        ("image_id,melanoma\na,2\n", "row 2, melanoma: expected one of 0, 1"),
        ("image_id,dx\n,mel\n", "row 2, image_id: expected an image_id"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=expected):
        read_labels(path, SKIN)


def test_images_are_found_by_name_with_or_without_ending(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.PNG", "c.jpg", "other/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_of(tmp_path, ["a", "a.jpg", "b"]) == [
        tmp_path / "a.jpg",
        tmp_path / "a.jpg",
        tmp_path / "sub/b.PNG",
    ]
    for image_id, many in (("c", "2 of them"), ("d", "none")):
        with pytest.raises(DatasetError, match=f"expected one image file {image_id} in .*, found {many}"):
            files_of(tmp_path, [image_id])


def test_command_keeps_an_entry_in_the_artifact_and_replaces_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = tmp_path / "skin", sorted(SAMPLES.glob("*.jpg"))[:3]
    shutil.copytree(DEFAULT_ARTIFACT, folder)
    rows = [{"image_id": path.name, "dx": dx} for path, dx in zip(images, ("mel", "nv", "bkl"), strict=True)]
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    options = ["--artifact", str(folder), "--images", str(SAMPLES), "--labels", str(tmp_path / "labels.csv")]
    for _ in range(2):
        assert main([*options, "--name", "A clinic", "--processes", "1"]) == 0
    out = capsys.readouterr().out
    assert "A clinic, 3 images" in out and "sensitivity_95: malignant" in out
    artifact = load_artifact(folder)
    assert [one["name"] for one in artifact.manifest["external"]].count("A clinic") == 1
    assert main([*options, "--name", "Another", "--processes", "1", "--dry-run"]) == 0
    assert load_artifact(folder).manifest == artifact.manifest
    assert main([*options[:-1], str(tmp_path / "none.csv"), "--name", "A clinic"]) == 2
    assert "could not read it" in capsys.readouterr().err


def test_worst_other_clinic_is_the_one_that_is_told() -> None:
    point = ARTIFACT.operating_points[0]

    def result(source: str, flagged: float, n: int) -> ExternalResult:
        rates = (MeasuredRate(share, 0.0, 1.0, n) for share in (flagged, 1 - flagged, 0.0))
        return ExternalResult(source, point.name, point.threshold, {"gravest": Outcome(*rates)})

    several = replace(ARTIFACT, external=(result("a", 0.8, 50), result("b", 0.6, 40), result("no melanoma", 0.0, 0)))
    told = several.elsewhere(point.name, point.threshold)
    assert told is not None and told.source == "b"
    assert several.elsewhere(point.name, point.threshold / 2) is None
    assert replace(ARTIFACT, external=()).elsewhere(point.name, point.threshold) is None


def test_committed_entry_is_of_the_committed_weights_and_the_locked_part() -> None:
    parts = pd.read_csv(Path(__file__).resolve().parents[3] / "data" / "isic2017_parts.csv")
    (entry,) = ARTIFACT.manifest["external"]
    assert entry["weights_sha256"] == ARTIFACT.weights_sha256
    assert entry["images"] == (parts["part"] == "locked").sum()
    assert entry["points"][0]["outcomes"]["gravest"]["flagged"]["n"] == 123
