"""A finished run, of a network or of trees, measured on the locked lesions as a row of the table of models."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import load_metadata
from data.datasets.splits import LEFT_OUT, TEST, split_by_lesion
from data.tasks.task import Task
from model.baselines.trees import BOOSTER_FILE, EMBEDDER, EMBEDDER_FILE, TREES_FILE, TreesRecipe, read_trees
from model.evaluation.model_table import MODEL_FILE
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict, to_plain
from model.inference.artifact import HISTORY_FILE, SIGNATURE, TEST_PREDICTIONS_FILE
from model.inference.calibration import fit_calibration
from model.training.batches import load_images
from model.training.environment import created_by, environment_of
from model.training.export.scoring import Scored, predictions_table, score
from model.training.export.sections import LOCKED_TEST, OUT_OF_FOLD, part_of, points_section
from model.training.recipe import (
    Recipe,
    class_indices,
    labelled_for,
    labelled_task,
    network_name,
    read_run,
    sampling_prior,
    select_rows,
    task_of,
)

# Timed after one answer that is not counted.
TIMED_ANSWERS = 50
# Weights up to this size are kept beside the figures.
MOST_BYTES = 3_000_000
PROBABILITY_DECIMALS = 5


@dataclass(frozen=True)
class Finished:
    """A finished run, ready to answer.

    Attributes:
        recipe: of the network or the trees.
        kind: what the table calls it: the backbone, or trees and their features.
        logits: (N, C) of rows of the dataset, with a description for the progress bar.
        answer: what answers one image, (height, width, 3) uint8, on one thread, to be timed.
        parameters, counted: how many, and of what: `weights` or `nodes`.
        weights: files that it answers with.
    """

    recipe: Recipe | TreesRecipe
    kind: str
    logits: Callable[[pd.DataFrame, str], NDArray[np.float64]]
    answer: Callable[[NDArray[np.uint8]], Callable[[], object]]
    parameters: int
    counted: str
    weights: tuple[Path, ...]


def open_run(run: Path, scratch: Path, dataset: Path | None = None) -> Finished:
    """A run of `model.train` or of `model.train_trees`.

    Args:
        run: folder.
        scratch: folder for the file that a network answers with.
        dataset: where the images are now; the run's own folder where None.

    Raises:
        RunMismatch: the folder holds no finished run.
    """
    return _open_trees(run, dataset) if (run / TREES_FILE).is_file() else _open_network(run, scratch, dataset)


def _open_trees(run: Path, dataset: Path | None) -> Finished:
    trees = read_trees(run)
    moved = TreesRecipe(**{**asdict(trees.recipe), "dataset": str(dataset or trees.recipe.dataset)})
    trees.recipe = moved
    names = (BOOSTER_FILE, *([EMBEDDER_FILE] if trees.embedder else []))
    return Finished(
        recipe=moved,
        kind="xgboost on pixels" if trees.embedder is None else f"xgboost on {EMBEDDER} embeddings",
        logits=trees.logits,
        answer=trees.answer,
        parameters=sum(tree.count("leaf=") * 2 - 1 for tree in trees.booster.get_dump()),
        counted="nodes",
        weights=tuple(run / name for name in names),
    )


def _open_network(run: Path, scratch: Path, dataset: Path | None) -> Finished:
    from ai_edge_litert.interpreter import Interpreter

    from model.networks.backbones import BACKBONES
    from model.networks.ensemble import build_ensemble
    from model.training.export.serving_file import load_member, to_litert

    recipe = read_run(run)
    folder, size, task = dataset or Path(recipe.dataset), (recipe.height, recipe.width), task_of(recipe)
    member = load_member(run, *size)
    network = build_ensemble([member], *size, BACKBONES[recipe.backbone].texture_layers)
    serving_file = to_litert(network, *size)
    path = scratch / f"{run.name}.tflite"
    path.write_bytes(serving_file)

    def answer(image: NDArray[np.uint8]) -> Callable[[], object]:
        runner = Interpreter(model_content=serving_file, num_threads=1).get_signature_runner(SIGNATURE)
        return lambda: runner(image=image[np.newaxis].astype(np.float32))

    return Finished(
        recipe=recipe,
        kind=network_name(recipe),
        logits=lambda rows, description: (
            score(serving_file, rows, task, folder, description, recipe.preparation).logits
        ),
        answer=answer,
        parameters=member.count_params(),
        counted="weights",
        weights=(path,),
    )


def write_entry(run: Path, output: Path, command: str, scratch: Path, dataset: Path | None = None) -> Path:
    """Measure a finished run on the locked lesions and write what the table of models shows of it.

    Calibration and thresholds are chosen on the fold that the run was not trained on. Writes `model.json`,
    `history.csv`, `test_predictions.csv` and, up to `MOST_BYTES`, the weights into a folder of the run's name.

    Args:
        run: folder of `model.train` or `model.train_trees`.
        output: folder of all entries.
        command: that made the entry, for its record.
        scratch: folder for files that are not kept.
        dataset: where the images are now; the run's own folder where None.

    Returns:
        Folder of the entry.

    Raises:
        RunMismatch: the folder holds no finished run.
        DatasetError: the dataset is not there, or lacks an image.
    """
    finished = open_run(run, scratch, dataset)
    recipe, task = finished.recipe, task_of(finished.recipe)
    place = dataset or Path(recipe.dataset)
    metadata = load_metadata(place, labelled_task(recipe).codes)
    split = split_by_lesion(metadata, seed=recipe.split_seed)
    training, held_out = select_rows(metadata, recipe)
    parts = {
        OUT_OF_FOLD: held_out,
        LOCKED_TEST: labelled_for(metadata[split == TEST], recipe),
    }
    scored = {name: _scored(rows, task, finished.logits(rows, name)) for name, rows in parts.items()}
    indices = class_indices(training, task.codes)
    calibration = fit_calibration(
        [scored[OUT_OF_FOLD].labelled_logits],
        np.maximum(sampling_prior(indices, recipe.sampling, len(task.codes)), 1e-6),
        _shares(labelled_for(metadata[~split.isin((TEST, LEFT_OUT))], recipe), task),
        task.dataset.population,
    )
    tables = {name: predictions_table(part, calibration) for name, part in scored.items()}
    test = tables[LOCKED_TEST].round(dict.fromkeys(task.codes, PROBABILITY_DECIMALS))
    points = choose_operating_points(cohort_of(tables[OUT_OF_FOLD], task), cohort_of(test, task))
    history = pd.read_csv(run / HISTORY_FILE)
    image = load_images(place, [metadata["image_id"].iloc[0]], recipe.height, recipe.width)[0]
    entry = {
        "name": run.name,
        "kind": finished.kind,
        "task": task.key,
        "classes": list(task.codes),
        "init": Path(recipe.init).name,
        "height": recipe.height,
        "width": recipe.width,
        "parameters": finished.parameters,
        "counted": finished.counted,
        "file_bytes": sum(path.stat().st_size for path in finished.weights),
        "milliseconds": _timed(finished.answer(image)),
        "trained_on": part_of(training, "training"),
        "epochs": len(history),
        "minutes": round(float(history["seconds"].sum()) / 60, 2),
        "processor_minutes": round(float(history["processor_seconds"].sum()) / 60, 2),
        "chosen_on": part_of(held_out, OUT_OF_FOLD),
        "calibration": asdict(calibration),
        "operating_points": points_section(points),
        "metrics": evaluation_to_dict(evaluate(cohort_of(test, task))),
        "recipe": _without_folders(asdict(recipe)),
        "environment": asdict(environment_of()),
        "created": created_by(command),
    }
    folder = output / run.name
    folder.mkdir(parents=True, exist_ok=True)
    test.to_csv(folder / TEST_PREDICTIONS_FILE, index=False)
    shutil.copyfile(run / HISTORY_FILE, folder / HISTORY_FILE)
    for path in finished.weights if entry["file_bytes"] <= MOST_BYTES else ():  # type: ignore[operator]
        shutil.copyfile(path, folder / path.name)
    (folder / MODEL_FILE).write_text(json.dumps(to_plain(entry), indent=2, allow_nan=False) + "\n")
    return folder


def _scored(rows: pd.DataFrame, task: Task, logits: NDArray[np.float64]) -> Scored:
    nothing = np.empty((len(rows), 0), dtype=np.float32)
    return Scored(rows, task, logits, nothing, nothing, nothing, nothing.astype(np.float64))


def _shares(rows: pd.DataFrame, task: Task) -> NDArray[np.float64]:
    counts = np.maximum(np.bincount(class_indices(rows, task.codes), minlength=len(task.codes)), 1)
    return counts / counts.sum()


def _timed(answer: Callable[[], object]) -> dict[str, float]:
    """Median and quartiles of what one answer takes, milliseconds."""
    answer()
    times = []
    for _ in range(TIMED_ANSWERS):
        started = time.perf_counter()
        answer()
        times.append((time.perf_counter() - started) * 1000)
    low, median, high = np.percentile(times, [25, 50, 75]).round(3)
    return {"median": float(median), "low": float(low), "high": float(high), "answers": TIMED_ANSWERS}


def _without_folders(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe that names no folder of the machine it ran on."""
    return {**recipe, "dataset": Path(recipe["dataset"]).name, "init": Path(recipe["init"]).name}
