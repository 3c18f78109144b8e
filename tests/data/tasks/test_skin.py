from __future__ import annotations

import pytest

from data.tasks.skin import (
    BENIGN_DX,
    DIAGNOSES,
    DX_CODES,
    DX_TYPES,
    MALIGNANT_DX,
    MALIGNANT_INDICES,
    class_index,
    diagnosis,
)


def test_codes_stand_in_alphabetical_order():
    assert DX_CODES == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_class_index_is_the_position_in_the_order():
    assert [class_index(dx) for dx in DX_CODES] == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("wrong", ["", "NV", "nevus", "nv "])
def test_unknown_codes_are_refused_by_name(wrong: str):
    with pytest.raises(ValueError, match=f"expected one of akiec, .*, received {wrong!r}"):
        class_index(wrong)
    with pytest.raises(ValueError, match="received"):
        diagnosis(wrong)


def test_groups_are_those_of_the_datasets_authors():
    assert MALIGNANT_DX == ("akiec", "bcc", "mel")
    assert BENIGN_DX == ("bkl", "df", "nv", "vasc")
    assert MALIGNANT_INDICES == (0, 1, 4)


def test_every_diagnosis_belongs_to_one_group_and_explains_itself():
    assert sorted(MALIGNANT_DX + BENIGN_DX) == sorted(DX_CODES)
    for entry in DIAGNOSES:
        assert diagnosis(entry.dx) is entry
        assert entry.is_malignant == (entry.group == "malignant")
        assert entry.name
        assert entry.summary.endswith(".")


def test_dx_types_are_the_four_of_the_dataset():
    assert tuple(DX_TYPES) == ("histo", "follow_up", "consensus", "confocal")
