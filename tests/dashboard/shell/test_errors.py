"""What is said of each error: on a page without its content, and above a form that stands filled in."""

from __future__ import annotations

import pytest

from dashboard.shell import errors
from dashboard.shell.identity import SignInExpired
from data.cases.database import CaseLogUnavailable


@pytest.mark.parametrize("kind", errors.SAVING)
def test_every_error_says_what_failed_and_what_to_do(kind: type[Exception]) -> None:
    text = errors.failure_message("The case was not saved", kind("expected *this*"))
    told = errors.ENTRY_REFUSED if kind is ValueError else errors.ERRORS[kind]
    assert text.startswith(f"**The case was not saved.** {told.title}: ") and told.way_out
    assert text.endswith(f". {told.way_out}")
    assert r"\*this\*" in text and "  " not in text and ".." not in text


def test_error_of_a_subclass_has_the_words_of_its_class() -> None:
    special = type("Special", (CaseLogUnavailable,), {})
    assert errors.ERRORS[CaseLogUnavailable].title in errors.failure_message("It failed", special("away"))
    assert "Your sign-in has ended" in errors.failure_message("It failed", SignInExpired("expired"))
