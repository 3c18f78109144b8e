"""Text on calibration, prediction sets, heatmaps, robustness, subgroups and similar cases, for two pages.

A sentence that compares says "more" or "less" only where the interval leaves out 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.evaluation.studies.trust_tables import CHANCE, RETRIEVAL_MEAN, SET_ALL, TOP_CLASS
from dashboard.shell.formats import SEX_NAMES, percent, plural
from dashboard.shell.glossary import accuracy_gain, metric_of
from dashboard.shell.metrics import Metric, gain, n_of, with_chance, with_interval
from data.datasets.ham10000 import DX_TYPES
from data.tasks.known import TASKS
from data.tasks.task import Task
from model.evaluation.subgroups import MIN_LESIONS
from model.inference.conformal import ADAPTIVE, CLASS_CONDITIONAL, CONTIGUOUS, CONTIGUOUS_BY_CLASS, PRIOR_WEIGHTED
from model.measures.areas import FEWEST_GROUPS

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Study:
    """A study, as the Evaluation page and the model card show it.

    Attributes:
        heading: a few words.
        sentence: what it answers.
        command: measures it.
    """

    heading: str
    sentence: str
    command: str


# By the key in the manifest; braces as in `data.tasks.task.Task.worded`.
STUDIES: dict[str, Study] = {
    "reliability": Study(
        "Calibration",
        "Of the images that are given a probability of 30 %, do 30 % turn out that way? On the diagonal they do; below "
        "it, the model is too sure.",
        "python -m model.export",
    ),
    "conformal": Study(
        "Prediction sets",
        "Instead of the most likely {label} alone, a set names as many as it takes to hold the right one in a stated "
        "share of images. Where an image is flagged, the {positive} {labels} that raised the flag are in it. A {label} "
        "outside the set is not excluded.",
        "python -m model.export",
    ),
    "clinical": Study(
        "Age and body site",
        "The networks see the image alone. What is stated of the patient moves the probabilities of the {labels} "
        "within the {positive} and within the {negative} ones; the {positive} share stays, and with it every flag.",
        "python -m model.studies.clinical",
    ),
    "subgroups": Study(
        "Subgroups",
        "The same metrics in parts of the test data. Parts differ in their mix of {labels} as well, so a difference "
        "is not yet one of age, sex or site.",
        "python -m model.export",
    ),
    "robustness": Study(
        "Robustness",
        "Ink, rulers and hair are drawn onto the test images, light and camera are changed: how many decisions flip, "
        "though the {subject} is the same?",
        "python -m model.studies.robustness",
    ),
    "gate": Study(
        "What is refused",
        "An image that is no {shown} should get no label; {a_subject} should get one.",
        "python -m model.studies.gate",
    ),
    "external": Study(
        "Other clinics",
        "Labelled images that neither training nor choosing has seen, taken elsewhere. Counts are end to end: an image "
        "that got no answer was not found either. What holds at home need not hold there.",
        "python -m model.studies.external",
    ),
    "heatmaps": Study(
        "Heatmaps against {subject} masks",
        "Does the heatmap lie on the {subject} that people outlined, and does the score depend on where it is hot? A "
        "plain spot in the middle, which knows nothing of the image, is the baseline to beat. Networks that were "
        "trained with such outlines were taught to lie on them, so other tests follow.",
        "python -m model.studies.heatmaps",
    ),
    "retrieval": Study(
        "Similar cases",
        "How many of the most similar training {subjects} have the {label} of the image asked about?",
        "python -m model.export",
    ),
}

_TOP_CLASS_TITLE, _TOP_CLASS_AXIS = "The most likely {label}", "share that was right"
_POSITIVE_TITLE, _POSITIVE_AXIS = "{Positive} against {negative}", "share that was {positive}"
RELIABILITY_NOTE = "A dot is a bin of probabilities; the larger, the more images. Small dots may lie anywhere."
COVERAGE_TITLE = "Coverage by {label}"
COVERAGE_NOTE = "Tick: the share aimed at."
SET_TABLE_TITLE = "Coverage and size by {label}"
SIZES_TITLE = "How many {labels} a set holds"
TRIED_TITLE = "Ways to make sets that were tried"
FLIPS_TITLE = "Decisions that flip"
FLIPS_NOTE = "Blue: something drawn into the picture. Grey: how it was taken, stored or sent."
ROBUSTNESS_TABLE_TITLE = "What is left of the metrics"
RETRIEVAL_NOTE = "Tick: the same for {subjects} drawn at random from the training data."
SUBGROUP_RATE = "All groups on one scale"
SUBGROUP_TITLES = {
    "age": "By age (years)",
    "sex": "By sex",
    "site": "By site",
    "dx_type": "By how the {label} was made",
}
SET_METHODS = {
    CLASS_CONDITIONAL: "a threshold for each {label}, so that rare ones are covered as well",
    ADAPTIVE: "one threshold for all, so that the average {subject} is covered",
    CONTIGUOUS: "neighbours of the most likely {label} up to one threshold for all, so that the average {subject} is "
    "covered and no set has a gap",
    CONTIGUOUS_BY_CLASS: "neighbours of the most likely {label} up to a threshold for each, so that rare {labels} are "
    "covered as well and no set has a gap",
    PRIOR_WEIGHTED: "lower thresholds for rare {labels}, so that the average {subject} is covered and rare ones better "
    "than with one threshold",
}
WITHOUT_ARTEFACTS = "Light and camera are changed: how many decisions flip, though the {subject} is the same?"
HEATMAPS_WITHOUT_MASKS = "Heatmaps"
WITHOUT_MASKS = (
    "Does the score depend on where the heatmap is hot, and does the heatmap come from what the network has learned? A "
    "plain spot in the middle, which knows nothing of the image, is the baseline to beat. Where it lies is not "
    "measured: nobody has outlined what matters in the {images} of {dataset}."
)
NO_FACTS = (
    "The networks see the image alone. Nothing that is known of the patient moves the probabilities of the {labels}."
)
NO_FACTS_HEADING = "What is known of the patient"
NO_GROUPS = "{dataset} states neither age nor sex nor site of any image, so there are no parts of it to compare."
CLINICAL_TITLE = "With and without what is known of the patient"
CLINICAL_HEADERS = ("measure", "image alone", "with age and site", "gain, paired")
NOT_TRIED = "Nothing else was tried: a single fold leaves no images to try it on."
NOT_TRIED_ANEW = "Nothing else was tried: the sets are made as those of the model that this one derives from."
# What export calls the images that it chooses on (`model.training.export.sections`).
OUT_OF_FOLD = "out of fold"


def study_of(task: Task, key: str) -> Study:
    """A study of `STUDIES` in the words of a task."""
    section = STUDIES[key]
    heading, sentence = section.heading, section.sentence
    if key == "clinical" and not task.facts:
        heading, sentence = NO_FACTS_HEADING, NO_FACTS
    elif key == "robustness" and not task.artefacts:
        sentence = WITHOUT_ARTEFACTS
    elif key == "heatmaps" and not task.dataset.has_masks:
        heading, sentence = HEATMAPS_WITHOUT_MASKS, WITHOUT_MASKS
    return Study(task.worded(heading), task.worded(sentence), section.command)


def reliability_title(task: Task, question: str) -> str:
    """What a reliability diagram is about: the most likely class, or a question of the task."""
    return _asked(task, question).worded(_TOP_CLASS_TITLE if question == TOP_CLASS else _POSITIVE_TITLE)


def reliability_axis(task: Task, question: str) -> str:
    """What its observed share is a share of."""
    return _asked(task, question).worded(_TOP_CLASS_AXIS if question == TOP_CLASS else _POSITIVE_AXIS)


def _asked(task: Task, question: str) -> Task:
    asked = task.question_of(question)
    return task if asked is None else task.asking(asked)


def clinical_found(task: Task, section: Mapping[str, Any]) -> str:
    """What age and body site add on the locked test lesions, and whether that is more than chance."""
    measured = section["measured"]
    name = "balanced_accuracy"
    metric = metric_of(name, task)
    alone, informed = (
        with_interval(metric, *(measured[part][name][bound] for bound in ("value", "low", "high")))
        for part in ("image_alone", "with_facts")
    )
    return (
        f"{metric.name.lower()} {informed} with what {task.dataset.name} states of them, {alone} from the image alone; "
        f"gain {accuracy_gain(section)}, {n_of(measured['images'])} images."
    )


def clinical_gain(row: Row, metric: Metric) -> tuple[str, str]:
    """What the facts add and its interval, in points of a hundred for shares; nothing where it was not measured."""
    value, low, high = (row[f"gain{suffix}"] for suffix in ("", "_low", "_high"))
    return gain(value, low, high, metric)


def clinical_limits(task: Task, known: Mapping[str, int], images: int) -> str:
    """For how many images which fact was known, and what the terms may have learned beside medicine."""
    stated = ", ".join(f"{name} {percent(count / images)}" for name, count in known.items())
    return (
        f"Known: {stated} of the images. The terms hold for the clinics {task.dataset.name} comes from: who is seen "
        "there, and which places are photographed, may differ from yours."
    )


def not_measured(command: str) -> str:
    """The one sentence of a section without results."""
    return f"Not measured for this model yet; `{command}` measures it."


def missing(task: Task, key: str) -> str:
    """What is said of a section without results; nothing more where no model of the task could have any."""
    return "" if key == "clinical" and not task.facts else not_measured(STUDIES[key].command)


def chosen_data(task: Task, chosen_on: Row, folds: int) -> str:
    """The data of every choice: `out-of-fold predictions (5 folds), 8,500 images, 6,350 lesions`."""
    is_own = chosen_on["part"] == OUT_OF_FOLD
    name = f"out-of-fold predictions ({plural(folds, 'fold')})" if is_own else chosen_on["part"]
    return (
        f"{name}, {plural(chosen_on['images'], 'image')}, "
        f"{plural(chosen_on['lesions'], task.words.subject, task.words.subjects)}"
    )


def not_tried(chosen_on: Row) -> str:
    """Why there is one way of making sets alone."""
    return NOT_TRIED if chosen_on["part"] == OUT_OF_FOLD else NOT_TRIED_ANEW


def estimate_in(row: Row, name: str, metric: Metric, has_n: bool = False) -> str:
    """The estimate of a table's row, with its interval and, by choice, on how many images it stands."""
    bounds = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    return with_interval(metric, *bounds, row["images"] if has_n else None)


def set_purpose(task: Task, level: float) -> str:
    """What the sets promise."""
    return (
        f"Sets are made so that {percent(level)} of new {task.words.subjects} from this population have the reference "
        f"{task.words.label} in their set. That promises nothing for other populations."
    )


def set_method(task: Task, method: str) -> str:
    """Which way of making sets is used, and how the ways were compared."""
    return (
        f"In use: {method}, {task.worded(SET_METHODS[method])}. Each fold was tried with thresholds of the others; "
        "the thresholds in use come from all folds."
    )


def set_row_name(dx: str) -> str:
    return "all images" if dx == SET_ALL else dx


def retrieval_row_name(dx: str) -> str:
    return "mean" if dx == RETRIEVAL_MEAN else dx


def calibration_found(task: Task, row: Row) -> str:
    """The calibration error in a sentence.

    Args:
        task: what is told apart.
        row: images, and the estimate calibration_error.
    """
    median, high = (row.get(f"calibration_error_{part}", math.nan) for part in CHANCE)
    error = with_chance(metric_of("calibration_error", task), row["calibration_error"], median, high, row["images"])
    return (
        f"With the images grouped by the probability of their most likely {task.words.label}, that probability and the "
        f"share that was right lie {error} apart on average."
    )


def sets_found(task: Task, sets: pd.DataFrame, level: float) -> str:
    """What sets were measured to do, overall and where they do worst.

    Args:
        task: whose classes they hold.
        sets: of `dashboard.evaluation.studies.trust_tables.sets_frame`.
        level: share of subjects aimed at.
    """
    metric, overall = metric_of("coverage", task), sets.iloc[0]
    classes = sets[sets["dx"] != SET_ALL].dropna(subset=["coverage"])
    least = classes.loc[classes["coverage"].idxmin()]
    return (
        f"Made to hold the reference {task.words.label} of {percent(level)} of {task.words.subjects}, they held that "
        f"of {estimate_in(overall, 'coverage', metric, has_n=True)} of the images, with "
        f"{overall['mean_size']:.1f} {task.words.labels} on average; least for {task.named(least['dx']).name.lower()}, "
        f"{estimate_in(least, 'coverage', metric, has_n=True)}."
    )


def source_name(source: str) -> str:
    """A source of images in words: a folder by its name, and images of a known task as what they are."""
    for task in TASKS.values():
        if _plain(task.dataset.name) == _plain(source):
            return f"{task.words.images} ({task.dataset.name})"
    return source.replace("_", " ")


AT_THE_EDGE = "Images at the edge of what the model knows"


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def gate_found(task: Task, refusals: pd.DataFrame) -> str:
    """What share of each source of images is refused, in a sentence; of `trust_tables.gate_frame`."""
    metric = metric_of("refused", task)
    parts = [
        f"{source_name(row['source'])} {estimate_in(row, 'refused', metric, has_n=True)}"
        for _, row in refusals.iterrows()
    ]
    return f"Refused: {'; '.join(parts)}."


def retrieval_found(task: Task, retrieval: pd.DataFrame, count: int) -> str:
    """How many similar subjects have the image's class, in a sentence.

    Args:
        task: what is told apart.
        retrieval: of `dashboard.evaluation.studies.trust_tables.retrieval_frame`.
        count: similar subjects looked at.
    """
    metric, mean = metric_of("precision", task), retrieval.iloc[0]
    return (
        f"Of the {count} most similar training {task.words.subjects}, "
        f"{estimate_in(mean, 'precision', metric, has_n=True)} have the {task.words.label} of the image (mean of the "
        f"{task.words.labels}); at random, "
        f"{percent(mean['chance'])}."
    )


def flips_of(task: Task, threshold: float) -> str:
    """Which decision flips."""
    return (
        f"The decision is {task.question.positive} against {task.question.negative} at the default threshold of "
        f"{threshold * 100:.1f} %. One image for {task.a_subject}; the check that refuses unusable images is not "
        "asked."
    )


def robustness_found(task: Task, robustness: pd.DataFrame) -> str:
    """Which change turns over the most decisions, and which costs the most balanced accuracy.

    Args:
        task: what is told apart.
        robustness: of `dashboard.evaluation.studies.trust_tables.robustness_frame`.
    """
    before, changes = robustness.iloc[0], robustness.iloc[1:]
    most = changes.iloc[0]
    worst = changes.loc[changes["balanced_accuracy"].idxmin()]
    flips, accuracy = metric_of("decision_flips", task), metric_of("balanced_accuracy", task)
    return (
        f"Of {len(changes)} simulated changes, the most decisions flip under: {_lower(most['name'])}, "
        f"{estimate_in(most, 'decision_flips', flips, has_n=True)}. Balanced accuracy is lowest under: "
        f"{_lower(worst['name'])}, {estimate_in(worst, 'balanced_accuracy', accuracy)} instead of "
        f"{estimate_in(before, 'balanced_accuracy', accuracy)}."
    )


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def group_name(attribute: str, group: str) -> str:
    """A subgroup as the screen names it."""
    if attribute == "sex":
        return SEX_NAMES.get(group, group)
    return DX_TYPES.get(group, group) if attribute == "dx_type" else group


def group_in_full(row: Row) -> str:
    """The same where its attribute is not beside it: `age 30 to 44`, `site face`, `sex female`."""
    name = group_name(row["attribute"], row["group"])
    return f"{'confirmed by' if row['attribute'] == 'dx_type' else row['attribute']} {_lower(name)}"


def group_size(row: Row) -> str:
    """`n = 69 (15 / 41)`: images, malignant and benign lesions."""
    return f"{n_of(row['images'])} ({row['positive_lesions']:,} / {row['negative_lesions']:,})"


def subgroup_rates(task: Task, threshold: float) -> str:
    """What the columns are about."""
    return (
        f"Sensitivity and specificity: {task.question.positive} against {task.question.negative} at the default "
        f"threshold of {threshold * 100:.1f} %. Balanced accuracy is over the {task.words.labels} that a group has, "
        "and compares groups with the same ones only. "
        f"n: images ({task.question.positive} / {task.question.negative} {task.words.subjects}). The AUROC of fewer "
        f"than {FEWEST_GROUPS} {task.words.subjects} of either kind has no interval: too few to say."
    )


def too_small(task: Task, groups: pd.DataFrame) -> str:
    """Names the groups whose rates are left out; empty where there are none."""
    names = [group_in_full(row) for row in groups[groups["is_too_small"]].to_dict("records")]
    if not names:
        return ""
    return (
        f"Fewer than {MIN_LESIONS} {task.question.positive} or {MIN_LESIONS} {task.question.negative} "
        f"{task.words.subjects}, too few for every rate: "
        f"{', '.join(names)}."
    )


def lowest_and_highest(task: Task, groups: pd.DataFrame, name: str) -> str:
    """The subgroups at both ends of a rate, each with interval and n; says so where there are not two.

    Args:
        task: what is told apart.
        groups: of `dashboard.evaluation.studies.trust_tables.subgroup_frame`.
        name: one of `dashboard.evaluation.studies.trust_tables.SUBGROUP_RATES`.
    """
    metric = metric_of(name, task)
    # What has no interval is no end of a range.
    measured = groups.dropna(subset=[name, f"{name}_low"]).sort_values(name, kind="stable").to_dict("records")
    if len(measured) < 2:
        return f"{metric.name}: too few groups with enough {task.words.subjects} to compare."
    lowest, highest = (
        f"{group_in_full(row)}, {estimate_in(row, name, metric, has_n=True)}" for row in (measured[0], measured[-1])
    )
    return f"{metric.name}: lowest for {lowest}; highest for {highest}."
