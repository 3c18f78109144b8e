"""What a model does with labelled images of a clinic, as an entry of the section `external` of its manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import Task
from model.evaluation.results import evaluate, to_plain
from model.inference.artifact import Artifact
from model.inference.measured import MeasuredRate, Outcome, measured_rate
from model.measures.areas import auroc_estimate
from model.measures.intervals import Estimate, bootstrap_weights, estimate_of
from model.measures.metrics import Array, Booleans, positive_probability
from model.studies.clinics.beside import beside_locked_test
from model.studies.clinics.labelled import UNREADABLE, Labelled, sides

SECTION = "external"

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
    points = [
        asdict(_point(point.name, point.threshold, p_positive, kinds, images)) for point in artifact.operating_points
    ]
    sets = _sets(images, artifact)
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
            "points": points,
            "sets": sets,
            **_every_metric(images, artifact, points, sets),
        }
    )


def _every_metric(
    images: Labelled, artifact: Artifact, points: list[dict[str, Any]], sets: dict[str, Any]
) -> dict[str, Any]:
    """What takes the class of every image: all metrics of the answered ones, and the same of the locked test."""
    if not images.has_all_labels:
        return {"calibration_error": None}
    evaluation = evaluate(images.cohort(artifact))
    rows = beside_locked_test(images, artifact, evaluation, points, sets)
    return {
        "calibration_error": asdict(evaluation.calibration_error),
        "metrics": asdict(evaluation),
        "beside": [asdict(row) for row in rows],
    }


def _kinds(images: Labelled, task: Task) -> dict[Group, Booleans]:
    is_gravest = images.dx_true == task.index(task.gravest)
    if not images.has_all_labels:
        return {"gravest": is_gravest, "negative": ~is_gravest}
    positive, negative = sides(images, task)
    return {"positive": positive, "gravest": is_gravest, "negative": negative}


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
