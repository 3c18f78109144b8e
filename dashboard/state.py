"""Session state of the Review page: its keys and typed access. Nothing in here outlives the browser tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import streamlit as st

from model.explain import Explanation

_SAMPLE = "review_sample"
_UPLOADS = "review_uploads"
_POSITION = "review_position"
_ON_DEMAND = "review_on_demand"
# Maps computed on demand are a few hundred bytes each; a long session must not pile them up all the same.
MAX_ON_DEMAND = 32


@dataclass(frozen=True)
class Upload:
    """An image the user gave: its name as given, its bytes, and whether it is one of our synthetic samples."""

    name: str
    content: bytes
    is_sample: bool = False


def chosen_sample() -> str | None:
    """File name of the sample that was opened, or None."""
    return cast(str | None, st.session_state.get(_SAMPLE))


def choose_sample(file: str | None) -> None:
    """Open a sample, or none; the queue starts at its beginning."""
    st.session_state[_SAMPLE] = file
    st.session_state[_POSITION] = 0


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


def position(length: int) -> int:
    """Which image of a queue of `length` is shown, from 0; the last one where the queue has become shorter."""
    return min(cast(int, st.session_state.get(_POSITION, 0)), max(length - 1, 0))


def move(steps: int, length: int) -> None:
    """Go forward or back in the queue, staying within it."""
    st.session_state[_POSITION] = min(max(position(length) + steps, 0), length - 1)


def on_demand(image_sha256: str) -> dict[tuple[str, str], Explanation]:
    """Explanations computed on demand for an image, by method and dx code."""
    store = cast(dict[tuple[str, str, str], Explanation], st.session_state.get(_ON_DEMAND, {}))
    return {(method, dx): explanation for (sha256, method, dx), explanation in store.items() if sha256 == image_sha256}


def keep_on_demand(image_sha256: str, dx: str, explanation: Explanation) -> None:
    """Remember an explanation for this session; the oldest goes when there are too many."""
    store = dict(st.session_state.get(_ON_DEMAND, {}))
    store[image_sha256, explanation.method, dx] = explanation
    st.session_state[_ON_DEMAND] = dict(list(store.items())[-MAX_ON_DEMAND:])
