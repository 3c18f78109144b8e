"""The seven HAM10000 diagnoses in the one order the whole project uses.

Source:
    Tschandl, Rosendahl, Kittler, Scientific Data 2018;5:180161, doi:10.1038/sdata.2018.161.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["malignant", "benign"]


@dataclass(frozen=True)
class Diagnosis:
    """One HAM10000 class.

    Attributes:
        dx: the code used in the dataset, in every CSV and on screen.
        name: the long form.
        group: `malignant` or `benign`, see `MALIGNANT_DX`.
        summary: one plain sentence for a reader who is not a dermatologist.
    """

    dx: str
    name: str
    group: Group
    summary: str

    @property
    def is_malignant(self) -> bool:
        return self.group == "malignant"


# Alphabetical, as Keras sorts class folders; the index in this tuple is `class_index` everywhere.
DIAGNOSES: tuple[Diagnosis, ...] = (
    Diagnosis(
        "akiec",
        "Actinic keratosis or intraepithelial carcinoma",
        "malignant",
        "Carcinoma that has not left the epidermis (Bowen's disease), or its precursor.",
    ),
    Diagnosis("bcc", "Basal cell carcinoma", "malignant", "A common skin cancer that seldom spreads."),
    Diagnosis(
        "bkl",
        "Benign keratosis-like lesion",
        "benign",
        "Seborrheic keratosis, solar lentigo or lichen-planus-like keratosis.",
    ),
    Diagnosis("df", "Dermatofibroma", "benign", "A benign nodule of fibrous tissue."),
    Diagnosis("mel", "Melanoma", "malignant", "Cancer of the pigment cells, in situ or invasive."),
    Diagnosis("nv", "Melanocytic nevus", "benign", "A mole: benign growth of pigment cells."),
    Diagnosis("vasc", "Vascular lesion", "benign", "Angioma, angiokeratoma, pyogenic granuloma or haemorrhage."),
)

DX_CODES: tuple[str, ...] = tuple(diagnosis.dx for diagnosis in DIAGNOSES)

# akiec holds in-situ disease and its precursors. HAM10000's authors count it with the malignant classes in their
# reader studies (Tschandl et al., Lancet Oncology 2019;20:938, doi:10.1016/S1470-2045(19)30333-X), and so do we.
MALIGNANT_DX: tuple[str, ...] = tuple(diagnosis.dx for diagnosis in DIAGNOSES if diagnosis.is_malignant)
BENIGN_DX: tuple[str, ...] = tuple(diagnosis.dx for diagnosis in DIAGNOSES if not diagnosis.is_malignant)

# How a diagnosis was made. It leaks the answer (every `follow_up` is a nevus), so no model ever sees it.
DX_TYPES: dict[str, str] = {
    "histo": "Histopathology",
    "follow_up": "Follow-up",
    "consensus": "Expert consensus",
    "confocal": "Confocal microscopy",
}


def class_index(dx: str) -> int:
    """Position of a dx code in `DX_CODES`.

    Raises:
        ValueError: `dx` is not one of the seven codes.
    """
    try:
        return DX_CODES.index(dx)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(DX_CODES)}, received {dx!r}") from None


def diagnosis(dx: str) -> Diagnosis:
    """The `Diagnosis` of a dx code; raises ValueError for any other text."""
    return DIAGNOSES[class_index(dx)]


MALIGNANT_INDICES: tuple[int, ...] = tuple(class_index(dx) for dx in MALIGNANT_DX)
