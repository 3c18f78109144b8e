"""Every text of a reader's own read, the decision and saving that is more than a label."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.answer.wording import name_and_code
from dashboard.shell.formats import escape
from data.cases.case import MAX_REFERENCE, MAX_TEXT, Case, Decision, Lesion, Patient, Read
from data.cases.queries import CaseSummary

# --- Own read --------------------------------------------------------------------------------------------------------

OWN_READ_HEADING = "Your read first"
OWN_READ_INTRO = (
    "Say what you see before the AI's answer can sway you. Both are kept with the case; your read cannot be changed "
    "once the answer is shown."
)
SHOW_ANSWER = "Show the AI's answer"
SKIP_READ = "Skip my own read"
SKIP_READ_HELP = "The answer is shown at once; no read of yours is kept with the case."
CERTAINTY_LABEL = "How sure are you?"


def still_to_pick(missing: Sequence[str]) -> str:
    """What the own read or the decision lacks: `Still to pick: certainty and plan.`"""
    return f"Still to pick: {' and '.join([', '.join(missing[:-1]), missing[-1]] if missing[1:] else missing)}."


def own_read(read: Read | None) -> str:
    """The read before the answer, as it was locked."""
    if read is None:
        return "You skipped your own read of this image."
    return f"Your read before the AI: **{name_and_code(read.dx)}**, {read.certainty}, {read.plan}. It stays as it was."


# --- Decision --------------------------------------------------------------------------------------------------------

DECISION_HEADING = "Decide and save"
SAMPLE_NOT_SAVED = (
    "A synthetic sample shows no patient: it is for trying out and cannot be saved as a case. Open an image of your "
    "own to decide and save."
)
PATIENT_HEADING = "Patient, all optional"
REFERENCE_LABEL = "Patient reference"
REFERENCE_HELP = f"Your clinic's own word for the patient, at most {MAX_REFERENCE} characters."
REFERENCE_KEPT = (
    "Kept as typed with the case, for your organisation only; searched by a keyed hash; never written to a log."
)
EARLIER_LABEL = "Same lesion as an earlier case"
NEW_LESION = "No, a lesion that is not in the log"
NO_EARLIER = "No earlier case has this reference."
NOTE_HELP = f"At most {MAX_TEXT:,} characters. Do not write names here."
SITE_NAMES = {"acral": "Palm or sole (acral)", "genital": "Genital area", "trunk": "Trunk (not specified)"}
SAVE, SAVE_HELP = "Save case", "Image, answer, both reads and what you typed; nothing is stored before."
CHANGE_DECISION = "Change decision"
KEPT = "What you typed is still here."


def choice(word: str) -> str:
    """A word of a list in `data.cases.case` as it stands on a button."""
    return word[:1].upper() + word[1:]


def site(word: str) -> str:
    """A body site as it stands on a button."""
    return SITE_NAMES.get(word, choice(word))


def reason_label(dx: str | None, read: Read | None, prediction: str) -> str | None:
    """The question for a reason, where the diagnosis differs from the own read or from the AI's; None where not."""
    differs = [
        name
        for name, other in (("your own read", read.dx if read else dx), ("the AI's prediction", prediction))
        if dx is not None and dx != other
    ]
    return f"Why does it differ from {' and '.join(differs)}?" if differs else None


def earlier_lesion(summary: CaseSummary) -> str:
    """A lesion of an earlier case as the picker lists it; plain text."""
    place = site(summary.site) + (f", {summary.side}" if summary.side != "unknown" else "")
    return f"{place} · {name_and_code(summary.dx)} · {summary.saved_at:%d %b %Y}"


# --- Saved -----------------------------------------------------------------------------------------------------------

OPEN_CASE = "Open the case"
NEXT_HINT = "Press N for the next image."


def saved(case: Case) -> str:
    """When and by whom, and what the decision was."""
    return (
        f"**Saved** {case.saved_at:%d %b %Y, %H:%M} UTC by {escape(case.saved_by)}: {decision(case.decision)} "
        "This image is not saved a second time."
    )


def decision(decided: Decision) -> str:
    """`Melanoma (mel), biopsy.` with the reason, if there is one."""
    reason = f" Reason: {escape(decided.reason)}" if decided.reason else ""
    return f"{name_and_code(decided.dx)}, {decided.plan}.{reason}"


def facts(patient: Patient, lesion: Lesion) -> str:
    """What was saved of patient and lesion."""
    age = "age unknown" if patient.age is None else f"{patient.age:.0f} years"
    sex = "sex unknown" if patient.sex == "unknown" else patient.sex
    place = "site unknown" if lesion.site == "unknown" else lesion.site
    side = "" if lesion.side == "unknown" else f", {lesion.side}"
    reference = f"Patient {escape(patient.reference)} · " if patient.reference else ""
    note = f" · Note: {escape(lesion.note)}" if lesion.note else ""
    return f"{reference}{age} · {sex} · {place}{side}{note}"
