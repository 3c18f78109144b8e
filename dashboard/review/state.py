"""Session state of the Review page: its keys and typed access. A draft of it outlives a refresh of the browser tab."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, cast
from uuid import UUID, uuid4

import streamlit as st

from dashboard.access import tab
from dashboard.doors import uploads as stored_uploads
from dashboard.resources import answers, models, samples, stores
from dashboard.resources.drafts import MOST_BYTES_EACH
from dashboard.review import focus
from dashboard.shell import identity
from data.cases.case import Case, Read
from data.cases.queries import CaseSummary
from data.tasks.known import DEFAULT_TASK
from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.explain.maps import Explanation

_IS_ACCEPTED = "review_is_intended_use_accepted"
_SAMPLE = "review_sample"
_UPLOADS = "review_uploads"
_POSITION = "review_position"
_CASE_IDS = "review_case_ids"
_PROGRESS = "review_progress"
_SEEN_ANSWERS = "review_seen_answers"
_ON_DEMAND = "review_on_demand"
# Of the files that uploader and camera hold: whose cases they are, and whether the user has just changed them.
_LISTED, _IS_CHANGED, _TO_BE_CLOSED = "review_listed", "review_is_changed", "review_to_be_closed"
_WITHOUT_ROOM = "review_without_room"
_IS_RESTORED, _NOT_HELD = "review_is_draft_restored", "review_not_held"
OPERATING_POINT = "review_operating_point"
# Key of the fragment that draws the image that is shown, with all that is said of it.
SHOWN = "review_shown"
# What is held for a refresh besides the images and what was filled in of each.
_OF_A_DRAFT = (
    _IS_ACCEPTED, _SAMPLE, _POSITION, _PROGRESS, _SEEN_ANSWERS, OPERATING_POINT, models.CHOSEN_MODEL
)  # fmt: skip
# Maps computed on demand are a few hundred bytes each; a long session must not pile them up all the same.
MAX_ON_DEMAND = 32


@dataclass(frozen=True)
class Upload:
    """An image the user opened.

    Attributes:
        name: as given.
        content: its bytes.
        case_id: of the case it becomes when it is saved; None for a synthetic sample, which cannot be saved.
        task: key of the task that it was opened for, and so of the queue that it stands in.
    """

    name: str
    content: bytes
    case_id: UUID | None = None
    task: str = DEFAULT_TASK

    @cached_property
    def content_sha256(self) -> str:
        """Of its bytes, hexadecimal; what the analysis and whatever is kept of it are known by."""
        return sha256(self.content).hexdigest()

    @property
    def is_sample(self) -> bool:
        """Whether it is one of our synthetic samples."""
        return self.case_id is None


@dataclass(frozen=True)
class Progress:
    """How far the review of an image has come.

    Attributes:
        own_read: locked when the answer was shown; None before, or where it was skipped.
        is_skipped: whether the reader skipped the own read.
        is_informed: whether the answer had been shown to the reader on an earlier occasion; None until it is asked.
        saved_before: cases of the same file, newest first; None until they are looked up.
        is_refused: whether the image got no answer.
        saved: the case, once it is in the log.
    """

    own_read: Read | None = None
    is_skipped: bool = False
    is_informed: bool | None = None
    saved_before: tuple[CaseSummary, ...] | None = None
    is_refused: bool = False
    saved: Case | None = None

    @property
    def is_read(self) -> bool:
        """Whether the answer may be shown."""
        return self.own_read is not None or self.is_skipped


# --- Intended use ----------------------------------------------------------------------------------------------------


def is_intended_use_accepted() -> bool:
    """Whether the user has said in this session that they know what LesionLens is for."""
    return bool(st.session_state.get(_IS_ACCEPTED, False))


def accept_intended_use() -> None:
    """Remember it for this session."""
    st.session_state[_IS_ACCEPTED] = True
    focus.to_inputs()


# --- Images ----------------------------------------------------------------------------------------------------------


def chosen_sample() -> str | None:
    """File name of the sample that was opened, or None."""
    return cast(str | None, st.session_state.get(_SAMPLE))


def choose_sample(file: str | None) -> None:
    """Open a sample, or none; the place in the queue stays."""
    st.session_state[_SAMPLE] = file
    focus.to_image()


def uploads() -> list[Upload]:
    """The user's own images of the task, kept while they look at a sample, at another page or at another task."""
    key = models.task().key
    return [upload for upload in all_uploads() if upload.task == key]


def all_uploads() -> list[Upload]:
    """The user's own images, of whichever task."""
    return list(cast(list[Upload], st.session_state.get(_UPLOADS, [])))


def opened() -> list[Upload]:
    """What is looked at: a sample that was opened, else the user's own images, as a queue."""
    sample = chosen_sample()
    return uploads() if sample is None else [Upload(sample, samples.content(sample))]


def open_image(name: str, content: bytes) -> None:
    """Open an image that no widget holds, such as one of the dataset, whose answer the reader has seen already."""
    file_id = f"opened {name}"
    st.session_state.setdefault(_CASE_IDS, {})
    st.session_state.setdefault(_WITHOUT_ROOM, {})
    _join(file_id, name, content)
    case_id = st.session_state[_CASE_IDS].pop(file_id, None)
    if case_id is None:
        return  # no room for it, which the page says
    seen_answers().add(sha256(content).hexdigest())
    choose_sample(None)
    go_to([upload.case_id for upload in uploads()].index(case_id))


def note_change() -> None:
    """Callback of every way to give an image: the user has given or taken away files, and no page change has."""
    st.session_state[_IS_CHANGED] = True


def take_files(files: Mapping[str, Callable[[], tuple[str, bytes]]]) -> None:
    """Bring the queue up to date with the files that uploader and camera hold.

    New files join the queue, and the first of them is shown; a file that the queue holds already is shown instead of
    joining twice. What the user took away leaves the queue, unless it has unsaved work: then `to_be_closed` names it.
    A file for which there is no room waits in the uploader: `without_room` names it.

    Args:
        files: name and content by Streamlit's id of the file, read only where the file is new.
    """
    case_ids = cast(dict[str, UUID], st.session_state.setdefault(_CASE_IDS, {}))
    waiting = cast(dict[str, str], st.session_state.get(_WITHOUT_ROOM, {}))
    unknown, held = [file_id for file_id in files if file_id not in case_ids], len(uploads())
    # A file that is taken away is all that changes; where others come in its place, the page was changed meanwhile.
    if st.session_state.pop(_IS_CHANGED, False) and waiting.keys() >= set(unknown):
        of_task = {upload.case_id for upload in uploads()}
        gone = cast(set[UUID | None], st.session_state.get(_LISTED, set())) & of_task - _cases_of(files)
        unsaved = {upload.case_id for upload in uploads() if has_unsaved_work(upload)}
        close(gone - unsaved)
        st.session_state[_TO_BE_CLOSED] = gone & unsaved
    st.session_state[_WITHOUT_ROOM] = {}
    for file_id in unknown:
        _join(file_id, *files[file_id]())
    st.session_state[_LISTED] = _cases_of(files)
    _forget(case_ids.keys() - files.keys())
    new = [file_id for file_id in unknown if file_id in case_ids]
    if new:
        choose_sample(None)
        queue = [upload.case_id for upload in uploads()]
        go_to(held if len(queue) > held else queue.index(case_ids[new[0]]))


def _cases_of(file_ids: Iterable[str]) -> set[UUID]:
    case_ids = cast(dict[str, UUID], st.session_state.get(_CASE_IDS, {}))
    return {case_ids[file_id] for file_id in file_ids if file_id in case_ids}


def _forget(file_ids: Collection[str]) -> None:
    """Give back what Streamlit holds of files that are listed no more; the queue has its own."""
    stored_uploads.forget(file_ids)
    for file_id in file_ids:
        del st.session_state[_CASE_IDS][file_id]


def _join(file_id: str, name: str, content: bytes) -> None:
    """Let an image join the queue where it is not in it, or wait where there is no room for it."""
    case_id = next((upload.case_id for upload in uploads() if upload.content == content), None)
    if case_id is None:
        held = all_uploads()
        if sum(len(upload.content) for upload in held) + len(content) > stored_uploads.MOST_BYTES:
            st.session_state[_WITHOUT_ROOM][file_id] = name
            return
        case_id = uuid4()
        st.session_state[_UPLOADS] = [*held, Upload(name, content, case_id, models.task().key)]
    st.session_state[_CASE_IDS][file_id] = case_id


def without_room() -> list[str]:
    """Names of the files that were not opened, since the queue holds as much as a session may."""
    return list(cast(dict[str, str], st.session_state.get(_WITHOUT_ROOM, {})).values())


def is_listed(upload: Upload) -> bool:
    """Whether uploader or camera hold the image, so that it is taken away there."""
    return upload.case_id in cast(set[UUID], st.session_state.get(_LISTED, set()))


def to_be_closed() -> list[Upload]:
    """Images with unsaved work that the user took away from the uploader; asked for once."""
    case_ids = cast(set[UUID], st.session_state.pop(_TO_BE_CLOSED, set()))
    return [upload for upload in all_uploads() if upload.case_id in case_ids]


def close(case_ids: Collection[UUID | None]) -> None:
    """Take images out of the queue, with all that was said of them; the one that is shown stays if it can."""
    gone = [upload for upload in all_uploads() if upload.case_id in case_ids]
    if not gone:
        return
    if queue := uploads():
        shown = queue[position(len(queue))]
        left = [upload for upload in queue if upload not in gone]
        go_to(left.index(shown) if shown in left else min(queue.index(shown), max(len(left) - 1, 0)))
    st.session_state[_UPLOADS] = [upload for upload in all_uploads() if upload not in gone]
    for key in _fields(gone):
        del st.session_state[key]
    progresses = cast(dict[UUID, Progress], st.session_state.get(_PROGRESS, {}))
    st.session_state[_PROGRESS] = {key: value for key, value in progresses.items() if key not in case_ids}


def hand_over(upload: Upload, task: Task) -> None:
    """Let an image stand last in another task's queue, as if it had been opened there; nothing said of it is kept."""
    close([upload.case_id])
    st.session_state[_UPLOADS] = [*all_uploads(), replace(upload, task=task.key)]


def position(length: int) -> int:
    """Which image of a queue of `length` is shown, from 0; the last one where the queue has become shorter."""
    return min(cast(int, st.session_state.get(_POSITION, 0)), max(length - 1, 0))


def move(steps: int, length: int) -> None:
    """Go forward or back in the queue, staying within it."""
    go_to(min(max(position(length) + steps, 0), length - 1))


def go_to(position: int) -> None:
    """Show an image of the queue, counted from 0."""
    st.session_state[_POSITION] = position
    focus.to_image()


def analysis(upload: Upload) -> Analysis:
    """What the model says of an image, computed once while the session looks at it; raises `ImageRejected`."""
    return answers.analysis(upload.content, content_sha256=upload.content_sha256)


# --- Progress --------------------------------------------------------------------------------------------------------


def progress(case_id: UUID | None) -> Progress:
    """How far the image has come; a sample, which has no case, needs no own read."""
    if case_id is None:
        return Progress(is_skipped=True)
    return cast(dict[UUID, Progress], st.session_state.get(_PROGRESS, {})).get(case_id, Progress())


def latest_saved() -> Case | None:
    """The case that this session saved last, of the images that are still open."""
    store = cast(dict[UUID, Progress], st.session_state.get(_PROGRESS, {}))
    cases = [one.saved for one in store.values() if one.saved is not None]
    return max(cases, key=lambda case: case.saved_at, default=None)


def keep_progress(case_id: UUID | None, **changes: Any) -> None:
    """Remember a step of the review, by the names of `Progress`; nothing is kept of a sample."""
    if case_id is not None:
        store = cast(dict[UUID, Progress], st.session_state.setdefault(_PROGRESS, {}))
        store[case_id] = replace(progress(case_id), **changes)


def has_unsaved_work(upload: Upload) -> bool:
    """Whether something was said of an image that is not in the log: a pick, or the own read."""
    kept = progress(upload.case_id)
    if upload.is_sample or kept.saved is not None:
        return False
    picks = [st.session_state[key] for key in _fields([upload]) if key.startswith("read_")]
    return kept.is_read or any(pick not in (None, "") for pick in picks)


def _fields(images: Collection[Upload]) -> list[str]:
    """Keys of what was filled in of images, whichever form it stands in."""
    marks = [f"_{upload.case_id}_" for upload in images]
    return [key for key in map(str, st.session_state) if any(mark in key for mark in marks)]


# --- Drafts: what a refresh of the page must not lose ----------------------------------------------------------------


def is_any_unsaved() -> bool:
    """Whether leaving the page would lose work."""
    return any(has_unsaved_work(upload) for upload in all_uploads())


def keep_draft() -> None:
    """Hold queue, reads and what was typed in the server's memory, for this browser tab and user."""
    name = tab.name()
    if name is None or not st.session_state.get(_IS_RESTORED):
        return
    images = _within(MOST_BYTES_EACH)
    if not images:
        tab.forget_draft()
        return
    values = {key: st.session_state[key] for key in _OF_A_DRAFT if key in st.session_state}
    fields = {key: st.session_state[key] for key in _fields(images)}
    values |= {key: value for key, value in fields.items() if _is_plain(value)}
    values |= {_UPLOADS: images, _NOT_HELD: len(all_uploads()) - len(images)}
    size = sum(len(upload.content) for upload in images)
    stores.drafts().keep(name, identity.actor(), {key: copy(value) for key, value in values.items()}, size)


def restore_draft() -> bool:
    """Take up the work of this tab and user after a refresh, once a session; whether there was any."""
    name = tab.name()
    if name is None or st.session_state.get(_IS_RESTORED):
        return False
    st.session_state[_IS_RESTORED] = True
    held = None if all_uploads() else stores.drafts().held(name, identity.actor())
    for key, value in (held or {}).items():
        st.session_state[key] = copy(value)
    return held is not None


def not_held() -> int:
    """How many images of the queue were too large to come back after a refresh."""
    return cast(int, st.session_state.get(_NOT_HELD, 0))


def _within(most_bytes: int) -> list[Upload]:
    """As many images of the queue as there is room for, in its order: first those with unsaved work."""
    room, held = most_bytes, []
    for upload in sorted(all_uploads(), key=lambda upload: not has_unsaved_work(upload)):
        if len(upload.content) <= room:
            room -= len(upload.content)
            held.append(upload)
    return [upload for upload in all_uploads() if upload in held]


def _is_plain(value: object) -> bool:
    """Whether a field can be filled in again: a button that was pressed cannot."""
    return value is None or (isinstance(value, (str, int, float, UUID, dict, list)) and not isinstance(value, bool))


# --- Answers that were shown -----------------------------------------------------------------------------------------


def seen_answers() -> set[str]:
    """SHA-256 of the files whose answer the user has seen, as far as this session knows."""
    return cast(set[str], st.session_state.setdefault(_SEEN_ANSWERS, set()))


# --- Heatmaps computed on demand -------------------------------------------------------------------------------------


def on_demand(image_sha256: str) -> dict[tuple[str, str], Explanation]:
    """Explanations computed on demand for an image, by method and dx code."""
    store = cast(dict[tuple[str, str, str], Explanation], st.session_state.get(_ON_DEMAND, {}))
    return {(method, dx): explanation for (sha256, method, dx), explanation in store.items() if sha256 == image_sha256}


def keep_on_demand(image_sha256: str, dx: str, explanation: Explanation) -> None:
    """Remember an explanation for this session; the oldest goes when there are too many."""
    store = dict(st.session_state.get(_ON_DEMAND, {}))
    store[image_sha256, explanation.method, dx] = explanation
    st.session_state[_ON_DEMAND] = dict(list(store.items())[-MAX_ON_DEMAND:])
