"""Codes of other systems for what a case says, for reports that other programs read.

Only codes that DICOM's own context groups name are used; where none fits a word, the word alone is reported.

Source:
    DICOM PS3.16, context groups 4 and 4029 (SNOMED CT anatomy) and 29 (modalities), as pydicom 3.0.2 ships them in
    `pydicom.sr`; HL7 v2 table 0074; LOINC 30525-0. This material includes SNOMED Clinical Terms, used by permission of
    SNOMED International; all rights reserved.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.tasks.skin import SKIN

SNOMED_CT = "http://snomed.info/sct"


@dataclass(frozen=True)
class Code:
    """A code of a system (a URI), and how that system words it."""

    system: str
    code: str
    display: str


IMAGING_SECTION = Code("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG", "Diagnostic Imaging")
IMAGING_OBSERVATION = Code("http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging")
IMAGE_MEDIA = Code("http://terminology.hl7.org/CodeSystem/media-type", "image", "Image")
AGE = Code("http://loinc.org", "30525-0", "Age")
# `acral` (palms, soles, nails) has no one code, and `unknown` needs none.
BODY_SITES: dict[str, Code] = {
    site: Code(SNOMED_CT, code, display)
    for site, code, display in (
        ("abdomen", "818981001", "Abdomen"),
        ("back", "77568009", "Back"),
        ("chest", "816094009", "Chest"),
        ("ear", "117590005", "Ear"),
        ("face", "89545001", "Face"),
        ("foot", "56459004", "Foot"),
        ("genital", "60944009", "Skin of external genitalia"),
        ("hand", "85562004", "Hand"),
        ("lower extremity", "61685007", "Lower limb"),
        ("neck", "45048000", "Neck"),
        ("scalp", "41695006", "Scalp"),
        ("trunk", "22943007", "Trunk"),
        ("upper extremity", "53120007", "Upper limb"),
    )
}


@dataclass(frozen=True)
class TaskCodes:
    """Codes of what a task's images are.

    Attributes:
        examination: how the image came about.
        modality: kind of image.
        classes: system (a URI) in which the task's own codes are those of its classes.
    """

    examination: Code
    modality: Code
    classes: str


# By the key of the task; what is of no task here is reported in words alone.
CODES: dict[str, TaskCodes] = {
    SKIN.key: TaskCodes(
        examination=Code(SNOMED_CT, "446078004", "Dermoscopic photography"),
        modality=Code("http://dicom.nema.org/resources/ontology/DCM", "DMS", "Dermoscopy"),
        # Diagnoses as HAM10000 groups them: SNOMED CT has no concepts for these groups.
        classes="https://doi.org/10.1038/sdata.2018.161",
    )
}
