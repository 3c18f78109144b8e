"""Measure on locked test lesions what artefacts and changes of acquisition do to the model's answers.

    python -m model.studies.robustness --artifact model/weights/skin --dataset ../shared/ham10000
    python -m model.studies.robustness --images 20 --processes 1                # a laptop's taste of it

One image a lesion, the first in the metadata. Each is perturbed at the size of its file in every way of
`model.images.perturbations` that its task's images may meet, its number in the study being the seed, and goes the way
of an upload from there; the quality gate is not asked, so an image it would refuse counts as well. Writes the section
`robustness` of the artifact's manifest and prints it as a table. Exit code 2, and a message, where the artifact or the
dataset is not what it should be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.datasets.ham10000 import DatasetError
from data.datasets.splits import locked_test_files
from data.tasks.task import Task
from model.arguments import add_artifact, add_dataset, whole_number
from model.evaluation.report import robustness_table
from model.evaluation.results import to_plain
from model.images.decoding import decode_image
from model.images.perturbations import Kind, perturbations_of
from model.images.rejection import ImageRejected
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.calibration import decide
from model.inference.classifier import Classifier
from model.inference.processes import classifier_of_process, mapped
from model.measures.areas import auroc_estimate
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
    weighted_balanced_accuracy,
)
from model.measures.metrics import (
    Array,
    Booleans,
    Indices,
    balanced_accuracy,
    is_positive,
    positive_probability,
)
from model.measures.shares import rate_estimates, share_estimates

SECTION = "robustness"
# Of the draw of images where not all are measured.
STUDY_SEED = 1


@dataclass(frozen=True)
class Answers:
    """The model's answers to N images under one perturbation, or to the images as they are.

    Attributes:
        p_positive: (N,) float64 in [0, 1], of the question's positive side.
        p_gravest: (N,) float64 in [0, 1], of the task's gravest class.
        dx_predicted: (N,) int64 class indices, by `model.inference.calibration.decide`.
        is_flagged: (N,) bool, whether p_positive reaches the threshold.
    """

    p_positive: Array
    p_gravest: Array
    dx_predicted: Indices
    is_flagged: Booleans


@dataclass(frozen=True)
class RobustnessMetrics:
    """How good the answers are; each in [0, 1], NaN where a group is empty.

    Attributes:
        balanced_accuracy: mean per-class sensitivity of the predicted class.
        gravest_auroc: of the task's gravest class (melanoma) against the rest.
        positive_auroc: of the probability of the question's positive side.
        sensitivity, specificity: of the question (malignant or benign), at the threshold.
    """

    balanced_accuracy: Estimate
    gravest_auroc: Estimate
    positive_auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True)
class PerturbationEffect:
    """What one perturbation does to the answers.

    Attributes:
        key, name, kind: of the `model.images.perturbations.Perturbation`.
        decision_flips: share of the images that are flagged before or after, but not both.
        class_changes: share of the images whose predicted class changes.
        balanced_accuracy_difference: perturbed minus unperturbed, paired by lesion, in [-1, 1].
        metrics: of the perturbed images.
    """

    key: str
    name: str
    kind: Kind
    decision_flips: Estimate
    class_changes: Estimate
    balanced_accuracy_difference: Estimate
    metrics: RobustnessMetrics


@dataclass(frozen=True)
class RobustnessStudy:
    """The unperturbed images and every perturbation, as they stand in the manifest.

    Attributes:
        images, lesions: how many were measured; the same number, one image a lesion.
        locked_lesions: how many there are.
        seed: of the draw of images where not all were measured; where artefacts lie, the image's number decides.
        resamples, bootstrap_seed: of the intervals.
        operating_point, threshold: which p(malignant) is flagged: the artifact's default.
        unperturbed: the images as they are.
        perturbations: in the order of `perturbations_of` the task's artefacts.
    """

    images: int
    lesions: int
    locked_lesions: int
    seed: int
    resamples: int
    bootstrap_seed: int
    operating_point: str
    threshold: float
    unperturbed: RobustnessMetrics
    perturbations: tuple[PerturbationEffect, ...]


def first_images(files: pd.DataFrame) -> pd.DataFrame:
    """The first row of each lesion, (lesion_id, dx, path and more), in the order of the table."""
    return files.drop_duplicates("lesion_id").reset_index(drop=True)


def draw_images(lesions: pd.DataFrame, images: int | None) -> pd.DataFrame:
    """So many rows at random, in the order of the table; all of them for None or where there are no more."""
    if images is None or images >= len(lesions):
        return lesions
    return lesions.sample(images, random_state=STUDY_SEED).sort_index().reset_index(drop=True)


def logits_of_image(path: Path, number: int, classifier: Classifier) -> Array:
    """Logits of one image file as it is and under every perturbation.

    Args:
        path: image file.
        number: of the image in the study: the seed of where its artefacts lie.
        classifier: answers the forward passes.

    Returns:
        (1 + P, C) float64: the image as it is, then one row a perturbation of `perturbations_of`.

    Raises:
        DatasetError: a file that cannot be decoded.
    """
    try:
        image = decode_image(path.read_bytes())
    except ImageRejected as rejected:
        raise DatasetError(f"{path}: {rejected}") from rejected
    changes = perturbations_of(classifier.artifact.task.artefacts)
    shown = [image, *(perturbation.apply(image, number) for perturbation in changes)]
    inputs = [classifier.artifact.network_input(one)[0] for one in shown]
    return np.array([classifier.forward(one).logits for one in inputs], dtype=np.float64)


def logits_of_images(paths: Sequence[Path], artifact_folder: Path, processes: int) -> Array:
    """Logits of many image files, with a progress bar.

    Args:
        paths: N image files, at least one.
        artifact_folder: where the network lies; each process loads its own.
        processes: how many; one runs in this process.

    Returns:
        (N, 1 + P, C) float64, see `logits_of_image`.

    Raises:
        ArtifactMismatch: the folder holds no usable artifact.
        DatasetError: a file that cannot be decoded.
    """
    measure = partial(_logits_in_process, artifact_folder=artifact_folder)
    return np.array(list(mapped(measure, paths, range(len(paths)), processes=processes, description=SECTION)))


def _logits_in_process(path: Path, number: int, artifact_folder: Path) -> Array:
    return logits_of_image(path, number, classifier_of_process(artifact_folder))


def answers_of(logits: Array, artifact: Artifact) -> Answers:
    """The answers that (N, C) logits mean by the artifact's calibration, decision and default operating point."""
    probabilities = artifact.calibration.probabilities(logits)
    task = artifact.task
    p_positive = positive_probability(probabilities, task.positives)
    return Answers(
        p_positive=p_positive,
        p_gravest=probabilities[:, task.index(task.gravest)],
        dx_predicted=decide(probabilities, np.asarray(artifact.calibration.prior), task.is_ordinal),
        is_flagged=p_positive >= artifact.operating_points[0].threshold,
    )


def summarise(lesions: pd.DataFrame, logits: Array, artifact: Artifact, locked_lesions: int) -> RobustnessStudy:
    """Every metric of the unperturbed images and of each perturbation, with 95 % intervals by lesion.

    Args:
        lesions: N rows with lesion_id and dx.
        logits: (N, 1 + P, C), see `logits_of_image`.
        artifact: what turns logits into answers.
        locked_lesions: how many lesions there were to draw from.
    """
    lesion_ids = lesions["lesion_id"].to_numpy(dtype=str)
    task = artifact.task
    dx_true = lesions["dx"].map(task.index).to_numpy(dtype=np.int64)
    weights = bootstrap_weights(lesion_ids)
    before, *perturbed = (answers_of(logits[:, column], artifact) for column in range(logits.shape[1]))
    effects = []
    for perturbation, after in zip(perturbations_of(task.artefacts), perturbed, strict=True):
        changes = np.column_stack([before.is_flagged != after.is_flagged, before.dx_predicted != after.dx_predicted])
        decision_flips, class_changes = share_estimates(changes, np.ones_like(changes), lesion_ids)
        effects.append(
            PerturbationEffect(
                key=perturbation.key,
                name=perturbation.name,
                kind=perturbation.kind,
                decision_flips=decision_flips,
                class_changes=class_changes,
                balanced_accuracy_difference=_difference(dx_true, before, after, weights, len(task.classes)),
                metrics=_metrics(dx_true, after, lesion_ids, weights, task),
            )
        )
    point = artifact.operating_points[0]
    return RobustnessStudy(
        images=len(lesions),
        lesions=len(np.unique(lesion_ids)),
        locked_lesions=locked_lesions,
        seed=STUDY_SEED,
        resamples=RESAMPLES,
        bootstrap_seed=BOOTSTRAP_SEED,
        operating_point=point.name,
        threshold=point.threshold,
        unperturbed=_metrics(dx_true, before, lesion_ids, weights, task),
        perturbations=tuple(effects),
    )


def _difference(dx_true: Indices, before: Answers, after: Answers, weights: Weights, classes: int) -> Estimate:
    """The same bootstrap samples on both sides: what they share leaves the interval."""
    return estimate_of(
        balanced_accuracy(dx_true, after.dx_predicted, classes)
        - balanced_accuracy(dx_true, before.dx_predicted, classes),
        weighted_balanced_accuracy(dx_true, after.dx_predicted, weights, classes)
        - weighted_balanced_accuracy(dx_true, before.dx_predicted, weights, classes),
    )


def _metrics(
    dx_true: Indices, answers: Answers, lesion_ids: np.ndarray, weights: Weights, task: Task
) -> RobustnessMetrics:
    is_of_side, classes = is_positive(dx_true, task.positives), len(task.classes)
    sensitivity, specificity, *_ = rate_estimates(is_of_side, answers.is_flagged, lesion_ids)
    return RobustnessMetrics(
        balanced_accuracy=estimate_of(
            balanced_accuracy(dx_true, answers.dx_predicted, classes),
            weighted_balanced_accuracy(dx_true, answers.dx_predicted, weights, classes),
        ),
        gravest_auroc=auroc_estimate(dx_true == task.index(task.gravest), answers.p_gravest, lesion_ids),
        positive_auroc=auroc_estimate(is_of_side, answers.p_positive, lesion_ids),
        sensitivity=sensitivity,
        specificity=specificity,
    )


def study_to_dict(study: RobustnessStudy, task: Task) -> dict[str, Any]:
    """A study as the manifest holds it: plain numbers, text, lists and dicts, with None for NaN."""
    drawn = f"one image a {task.words.subject}, the first in the metadata"
    data = {"data": task.dataset.name, "split": "locked test", "drawn": drawn}
    return data | to_plain(asdict(study))


def format_report(section: dict[str, Any], title: str, task: Task) -> str:
    """The manifest's section as text: what was measured, and `model.evaluation.report.robustness_table`."""
    words = task.words
    return "\n".join(
        (
            f"{title}: robustness on {section['images']:,} of {section['locked_lesions']:,} locked test "
            f"{words.subjects}, one image each; threshold {section['threshold']:.4f} ({section['operating_point']})",
            f"Intervals by {words.subject}: Wilson; of balanced accuracy, {section['resamples']:,} bootstrap "
            f"samples, seed {section['bootstrap_seed']}",
            "",
            robustness_table(section, task),
        )
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.studies.robustness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_artifact(parser)
    add_dataset(parser)
    parser.add_argument("--images", type=whole_number(1), help="test lesions, drawn at random (default: all)")
    parser.add_argument("--processes", type=whole_number(1), default=2, help="one network each")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        dataset = arguments.dataset or artifact.task.dataset.folder
        locked = first_images(locked_test_files(dataset, artifact.description.split.seed, artifact.task.codes))
        lesions = draw_images(locked, arguments.images)
        logits = logits_of_images(list(lesions["path"]), artifact.folder, arguments.processes)
        section = study_to_dict(summarise(lesions, logits, artifact, len(locked)), artifact.task)
        write_section(artifact.folder, SECTION, section)
    except (ArtifactMismatch, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    print(format_report(section, f"{artifact.name} {artifact.version}", artifact.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
