"""Words that no screen, export, contract or document may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("dashboard", "model", "data", "pages")
# Texts come from these; a set that leaves a diagnosis out does not exclude it.
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".js", ".html"))
DOCUMENTS = [ROOT / "README.md", ROOT / "deploy" / "README.md", *(ROOT / "docs").glob("*.md")]
RULED_OUT = re.compile(r"\brul(?:e|es|ed|ing)[\s\"]+out\b", re.IGNORECASE)


def test_sources_are_found() -> None:
    assert len(SOURCES) > 150 and RULED_OUT.search("cannot be ruled out")


@pytest.mark.parametrize("path", [*SOURCES, *DOCUMENTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_says_or_implies_that_a_diagnosis_is_ruled_out(path: Path) -> None:
    assert not RULED_OUT.search(path.read_text(encoding="utf-8"))
