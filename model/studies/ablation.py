r"""Measure on out-of-fold predictions what each choice is worth: a table for docs/experiments.md.

    python -m model.studies.ablation --run runs/fold0 runs/fold1 runs/fold2 runs/fold3 runs/fold4
    python -m model.studies.ablation --run runs/fold0 --variant "without masks=runs/fold0_without_masks"

Every variant is compared with the runs as exported (mean of the last epochs, one view, calibrated, decided by
probability / prior) on the same held-out images. A run given as `--variant` is compared on its own fold. Differences
carry 95 % intervals, paired and by lesion. Nothing here looks at the locked test lesions.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tqdm import tqdm

from data.datasets.ham10000 import load_metadata
from data.tasks.task import Task
from model.images.rejection import RgbImage
from model.inference.artifact import SIGNATURE
from model.inference.calibration import LabelledLogits, decide, fit_calibration
from model.measures.intervals import (
    Estimate,
    bootstrap_weights,
    estimate_of,
    weighted_auroc,
    weighted_balanced_accuracy,
)
from model.measures.metrics import balanced_accuracy, macro_auroc, mean_of_finite
from model.networks.architecture import build_training_network, fix_input_size
from model.networks.backbones import BACKBONES
from model.networks.ensemble import build_ensemble
from model.training.batches import load_images
from model.training.export.artifact_writer import DEFAULT_RUNS
from model.training.export.serving_file import load_member, ready_to_serve, to_litert
from model.training.recipe import NETWORK_FILE, Recipe, class_indices, read_run, select_rows, task_of, training_prior
from model.training.run import loss_weights

Array = NDArray[np.float64]
View = Callable[[RgbImage], RgbImage]

BASE = "as exported"
MOST_PROBABLE = "most probable class instead of probability / prior"
VIEWS: dict[str, View] = {
    "as it is": lambda image: image,
    "left-right": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
}


@dataclass(frozen=True)
class HeldOut:
    """One run's answers for the fold it was not trained on.

    Attributes:
        task: what the network tells apart.
        rows: metadata of N images.
        views: (V, N, C) logits by view, in the order of `VIEWS`.
        last_epoch: (N, C) logits of the last epoch's weights, one view.
        training_prior: (C,) class shares in training.
        prior: (C,) class shares of all rows the folds were dealt from.
    """

    task: Task
    rows: pd.DataFrame
    views: Array
    last_epoch: Array
    training_prior: Array
    prior: Array


@dataclass(frozen=True)
class Effect:
    """A variant's measures and what they gain over the base."""

    name: str
    images: int
    balanced_accuracy: Estimate
    balanced_accuracy_gain: Estimate
    macro_auroc: Estimate
    macro_auroc_gain: Estimate


def score_run(run: Path, dataset: Path | None) -> HeldOut:
    """Run a trained network, one view after the other, over its held-out fold."""
    recipe = read_run(run)
    task = task_of(recipe)
    folder = dataset or Path(recipe.dataset)
    metadata = load_metadata(folder, task.codes)
    training, rows = select_rows(metadata, recipe)
    images = load_images(folder, list(rows["image_id"]), recipe.height, recipe.width, preparation=recipe.preparation)
    averaged = load_member(run, recipe.height, recipe.width)
    last = last_epoch(run, recipe)
    views = np.stack([logits_of(averaged, recipe, images, view, f"{run.name}, {name}") for name, view in VIEWS.items()])
    counts = np.bincount(class_indices(pd.concat([training, rows]), task.codes), minlength=len(task.codes))
    return HeldOut(
        task,
        rows,
        views,
        logits_of(last, recipe, images, VIEWS["as it is"], f"{run.name}, last epoch"),
        training_prior(recipe, metadata),
        counts / counts.sum(),
    )


def last_epoch(run: Path, recipe: Recipe) -> keras.Model:
    """The network as it was after a run's last epoch, before epochs were averaged."""
    network = keras.models.load_model(run / NETWORK_FILE, compile=False)
    build_training_network(network, list(loss_weights(recipe))).load_weights(sorted(run.glob("epoch-*.weights.h5"))[-1])
    return ready_to_serve(fix_input_size(network, recipe.height, recipe.width))


def logits_of(member: keras.Model, recipe: Recipe, images: RgbImage, view: View, description: str) -> Array:
    """(N, C) logits of one network, in the serving format, on one view of the images."""
    size = (recipe.height, recipe.width)
    network = build_ensemble([member], *size, BACKBONES[recipe.backbone].texture_layers)
    interpreter = Interpreter(model_content=to_litert(network, *size), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner(SIGNATURE)
    answers = [
        runner(image=np.ascontiguousarray(view(image))[np.newaxis].astype(np.float32))["logits"][0]
        for image in tqdm(images, desc=description, unit="image", mininterval=1.0)
    ]
    return np.stack(answers).astype(np.float64)


def compare(base: Sequence[HeldOut], variants: dict[str, Array], decisions: dict[str, bool]) -> list[Effect]:
    """Measure variants of the same held-out images against the base.

    Args:
        base: the runs' answers.
        variants: name to (N, C) logits of the images of all runs, in their order; each is calibrated for itself.
        decisions: variants that answer with the most probable class instead of the one that stands out.
    """
    rows = pd.concat([part.rows for part in base])
    task = base[0].task
    dx_true = class_indices(rows, task.codes)
    lesions = rows["lesion_id"].to_numpy(dtype=str)
    weights, classes = bootstrap_weights(lesions), len(task.codes)
    shown = np.mean([part.training_prior for part in base], axis=0)
    measured = {}
    for name, logits in {BASE: np.concatenate([part.views[0] for part in base]), **variants}.items():
        answers_to = [LabelledLogits(name, logits, np.eye(classes)[dx_true])]
        calibration = fit_calibration(answers_to, shown, base[0].prior, task.dataset.population)
        probabilities = calibration.probabilities(logits)
        answers = (
            probabilities.argmax(axis=1)
            if decisions.get(name)
            else decide(probabilities, base[0].prior, task.is_ordinal)
        )
        areas = np.array([weighted_auroc(dx_true == k, probabilities[:, k], weights) for k in range(classes)])
        measured[name] = (
            (
                balanced_accuracy(dx_true, answers, classes),
                weighted_balanced_accuracy(dx_true, answers, weights, classes),
            ),
            (macro_auroc(dx_true, probabilities), mean_of_finite(areas)),
        )
    return [
        Effect(
            name,
            len(rows),
            *(
                estimate
                for (value, drawn), (base_value, base_drawn) in zip(measures, measured[BASE], strict=True)
                for estimate in (estimate_of(value, drawn), estimate_of(value - base_value, drawn - base_drawn))
            ),
        )
        for name, measures in measured.items()
    ]


def compare_on_own_fold(base: Sequence[HeldOut], other: HeldOut, name: str) -> Effect:
    """Measure another run against the one that held out the same images.

    Raises:
        ValueError: none of the runs held out those images.
    """
    same = [part for part in base if list(part.rows["image_id"]) == list(other.rows["image_id"])]
    if not same:
        raise ValueError(f"{name}: expected a run that held out the same fold as one of the others")
    return compare(same[:1], {name: other.views[0]}, {})[1]


def format_table(effects: Sequence[Effect]) -> str:
    """Markdown rows: name, images, both measures, and what each gains over the base."""
    lines = [
        "| variant | images | balanced accuracy | gain | macro AUROC | gain |",
        "|---|---|---|---|---|---|",
    ]
    for effect in effects:
        cells = (effect.balanced_accuracy, effect.balanced_accuracy_gain, effect.macro_auroc, effect.macro_auroc_gain)
        texts = [_text(cell, is_gain=number % 2 == 1) for number, cell in enumerate(cells)]
        lines.append(f"| {effect.name} | {effect.images:,} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _text(estimate: Estimate, is_gain: bool) -> str:
    sign = "+" if is_gain else ""
    return f"{estimate.value:{sign}.3f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, nargs="+", default=DEFAULT_RUNS, help="folders that model.train wrote")
    parser.add_argument("--dataset", type=Path, help="HAM10000 folder; default: the one the runs were trained on")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME=RUN", help="another run, compared on its own fold"
    )
    arguments = parser.parse_args(argv)
    base = [score_run(run, arguments.dataset) for run in arguments.run]
    views = np.concatenate([part.views for part in base], axis=1)
    effects = compare(
        base,
        {
            MOST_PROBABLE: views[0],
            "two views: left-right flip": views[:2].mean(axis=0),
            "four views: both flips": views.mean(axis=0),
            "last epoch instead of the mean of epochs": np.concatenate([part.last_epoch for part in base]),
        },
        {MOST_PROBABLE: True},
    )
    for variant in arguments.variant:
        name, _, run = variant.partition("=")
        effects.append(compare_on_own_fold(base, score_run(Path(run), arguments.dataset), name))
    print(format_table(effects))


if __name__ == "__main__":
    main()
