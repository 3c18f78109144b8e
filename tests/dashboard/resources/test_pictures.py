"""The stores of small pictures: bounded, and a failure is no picture for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dashboard.resources import pictures
from dashboard.resources.pictures import PictureFolder, SmallPictures


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


def test_a_folder_keeps_pictures_whole_and_no_more_than_its_limit(tmp_path: Path) -> None:
    store = PictureFolder(tmp_path / "new", 10)
    assert store.get("a") is None
    for number in range(10):
        store.put(str(number), bytes([number]))
        os.utime(store._path(str(number)), (number, number))
    assert all(store.get(str(number)) == bytes([number]) for number in range(10))
    assert PictureFolder(tmp_path / "new", 10).get("3") == b"\x03"  # of another process
    store.put("../up", b"x")
    # The oldest tenth has made room, and nothing lies beside the folder.
    assert [number for number in range(10) if store.get(str(number)) is None] == [0, 1]
    assert store.get("../up") == b"x" and [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = PictureFolder(tmp_path / "file", 10)
    store.put("a", b"1")
    assert store.get("a") is None
