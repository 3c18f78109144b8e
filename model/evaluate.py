"""Measure a model on its locked test lesions: every metric with its 95 % interval by lesion.

Shares and areas have Wilson's interval (`model.measures`), balanced accuracy a bootstrap's. Beside the calibration
error stands what a perfectly calibrated model shows on as many images: in half of all samples no more than the first
figure, in 95 of 100 no more than the second.

    python -m model.evaluate                                          # the committed model's test predictions
    python -m model.evaluate --task retina                            # of another task's
    python -m model.evaluate --dataset ../shared/ham10000             # score the locked test images again first
    python -m model.evaluate --predictions FILE.csv --output metrics.json
    python -m model.evaluate --predictions A.csv --against B.csv --labels L.csv    # two models on the same images
    python -m model.evaluate --against B.csv                                       # the committed model's against B's
    python -m model.evaluate --resamples 100                          # quicker, rougher intervals

The table it reads has one row an image: image_id, lesion_id, dx, dx_type, age, sex, localization, a probability in a
column for each code of the task, and prediction, the predicted code. Exit code 2, and a message, for a file that is
not one.

With --against or --labels, tables may be those of other people (`model.evaluation.submissions`): any image column, any
names of the classes, with or without a decision; what `python -m model.predict` writes will do. Labels come from
--labels, else from a column dx of --predictions or --against, else from the artifact's locked test images. Rows that
cannot be used are named on standard error, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError
from data.datasets.splits import locked_test_files
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.arguments import whole_number
from model.batch.challenge import write_challenge
from model.evaluation.comparison import compare
from model.evaluation.comparison_report import comparison_frame, format_comparison
from model.evaluation.operating_points import read_off
from model.evaluation.predictions import Cohort, PredictionsError, check_predictions, cohort_of, load_predictions
from model.evaluation.report import format_sections, metric_name, read_off_table, table, text_of
from model.evaluation.results import Evaluation, evaluate, evaluation_to_dict, to_plain
from model.evaluation.submissions import (
    LeftOut,
    References,
    has_labels,
    on_the_same_images,
    read_references,
    read_submission,
    references_of,
    table_of,
)
from model.images.decoding import decode_image
from model.inference.artifact import (
    MANIFEST_FILE,
    TEST_PREDICTIONS_FILE,
    WEIGHTS,
    Artifact,
    ArtifactMismatch,
    load_artifact,
)
from model.inference.classifier import predict
from model.inference.manifest import upgraded
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import BOOTSTRAP_SEED, RESAMPLES
from model.measures.shares import ThresholdMetrics

# Rows left out that are named one by one.
MOST_NAMED = 10


Points = Mapping[str, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class Source:
    """What the command line measures.

    Attributes:
        predictions: checked.
        title: their data and split in words.
        operating_points: by the key of a question, names and thresholds.
        manifest: of the artifact whose studies are shown as well; empty for predictions of another model.
    """

    predictions: pd.DataFrame
    title: str
    task: Task
    operating_points: Points
    manifest: dict[str, Any]


def read_source(arguments: argparse.Namespace) -> Source:
    """The predictions that the command-line arguments ask for.

    A predictions file may come from another model, so the thresholds of an artifact are tried on it only where
    `--artifact` names one.

    Raises:
        PredictionsError: a file is missing or not what it should be.
    """
    if arguments.predictions is not None:
        tried = _read_manifest(arguments.artifact) if arguments.artifact else {}
        task = _task_of(tried, arguments)
        table = load_predictions(arguments.predictions, task)
        return Source(
            table, f"{arguments.predictions.name}, all of its rows", task, _read_operating_points(tried, task), {}
        )
    folder = arguments.artifact or WEIGHTS / arguments.task
    if arguments.dataset is not None:
        artifact = load_artifact(folder)
        dataset, model = artifact.task.dataset.name, f"model {artifact.name} {artifact.version}"
        title = f"{dataset} in {arguments.dataset.name}, locked test split, {model}"
        predictions = score_locked_test(artifact, arguments.dataset)
        points = _read_operating_points(artifact.manifest, artifact.task)
        return Source(predictions, f"{title}, scored now", artifact.task, points, artifact.manifest)
    manifest = _read_manifest(folder)
    task = _task_of(manifest, arguments)
    predictions = load_predictions(folder / TEST_PREDICTIONS_FILE, task)
    measured = manifest.get("metrics", {})
    model = " ".join(str(manifest[key]) for key in ("name", "version") if key in manifest) or folder.name
    title = f"{measured.get('data', task.dataset.name)}, {measured.get('split', 'locked test')} split, model {model}"
    return Source(predictions, title, task, _read_operating_points(manifest, task), manifest)


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
        network_input, _ = artifact.network_input(decode_image(path.read_bytes()))
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


def _task_of(manifest: dict[str, Any], arguments: argparse.Namespace) -> Task:
    """What an artifact tells apart; where it does not say, what the command line says."""
    return TASKS.get(manifest.get("task", arguments.task), TASKS[DEFAULT_TASK])


def _read_operating_points(manifest: dict[str, Any], task: Task) -> Points:
    try:
        stored = {task.question.key: manifest.get("operating_points", ())}
        stored |= {one["question"]: one["operating_points"] for one in manifest.get("further_questions", ())}
        return {
            question: tuple((str(point["name"]), float(point["threshold"])) for point in points)
            for question, points in stored.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise PredictionsError(
            f"{MANIFEST_FILE}: expected operating points with a name and a threshold, received others ({error!r})"
        ) from error


def at_points(cohort: Cohort, points: Points) -> dict[str, dict[str, ThresholdMetrics]]:
    """What thresholds do to a cohort, by the key of the question that they are for, and by their names."""
    return {
        question.key: {name: thresholds.at(threshold) for name, threshold in points[question.key]}
        for question in cohort.task.questions
        if points.get(question.key) and (thresholds := cohort.asked(question).thresholds())
    }


def format_report(
    evaluation: Evaluation, points: Mapping[str, Mapping[str, ThresholdMetrics]], title: str, task: Task
) -> str:
    """All tables as text; a value is followed by its 95 % interval, `-` stands for what cannot be said.

    Args:
        evaluation: of the cohort.
        points: see `at_points`.
        title: of what it is.
        task: what is told apart.
    """
    of_grades = ("weighted_kappa", "grade_error") if task.is_ordinal else ()
    overall = ("balanced_accuracy", "macro_auroc", "positive_auroc", "accuracy", "calibration_error", *of_grades)
    further = [metric_name("positive_auroc", task.asking(question)) for question in task.further]
    rates = ("sensitivity", "specificity", "ppv", "npv")
    tables = [
        table(
            ("Overall", "value (95 % interval)"),
            [
                *((metric_name(name, task), text_of(getattr(evaluation, name))) for name in overall),
                *((name, text_of(area)) for name, area in zip(further, evaluation.further_auroc or (), strict=True)),
            ],
        ),
        table(
            ("Class against rest", "images", task.words.subjects, *rates, "auroc"),
            [
                (row.dx, f"{row.images:,}", f"{row.lesions:,}", *(text_of(getattr(row, r)) for r in (*rates, "auroc")))
                for row in evaluation.per_class
            ],
        ),
        *(_points_table(task.asking(question), points.get(question.key, {})) for question in task.questions),
        table(
            (f"Images: {task.words.label} (row), prediction (column)", *task.codes),
            [(dx, *(f"{n:,}" for n in row)) for dx, row in zip(task.codes, evaluation.confusion, strict=True)],
        ),
    ]
    bootstrapped = "balanced accuracy, kappa and grade error" if task.is_ordinal else "balanced accuracy"
    heading = (
        f"{title}: {evaluation.images:,} images of {evaluation.lesions:,} {task.words.subjects}\n"
        f"Intervals by {task.words.subject}: Wilson; of {bootstrapped}, {evaluation.resamples:,} bootstrap samples "
        f"of {task.words.subjects}, seed {evaluation.seed}"
    )
    return "\n\n".join([heading, *tables])


def _points_table(task: Task, points: Mapping[str, ThresholdMetrics]) -> str:
    question = f"{task.question.positive.capitalize()} against {task.question.negative}"
    if not points:
        return f"{question}: no operating points, since no manifest names any"
    rates = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
    rows = []
    for name, point in points.items():
        positives = point.counts.true_positives + point.counts.false_negatives
        sides = f"{positives:,}/{point.counts.n - positives:,}"
        rows.append((name, f"{point.threshold:.4f}", sides, *(text_of(getattr(point, rate)) for rate in rates)))
    return table((question, "threshold", "images, yes/no", *rates), rows)


@dataclass(frozen=True)
class Compared:
    """What the command line compares.

    Attributes:
        first: named by --predictions, or the artifact's own.
        second: named by --against; None where there is no such table.
        names: of both, and of the labels, in words.
        left_out: rows that are not measured, by the name of their file.
        thresholds: of the artifact's operating points, where --artifact names one or its own predictions are compared.
    """

    first: Cohort
    second: Cohort | None
    names: tuple[str, ...]
    left_out: dict[str, tuple[LeftOut, ...]]
    thresholds: tuple[float, ...]


def read_compared(arguments: argparse.Namespace) -> Compared:
    """The tables that --predictions, --against and --labels name, on the images that all of them have.

    Raises:
        PredictionsError: a file is missing or not what it should be, or no image is in all of them.
    """
    folder = arguments.artifact or WEIGHTS / arguments.task
    task = _task_of(_read_manifest(folder) if arguments.artifact else {}, arguments)
    paths = [path for path in (arguments.predictions, arguments.against) if path is not None]
    tables = {path: _read_file(path) for path in paths}
    labelled = arguments.labels or next((path for path in paths if has_labels(tables[path])), None)
    own = None
    if labelled is None or arguments.predictions is None:
        own = cohort_of(load_predictions(folder / TEST_PREDICTIONS_FILE, task), task)
    left_out = {}
    if labelled is not None:
        table = tables[labelled] if labelled in tables else _read_file(labelled)
        references = read_references(table, task, labelled.name)
        left_out[f"labels of {labelled.name}"] = references.left_out
    elif own is not None:
        references = references_of(own)
    cohorts = []
    for path in paths:
        submission = read_submission(tables[path], references, path.name, arguments.logits)
        left_out[path.name] = submission.left_out
        cohorts.append(submission.cohort)
    if arguments.predictions is None and own is not None:
        cohorts.insert(0, _relabelled(own, references))
    first, *others = cohorts
    if others:
        first, others[0] = on_the_same_images(first, others[0])
        if not len(first.image_ids):
            raise PredictionsError("expected images that both tables have, found none; compare their image names")
    model = folder.name if arguments.predictions is None else arguments.predictions.name
    of_labels = f"locked test images of {folder.name}" if labelled is None else labelled.name
    names = (model, *([arguments.against.name] if others else []), of_labels)
    has_points = arguments.artifact is not None or arguments.predictions is None
    points = _read_operating_points(_read_manifest(folder), task)[task.question.key] if has_points else ()
    return Compared(first, others[0] if others else None, names, left_out, tuple(threshold for _, threshold in points))


def _read_file(path: Path) -> pd.DataFrame:
    try:
        return table_of(path.read_bytes(), path.name)
    except OSError as error:
        raise PredictionsError(f"{path}: expected a table, could not read it ({error})") from error


def _relabelled(own: Cohort, references: References) -> Cohort:
    """An artifact's own predictions of the images that the references know, as those call them."""
    labelled = Cohort(
        own.task,
        references.image_ids,
        references.lesion_ids,
        references.dx_true,
        np.zeros((len(references.image_ids), 0)),
        references.dx_true,
    )
    kept, known = on_the_same_images(own, labelled)
    return replace(kept, lesion_ids=known.lesion_ids, dx_true=known.dx_true)


def _print_left_out(left_out: dict[str, tuple[LeftOut, ...]]) -> None:
    for name, rows in left_out.items():
        for one in rows[:MOST_NAMED]:
            print(f"{name}, row {one.row}, {one.image or 'no name'}: {one.reason}", file=sys.stderr)
        if rows:
            print(f"{name}: {len(rows):,} {'rows' if len(rows) > 1 else 'row'} left out", file=sys.stderr)


def _write_json(path: Path, document: dict[str, Any]) -> bool:
    try:
        path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        print(f"{path}: cannot be written ({error})", file=sys.stderr)
        return False
    return True


def _write_challenge(arguments: argparse.Namespace, source: Source) -> bool:
    """Write the answers that are measured as a submission to the challenge; whether that was possible."""
    if arguments.predictions is not None or source.task.is_ordinal:
        print("expected --challenge with an artifact whose classes are names, without --predictions", file=sys.stderr)
        return False
    rows = source.predictions.astype(str).rename(columns={"image_id": "image"}).to_dict("records")
    try:
        write_challenge(arguments.challenge, rows, load_artifact(arguments.artifact or WEIGHTS / arguments.task))
    except (OSError, ArtifactMismatch) as error:
        print(f"{arguments.challenge}: cannot be written ({error})", file=sys.stderr)
        return False
    return True


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path, help="weights folder (default: model/weights/TASK)")
    parser.add_argument("--dataset", type=Path, help="folder like HAM10000 whose locked test images are scored again")
    parser.add_argument("--predictions", type=Path, help="CSV to measure in place of the artifact's test predictions")
    parser.add_argument("--against", type=Path, help="CSV of another model, compared on the images that both have")
    parser.add_argument("--labels", type=Path, help="CSV of image and dx (lesion_id where images belong together)")
    parser.add_argument(
        "--challenge",
        type=Path,
        metavar="FILE",
        help="also write the artifact's locked test answers as the ISIC challenge's scorer reads them",
    )
    parser.add_argument("--logits", action="store_true", help="the numbers of these tables are logits")
    parser.add_argument(
        "--task", choices=TASKS, default=DEFAULT_TASK, help="whose model, and what the classes of --predictions are"
    )
    parser.add_argument("--resamples", type=whole_number(1), default=RESAMPLES, help="bootstrap samples")
    parser.add_argument("--seed", type=whole_number(0), default=BOOTSTRAP_SEED, help="of the bootstrap")
    parser.add_argument("--output", type=Path, help="JSON file to write the same figures to")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.against is not None or arguments.labels is not None:
        return _main_of_tables(arguments)
    try:
        source = read_source(arguments)
    except (PredictionsError, ArtifactMismatch, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.challenge is not None and not _write_challenge(arguments, source):
        return 2
    cohort = cohort_of(source.predictions, source.task)
    evaluation = evaluate(cohort, arguments.resamples, arguments.seed)
    points = at_points(cohort, source.operating_points)
    print(format_report(evaluation, points, source.title, source.task))
    for asking in map(source.task.asking, source.task.questions):
        print(f"\n{read_off_table(read_off(source.predictions, asking), asking)}")
    if source.manifest:
        print(f"\nMeasured for this model, from its manifest:\n\n{format_sections(source.manifest, source.task)}")
    if arguments.output is not None:
        document = {"data": source.title, **evaluation_to_dict(evaluation)}
        document[f"{source.task.question.key}_auroc"] = document.pop("positive_auroc")
        of_question = {
            key: [{"name": name, **to_plain(asdict(one))} for name, one in found.items()]
            for key, found in points.items()
        }
        document["operating_points"] = of_question.pop(source.task.question.key, [])
        if source.task.further:
            document["further_questions"] = [
                {"question": key, "operating_points": of} for key, of in of_question.items()
            ]
        if not _write_json(arguments.output, document):
            return 2
    return 0


def _main_of_tables(arguments: argparse.Namespace) -> int:
    try:
        compared = read_compared(arguments)
    except PredictionsError as error:
        print(error, file=sys.stderr)
        return 2
    _print_left_out(compared.left_out)
    task = compared.first.task
    if compared.second is None:
        evaluation = evaluate(compared.first, arguments.resamples, arguments.seed)
        named = tuple((f"threshold {threshold:.4f}", threshold) for threshold in compared.thresholds)
        points = at_points(compared.first, {task.question.key: named})
        title = f"{compared.names[0]}, labels of {compared.names[1]}"
        print(format_report(evaluation, points, title, task))
        document = evaluation_to_dict(evaluation)
    else:
        comparison = compare(compared.first, compared.second, compared.thresholds, arguments.resamples, arguments.seed)
        print("First: {}. Second: {}. Labels: {}.".format(*compared.names))
        print(format_comparison(comparison, task))
        records = comparison_frame(comparison).to_dict("records")
        document = {"names": compared.names, "images": comparison.images, "rows": records}
    if arguments.output is not None and not _write_json(arguments.output, to_plain(document)):
        return 2
    return 1 if any(compared.left_out.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
