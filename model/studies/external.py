r"""Measure a model on a labelled folder of other clinics, and keep the figures in its artifact.

    python -m model.studies.external --images data/raw/isic2017/locked/images \
        --labels data/raw/isic2017/locked/HAM10000_metadata.csv --name "ISIC 2017, locked part"
    python -m model.studies.external --images clinic/photos --labels clinic/labels.csv --name "Our clinic" --dry-run

The table of labels (commas, semicolons or tabs) has one row an image: `image_id`, the file's name with or without its
ending, and `dx`, a code of the task, or a column named after the gravest class (`melanoma`: 1 or 0) where nothing more
is known. `lesion_id` (which images belong together) and further columns are optional. Every image goes the
way of an upload, quality gate included, and is judged by the image alone. Nothing is chosen on these images.

Counts are end to end: flagged, not flagged, not answered. Writes an entry of the section `external` of the artifact's
manifest, in place of one of the same name, and prints it. Exit code 2, and a message, for a table or a folder that is
not what it should be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import DatasetError
from data.datasets.tables import TableUnreadable, read_table
from data.tasks.task import Task
from model.analysis.analyzer import Analyzer
from model.arguments import whole_number
from model.batch.names import ImageNames
from model.batch.sources import find_images
from model.evaluation.report import external_tables
from model.evaluation.results import to_plain
from model.images.rejection import ImageRejected
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.measured import MeasuredRate, Outcome, measured_rate
from model.inference.processes import classifier_of_process, mapped
from model.measures.areas import auroc_estimate
from model.measures.calibration import CalibrationError, calibration_error
from model.measures.intervals import Estimate, bootstrap_weights, estimate_of
from model.measures.metrics import Array, Booleans, Indices, is_positive, positive_probability

SECTION = "external"
# Why an image got no answer that is no issue of `model.analysis.quality`: its file could not be read.
UNREADABLE = "unreadable"

Group = Literal["positive", "gravest", "negative"]


@dataclass(frozen=True)
class PointResult:
    """One stored threshold on these images.

    Attributes:
        name, threshold: of the artifact's operating point.
        outcomes: by kind of image; only kinds that the labels know.
        answered: sensitivity and specificity among the answered images, by name.
    """

    name: str
    threshold: float
    outcomes: dict[Group, Outcome]
    answered: dict[str, MeasuredRate]


@dataclass(frozen=True)
class Labelled:
    """N labelled images and what the model said of them.

    Attributes:
        lesion_ids: (N,) str.
        dx_true: (N,) class indices; -1 where only the gravest class is known, and the image is not of it.
        refusals: (N,) why there is no answer, empty where there is one.
        probabilities: (N, C) float64 of all images whose file could be read, the others NaN.
    """

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


def read_labels(path: Path, task: Task) -> pd.DataFrame:
    """The table of labels, checked.

    Returns:
        One row an image: image_id and lesion_id (str; the image's own id where the table has none) and dx, which is
        empty for an image known only not to be of the gravest class.

    Raises:
        DatasetError: no table, no rows, a column missing, or a first row at fault, which is named.
    """
    gravest = task.named(task.gravest).name.lower()
    try:
        table = read_table(path, ("image_id", "lesion_id", "dx", gravest)).reset_index(drop=True)
    except (OSError, TableUnreadable) as error:
        raise DatasetError(f"expected a table of labels at {path}, could not read it ({error})") from error
    label = next((name for name in ("dx", gravest) if name in table.columns), None)
    if "image_id" not in table.columns or label is None:
        raise DatasetError(f"{path.name}: expected columns image_id, and dx or {gravest}; found {', '.join(table)}")
    if table.empty:
        raise DatasetError(f"{path.name}: expected one row an image, found none")
    allowed = task.codes if label == "dx" else ("0", "1", "0.0", "1.0")
    ids = table["image_id"].fillna("")
    for column, is_wrong, expected in (
        ("image_id", ids.eq(""), "an image_id"),
        ("image_id", ids.duplicated(), "each image once"),
        (label, ~table[label].isin(allowed), f"one of {', '.join(allowed)}"),
    ):
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            raise DatasetError(
                f"{path.name}, row {row + 2}, {column}: expected {expected}, received {table[column][row]}"
            )
    dx = table["dx"] if label == "dx" else pd.Series(np.where(table[label].astype(float) == 1, task.gravest, ""))
    lesions = table["lesion_id"].fillna(ids) if "lesion_id" in table.columns else ids
    return pd.DataFrame({"image_id": ids, "lesion_id": lesions, "dx": dx})


def files_of(folder: Path, image_ids: Sequence[str]) -> list[Path]:
    """The file of each image below a folder.

    Raises:
        DatasetError: there is no such folder, or an image has no file, or two.
    """
    try:
        names = ImageNames(find_images([folder]))
    except FileNotFoundError as error:
        raise DatasetError(str(error)) from error
    paths = []
    for image_id in image_ids:
        candidates = names.named(image_id)
        if len(candidates) != 1:
            many = f"{len(candidates)} of them" if candidates else "none"
            raise DatasetError(f"expected one image file {image_id} in {folder}, found {many}")
        paths.append(Path(str(candidates[0])))
    return paths


def score_images(labels: pd.DataFrame, paths: Sequence[Path], artifact: Artifact, processes: int) -> Labelled:
    """Ask the model about every image, with a progress bar; raises ArtifactMismatch as `load_artifact`."""
    answer = partial(_answer, artifact_folder=artifact.folder)
    answers = list(mapped(answer, paths, processes=processes, description=SECTION))
    index = {"": -1, **{code: number for number, code in enumerate(artifact.task.codes)}}
    return Labelled(
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


def measure(name: str, images: Labelled, artifact: Artifact) -> dict[str, Any]:
    """The entry of one source for the manifest, plain numbers and text.

    Args:
        name: of the source, as pages call it.
        images: at least one.
        artifact: whose thresholds and sets are measured.
    """
    task = artifact.task
    kinds = _kinds(images, task)
    p_positive = positive_probability(images.probabilities, task.positives)
    p_gravest = images.probabilities[:, task.index(task.gravest)]
    questions = {"gravest_auroc": (kinds["gravest"], p_gravest)}
    if images.has_all_labels:
        questions["positive_auroc"] = (kinds["positive"], p_positive)
    readable = images.refusals != UNREADABLE
    codes = [*task.codes, ""]
    return to_plain(
        {
            "name": name,
            "utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": f"{artifact.name} {artifact.version}",
            "weights_sha256": artifact.weights_sha256,
            "images": len(images.dx_true),
            "lesions": len(np.unique(images.lesion_ids)),
            "images_by_dx": {code: int((images.dx_true == codes.index(code)).sum()) for code in task.codes},
            "refused": [
                {"dx": code, "refused": asdict(measured_rate(~images.is_answered, is_kind, images.lesion_ids))}
                for code, is_kind in _by_class(images, task)
            ],
            **{
                f"{key}{suffix}": asdict(_auroc(is_of_side, score, is_kept, images.lesion_ids))
                for key, (is_of_side, score) in questions.items()
                for suffix, is_kept in (("", images.is_answered), ("_with_refused", readable))
            },
            "points": [
                asdict(_point(point.name, point.threshold, p_positive, kinds, images))
                for point in artifact.operating_points
            ],
            "sets": _sets(images, artifact),
            "calibration_error": asdict(_calibration(images)) if images.has_all_labels else None,
        }
    )


def _kinds(images: Labelled, task: Task) -> dict[Group, Booleans]:
    is_gravest = images.dx_true == task.index(task.gravest)
    if not images.has_all_labels:
        return {"gravest": is_gravest, "negative": ~is_gravest}
    is_of_side = is_positive(images.dx_true, task.positives)
    return {"positive": is_of_side, "gravest": is_gravest, "negative": ~is_of_side}


def _by_class(images: Labelled, task: Task) -> list[tuple[str, Booleans]]:
    """All images, then those of each class that has some."""
    classes = [(code, images.dx_true == index) for index, code in enumerate(task.codes)]
    return [("all", np.ones(len(images.dx_true), dtype=bool)), *((code, kind) for code, kind in classes if kind.any())]


def _auroc(is_of_side: Booleans, score: Array, is_kept: Booleans, groups: NDArray[np.str_]) -> Estimate:
    return auroc_estimate(is_of_side[is_kept], score[is_kept], groups[is_kept])


def _point(
    name: str,
    threshold: float,
    p_positive: Array,
    kinds: dict[Group, Booleans],
    images: Labelled,
) -> PointResult:
    is_flagged = images.is_answered & (p_positive >= threshold)
    fates = {
        "flagged": is_flagged,
        "not_flagged": images.is_answered & ~is_flagged,
        "not_answered": ~images.is_answered,
    }
    share = partial(measured_rate, groups=images.lesion_ids)
    outcomes = {
        kind: Outcome(**{fate: share(is_fate, is_kind) for fate, is_fate in fates.items()})
        for kind, is_kind in kinds.items()
    }
    positives = kinds.get("positive", kinds["gravest"])
    answered = {
        "sensitivity": share(is_flagged, positives & images.is_answered),
        "specificity": share(~is_flagged, kinds["negative"] & images.is_answered),
    }
    return PointResult(name, threshold, outcomes, answered)


def _sets(images: Labelled, artifact: Artifact) -> dict[str, Any]:
    """How often the answered images' sets hold the true class, by class, and how large they are."""
    is_answered, task = images.is_answered, artifact.task
    probabilities = images.probabilities[is_answered]
    contained = artifact.conformal.contains(probabilities)
    is_covered = np.zeros(len(is_answered), dtype=bool)
    is_covered[is_answered] = contained[np.arange(len(contained)), images.dx_true[is_answered]]
    sizes = np.zeros(len(is_answered))
    sizes[is_answered] = contained.sum(axis=1)
    weights = bootstrap_weights(images.lesion_ids)
    drawn = weights[:, is_answered].sum(axis=1, dtype=np.float64)
    mean_size = float(contained.sum(axis=1).mean()) if len(contained) else float("nan")
    return {
        "level": artifact.conformal.level,
        "mean_size": asdict(estimate_of(mean_size, weights @ sizes / np.where(drawn > 0, drawn, np.nan))),
        "coverage": [
            {"dx": code, "coverage": asdict(measured_rate(is_covered, is_kind & is_answered, images.lesion_ids))}
            for code, is_kind in _by_class(images, task)
            if code != "all" or images.has_all_labels
        ],
    }


def _calibration(images: Labelled) -> CalibrationError:
    kept = images.is_answered
    return calibration_error(images.dx_true[kept], images.probabilities[kept], images.lesion_ids[kept])


def with_entry(artifact: Artifact, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The section with an entry added, or in place of the one of the same name."""
    stored = artifact.manifest.get(SECTION, [])
    return [*(one for one in stored if one["name"] != entry["name"]), entry]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.studies.external",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder")
    parser.add_argument("--images", type=Path, required=True, help="folder of image files")
    parser.add_argument("--labels", type=Path, required=True, help="table of image_id and dx")
    parser.add_argument("--name", required=True, help="what pages call these images, such as a clinic and a year")
    parser.add_argument("--processes", type=whole_number(1), default=2, help="one network each")
    parser.add_argument("--dry-run", action="store_true", help="print the figures without keeping them")
    arguments = parser.parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        labels = read_labels(arguments.labels, artifact.task)
        paths = files_of(arguments.images, list(labels["image_id"]))
        entry = measure(arguments.name, score_images(labels, paths, artifact, arguments.processes), artifact)
        if not arguments.dry_run:
            write_section(arguments.artifact, SECTION, with_entry(artifact, entry))
    except (ArtifactMismatch, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    print(external_tables([entry], artifact.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
