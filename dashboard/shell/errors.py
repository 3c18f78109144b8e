"""One message for each error that a user can meet: what failed, why, what still works and what to do."""

from __future__ import annotations

from dashboard.shell.identity import NotSignedIn, RoleMissing, SignInExpired
from dashboard.shell.settings import SettingsError
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseNotFound
from data.cases.rules import NotAllowed
from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable
from data.cases.tables import CaseUnreadable
from data.datasets.ham10000 import DatasetError
from model.evaluation.predictions import PredictionsError
from model.inference.artifact import ArtifactMismatch
from model.remote.failures import RemoteMismatch, RemoteUnavailable

SAVE_ERRORS: dict[type[Exception], str] = {
    CaseLogUnavailable: "The case log cannot be reached",
    StorageUnavailable: "The image store cannot be reached",
    NotAllowed: "Your role may not do this",
    CaseNotFound: "This case is no longer in the log",
    NotSignedIn: "Your sign-in has ended",
    RoleMissing: "You have no role here",
    ValueError: "Something that was entered cannot be kept",
}
_WAY_OUT: dict[type[Exception], str] = {
    CaseLogUnavailable: "Try again in a moment; if it stays like this, tell whoever runs LesionLens.",
    StorageUnavailable: "Try again in a moment; if it stays like this, tell whoever runs LesionLens.",
    NotAllowed: "Ask whoever runs LesionLens for the role of a clinician.",
    CaseNotFound: "It may have been deleted on the Cases page; the image can be saved again.",
    NotSignedIn: "Copy what you typed, sign in again, and open the image once more.",
    RoleMissing: "Ask whoever runs LesionLens for the role of a clinician.",
    ValueError: "Correct it, then try again.",
}


ERROR_TITLES: dict[type[Exception], str] = {
    ArtifactMismatch: "The model's files cannot be used",
    PredictionsError: "The model's test predictions cannot be read",
    DatasetError: "The dataset folder cannot be read",
    RemoteUnavailable: "The model does not answer",
    RemoteMismatch: "The model that answered is not the one that belongs here",
    SettingsError: "A setting cannot be used",
    NotSignedIn: "You are not signed in",
    SignInExpired: "Your sign-in has ended",
    RoleMissing: "No role was given to you",
    CaseLogUnavailable: "The case log cannot be reached",
    CaseNotFound: "There is no such case",
    CaseUnreadable: "This case cannot be read",
    NotAllowed: "Your role does not allow this",
    StorageUnavailable: "The image store cannot be reached",
    ImageMissing: "The image of this case is missing",
    ImageAltered: "The image of this case is not the one that was saved",
}
STILL_WORKS: dict[type[Exception], str] = {
    ArtifactMismatch: "The Dataset page works without a model.",
    PredictionsError: "The other pages work without them.",
    DatasetError: "This page shows the counts that come with LesionLens instead.",
    RemoteUnavailable: "The image was not judged. Saved cases and the other pages work without the model.",
    RemoteMismatch: "The image was not judged. Saved cases and the other pages work without the model.",
    SettingsError: "",
    NotSignedIn: "",
    SignInExpired: "",
    RoleMissing: "",
    CaseLogUnavailable: "Nothing was changed. Reviewing an image works without the log; what is typed here stays.",
    CaseNotFound: "It may have been deleted, or belong to another organisation.",
    CaseUnreadable: "Nothing was changed; the other cases can be read.",
    NotAllowed: "",
    StorageUnavailable: "The facts of a case and its probabilities are shown without its image.",
    ImageMissing: "What was recorded of the case is shown without it.",
    ImageAltered: "It is not shown; what was recorded of the case is.",
}


def error_message(error: Exception) -> str:
    """Title, reason and what still works, for an error class that a user can meet."""
    return f"**{ERROR_TITLES[type(error)]}.** {error}. {STILL_WORKS[type(error)]}".strip()
