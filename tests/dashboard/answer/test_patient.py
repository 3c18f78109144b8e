"""Who and where, in words."""

from __future__ import annotations

import math

import pytest

from dashboard.answer import patient as wording
from data.cases.case import PLANS, SITES


def test_words_of_the_lists_become_labels() -> None:
    assert [wording.choice(plan) for plan in PLANS][:2] == ["No follow-up", "Follow-up"]
    assert wording.site_name("acral") == "Palm or sole (acral)"
    assert len({wording.site_name(site) for site in SITES}) == len(SITES)


@pytest.mark.parametrize(("age", "expected"), [(None, "age unknown"), (math.nan, "age unknown"), (51.6, "52 years")])
def test_years(age: float | None, expected: str) -> None:
    assert wording.years(age) == expected


def test_what_is_not_known_is_named_where_all_is_told() -> None:
    assert wording.person_and_site(52.0, "female", "back") == "52 years, female, back"
    assert wording.person_and_site(None, "unknown", "unknown") == "age unknown, sex unknown, site unknown"


def test_place_on_a_button() -> None:
    assert wording.named_place("acral", "left") == "Palm or sole (acral), left"
    assert wording.named_place("back", "unknown") == "Back"
