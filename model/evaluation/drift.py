"""Do recent cases look like what the model was trained on? Answers, distance from the training images, image quality.

Only cases of the model in use are compared, with what its manifest says of images of its dataset that no weight was
trained on. A shift is no fault by itself: a clinic sees others than the dataset shows. It says that the measured
sensitivity and specificity may not hold here. No shift found is no proof that they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from data.tasks.task import Task
from model.evaluation.use import NOTHING, Share, measure_shares
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    percentile_interval,
)
from model.measures.metrics import Array

# Days back from now; None for all.
WINDOWS: tuple[int | None, ...] = (30, 90, None)
# A convention of ours for both distances, which are shares: 10 of 100 cases would have to be others.
ACCEPTED_DISTANCE = 0.10
# With fewer lesions chance alone looks like a shift: of drawn samples without any, 2 to 3 in 100 exceed the accepted
# distance at 30 lesions, 7 at 20, 12 to 18 at 10 (`tests/model/evaluation/test_drift.py` repeats the first).
MIN_DRIFT_LESIONS = 30
BLURRED = "blurred"


@dataclass(frozen=True)
class Reference:
    """What an artifact's manifest says of images like the training images that no weight was trained on.

    Attributes:
        task: what the artifact tells apart.
        artifact_sha256: of the serving weights; distances of two artifacts cannot be compared.
        images, lesions: out of fold, behind `class_shares`.
        class_shares: (C,) shares of the predictions in the task's order; None where the manifest has none.
        ood_levels, ood_values: (K,) cumulative shares and the ood_score up to which they reach, of images that the
            gate accepts, as only these become cases; None where the manifest has none.
        blurred: share with the remark that they are blurred; None where the manifest has none.
    """

    task: Task
    artifact_sha256: str
    images: int
    lesions: int
    class_shares: Array | None
    ood_levels: Array | None
    ood_values: Array | None
    blurred: float | None


@dataclass(frozen=True)
class Shift:
    """How far cases lie from the reference.

    Attributes:
        estimate: a distance or a share in [0, 1] with its 95 % interval; NaN with fewer than `MIN_DRIFT_LESIONS`
            lesions, or without a reference.
        accepted: up to which it is no shift; NaN without a reference.
    """

    estimate: Estimate
    accepted: float

    @property
    def is_beyond(self) -> bool:
        """Whether the whole interval lies above the accepted value; False also where nothing can be said."""
        return self.estimate.low > self.accepted


@dataclass(frozen=True)
class Drift:
    """Cases of one window against the reference.

    Attributes:
        days: back from now; None for all.
        cases, lesions: how many.
        classes: total variation distance of the predictions' shares: half the sum of the absolute differences.
        distance: Kolmogorov-Smirnov distance of the ood_score, the largest gap of the cumulative shares.
        blurred: share with the remark; accepted is the reference's share.
        class_shares: of the predictions, in the task's order.
    """

    days: int | None
    cases: int
    lesions: int
    classes: Shift
    distance: Shift
    blurred: Shift
    class_shares: tuple[Share, ...]


def reference_of(manifest: Mapping[str, Any], task: Task) -> Reference:
    """The reference that a checked manifest holds of a model for a task.

    It is read from `out_of_fold_metrics.confusion`, and from `quality.ood_quantiles` (quantiles of the locked
    test images' ood_score at levels spaced evenly from 0 to 1) and `quality.blurred_share`, where `model.studies.gate`
    stored them.
    """
    held_out, quality = manifest.get("out_of_fold_metrics"), manifest["quality"]
    levels, values = _accepted_quantiles(quality)
    return Reference(
        task=task,
        artifact_sha256=manifest["files"]["model.tflite"]["sha256"],
        images=0 if held_out is None else held_out["images"],
        lesions=0 if held_out is None else held_out["lesions"],
        class_shares=None if held_out is None else _predicted_shares(np.asarray(held_out["confusion"], dtype=float)),
        ood_levels=levels,
        ood_values=values,
        blurred=quality.get("blurred_share"),
    )


def _predicted_shares(confusion: Array) -> Array:
    return confusion.sum(axis=0) / confusion.sum()


def _accepted_quantiles(quality: Mapping[str, Any]) -> tuple[Array | None, Array | None]:
    """Levels and quantiles up to the gate's limit, the levels stretched to end at 1."""
    if "ood_quantiles" not in quality:
        return None, None
    values = np.asarray(quality["ood_quantiles"], dtype=np.float64)
    levels = np.linspace(0, 1, len(values))
    is_accepted = values <= quality["limits"]["max_ood_score"]
    return levels[is_accepted] / levels[is_accepted][-1], values[is_accepted]


def measure_drift(
    table: pd.DataFrame, reference: Reference, now: datetime, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED
) -> tuple[Drift, ...]:
    """One `Drift` a window of `WINDOWS`, of the reference's model alone.

    Args:
        table: of `model.evaluation.use.use_table` for the reference's task; cases of other artifacts
            and of refused images are left out.
        reference: of the model in use.
        now: aware; the windows end here.
        resamples, seed: of the bootstrap by lesion.

    Raises:
        ValueError: fewer than one resample.
    """
    of_model = answered_by(table, reference)
    return tuple(_drift(days, since(of_model, days, now), reference, resamples, seed) for days in WINDOWS)


def answered_by(table: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """The rows that the reference's model answered."""
    return table[(table["artifact_sha256"] == reference.artifact_sha256) & ~table["is_refused"]]


def since(table: pd.DataFrame, days: int | None, now: datetime) -> pd.DataFrame:
    """The rows saved in the last `days` days before `now`; all for None."""
    return table if days is None else table[table["saved_at"] >= now - timedelta(days=days)]


def _drift(days: int | None, table: pd.DataFrame, reference: Reference, resamples: int, seed: int) -> Drift:
    weights = bootstrap_weights(table["lesion_id"].to_numpy(dtype=str), resamples, seed)
    predicted = [table["prediction"] == dx for dx in reference.task.codes]
    is_blurred = table["quality"].str.split("|").map(lambda remarks: BLURRED in remarks).astype(bool)
    *class_shares, blurred = measure_shares(
        table, [(is_hit, table["prediction"].notna()) for is_hit in (*predicted, is_blurred)]
    )
    return Drift(
        days=days,
        cases=len(table),
        lesions=table["lesion_id"].nunique(),
        classes=_class_shift(np.column_stack(predicted), table, reference, weights),
        distance=_distance_shift(table, reference, weights),
        blurred=Shift(
            blurred.estimate if _is_enough(table) else NOTHING,
            float("nan") if reference.blurred is None else reference.blurred,
        ),
        class_shares=tuple(class_shares),
    )


def _is_enough(table: pd.DataFrame) -> bool:
    return table["lesion_id"].nunique() >= MIN_DRIFT_LESIONS


def _class_shift(is_predicted: np.ndarray, table: pd.DataFrame, reference: Reference, weights: Weights) -> Shift:
    if reference.class_shares is None:
        return Shift(NOTHING, float("nan"))
    if not _is_enough(table):
        return Shift(NOTHING, ACCEPTED_DISTANCE)
    measured, drawn = _weighted_means(is_predicted, weights)
    gaps = [np.abs(shares - reference.class_shares).sum(axis=-1) / 2 for shares in (measured, drawn)]
    return Shift(_distance_estimate(float(gaps[0]), gaps[1]), ACCEPTED_DISTANCE)


def _distance_shift(table: pd.DataFrame, reference: Reference, weights: Weights) -> Shift:
    if reference.ood_levels is None or reference.ood_values is None:
        return Shift(NOTHING, float("nan"))
    if not _is_enough(table):
        return Shift(NOTHING, ACCEPTED_DISTANCE)
    is_below = table["ood_score"].to_numpy()[:, np.newaxis] <= reference.ood_values
    measured, drawn = _weighted_means(is_below, weights)
    gaps = [np.abs(shares - reference.ood_levels).max(axis=-1) for shares in (measured, drawn)]
    return Shift(_distance_estimate(float(gaps[0]), gaps[1]), ACCEPTED_DISTANCE)


def _weighted_means(values: np.ndarray, weights: Weights) -> tuple[Array, Array]:
    """Means of (N, K) values over the rows: (K,) as measured, and (B, K) of every bootstrap sample."""
    drawn = (weights @ values.astype(np.float32)).astype(np.float64) / weights.sum(axis=1, keepdims=True)
    return values.mean(axis=0, dtype=np.float64), drawn


def _distance_estimate(value: float, resampled: Array) -> Estimate:
    """A distance with its basic interval: noise only adds to a distance, so the percentile interval lies too high.

    Source:
        Davison & Hinkley 1997, section 5.2, doi:10.1017/CBO9780511802843.
    """
    low, high = percentile_interval(resampled)
    return Estimate(value, float(np.clip(2 * value - high, 0, value)), float(np.clip(2 * value - low, value, 1)))
