"""A small drawn dataset of graded retinal photographs for tests, and a training of it that takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from data.tasks.retina import RETINA
from tests.support.files.fundus import fundus

EYES_A_GRADE = 9
QUICK_OPTIONS = (
    *("--task", "retina", "--crop", "circle", "--contrast", "local_average", "--grade-weight", "0.5"),
    *("--backbone", "tiny", "--init", "none", "--limit", "24", "--batch-size", "8", "--height", "64", "--width", "64"),
    *("--head-epochs", "0", "--low-resolution-epochs", "0", "--middle-resolution-epochs", "0"),
    *("--full-resolution-epochs", "1"),
)


def drawn_source(folder: Path) -> Path:
    """A folder like APTOS 2019's: the higher the grade, the more dark spots; one eye is in it twice, graded apart."""
    images = folder / "train_images"
    images.mkdir(parents=True)
    rows = []
    for grade in range(len(RETINA.codes)):
        for eye in range(EYES_A_GRADE):
            seed = grade * EYES_A_GRADE + eye
            pixels, generator = fundus(120, 160, 55, seed=seed).copy(), np.random.default_rng(seed)
            for row, column in generator.integers(40, 80, (3 * grade, 2)):
                pixels[row : row + 5, column : column + 5] //= 3
            Image.fromarray(pixels).save(images / f"{grade}{eye}.png")
            rows.append((f"{grade}{eye}", grade))
    (images / "again.png").write_bytes((images / "20.png").read_bytes())
    pd.DataFrame([*rows, ("again", 3)], columns=["id_code", "diagnosis"]).to_csv(folder / "train.csv", index=False)
    return folder
