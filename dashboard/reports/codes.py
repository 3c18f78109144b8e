"""Codes of other systems for what a case says, for reports that other programs read.

Of SNOMED CT only codes that DICOM's own context groups name are used, or the value sets of quality measures; where
none fits a word, the word alone is reported.

Source:
    DICOM PS3.16, context groups 4, 4029 and 4209 (SNOMED CT anatomy) and 29 (modalities), as pydicom 3.0.2 ships them
    in `pydicom.sr`; HL7 v2 table 0074; LOINC 30525-0 and answer list LL2117-1 (grades of retinopathy,
    https://loinc.org/LL2117-1); value sets 2.16.840.1.113883.3.526.3.1283 (level of severity of retinopathy findings)
    and "Macular Exam" of the electronic clinical quality measure CMS142 (SNOMED CT, https://ecqi.healthit.gov). This
    material includes SNOMED Clinical Terms, used by permission of SNOMED International; all rights reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN

SNOMED_CT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"


@dataclass(frozen=True)
class Code:
    """A code of a system (a URI), and how that system words it."""

    system: str
    code: str
    display: str


IMAGING_SECTION = Code("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG", "Diagnostic Imaging")
IMAGING_OBSERVATION = Code("http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging")
IMAGE_MEDIA = Code("http://terminology.hl7.org/CodeSystem/media-type", "image", "Image")
AGE = Code(LOINC, "30525-0", "Age")
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
        classes: what each class is in other systems, by its own code.
        site: what every image shows; None where each case says where it was taken.
    """

    examination: Code
    modality: Code
    classes: Mapping[str, tuple[Code, ...]]
    site: Code | None = None


# Diagnoses as HAM10000 groups them: SNOMED CT has no concepts for these groups.
_HAM10000 = "https://doi.org/10.1038/sdata.2018.161"
# The grades as LOINC's answers, which are of this very scale, and as SNOMED CT's disorders, of which none is the first.
_GRADES: dict[str, tuple[Code, ...]] = {
    "dr0": (Code(LOINC, "LA18643-9", "No apparent retinopathy"),),
    "dr1": (
        Code(SNOMED_CT, "312903003", "Mild nonproliferative retinopathy due to diabetes mellitus"),
        Code(LOINC, "LA18644-7", "Mild non-proliferative retinopathy"),
    ),
    "dr2": (
        Code(SNOMED_CT, "312904009", "Moderate nonproliferative retinopathy due to diabetes mellitus"),
        Code(LOINC, "LA18645-4", "Moderate non-proliferative retinopathy"),
    ),
    "dr3": (
        Code(SNOMED_CT, "312905005", "Severe nonproliferative retinopathy due to diabetes mellitus"),
        Code(LOINC, "LA18646-2", "Severe non-proliferative retinopathy"),
    ),
    "dr4": (
        Code(SNOMED_CT, "59276001", "Proliferative retinopathy due to diabetes mellitus"),
        Code(LOINC, "LA18648-8", "Proliferative retinopathy"),
    ),
}
# By the key of the task; what is of no task here is reported in words alone.
CODES: dict[str, TaskCodes] = {
    SKIN.key: TaskCodes(
        examination=Code(SNOMED_CT, "446078004", "Dermoscopic photography"),
        modality=Code(DICOM, "DMS", "Dermoscopy"),
        classes={one.code: (Code(_HAM10000, one.code, one.name),) for one in SKIN.classes},
    ),
    RETINA.key: TaskCodes(
        examination=Code(SNOMED_CT, "20067007", "Ocular fundus photography"),
        modality=Code(DICOM, "OP", "Ophthalmic Photography"),
        classes=_GRADES,
        site=Code(SNOMED_CT, "5665001", "Retina"),
    ),
}
