"""What the serving file answers for the images of a dataset, as one table a part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tqdm import tqdm

from data.tasks.skin import DX_CODES
from model.analysis.quality import measure
from model.images.rejection import RgbImage
from model.inference.artifact import (
    SIGNATURE,
)
from model.inference.calibration import Calibration, decide
from model.networks.architecture import build_ensemble
from model.training.batches import load_images
from model.training.recipe import HEIGHT, WIDTH, class_indices
from model.training.serving_file import to_litert


@dataclass(frozen=True)
class Scored:
    """What a serving file answered for the images of one part, row by row.

    Attributes:
        rows: metadata of N images.
        logits: (N, 7).
        embeddings: (N, K).
        textures: (N, T).
        peaks: (N, 7), the maximum of each class map.
        qualities: (N, 3) sharpness, brightness and contrast.
    """

    rows: pd.DataFrame
    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    textures: NDArray[np.float32]
    peaks: NDArray[np.float32]
    qualities: NDArray[np.float64]

    @property
    def class_indices(self) -> NDArray[np.int64]:
        return class_indices(self.rows)


def score(interpreter: Interpreter, rows: pd.DataFrame, images: RgbImage, description: str) -> Scored:
    """Run the serving file over images of its input size, with a progress bar."""
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
        stacked["logits"].astype(np.float64),
        stacked["embedding"],
        stacked["texture"],
        stacked["peaks"],
        qualities,
    )


def joined(parts: Sequence[Scored]) -> Scored:
    """The rows of several parts one below the other, without their embeddings, which differ from member to member."""
    return Scored(
        pd.concat([part.rows for part in parts]),
        np.concatenate([part.logits for part in parts]),
        np.empty((sum(len(part.rows) for part in parts), 0), dtype=np.float32),
        np.concatenate([part.textures for part in parts]),
        np.concatenate([part.peaks for part in parts]),
        np.concatenate([part.qualities for part in parts]),
    )


def predictions_table(part: Scored, calibration: Calibration) -> pd.DataFrame:
    """A part's predictions as `test_predictions.csv` holds them."""
    probabilities = calibration.probabilities(part.logits)
    columns = ["image_id", "lesion_id", "dx", "age", "sex", "localization", "dx_type"]
    table = part.rows[columns].reset_index(drop=True)
    table[list(DX_CODES)] = probabilities.round(7)
    return table.assign(prediction=[DX_CODES[index] for index in decide(probabilities, np.asarray(calibration.prior))])


def score_member(member: keras.Model, views: int, rows: pd.DataFrame, dataset: Path, description: str) -> Scored:
    """What one network alone, in the serving format, answers for the fold it was not trained on."""
    interpreter = Interpreter(
        model_content=to_litert(build_ensemble([member], HEIGHT, WIDTH, views), HEIGHT, WIDTH),
        num_threads=os.cpu_count(),
    )
    return score(interpreter, rows, load_images(dataset, list(rows["image_id"]), HEIGHT, WIDTH), description)
