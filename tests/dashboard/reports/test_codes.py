"""Codes of other systems are worded as these word them, and fit every word of a case that has one."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from dashboard.reports.codes import BODY_SITES, CODES, DICOM, LOINC, SNOMED_CT, Code
from data.cases.case import SITES
from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task

# Context groups of anatomy: Anatomic Region, Skin and Ear Anatomic Region and their like.
SCHEMES = {SNOMED_CT: "SCT", DICOM: "DCM"}
OF_IMAGES = [CODES[SKIN.key].examination, *(codes.modality for codes in CODES.values())]
OF_SITES = [*BODY_SITES.values(), *(codes.site for codes in CODES.values() if codes.site is not None)]


def meanings(code: Code) -> set[str]:
    """How DICOM words a code."""
    words = {entry[code.code][0] for entry in concepts[SCHEMES[code.system]].values() if code.code in entry}
    return {meaning.removesuffix(" (procedure)") for meaning in words}


@pytest.mark.parametrize("code", [*OF_SITES, *OF_IMAGES])
def test_codes_are_worded_as_dicom_words_them(code: Code) -> None:
    assert code.display in meanings(code)


def test_sites_have_codes_but_for_two() -> None:
    assert set(SITES) - set(BODY_SITES) == {"acral", "unknown"}
    assert set(BODY_SITES) < set(SITES)
    assert len({code.code for code in BODY_SITES.values()}) == len(BODY_SITES)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_class_of_a_task_has_codes_of_its_own(task: Task) -> None:
    classes = CODES[task.key].classes
    assert tuple(classes) == task.codes and all(classes.values())
    codes = [(code.system, code.code) for found in classes.values() for code in found]
    assert len(set(codes)) == len(codes)


def test_groups_of_skin_are_those_of_ham10000() -> None:
    assert CODES[SKIN.key].classes["mel"] == (Code("https://doi.org/10.1038/sdata.2018.161", "mel", "Melanoma"),)


def test_grades_are_loinc_s_answers_and_snomed_s_disorders() -> None:
    """LOINC LL2117-1; SNOMED CT as in value set 2.16.840.1.113883.3.526.3.1283: that there is no disease is none."""
    of_system = {
        system: [code.code for found in CODES[RETINA.key].classes.values() for code in found if code.system == system]
        for system in (LOINC, SNOMED_CT)
    }
    assert of_system == {
        LOINC: ["LA18643-9", "LA18644-7", "LA18645-4", "LA18646-2", "LA18648-8"],
        SNOMED_CT: ["312903003", "312904009", "312905005", "59276001"],
    }
    assert [code.system for code in CODES[RETINA.key].classes["dr0"]] == [LOINC]
    for one, found in zip(RETINA.classes, CODES[RETINA.key].classes.values(), strict=True):
        for code in found:
            first = one.name.lower().split()[0]
            assert code.display.lower().startswith(first), (code, "is of another grade")


@pytest.mark.parametrize(
    "code", [code for codes in CODES.values() for code in (codes.examination, *sum(codes.classes.values(), ()))]
)
def test_snomed_codes_carry_their_check_digit(code: Code) -> None:
    """Verhoeff's: SNOMED CT, release file specification, 6.3."""
    if code.system == SNOMED_CT:
        assert verhoeff(code.code) == 0


def verhoeff(digits: str) -> int:
    """0 where the last digit is the check digit of the others: products in the dihedral group of the pentagon."""
    permutation, check = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), 0
    for place, digit in enumerate(map(int, reversed(digits))):
        for _ in range(place % 8):
            digit = permutation[digit]
        check = _product(check, digit)
    return check


def _product(left: int, right: int) -> int:
    """Rotations are 0 to 4, reflections 5 to 9."""
    if left < 5:
        return (left + right) % 5 + (0 if right < 5 else 5)
    return (left - right) % 5 + (5 if right < 5 else 0)
