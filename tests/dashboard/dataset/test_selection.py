"""What a selection in a chart does to a filter."""

from __future__ import annotations

import pytest

from dashboard.dataset.selection import toggled


@pytest.mark.parametrize(
    ("chosen", "values", "after"),
    [
        ([], ["mel"], ["mel"]),
        (["nv"], ["mel"], ["nv", "mel"]),
        (["nv", "mel"], ["mel"], ["nv"]),
        (["nv"], ["mel", "bcc"], ["mel", "bcc"]),
    ],
)
def test_one_value_joins_or_leaves_and_several_take_the_place(
    chosen: list[str], values: list[str], after: list[str]
) -> None:
    assert toggled(chosen, values) == after
