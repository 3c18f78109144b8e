"""Text of the Dataset page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.answer.patient import person_and_site
from dashboard.dataset.cohort import CohortSize, Unit
from dashboard.shell.formats import plural
from data.datasets.appearance import Colour
from data.datasets.ham10000 import DX_TYPES, METADATA_COLUMNS, METADATA_FILE, UNKNOWN
from data.tasks.task import Task

# --- Dataset ---------------------------------------------------------------------------------------------------------

DATASET_TITLE = "Dataset"
UNIT_HELP = "{dataset} shows many {subjects} in several images. Counting {subjects} counts each {subject} once."
CONFIRMATION_NAMES = {
    dx_type: DX_TYPES[dx_type] for dx_type in ("histo", "confocal", "consensus", "follow_up", "unknown")
}
EMPTY_COHORT_TITLE = "No image matches these filters"
_EMPTY_COHORT = "{widen}. **Reset** shows all images again."
CLASS_CHART_HINT = "Select a bar to filter by that {label}; select it again to undo."
SITE_COLOUR_NOTE = "Number: count. Colour: share of the {label} (column) that lies at the site."
SELECTION_HINT = "Select a bar to filter by it, or several with the box in the bar above the chart."
BODY_HINT = (
    "Select a number to filter by that site; select it again to undo. Darker: more. Sites on both sides count together."
)
IMAGES_PER_LESION_TITLE = "Images of {a_subject}"
IMAGES_PER_LESION_NOTE = "Each {subject} counts once, by how many images the whole dataset has of it."
OUTLINE_LABEL = "Outline of the {subject}"
SAME_LESION = "Other images of this {subject}"
MORE_LIKE_THIS = "Training {subjects} that the network finds most like it"
NOTHING_LIKE_IT = "The model gives this image no answer, so nothing can be compared with it."
MAP_TITLE = "Training images as the network sees them"
MAP_NOTE = (
    "Near points look alike to the network, which need not be so to a person. First two principal components of its "
    "embedding."
)
MAP_HINT = " Select a point to open its image."
HOVER_HINT = "Rest on a point to see its image here."
MAP_EMPTY = "No training image is in the cohort."
MEASURE = "What is measured"
MIDDLE_NOTE = "Dot: half of the images have at most so much. Bar: the middle half of the images."


@dataclass(frozen=True)
class Measure:
    """What was measured of every image; braces as in `data.tasks.task.Task.worded`.

    Attributes:
        name: for a choice.
        title: of the chart.
        axis: with its unit.
        number: how it is written, as d3 formats numbers.
        note: what it says, and what not.
    """

    name: str
    title: str
    axis: str
    number: str
    note: str


# By the column of the table, see `data.datasets.appearance`.
MEASURES: dict[str, Measure] = {
    "area": Measure(
        "Size",
        "Size of the {subject} in the image",
        "{subject}, share of the image",
        ".0%",
        "How much of an image {a_subject} fills depends on the lens and the framing as well; nothing in the dataset "
        "tells millimetres.",
    ),
    "brightness": Measure(
        "Brightness",
        "Brightness of the image",
        "mean grey level of what is lit, of 255",
        ".0f",
        "Black surroundings are left out. Light and exposure differ between cameras.",
    ),
    "sharpness": Measure(
        "Sharpness",
        "Sharpness of the image",
        "standard deviation of the Laplacian, grey levels",
        ".1f",
        "Low where an image is blurred, and also where it shows little detail.",
    ),
    "lit": Measure(
        "Field",
        "How much of the image is lit",
        "lit, share of the image",
        ".0%",
        "The rest is the black around what the camera sees. Clinics frame their images differently, and differ in "
        "their {labels}: a network could learn the frame instead of the {subject}.",
    ),
    "kilobytes": Measure(
        "File",
        "Size of the file",
        "size of the file, kB",
        ".1f",
        "Of the copies that were measured: fine detail takes space, and so do noise and another way of compressing.",
    ),
}


@dataclass(frozen=True)
class Colours:
    """Words for the colours of the parts that were measured; braces as above.

    Attributes:
        title: of the table.
        columns: over the strip of each part.
        spoken: the same for a screen reader, where it stands alone.
        note: what the strips are.
    """

    title: str
    columns: tuple[str, ...]
    spoken: tuple[str, ...]
    note: str


_CAMERAS = "Cameras differ in light and white balance, so a colour tells of the dataset as much as of the {around}."
COLOURS_OF_SUBJECT = Colours(
    "Colour of the {subject} and around it",
    ("{subject}", "around it"),
    ("{subject}", "around the {subject}"),
    "From the fifth of the images with the darkest {subjects} to that with the lightest; each field is the mean of its "
    f"fifth. {_CAMERAS}",
)
COLOURS_OF_IMAGE = Colours(
    "Colour of the image",
    ("image",),
    ("image",),
    "From the darkest fifth of the images to the lightest; each field is the mean of what is lit in its fifth. "
    f"{_CAMERAS}",
)
COPIES_TITLE = "Images that are nearly the same"
COPIES_EMPTY = "No image of the cohort is nearly the same as another one."
COPIES_NOTE = (
    "Compared pixel by pixel, also turned and mirrored; {a_subject} that was photographed anew, nearer or from another "
    "side, is not found. Images of one {subject} are on one side of a split, and so are these since they were found."
)
NEARLY_THE_SAME = "nearly the same"
COPY_ELSEWHERE = "Nearly the same image, under another {subject} id"
MISSING_TITLE = "What is not known"
MISSING_NAMES = {"age": "Age", "sex": "Sex", "localization": "Site", "dx_type": "How it was confirmed"}
MISSING_NOTE = "Nothing is filled in: what is not stated stays unknown."
SHARE_GROUPS = {"age": "By age", "sex": "By sex", "localization": "By site"}
_INTERVAL = (
    "95 % Wilson interval, of as many trials as the images are worth: those of one {subject} are not independent."
)
INTERVAL_BY_SUBJECT, BARS_BY_SUBJECT = f"Interval: {_INTERVAL}", f"Bars: {_INTERVAL}"
EVALUATE_COHORT = "Evaluate this cohort"
EVALUATE_HELP = (
    "Every figure that the model's stored predictions give, of the locked test {subjects} in this cohort alone."
)
COUNTS_INSTEAD = "This page shows the counts that come with LesionLens instead."
_NO_FOLDER = "The images of the cohort appear here when `DATASET_DIR` names a {dataset} folder"
_COMMITTED = (
    " (`python -m data.download` fetches one). The charts above need only the counts that come with LesionLens."
)
_NO_COUNTS = (
    "**No counts of {dataset} come with LesionLens.** They are made of a folder that `DATASET_DIR` names: images and a "
    "table `{table}` with the columns {columns}, one row an image, `dx` one of {codes}."
)
_UNKNOWN_STAYS = 'Sites, sexes and ages that the dataset does not state stay "unknown". '
_COUNTING = "Each {subject} counts once, in the group of its first image."
# What can be removed of a filter that leaves nothing.
_FACT_NAMES = {"localization": "site", "sex": "sex", "dx_type": "confirmation"}


def source(task: Task, facts: Sequence[str]) -> str:
    """How the dataset is cited, and how it is counted.

    Args:
        task: whose dataset it is.
        facts: that it states, see `data.datasets.cohort.stated`.
    """
    cited = f"Source: {task.dataset.source} " if task.dataset.source else ""
    return cited + (_UNKNOWN_STAYS if facts else "") + task.worded(_COUNTING)


def empty_cohort(task: Task, facts: Sequence[str]) -> str:
    """What to do where no image is left, of what the dataset states."""
    *others, last = [task.words.label, *(name for fact, name in _FACT_NAMES.items() if fact in facts)]
    removable = f"{', '.join(others)} or {last}" if others else last
    return _EMPTY_COHORT.format(widen=f"{'Widen the ages, or remove' if 'age' in facts else 'Remove'} a {removable}")


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


def shares_title(task: Task, unit: Unit) -> str:
    """What the table of all of the task's questions shows."""
    asked = " and ".join(question.positive for question in task.questions)
    return f"{asked.capitalize()} {unit_noun(task, unit)}"


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


def no_readable_file(image_id: str) -> str:
    """What stands in place of an image that cannot be shown."""
    return f"no readable file for {image_id}"


def appearance_data(task: Task, images: int, has_masks: bool) -> str:
    """On how many images of the cohort size and colour were measured."""
    outlined = f" with an outline of the {task.words.subject}" if has_masks else ""
    return f"{task.dataset.name}, images of the cohort{outlined}: {images:,}"


def copies_found(task: Task, pairs: int, two_ids: int) -> str:
    """How many pairs there are, and how many the dataset takes for two lesions."""
    subject = task.words.subject
    ids = f"{two_ids:,} of them with two {subject} ids" if two_ids else f"each of one {subject} id"
    return f"{plural(pairs, 'pair')} with an image of the cohort, {ids}."


def strip_alternative(name: str, colours: Sequence[Colour]) -> str:
    """A row of colours for a screen reader: red, green and blue of its ends."""
    ends = [" ".join(map(str, colour)) for colour in (colours[0], colours[-1])]
    return f"{name}: from {ends[0]} to {ends[1]} (red, green, blue of 255)"


def map_data(task: Task, drawn: int, images: int) -> str:
    """How many training images of the cohort the map shows."""
    part = f", {drawn:,} of them drawn" if drawn < images else ""
    return f"{task.dataset.name}, training images of the cohort: {plural(images, 'image')}{part}"


def image_caption(row: Any, facts: Sequence[str]) -> str:
    """The lines under an image of the grid; an age that is NaN is `age unknown`.

    Args:
        row: dx, dx_type, age, sex and localization.
        facts: that the dataset states of any image; of the others nothing is said.
    """
    confirmation = "confirmation not stated" if row.dx_type == UNKNOWN else DX_TYPES[row.dx_type].lower()
    first = f"**{row.dx}** · {confirmation}" if "dx_type" in facts else f"**{row.dx}**"
    person = person_and_site(float(row.age), str(row.sex), str(row.localization))
    return f"{first}  \n{person}" if {"age", "sex", "localization"} & set(facts) else first
