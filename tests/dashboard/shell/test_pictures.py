"""The store of small pictures: bounded, and a failure is no picture for ever."""

from __future__ import annotations

import pytest

from dashboard.shell import pictures
from dashboard.shell.pictures import SmallPictures


def test_the_picture_not_used_for_longest_goes() -> None:
    store = SmallPictures(2)
    store.put("a", b"1")
    store.put("b", b"2")
    assert store.get("a") == b"1"
    store.put("c", b"3")
    assert [key in store for key in "abc"] == [True, False, True] and len(store) == 2


def test_what_could_not_be_made_is_asked_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SmallPictures(2)
    store.put("a", None)
    assert "a" in store and store.get("a") is None
    monkeypatch.setattr(pictures, "RETRY_AFTER", 0.0)
    assert "a" not in store


def test_a_forgotten_picture_is_gone() -> None:
    store = SmallPictures(2)
    store.put("a", b"1")
    store.forget("a")
    store.forget("never there")
    assert "a" not in store and store.get("a") is None
