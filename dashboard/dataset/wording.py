"""Text of the Dataset page."""

from __future__ import annotations

from dashboard.answer.patient import person_and_site
from dashboard.dataset.cohort import CohortSize, Unit
from dashboard.shell.formats import plural
from data.datasets.ham10000 import DX_TYPES

# --- Dataset ---------------------------------------------------------------------------------------------------------

DATASET_TITLE = "Dataset"
DATASET_SOURCE = (
    "Source: HAM10000, Tschandl, Rosendahl & Kittler, *Scientific Data* 2018;5:180161, doi:10.1038/sdata.2018.161; "
    "data doi:10.7910/DVN/DBW86T; licence CC BY-NC 4.0. Ages are rounded to 5 years. Sites, sexes and ages that the "
    'dataset does not state stay "unknown". A lesion counts once, in the group of its first image.'
)
UNIT_NAMES: dict[Unit, str] = {"images": "Images", "lesions": "Lesions"}
UNIT_HELP = "HAM10000 shows many lesions in several images. Counting lesions counts each lesion once."
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


def image_caption(image_id: str, dx: str, dx_type: str, age: float, sex: str, localization: str) -> str:
    """The line under an image of the grid; an age that is NaN is `age unknown`."""
    return f"**{dx}** · {DX_TYPES[dx_type].lower()}  \n{person_and_site(age, sex, localization)}  \n{image_id}"
