"""Scores for a challenge whose scorer takes the class with the highest one, such as ISIC 2018 task 3.

The calibrated probabilities are no such scores: `prediction` is the class whose probability is highest for its share of
the population (`model.inference.calibration.decide`), which is what balanced accuracy counts.

Source:
    Codella et al., arXiv:1902.03368 (ISIC 2018; its submissions are scored by balanced accuracy of the highest score).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.batch.table import Row
from model.inference.artifact import Artifact

DECIMALS = 7


def write_challenge(path: Path, rows: Sequence[Row], artifact: Artifact) -> None:
    """Write `image`, the file's name without its ending, and a score a class under its code in capitals.

    Args:
        path: CSV file.
        rows: of `model.predict`, for a task whose classes are names; images without an answer are left out.
        artifact: whose prior the decision weighs probabilities against.

    Raises:
        OSError: it cannot be written.
    """
    codes = artifact.task.codes
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", *(code.upper() for code in codes)))
        for row in rows:
            if row["prediction"]:
                raised = np.array([float(row[code]) for code in codes]) / np.asarray(artifact.calibration.prior)
                scores = raised / raised.sum()
                writer.writerow((Path(row["image"]).stem, *(f"{score:.{DECIMALS}f}" for score in scores)))
