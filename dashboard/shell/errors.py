"""One message for each error that a user can meet: what failed, why, what still works and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.settings import SettingsError
from dashboard.shell.formats import escape
from dashboard.shell.identity import NotSignedIn, RoleMissing, SignInExpired
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseNotFound
from data.cases.rules import NotAllowed
from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable
from data.cases.tables import CaseUnreadable
from data.datasets.ham10000 import DatasetError
from model.evaluation.model_table import ResultsError
from model.evaluation.predictions import PredictionsError
from model.inference.artifact import ArtifactMismatch
from model.remote.failures import RemoteMismatch, RemoteUnavailable


@dataclass(frozen=True)
class Told:
    """What is said of an error.

    Attributes:
        title: what failed, in a few words.
        still_works: what works in spite of it, where a page stands without its content.
        way_out: what to do, where a form stands filled in.
    """

    title: str
    still_works: str = ""
    way_out: str = ""


_TRY_LATER = "Try again in a moment; if it stays like this, tell whoever runs LesionLens."
_ASK_FOR_ROLE = "Ask whoever runs LesionLens for the role of a clinician."
# What may end any block of a page. The class of an error comes before the class it is made from.
ERRORS: dict[type[Exception], Told] = {
    ArtifactMismatch: Told("The model's files cannot be used", "The Dataset page works without a model."),
    PredictionsError: Told("The model's test predictions cannot be read", "The other pages work without them."),
    ResultsError: Told("A table of results cannot be read", "The other sections work without it."),
    DatasetError: Told("The dataset folder cannot be read"),
    RemoteUnavailable: Told(
        "The model does not answer",
        "The image was not judged. Saved cases and the other pages work without the model.",
    ),
    RemoteMismatch: Told(
        "The model that answered is not the one that belongs here",
        "The image was not judged. Saved cases and the other pages work without the model.",
    ),
    SettingsError: Told("A setting cannot be used"),
    SignInExpired: Told(
        "Your sign-in has ended", way_out="Copy what you typed, sign in again, and open the image once more."
    ),
    NotSignedIn: Told(
        "You are not signed in", way_out="Copy what you typed, sign in again, and open the image once more."
    ),
    RoleMissing: Told("No role was given to you", way_out=_ASK_FOR_ROLE),
    CaseLogUnavailable: Told(
        "The case log cannot be reached",
        "Nothing was changed. Reviewing an image works without the log; what is typed here stays.",
        _TRY_LATER,
    ),
    CaseUnreadable: Told("This case cannot be read", "Nothing was changed; the other cases can be read."),
    CaseNotFound: Told(
        "There is no such case",
        "It may have been deleted, or belong to another organisation.",
        "It may have been deleted on the Cases page; the image can be saved again.",
    ),
    NotAllowed: Told("Your role does not allow this", way_out=_ASK_FOR_ROLE),
    StorageUnavailable: Told(
        "The image store cannot be reached",
        "The facts of a case and its probabilities are shown without its image.",
        _TRY_LATER,
    ),
    ImageMissing: Told("The image of this case is missing", "What was recorded of the case is shown without it."),
    ImageAltered: Told(
        "The image of this case is not the one that was saved",
        "It is not shown; what was recorded of the case is.",
    ),
}
# What a form meets besides: a text that the log does not take. Anywhere else a ValueError is a fault of the program.
ENTRY_REFUSED = Told("Something that was entered cannot be kept", way_out="Correct it, then try again.")
ANY_PAGE: tuple[type[Exception], ...] = tuple(ERRORS)
SAVING: tuple[type[Exception], ...] = (*(kind for kind, told in ERRORS.items() if told.way_out), ValueError)


def told_of(error: Exception) -> Told:
    """What is said of an error that a user can meet, or of one made from it."""
    return next((told for kind, told in ERRORS.items() if isinstance(error, kind)), ENTRY_REFUSED)


def error_message(error: Exception, still_works: str = "") -> str:
    """Title, reason and what still works, for an error of `ANY_PAGE`.

    Args:
        error: what happened.
        still_works: what works in spite of it, where that differs from case to case.
    """
    told = told_of(error)
    return f"**{told.title}.** {error}. {still_works or told.still_works}".strip()


def failure_message(what: str, error: Exception) -> str:
    """What failed, why and what to do, for an error of `SAVING`; what was typed stays."""
    told = told_of(error)
    return f"**{what}.** {told.title}: {escape(str(error))}. {told.way_out}"
