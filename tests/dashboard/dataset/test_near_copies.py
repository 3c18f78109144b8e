"""Pairs of nearly the same images: those of a cohort, and those of one image."""

from __future__ import annotations

import pandas as pd

from dashboard.dataset import wording
from dashboard.dataset.near_copies import copies_of, pairs_among
from data.datasets.near_copies import COLUMNS
from data.tasks.skin import SKIN

PAIRS = pd.DataFrame(
    [("a", "b", "one", "one", 0.99), ("c", "a", "two", "one", 0.7), ("d", "e", "three", "three", 0.9)],
    columns=list(COLUMNS),
)


def test_pairs_of_a_cohort_begin_with_those_of_two_lesion_ids() -> None:
    found = pairs_among(PAIRS, {"a"})
    assert found[["first", "second"]].to_numpy().tolist() == [["c", "a"], ["a", "b"]]
    assert found["is_one_lesion"].to_list() == [False, True]
    assert pairs_among(PAIRS, {"e"})["first"].to_list() == ["d"] and pairs_among(PAIRS, set()).empty


def test_copies_of_an_image_stand_on_either_side_of_a_pair() -> None:
    assert copies_of(PAIRS, "a") == {"b": 0.99, "c": 0.7}
    assert copies_of(PAIRS, "e") == {"d": 0.9} and copies_of(PAIRS, "z") == {}


def test_what_was_found_in_words() -> None:
    assert wording.copies_found(SKIN, 77, 1) == "77 pairs with an image of the cohort, 1 of them with two lesion ids."
    assert wording.copies_found(SKIN, 1, 0) == "1 pair with an image of the cohort, each of one lesion id."
