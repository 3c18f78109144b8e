"""The glossary: every metric on a screen, defined once, with one plain sentence and its formula.

What differs between tasks stands in braces, see `data.tasks.task.Task.worded`; `metric_of` fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dashboard.shell.metrics import Metric, gain
from data.tasks.task import Task
from model.inference.calibration import population_name

_TEMPLATES: dict[str, Metric] = {
    "balanced_accuracy": Metric(
        "Balanced accuracy",
        "The share of images named correctly when every {label} counts the same, however rare; guessing finds one "
        "in {count}.",
        "mean over the {count} classes of TP / (TP + FN)",
        "share",
    ),
    "macro_auroc": Metric(
        "Macro AUROC",
        "How often an image of a {label} gets a higher probability for it than an image of another, averaged over "
        "the {count} {labels}; 0.5 is chance.",
        "mean over the classes of the area under the ROC curve, one against the rest",
        "area",
    ),
    "positive_auroc": Metric(
        "{Positive} AUROC",
        "How often a {positive} image gets a higher {positive} probability than a {negative} one; 0.5 is chance.",
        "area under the ROC curve of {score}",
        "area",
    ),
    "calibration_error": Metric(
        "Calibration error",
        "Expected calibration error (ECE): images are grouped by the probability of their most likely {label}; this is "
        "how far that probability and the share that was right lie apart, on average over the groups. Chance alone "
        "keeps it above 0 %: a perfectly calibrated model stays within the first figure beside it in half of all "
        "samples of this size, and within the second in 95 of 100.",
        "sum over 15 bins of (bin's share of images) x |mean probability - share that was right|",
        "error",
    ),
    "log_loss": Metric(
        "Log loss",
        "How little probability was given to what the image turned out to show; 0 is certain and right, lower is "
        "better.",
        "mean over images of -ln(probability of the reference), nats",
        "area",
    ),
    "brier_score": Metric(
        "Brier score",
        "How far the probabilities lie from what the image showed, squared: 0 is certain and right, 2 certain and "
        "wrong; lower is better.",
        "mean over images of the sum over classes of (probability - reference)^2",
        "area",
    ),
    "accuracy": Metric(
        "Accuracy",
        "The share of all images named correctly. Never a headline: always answering {commonest} scores high too.",
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
        "How often an image of the {label} gets a higher probability for it than an image of another; 0.5 is chance.",
        "area under the ROC curve, one against the rest",
        "area",
    ),
    "average_precision": Metric(
        "Average precision",
        "The PPV, averaged over the sensitivities that are reached from the highest threshold to the lowest; guessing "
        "gives the share of the images that are positive.",
        "sum over thresholds of (sensitivity added) x PPV",
        "area",
    ),
    "weighted_kappa": Metric(
        "Weighted kappa",
        "Agreement with the reference beyond chance, where a miss by two {labels} counts four times as much as a miss "
        "by one: 0 is chance, 1 is always.",
        "1 - sum of w x observed / sum of w x by chance, w = (reference - prediction)^2",
        "area",
    ),
    "grade_error": Metric(
        "Mean miss",
        "How many {labels} the prediction is away from the reference, on average: 0 is never.",
        "mean of |reference - prediction|",
        "area",
    ),
    # Calibration, sets, heatmaps, robustness and similar cases.
    "refused": Metric(
        "Refused",
        "The share of images that get no label, whatever the reason.",
        "images refused / images",
        "share",
    ),
    "at_the_edge": Metric(
        "Answered at the edge",
        "The share of images that get a label and a remark: they are unlike most of the training images.",
        "images at the edge / images",
        "share",
    ),
    "images_flagged": Metric(
        "Flagged",
        "The share of images whose {positive} probability reaches the threshold.",
        "images flagged / images",
        "share",
    ),
    "images_not_flagged": Metric(
        "Not flagged",
        "The share of images that got an answer below the threshold.",
        "images answered and not flagged / images",
        "share",
    ),
    "images_not_answered": Metric(
        "Not answered",
        "The share of images that were refused or could not be read.",
        "images without an answer / images",
        "share",
    ),
    "coverage": Metric(
        "Coverage",
        "The share of images whose set holds the reference {label}.",
        "images whose set holds it / images",
        "share",
    ),
    "mean_size": Metric(
        "Mean size",
        "How many {labels} a set holds on average; 1 says most, {classes} says nothing.",
        "{labels} in all sets / sets",
        "area",
    ),
    "energy_inside": Metric(
        "Energy inside",
        "The share of the heatmap that lies on the {subject}.",
        "sum of the map on the {subject} / sum of the map",
        "share",
    ),
    "pointing": Metric(
        "Pointing game",
        "The share of images whose hottest point lies on the {subject}.",
        "images whose maximum is inside the mask / images",
        "share",
    ),
    "iou": Metric(
        "IoU",
        "How well the hot area and the {subject} cover each other; 1 is the same area.",
        "intersection / union, at the threshold that is best on the other half of the {subjects}",
        "area",
    ),
    "insertion": Metric(
        "Insertion",
        "The probability while the image appears out of a blur, hottest part first; high is good.",
        "area under the curve of p(predicted class)",
        "area",
    ),
    "deletion": Metric(
        "Deletion",
        "The probability while the image is blurred, hottest part first; low is good.",
        "area under the curve of p(predicted class)",
        "area",
    ),
    "faithfulness": Metric(
        "Faithfulness",
        "Whether the probability depends on where the map is hot; a map that has nothing to do with the network is "
        "at 0.",
        "insertion - deletion",
        "area",
    ),
    "rank_correlation": Metric(
        "Ranks",
        "Whether the maps of the network and of the randomised one put the parts of the image in the same order of "
        "heat: 1 is the same order, 0 is no likeness.",
        "Spearman correlation over the cells of the maps as shown",
        "area",
    ),
    "absolute_rank_correlation": Metric(
        "Unsigned ranks",
        "Whether both maps put the parts of the image in the same order of how much they count, for the {label} or "
        "against it: 1 is the same order, 0 is no likeness.",
        "Spearman correlation over the cells of |map|",
        "area",
    ),
    "correlation": Metric(
        "Values",
        "How alike the maps of the network and of the randomised one look: 1 is the same, 0 is no likeness.",
        "Pearson correlation over the cells of the maps as shown",
        "area",
    ),
    "noise_change": Metric(
        "Change under noise",
        "How far the map changes at most when faint noise is added to the image; 0 is not at all.",
        "largest |map of the noisy image - map| / |map|",
        "share",
    ),
    "decision_flips": Metric(
        "Decisions that flip",
        "The share of images that are flagged as {positive} before or after the change, but not both.",
        "images whose flag changes / images",
        "error",
    ),
    "gravest_auroc": Metric(
        "{Gravest} AUROC",
        "How often a {gravest} gets a higher {gravest} probability than an image of another {label}; 0.5 is chance.",
        "area under the ROC curve of p({gravest_code})",
        "area",
    ),
    "precision": Metric(
        "Precision",
        "The share of the most similar {subjects} that have the {label} of the image.",
        "mean over the images of (similar {subjects} of the same {label} / similar {subjects})",
        "share",
    ),
    # Clinician and AI in saved cases, and drift.
    "before": Metric(
        "Agreement before",
        "The share of own reads, made before the AI's answer was shown, that name the AI's {standout}.",
        "own read = AI / cases with an own read",
        "share",
    ),
    "after": Metric(
        "Agreement after",
        "The share of decisions, made with the AI's answer in view, that name the AI's {standout}.",
        "decision = AI / all cases",
        "share",
    ),
    "switched": Metric(
        "Switch rate",
        "The share of own reads whose {label} was changed in the decision, in whatever direction.",
        "decision differs from own read / cases with an own read",
        "share",
    ),
    "flagged": Metric(
        "Flagged",
        "The share of cases whose {positive} probability reached the threshold saved with them.",
        "p({positive}) >= threshold / all cases",
        "share",
    ),
    "kappa": Metric(
        "Cohen's kappa",
        "Agreement beyond what two readers with these habits reach by chance: 0 is chance, 1 is always.",
        "(observed - by chance) / (1 - by chance)",
        "area",
    ),
    "stated": Metric(
        "Stated p({positive})",
        "The {positive} probability, averaged over the cases with a {reference} result.",
        "mean of p",
        "share",
    ),
    "observed": Metric(
        "{Positive} by {reference}",
        "The share of the cases with a {reference} result that was {positive}.",
        "{positive} / with a result",
        "share",
    ),
    "difference": Metric(
        "Observed - stated",
        "Above 0 the AI stated too little, below 0 too much, on average over these cases.",
        "{positive} share - mean of p, in percentage points",
        "error",
    ),
    "classes": Metric(
        "Shift of answers",
        "How many of 100 cases would need another {label} for the AI's answers to be spread as on the reference.",
        "half the sum over the {count} {labels} of |share here - share there|",
        "share",
    ),
    "distance": Metric(
        "Shift of distance",
        "The largest gap between the shares of images within a distance of the training images, here and there.",
        "Kolmogorov-Smirnov distance of the out-of-distribution score",
        "share",
    ),
    "blurred": Metric(
        "Blurred images", "The share of images with the remark that they are blurred.", "remark / all", "share"
    ),
}


def standout_meaning(task: Task, population: str) -> str:
    """Why `Task.standout` can be another than the most likely one, in one sentence.

    Args:
        task: what is told apart.
        population: whose class shares the probabilities hold for, as an answer or a calibration says it.
    """
    words = task.words
    if task.is_ordinal:
        return (
            f"The expected {words.label} is the mean of all {words.labels}, weighted by their probabilities; it need "
            "not be the most likely one."
        )
    return (
        f"The standout {words.label} is the one whose probability is highest for how common it is in "
        f"{population_name(population)}; it need not be the most likely one."
    )


METRIC_NAMES: tuple[str, ...] = tuple(_TEMPLATES)


@lru_cache(maxsize=256)
def metric_of(name: str, task: Task) -> Metric:
    """A metric in the words of a task.

    Args:
        name: one of `METRIC_NAMES`; any other is a KeyError.
        task: what is told apart.
    """
    template, gravest = _TEMPLATES[name], task.named(task.gravest).name
    more = {
        "score": task.score,
        "classes": str(len(task.classes)),
        "gravest": gravest.lower(),
        "Gravest": gravest,
        "gravest_code": task.gravest,
        "commonest": _commonest(task),
    }
    name, sentence, formula = (
        task.worded(text, **more) for text in (template.name, template.sentence, template.formula)
    )
    return Metric(name, sentence, formula, template.style)


def _commonest(task: Task) -> str:
    """`nv, the most common diagnosis,`."""
    code, what = task.dataset.commonest, f"the most common {task.words.label}"
    return f"{code}, {what}," if code else what


def accuracy_gain(clinical: Mapping[str, Any]) -> str:
    """The balanced accuracy that age and site gained on the locked test lesions: `+2.6 points (+0.3 to +5.2)`.

    Args:
        clinical: that section of the manifest.
    """
    name = "balanced_accuracy"
    measured = clinical["measured"]["gain"][name]
    value, bounds = gain(measured["value"], measured["low"], measured["high"], _TEMPLATES[name])
    return f"{value} ({bounds})"
