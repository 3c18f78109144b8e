"""What becomes of user text on its way into a PDF."""

from __future__ import annotations

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from dashboard.reports.printable import OPENING, SPELLED_NOTE, font_files, printable


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a\r\nb\u2028c\x85d", "a\nb\nc\nd"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a\tb\x00\x7f\u200b\ufeff", "a b"),
        ("e\u0301", "é"),
        ("e" + "\u0323" * 9, "ẹ" + "\u0323" * 4),
        ("日本", "‹RiBen›"),
        ("\ud800\U000fffff\ue000", ""),
        ("\U0001f600", "‹:grinning:›"),
        ("", ""),
    ],
)
def test_printable(typed: str, shown: str) -> None:
    assert printable(typed) == shown


def test_note_on_spelled_letters_shows_the_marks_that_it_explains() -> None:
    assert printable("日").startswith(OPENING)
    assert SPELLED_NOTE.startswith(OPENING)
    assert printable(SPELLED_NOTE) == SPELLED_NOTE


def test_font_files_are_the_regular_and_the_bold_style(tmp_path: Path) -> None:
    paths = font_files(tmp_path)
    names = {}
    for style, path in paths.items():
        with TTFont(path) as font:
            names[style] = font["name"].getBestFullName()
    assert names == {"": "FiraGO", "B": "FiraGO Bold"}
