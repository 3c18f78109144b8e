"""What separates the cells of a table, how it is encoded, and when two texts are the same."""

from __future__ import annotations

import codecs

import pytest

from data.datasets.tables import comparable, encoding_of, separator_of


@pytest.mark.parametrize(
    ("header", "names", "separator"),
    [
        ("image;dx\n", ("image", "dx"), ";"),
        # Of two that leave as many of the names, the commoner one; without names, the commonest.
        ("image;mel;nv;other, one\n", (), ";"),
        ("image\tmel\tnv\n", ("age",), "\t"),
        # A name that is known counts for more than how often something stands there.
        ('"a;b;c;d",dx\n', ("dx",), ","),
        ("image\n", ("image",), ","),
        ("", (), ","),
    ],
)
def test_separator_of_a_header(header: str, names: tuple[str, ...], separator: str) -> None:
    assert separator_of(header, names) == separator


def test_encoding_is_told_by_the_mark() -> None:
    assert encoding_of(codecs.BOM_UTF16_LE + b"a\0") == encoding_of(codecs.BOM_UTF16_BE) == "utf-16"
    assert encoding_of(codecs.BOM_UTF8 + b"a") == encoding_of(b"") == "utf-8-sig"


def test_texts_are_compared_in_any_case_and_with_accents_either_way() -> None:
    assert comparable("M\u00dcLLER") == comparable("mu\u0308ller") == "m\u00fcller"
    assert comparable("Stra\u00dfe") == comparable("STRASSE")
