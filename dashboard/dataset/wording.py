"""Text of the Dataset page."""

from __future__ import annotations

from dashboard.answer.patient import person_and_site
from dashboard.dataset.cohort import CohortSize, Unit
from dashboard.shell.formats import plural
from data.datasets.ham10000 import DX_TYPES, METADATA_COLUMNS, METADATA_FILE
from data.tasks.task import Task

# --- Dataset ---------------------------------------------------------------------------------------------------------

DATASET_TITLE = "Dataset"
UNIT_HELP = "{dataset} shows many {subjects} in several images. Counting {subjects} counts each {subject} once."
CONFIRMATION_NAMES = {dx_type: DX_TYPES[dx_type] for dx_type in ("histo", "confocal", "consensus", "follow_up")}
EMPTY_COHORT_TITLE = "No image matches these filters"
EMPTY_COHORT = "Widen the ages, or remove a {label}, site, sex or confirmation. **Reset** shows all images again."
CLASS_CHART_HINT = "Select a bar to filter by that {label}; select it again to undo."
SITE_COLOUR_NOTE = "Number: count. Colour: share of the {label} (column) that lies at the site."
SHARE_GROUPS = {"age": "By age", "localization": "By site"}
INTERVAL_BY_SUBJECT = "Bars: 95 % Wilson interval over {subjects}, because images of one {subject} are not independent."
COUNTS_INSTEAD = "This page shows the counts that come with LesionLens instead."
_NO_FOLDER = "The images of the cohort appear here when `DATASET_DIR` names a {dataset} folder"
_COMMITTED = (
    " (`python -m data.download` fetches one). The charts above need only the counts that come with LesionLens."
)
_NO_COUNTS = (
    "**No counts of {dataset} come with LesionLens.** They are made of a folder that `DATASET_DIR` names: images and a "
    "table `{table}` with the columns {columns}, one row an image, `dx` one of {codes}."
)
_COUNTING = (
    'Sites, sexes and ages that the dataset does not state stay "unknown". A {subject} counts once, in the group of '
    "its first image."
)


def source(task: Task) -> str:
    """How the dataset is cited, and how it is counted."""
    cited = f"Source: {task.dataset.source} " if task.dataset.source else ""
    return cited + task.worded(_COUNTING)


def no_dataset_folder(task: Task) -> str:
    """What a folder would add to the committed counts."""
    return task.worded(_NO_FOLDER + _COMMITTED)


def no_counts(task: Task) -> str:
    """What stands in place of every chart where there is nothing to count."""
    columns = ", ".join(METADATA_COLUMNS)
    return task.worded(_NO_COUNTS, table=METADATA_FILE, columns=columns, codes=", ".join(task.codes))


def unit_noun(task: Task, unit: Unit) -> str:
    """What is counted, as the task calls it; the units themselves are columns of the counts."""
    return task.words.subjects if unit == "lesions" else unit


def share_axis(task: Task, unit: Unit) -> str:
    """What is divided: `share of the diagnosis' images`."""
    label = task.words.label
    owner = f"{label}'" if label.endswith("s") else f"{label}'s"
    return f"share of the {owner} {unit_noun(task, unit)}"


def share_title(task: Task, unit: Unit) -> str:
    """What the chart of the task's question shows."""
    return f"{task.worded('{Positive}')} share of {unit_noun(task, unit)}"


def cohort_headline(task: Task, size: CohortSize) -> str:
    """`10,015 images · 7,470 lesions`."""
    words = task.words
    return f"{plural(size.images, 'image')} · {plural(size.lesions, words.subject, words.subjects)}"


def cohort_data(task: Task, size: CohortSize, whole: CohortSize) -> str:
    """What a Dataset chart shows: the dataset, whether it is filtered, and n."""
    return f"{task.dataset.name}{'' if size == whole else ', filtered'}: {cohort_headline(task, size)}"


def image_caption(image_id: str, dx: str, dx_type: str, age: float, sex: str, localization: str) -> str:
    """The line under an image of the grid; an age that is NaN is `age unknown`."""
    return f"**{dx}** · {DX_TYPES[dx_type].lower()}  \n{person_and_site(age, sex, localization)}  \n{image_id}"
