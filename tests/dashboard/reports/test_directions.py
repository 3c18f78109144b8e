"""Which way letters run: lines worked out by hand, and as fpdf2's own algorithm has it, which passes Unicode's test."""

from __future__ import annotations

import random
import unicodedata

import pytest
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection

from dashboard.reports.directions import Run, in_order_of_sight, isolated, runs

# Of every kind that UAX #9 tells apart: letters both ways, both kinds of digits, signs in and around numbers, brackets,
# marks, spaces.
ALPHABET = "ab\u05d0\u05d1\u0645\u062d12\u0663\u0664+-,.:/%$()[]  \u0301\u064b!?<>"


def seen(text: str) -> str:
    """Letters of an English line from left to right."""
    ordered = in_order_of_sight(list(runs(text)), lambda run: run.level)
    return "".join(run.text[::-1] if run.level % 2 else run.text for run in ordered)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("nevus", "nevus"),
        ("by \u05d0\u05d1 now", "by \u05d1\u05d0 now"),
        ("by \u05d0\u05d1 12 \u05d2 now", "by \u05d2 12 \u05d1\u05d0 now"),
        # Arabic sets a range of numbers from right to left, Hebrew does not.
        ("\u0645\u062d 3-4 mm", "mm 4-3 \u062d\u0645"),
        ("\u05d0\u05d1 3-4 mm", "mm 3-4 \u05d1\u05d0"),
        ("\u05d0\u05d1 (\u05d2)", ")\u05d2( \u05d1\u05d0"),
        ("- \u05d0\u05d1", "\u05d1\u05d0 -"),
        ("a (\u05d0) b", "a (\u05d0) b"),
        ("\u05d0 12:30, 5%.", ".5% ,12:30 \u05d0"),
        ("", ""),
    ],
)
def test_line_from_left_to_right(typed: str, shown: str) -> None:
    assert seen(isolated(typed)) == shown


def test_texts_of_two_users_keep_their_places_in_an_english_line() -> None:
    name, place, clinic = map(isolated, ("\u05d0\u05d1", "7 \u05d2\u05d3", "\u0645 clinic"))
    assert seen(f"by {name}, {place}, {clinic}: 12") == "by \u05d1\u05d0, \u05d3\u05d2 7, clinic \u0645: 12"


def test_every_line_of_a_note_has_its_own_direction() -> None:
    found = list(runs(isolated("a\n\u05d0 a\nb")))
    assert {one: run.level for run in found for one in run.text if one != "\n"} == {"a": 2, "\u05d0": 1, " ": 1, "b": 0}
    assert "".join(run.text for run in found) == "a\n\u05d0 a\nb"


def test_runs_hold_one_script_each_and_signs_go_with_the_letters_before() -> None:
    arabic, hebrew = "\u0645\u062d, ", "\u05d0\u05d1"
    assert list(runs(isolated(arabic + hebrew))) == [Run(arabic, 1), Run(hebrew, 1)]
    assert list(runs("a1, \u0939\u093f!")) == [Run("a1, ", 0), Run("\u0939\u093f!", 0)]


@pytest.mark.parametrize(("first", "start"), [("a", 2), ("\u05d0", 1)])
def test_levels_are_those_of_a_whole_implementation(first: str, start: int) -> None:
    rng = random.Random(13)
    direction = TextDirection.LTR if start == 2 else TextDirection.RTL
    for _ in range(3000):
        text = first + "".join(rng.choices(ALPHABET, k=rng.randint(1, 14))) + "\u05d0"
        expected = [one.embedding_level for one in BidiParagraph(text, direction).characters]
        found = [run.level for run in runs(isolated(text)) for _ in run.text]
        # An isolate from left to right begins at level 2 of the line.
        assert found == [level + (2 if start == 2 else 0) for level in expected], text


@pytest.mark.parametrize("unit", ["-", " ", "- ", "%", "+1", "(", "()", "(\u05d0)", "\u05d0(", "\u0301"])
def test_any_length_of_letterless_text_is_resolved(unit: str) -> None:
    text = "\u05d0" + unit * 3000
    found = list(runs(isolated(text)))
    assert "".join(run.text for run in found) == text
    assert {unicodedata.bidirectional(run.text[0]) for run in found if run.level == 1} >= {"R"}
