"""Labels softened by what other runs' networks say: doubts about a label, and an ensemble's knowledge, for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.splits import split_by_lesion
from model.measures.metrics import softmax
from model.networks.architecture import LOGITS_LAYER, build_training_network, fix_input_size
from model.training.batches import load_images
from model.training.checkpoints import finished_network
from model.training.recipe import Recipe, RunMismatch, read_run, task_of
from model.training.validation import predict_logits


def softened(
    targets: NDArray[np.float32], rows: pd.DataFrame, metadata: pd.DataFrame, recipe: Recipe
) -> NDArray[np.float32]:
    """Labels moved towards what the run that left an image's fold out says of the image.

    A network that was trained on an image repeats its label; one that never saw it tells what it looks like. So each
    image has one teacher, and what is of no teacher's fold keeps its label. The teachers saw the labels of the recipe's
    own validation fold, and hand on a trace of them: only the locked test tells what it was worth.

    Args:
        targets: (N, C), see `model.training.recipe.labels`.
        rows: of the N training images.
        metadata: of the whole dataset, which tells the folds.
        recipe: names the teachers, finished runs, and what share of a target is theirs.

    Returns:
        (N, C) float32; a class that a label leaves open stays so.

    Raises:
        RunMismatch: a teacher's run is not finished, or of another task or split.
        DatasetError: an image is missing or broken.

    Source:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531 (distillation); Müller, Kornblith, Hinton, NeurIPS 2019,
        arXiv:1906.02629 (soft labels).
    """
    if not recipe.teachers:
        return targets
    soft = targets.copy()
    folds = split_by_lesion(metadata, seed=recipe.split_seed).to_numpy()
    fold_of = dict(zip(metadata["image_id"], folds, strict=True))
    of_row = np.array([fold_of.get(image_id, "") for image_id in rows["image_id"]])
    for folder in map(Path, recipe.teachers):
        teacher = _checked(folder, recipe)
        taught = np.flatnonzero(of_row == f"fold{teacher.validation_fold}")
        said = _answers(folder, teacher, Path(recipe.dataset), list(rows["image_id"].iloc[taught]))
        is_told = targets[taught] >= 0
        said = np.where(is_told, said, 0.0)
        said /= said.sum(axis=1, keepdims=True)
        mixed = (1 - recipe.teacher_share) * np.maximum(targets[taught], 0) + recipe.teacher_share * said
        soft[taught] = np.where(is_told, mixed, targets[taught])
    return soft


def _checked(folder: Path, recipe: Recipe) -> Recipe:
    teacher = read_run(folder)
    for what, found, wanted in (
        ("task", task_of(teacher).key, task_of(recipe).key),
        ("split seed", teacher.split_seed, recipe.split_seed),
    ):
        if found != wanted:
            raise RunMismatch(f"expected a teacher of {what} {wanted}, found {found} in {folder}")
    return teacher


def _answers(folder: Path, teacher: Recipe, dataset: Path, image_ids: list[str]) -> NDArray[np.float64]:
    """(N, C) probabilities, uncalibrated."""
    trained = finished_network(folder)
    if not image_ids:
        return np.zeros((0, len(task_of(teacher).classes)))
    images = load_images(dataset, image_ids, teacher.height, teacher.width, preparation=teacher.preparation)
    network = build_training_network(fix_input_size(trained, teacher.height, teacher.width), [LOGITS_LAYER])
    return softmax(predict_logits(network, images))
