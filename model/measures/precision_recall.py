"""Precision-recall curves, the area below them (average precision), and both under bootstrap samples.

Between two points a precision-recall curve is no straight line, so that the area is a sum of steps: the precision at a
threshold counts for the sensitivity that it adds (Davis & Goadrich, ICML 2006, doi:10.1145/1143844.1143874).
"""

from __future__ import annotations

import numpy as np

from model.measures.areas import FEWEST_GROUPS
from model.measures.intervals import Estimate, Groups, Weights, cumulative_counts, estimate_of
from model.measures.metrics import Array, Booleans


def precision_recall_curve(is_positive: Booleans, score: Array) -> tuple[Array, Array, Array]:
    """Sensitivity and PPV at every threshold, from the highest, at which the fewest are called, to the lowest.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.

    Returns:
        sensitivity, ppv, threshold: (K,), one a distinct score; the sensitivity is NaN without positives.

    Raises:
        ValueError: lengths differ.
    """
    ones = np.ones((1, len(is_positive)), dtype=np.float32)
    ((true, false),) = cumulative_counts(is_positive, score, ones)
    sensitivity, ppv = _rates(true, false)
    return sensitivity[0], ppv[0], np.unique(score)[::-1]


def average_precision(is_positive: Booleans, score: Array) -> float:
    """Area below the precision-recall curve, in [0, 1]; that of chance is the share of positives. NaN without any.

    Raises:
        ValueError: lengths differ.
    """
    return float(weighted_average_precision(is_positive, score, np.ones((1, len(is_positive)), dtype=np.float32))[0])


def average_precision_estimate(is_positive: Booleans, score: Array, groups: Groups, weights: Weights) -> Estimate:
    """Average precision with its percentile interval of bootstrap samples by group.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        groups: (N,) group of each image.
        weights: (B, N), of `model.measures.intervals.bootstrap_weights`.

    Returns:
        The interval is NaN with fewer than `model.measures.areas.FEWEST_GROUPS` groups of positives or of negatives, as
        that of an area under a ROC curve.

    Raises:
        ValueError: lengths differ.
    """
    value = average_precision(is_positive, score)
    fewest = min(len(np.unique(groups[side])) for side in (is_positive, ~is_positive))
    if fewest < FEWEST_GROUPS:
        return Estimate(value, np.nan, np.nan)
    return estimate_of(value, weighted_average_precision(is_positive, score, weights))


def weighted_average_precision(is_positive: Booleans, score: Array, weights: Weights) -> Array:
    """Average precision of every bootstrap sample, (B,); NaN in samples without positives.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        weights: (B, N).

    Raises:
        ValueError: lengths differ.
    """
    areas = []
    for true, false in cumulative_counts(is_positive, score, weights):
        sensitivity, ppv = _rates(true, false)
        steps = np.diff(sensitivity, axis=1, prepend=0.0)
        # A sample has images of no call at all before its first; they add no sensitivity.
        areas.append(np.einsum("bk,bk->b", steps, np.nan_to_num(ppv)))
    return np.concatenate(areas)


def weighted_ppv_at(is_positive: Booleans, score: Array, weights: Weights, sensitivities: Array) -> Array:
    """PPV of every bootstrap sample at the highest threshold that reaches a sensitivity, for a band.

    Args:
        is_positive: (N,) bool, the reference.
        score: (N,), higher means more positive.
        weights: (B, N).
        sensitivities: (G,) above 0 and up to 1.

    Returns:
        (B, G) in [0, 1]; NaN in samples without positives.

    Raises:
        ValueError: lengths differ.
    """
    rows = []
    for true, false in cumulative_counts(is_positive, score, weights):
        sensitivity, ppv = _rates(true, false)
        for reached, precise in zip(sensitivity, ppv, strict=True):
            if np.isnan(reached).any():
                rows.append(np.full(len(sensitivities), np.nan))
            else:
                # 1e-9: sums of weights over their total may miss 1 by rounding.
                rows.append(precise[np.minimum(np.searchsorted(reached, sensitivities - 1e-9), len(precise) - 1)])
    return np.array(rows)


def _rates(true: Array, false: Array) -> tuple[Array, Array]:
    """Sensitivity and PPV, (B, K), at the thresholds of `cumulative_counts` without the one that calls nothing."""
    positives, called = true[:, -1:], true[:, 1:] + false[:, 1:]
    sensitivity = true[:, 1:] / np.where(positives > 0, positives, np.nan)
    return sensitivity, true[:, 1:] / np.where(called > 0, called, np.nan)
