"""Yes/no questions asked of a cohort, and the tables of the Evaluation page: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.evaluation.studies.trust_tables import CHANCE
from data.tasks.task import Task
from model.evaluation.results import Evaluation
from model.measures.decisions import PerThousand, net_benefit, net_benefit_of_all, threshold_odds
from model.measures.intervals import Estimate
from model.measures.metrics import reweigh_ppv_npv
from model.measures.shares import ThresholdMetrics


@dataclass(frozen=True)
class Reweighed:
    """What a threshold would do where another share of the images is positive.

    Attributes:
        prevalence: that share, in [0, 1].
        ppv, npv: in [0, 1]; NaN where nothing would be called positive, or negative.
    """

    prevalence: float
    ppv: float
    npv: float


def reweighed(metrics: ThresholdMetrics, prevalence: float) -> Reweighed:
    """A threshold's predictive values at another prevalence.

    Assumes that sensitivity and specificity stay the same there; see `model.measures.metrics.reweigh_ppv_npv`.
    """
    return Reweighed(prevalence, *reweigh_ppv_npv(metrics.sensitivity.value, metrics.specificity.value, prevalence))


def threshold_frame(question: str, metrics: ThresholdMetrics, at_prevalence: Reweighed) -> pd.DataFrame:
    """The threshold table as numbers: measure, value, low, high, hits, n, prevalence, question, threshold.

    `prevalence` is NaN where a rate was measured; elsewhere the rate was computed for it, without interval and n.
    """
    counts = metrics.counts
    rows = [
        ("sensitivity", metrics.sensitivity, counts.true_positives, counts.true_positives + counts.false_negatives),
        ("specificity", metrics.specificity, counts.true_negatives, counts.true_negatives + counts.false_positives),
        ("ppv", metrics.ppv, counts.true_positives, counts.true_positives + counts.false_positives),
        ("npv", metrics.npv, counts.true_negatives, counts.true_negatives + counts.false_negatives),
        ("accuracy", metrics.accuracy, counts.true_positives + counts.true_negatives, counts.n),
    ]
    measured = pd.DataFrame(
        [(name, rate.value, rate.low, rate.high, hits, n) for name, rate, hits, n in rows],
        columns=["measure", "value", "low", "high", "hits", "n"],
    )
    computed = pd.DataFrame(
        {
            "measure": ["ppv", "npv"],
            "value": [at_prevalence.ppv, at_prevalence.npv],
            "prevalence": at_prevalence.prevalence,
        }
    )
    return pd.concat([measured, computed], ignore_index=True).assign(question=question, threshold=metrics.threshold)


def counts_frame(counts: PerThousand, prevalence: float) -> pd.DataFrame:
    """What becomes of 1,000 images, for download: outcome, value, low, high, prevalence."""
    rows = [(name, one.value, one.low, one.high, prevalence) for name, one in vars(counts).items()]
    return pd.DataFrame(rows, columns=["outcome", "value", "low", "high", "prevalence"])


def benefit_frame(rates: Sequence[ThresholdMetrics], prevalence: float) -> pd.DataFrame:
    """The decision curve, of 1,000 images: threshold, benefit, low, high, of_all, prevalence; one row a threshold.

    An unneeded action weighs what it does for who acts from the threshold on, see
    `model.measures.decisions.threshold_odds`.
    """
    rows = []
    for one in rates:
        odds = threshold_odds(one.threshold)
        benefit = net_benefit(one.sensitivity, one.specificity, prevalence, odds)
        shown = (benefit.value, benefit.low, benefit.high, net_benefit_of_all(prevalence, odds))
        rows.append((one.threshold, *(1000 * value for value in shown), prevalence))
    return pd.DataFrame(rows, columns=["threshold", "benefit", "low", "high", "of_all", "prevalence"])


def per_class_frame(task: Task, evaluation: Evaluation) -> pd.DataFrame:
    """The per-class table as numbers, for download: each rate with `_low` and `_high` beside it."""
    rates = ("sensitivity", "specificity", "ppv", "npv", "auroc")
    return pd.DataFrame(
        [
            {"dx": row.dx, "name": task.named(row.dx).name, "images": row.images, "lesions": row.lesions}
            | _columns({rate: getattr(row, rate) for rate in rates})
            for row in evaluation.per_class
        ]
    )


def summary_metrics(task: Task) -> tuple[str, ...]:
    """The headline metrics in their order; grades have a kappa and an error besides."""
    of_grades = ("weighted_kappa", "grade_error") if task.is_ordinal else ()
    return ("balanced_accuracy", *of_grades, "macro_auroc", "positive_auroc", "calibration_error", "accuracy")


def headlines(task: Task, measured: Mapping[str, Any]) -> Iterator[tuple[str, Task, Any]]:
    """The headline metrics in their order: name, the task asking the question that it is about, and what was measured.

    Args:
        task: what is told apart.
        measured: by name: an `Evaluation` as a mapping, or the section of a manifest.
    """
    for name in summary_metrics(task):
        yield name, task, measured[name]
        if name == "positive_auroc":
            for question, area in zip(task.further, measured.get("further_auroc") or (), strict=False):
                yield name, task.asking(question), area


def published(task: Task, name: str) -> str:
    """A measurement's name as downloaded files have it, where it is of the task's question or gravest class.

    `malignant_auroc`, `melanoma_auroc` and `benign_lesions` for what is `positive_auroc`, `gravest_auroc` and
    `negative_lesions` in manifests; any other name as it is.
    """
    question = task.question
    words = {
        "positive": question.key,
        "positive_auroc": f"{question.key}_auroc",
        "gravest_auroc": f"{task.named(task.gravest).name.lower()}_auroc",
        "positive_lesions": f"{question.positive}_lesions",
        "negative_lesions": f"{question.negative}_lesions",
    }
    ending = next((end for end in ("_low", "_high") if name.endswith(end)), "")
    measured = name.removesuffix(ending)
    return words.get(measured, measured).replace(" ", "_") + ending


def summary_frame(task: Task, evaluation: Evaluation) -> pd.DataFrame:
    """The headline metrics as numbers, for download: metric, value, low, high, images, lesions.

    The calibration error has no interval; beside it stands what chance alone gives: chance_median, chance_high.
    """
    shown = list(headlines(task, vars(evaluation)))
    estimates: Sequence[Estimate] = [estimate for *_, estimate in shown]
    return pd.DataFrame(
        {
            "metric": [published(asking, name) for name, asking, _ in shown],
            "value": [estimate.value for estimate in estimates],
            "low": [estimate.low for estimate in estimates],
            "high": [estimate.high for estimate in estimates],
            "images": evaluation.images,
            "lesions": evaluation.lesions,
            **{part: [getattr(estimate, part, math.nan) for estimate in estimates] for part in CHANCE},
        }
    )


def confusion_frame(task: Task, confusion: NDArray[np.int64]) -> pd.DataFrame:
    """The confusion matrix for download: one row a reference class, one column a prediction."""
    table = pd.DataFrame(confusion, columns=[f"predicted_{dx}" for dx in task.codes])
    table.insert(0, "dx", list(task.codes))
    return table


def _columns(estimates: dict[str, Estimate]) -> dict[str, float]:
    return {
        f"{name}{suffix}": getattr(estimate, part)
        for name, estimate in estimates.items()
        for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
