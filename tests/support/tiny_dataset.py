"""Made-up data of HAM10000's shape: a folder for tests that train, and four images whose distances are known.

The folder holds coloured blobs, a few lesions a class, some with two images; the four lie on a plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from data.datasets.ham10000 import MASK_FOLDER, METADATA_FILE
from data.tasks.skin import SKIN

COLUMNS = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
LESIONS_PER_CLASS = 9
# East, north, west, south of the mean (0, 0, 5); the third value says nothing.
EMBEDDINGS = np.array([[2, 0, 5], [0, 1, 5], [-2, 0, 5], [0, -1, 5]], dtype=np.float32)
# Its direction is (0.8, 0.6): cosines 0.8, 0.6, -0.8, -0.6 with the four.
QUERY = np.array([4, 3, 5], dtype=np.float32)


def write_tiny_dataset(folder: Path, seed: int = 0, codes: Sequence[str] = SKIN.codes, has_masks: bool = True) -> Path:
    """Write metadata, 320 x 240 JPEGs and masks of nine lesions a class; every third lesion has a second image."""
    generator = np.random.default_rng(seed)
    images = folder / "HAM10000_images_part_1"
    images.mkdir(parents=True)
    masks = folder / MASK_FOLDER
    if has_masks:
        masks.mkdir()
    rows = []
    for class_index, dx in enumerate(codes):
        for lesion in range(LESIONS_PER_CLASS):
            for view in range(2 if lesion % 3 == 0 else 1):
                image_id = f"ISIC_{class_index}{lesion:02d}{view}"
                image, mask = _blob(class_index, generator)
                image.save(images / f"{image_id}.jpg", quality=90)
                if has_masks:
                    mask.save(masks / f"{image_id}_segmentation.png")
                lesion_id = f"HAM_{class_index}{lesion:02d}"
                rows.append((lesion_id, image_id, dx, "histo", 50.0, "female", "back"))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / METADATA_FILE, index=False)
    return folder


def _blob(class_index: int, generator: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    skin = np.full((240, 320, 3), (225, 180, 165), dtype=np.float64) + generator.normal(0, 6, (240, 320, 3))
    y, x = np.mgrid[:240, :320]
    inside = ((x - generator.integers(130, 190)) / 70) ** 2 + ((y - generator.integers(100, 140)) / 55) ** 2 < 1
    skin[inside] *= np.linspace(0.35, 0.9, 7)[class_index], 0.5, np.linspace(0.8, 0.3, 7)[class_index]
    return Image.fromarray(np.clip(skin, 0, 255).astype(np.uint8)), Image.fromarray(inside)


def rows_of(*lesions: tuple[str, str]) -> pd.DataFrame:
    """One row for each (lesion_id, dx), images numbered from I0."""
    rows = [(lesion_id, f"I{i}", dx, "histo", 10.0 * i, "female", "back") for i, (lesion_id, dx) in enumerate(lesions)]
    return pd.DataFrame(rows, columns=COLUMNS)


def four_directions() -> pd.DataFrame:
    """What is known of the four images of `EMBEDDINGS`."""
    return rows_of(("east", "nv"), ("north", "mel"), ("west", "nv"), ("south", "bcc"))
