"""Names of metrics, each with one plain sentence and its formula, and how an interval is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.shell.formats import percent
from model.measures.intervals import Estimate


@dataclass(frozen=True)
class Metric:
    """A metric as the screen names and explains it.

    Attributes:
        name: label.
        sentence: one plain sentence on what it says.
        formula: how it is computed.
        style: `share` in whole percents, `error` in percents with one decimal, `area` with two decimals.
    """

    name: str
    sentence: str
    formula: str
    style: Literal["share", "error", "area"]

    @property
    def tooltip(self) -> str:
        return f"{self.sentence}  \n*{self.formula}*"

    @property
    def plain_tooltip(self) -> str:
        """The same without markup, for a title attribute."""
        return f"{self.sentence} {self.formula}"

    def format(self, value: float) -> str:
        """The value as text; a dash where it cannot be said."""
        if math.isnan(value):
            return "–"
        if self.style == "area":
            return f"{value:.2f}"
        return percent(value) if self.style == "share" else f"{value * 100:.1f} %"


METRICS: dict[str, Metric] = {
    "balanced_accuracy": Metric(
        "Balanced accuracy",
        "The share of images named correctly when every diagnosis counts the same, however rare; guessing finds one "
        "in seven.",
        "mean over the seven classes of TP / (TP + FN)",
        "share",
    ),
    "macro_auroc": Metric(
        "Macro AUROC",
        "How often an image of a diagnosis gets a higher probability for it than an image of another, averaged over "
        "the seven diagnoses; 0.5 is chance.",
        "mean over the classes of the area under the ROC curve, one against the rest",
        "area",
    ),
    "positive_auroc": Metric(
        "Malignant AUROC",
        "How often a malignant image gets a higher malignant probability than a benign one; 0.5 is chance.",
        "area under the ROC curve of p(mel) + p(bcc) + p(akiec)",
        "area",
    ),
    "calibration_error": Metric(
        "Calibration error",
        "Expected calibration error (ECE): by how much the stated probability of the likeliest diagnosis misses how "
        "often it is right; 0 % is perfect.",
        "sum over 15 bins of (bin's share of images) x |mean probability - share that was right|",
        "error",
    ),
    "accuracy": Metric(
        "Accuracy",
        "The share of all images named correctly. Never a headline: always answering nv, the most common diagnosis, "
        "scores high too.",
        "correct images / all images",
        "share",
    ),
    "sensitivity": Metric(
        "Sensitivity", "Of the images that are positive, the share that is called.", "TP / (TP + FN)", "share"
    ),
    "specificity": Metric(
        "Specificity", "Of the images that are negative, the share that is not called.", "TN / (TN + FP)", "share"
    ),
    "ppv": Metric("PPV", "Of the images that are called, the share that is positive.", "TP / (TP + FP)", "share"),
    "npv": Metric("NPV", "Of the images that are not called, the share that is negative.", "TN / (TN + FN)", "share"),
    "auroc": Metric(
        "AUROC",
        "How often an image of the diagnosis gets a higher probability for it than an image of another; 0.5 is chance.",
        "area under the ROC curve, one against the rest",
        "area",
    ),
}


def interval(estimate: Estimate, metric: Metric, images: int) -> str:
    """`75 to 83 % · n 1,502`."""
    return f"{interval_range(estimate.low, estimate.high, metric)} · n {images:,}"


def interval_range(low: float, high: float, metric: Metric) -> str:
    """`75 to 83 %`, `0.91 to 0.95`; a dash where it cannot be said."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    if metric.style == "area":
        return f"{low:.2f} to {high:.2f}"
    return f"{metric.format(low).removesuffix(' %')} to {metric.format(high)}"


def gain(value: float, low: float, high: float, metric: Metric) -> tuple[str, str]:
    """What an addition gains and its interval, in points of a hundred for shares; nothing where it was not measured."""
    if math.isnan(value):
        return "", ""
    if metric.style == "area":
        return f"{value:+.3f}", f"{low:+.3f} to {high:+.3f}"
    return f"{value * 100:+.1f} points", f"{low * 100:+.1f} to {high * 100:+.1f}"


def accuracy_gain(clinical: Mapping[str, Any]) -> str:
    """The balanced accuracy that age and site gained on the locked test lesions: `+2.6 points (+0.3 to +5.2)`.

    Args:
        clinical: that section of the manifest.
    """
    name = "balanced_accuracy"
    measured = clinical["measured"]["gain"][name]
    value, bounds = gain(measured["value"], measured["low"], measured["high"], METRICS[name])
    return f"{value} ({bounds})"
