"""Go the whole way from the dataset's folder to the comparison of models, and say which committed figures it confirms.

    make reproduce DATASET=../shared/ham10000
    python -m model.reproduce --dataset ../shared/ham10000 --init none --limit 70       # minutes on a laptop

Seven steps: the dataset is counted; it is split, and the locked images compared with those of the committed
predictions; the committed metrics are computed again from the committed predictions; the locked images are scored again
by the committed network (`--no-scoring` leaves this out); a network is trained, briefly; it is exported, and what its
manifest states is computed again from its predictions; the figures of the other models' folders are computed again from
theirs. Every option that is none of these is one of `model.train` for the brief training, whose own figures are no
committed ones: so short a training can only show that the way is whole.

Prints a row a figure: committed, now, difference, and whether it is confirmed. Exit code 0 if all are, 1 if one is not,
2 where a step cannot be taken.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd

from data.datasets.ham10000 import COUNTS_PATH, DatasetError, count_images_and_lesions, load_counts, load_metadata
from data.datasets.splits import TEST, split_by_lesion
from data.tasks.known import TASKS
from data.tasks.task import Task, asked_alone
from model.arguments import add_artifact, add_dataset
from model.evaluate import score_locked_test
from model.evaluation.model_table import MODEL_FILE, RESULTS
from model.evaluation.predictions import PredictionsError, cohort_of, load_predictions
from model.evaluation.report import table
from model.evaluation.results import evaluate
from model.export import main as export
from model.inference.artifact import (
    TEST_PREDICTIONS_FILE,
    Artifact,
    ArtifactMismatch,
    load_artifact,
)
from model.train import main as train

# A brief training of all layers at a small size; the caller's options come after these.
BRIEF: tuple[str, ...] = (
    "--no-lesion-branch",
    "--limit",
    "70",
    "--batch-size",
    "14",
    "--height",
    "64",
    "--width",
    "96",
)
BRIEF += ("--low-resolution", "1", "--head-epochs", "0", "--low-resolution-epochs", "1")
BRIEF += ("--middle-resolution-epochs", "0", "--full-resolution-epochs", "0")
METRICS = ("balanced_accuracy", "macro_auroc", "positive_auroc", "accuracy", "calibration_error")
# The same arithmetic on the same table: nothing but the order of sums may differ.
SAME = 1e-6
# Another processor rounds otherwise on the way through a network.
SAME_PROBABILITY = 2e-3


@dataclass(frozen=True)
class Check:
    """A committed figure and the same figure now.

    Attributes:
        step: that gave it.
        figure: what it is.
        committed, now: the two values; NaN where it cannot be said.
        tolerance: how far they may lie apart.
    """

    step: str
    figure: str
    committed: float
    now: float
    tolerance: float = 0.0

    @property
    def difference(self) -> float:
        return self.now - self.committed

    @property
    def is_confirmed(self) -> bool:
        if math.isnan(self.committed) or math.isnan(self.now):
            return math.isnan(self.committed) and math.isnan(self.now)
        return abs(self.difference) <= self.tolerance


class StepFailed(Exception):
    """A step that cannot be taken; what it wrote to the error stream says why."""


def check_dataset(dataset: Path, counts: Path, task: Task) -> Iterator[Check]:
    """The dataset's images and lesions by diagnosis, against the committed counts."""
    committed, now = load_counts(counts), count_images_and_lesions(load_metadata(dataset, task.codes))
    for column in ("images", "lesions"):
        yield Check("dataset", column, float(committed[column].sum()), float(now[column].sum()))
    for dx in sorted({*committed["dx"], *now["dx"]}):
        of_dx = [float(table.loc[table["dx"] == dx, "images"].sum()) for table in (committed, now)]
        yield Check("dataset", f"images of {dx}", *of_dx)


def check_split(dataset: Path, artifact: Artifact, predictions: pd.DataFrame) -> Iterator[Check]:
    """The locked images now, against those of the committed predictions."""
    metadata = load_metadata(dataset, artifact.task.codes)
    locked = metadata[split_by_lesion(metadata, seed=artifact.description.split.seed) == TEST]
    common = predictions["image_id"].isin(locked["image_id"])
    yield Check("split", "locked images among the committed ones", float(len(predictions)), float(common.sum()))
    in_common = locked[locked["image_id"].isin(predictions["image_id"])]
    lesions = float(predictions["lesion_id"].nunique())
    yield Check("split", "their lesions", lesions, float(in_common["lesion_id"].nunique()))


def check_metrics(
    step: str, metrics: Mapping[str, Any], points: Sequence[Mapping[str, Any]], predictions: pd.DataFrame, task: Task
) -> Iterator[Check]:
    """Stored metrics and operating points, against those of the stored predictions.

    Args:
        step: for the checks.
        metrics: as `evaluation_to_dict` writes them.
        points: as the manifest holds them.
        predictions: checked.
        task: what is told apart.
    """
    cohort = cohort_of(predictions, task)
    evaluation = evaluate(cohort)
    yield Check(step, "images", float(metrics["images"]), float(evaluation.images))
    for name in METRICS:
        estimate = getattr(evaluation, name)
        for part in ("value", "low", "high"):
            figure = name.replace("_", " ") + ("" if part == "value" else f", {part}")
            yield Check(step, figure, _number(metrics[name][part]), getattr(estimate, part), SAME)
    thresholds = cohort.thresholds()
    for point in points:
        measured = thresholds.at(point["threshold"])
        for rate in ("sensitivity", "specificity"):
            now = getattr(measured, rate).value
            yield Check(step, f"{rate} at {point['name']}", _number(point[rate]["value"]), now, SAME)


def _number(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def check_scoring(dataset: Path, artifact: Artifact, predictions: pd.DataFrame) -> Iterator[Check]:
    """The committed predictions, against what the committed network answers now."""
    codes = list(artifact.task.codes)
    both = predictions.merge(score_locked_test(artifact, dataset), on="image_id", suffixes=("", "_now"))
    moved = np.abs(both[codes].to_numpy() - both[[f"{code}_now" for code in codes]].to_numpy())
    yield Check("scoring", "images scored again", float(len(predictions)), float(len(both)))
    yield Check("scoring", "largest change of a probability", 0.0, float(moved.max(initial=0.0)), SAME_PROBABILITY)
    changed = (both["prediction"] != both["prediction_now"]).sum()
    yield Check("scoring", "predictions that changed", 0.0, float(changed), len(both) * SAME_PROBABILITY)


def check_brief_training(dataset: Path, options: Sequence[str], folder: Path) -> Iterator[Check]:
    """A brief training and its export; then what its manifest states, against its own predictions.

    Raises:
        StepFailed: training or export end with an error.
    """
    run, output = folder / "run", folder / "artifact"
    if train([*BRIEF, *options, "--dataset", str(dataset), "--run", str(run)]):
        raise StepFailed("training")
    if export(["--run", str(run), "--output", str(output)]):
        raise StepFailed("export")
    artifact = load_artifact(output)
    predictions = load_predictions(artifact.test_predictions_path, artifact.task)
    manifest = artifact.manifest
    yield from check_metrics(
        "brief training", manifest["metrics"], manifest["operating_points"], predictions, artifact.task
    )


def check_models(results: Path) -> Iterator[Check]:
    """The figures of each model of the table, against those of its predictions."""
    for path in sorted(results.glob(f"*/{MODEL_FILE}")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        tasks = {one.key: one for task in TASKS.values() for one in (task, asked_alone(task))}
        task = tasks[stored["task"]]
        predictions = load_predictions(path.parent / TEST_PREDICTIONS_FILE, task)
        yield from check_metrics(
            f"model {stored['name']}", stored["metrics"], stored["operating_points"], predictions, task
        )


def report(checks: Sequence[Check]) -> str:
    """All checks as a table, and how many are confirmed."""
    rows = [
        (
            f"{check.step}: {check.figure}",
            _text(check.committed),
            _text(check.now),
            f"{check.difference:+.2g}" if check.difference else "0",
            "yes" if check.is_confirmed else "NO",
        )
        for check in checks
    ]
    confirmed = sum(check.is_confirmed for check in checks)
    largest = max((abs(check.difference) for check in checks if check.is_confirmed), default=0.0)
    return (
        f"{table(('figure', 'committed', 'now', 'difference', 'confirmed'), rows)}\n\n"
        f"{confirmed} of {len(checks)} figures confirmed, the largest difference among them {largest:.2g}"
    )


def _text(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if value == int(value) and abs(value) > 1 else f"{value:.4f}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset(parser)
    add_artifact(parser)
    parser.add_argument("--counts", type=Path, help="committed counts of the dataset; default: the task's")
    parser.add_argument("--models", type=Path, default=RESULTS, help="committed table of models")
    parser.add_argument("--no-scoring", action="store_true", help="do not score the locked images again")
    parser.add_argument("--output", type=Path, help="CSV to write the same rows to")
    arguments, options = parser.parse_known_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        dataset = arguments.dataset or artifact.task.dataset.folder
        predictions = load_predictions(artifact.test_predictions_path, artifact.task)
        manifest, of_task = artifact.manifest, artifact.task.dataset.counts
        counts = arguments.counts or (COUNTS_PATH.with_name(of_task) if of_task else None)
        checks = [
            *([] if counts is None else check_dataset(dataset, counts, artifact.task)),
            *check_split(dataset, artifact, predictions),
            *check_metrics("evaluation", manifest["metrics"], manifest["operating_points"], predictions, artifact.task),
            *([] if arguments.no_scoring else check_scoring(dataset, artifact, predictions)),
        ]
        with tempfile.TemporaryDirectory() as folder:
            checks += check_brief_training(dataset, ["--task", artifact.task.key, *options], Path(folder))
        checks += check_models(arguments.models)
    except StepFailed as error:
        print(f"{error} ended with an error; nothing more was tried", file=sys.stderr)
        return 2
    except (ArtifactMismatch, DatasetError, PredictionsError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report(checks))
    if arguments.output is not None:
        rows = [{**vars(check), "difference": check.difference, "confirmed": check.is_confirmed} for check in checks]
        pd.DataFrame(rows).to_csv(arguments.output, index=False)
    return 0 if all(check.is_confirmed for check in checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
