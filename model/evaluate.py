"""Measure a model on its locked test lesions: every metric with its 95 % interval by lesion.

    python -m model.evaluate                                          # the committed model's test predictions
    python -m model.evaluate --dataset ../shared/ham10000             # score the locked test images again first
    python -m model.evaluate --predictions FILE.csv --output metrics.json
    python -m model.evaluate --resamples 100                          # quicker, rougher intervals

The table it reads has one row an image: image_id, lesion_id, dx, dx_type, age, sex, localization, a probability in a
column for each code of the task, and prediction, the predicted code. Exit code 2, and a message, for a file that is
not one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError
from data.datasets.splits import locked_test_files
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.arguments import whole_number
from model.evaluation.predictions import PredictionsError, check_predictions, cohort_of, load_predictions
from model.evaluation.report import format_sections, metric_name, table, text_of
from model.evaluation.results import Evaluation, evaluate, evaluation_to_dict, to_plain
from model.images.decoding import decode_image
from model.images.framing import to_network_input
from model.inference.artifact import (
    DEFAULT_ARTIFACT,
    MANIFEST_FILE,
    TEST_PREDICTIONS_FILE,
    Artifact,
    ArtifactMismatch,
    load_artifact,
)
from model.inference.classifier import predict
from model.inference.manifest import upgraded
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import BOOTSTRAP_SEED, RESAMPLES, BinaryThresholds, ThresholdMetrics, bootstrap_weights


@dataclass(frozen=True)
class Source:
    """What the command line measures.

    Attributes:
        predictions: checked.
        title: their data and split in words.
        operating_points: names and thresholds.
        manifest: of the artifact whose studies are shown as well; empty for predictions of another model.
    """

    predictions: pd.DataFrame
    title: str
    task: Task
    operating_points: tuple[tuple[str, float], ...]
    manifest: dict[str, Any]


def read_source(arguments: argparse.Namespace) -> Source:
    """The predictions that the command-line arguments ask for.

    A predictions file may come from another model, so the thresholds of an artifact are tried on it only where
    `--artifact` names one.

    Raises:
        PredictionsError: a file is missing or not what it should be.
    """
    if arguments.predictions is not None:
        points = _read_operating_points(_read_manifest(arguments.artifact)) if arguments.artifact else ()
        task = TASKS[arguments.task]
        table = load_predictions(arguments.predictions, task)
        return Source(table, f"{arguments.predictions.name}, all of its rows", task, points, {})
    folder = arguments.artifact or DEFAULT_ARTIFACT
    if arguments.dataset is not None:
        artifact = load_artifact(folder)
        title = f"HAM10000 in {arguments.dataset.name}, locked test split, model {artifact.name} {artifact.version}"
        predictions = score_locked_test(artifact, arguments.dataset)
        points = _read_operating_points(artifact.manifest)
        return Source(predictions, f"{title}, scored now", artifact.task, points, artifact.manifest)
    manifest = _read_manifest(folder)
    task = TASKS.get(manifest.get("task", arguments.task), TASKS[DEFAULT_TASK])
    predictions = load_predictions(folder / TEST_PREDICTIONS_FILE, task)
    measured = manifest.get("metrics", {})
    model = " ".join(str(manifest[key]) for key in ("name", "version") if key in manifest) or folder.name
    title = f"{measured.get('data', 'HAM10000')}, {measured.get('split', 'locked test')} split, model {model}"
    return Source(predictions, title, task, _read_operating_points(manifest), manifest)


def score_locked_test(artifact: Artifact, dataset: Path) -> pd.DataFrame:
    """Run an artifact's serving file over the locked test images of a HAM10000 folder, with a progress bar.

    Every image is scored, also one that the quality gate would refuse: a metric over chosen images would flatter.

    Returns:
        A table as `model.evaluation.predictions.check_predictions` wants it.

    Raises:
        DatasetError: the folder is not HAM10000, or lacks an image.
    """
    rows = locked_test_files(dataset, artifact.description.split.seed, artifact.task.codes).reset_index(drop=True)
    classifier = LiteRTClassifier(artifact, threads=os.cpu_count() or 1)
    predictions = []
    for path in tqdm(rows["path"], desc="scoring locked test", unit="image", disable=None):
        network_input, _ = to_network_input(decode_image(path.read_bytes()), artifact.height, artifact.width)
        predictions.append(predict(classifier.forward(network_input), artifact))
    probabilities = pd.DataFrame(
        [prediction.probabilities for prediction in predictions], columns=list(artifact.task.codes)
    )
    scored = pd.concat([rows, probabilities], axis=1).assign(prediction=[one.dx for one in predictions])
    return check_predictions(scored, "scored now", artifact.task)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return {}
    try:
        return upgraded(dict(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise PredictionsError(f"{path}: expected a JSON object, could not read it ({error}); restore it") from error


def _read_operating_points(manifest: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    try:
        return tuple((str(point["name"]), float(point["threshold"])) for point in manifest.get("operating_points", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise PredictionsError(
            f"{MANIFEST_FILE}: expected operating points with a name and a threshold, received others ({error!r})"
        ) from error


def format_report(evaluation: Evaluation, points: dict[str, ThresholdMetrics], title: str, task: Task) -> str:
    """All tables as text; a value is followed by its 95 % interval, `-` stands for what cannot be said."""
    kappa = ("weighted_kappa",) if evaluation.weighted_kappa is not None else ()
    overall = ("balanced_accuracy", "macro_auroc", "positive_auroc", "accuracy", "calibration_error", *kappa)
    question = f"{task.question.positive.capitalize()} against {task.question.negative}"
    rates = ("sensitivity", "specificity", "ppv", "npv")
    tables = [
        table(
            ("Overall", "value (95 % interval)"),
            [(metric_name(name, task), text_of(getattr(evaluation, name))) for name in overall],
        ),
        table(
            ("Class against rest", "images", task.words.subjects, *rates, "auroc"),
            [
                (row.dx, f"{row.images:,}", f"{row.lesions:,}", *(text_of(getattr(row, r)) for r in (*rates, "auroc")))
                for row in evaluation.per_class
            ],
        ),
        table(
            (question, "threshold", *rates, "accuracy"),
            [
                (name, f"{point.threshold:.4f}", *(text_of(getattr(point, rate)) for rate in (*rates, "accuracy")))
                for name, point in points.items()
            ],
        )
        if points
        else f"{question}: no operating points, since no manifest names any",
        table(
            (f"Images: {task.words.label} (row), prediction (column)", *task.codes),
            [(dx, *(f"{n:,}" for n in row)) for dx, row in zip(task.codes, evaluation.confusion, strict=True)],
        ),
    ]
    heading = (
        f"{title}: {evaluation.images:,} images of {evaluation.lesions:,} {task.words.subjects}\n"
        f"Intervals: {evaluation.resamples:,} bootstrap samples of {task.words.subjects}, seed {evaluation.seed}"
    )
    return "\n\n".join([heading, *tables])


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path, help="weights folder (default: model/weights/skin)")
    parser.add_argument("--dataset", type=Path, help="HAM10000 folder whose locked test images are scored again")
    parser.add_argument("--predictions", type=Path, help="CSV to measure in place of the artifact's test predictions")
    parser.add_argument("--task", choices=TASKS, default=DEFAULT_TASK, help="what the classes of --predictions are")
    parser.add_argument("--resamples", type=whole_number(1), default=RESAMPLES, help="bootstrap samples")
    parser.add_argument("--seed", type=whole_number(0), default=BOOTSTRAP_SEED, help="of the bootstrap")
    parser.add_argument("--output", type=Path, help="JSON file to write the same figures to")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        source = read_source(arguments)
    except (PredictionsError, ArtifactMismatch, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    cohort = cohort_of(source.predictions, source.task)
    evaluation = evaluate(cohort, arguments.resamples, arguments.seed)
    weights = bootstrap_weights(cohort.lesion_ids, arguments.resamples, arguments.seed)
    thresholds = BinaryThresholds(cohort.is_positive, cohort.p_positive, cohort.lesion_ids, weights)
    points = {name: thresholds.at(threshold) for name, threshold in source.operating_points}
    print(format_report(evaluation, points, source.title, source.task))
    if source.manifest:
        print(f"\nMeasured for this model, from its manifest:\n\n{format_sections(source.manifest, source.task)}")
    if arguments.output is not None:
        document = {"data": source.title, **evaluation_to_dict(evaluation)}
        document[f"{source.task.question.key}_auroc"] = document.pop("positive_auroc")
        document["operating_points"] = [{"name": name, **to_plain(asdict(point))} for name, point in points.items()]
        try:
            arguments.output.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"{arguments.output}: cannot be written ({error})", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
