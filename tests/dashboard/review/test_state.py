"""The queue of images follows what the uploader holds, and loses no unsaved work."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dashboard.review import state
from data.cases.case import Read
from data.tasks.retina import RETINA

CONTENT = {name: name.encode() for name in ("one", "two", "three", "four")}


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    kept: dict[str, object] = {}
    monkeypatch.setattr(state, "st", SimpleNamespace(session_state=kept))
    monkeypatch.setattr(state.focus, "to_image", lambda: None)
    return kept


def give(*names: str, is_changed: bool = True) -> list[str]:
    """The uploader holds these files, changed by the user or not; what the queue holds then."""
    if is_changed:
        state.note_change()
    state.take_files({f"id of {name}": lambda name=name: (f"{name}.jpg", CONTENT[name]) for name in names})  # type: ignore[misc]
    return [upload.name.removesuffix(".jpg") for upload in state.uploads()]


def read(name: str) -> None:
    """Somebody has read the image and seen its answer."""
    (upload,) = [upload for upload in state.uploads() if upload.name == f"{name}.jpg"]
    state.keep_progress(upload.case_id, own_read=Read("nv", "sure", "biopsy"))


def shown() -> str:
    queue = state.uploads()
    return queue[state.position(len(queue))].name.removesuffix(".jpg")


def test_files_join_behind_and_the_first_new_one_is_shown() -> None:
    assert give("one", "two") == ["one", "two"] and shown() == "one"
    assert give("one", "two", "three", "four") == ["one", "two", "three", "four"] and shown() == "three"


def test_look_at_another_page_empties_the_uploader_and_not_the_queue() -> None:
    give("one", "two")
    assert give(is_changed=False) == ["one", "two"]
    assert give("three") == ["one", "two", "three"] and shown() == "three"


def test_uploader_that_comes_back_with_a_new_file_takes_nothing_away() -> None:
    give("one", "two")
    assert give("three") == ["one", "two", "three"]
    assert state.to_be_closed() == []


def test_file_that_is_taken_away_leaves_the_queue_with_what_was_said_of_it(session: dict[str, object]) -> None:
    give("one", "two", "three")
    state.go_to(2)
    case_id = state.uploads()[1].case_id
    session[f"facts_{case_id}_age"] = 60
    assert give("one", "three") == ["one", "three"] and shown() == "three"
    assert f"facts_{case_id}_age" not in session and state.to_be_closed() == []


def test_unsaved_work_is_asked_for_before_it_goes(session: dict[str, object]) -> None:
    give("one", "two", "three")
    read("one")
    session[f"read_{state.uploads()[1].case_id}_dx"] = "mel"
    assert give("three") == ["one", "two", "three"]
    asked = state.to_be_closed()
    assert [upload.name for upload in asked] == ["one.jpg", "two.jpg"] and state.to_be_closed() == []
    state.close([upload.case_id for upload in asked])
    assert [upload.name for upload in state.uploads()] == ["three.jpg"] and shown() == "three"


def test_each_task_has_a_queue_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    give("one", "two")
    read("one")
    with monkeypatch.context() as another:
        another.setattr(state.models, "task", lambda: RETINA)
        assert give("three") == ["three"] and shown() == "three", "and none of skin is taken away"
        assert give("three", "one") == ["three", "one"], "the same file is another image here"
        assert state.is_any_unsaved() and [upload.task for upload in state.all_uploads()][:2] == ["skin", "skin"]
        assert give() == []
    assert [upload.name for upload in state.uploads()] == ["one.jpg", "two.jpg"]


def test_same_content_is_one_image_of_the_queue() -> None:
    give("one", "two")
    state.take_files({"other id": lambda: ("renamed.jpg", CONTENT["two"])})
    assert [upload.name for upload in state.uploads()] == ["one.jpg", "two.jpg"] and shown() == "two"


def test_there_is_room_for_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.stored_uploads, "MOST_BYTES", len("onetwo"))
    assert give("one", "two", "three") == ["one", "two"] and state.without_room() == ["three.jpg"]
    assert give("two", "three") == ["two"] and state.without_room() == ["three.jpg"]  # 8 bytes
    assert give("three") == ["three"] and state.without_room() == []


def test_uploads_that_are_listed_no_more_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(state.stored_uploads, "forget", given_back.extend)
    give("one", "two")
    give("two")
    assert given_back == ["id of one"]
    give(is_changed=False)  # another page was looked at
    assert given_back == ["id of one", "id of two"] and [upload.name for upload in state.uploads()] == ["two.jpg"]
