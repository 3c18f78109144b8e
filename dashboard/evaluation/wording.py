"""Text of the Evaluation page: titles, notes and what each figure is measured on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from dashboard.answer.cohort import described
from dashboard.shell.formats import one_decimal, plural
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import TOO_FEW, n_of, with_interval
from data.datasets.cohort import CohortFilter
from data.tasks.task import Task
from model.measures.areas import FEWEST_GROUPS
from model.measures.intervals import Estimate

# --- Evaluation ------------------------------------------------------------------------------------------------------

EVALUATION_TITLE = "Evaluation"
RATES = ("sensitivity", "specificity", "ppv", "npv", "auroc")

ROC_TITLE = "ROC curves"
PRECISION_RECALL_TITLE = "Precision-recall curves"
PRECISION_RECALL_NOTE = (
    "Legend: average precision with its 95 % interval. Shaded: 95 % band of the PPV, by {subject} (up to three "
    "curves). Dotted: what guessing gives, the share of the test images that are positive. PPV falls with "
    "the prevalence: where positives are rarer than in the test, the curves lie lower."
)
_CURVES_HELP = "Curves to draw: one {label} against the rest, their mean (macro), or {questions}."
ROC_NOTE = (
    "Legend: AUROC with its 95 % interval. Shaded: 95 % band of the sensitivity, by {subject} (up to three "
    "curves). Diamonds: stored operating points. Dot: the threshold set in Decisions."
)
CONFUSION_TITLE = "Confusion matrix"
CONFUSION_MODES = {"shares": "% of row", "counts": "Images"}
CONFUSION_NOTE = "Row: reference {label}. Column: {standout}. Colour: share of the row; the diagonal is sensitivity."
THRESHOLD_TITLE = "What a threshold does"
OPERATING_POINT_HELP = "Set the threshold to this stored operating point, which was chosen on out-of-fold predictions."
PREVALENCE_LABEL = "Prevalence"
PER_CLASS_HEADING = "Each {label} against the rest"
PER_CLASS_TITLE = "Rates of the {standout}, with 95 % intervals by {subject}"
_TRAINING_NOTE = (
    "One line a network; each is validated on the fold that it was not trained on. Training is measured on augmented "
    "images, its loss with label smoothing{masks}; validation on plain images. The two cannot be compared directly."
)
_WITHOUT_MASKS = " and without the losses on the {subject} masks"
_LOSSES_ON_MASKS = ("lesion_loss", "map_loss")


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


BACK_TO_DATASET = "Back to Dataset with this filter"
ALL_TEST_IMAGES = "All locked test {subjects}"
ONE_SIDE = (
    "The cohort has only {positive} or only {negative} {subjects}: what compares the two, such as an AUROC or PPV at "
    "another prevalence, cannot be said."
)
STORED_FOR_ALL = "What follows was measured on all locked test {subjects} and stored; the cohort does not change it."
_EMPTY_COHORT = "none. Widen the filter on Dataset, or measure all locked test {subjects}."


def evaluated_model(task: Task, name: str, version: str, images: int, lesions: int) -> str:
    """Which model was measured on what."""
    return (
        f"Model **{name} {version}** on **{test_data(task, images, lesions)}**. No image of these "
        f"{task.words.subjects} was used for training, choosing or calibrating. Intervals: 95 %, by "
        f"{task.words.subject}."
    )


def cohort(task: Task, wanted: CohortFilter, images: int, lesions: int, all_images: int) -> str:
    """Which locked test images a cohort has."""
    words = task.words
    n = (
        f"{plural(images, 'image')} of {plural(lesions, words.subject, words.subjects)}, out of {all_images:,} images"
        if images
        else task.worded(_EMPTY_COHORT)
    )
    return f"**Cohort from Dataset:** {described(task, wanted)}.  \n**Locked test {words.subjects} in it:** {n}"


def too_few_for_areas(task: Task) -> str:
    """Why some areas have no interval."""
    return (
        f"{TOO_FEW.capitalize()}: with fewer than {FEWEST_GROUPS} {task.words.subjects} of a {task.words.label}, or of "
        "the others, an AUROC has no interval. So few do not show how badly the worst of them are ranked."
    )


def test_data(task: Task, images: int, lesions: int) -> str:
    """The data of every figure of the page."""
    words = task.words
    subjects = plural(lesions, words.subject, words.subjects)
    return f"locked test {words.subjects} of {task.dataset.name}, {plural(images, 'image')}, {subjects}"


def agreement(task: Task, kappa: Estimate, error: Estimate, images: int) -> str:
    """How far the grades of the matrix agree, and by how many of them they miss: `Weighted kappa 0.91 (...)`."""
    told = [
        f"{metric.name.lower()} {with_interval(metric, one.value, one.low, one.high)}"
        for metric, one in ((metric_of("weighted_kappa", task), kappa), (metric_of("grade_error", task), error))
    ]
    return f"{told[0].capitalize()}; {told[1]} {task.words.labels}; {n_of(images)}."


def training_data(task: Task, history: pd.DataFrame) -> str:
    """What the training curves show, and the phases in their order."""
    networks, epochs = history["fold"].nunique(), int(history["epoch"].max())
    sizes = history.drop_duplicates("phase")
    phases = " | ".join(f"{row.phase} {row.width} x {row.height} px" for row in sizes.itertuples())
    return (
        f"training and validation {task.words.subjects} of {task.dataset.name}, {plural(networks, 'network')} of "
        f"{plural(epochs, 'epoch')}; phases: {phases}"
    )


def training_note(task: Task, history: pd.DataFrame) -> str:
    """How the two curves of a network were measured; of masks only where the history has losses on them."""
    has_masks = any(column in history for column in _LOSSES_ON_MASKS)
    return task.worded(_TRAINING_NOTE, masks=task.worded(_WITHOUT_MASKS) if has_masks else "")


def curves_help(task: Task) -> str:
    """Which curves there are."""
    asked = " or ".join(task.asking(question).worded("{positive} against {negative}") for question in task.questions)
    return task.worded(_CURVES_HELP, questions=asked)


def question_name(task: Task, question: str) -> str:
    """A decision that a threshold makes."""
    asked = task.question_of(question)
    if asked is not None:
        return task.asking(asked).worded("{Positive} against {negative}")
    return f"{question} · {task.named(question).name}"


def question_noun(task: Task, question: str, is_positive: bool) -> str:
    """What the positive and negative images of a decision are called."""
    asked = task.question_of(question)
    if asked is not None:
        return asked.positive if is_positive else asked.negative
    return question if is_positive else f"not {question}"


def threshold_help(task: Task, question: str) -> str:
    """What moving the threshold does."""
    asked = task.question_of(question)
    score = f"p({question})" if asked is None else task.asking(asked).score
    return f"An image is flagged when {score} is at or above the threshold."


def prevalence_help(share: float) -> str:
    """What the second slider assumes."""
    return (
        f"Of the locked test images {one_decimal(share)} are positive. Elsewhere fewer may be, and PPV and NPV change. "
        "This assumes that sensitivity and specificity stay the same, which holds only for a like mix of cases."
    )


def operating_point_button(target_sensitivity: float, threshold: float) -> str:
    """`finds 95 of 100: 18 %`."""
    return f"for {target_sensitivity * 100:.0f} % sensitivity: {threshold * 100:.1f} %"


def measure_name(task: Task, measure: str, prevalence: float) -> str:
    """The row label of a measure of the threshold table; of a measured one, `prevalence` is NaN."""
    name = metric_of(measure, task).name
    return name if math.isnan(prevalence) else f"{name} at {one_decimal(prevalence)}"


def hits_of_n(task: Task, question: str, measure: str, hits: float, n: float) -> str:
    """`190 of 200 malignant`: the counts behind a rate."""
    if math.isnan(n):
        return "computed"
    noun = {
        "sensitivity": question_noun(task, question, True),
        "specificity": question_noun(task, question, False),
        "ppv": "flagged",
        "npv": "not flagged",
        "accuracy": "images",
    }[measure]
    return f"{hits:,.0f} of {n:,.0f} {noun}"
