"""Which way the letters of a line run: Arabic and Hebrew in English lines, resolved as Unicode says.

Of UAX #9 this is all but explicit embeddings, which `printable` takes out of users' text. fpdf2 has those too, but
recurses a step for every character without a direction, and knows no levels when it puts a line together.

Source:
    Unicode Standard Annex #9, Unicode Bidirectional Algorithm, https://www.unicode.org/reports/tr9/ (names of rules).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from fontTools.unicodedata import script
from fpdf.bidi import BIDI_BRACKETS

# First strong isolate and its end: what stands between them keeps its order whatever stands beside it.
OPEN, CLOSE = "\u2068", "\u2069"
MOST_OPEN_BRACKETS = 63  # BD16
_LETTERS_TO_THE_LEFT = {"R", "AL", "AN"}
_RIGHT = {"R", "AN", "EN"}  # N0, N1: numbers count as right-to-left
_ANY_SCRIPT = {"Zyyy", "Zinh", "Zzzz"}

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """Letters of one script that run one way.

    Attributes:
        text: in the order in which it is read.
        level: even from left to right, odd from right to left; the higher, the deeper inside others.
    """

    text: str
    level: int


def isolated(text: str) -> str:
    """A user's text, so that no letter of it turns the words around it or those of another line around."""
    return "\n".join(OPEN + line + CLOSE if _turns(line) else line for line in text.split("\n"))


def runs(text: str) -> Iterator[Run]:
    """English text with `isolated` parts as runs, in reading order; the marks of isolation are left out."""
    for part in re.split(f"({OPEN}[^{CLOSE}]*{CLOSE})", text):
        inner = part.strip(OPEN + CLOSE)
        start = _start(inner) if part != inner else 0
        scripts = _scripts(inner)
        yield from _joined(inner, list(zip(_levels(inner, start), scripts, strict=True)))


def in_order_of_sight(pieces: Sequence[T], level: Callable[[T], int]) -> list[T]:
    """Pieces of one line from left to right (rule L2)."""
    ordered = list(pieces)
    for lowest in range(max(map(level, ordered), default=0), 0, -1):
        ordered = _turned(ordered, level, lowest)
    return ordered


def _turned(pieces: Sequence[T], level: Callable[[T], int], lowest: int) -> list[T]:
    groups = groupby(pieces, lambda piece: level(piece) >= lowest)
    return [piece for is_deeper, group in groups for piece in (reversed(list(group)) if is_deeper else group)]


def _joined(text: str, kinds: Sequence[tuple[int, str]]) -> Iterator[Run]:
    start = 0
    for (level, _), run in groupby(kinds):
        end = start + sum(1 for _ in run)
        yield Run(text[start:end], level)
        start = end


def _turns(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in _LETTERS_TO_THE_LEFT for character in text)


def _start(text: str) -> int:
    """Level of an isolated text: of its first letter that has a direction (P2, P3, X5c)."""
    strong = (unicodedata.bidirectional(character) for character in text)
    return 1 if next((one for one in strong if one in ("L", "R", "AL")), "L") != "L" else 2


def _scripts(text: str) -> list[str]:
    """The script of each character; of a digit, a sign or a mark that of the letter before it."""
    found, last = [], ""
    for character in text:
        own = script(character)
        last = last if own in _ANY_SCRIPT else own
        found.append(last)
    return found


# --- UAX #9, for one paragraph of one isolate -------------------------------------------------------------------------


def _levels(text: str, start: int) -> list[int]:
    """Level of each character of a text whose own level is `start`."""
    around = "R" if start % 2 else "L"
    classes = [unicodedata.bidirectional(character) or "L" for character in text]
    _resolve_numbers(classes, around)
    _resolve_brackets(text, classes, around)
    _resolve_neutrals(classes, around)
    return [start + _step(one, start) for one in classes]


def _step(one: str, start: int) -> int:
    """I1 and I2."""
    if start % 2:
        return 0 if one == "R" else 1
    return {"L": 0, "R": 1}.get(one, 2)


def _resolve_numbers(classes: list[str], around: str) -> None:
    """W1 to W7: marks, numbers and the signs in them."""
    last = strong = around
    for index, one in enumerate(classes):
        last = classes[index] = last if one in ("NSM", "BN") else one  # W1; joiners go with their letter
        strong = last if last in ("L", "R", "AL") else strong
        if last == "EN" and strong == "AL":  # W2
            classes[index] = "AN"
    classes[:] = ["R" if one == "AL" else one for one in classes]  # W3
    for index in range(1, len(classes) - 1):  # W4
        before, one, after = classes[index - 1 : index + 2]
        if before == after and (one, before) in (("ES", "EN"), ("CS", "EN"), ("CS", "AN")):
            classes[index] = before
    resolved: list[str] = []
    for one, run in groupby(classes):
        signs = len(list(run))
        following = classes[len(resolved) + signs : len(resolved) + signs + 1]
        is_number = one == "ET" and ("EN" in resolved[-1:] or "EN" in following)  # W5
        resolved += ["EN" if is_number else "ON" if one in ("ET", "ES", "CS") else one] * signs  # W6
    strong = around
    for index, one in enumerate(resolved):  # W7
        strong = one if one in ("L", "R") else strong
        resolved[index] = "L" if one == "EN" and strong == "L" else one
    classes[:] = resolved


def _resolve_brackets(text: str, classes: list[str], around: str) -> None:
    """N0: brackets go with what stands in them."""
    for opened, closed in _brackets(text, classes):
        inside = {"R" if one in _RIGHT else one for one in classes[opened + 1 : closed] if one in _RIGHT | {"L"}}
        if not inside:
            continue
        direction = around
        if around not in inside:
            before = next((one for one in reversed(classes[:opened]) if one in _RIGHT | {"L"}), around)
            direction = "R" if before in _RIGHT else "L"
        for bracket in (opened, closed):
            classes[bracket] = direction
            for index in range(bracket + 1, len(classes)):
                if unicodedata.bidirectional(text[index]) not in ("NSM", "BN"):
                    break
                classes[index] = direction


def _brackets(text: str, classes: Sequence[str]) -> list[tuple[int, int]]:
    """Places of brackets that belong together, by the first (BD16)."""
    pairs: list[tuple[int, int]] = []
    waiting: list[tuple[str, int]] = []
    for index, character in enumerate(text):
        kind = BIDI_BRACKETS.get(character)
        if kind is None or classes[index] != "ON":
            continue
        if kind["type"] == "o":
            if len(waiting) == MOST_OPEN_BRACKETS:
                return []
            waiting.append((kind["pair"], index))
            continue
        for depth in range(len(waiting) - 1, -1, -1):
            if waiting[depth][0] == character:
                pairs.append((waiting[depth][1], index))
                del waiting[depth:]
                break
    return sorted(pairs)


def _resolve_neutrals(classes: list[str], around: str) -> None:
    """N1 and N2: what has no direction goes with both sides, or else with the paragraph."""
    resolved: list[str] = []
    for is_neutral, group in groupby(classes, lambda one: one not in _RIGHT | {"L"}):
        run = list(group)
        if is_neutral:
            before, after = resolved[-1:] or [around], classes[len(resolved) + len(run) :][:1] or [around]
            sides = {"R" if one in _RIGHT else "L" for one in (before[0], after[0])}
            run = [sides.pop() if len(sides) == 1 else around] * len(run)
        resolved += run
    classes[:] = resolved
