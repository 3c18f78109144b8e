from __future__ import annotations

from data.tasks.skin import SKIN


def test_codes_stand_in_alphabetical_order() -> None:
    assert SKIN.codes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert [SKIN.index(dx) for dx in SKIN.codes] == [0, 1, 2, 3, 4, 5, 6]


def test_groups_are_those_of_the_datasets_authors() -> None:
    assert [dx for dx in SKIN.codes if SKIN.is_positive(dx)] == ["akiec", "bcc", "mel"]
    assert SKIN.positives == (0, 1, 4)
    assert SKIN.side("akiec") == "malignant" and SKIN.side("nv") == "benign"
