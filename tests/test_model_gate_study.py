"""What the gate refused, counted by hand on files whose content is the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.ham10000 import DatasetError
from model.gate_study import final_half, measure_refusals


def write(folder: Path, *contents: str) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return paths


def refusal_of(content: bytes) -> str | None:
    return content.decode() or None


def test_refusals_by_hand(tmp_path: Path) -> None:
    paths = write(tmp_path, "", "out_of_distribution", "too_dark", "out_of_distribution")
    row = measure_refusals("photos", True, paths, ["a", "b", "c", "c"], refusal_of)
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
