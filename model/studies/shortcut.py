"""Measure how far the camera alone tells the class, and what is left of that in what the network is shown.

    python -m model.studies.shortcut --task retina

A round field of a fundus camera is cut off above and below by one camera and not by another, and a clinic's cameras
see other eyes: a network can learn the camera instead of the eye. A random forest is given such a clue and nothing
else: the box around the field (`model.images.field`) and the size of the file; then which margins of the network's
input are empty after a crop to the circle or to its middle band. It answers out of fold, with the folds of the networks
and without the locked images. Measured are the question's AUROC and, of grades, the quadratic weighted kappa of the
nearest grade; then the same of the networks' own answers out of fold, of images with the whole disc and of those
without, where the camera no longer helps. Writes the section `shortcut` of the artifact's manifest and prints it.

Needs scikit-learn, which requirements-dev.txt installs.

Source:
    Geirhos et al., Nature Machine Intelligence 2020;2:665, doi:10.1038/s42256-020-00257-z (shortcut learning).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError, load_metadata
from data.datasets.splits import split_by_lesion, with_files
from data.tasks.task import Task
from model.arguments import add_artifact, add_dataset
from model.evaluation.predictions import Cohort, PredictionsError, cohort_of, load_predictions
from model.evaluation.report import shortcut_table
from model.evaluation.results import evaluate, to_plain
from model.images.decoding import decode_image
from model.images.field import Field, find_field
from model.images.framing import Crop, frame_field
from model.images.rejection import ImageRejected, RgbImage
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.calibration import decide
from model.measures.intervals import Estimate
from model.measures.metrics import Array

SECTION = "shortcut"
# Of the forest; smaller leaves learn single images by heart.
TREES, FEWEST_IN_A_LEAF, SEED = 300, 5, 0
# Where no field is found; no box has such a place.
NO_FIELD = -9.0
# Of the field's height that may lie beyond the image where the whole disc is still seen: the accuracy of `find_field`.
WHOLE = 0.03
CROPS: tuple[Crop, ...] = ("circle", "band")


@dataclass(frozen=True)
class Clue:
    """How far a forest tells the class from one clue, or the networks among the images of one kind.

    Attributes:
        key: `field`, `file_size`, or the crop that something is left after; `whole` or `cut_off` of the networks.
        images: how many were measured.
        positive_auroc: of the question.
        balanced_accuracy: of the class decided on, as the network's would be.
        weighted_kappa: of the grade decided on; None for classes that are names.
    """

    key: str
    images: int
    positive_auroc: Estimate
    balanced_accuracy: Estimate
    weighted_kappa: Estimate | None


def box_of(field: Field | None, image: RgbImage) -> list[float]:
    """Left, top, width and height of a field, in shares of the image's sides; `NO_FIELD` without one."""
    if field is None:
        return [NO_FIELD] * 4
    height, width = image.shape[:2]
    return [field.left / width, field.top / height, field.width / width, field.height / height]


def margins_of(field: Field | None, image: RgbImage, height: int, width: int, crop: Crop) -> list[float]:
    """How much of the disc on the network's input lies beyond the image: left, above, right, below, in whole pixels.

    Args:
        field: of the image; without one, `NO_FIELD`.
        image: (H, W, 3) uint8.
        height, width: of the input.
        crop: how the field is laid under it.
    """
    if field is None:
        return [NO_FIELD] * 4
    rows, columns = image.shape[:2]
    box = frame_field(field, rows, columns, height, width, crop)
    down, across = height / box.height, width / box.width
    # The input shows room beside the disc, which is black with every camera.
    beside = max((width - field.width * across) / 2, 0.0)
    above = max((height - field.height * down) / 2, 0.0)
    empty = (
        -box.left * across - beside,
        -box.top * down - above,
        (box.left + box.width - columns) * across - beside,
        (box.top + box.height - rows) * down - above,
    )
    return [float(max(round(side), 0)) for side in empty]


@dataclass(frozen=True)
class Seen:
    """What cameras saw of N images.

    Attributes:
        clues: (N, F) float64 a clue, by its key.
        cut: (N, 2) shares of the field's height beyond the image, above and below; NaN without a field.
    """

    clues: dict[str, Array]
    cut: Array


def look_at(paths: Sequence[Path], height: int, width: int) -> Seen:
    """What the cameras of image files saw, with a progress bar.

    Args:
        paths: N image files.
        height, width: of the network's input.

    Raises:
        DatasetError: a file that cannot be decoded.
    """
    clues: dict[str, list[list[float]]] = {key: [] for key in ("field", "file_size", *CROPS)}
    cut = []
    for path in tqdm(paths, desc=SECTION, unit="image", mininterval=1.0):
        content = path.read_bytes()
        try:
            image = decode_image(content)
        except ImageRejected as rejected:
            raise DatasetError(f"{path}: {rejected}") from rejected
        field = find_field(image)
        clues["field"].append(box_of(field, image))
        clues["file_size"].append([float(len(content))])
        for crop in CROPS:
            clues[crop].append(margins_of(field, image, height, width, crop))
        cut.append([np.nan] * 2 if field is None else _cut(field, len(image)))
    return Seen({key: np.array(rows) for key, rows in clues.items()}, np.array(cut))


def _cut(field: Field, rows: int) -> list[float]:
    return [max(-field.top, 0.0) / field.height, max(field.top + field.height - rows, 0.0) / field.height]


def probabilities_out_of_fold(features: Array, dx_true: Array, folds: Array, classes: int) -> Array:
    """What a random forest makes of each image's features, trained on the other folds: (N, C) float64, sum 1.

    Args:
        features: (N, F) float64, without NaN.
        dx_true: (N,) class indices.
        folds: (N,) names, at least two different ones.
        classes: C; one that a fold's forest has not met gets 0.
    """
    from sklearn.ensemble import RandomForestClassifier

    probabilities = np.zeros((len(features), classes))
    for fold in np.unique(folds):
        is_held_out = folds == fold
        forest = RandomForestClassifier(TREES, min_samples_leaf=FEWEST_IN_A_LEAF, random_state=SEED)
        forest.fit(features[~is_held_out], dx_true[~is_held_out])
        rows = np.zeros((is_held_out.sum(), classes))
        rows[:, forest.classes_] = forest.predict_proba(features[is_held_out])
        probabilities[is_held_out] = rows
    return probabilities


def measure_clue(key: str, features: Array, rows: pd.DataFrame, task: Task) -> Clue:
    """How far a forest tells the class from one clue, with 95 % intervals by lesion or eye.

    Args:
        key: of the clue.
        features: (N, F), see `probabilities_out_of_fold`.
        rows: N, with `image_id`, `lesion_id`, `dx` and `split`, the fold.
        task: what is told apart.
    """
    classes = len(task.classes)
    dx_true = rows["dx"].map(task.index).to_numpy(dtype=np.int64)
    probabilities = probabilities_out_of_fold(features, dx_true, rows["split"].to_numpy(dtype=str), classes)
    prior = np.bincount(dx_true, minlength=classes) / len(dx_true)
    cohort = Cohort(
        task,
        rows["image_id"].to_numpy(dtype=str),
        rows["lesion_id"].to_numpy(dtype=str),
        dx_true,
        probabilities,
        decide(probabilities, prior, task.is_ordinal),
    )
    return _clue(key, cohort)


def _clue(key: str, cohort: Cohort) -> Clue:
    measured = evaluate(cohort)
    return Clue(key, measured.images, measured.positive_auroc, measured.balanced_accuracy, measured.weighted_kappa)


def measure_networks(predictions: pd.DataFrame, kinds: Mapping[str, Collection[str]], task: Task) -> list[Clue]:
    """The same of predictions, among the images of each kind that they hold; a kind without any is left out.

    Args:
        predictions: checked.
        kinds: image ids of each kind, by its key.
        task: what is told apart.
    """
    parts = {key: predictions[predictions["image_id"].isin(list(image_ids))] for key, image_ids in kinds.items()}
    return [_clue(key, cohort_of(part, task)) for key, part in parts.items() if len(part)]


def study(artifact: Artifact, dataset: Path) -> dict[str, Any]:
    """The section `shortcut` of the manifest; see the module docstring.

    Raises:
        DatasetError: the folder is not shaped like HAM10000, or an image is missing or broken.
        PredictionsError: the artifact has no predictions out of fold.
    """
    task = artifact.task
    metadata = load_metadata(dataset, task.codes)
    split = split_by_lesion(metadata, seed=artifact.description.split.seed)
    measured = metadata.assign(split=split)[split.str.startswith("fold")]
    rows = with_files(measured, dataset)
    seen = look_at(list(rows["path"]), artifact.height, artifact.width)
    clues = [measure_clue(key, features, rows, task) for key, features in seen.clues.items()]
    is_whole = (seen.cut <= WHOLE).all(axis=1)
    has_field = ~np.isnan(seen.cut).any(axis=1)
    kinds = {"whole": rows["image_id"][is_whole], "cut_off": rows["image_id"][has_field & ~is_whole]}
    networks = measure_networks(load_predictions(artifact.out_of_fold_path, task), kinds, task)
    cut_off = seen.cut[has_field & ~is_whole]
    above, below = np.median(cut_off, axis=0) if len(cut_off) else (np.nan, np.nan)
    return {
        "data": task.dataset.name,
        "split": "out of fold",
        "images": len(rows),
        "lesions": rows["lesion_id"].nunique(),
        "crop": artifact.preparation.crop,
        "field": {
            "found": int(has_field.sum()),
            "whole": int(is_whole.sum()),
            "median_cut_above": float(above),
            "median_cut_below": float(below),
        },
        "clues": [asdict(clue) for clue in clues],
        "networks": [asdict(one) for one in networks],
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    add_dataset(parser)
    arguments = parser.parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        section = to_plain(study(artifact, arguments.dataset or artifact.task.dataset.folder))
        write_section(artifact.folder, SECTION, section)
    except (ArtifactMismatch, DatasetError, PredictionsError) as error:
        print(error, file=sys.stderr)
        return 2
    print(shortcut_table(section, artifact.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
