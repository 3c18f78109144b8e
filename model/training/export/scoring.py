"""What the serving file answers for the images of a dataset, as one table a part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tqdm import tqdm

from data.datasets.ham10000 import SOURCE
from data.tasks.task import Task
from model.analysis.quality import measure
from model.images.framing import AS_FRAMED, Preparation
from model.inference.artifact import SIGNATURE
from model.inference.calibration import Calibration, LabelledLogits, decide
from model.training.batches import load_images
from model.training.recipe import class_indices, labels


@dataclass(frozen=True)
class Scored:
    """What a serving file answered for the images of one part, row by row.

    Attributes:
        rows: metadata of N images.
        task: what the C classes are.
        logits: (N, C).
        embeddings: (N, K).
        textures: (N, T).
        peaks: (N, C), the maximum of each class map.
        qualities: (N, 3) sharpness, brightness and contrast.
    """

    rows: pd.DataFrame
    task: Task
    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    textures: NDArray[np.float32]
    peaks: NDArray[np.float32]
    qualities: NDArray[np.float64]

    @property
    def labelled_logits(self) -> LabelledLogits:
        """What a calibration is fitted on; of the rows' `source`, or the dataset's where they name none."""
        named = self.rows[SOURCE].iloc[0] if SOURCE in self.rows and len(self.rows) else ""
        return LabelledLogits(named or self.task.dataset.name, self.logits, labels(self.rows, self.task.codes))

    @property
    def class_indices(self) -> NDArray[np.int64]:
        return class_indices(self.rows, self.task.codes)


def score(
    serving_file: bytes,
    rows: pd.DataFrame,
    task: Task,
    dataset: Path,
    description: str,
    preparation: Preparation = AS_FRAMED,
) -> Scored:
    """Run a serving file over images of a dataset, prepared as it was trained, with a progress bar."""
    interpreter = Interpreter(model_content=serving_file, num_threads=os.cpu_count())
    _, height, width, _ = interpreter.get_input_details()[0]["shape"]
    images = load_images(dataset, list(rows["image_id"]), int(height), int(width), preparation=preparation)
    runner = interpreter.get_signature_runner(SIGNATURE)
    answers: dict[str, list[NDArray[np.float32]]] = {"logits": [], "embedding": [], "texture": [], "peaks": []}
    for image in tqdm(images, desc=f"scoring {description}", unit="image", mininterval=1.0):
        outputs = runner(image=image[np.newaxis].astype(np.float32))
        outputs["peaks"] = outputs["maps"].max(axis=(1, 2))
        for name, values in answers.items():
            values.append(outputs[name][0])
    stacked = {name: np.stack(values) for name, values in answers.items()}
    qualities = np.array([measure(image) for image in images])
    return Scored(
        rows,
        task,
        stacked["logits"].astype(np.float64),
        stacked["embedding"],
        stacked["texture"],
        stacked["peaks"],
        qualities,
    )


def joined(parts: Sequence[Scored]) -> Scored:
    """The rows of several parts one below the other, without embeddings and textures: each member has its own kind."""
    nothing = np.empty((sum(len(part.rows) for part in parts), 0), dtype=np.float32)
    return Scored(
        pd.concat([part.rows for part in parts]),
        parts[0].task,
        np.concatenate([part.logits for part in parts]),
        nothing,
        nothing,
        np.concatenate([part.peaks for part in parts]),
        np.concatenate([part.qualities for part in parts]),
    )


def predictions_table(part: Scored, calibration: Calibration) -> pd.DataFrame:
    """A part's predictions as `test_predictions.csv` holds them."""
    probabilities = calibration.probabilities(part.logits)
    columns = ["image_id", "lesion_id", "dx", "age", "sex", "localization", "dx_type"]
    table = part.rows[columns].reset_index(drop=True)
    codes = part.task.codes
    table[list(codes)] = probabilities.round(7)
    decided = decide(probabilities, np.asarray(calibration.prior), part.task.is_ordinal)
    return table.assign(prediction=[codes[index] for index in decided])
