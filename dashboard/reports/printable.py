"""Text as a PDF can print it: a font for many scripts, and what becomes of characters that it lacks.

FiraGO has Latin, Greek, Cyrillic, Arabic, Hebrew, Georgian, Thai and Devanagari letters (SIL Open Font License 1.1;
https://github.com/bBoxType/FiraGO). It comes with the package pymupdf-fonts, so that no font lies in this repository.
"""

from __future__ import annotations

import io
import itertools
import re
import unicodedata
from functools import cache
from pathlib import Path

from anyascii import anyascii
from fontTools.ttLib import TTFont

from dashboard.reports.directions import isolated

FAMILY = "FiraGO"
OPENING, CLOSING = "‹", "›"
SPELLED_NOTE = f"{OPENING} {CLOSING} stands around letters that this report's font lacks, spelled with Latin ones."
MAX_MARKS = 4  # no script needs more above and below one letter
# Surrogates, private and unassigned characters; controls and marks of direction, which could turn text around.
_NOT_PRINTED = {"Cc", "Cf", "Cn", "Co", "Cs"}
_JOINERS = "\u200c\u200d"  # Arabic and Indic letters are joined or kept apart by them


def font_files(folder: Path) -> dict[str, Path]:
    """Write the fonts into a folder; their paths by style: empty for regular, `B` for bold."""
    paths = {style: folder / f"FiraGO{style}.ttf" for style in _fonts()}
    for style, path in paths.items():
        path.write_bytes(_fonts()[style])
    return paths


def printable(text: str) -> str:
    """Text of any script and with any characters, as the font prints it.

    Line breaks stay, at most one empty line at a time; control characters and marks of direction go; letters that the
    font lacks are spelled with Latin ones between `OPENING` and `CLOSING`. Lines with Arabic or Hebrew are `isolated`.
    """
    lines = re.sub(r"\r\n?|[\v\f\x85\u2028\u2029]", "\n", unicodedata.normalize("NFC", text)).replace("\t", " ")
    kept = _with_few_marks("".join(character for character in lines if _is_kept(character)))
    runs = itertools.groupby(re.sub(r"\n{3,}", "\n\n", kept), _is_in_font)
    return isolated("".join("".join(run) if is_in_font else _spelled("".join(run)) for is_in_font, run in runs))


def _with_few_marks(text: str) -> str:
    """At most `MAX_MARKS` marks and joiners on a letter: towers cover other lines, and take seconds to lay out."""
    runs = itertools.groupby(text, lambda one: one in _JOINERS or unicodedata.category(one) in ("Mn", "Me"))
    return "".join("".join(itertools.islice(run, MAX_MARKS if is_mark else None)) for is_mark, run in runs)


def _is_kept(character: str) -> bool:
    return character in _JOINERS or character == "\n" or unicodedata.category(character) not in _NOT_PRINTED


def _is_in_font(character: str) -> bool:
    return character == "\n" or ord(character) in _characters()


def _spelled(run: str) -> str:
    return f"{OPENING}{anyascii(run).strip() or '?'}{CLOSING}"


@cache
def _fonts() -> dict[str, bytes]:
    # Here, since they are unpacked when imported.
    from pymupdf_fonts.FiraGO_Bold import fontbuffer as bold
    from pymupdf_fonts.FiraGO_Regular import fontbuffer as regular

    return {"": regular, "B": bold}


@cache
def _characters() -> frozenset[int]:
    """Code points that both styles have."""
    by_style = []
    for content in _fonts().values():
        with TTFont(io.BytesIO(content)) as font:
            by_style.append(frozenset(font.getBestCmap()))
    return frozenset.intersection(*by_style)
