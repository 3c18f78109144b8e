"""Text of the Dataset and Evaluation pages and of every page's frame; one message for each error class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dashboard import cases_wording
from dashboard.cohort import CohortSize, Unit
from dashboard.formats import percent
from dashboard.identity import NotSignedIn, RoleMissing, SignInExpired
from dashboard.settings import SettingsError
from dashboard.thresholds import Reweighed
from data.diagnoses import DX_TYPES, diagnosis
from data.ham10000 import DatasetError
from model.artifact import ArtifactMismatch
from model.evaluation import MALIGNANT
from model.intervals import Estimate
from model.predictions import PredictionsError
from model.remote_failures import RemoteMismatch, RemoteUnavailable

APP_NAME = "LesionLens"
RESEARCH_USE = "Research use only. LesionLens advises, a person decides."

# --- Dataset ---------------------------------------------------------------------------------------------------------

DATASET_TITLE = "Dataset"
DATASET_SOURCE = (
    "Source: HAM10000, Tschandl, Rosendahl & Kittler, *Scientific Data* 2018;5:180161, doi:10.1038/sdata.2018.161; "
    "data doi:10.7910/DVN/DBW86T; licence CC BY-NC 4.0. Ages are rounded to 5 years. Sites, sexes and ages that the "
    'dataset does not state stay "unknown". A lesion counts once, in the group of its first image.'
)
UNIT_NAMES: dict[Unit, str] = {"images": "Images", "lesions": "Lesions"}
UNIT_HELP = "HAM10000 shows many lesions in several images. Counting lesions counts each lesion once."
SEX_NAMES = {"female": "Female", "male": "Male", "unknown": "Unknown"}
CONFIRMATION_NAMES = {dx_type: DX_TYPES[dx_type] for dx_type in ("histo", "confocal", "consensus", "follow_up")}
EMPTY_COHORT_TITLE = "No image matches these filters"
EMPTY_COHORT = "Widen the ages, or remove a diagnosis, site, sex or confirmation. **Reset** shows all images again."
DIAGNOSIS_CHART_HINT = "Select a bar to filter by that diagnosis; select it again to undo."
SITE_COLOUR_NOTE = "Number: count. Colour: share of the diagnosis (column) that lies at the site."
SHARE_GROUPS = {"age": "By age", "localization": "By site"}
INTERVAL_BY_LESION = "Bars: 95 % Wilson interval over lesions, because images of one lesion are not independent."
NO_DATASET_FOLDER = (
    "The images of the cohort appear here when `DATASET_DIR` names a HAM10000 folder (`python -m data.download` "
    "fetches one). The charts above need only the counts that come with LesionLens."
)


def cohort_headline(size: CohortSize) -> str:
    """`10,015 images · 7,470 lesions`."""
    return f"{plural(size.images, 'image')} · {plural(size.lesions, 'lesion')}"


def cohort_data(size: CohortSize, whole: CohortSize) -> str:
    """What a Dataset chart shows: the dataset, whether it is filtered, and n."""
    return f"HAM10000{'' if size == whole else ', filtered'}: {cohort_headline(size)}"


def plural(count: int, noun: str) -> str:
    """`1 image`, `10,015 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def image_caption(image_id: str, dx: str, dx_type: str, age: float, sex: str, localization: str) -> str:
    """The line under an image of the grid; an age that is NaN is `age unknown`."""
    years = "age unknown" if age != age else f"{age:.0f} years"
    person = "sex unknown" if sex == "unknown" else sex
    site = "site unknown" if localization == "unknown" else localization
    return f"**{dx}** · {DX_TYPES[dx_type].lower()}  \n{years}, {person}, {site}  \n{image_id}"


# --- Evaluation ------------------------------------------------------------------------------------------------------

EVALUATION_TITLE = "Evaluation"


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
    "malignant_auroc": Metric(
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
SUMMARY_METRICS = ("balanced_accuracy", "macro_auroc", "malignant_auroc", "calibration_error", "accuracy")
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


def measure_name(measure: str) -> str:
    """The row label of a measure of the threshold table."""
    rate, _, prevalence = measure.partition(" at prevalence ")
    name = METRICS[rate].name
    return f"{name} at {float(prevalence) * 100:.1f} %" if prevalence else name


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


# --- Errors ----------------------------------------------------------------------------------------------------------

ERROR_TITLES: dict[type[Exception], str] = {
    ArtifactMismatch: "The model's files cannot be used",
    PredictionsError: "The model's test predictions cannot be read",
    DatasetError: "The dataset folder cannot be read",
    RemoteUnavailable: "The model does not answer",
    RemoteMismatch: "The model that answered is not the one that belongs here",
    SettingsError: "A setting cannot be used",
    NotSignedIn: "You are not signed in",
    SignInExpired: "Your sign-in has ended",
    RoleMissing: "No role was given to you",
    **cases_wording.ERROR_TITLES,
}
STILL_WORKS: dict[type[Exception], str] = {
    ArtifactMismatch: "The Dataset page works without a model.",
    PredictionsError: "The other pages work without them.",
    DatasetError: "This page shows the counts that come with LesionLens instead.",
    RemoteUnavailable: "The image was not judged. Saved cases and the other pages work without the model.",
    RemoteMismatch: "The image was not judged. Saved cases and the other pages work without the model.",
    SettingsError: "",
    NotSignedIn: "",
    SignInExpired: "",
    RoleMissing: "",
    **cases_wording.STILL_WORKS,
}


def error_message(error: Exception) -> str:
    """Title, reason and what still works, for an error class that a user can meet."""
    return f"**{ERROR_TITLES[type(error)]}.** {error}. {STILL_WORKS[type(error)]}".strip()
