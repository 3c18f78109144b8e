"""What the gate refused, counted by hand on files whose content is the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.datasets.ham10000 import DatasetError
from model.analysis.quality import Quality
from model.studies.gate import count_refusals, drift_reference, final_half, qualities_of


def write(folder: Path, *contents: str) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return paths


def quality_of(content: bytes) -> Quality:
    """A file's content is its issue; its length the distance."""
    issue = content.decode()
    return Quality(10.0, 100.0, 20.0, float(len(content)), (issue,) if issue else ())  # type: ignore[arg-type]


def test_refusals_by_hand(tmp_path: Path) -> None:
    paths = write(tmp_path, "", "out_of_distribution", "too_dark", "out_of_distribution")
    row = count_refusals("photos", True, qualities_of("photos", paths, quality_of), ["a", "b", "c", "c"])
    assert (row.source, row.should_be_refused, row.images) == ("photos", True, 4)
    assert row.refused.value == pytest.approx(3 / 4)
    assert row.out_of_distribution.value == pytest.approx(2 / 4)
    assert row.refused.low <= 3 / 4 <= row.refused.high


def test_final_half_is_every_second_image_by_name(tmp_path: Path) -> None:
    paths = write(tmp_path, *"abcde")
    (tmp_path / "labels.csv").write_text("no image")
    assert final_half(tmp_path) == [paths[1], paths[3]]
    with pytest.raises(DatasetError, match="at least 2 image files"):
        final_half(tmp_path / "nowhere")


def test_drift_reference_by_hand(tmp_path: Path) -> None:
    qualities = qualities_of("lesions", write(tmp_path, "", "blurred", "blurred", "out_of_distribution"), quality_of)
    reference = drift_reference(qualities)
    assert reference["blurred_share"] == 2 / 4
    assert len(reference["ood_quantiles"]) == 101
    assert (reference["ood_quantiles"][0], reference["ood_quantiles"][50], reference["ood_quantiles"][-1]) == (0, 7, 19)
