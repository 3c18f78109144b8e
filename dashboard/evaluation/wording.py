"""Text of the Evaluation page: titles, notes and what each figure is measured on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from dashboard.evaluation.tables import Reweighed
from dashboard.shell.formats import one_decimal, plural
from dashboard.shell.glossary import METRICS
from data.tasks.skin import SKIN, diagnosis

MALIGNANT = SKIN.question.key
# --- Evaluation ------------------------------------------------------------------------------------------------------

EVALUATION_TITLE = "Evaluation"
SUMMARY_METRICS = ("balanced_accuracy", "macro_auroc", "positive_auroc", "calibration_error", "accuracy")
RATES = ("sensitivity", "specificity", "ppv", "npv", "auroc")

ROC_TITLE = "ROC curves"
ROC_HELP = "Curves to draw: one diagnosis against the rest, their mean (macro), or malignant against benign."
ROC_NOTE = (
    "Legend: AUROC with its 95 % interval. Shaded: 95 % band of the sensitivity, bootstrap by lesion (up to three "
    "curves). Diamonds: stored operating points. Dot: the threshold set beside."
)
CONFUSION_TITLE = "Confusion matrix"
CONFUSION_MODES = {"shares": "% of row", "counts": "Images"}
CONFUSION_NOTE = "Row: reference diagnosis. Column: prediction. Colour: share of the row; the diagonal is sensitivity."
THRESHOLD_TITLE = "What a threshold does"
OPERATING_POINT_HELP = "Set the threshold to this stored operating point, which was chosen on out-of-fold predictions."
PREVALENCE_LABEL = "Prevalence elsewhere"
PER_CLASS_HEADING = "Each diagnosis against the rest"
PER_CLASS_TITLE = "Rates of the predicted diagnosis, with 95 % intervals by lesion bootstrap"
TRAINING_HEADING = "Training"
TRAINING_NOTE = (
    "One line a network; each is validated on the fold that it was not trained on. Training is measured on augmented "
    "images, its loss with label smoothing and without the losses on the lesion masks; validation on plain images. "
    "The two cannot be compared directly."
)


@dataclass(frozen=True)
class TrainingMeasure:
    """Title and axis of a training curve."""

    title: str
    axis: str


TRAINING_MEASURES: dict[str, TrainingMeasure] = {
    "loss": TrainingMeasure("Loss by epoch", "loss (cross-entropy, nats)"),
    "accuracy": TrainingMeasure("Accuracy by epoch", "accuracy (share)"),
    "auc": TrainingMeasure("AUC by epoch", "AUC (area)"),
}


def evaluated_model(name: str, version: str, images: int, lesions: int) -> str:
    """Which model was measured on what."""
    return (
        f"Model **{name} {version}** on **{test_data(images, lesions)}**. No image of these lesions was used for "
        "training, choosing or calibrating. Intervals: 95 %, bootstrap by lesion."
    )


def test_data(images: int, lesions: int) -> str:
    """The data of every figure of the page."""
    return f"locked test lesions of HAM10000, {plural(images, 'image')}, {plural(lesions, 'lesion')}"


def training_data(history: pd.DataFrame) -> str:
    """What the training curves show, and the phases in their order."""
    networks, epochs = history["fold"].nunique(), int(history["epoch"].max())
    sizes = history.drop_duplicates("phase")
    phases = " | ".join(f"{row.phase} {row.width} x {row.height} px" for row in sizes.itertuples())
    return (
        f"training and validation lesions of HAM10000, {plural(networks, 'network')} of {plural(epochs, 'epoch')}; "
        f"phases: {phases}"
    )


def question_name(question: str) -> str:
    """A decision that a threshold makes."""
    return "Malignant against benign" if question == MALIGNANT else f"{question} · {diagnosis(question).name}"


def question_noun(question: str, is_positive: bool) -> str:
    """What the positive and negative images of a decision are called."""
    if question == MALIGNANT:
        return "malignant" if is_positive else "benign"
    return question if is_positive else f"not {question}"


def threshold_help(question: str) -> str:
    """What moving the threshold does."""
    score = "p(mel) + p(bcc) + p(akiec)" if question == MALIGNANT else f"p({question})"
    return f"An image is flagged when {score} is at or above the threshold."


def prevalence_help(share: float) -> str:
    """What the second slider assumes."""
    return (
        f"In the test data {share:.1%} of the images are positive. Elsewhere fewer may be: PPV and NPV then change. "
        "This assumes that sensitivity and specificity stay the same, which holds only for a like mix of cases."
    )


def operating_point_button(target_sensitivity: float, threshold: float) -> str:
    """`finds 95 of 100: 18 %`."""
    return f"for {target_sensitivity * 100:.0f} % sensitivity: {threshold * 100:.1f} %"


def measure_name(measure: str, prevalence: float) -> str:
    """The row label of a measure of the threshold table; of a measured one, `prevalence` is NaN."""
    name = METRICS[measure].name
    return name if math.isnan(prevalence) else f"{name} at {one_decimal(prevalence)}"


def hits_of_n(question: str, measure: str, hits: float, n: float) -> str:
    """`190 of 200 malignant`: the counts behind a rate."""
    if math.isnan(n):
        return "from sensitivity, specificity"
    noun = {
        "sensitivity": question_noun(question, True),
        "specificity": question_noun(question, False),
        "ppv": "flagged",
        "npv": "not flagged",
        "accuracy": "images",
    }[measure]
    return f"{hits:,.0f} of {n:,.0f} {noun}"


def per_thousand(question: str, counts: Reweighed) -> str:
    """The threshold in natural numbers at the chosen prevalence."""
    noun = question_noun(question, True)
    return (
        f"Of 1,000 images at a prevalence of {counts.prevalence:.1%}: **{counts.flagged:,} flagged**, "
        f"{counts.found:,} of them {noun}; **{counts.missed:,} {noun} not flagged**."
    )
