"""Text on the images behind a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.answer.patient import person_and_site
from dashboard.evaluation.studies.trust_wording import group_in_full, reliability_title
from dashboard.shell.formats import one_decimal, percent, plural
from data.tasks.task import Task
from model.measures.metrics import CALIBRATION_BINS

LABEL = "Images of"
REGION = "Images behind the figures"
PLACEHOLDER = "Choose, or click on the figure"
ORDER = "Wrong answers first, and among them the images whose reference {label} got the lowest probability."
HEATMAPS = "Heatmaps"
HEATMAPS_HELP = "Of the {label} that was answered, for the images that are shown. A heatmap proves nothing."
NO_HEATMAP = "no heatmap: the image gets no answer"
NO_PICTURES = "Without `DATASET_DIR`, the images themselves cannot be shown."
NO_FILE = "no readable file"
OPEN = "Open in Review"
CONFUSION_HINT = "Click a cell to see its images below."
RELIABILITY_HINT = "Click a dot to see its images below."
SUBGROUP_HINT = "Click a dot to see the images of its group below."
ROWS_HINT = "Choose a row of a table, or a dot of the chart, to see the images of that group below."
SCATTER_TITLE = "Every image: probability of its reference {label}, and {positive} probability"
SCATTER_NOTE = (
    "A dot is an image, in the colour of its reference {label}. Low dots are errors that the model was sure of; those "
    "of {positive} {labels} at the left were not flagged. Click a dot to see its image below."
)


def cell(true: str, predicted: str) -> str:
    """A cell of the confusion matrix."""
    return f"{true}, answered rightly" if true == predicted else f"{true} taken for {predicted}"


def bin_of(task: Task, question: str, number: int) -> str:
    """A bin of a reliability diagram."""
    low, high = one_decimal(number / CALIBRATION_BINS), one_decimal((number + 1) / CALIBRATION_BINS)
    return f"{reliability_title(task, question)}: {low.removesuffix(' %')} to {high}"


def subgroup(attribute: str, group: str) -> str:
    """A subgroup."""
    name = group_in_full({"attribute": attribute, "group": group})
    return name[:1].upper() + name[1:]


def show_images_of(name: str) -> str:
    """What the button in a row does, for a screen reader; it begins with what is written on it."""
    return f"{name}: show the images"


def counted(title: str, images: int) -> str:
    """An option: what it stands for, and how many images it has."""
    return f"{title} ({plural(images, 'image')})"


def found(task: Task, title: str, images: int, lesions: int) -> str:
    """What is shown."""
    subjects = plural(lesions, task.words.subject, task.words.subjects)
    return f"{title}: {plural(images, 'image')} of {subjects}"


def part(first: int, last: int, images: int) -> str:
    """Which of them a page shows."""
    return f"{first:,} to {last:,} of {images:,}"


def answer(task: Task, row: Mapping[str, Any]) -> tuple[str, str]:
    """Reference and answer of an image, and the probabilities."""
    named = f"{row['dx']}, answered {row['prediction']}"
    positive = f"{task.question.positive} {percent(row['p_positive'])}"
    return named, f"p({row['dx']}) {percent(row['p_reference'])} · {positive}"


def of_whom(row: Mapping[str, Any], facts: Sequence[str]) -> str:
    """Age, sex and site; nothing where the dataset states none of them of any image."""
    if not {"age", "sex", "localization"} & set(facts):
        return ""
    return person_and_site(row["age"], row["sex"], row["localization"])


def alternative(task: Task, row: Mapping[str, Any]) -> str:
    """For a screen reader."""
    return f"{task.words.image.capitalize()} {row['image_id']}, {answer(task, row)[0]}"
