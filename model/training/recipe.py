"""What a training run computes: its recipe, which images it may see, and how often. Nothing here loads Keras."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import METADATA_FILES, DatasetError, load_metadata
from data.datasets.splits import SPLIT_SEED, TEST, split_by_lesion
from data.tasks.skin import DX_CODES, class_index
from model.inference.artifact import sha256_of

HEIGHT, WIDTH = 192, 256
RUN_FILE = "run.json"

Sampling = Literal["natural", "sqrt", "balanced"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)


@dataclass(frozen=True)
class ExtraSet:
    """Labelled images beside the dataset, such as a clinic's own (`data.cases.labelled`), that join the training part
    alone.

    Attributes:
        folder: shaped like HAM10000, without masks.
        metadata_sha256: of its metadata file, hexadecimal.
        lesions: how many its images show.
        images_by_dx: seven counts in dx order.
    """

    folder: str
    metadata_sha256: str
    lesions: int
    images_by_dx: tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run computes; written to the run folder, compared on resume."""

    dataset: str
    init: str
    backbone: str
    sampling: Sampling
    validation_fold: int
    head_epochs: int
    low_resolution_epochs: int
    middle_resolution_epochs: int
    middle_resolution_from: str
    full_resolution_epochs: int
    full_resolution_from: str
    averaged_epochs: int
    batch_size: int
    head_learning_rate: float
    low_resolution_learning_rate: float
    middle_resolution_learning_rate: float
    full_resolution_learning_rate: float
    weight_decay: float
    label_smoothing: float
    lesion_weight: float
    map_weight: float
    seed: int
    split_seed: int
    limit: int | None
    extra: tuple[ExtraSet, ...] = ()


def uses_masks(recipe: Recipe) -> bool:
    """Whether a run needs the dataset's lesion masks."""
    return recipe.lesion_weight > 0 or recipe.map_weight > 0


def select_rows(metadata: pd.DataFrame, recipe: Recipe) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows; the locked test lesions are in neither.

    With `limit`, a stratified handful of each part, so that every class keeps an image where the limit allows it. The
    extra sets are in neither: `extra_rows` gives them.
    """
    split = split_by_lesion(metadata, seed=recipe.split_seed)
    validation_name = f"fold{recipe.validation_fold}"
    training = metadata[(split != TEST) & (split != validation_name)]
    validation = metadata[split == validation_name]
    if recipe.limit is None:
        return training, validation
    return tuple(_spread(part, recipe.limit, recipe.seed) for part in (training, validation))  # type: ignore[return-value]


def _spread(part: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    shuffled = part.sample(frac=1.0, random_state=seed)
    turn = shuffled.groupby("dx").cumcount()
    return shuffled.iloc[np.argsort(turn, kind="stable")[:limit]]


def describe_extra(folder: Path) -> ExtraSet:
    """What a recipe states of an extra folder.

    Raises:
        DatasetError: the folder is not shaped like HAM10000.
    """
    metadata = load_metadata(folder)
    path = next(folder / name for name in METADATA_FILES if (folder / name).is_file())
    counts = np.bincount(class_indices(metadata), minlength=len(DX_CODES))
    return ExtraSet(
        str(folder), sha256_of(path), metadata["lesion_id"].nunique(), tuple(int(count) for count in counts)
    )


def extra_rows(metadata: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """All rows of the recipe's extra sets, which are for training alone.

    Args:
        metadata: the whole dataset's, locked test included.
        recipe: names the folders.

    Returns:
        The columns of `metadata`; no rows without extra sets.

    Raises:
        DatasetError: a folder is not shaped like HAM10000, or holds an image or a lesion of the dataset or an image of
            another extra set: the locked test must stay unseen. Ids are compared, not pixels.
    """
    rows = metadata.iloc[:0]
    for extra in recipe.extra:
        added = load_metadata(Path(extra.folder))
        for column, known in (("image_id", (metadata, rows)), ("lesion_id", (metadata,))):
            shared = added[column].isin(pd.concat([table[column] for table in known]))
            if shared.any():
                raise DatasetError(
                    f"{extra.folder}: expected images and lesions that are not in training or test already, received "
                    f"{column} {added[column][shared].iloc[0]}; remove it there"
                )
        rows = pd.concat([rows, added], ignore_index=True)
    return rows


def class_indices(rows: pd.DataFrame) -> NDArray[np.int64]:
    """(N,) class index of each row's dx."""
    return rows["dx"].map(class_index).to_numpy(dtype=np.int64)


def sampling_prior(class_indices: NDArray[np.int64], sampling: Sampling) -> NDArray[np.float64]:
    """The class shares that training sees.

    Args:
        class_indices: (N,) class index of each training image.
        sampling: `natural` keeps the dataset's shares, `balanced` makes the classes equal, `sqrt` lies between: shares
            proportional to the square root of the counts.

    Returns:
        (7,) shares in dx order that sum to 1; 0 for a class without images.
    """
    counts = np.bincount(class_indices, minlength=len(DX_CODES)).astype(float)
    power = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}[sampling]
    weights = np.where(counts > 0, counts**power, 0.0)
    return weights / weights.sum()


def draw_epoch(class_indices: NDArray[np.int64], sampling: Sampling, seed: int, epoch: int) -> NDArray[np.int64]:
    """Row numbers of one epoch, as many as there are images, in training order.

    `natural` is a permutation. The others draw each class its share of the epoch, going through all images of the
    class before one comes again. The same seed and epoch give the same rows, which is what makes resuming exact.
    """
    generator = np.random.default_rng((seed, epoch))
    if sampling == "natural":
        return generator.permutation(len(class_indices))
    quotas = np.round(sampling_prior(class_indices, sampling) * len(class_indices)).astype(int)
    drawn = [
        _cycle(np.flatnonzero(class_indices == class_index), quota, generator)
        for class_index, quota in enumerate(quotas)
        if quota
    ]
    return generator.permutation(np.concatenate(drawn))


def _cycle(rows: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    rounds = [generator.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]


def read_run(folder: Path) -> Recipe:
    """The recipe a run folder was started with; one from before there were extra sets has none."""
    stored = json.loads((folder / RUN_FILE).read_text())["recipe"]
    extra = [ExtraSet(**{**one, "images_by_dx": tuple(one["images_by_dx"])}) for one in stored.pop("extra", ())]
    return Recipe(**stored, extra=tuple(extra))


def training_prior(recipe: Recipe, metadata: pd.DataFrame) -> NDArray[np.float64]:
    """(7,) class shares the network saw in training, in dx order; the extra sets count as the recipe states them."""
    shown = [np.repeat(np.arange(len(DX_CODES)), extra.images_by_dx) for extra in recipe.extra]
    return sampling_prior(np.concatenate([class_indices(select_rows(metadata, recipe)[0]), *shown]), recipe.sampling)


def recipe_from(arguments: argparse.Namespace) -> Recipe:
    """The recipe that command-line arguments describe; raises DatasetError for an extra folder that cannot be used."""
    return Recipe(
        dataset=str(arguments.dataset),
        init=arguments.init,
        backbone=arguments.backbone,
        sampling=arguments.sampling,
        validation_fold=arguments.validation_fold,
        head_epochs=arguments.head_epochs,
        low_resolution_epochs=arguments.low_resolution_epochs,
        middle_resolution_epochs=arguments.middle_resolution_epochs,
        middle_resolution_from=arguments.middle_resolution_from,
        full_resolution_epochs=arguments.full_resolution_epochs,
        full_resolution_from=arguments.full_resolution_from,
        averaged_epochs=max(arguments.averaged_epochs, 1),
        batch_size=arguments.batch_size,
        head_learning_rate=arguments.head_learning_rate,
        low_resolution_learning_rate=arguments.low_resolution_learning_rate,
        middle_resolution_learning_rate=arguments.middle_resolution_learning_rate,
        full_resolution_learning_rate=arguments.full_resolution_learning_rate,
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        lesion_weight=arguments.lesion_weight,
        map_weight=arguments.map_weight,
        seed=arguments.seed,
        split_seed=SPLIT_SEED,
        limit=arguments.limit,
        extra=tuple(describe_extra(folder) for folder in arguments.extra),
    )
