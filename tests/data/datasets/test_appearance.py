"""Size, light and colours of images, worked out by hand, and the committed tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.datasets.appearance import (
    AROUND_COLOUR,
    FACTS,
    IMAGE_COLOUR,
    LESION_COLOUR,
    MEASURED,
    MEASURED_WHOLE,
    image_facts,
    load_appearance,
    measure_appearance,
    measure_whole,
)
from data.datasets.ham10000 import MASK_FOLDER, TABLES, load_counts
from data.tasks.known import TASKS
from data.tasks.task import Task
from tests.support.dashboard import write_dataset


def test_size_and_colours_are_those_of_both_sides_of_the_mask() -> None:
    image = np.full((8, 10, 3), (200, 150, 100), dtype=np.uint8)
    mask = np.zeros((8, 10), dtype=bool)
    mask[2:6, 1:6] = True
    image[mask] = (40, 20, 10)
    facts = image_facts(image, mask)
    assert (facts.width, facts.height, facts.area) == (10, 8, 0.25)
    assert facts.lesion == (40, 20, 10) and facts.around == (200, 150, 100) and facts.whole == (160, 118, 78)


def test_without_a_mask_or_with_an_empty_one_the_lesion_has_no_colour() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    assert image_facts(image, None).area is None and image_facts(image, None).lesion is None
    nothing = image_facts(image, np.zeros((4, 4), dtype=bool))
    assert nothing.area == 0 and nothing.lesion is None and nothing.around == (0, 0, 0)


def test_a_folder_is_measured_where_it_has_image_and_mask(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=4)
    (folder / MASK_FOLDER).mkdir()
    for image_id, size in (("ISIC_0000000", (96, 72)), ("ISIC_0000001", (48, 36)), ("ISIC_0000003", (96, 72))):
        mask = np.zeros(size[::-1], dtype=np.uint8)
        mask[: size[1] // 2] = 255
        Image.fromarray(mask).save(folder / MASK_FOLDER / f"{image_id}_segmentation.png")
    # The third has no mask, and the last one's file is missing.
    table = measure_appearance(folder)
    assert list(table["image_id"]) == ["ISIC_0000000", "ISIC_0000001"] and list(table.columns) == [*FACTS, *MEASURED]
    assert (table["area"] == 0.5).all() and set(table["dx"]) == {"mel"}
    assert np.abs(table[[*LESION_COLOUR, *AROUND_COLOUR]].to_numpy() - [120, 110, 100] * 2).max() <= 2


def test_without_masks_the_lit_part_of_an_image_is_measured(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=3, codes=("dr1", "dr4"))
    # A grey left half beside black; then nothing but black; the third file is missing.
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    for number, grey in enumerate((100, 0)):
        picture[:, :40] = grey
        Image.fromarray(picture).save(folder / "images" / f"ISIC_{number:07d}.png")
        (folder / "images" / f"ISIC_{number:07d}.jpg").unlink()
    table = measure_whole(folder, TASKS["retina"].codes)
    assert list(table.columns) == [*FACTS, *MEASURED_WHOLE] and list(table["dx"]) == ["dr1", "dr4"]
    half, black = table.to_dict("records")
    assert (half["brightness"], half["lit"], half["image_red"]) == (100, 0.5, 100)
    # 58 x 78 values, of which 58 are -100 and 58 are 100.
    assert half["sharpness"] == round(float(np.sqrt(2 * 100**2 / 78)), 2)
    assert (black["brightness"], black["sharpness"], black["lit"], black["image_blue"]) == (0, 0, 0, 0)
    size = (folder / "images" / "ISIC_0000000.png").stat().st_size
    assert half["kilobytes"] == round(size / 1000, 1)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_committed_table_is_of_the_whole_dataset(task: Task) -> None:
    table, counts = load_appearance(TABLES / task.dataset.appearance), load_counts(TABLES / task.dataset.counts)
    assert table["image_id"].is_unique and len(table) == counts["images"].sum()
    pd.testing.assert_series_equal(
        table["dx"].value_counts().sort_index(), counts.groupby("dx")["images"].sum(), check_names=False
    )
    shares = table["area" if "area" in table else "lit"]
    assert shares.between(0, 1).all()
    colours = [column for column in (*LESION_COLOUR, *AROUND_COLOUR, *IMAGE_COLOUR) if column in table]
    assert len(colours) >= 3
    assert table[colours].min(axis=None) >= 0 and table[colours].max(axis=None) <= 255


def test_lesions_are_darker_than_the_skin_around_them() -> None:
    table = load_appearance()
    assert table["area"].between(0, 1).all()
    colours = table[[*LESION_COLOUR, *AROUND_COLOUR]]
    assert colours.min(axis=None) >= 0 and colours.max(axis=None) <= 255
    lesion, around = table[list(LESION_COLOUR)].mean(axis=1), table[list(AROUND_COLOUR)].mean(axis=1)
    assert (lesion < around).mean() > 0.9
