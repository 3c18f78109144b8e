"""Session state of the Review page: its keys and typed access. Nothing in here outlives the browser tab."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID, uuid4

import streamlit as st

from dashboard.review import focus
from data.cases.case import Case, Read
from model.explain.maps import Explanation

_IS_ACCEPTED = "review_is_intended_use_accepted"
_SAMPLE = "review_sample"
_UPLOADS = "review_uploads"
_POSITION = "review_position"
_CASE_IDS = "review_case_ids"
_PROGRESS = "review_progress"
_SEEN_ANSWERS = "review_seen_answers"
_ON_DEMAND = "review_on_demand"
# Maps computed on demand are a few hundred bytes each; a long session must not pile them up all the same.
MAX_ON_DEMAND = 32


@dataclass(frozen=True)
class Upload:
    """An image the user opened.

    Attributes:
        name: as given.
        content: its bytes.
        case_id: of the case it becomes when it is saved; None for a synthetic sample, which cannot be saved.
    """

    name: str
    content: bytes
    case_id: UUID | None = None

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
        is_refused: whether the image got no answer.
        saved: the case, once it is in the log.
    """

    own_read: Read | None = None
    is_skipped: bool = False
    is_informed: bool | None = None
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
    """Open a sample, or none; the queue starts at its beginning."""
    st.session_state[_SAMPLE] = file
    go_to(0)


def uploads() -> list[Upload]:
    """The user's own images, kept while they look at a sample or at another page."""
    return list(cast(list[Upload], st.session_state.get(_UPLOADS, [])))


def keep_uploads(given: list[Upload]) -> None:
    """Keep the user's images for this session."""
    st.session_state[_UPLOADS] = given


def forget_uploads() -> None:
    """Start anew: no upload, no sample. The callback of every way to give an image."""
    st.session_state[_UPLOADS] = []
    choose_sample(None)


def case_id(file_id: str) -> UUID:
    """What the case of an uploaded file is called: made when it is first asked for, the same ever after."""
    case_ids = cast(dict[str, UUID], st.session_state.setdefault(_CASE_IDS, {}))
    return case_ids.setdefault(file_id, uuid4())


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


# --- Progress --------------------------------------------------------------------------------------------------------


def progress(case_id: UUID | None) -> Progress:
    """How far the image has come; a sample, which has no case, needs no own read."""
    if case_id is None:
        return Progress(is_skipped=True)
    return cast(dict[UUID, Progress], st.session_state.get(_PROGRESS, {})).get(case_id, Progress())


def keep_progress(case_id: UUID | None, **changes: Any) -> None:
    """Remember a step of the review, by the names of `Progress`; nothing is kept of a sample."""
    if case_id is not None:
        store = cast(dict[UUID, Progress], st.session_state.setdefault(_PROGRESS, {}))
        store[case_id] = replace(progress(case_id), **changes)


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
