"""Intervals by bootstrap of shares, areas, calibration errors and quantiles: what `interval_coverage` compares with.

The program had these before; in small samples they hold the true value less often than they say.
"""

from __future__ import annotations

import numpy as np

from model.measures.intervals import (
    LEVEL,
    Estimate,
    Groups,
    Weights,
    bootstrap_weights,
    estimate_of,
    percentile_interval,
    weighted_auroc,
)
from model.measures.metrics import (
    CALIBRATION_BINS,
    Array,
    Booleans,
    Indices,
    auroc,
    bin_of_probability,
    expected_calibration_error,
    macro_auroc,
    mean_of_finite,
)


def percentile_share(is_hit: Booleans, groups: Groups, resamples: int) -> Estimate:
    """Share of hits of (N,) images; the exact bound with the groups as trials where all are hits, or none is."""
    share = float(is_hit.mean())
    if share in (0.0, 1.0):
        bound = ((1 - LEVEL) / 2) ** (1 / len(np.unique(groups)))
        return Estimate(1.0, bound, 1.0) if share else Estimate(0.0, 0.0, 1 - bound)
    weights = bootstrap_weights(groups, resamples)
    return estimate_of(share, (weights @ is_hit.astype(np.float32)) / weights.sum(axis=1))


def percentile_area(is_positive: Booleans, score: Array, groups: Groups, resamples: int) -> Estimate:
    """Area under the ROC curve."""
    return estimate_of(
        auroc(is_positive, score), weighted_auroc(is_positive, score, bootstrap_weights(groups, resamples))
    )


def percentile_mean_area(dx_true: Indices, probabilities: Array, groups: Groups, resamples: int) -> Estimate:
    """Mean one-against-rest area of the classes."""
    weights = bootstrap_weights(groups, resamples)
    areas = [weighted_auroc(dx_true == index, column, weights) for index, column in enumerate(probabilities.T)]
    return estimate_of(macro_auroc(dx_true, probabilities), mean_of_finite(np.array(areas)))


def basic_calibration_error(dx_true: Indices, probabilities: Array, groups: Groups, resamples: int) -> Estimate:
    """Expected calibration error: noise only adds to it, so the excess is mirrored to the other side.

    Source:
        Davison & Hinkley 1997, section 5.2 (basic interval), doi:10.1017/CBO9780511802843.
    """
    value = expected_calibration_error(dx_true, probabilities)
    weights = bootstrap_weights(groups, resamples)
    low, high = percentile_interval(_weighted_calibration_error(dx_true, probabilities, weights))
    return Estimate(value, float(np.clip(2 * value - high, 0, value)), float(np.clip(2 * value - low, value, 1)))


def _weighted_calibration_error(dx_true: Indices, probabilities: Array, weights: Weights) -> Array:
    stated = probabilities.max(axis=1)
    gap = stated - (probabilities.argmax(axis=1) == dx_true)
    is_in_bin = bin_of_probability(stated, CALIBRATION_BINS)[:, np.newaxis] == np.arange(CALIBRATION_BINS)
    gaps = weights @ (is_in_bin * gap[:, np.newaxis]).astype(np.float32)
    return np.abs(gaps).sum(axis=1) / weights.sum(axis=1)


def percentile_quantile(values: Array, groups: Groups, share: float, resamples: int) -> Estimate:
    """The smallest value that at least a share of the values stay within."""
    order = np.argsort(values)
    ranked, weights = values[order], bootstrap_weights(groups, resamples)[:, order]
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    positions = (cumulative < share * cumulative[:, -1:]).sum(axis=1)
    value = ranked[int(np.ceil(share * len(ranked))) - 1]
    return estimate_of(float(value), ranked[np.minimum(positions, len(ranked) - 1)])
