"""Unsaved work is held for one tab and user, within bounds, and for an hour."""

from __future__ import annotations

import pytest

from dashboard.resources import drafts
from dashboard.resources.drafts import MOST_BYTES, MOST_BYTES_EACH, MOST_DRAFTS, SECONDS_KEPT, DraftStore
from data.cases.case import LOCAL_ACTOR, Actor

ANNA = Actor("anna@north.org", "North", "clinician")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_draft_is_given_to_its_tab_and_user_only() -> None:
    store = DraftStore()
    store.keep("tab", ANNA, {"note": "two colours"}, 10)
    assert store.held("tab", ANNA) == {"note": "two colours"}
    assert store.held("other tab", ANNA) is None
    assert store.held("tab", LOCAL_ACTOR) is None
    assert store.held("tab", Actor("anna@north.org", "South", "clinician")) is None


def test_newest_draft_of_a_tab_counts_and_can_be_forgotten() -> None:
    store = DraftStore()
    for note in ("first", "second"):
        store.keep("tab", ANNA, {"note": note}, 10)
    store.keep("other", ANNA, {"note": "other"}, 10)
    assert store.held("tab", ANNA) == {"note": "second"}
    store.forget("tab")
    assert store.held("tab", ANNA) is None and store.held("other", ANNA) == {"note": "other"}


def test_draft_goes_an_hour_after_it_was_kept_last() -> None:
    clock = Clock()
    store = DraftStore(clock)
    store.keep("tab", ANNA, {"note": "first"}, 10)
    clock.now = SECONDS_KEPT - 1
    store.keep("tab", ANNA, {"note": "second"}, 10)
    clock.now = 2 * SECONDS_KEPT - 2
    assert store.held("tab", ANNA) == {"note": "second"}
    clock.now = 2 * SECONDS_KEPT - 1
    store.expire()
    assert not store._drafts and store.held("tab", ANNA) is None


def test_oldest_go_where_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DraftStore()
    for number in range(MOST_DRAFTS + 1):
        store.keep(str(number), ANNA, {}, 1)
    assert store.held("0", ANNA) is None and store.held("1", ANNA) == {}
    large = MOST_BYTES // MOST_BYTES_EACH
    for number in range(large + 1):
        store.keep(f"large {number}", ANNA, {}, MOST_BYTES_EACH)
    assert store.held("large 0", ANNA) is None
    assert all(store.held(f"large {number}", ANNA) == {} for number in range(1, large + 1))
    monkeypatch.setattr(drafts, "MOST_BYTES_EACH", 5)
    with pytest.raises(ValueError, match="at most 5 bytes, received 6"):
        store.keep("tab", ANNA, {}, 6)
