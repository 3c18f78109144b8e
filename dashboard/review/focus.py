"""Where each step of the review takes the reader: into view, and with the keyboard focus."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.shell import focus

# Keys of containers, and of the uploader.
INPUTS, IMAGE, REFUSED, ANSWER, SAVED = (
    "review_upload",
    "review_image",
    "review_refused",
    "review_verdict",
    "review_saved",
)


def to_inputs() -> None:
    """The user knows what LesionLens is for."""
    focus.go_to(INPUTS)


def to_image() -> None:
    """Another image is shown; one that got no answer has its reason there."""
    focus.go_to(IMAGE, REFUSED)


def to_answer() -> None:
    """The answer is shown: the verdict first."""
    focus.go_to(ANSWER)


def to_saved() -> None:
    """The case is in the log."""
    focus.go_to(SAVED)


def follow(names: Mapping[str, str]) -> None:
    """Carry out the last of them; `names` are those of the containers, for screen readers."""
    focus.follow(names, key="review_focus")
