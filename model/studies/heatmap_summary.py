"""What heatmaps were measured to be, summed up: means with 95 % intervals by lesion, and differences of methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from data.tasks.task import Task
from model.evaluation.report import text_of
from model.evaluation.results import to_plain
from model.explain.faithfulness import (
    IOU_THRESHOLDS,
    STEPS,
    cross_fitted_iou,
    energy_inside,
    halves_by_lesion,
    iou_by_threshold,
    points_inside,
)
from model.explain.maps import Heatmap
from model.explain.stability import NOISE_LEVELS, NOISE_SAMPLES
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
)
from model.measures.metrics import Array, Booleans, mean_of_finite
from model.measures.shares import share_estimates
from model.studies.held_out import STUDY_SEED

GRAD_CAM, PREDICTED_LESION, SPOT, NOISE = "Grad-CAM", "Predicted lesion", "Centred Gaussian", "Random"
KERAS_METHODS: tuple[str, ...] = ("Grad-CAM++", "Score-CAM")
OUT_OF_FOLD = "out of fold"
METHODS: tuple[str, ...] = (GRAD_CAM, PREDICTED_LESION, *KERAS_METHODS, SPOT, NOISE)


@dataclass(frozen=True)
class Place:
    """Where a heatmap lies, against the mask of its image; see `model.explain.faithfulness`.

    Attributes:
        energy_inside: in [0, 1]; NaN for a map of zeros.
        points_inside: whether its maximum lies on the lesion.
        ious: (T,) overlap at each of `IOU_THRESHOLDS`.
    """

    energy_inside: float
    points_inside: bool
    ious: Array


def place_of(heatmap: Heatmap, mask: Booleans) -> Place:
    """Compare a map, (height, width) float32 >= 0, with a mask of its size."""
    return Place(energy_inside(heatmap, mask), points_inside(heatmap, mask), iou_by_threshold(heatmap, mask))


@dataclass(frozen=True)
class HeatmapMeasures:
    """What one method's heatmap of one image was measured to be; see `model.explain`, `faithfulness` and `stability`.

    Attributes:
        method: one of `METHODS`.
        image_id, lesion_id: as in the dataset.
        has_evidence: whether any of it is above 0.
        place: None where the dataset has no masks.
        insertion, deletion: areas in [0, 1]; NaN where they were not measured.
        noise_change: its max-sensitivity; NaN for a map of zeros, and where it was not measured.
    """

    method: str
    image_id: str
    lesion_id: str
    has_evidence: bool
    place: Place | None
    insertion: float
    deletion: float
    noise_change: float = float("nan")


@dataclass(frozen=True)
class Measures:
    """The six measures over a set of images, or their differences between two methods; NaN where it cannot be said,
    as the first three of images without masks.

    Attributes:
        energy_inside: share of the map on the lesion, over the images with evidence.
        pointing: share of the images whose maximum lies on the lesion.
        iou: overlap at the threshold that is best on the other half of the lesions. Its interval holds these
            thresholds fixed.
        insertion, deletion: areas under the curves of the calibrated probability of the predicted class.
        faithfulness: insertion - deletion.
    """

    energy_inside: Estimate
    pointing: Estimate
    iou: Estimate
    insertion: Estimate
    deletion: Estimate
    faithfulness: Estimate


MEASURES: tuple[str, ...] = tuple(field.name for field in fields(Measures))


@dataclass(frozen=True)
class MethodResult:
    """One method on its images.

    Attributes:
        method: one of `METHODS`.
        images: how many were measured, one a lesion.
        without_evidence: how many of them had a map of zeros: left out of the energy, a miss when pointing, an overlap
            of 0.
        faithfulness_images: on how many insertion and deletion were measured.
        iou_thresholds: used on the first and on the second half of the lesions, shares of a map's maximum; NaN
            without masks.
        measures: the means.
    """

    method: str
    images: int
    without_evidence: int
    faithfulness_images: int
    iou_thresholds: tuple[float, float]
    measures: Measures


@dataclass(frozen=True)
class Comparison:
    """Mean differences `method` minus `other`, pair by pair, on the images that both were measured on."""

    method: str
    other: str
    images: int
    faithfulness_images: int
    measures: Measures


@dataclass(frozen=True)
class NoiseResult:
    """How far Grad-CAM changes at most under faint noise (`model.explain.stability.max_sensitivity`).

    Attributes:
        images: on how many it was measured, one a lesion.
        samples, levels: noisy copies of each, and the largest noise in levels of 255.
        change: mean over the images of the largest change, relative to the map.
    """

    images: int
    samples: int
    levels: int
    change: Estimate


@dataclass(frozen=True)
class HeatmapStudy:
    """Every method with its intervals, as it stands in the manifest.

    Attributes:
        images, lesions: how many were measured by any method.
        seed: of the draw of images.
        steps: of insertion and deletion.
        resamples, bootstrap_seed: of the intervals.
        methods: one result each.
        comparisons: Grad-CAM with each other method; none where it was not measured.
        noise: None where it was not measured.
    """

    images: int
    lesions: int
    seed: int
    steps: int
    resamples: int
    bootstrap_seed: int
    methods: tuple[MethodResult, ...]
    comparisons: tuple[Comparison, ...]
    noise: NoiseResult | None


def summarise(measured: Sequence[HeatmapMeasures]) -> HeatmapStudy:
    """Means with intervals of every method, and Grad-CAM compared with each other method.

    Args:
        measured: of any number of methods and images, each pair once; at least two lesions a method.

    Raises:
        ValueError: a method with fewer than two lesions.
    """
    methods = list(dict.fromkeys(one.method for one in measured))
    tables, thresholds = {}, {}
    for method in methods:
        tables[method], thresholds[method] = _table_of([one for one in measured if one.method == method])
    others = [method for method in methods if method != GRAD_CAM] if GRAD_CAM in methods else []
    return HeatmapStudy(
        images=len({one.image_id for one in measured}),
        lesions=len({one.lesion_id for one in measured}),
        seed=STUDY_SEED,
        steps=STEPS,
        resamples=RESAMPLES,
        bootstrap_seed=BOOTSTRAP_SEED,
        methods=tuple(_result_of(method, tables[method], thresholds[method]) for method in methods),
        comparisons=tuple(_compare(GRAD_CAM, other, tables[GRAD_CAM], tables[other]) for other in others),
        noise=_noise_result([one for one in measured if np.isfinite(one.noise_change)]),
    )


def _noise_result(measured: Sequence[HeatmapMeasures]) -> NoiseResult | None:
    if not measured:
        return None
    weights = bootstrap_weights(np.array([one.lesion_id for one in measured]))
    change = mean_estimate(np.array([one.noise_change for one in measured]), weights)
    return NoiseResult(len(measured), NOISE_SAMPLES, NOISE_LEVELS, change)


def _table_of(measured: Sequence[HeatmapMeasures]) -> tuple[pd.DataFrame, tuple[float, float]]:
    """One row an image, indexed by image_id, a column for each of `Measures`; and the thresholds of the overlap."""
    lesion_ids = np.array([one.lesion_id for one in measured])
    table = pd.DataFrame(
        {
            "lesion_id": lesion_ids,
            "has_evidence": [one.has_evidence for one in measured],
            "insertion": [one.insertion for one in measured],
            "deletion": [one.deletion for one in measured],
            "faithfulness": [one.insertion - one.deletion for one in measured],
        },
        index=[one.image_id for one in measured],
    )
    places = [one.place for one in measured if one.place is not None]
    if len(places) < len(measured):
        return table.assign(energy_inside=math.nan, pointing=math.nan, iou=math.nan), (math.nan, math.nan)
    ious, (on_first, on_second) = cross_fitted_iou(
        np.array([one.ious for one in places]), halves_by_lesion(lesion_ids, STUDY_SEED)
    )
    placed = table.assign(
        energy_inside=[one.energy_inside for one in places],
        pointing=[float(one.points_inside) for one in places],
        iou=ious,
    )
    return placed, (float(IOU_THRESHOLDS[on_first]), float(IOU_THRESHOLDS[on_second]))


def _result_of(method: str, table: pd.DataFrame, thresholds: tuple[float, float]) -> MethodResult:
    is_pointing, is_placed = table[["pointing"]].to_numpy() == 1, table[["pointing"]].notna().to_numpy()
    lesion_ids = table["lesion_id"].to_numpy(dtype=str)
    weights = bootstrap_weights(lesion_ids)
    # A share, so that a method that never misses still gets an interval.
    (pointing,) = share_estimates(is_pointing, is_placed, lesion_ids)
    return MethodResult(
        method=method,
        images=len(table),
        without_evidence=int((~table["has_evidence"]).sum()),
        faithfulness_images=int(table["faithfulness"].notna().sum()),
        iou_thresholds=thresholds,
        measures=replace(_means(table, weights), pointing=pointing),
    )


def _compare(method: str, other: str, table: pd.DataFrame, other_table: pd.DataFrame) -> Comparison:
    shared = table.index.intersection(other_table.index)
    differences = table.loc[shared, list(MEASURES)] - other_table.loc[shared, list(MEASURES)]
    weights = bootstrap_weights(table.loc[shared, "lesion_id"].to_numpy(dtype=str))
    return Comparison(
        method=method,
        other=other,
        images=len(shared),
        faithfulness_images=int(differences["faithfulness"].notna().sum()),
        measures=_means(differences, weights),
    )


def _means(table: pd.DataFrame, weights: Weights) -> Measures:
    return Measures(**{name: mean_estimate(table[name].to_numpy(dtype=np.float64), weights) for name in MEASURES})


def mean_estimate(values: Array, weights: Weights) -> Estimate:
    """Mean of the values that can be said, with its interval.

    Args:
        values: (N,), NaN where it cannot be said; those are left out.
        weights: (B, N) of `bootstrap_weights`.

    Returns:
        The mean, in the values' unit; NaN where there is no value.
    """
    is_finite = np.isfinite(values)
    counted = weights @ is_finite.astype(np.float64)
    resampled = weights @ np.where(is_finite, values, 0.0) / np.where(counted > 0, counted, np.nan)
    return estimate_of(float(mean_of_finite(values)), resampled)


def study_to_dict(study: HeatmapStudy, task: Task) -> dict[str, Any]:
    """A study as the manifest holds it: plain numbers, text, lists and dicts, with None for NaN."""
    return {"data": task.dataset.name, "split": OUT_OF_FOLD, **to_plain(asdict(study))}


def format_report(study: HeatmapStudy, title: str, task: Task) -> str:
    """Both tables as text; a mean is followed by its 95 % interval, `-` stands for what cannot be said."""
    subjects = task.words.subjects
    heading = [
        f"{title}: heatmaps of the predicted class, {study.images:,} images out of fold of {study.lesions:,} "
        f"{subjects}, the classes in turn",
        f"Intervals: {study.resamples:,} bootstrap samples of {subjects}, seed {study.bootstrap_seed}",
    ]
    if not task.dataset.has_masks:
        heading.append(f"Where they lie is not measured: {task.dataset.name} has no masks.")
    methods = [
        _line(
            f"{one.method} ({one.without_evidence} without evidence)", one.images, one.faithfulness_images, one.measures
        )
        for one in study.methods
    ]
    comparisons = [
        _line(f"{one.method} minus {one.other}", one.images, one.faithfulness_images, one.measures)
        for one in study.comparisons
    ]
    lines = [*heading, "", _header("Method"), *methods]
    return "\n".join([*lines, "", _header("Paired difference"), *comparisons] if comparisons else lines)


def _header(first: str) -> str:
    names = "".join(f"{name.replace('_', ' '):>27}" for name in MEASURES)
    return f"{first:<40}{'images':>8}{'faithful':>10}{names}"


def _line(name: str, images: int, faithfulness_images: int, measures: Measures) -> str:
    texts = "".join(f"{text_of(getattr(measures, measure)):>27}" for measure in MEASURES)
    return f"{name:<40}{images:>8,}{faithfulness_images:>10,}{texts}"
