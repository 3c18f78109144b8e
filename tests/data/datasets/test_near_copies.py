"""Images that are nearly the same are found however they are turned, and those that look alike in small are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.datasets.ham10000 import TABLES
from data.datasets.near_copies import (
    COLUMNS,
    SAME_DETAIL,
    alike,
    find_near_copies,
    grey_pictures,
    load_near_copies,
    orientations,
)
from data.datasets.splits import SAME_LESION
from data.tasks.known import TASKS
from data.tasks.skin import SKIN
from data.tasks.task import Task


def lesion_image(seed: int, turn: int = 0) -> np.ndarray:
    """A dark spot on a light ground, as all are, with detail of its own."""
    down, across = np.mgrid[:96, :96] - 47.5
    spot = 200 - 120 * np.exp(-(down**2 + across**2) / (2 * 24**2))
    detail = np.kron(np.random.default_rng(seed).normal(0, 12, (48, 48)), np.ones((2, 2)))
    return np.rot90(np.clip(spot + detail, 0, 255).astype(np.uint8), turn)


def write_images(folder: Path, *images: np.ndarray) -> pd.DataFrame:
    (folder / "images").mkdir()
    ids = [f"ISIC_{number}" for number in range(len(images))]
    for image_id, image in zip(ids, images, strict=True):
        Image.fromarray(image).convert("RGB").save(folder / "images" / f"{image_id}.jpg", quality=90)
    return pd.DataFrame({"image_id": ids, "lesion_id": [f"HAM_{number}" for number in range(len(images))]})


def test_a_turned_copy_is_found_and_another_spot_is_not(tmp_path: Path) -> None:
    metadata = write_images(tmp_path, lesion_image(1), lesion_image(2), lesion_image(1, turn=3))
    files = sorted((tmp_path / "images").iterdir())
    # In small, all three are alike.
    assert [pair[:2] for pair in alike(grey_pictures(files), 0.95)] == [(0, 1), (0, 2), (1, 2)]
    found = find_near_copies(metadata, tmp_path)
    assert list(found.columns) == list(COLUMNS)
    assert found.iloc[:, :4].to_numpy().tolist() == [["ISIC_0", "ISIC_2", "HAM_0", "HAM_2"]]
    assert SAME_DETAIL[SKIN.key] <= found["correlation"].item() <= 1


def test_no_pair_and_a_missing_file(tmp_path: Path) -> None:
    metadata = write_images(tmp_path, lesion_image(1), lesion_image(1))
    (tmp_path / "images" / "ISIC_1.jpg").unlink()
    assert find_near_copies(metadata, tmp_path).empty


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    pictures = (pictures - pictures.mean((1, 2), keepdims=True)) / pictures.std((1, 2), keepdims=True)
    pictures[4] = pictures[0][:, ::-1]
    for size in (2, 1000):
        monkeypatch.setattr("data.datasets.near_copies.BLOCK", size)
        assert [(first, second) for first, second, _ in alike(pictures, 0.99)] == [(0, 4)]


def test_a_picture_has_eight_orientations() -> None:
    seen = {turned.tobytes() for turned in orientations(np.arange(9, dtype=np.float32).reshape(1, 3, 3))}
    assert len(seen) == 8


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_committed_pairs_of_two_lesion_ids_are_never_on_two_sides_of_the_split(task: Task) -> None:
    pairs = load_near_copies(TABLES / task.dataset.near_copies)
    assert len(pairs) and (pairs["first"] != pairs["second"]).all()
    assert pairs["correlation"].is_monotonic_decreasing
    assert pairs["correlation"].between(SAME_DETAIL[task.key], 1).all()
    sides = pairs[["first_lesion", "second_lesion"]].map(lambda lesion: SAME_LESION.get(lesion, lesion))
    assert (sides["first_lesion"] == sides["second_lesion"]).all()
