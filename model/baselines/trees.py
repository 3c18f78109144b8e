"""Boosted trees on pixels or on a frozen network's embeddings, with the split and the outputs of a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from tqdm import tqdm

from data.datasets.ham10000 import load_metadata
from data.tasks.known import DEFAULT_TASK
from model.inference.artifact import HISTORY_FILE
from model.training.recipe import (
    RunMismatch,
    Sampling,
    class_indices,
    labelled_task,
    sampling_prior,
    select_rows,
    task_of,
)

TREES_FILE = "trees.json"
BOOSTER_FILE = "trees.ubj"
EMBEDDER_FILE = "embedder.tflite"
# What embeddings are taken from; nothing of it is trained.
EMBEDDER = "mobilenet_v2"

Features = Literal["pixels", "embeddings"]
FEATURES: tuple[Features, ...] = get_args(Features)
# Height and width in pixels. 28 x 28 is what HAM10000 is also published as, in a table of pixels.
SIZES: dict[Features, tuple[int, int]] = {"pixels": (28, 28), "embeddings": (96, 128)}


@dataclass(frozen=True)
class TreesRecipe:
    """Everything that decides what trees are grown; the first seven as in `model.training.recipe.Recipe`.

    Attributes:
        features: RGB values 0-255, or the mean of the last activation of `EMBEDDER`.
        init: the embedder's weights: `imagenet`, a file, or `none`; `none` with pixels.
        height, width: of the image that the features are taken from.
        rounds: of boosting; in each, one tree a class.
        depth: of a tree, at most.
        learning_rate: what each tree counts.
        bins: that the values of a feature are sorted into.
    """

    dataset: str
    sampling: Sampling
    validation_fold: int
    seed: int
    split_seed: int
    limit: int | None
    features: Features
    init: str
    height: int
    width: int
    rounds: int
    depth: int
    learning_rate: float
    bins: int = 64
    task: str = DEFAULT_TASK
    question_alone: bool = False


class Trees:
    """Grown trees, and what turns images into their features.

    Attributes:
        recipe: they were grown by.
        booster: the trees.
        embedder: LiteRT file of the network that embeds; None for pixels.
    """

    def __init__(self, recipe: TreesRecipe, booster: xgboost.Booster, embedder: bytes | None) -> None:
        self.recipe, self.booster, self.embedder = recipe, booster, embedder

    def logits(self, rows: pd.DataFrame, description: str) -> NDArray[np.float64]:
        """(N, C) sums of the trees' leaves for images of the recipe's dataset, before any softmax."""
        return self._margins(features_of(self.recipe, self.embedder, rows, description))

    def _margins(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.booster.predict(xgboost.DMatrix(features), output_margin=True).astype(np.float64)

    def answer(self, image: NDArray[np.uint8]) -> Callable[[], object]:
        """What answers one image, (height, width, 3), on one thread, to be timed."""
        self.booster.set_param({"nthread": 1})
        embed = _embedder_of(self.embedder, threads=1) if self.embedder else _pixels
        return lambda: self.booster.inplace_predict(embed(image[np.newaxis])[np.newaxis], predict_type="margin")


def train_trees(recipe: TreesRecipe, folder: Path) -> Path:
    """Grow trees; writes `trees.ubj`, `history.csv`, `trees.json` and, with embeddings, the embedder into `folder`.

    Returns:
        Path of the trees.

    Raises:
        RunMismatch: the folder holds trees already.
        DatasetError: the dataset is not there, or lacks an image.
        WeightsMismatch: the embedder's weights are not there, or not its own.
    """
    if (folder / TREES_FILE).is_file():
        raise RunMismatch(f"{folder} already holds trees: choose another --run folder")
    task = task_of(recipe)
    rows = select_rows(load_metadata(Path(recipe.dataset), labelled_task(recipe).codes), recipe)
    embedder = None if recipe.features == "pixels" else build_embedder(recipe)
    names = ("training", "validation")
    parts = {
        name: xgboost.DMatrix(
            features_of(recipe, embedder, part, name),
            class_indices(part, task.codes),
            weight=image_weights(class_indices(part, task.codes), recipe.sampling, len(task.codes))
            if name == "training"
            else None,
        )
        for name, part in zip(names, rows, strict=True)
    }
    measured: dict[str, dict[str, list[float]]] = {}
    clock = _Clock(recipe.rounds)
    booster = xgboost.train(
        {
            "objective": "multi:softprob",
            "num_class": len(task.codes),
            "eval_metric": ["merror", "mlogloss"],
            "tree_method": "hist",
            "max_bin": recipe.bins,
            "max_depth": recipe.depth,
            "learning_rate": recipe.learning_rate,
            "seed": recipe.seed,
            "nthread": os.cpu_count(),
        },
        parts["training"],
        recipe.rounds,
        evals=[(matrix, name) for name, matrix in parts.items()],
        evals_result=measured,
        verbose_eval=False,
        callbacks=[clock],
    )
    folder.mkdir(parents=True, exist_ok=True)
    _history(recipe, measured, clock).to_csv(folder / HISTORY_FILE, index=False)
    if embedder is not None:
        (folder / EMBEDDER_FILE).write_bytes(embedder)
    booster.save_model(folder / BOOSTER_FILE)
    (folder / TREES_FILE).write_text(json.dumps({"recipe": asdict(recipe)}, indent=2))
    return folder / BOOSTER_FILE


def read_trees(folder: Path) -> Trees:
    """What `train_trees` left in a folder.

    Raises:
        RunMismatch: the folder holds no trees.
    """
    path = folder / TREES_FILE
    if not path.is_file():
        raise RunMismatch(f"expected {TREES_FILE} of model.train_trees in {folder}, found none")
    embedder = folder / EMBEDDER_FILE
    return Trees(
        TreesRecipe(**json.loads(path.read_text())["recipe"]),
        xgboost.Booster(model_file=folder / BOOSTER_FILE),
        embedder.read_bytes() if embedder.is_file() else None,
    )


def image_weights(indices: NDArray[np.int64], sampling: Sampling, classes: int) -> NDArray[np.float64]:
    """(N,) what each image counts, mean 1, so that the classes have the shares that a sampler would draw.

    Trees are not grown from batches, so a rare class is weighed more instead of being drawn more often.
    """
    counts = np.bincount(indices, minlength=classes)
    of_class = sampling_prior(indices, sampling, classes) / np.maximum(counts / counts.sum(), 1e-12)
    return of_class[indices]


def features_of(
    recipe: TreesRecipe, embedder: bytes | None, rows: pd.DataFrame, description: str
) -> NDArray[np.float32]:
    """(N, F) features of images of the recipe's dataset, with progress bars."""
    from model.training.batches import load_images

    images = load_images(Path(recipe.dataset), list(rows["image_id"]), recipe.height, recipe.width)
    if embedder is None:
        return _pixels(images).reshape(len(images), -1)
    embed = _embedder_of(embedder, threads=os.cpu_count() or 1)
    bar = tqdm(images, desc=f"embedding {description}", unit="image", mininterval=1.0)
    return np.stack([embed(image[np.newaxis]) for image in bar])


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.astype(np.float32).reshape(-1)


def _embedder_of(serving_file: bytes, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What gives the embedding, (K,), of one image, (1, h, w, 3) uint8."""
    from ai_edge_litert.interpreter import Interpreter

    from model.inference.artifact import SIGNATURE

    runner = Interpreter(model_content=serving_file, num_threads=threads).get_signature_runner(SIGNATURE)
    return lambda image: runner(image=image.astype(np.float32))["embedding"][0]


def build_embedder(recipe: TreesRecipe) -> bytes:
    """The frozen network as a LiteRT file whose `embedding` is the mean of its last activation.

    Raises:
        WeightsMismatch: see `model.networks.architecture.build_network`.
    """
    # Keras is loaded for embeddings alone.
    from model.networks.architecture import build_network
    from model.networks.backbones import BACKBONES
    from model.networks.ensemble import build_ensemble
    from model.training.export.serving_file import ready_to_serve, to_litert

    backbone, size = BACKBONES[EMBEDDER], (recipe.height, recipe.width)
    init = None if recipe.init == "none" else recipe.init
    network = ready_to_serve(build_network(backbone, len(task_of(recipe).codes), *size, init, None))
    return to_litert(build_ensemble([network], *size, backbone.texture_layers), *size)


class _Clock(xgboost.callback.TrainingCallback):
    """Moves a progress bar, and notes what each round took."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._bar = tqdm(total=rounds, desc="boosting", unit="round", mininterval=1.0)
        self._last = (time.monotonic(), time.process_time())
        self.seconds: list[tuple[float, float]] = []

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        now = (time.monotonic(), time.process_time())
        self.seconds.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now
        self._bar.update()
        return False

    def after_training(self, model: Any) -> Any:
        self._bar.close()
        return model


def _history(recipe: TreesRecipe, measured: dict[str, dict[str, list[float]]], clock: _Clock) -> pd.DataFrame:
    """One row a round, named as the history of a network is."""
    training, validation = measured["training"], measured["validation"]
    return pd.DataFrame(
        {
            "epoch": range(1, recipe.rounds + 1),
            "phase": "boosting",
            "height": recipe.height,
            "width": recipe.width,
            "loss": training["mlogloss"],
            "accuracy": 1 - np.array(training["merror"]),
            "val_loss": validation["mlogloss"],
            "val_accuracy": 1 - np.array(validation["merror"]),
            "learning_rate": recipe.learning_rate,
            "seconds": [round(wall, 3) for wall, _ in clock.seconds],
            "processor_seconds": [round(processor, 3) for _, processor in clock.seconds],
        }
    ).round({"loss": 6, "accuracy": 6, "val_loss": 6, "val_accuracy": 6})
