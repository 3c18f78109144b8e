"""Text of the Dataset page."""

from __future__ import annotations

from collections.abc import Sequence

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
EMPTY_COHORT = "Widen the ages, or remove a {label}, site, sex or confirmation. **Reset** shows all images again."
CLASS_CHART_HINT = "Select a bar to filter by that {label}; select it again to undo."
SITE_COLOUR_NOTE = "Number: count. Colour: share of the {label} (column) that lies at the site."
SELECTION_HINT = "Select a bar to filter by it, or several with the box in the bar above the chart."
BODY_HINT = (
    "Select a number to filter by that site; select it again to undo. Darker: more. Sites on both sides count together."
)
IMAGES_PER_LESION_TITLE = "Images of a {subject}"
IMAGES_PER_LESION_NOTE = "Each {subject} counts once, by how many images the whole dataset has of it."
OUTLINE_LABEL = "Outline of the lesion"
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
SIZE_TITLE = "Size of the {subject} in the image"
SIZE_NOTE = (
    "Dot: half of the images have at most so much. Bar: the middle half of the images. How much of an image a "
    "{subject} fills depends on the lens and the framing as well; nothing in the dataset tells millimetres."
)
COLOUR_TITLE = "Colour of the {subject} and around it"
COLOUR_NOTE = (
    "From the fifth of the images with the darkest {subjects} to that with the lightest; each field is the mean of its "
    "fifth. Cameras differ in light and white balance, so a colour tells of the dataset as much as of skin."
)
COPIES_TITLE = "Images that are nearly the same"
COPIES_EMPTY = "No image of the cohort is nearly the same as another one."
COPIES_NOTE = (
    "Compared pixel by pixel, also turned and mirrored; a {subject} that was photographed anew, nearer or from another "
    "side, is not found. Images of one {subject} are on one side of the model's split, and so are these."
)
NEARLY_THE_SAME = "nearly the same"
COPY_ELSEWHERE = "Nearly the same image, under another {subject} id"
MISSING_TITLE = "What is not known"
MISSING_NAMES = {"age": "Age", "sex": "Sex", "localization": "Site", "dx_type": "How it was confirmed"}
MISSING_NOTE = "Nothing is filled in: what is not stated stays unknown."
SHARE_GROUPS = {"age": "By age", "sex": "By sex", "localization": "By site"}
INTERVAL_BY_SUBJECT = (
    "Bars: 95 % Wilson interval, of as many trials as the images are worth: those of one {subject} are not independent."
)
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


def no_readable_file(image_id: str) -> str:
    """What stands in place of an image that cannot be shown."""
    return f"no readable file for {image_id}"


def appearance_data(task: Task, images: int) -> str:
    """On how many images of the cohort size and colour were measured."""
    return f"{task.dataset.name}, images of the cohort with an outline of the {task.words.subject}: {images:,}"


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


def image_caption(dx: str, dx_type: str, age: float, sex: str, localization: str) -> str:
    """The lines under an image of the grid; an age that is NaN is `age unknown`."""
    confirmation = "confirmation not stated" if dx_type == UNKNOWN else DX_TYPES[dx_type].lower()
    return f"**{dx}** · {confirmation}  \n{person_and_site(age, sex, localization)}"
