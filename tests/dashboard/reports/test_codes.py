"""Codes of other systems are the ones that DICOM's tables give, and fit every word of a case that has one."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from dashboard.reports.codes import BODY_SITES, CODES, SNOMED_CT, Code
from data.cases.case import SITES
from data.tasks.known import TASKS
from data.tasks.skin import SKIN

# Context groups of anatomy: Anatomic Region, Skin and Ear Anatomic Region and their like.
SCHEMES = {SNOMED_CT: "SCT", CODES[SKIN.key].modality.system: "DCM"}
OF_IMAGES = [code for codes in CODES.values() for code in (codes.examination, codes.modality)]


def meanings(code: Code) -> set[str]:
    """How DICOM words a code."""
    words = {entry[code.code][0] for entry in concepts[SCHEMES[code.system]].values() if code.code in entry}
    return {meaning.removesuffix(" (procedure)") for meaning in words}


@pytest.mark.parametrize("code", [*BODY_SITES.values(), *OF_IMAGES])
def test_codes_are_worded_as_dicom_words_them(code: Code) -> None:
    assert code.display in meanings(code)


def test_sites_have_codes_but_for_two() -> None:
    assert set(SITES) - set(BODY_SITES) == {"acral", "unknown"}
    assert set(BODY_SITES) < set(SITES)
    assert len({code.code for code in BODY_SITES.values()}) == len(BODY_SITES)


def test_codes_are_of_known_tasks() -> None:
    assert CODES.keys() <= TASKS.keys()
    assert CODES[SKIN.key].classes == "https://doi.org/10.1038/sdata.2018.161", "HAM10000, whose groups they are"
