"""What the gate refused, counted by hand on files whose content is the answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from data.datasets.ham10000 import MASK_FOLDER, DatasetError
from model.analysis.quality import Quality
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.studies.gate import (
    Judged,
    count_refusals,
    drift_reference,
    edge_section,
    evenly,
    final_half,
    judge_all,
    main,
)


def write(folder: Path, *contents: str) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return paths


def judge(content: bytes) -> Judged:
    """A file's content is its issue; its length the distance."""
    issue = content.decode()
    return Judged(Quality(10.0, 100.0, 20.0, float(len(content)), (issue,) if issue else ()), 0.5)  # type: ignore[arg-type]


def qualities_of(paths: list[Path]) -> list[Quality]:
    return [one.quality for one in judge_all("photos", paths, judge)]


def test_refusals_by_hand(tmp_path: Path) -> None:
    paths = write(tmp_path, "", "out_of_distribution", "too_dark", "out_of_distribution")
    row = count_refusals("photos", True, qualities_of(paths), ["a", "b", "c", "c"])
    assert (row.source, row.should_be_refused, row.images) == ("photos", True, 4)
    assert row.refused.value == pytest.approx(3 / 4)
    assert row.out_of_distribution.value == pytest.approx(2 / 4)
    assert row.refused.low <= 3 / 4 <= row.refused.high
    assert row.at_the_edge.value == 0


def test_blurred_stranger_counts_as_refused_for_its_distance_and_edge_as_answered(tmp_path: Path) -> None:
    paths = write(tmp_path, "too_blurred", "at_the_edge", "blurred", "")
    row = count_refusals("photos", True, qualities_of(paths), list("abcd"))
    assert [row.refused.value, row.out_of_distribution.value, row.at_the_edge.value] == [1 / 4, 1 / 4, 1 / 4]


def test_edge_is_measured_by_hand() -> None:
    """Inside: both melanomas flagged, one of two nevi. At the edge: one of two melanomas, no nevus. One refused."""
    inside, edge, refused = (), ("at_the_edge",), ("out_of_distribution",)
    images = [
        (inside, 0.9, "mel"),
        (inside, 0.5, "mel"),
        (inside, 0.4, "nv"),
        (inside, 0.6, "nv"),
        (edge, 0.9, "mel"),
        (edge, 0.1, "mel"),
        (edge, 0.1, "bkl"),
        (refused, 0.1, "mel"),
    ]
    judged = [Judged(Quality(10, 100, 20, 1, issues), p) for issues, p, _ in images]  # type: ignore[arg-type]
    rows = pd.DataFrame({"dx": [dx for *_, dx in images], "lesion_id": [str(number) for number in range(len(images))]})
    artifact = load_artifact(DEFAULT_ARTIFACT)
    point = replace(artifact.operating_points[0], threshold=0.5)
    (measured,) = edge_section(judged, rows, replace(artifact, operating_points=(point,)))
    assert (measured["name"], measured["threshold"]) == (point.name, 0.5)
    shares = {
        (place, rate): (measured[place][rate]["value"], measured[place][rate]["n"])
        for place in ("inside", "edge")
        for rate in ("sensitivity", "specificity")
    }
    assert shares == {
        ("inside", "sensitivity"): (1.0, 2),
        ("inside", "specificity"): (0.5, 2),
        ("edge", "sensitivity"): (0.5, 2),
        ("edge", "specificity"): (1.0, 1),
    }


def test_final_half_is_every_second_image_by_name(tmp_path: Path) -> None:
    paths = write(tmp_path, *"abcde")
    (tmp_path / "labels.csv").write_text("no image")
    assert final_half(tmp_path) == [paths[1], paths[3]]
    with pytest.raises(DatasetError, match="at least 2 image files"):
        final_half(tmp_path / "nowhere")


def test_drift_reference_by_hand(tmp_path: Path) -> None:
    qualities = qualities_of(write(tmp_path, "", "blurred", "blurred", "out_of_distribution"))
    reference = drift_reference(qualities)
    assert reference["blurred_share"] == 2 / 4
    assert len(reference["ood_quantiles"]) == 101
    assert (reference["ood_quantiles"][0], reference["ood_quantiles"][50], reference["ood_quantiles"][-1]) == (0, 7, 19)


def test_masks_are_no_images_of_anything(tmp_path: Path) -> None:
    (tmp_path / MASK_FOLDER).mkdir()
    write(tmp_path / MASK_FOLDER, "", "", "")
    paths = write(tmp_path, "", "", "")
    assert final_half(tmp_path) == paths[1::2]


def test_evenly_spaced_numbers() -> None:
    assert evenly(10, 4) == [0, 2, 5, 7]
    assert evenly(3, 4) == evenly(3, None) == [0, 1, 2]


def test_folder_that_is_no_dataset_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", str(tmp_path), "--outside", str(tmp_path)]) == 2
    assert "HAM10000_metadata.csv" in capsys.readouterr().err
