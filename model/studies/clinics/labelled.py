"""Labelled images of a clinic: the table of labels, the files it names, and what the model says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import DatasetError
from data.datasets.tables import TableUnreadable, read_table
from data.tasks.task import Task
from model.analysis.analyzer import Analyzer
from model.batch.names import ImageNames
from model.batch.sources import find_images
from model.evaluation.predictions import Cohort
from model.images.rejection import ImageRejected
from model.inference.artifact import Artifact
from model.inference.calibration import Calibration, decide
from model.inference.processes import classifier_of_process, mapped
from model.measures.metrics import Array, Booleans, Indices, is_positive

# Why an image got no answer that is no issue of `model.analysis.quality`: its file could not be read.
UNREADABLE = "unreadable"
# Faults of a table or a folder that are named one by one.
MOST_NAMED = 10


@dataclass(frozen=True)
class Labelled:
    """N labelled images and what the model said of them.

    Attributes:
        image_ids, lesion_ids: (N,) str.
        dx_true: (N,) class indices; -1 where only the gravest class is known, and the image is not of it.
        refusals: (N,) why there is no answer, empty where there is one.
        probabilities: (N, C) float64 of all images whose file could be read, the others NaN.
    """

    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    dx_true: Indices
    refusals: NDArray[np.str_]
    probabilities: Array

    @property
    def is_answered(self) -> Booleans:
        return self.refusals == ""

    @property
    def has_all_labels(self) -> bool:
        return bool((self.dx_true >= 0).all())

    def part(self, is_kept: Booleans) -> Labelled:
        """Some of the images."""
        return replace(self, **{field.name: getattr(self, field.name)[is_kept] for field in fields(self)})

    def cohort(self, artifact: Artifact) -> Cohort:
        """The answered images and what the artifact decides of them; raises ValueError where a label is not known."""
        kept = self.part(self.is_answered)
        if not kept.has_all_labels:
            raise ValueError("expected the class of every image, received labels of the gravest class alone")
        prior, task = np.asarray(artifact.calibration.prior), artifact.task
        decided = decide(kept.probabilities, prior, task.is_ordinal)
        return Cohort(task, kept.image_ids, kept.lesion_ids, kept.dx_true, kept.probabilities, decided)

    def recalibrated(self, before: Calibration, after: Calibration) -> Labelled:
        """The same images with the probabilities that another calibration gives them."""
        return replace(self, probabilities=after.probabilities(before.logits(self.probabilities)))


def lesions_of(images: Labelled, is_counted: Booleans) -> int:
    """How many lesions the counted images, (N,) bool, show."""
    return len(np.unique(images.lesion_ids[is_counted]))


def read_labels(path: Path, task: Task) -> pd.DataFrame:
    """The table of labels, checked.

    Returns:
        One row an image: image_id and lesion_id (str; the image's own id where the table has none) and dx, which is
        empty for an image known only not to be of the gravest class.

    Raises:
        DatasetError: no table, no rows, a column missing, or rows at fault, the first of which are named.
    """
    gravest = task.named(task.gravest).name.lower()
    try:
        table = read_table(path, ("image_id", "image", "lesion_id", "dx", gravest))
    except (OSError, TableUnreadable) as error:
        raise DatasetError(f"expected a table of labels at {path}, could not read it ({error})") from error
    if "image_id" not in table.columns:
        table = table.rename(columns={"image": "image_id"})
    label = next((name for name in ("dx", gravest) if name in table.columns), None)
    if "image_id" not in table.columns or label is None:
        raise DatasetError(
            f"{path.name}: expected columns image_id, and dx or {gravest}; found {', '.join(table)}; "
            "lesion_id says which images belong together"
        )
    if table.empty:
        raise DatasetError(f"{path.name}: expected one row an image, found none")
    ids = table["image_id"].fillna("")
    dx = _codes(table[label], label, task)
    allowed = task.codes if label == "dx" else ("0", "1")
    faults = [
        (int(row) + 2, f"{column}: expected {expected}, received {table[column][row]}")
        for column, is_wrong, expected in (
            ("image_id", ids.eq(""), "an image_id"),
            ("image_id", ids.duplicated() & ids.ne(""), "each image once"),
            (label, dx.isna(), f"one of {', '.join(allowed)}"),
        )
        for row in table.index[is_wrong]
    ]
    _refuse([f"{path.name}, row {row}, {fault}" for row, fault in sorted(faults)])
    lesions = table["lesion_id"].fillna(ids) if "lesion_id" in table.columns else ids
    return pd.DataFrame({"image_id": ids, "lesion_id": lesions, "dx": dx}).reset_index(drop=True)


def _codes(cells: pd.Series, label: str, task: Task) -> pd.Series:
    """The code of each row, empty for an image that is not of the gravest class; None where a cell says neither."""
    if label == "dx":
        return cells.map(lambda text: None if pd.isna(text) else task.code_of(text)).astype(object)
    return cells.map({"1": task.gravest, "1.0": task.gravest, "0": "", "0.0": ""})


def files_of(folder: Path, image_ids: Sequence[str]) -> list[Path]:
    """The file of each image below a folder.

    Raises:
        DatasetError: there is no such folder, or images have no file, or two; the first of them are named.
    """
    try:
        names = ImageNames(find_images([folder]))
    except FileNotFoundError as error:
        raise DatasetError(str(error)) from error
    found = {image_id: names.named(image_id) for image_id in image_ids}
    _refuse(
        [
            f"expected one image file {image_id} in {folder}, found {f'{len(files)} of them' if files else 'none'}"
            for image_id, files in found.items()
            if len(files) != 1
        ]
    )
    return [Path(str(found[image_id][0])) for image_id in image_ids]


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        more = [f"and {len(faults) - MOST_NAMED:,} more"] if len(faults) > MOST_NAMED else []
        raise DatasetError("\n".join([*faults[:MOST_NAMED], *more]))


def score_images(labels: pd.DataFrame, paths: Sequence[Path], artifact: Artifact, processes: int) -> Labelled:
    """Ask the model about every image, with a progress bar; raises ArtifactMismatch as `load_artifact`."""
    answer = partial(_answer, artifact_folder=artifact.folder)
    answers = list(mapped(answer, paths, processes=processes, description="images asked about"))
    index = {"": -1, **{code: number for number, code in enumerate(artifact.task.codes)}}
    return Labelled(
        image_ids=labels["image_id"].to_numpy(dtype=str),
        lesion_ids=labels["lesion_id"].to_numpy(dtype=str),
        dx_true=labels["dx"].map(index).to_numpy(dtype=np.int64),
        refusals=np.array([refusal for refusal, _ in answers], dtype=str),
        probabilities=np.array([probabilities for _, probabilities in answers], dtype=np.float64),
    )


def _answer(path: Path, artifact_folder: Path) -> tuple[str, list[float]]:
    """Why an image is refused, or nothing, and its probabilities."""
    analyzer = _analyzer_of_process(artifact_folder)
    try:
        analysis = analyzer.run(path.read_bytes())
    except ImageRejected:
        return UNREADABLE, [float("nan")] * len(analyzer.artifact.task.classes)
    # Of a refused image as well: how it would have been answered.
    logits = analysis.output.logits.astype(np.float64)
    return analysis.quality.refusal or "", list(analyzer.artifact.calibration.probabilities(logits))


@cache
def _analyzer_of_process(artifact_folder: Path) -> Analyzer:
    return Analyzer(classifier_of_process(artifact_folder))


def predictions_table(images: Labelled, artifact: Artifact, fitting: Booleans | None = None) -> pd.DataFrame:
    """What the model said of each image, a row an image.

    Args:
        images: with the artifact's probabilities.
        artifact: that answered.
        fitting: (N,) whether the image is of the half that a recalibration was fitted on; None where there is none.

    Returns:
        image_id, lesion_id, dx (empty where the labels do not tell it), quality (`ok`, or why there is no answer),
        half (`fitted` or `measured`, empty without halves), and for answered images the probabilities by class code,
        the prediction and the probability of the question's positive side.
    """
    task, is_answered = artifact.task, images.is_answered
    shown = np.where(is_answered[:, np.newaxis], images.probabilities, np.nan)
    decided = decide(np.nan_to_num(shown), np.asarray(artifact.calibration.prior), task.is_ordinal)
    halves = "" if fitting is None else np.where(fitting, "fitted", "measured")
    table = pd.DataFrame(
        {
            "image_id": images.image_ids,
            "lesion_id": images.lesion_ids,
            "dx": np.array([*task.codes, ""])[images.dx_true],
            "quality": np.where(is_answered, "ok", images.refusals),
            "half": halves,
        }
    )
    table[list(task.codes)] = shown.round(7)
    table["prediction"] = np.where(is_answered, np.array(task.codes)[decided], "")
    return table.assign(**{task.question.column: shown[:, list(task.positives)].sum(axis=1).round(7)})


def sides(images: Labelled, task: Task) -> tuple[Booleans, Booleans]:
    """Which images are of the question's positive, and of its negative side, (N,) each."""
    is_of_side = is_positive(images.dx_true, task.positives)
    return is_of_side, ~is_of_side
