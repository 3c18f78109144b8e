"""One training run: its epochs carried out, losses and validation, and the folder that keeps them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from data.datasets.ham10000 import SOURCE, load_metadata
from data.tasks.known import DEFAULT_TASK
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact, load_artifact
from model.networks.architecture import (
    ATTENTION_LAYER,
    CLASS_MAPS_LAYER,
    LESION_LAYER,
    LOGITS_LAYER,
    build_network,
    build_training_network,
    classifier_of,
    first_of_head,
    has_layer,
    set_trainable,
)
from model.networks.backbones import BACKBONES
from model.networks.ensemble import member_of
from model.networks.losses import ClassLoss, LabelAuroc, class_map_loss, lesion_loss
from model.training.averaging import average_epochs, average_with
from model.training.batches import load_images, load_masks, training_batches
from model.training.checkpoints import Checkpoints, Progress
from model.training.phases import HEAD, Epoch, Phase, epochs_to_average, plan_epochs
from model.training.recipe import (
    NETWORK_FILE,
    RUN_FILE,
    Recipe,
    RunMismatch,
    class_indices,
    draw_epoch,
    labelled_task,
    labels,
    network_name,
    read_run,
    select_rows,
    task_of,
    training_rows,
    uses_masks,
)
from model.training.teachers import softened
from model.training.validation import validate

HISTORY_FILE = "history.csv"


@dataclass(frozen=True)
class Part:
    """Images of one part of the split at one size, their metadata and labels; an empty mask is one not known."""

    images: RgbImage
    masks: NDArray[np.uint8] | None
    rows: pd.DataFrame
    targets: NDArray[np.float32]


def loss_weights(recipe: Recipe) -> dict[str, float]:
    """What each output of the training network weighs in the loss; those that weigh nothing are left out."""
    of_masks = {LESION_LAYER: recipe.lesion_weight, CLASS_MAPS_LAYER: recipe.map_weight}
    return {LOGITS_LAYER: 1.0, **{name: weight for name, weight in of_masks.items() if recipe.lesion_branch and weight}}


def start_network(recipe: Recipe) -> keras.Model:
    """The training network a recipe starts from, for any input size.

    Raises:
        RunMismatch: the recipe starts from a run or an artifact that has no such network trained without its fold.
        WeightsMismatch: it starts from weights that are not there, or not of its backbone.
    """
    start, outputs = Path(recipe.init), loss_weights(recipe)
    if (start / RUN_FILE).is_file():
        network = _network_of_run(start, recipe)
    elif start.is_dir():
        network = _member_of_fold(start, recipe)
    else:
        network = _new_network(recipe)
    missing = [name for name in outputs if not has_layer(network, name)]
    if missing:
        raise RunMismatch(
            f"{start} holds a network without the layer {', '.join(missing)}: it was trained without masks; "
            "train it on with --lesion-weight 0"
        )
    return build_training_network(network, list(outputs))


def _new_network(recipe: Recipe) -> keras.Model:
    init = None if recipe.init == "none" else recipe.init
    # Nobody tells the branch of a run without lesion losses what a lesion is.
    taught = LESION_LAYER if recipe.lesion_weight > 0 else ATTENTION_LAYER
    classes, branch = len(task_of(recipe).classes), taught if recipe.lesion_branch else None
    return build_network(BACKBONES[recipe.backbone], classes, None, None, init, branch)


def _network_of_run(folder: Path, recipe: Recipe) -> keras.Model:
    """The network of an earlier run that was trained without the recipe's fold, so that the fold stays unseen."""
    earlier = read_run(folder)
    if earlier.validation_fold != recipe.validation_fold:
        raise RunMismatch(
            f"{folder} holds a network trained without fold {earlier.validation_fold}, not without fold "
            f"{recipe.validation_fold}"
        )
    _expect_same_network(folder, recipe, network_name(earlier), task_of(earlier).key)
    return keras.models.load_model(folder / NETWORK_FILE, compile=False)


def _member_of_fold(folder: Path, recipe: Recipe) -> keras.Model:
    """The network of an artifact that was trained without the recipe's fold, so that the fold stays unseen."""
    artifact = load_artifact(folder)
    folds = artifact.description.folds_of_members
    if recipe.validation_fold not in folds:
        raise RunMismatch(
            f"{folder} has networks trained without folds {folds}, none without fold {recipe.validation_fold}"
        )
    number = folds.index(recipe.validation_fold)
    _expect_same_network(folder, recipe, _network_names(artifact)[number], artifact.manifest.get("task", DEFAULT_TASK))
    return member_of(keras.models.load_model(artifact.keras_path, compile=False), number)


def _network_names(artifact: Artifact) -> list[str]:
    """One a member; before an artifact could mix them, its manifest named one for all."""
    network = artifact.manifest["network"]
    return network.get("member_backbones", [network["backbone"]] * network["members"])


def _expect_same_network(folder: Path, recipe: Recipe, name: str, task: str) -> None:
    wanted = task_of(recipe).key
    if (name, task) != (network_name(recipe), wanted):
        raise RunMismatch(
            f"expected {network_name(recipe)} of task {wanted} in {folder}, found {name} of task {task}; train it "
            "on with its own --backbone, --task and lesion branch"
        )


def compile_for(network: keras.Model, recipe: Recipe, phase: Phase, steps: int) -> None:
    """Freeze and free layers and give the network its optimizer for a phase of `steps` batches."""
    first_trainable = first_of_head(network) if phase.first_trainable == HEAD else phase.first_trainable
    set_trainable(network, first_trainable, phase.is_batch_norm_frozen)
    warmup = max(min(200, steps // 10), 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        phase.learning_rate / 20, max(steps - warmup, 1), 0.01, warmup_target=phase.learning_rate, warmup_steps=warmup
    )
    weights, classes = loss_weights(recipe), len(task_of(recipe).classes)
    losses = {
        LOGITS_LAYER: ClassLoss(recipe.label_smoothing, recipe.grade_weight),
        LESION_LAYER: lesion_loss,
        CLASS_MAPS_LAYER: class_map_loss,
    }
    network.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, clipnorm=1.0),
        loss={name: losses[name] for name in weights},
        loss_weights=weights,
        metrics={
            LOGITS_LAYER: [
                "accuracy",
                LabelAuroc(num_labels=classes),
            ]
        },
        jit_compile=False,  # XLA was seven times slower than oneDNN on a CPU: depthwise convolutions
    )


class _BatchWatcher(keras.callbacks.Callback):
    """Moves the progress bar and saves a checkpoint when one is due."""

    def __init__(self, bar: tqdm, checkpoints: Checkpoints, progress: Progress) -> None:
        super().__init__()
        self._bar, self._checkpoints, self._progress = bar, checkpoints, progress

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._progress.step += 1
        self._bar.update()
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in (logs or {}).items()}, refresh=False)
        if self._checkpoints.is_due():
            self._checkpoints.save(self.model, self._progress)


def train(recipe: Recipe, folder: Path, is_resumed: bool, checkpoint_minutes: float, logs: Path | None = None) -> Path:
    """Run or resume a training; writes `network.keras`, `history.csv`, `run.json` into `folder`.

    Args:
        recipe: what to compute.
        folder: run folder; created.
        is_resumed: go on from the folder's checkpoint; it must hold a run of the same recipe.
        checkpoint_minutes: at most so much work is lost by a kill.
        logs: folder for TensorBoard: losses and measures of training and validation by epoch.

    Returns:
        Path of the trained network.

    Raises:
        RunMismatch: the folder holds a run and `is_resumed` is false, or a run of another recipe; the network is to
            keep a share of an earlier one and there is none; or see `start_network`, `softened`.
        WeightsMismatch: see `start_network`.
        DatasetError: the dataset folder is not shaped like HAM10000, or an extra set cannot join it
            (`model.training.recipe.extra_rows`).
    """
    if recipe.init_share and not Path(recipe.init).is_dir():
        raise RunMismatch(f"expected an earlier run or an artifact to keep a share of, received init {recipe.init}")
    metadata = load_metadata(Path(recipe.dataset), labelled_task(recipe).codes)
    rows = training_rows(metadata, recipe), select_rows(metadata, recipe)[1]
    codes = task_of(recipe).codes
    _refuse_another_run(folder, recipe, is_resumed)
    keras.utils.set_random_seed(recipe.seed)
    epochs = plan_epochs(recipe)
    steps_per_epoch = _steps_per_epoch(rows[0], recipe)
    averaged = epochs_to_average(epochs, recipe.averaged_epochs)
    checkpoints = Checkpoints(folder, checkpoint_minutes)
    restored = checkpoints.restore() if is_resumed else None
    network, progress = restored or (start_network(recipe), Progress(0, 0, []))
    _claim(folder, recipe)  # only now: data or weights that cannot be used must not leave a run behind
    targets = softened(labels(rows[0], codes), rows[0], metadata, recipe), labels(rows[1], codes)
    done = progress.epoch * steps_per_epoch + progress.step
    with tqdm(total=len(epochs) * steps_per_epoch, initial=done, unit="batch", desc="training", mininterval=1.0) as bar:
        parts: tuple[Part, Part] | None = None
        for epoch in epochs[progress.epoch :]:
            if parts is None or parts[0].images.shape[1] != epoch.phase.height:
                parts = _load_parts(rows, targets, recipe, epoch.phase)
            if epoch.is_first and progress.step == 0:
                compile_for(network, recipe, epoch.phase, steps_per_epoch * epoch.phase.epochs)
            _run_epoch(network, recipe, epoch, parts, progress, _BatchWatcher(bar, checkpoints, progress))
            if len(averaged) > 1 and epoch in averaged:
                network.save_weights(folder / _epoch_file(epoch))
            checkpoints.save(network, progress)
            if logs is not None:
                _log_epoch(network, epoch, progress.history[-1], logs)
            bar.write(_describe(progress.history[-1]))
    pd.DataFrame(progress.history).to_csv(folder / HISTORY_FILE, index=False)
    if len(averaged) > 1:
        average_epochs(network, [folder / _epoch_file(epoch) for epoch in averaged])
    if recipe.init_share:
        average_with(network, start_network(recipe), recipe.init_share)
    classifier_of(network).save(folder / NETWORK_FILE, include_optimizer=False)
    return folder / NETWORK_FILE


def _epoch_file(epoch: Epoch) -> str:
    return f"epoch-{epoch.number + 1:03d}.weights.h5"


def _refuse_another_run(folder: Path, recipe: Recipe, is_resumed: bool) -> None:
    if not (folder / RUN_FILE).is_file():
        return
    if not is_resumed:
        raise RunMismatch(f"{folder} already holds a run: add --resume, or choose another --run folder")
    earlier, wanted = asdict(read_run(folder)), asdict(recipe)
    differing = [name for name, value in wanted.items() if earlier[name] != value]
    if differing:
        raise RunMismatch(f"{folder} holds a run with another {', '.join(differing)}: resume it with the same options")


def _claim(folder: Path, recipe: Recipe) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / RUN_FILE).is_file():
        (folder / RUN_FILE).write_text(json.dumps({"recipe": asdict(recipe)}, indent=2))


def _steps_per_epoch(training: pd.DataFrame, recipe: Recipe) -> int:
    return max(len(_drawn(training, recipe, 0)) // recipe.batch_size, 1)


def _drawn(training: pd.DataFrame, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
    classes, is_extra = class_indices(training, task_of(recipe).codes), (training[SOURCE] != "").to_numpy()
    return draw_epoch(classes, recipe.sampling, recipe.seed, epoch, is_extra, recipe.extra_share)


def _load_parts(
    rows: tuple[pd.DataFrame, pd.DataFrame],
    targets: tuple[NDArray[np.float32], NDArray[np.float32]],
    recipe: Recipe,
    phase: Phase,
) -> tuple[Part, Part]:
    dataset, size = Path(recipe.dataset), (phase.height, phase.width)
    training, validation = (list(part["image_id"]) for part in rows)
    extra = [Path(extra.folder) for extra in recipe.extra]
    return (
        Part(
            load_images(dataset, training, *size, extra, recipe.preparation),
            _load_masks(recipe, training, size) if uses_masks(recipe) else None,
            rows[0],
            targets[0],
        ),
        Part(load_images(dataset, validation, *size, preparation=recipe.preparation), None, rows[1], targets[1]),
    )


def _load_masks(recipe: Recipe, training: list[str], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Masks of the dataset's images, then empty ones of the extra sets'."""
    unknown = sum(sum(extra.images_by_dx) for extra in recipe.extra)
    masks = load_masks(Path(recipe.dataset), training[: len(training) - unknown], *size)
    return np.concatenate([masks, np.zeros((unknown, *size), dtype=np.uint8)]) if unknown else masks


def _run_epoch(
    network: keras.Model,
    recipe: Recipe,
    epoch: Epoch,
    parts: tuple[Part, Part],
    progress: Progress,
    watcher: _BatchWatcher,
) -> None:
    training, validation = parts
    started, processor_started = time.monotonic(), time.process_time()
    task = task_of(recipe)
    batches = training_batches(
        training.images,
        training.masks,
        training.targets,
        _drawn(training.rows, recipe, epoch.number),
        recipe.batch_size,
        recipe.seed * 1000 + epoch.number,
        progress.step,
        tuple(loss_weights(recipe)),
        recipe.augmentation,
    )
    fitted = network.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[watcher]).history
    progress.history.append(
        {
            "epoch": epoch.number + 1,
            "phase": epoch.phase.name,
            "height": epoch.phase.height,
            "width": epoch.phase.width,
            **_fitted(fitted),
            **validate(network, validation.images, class_indices(validation.rows, task.codes), task.is_ordinal),
            "learning_rate": float(network.optimizer.learning_rate),
            "seconds": round(time.monotonic() - started, 1),
            "processor_seconds": round(time.process_time() - processor_started, 1),
        }
    )
    progress.epoch, progress.step = epoch.number + 1, 0


def _log_epoch(network: keras.Model, epoch: Epoch, row: dict[str, Any], logs: Path) -> None:
    """One epoch for TensorBoard; the validation is ours, not that of `fit`, so its callback is told of both here."""
    board = keras.callbacks.TensorBoard(logs, write_graph=False)
    board.set_model(network)
    told = ("phase", "epoch", "learning_rate")  # it adds the learning rate itself
    board.on_epoch_end(epoch.number, {name: value for name, value in row.items() if name not in told})
    board.on_train_end()


def _fitted(fitted: dict[str, list[float]]) -> dict[str, float]:
    """What `fit` reported of the epoch, by the names of the history's columns."""
    last = {name: float(values[-1]) for name, values in fitted.items()}
    columns = {
        "loss": f"{LOGITS_LAYER}_loss",
        "accuracy": f"{LOGITS_LAYER}_accuracy",
        "auc": f"{LOGITS_LAYER}_auc",
        "lesion_loss": f"{LESION_LAYER}_loss",
        "map_loss": f"{CLASS_MAPS_LAYER}_loss",
    }
    # With one output, Keras leaves its name out.
    return {
        column: last.get(name, last.get(column, float("nan")))
        for column, name in columns.items()
        if name in last or column in last
    }


def _describe(row: dict[str, Any]) -> str:
    return (
        f"epoch {row['epoch']} ({row['phase']}, {row['width']} x {row['height']} px): "
        f"loss {row.get('loss', float('nan')):.3f}, validation loss {row['val_loss']:.3f}, AUROC {row['val_auc']:.3f}, "
        f"balanced accuracy {row['val_balanced_accuracy']:.3f}, {row['seconds']:.0f} s"
    )
