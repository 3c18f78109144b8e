"""How numbers and users' text are written on the screen."""

from __future__ import annotations

import re
from typing import Any

# A spreadsheet runs a cell that begins with one of these. Source: OWASP, "CSV Injection",
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_WITHIN = re.compile(r"([;\t]\s*)(?=[=+\-@])")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def percent(share: float) -> str:
    """A share as a clinician reads it: whole percents, `< 1 %` and `> 99 %` instead of a false 0 or 100."""
    if 0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1:
        return "> 99 %"
    return f"{share * 100:.0f} %"


def span(low: float, high: float) -> str:
    """A range of shares, `18 to 24 %`, or one value where both read the same."""
    first, last = percent(low), percent(high)
    return last if first == last else f"{first.removesuffix(' %')} to {last}"


def one_decimal(share: float) -> str:
    """A share in percent with one decimal, for comparing it with a threshold."""
    return f"{share * 100:.1f} %"


def escape(text: str) -> str:
    """User text, such as a file name, without any Markdown or HTML meaning."""
    return "".join(f"\\{character}" if character in r"\`*_{}[]()<>#+-.!|~$:&" else character for character in text)


def plain_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs: a text that begins like a formula gets an apostrophe in front.

    So does what stands behind a semicolon or a tab in it, where spreadsheets of many languages begin another cell.
    """
    if not isinstance(value, str):
        return value
    within = _FORMULA_WITHIN.sub(r"\1'", value)
    return f"'{within}" if value.startswith(FORMULA_STARTS) else within


APP_NAME = "LesionLens"
RESEARCH_USE = "Research use only. LesionLens advises, a person decides."
READ_ONLY_LOG = (
    "**The case log is open for reading only, because its key is missing.** Nothing can be saved. Cases cannot be "
    "found by patient reference. Views and exports are not recorded. Nothing proves that cases and audit trail are "
    "unchanged."
)
SEX_NAMES = {"female": "Female", "male": "Male", "unknown": "Unknown"}


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 image`, `10,015 images`.

    Args:
        count: how many.
        noun: of one.
        nouns: of several, where an s is not all that is added.
    """
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
