"""What a training run computes: its recipe, which images it may see, and how often. Nothing here loads Keras."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import METADATA_FILES, NOT_TOLD_FROM, SOURCE, DatasetError, load_metadata
from data.datasets.splits import LEFT_OUT, TEST, split_by_lesion
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task, asked_alone, side_code
from model.images.contrast import Contrast
from model.images.framing import Crop, Preparation
from model.inference.artifact import sha256_of

HEIGHT, WIDTH = 192, 256
RUN_FILE = "run.json"
NETWORK_FILE = "network.keras"

Sampling = Literal["natural", "sqrt", "balanced"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
Augmentation = Literal["all", "geometry", "none"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)


class RunMismatch(Exception):
    """A run folder that cannot be resumed, gone on from or exported, or that would be overwritten; the message says
    what to do."""


@dataclass(frozen=True)
class ExtraSet:
    """Labelled images beside the dataset, such as a clinic's own (`data.cases.labelled`), that join the training part
    alone.

    Attributes:
        folder: shaped like HAM10000, without masks.
        metadata_sha256: of its metadata file, hexadecimal.
        lesions: how many its images show.
        images_by_dx: a count for each class, in class order.
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
    extra_share: float | None = None
    init_share: float = 0.0
    # What runs from before there was a choice had.
    task: str = DEFAULT_TASK
    lesion_branch: bool = True
    height: int = HEIGHT
    width: int = WIDTH
    augmentation: Augmentation = "all"
    low_resolution: float = 0.5
    question_alone: bool = False
    crop: Crop = "none"
    contrast: Contrast = "none"
    grade_weight: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_share: float = 0.0

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.crop, self.contrast)


class Selection(Protocol):
    """What decides which images a model may see: recipes of networks and of trees have it."""

    @property
    def task(self) -> str: ...
    @property
    def question_alone(self) -> bool: ...
    @property
    def validation_fold(self) -> int: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def seed(self) -> int: ...


def labelled_task(recipe: Selection) -> Task:
    """The task whose codes the dataset's labels are.

    Raises:
        RunMismatch: there is no such task.
    """
    if recipe.task not in TASKS:
        raise RunMismatch(f"expected a run for a task of {', '.join(TASKS)}, received {recipe.task!r}")
    return TASKS[recipe.task]


def task_of(recipe: Selection) -> Task:
    """What a recipe's network tells apart: the task's classes, or the two sides of its question.

    Raises:
        RunMismatch: there is no such task.
    """
    task = labelled_task(recipe)
    return asked_alone(task) if recipe.question_alone else task


def labelled_for(rows: pd.DataFrame, recipe: Selection) -> pd.DataFrame:
    """Rows of the dataset with the codes that the recipe's network tells apart as `dx`, and as `not_told_from`.

    To be called after the split, which goes by the dataset's own diagnoses: another split would unlock test lesions.
    """
    if not recipe.question_alone:
        return rows
    task = labelled_task(recipe)
    sides = rows.assign(dx=[side_code(task, dx) for dx in rows["dx"]])
    if NOT_TOLD_FROM not in rows:
        return sides
    others = [
        " ".join(sorted({side_code(task, code) for code in text.split()} - {side}))
        for text, side in zip(rows[NOT_TOLD_FROM].fillna(""), sides["dx"], strict=True)
    ]
    return sides.assign(**{NOT_TOLD_FROM: others})


def network_name(recipe: Recipe) -> str:
    """The backbone, and whether it has the branch that finds the lesion: `lesion_mobilenet_v2`."""
    return f"lesion_{recipe.backbone}" if recipe.lesion_branch else recipe.backbone


def uses_masks(recipe: Recipe) -> bool:
    """Whether a run needs the dataset's lesion masks."""
    return recipe.lesion_branch and (recipe.lesion_weight > 0 or recipe.map_weight > 0)


def select_rows(metadata: pd.DataFrame, recipe: Selection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows; the locked test lesions are in neither.

    With `limit`, a stratified handful of each part, so that every class keeps an image where the limit allows it. The
    extra sets are in neither: `extra_rows` gives them.
    """
    split = split_by_lesion(metadata, seed=recipe.split_seed)
    validation_name = f"fold{recipe.validation_fold}"
    training = metadata[~split.isin((TEST, LEFT_OUT, validation_name))]
    validation = metadata[split == validation_name]
    parts = (training, validation)
    if recipe.limit is not None:
        parts = (_spread(training, recipe.limit, recipe.seed), _spread(validation, recipe.limit, recipe.seed))
    return labelled_for(parts[0], recipe), labelled_for(parts[1], recipe)


def _spread(part: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    shuffled = part.sample(frac=1.0, random_state=seed)
    turn = shuffled.groupby("dx").cumcount()
    return shuffled.iloc[np.argsort(turn, kind="stable")[:limit]]


def describe_extra(folder: Path, codes: Sequence[str]) -> ExtraSet:
    """What a recipe states of an extra folder with classes of these codes.

    Raises:
        DatasetError: the folder is not shaped like HAM10000.
    """
    metadata = load_metadata(folder, codes)
    path = next(folder / name for name in METADATA_FILES if (folder / name).is_file())
    counts = np.bincount(class_indices(metadata, codes), minlength=len(codes))
    return ExtraSet(
        str(folder), sha256_of(path), metadata["lesion_id"].nunique(), tuple(int(count) for count in counts)
    )


def extra_rows(metadata: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """All rows of the recipe's extra sets, which are for training alone; where a table does not say, `source` is its
    folder's name.

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
        added = load_metadata(Path(extra.folder), labelled_task(recipe).codes)
        for column, known in (("image_id", (metadata, rows)), ("lesion_id", (metadata,))):
            shared = added[column].isin(pd.concat([table[column] for table in known]))
            if shared.any():
                raise DatasetError(
                    f"{extra.folder}: expected images and lesions that are not in training or test already, received "
                    f"{column} {added[column][shared].iloc[0]}; remove it there"
                )
        if SOURCE not in added:
            added[SOURCE] = Path(extra.folder).name
        rows = pd.concat([rows, added], ignore_index=True)
    return rows


def training_rows(metadata: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """All rows that a run trains on, those of the extra sets last, each with its `source`; the dataset's own is empty.

    Raises:
        DatasetError: as `extra_rows`.
    """
    own = select_rows(metadata, recipe)[0].assign(**{SOURCE: ""})
    return pd.concat([own, extra_rows(metadata, recipe)], ignore_index=True)


def class_indices(rows: pd.DataFrame, codes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) class index of each row's dx; the codes are in class order."""
    return rows["dx"].map({code: index for index, code in enumerate(codes)}).to_numpy(dtype=np.int64)


def labels(rows: pd.DataFrame, codes: Sequence[str]) -> NDArray[np.float32]:
    """(N, C) targets: 1 for the row's dx, -1 for a class that its source does not tell dx from, 0 for all others.

    Args:
        rows: metadata of N images; without a column `not_told_from`, every dx is told from every other.
        codes: in class order.
    """
    targets = np.eye(len(codes), dtype=np.float32)[class_indices(rows, codes)]
    if NOT_TOLD_FROM in rows:
        for number, text in enumerate(rows[NOT_TOLD_FROM].fillna("")):
            for code in text.split():
                targets[number, codes.index(code)] -= 1
        targets[np.arange(len(rows)), class_indices(rows, codes)] = 1
    return targets


def sampling_prior(class_indices: NDArray[np.int64], sampling: Sampling, classes: int) -> NDArray[np.float64]:
    """The class shares that training sees.

    Args:
        class_indices: (N,) class index of each training image.
        sampling: `natural` keeps the dataset's shares, `balanced` makes the classes equal, `sqrt` lies between: shares
            proportional to the square root of the counts.
        classes: how many there are.

    Returns:
        (classes,) shares in class order that sum to 1; 0 for a class without images.
    """
    counts = np.bincount(class_indices, minlength=classes).astype(float)
    power = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}[sampling]
    weights = np.where(counts > 0, counts**power, 0.0)
    return weights / weights.sum()


def draw_epoch(
    class_indices: NDArray[np.int64],
    sampling: Sampling,
    seed: int,
    epoch: int,
    is_extra: NDArray[np.bool_] | None = None,
    extra_share: float | None = None,
) -> NDArray[np.int64]:
    """Row numbers of one epoch, as many as there are images, in training order.

    `natural` is a permutation. The others draw each class its share of the epoch, going through all images of the
    class before one comes again. The same seed and epoch give the same rows, which is what makes resuming exact.

    Args:
        class_indices: (N,) of the training images.
        sampling: see `sampling_prior`.
        seed, epoch: of the draw.
        is_extra: (N,) whether an image is of an extra set.
        extra_share: how much of each class those make up, in (0, 1), where the class has both kinds; None: as many
            as their counts. Within a class, so that a source tells nothing of the class.
    """
    generator = np.random.default_rng((seed, epoch))
    if sampling == "natural":
        return generator.permutation(len(class_indices))
    shares = sampling_prior(class_indices, sampling, int(class_indices.max()) + 1)
    quotas = np.round(shares * len(class_indices)).astype(int)
    drawn = [
        _cycle(rows, count, generator)
        for class_index, quota in enumerate(quotas)
        for rows, count in _by_source(np.flatnonzero(class_indices == class_index), int(quota), is_extra, extra_share)
        if count
    ]
    return generator.permutation(np.concatenate(drawn))


def _by_source(
    rows: NDArray[np.int64], quota: int, is_extra: NDArray[np.bool_] | None, extra_share: float | None
) -> list[tuple[NDArray[np.int64], int]]:
    """The rows of a class in groups, each with how many are drawn of it."""
    if is_extra is None or extra_share is None or len(set(is_extra[rows])) < 2:
        return [(rows, quota)]
    of_extra = round(quota * extra_share)
    return [(rows[~is_extra[rows]], quota - of_extra), (rows[is_extra[rows]], of_extra)]


def _cycle(rows: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    rounds = [generator.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]


def read_run(folder: Path) -> Recipe:
    """The recipe a run folder was started with; one from before an option was there has what runs had then.

    Raises:
        RunMismatch: the folder holds no run.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise RunMismatch(f"expected {RUN_FILE} of model.train in {folder}, found none; give --run the folder of a run")
    stored = json.loads(path.read_text())["recipe"]
    extra = [ExtraSet(**{**one, "images_by_dx": tuple(one["images_by_dx"])}) for one in stored.pop("extra", ())]
    # Before the branch was an option, a backbone with it had a name of its own.
    backbone = stored.pop("backbone").removeprefix("lesion_")
    teachers = tuple(stored.pop("teachers", ()))
    return Recipe(**stored, backbone=backbone, extra=tuple(extra), teachers=teachers)


def training_prior(recipe: Recipe, metadata: pd.DataFrame) -> NDArray[np.float64]:
    """(C,) class shares the network saw in training, in class order; the extra sets count as the recipe states them."""
    codes = task_of(recipe).codes
    shown = [np.repeat(np.arange(len(codes)), extra.images_by_dx) for extra in recipe.extra]
    of_dataset = class_indices(select_rows(metadata, recipe)[0], codes)
    return sampling_prior(np.concatenate([of_dataset, *shown]), recipe.sampling, len(codes))
