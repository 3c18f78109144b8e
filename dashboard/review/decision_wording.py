"""Every text of a reader's own read, the decision and saving that is more than a label."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.answer.diagnosis import diagnosis, diagnosis_markdown
from dashboard.answer.patient import choice, named_place, place_of, sex, years
from dashboard.answer.saved import INFORMED
from dashboard.shell.formats import escape
from dashboard.shell.times import shown_day, shown_time
from data.cases.case import MAX_REFERENCE, MAX_TEXT, Case, Decision, Lesion, Patient, Read
from data.cases.queries import CaseSummary
from data.tasks.known import TASKS
from data.tasks.task import Task

# --- Own read --------------------------------------------------------------------------------------------------------

OWN_READ_HEADING = "Your read first"
OWN_READ_INTRO = (
    "Say what you see before the AI's answer can sway you. Both are kept with the case; your read cannot be changed "
    "once the answer is shown."
)
SEEN_BEFORE = (
    "You have seen the AI's answer to this image before. Your read is kept, marked as given after the answer had been "
    "shown, and is not compared with the AI."
)
SHOW_ANSWER = "Show the AI's answer"
SKIP_READ = "Skip my own read"
SKIP_READ_HELP = "The answer is shown at once; no read of yours is kept with the case."
CERTAINTY_LABEL = "How sure are you?"


def still_to_pick(missing: Sequence[str]) -> str:
    """What the own read or the decision lacks: `Still to pick: certainty and plan.`"""
    return f"Still to pick: {' and '.join([', '.join(missing[:-1]), missing[-1]] if missing[1:] else missing)}."


def own_read(read: Read | None, task: Task) -> str:
    """The own read as it was locked; only an unaided one came before the answer."""
    if read is None:
        return "You skipped your own read of this image."
    said = f"**{diagnosis_markdown(task, read)}**, {read.certainty}, {read.plan}"
    if read.is_informed:
        return f"Your own read, {INFORMED}: {said}. It stays as it was."
    return f"Your read before the AI: {said}. It stays as it was."


# --- Decision --------------------------------------------------------------------------------------------------------

DECISION_HEADING = "Decide and save"
SAMPLE_NOT_SAVED = (
    "A synthetic sample shows no patient: it is for trying out and cannot be saved as a case. Open an image of your "
    "own to decide and save."
)
PATIENT_HEADING = "Patient, all optional"
REFERENCE_HELP = f"Your clinic's own word for the patient, at most {MAX_REFERENCE} characters."
REFERENCE_KEPT = (
    "Kept as typed with the case, for your organisation only; searched by a keyed hash; never written to a log."
)
SAME_PATIENT = "Same patient as the image before"
# Templates of `Task.worded`, as SAVE_AGAIN, its help and KEEP_INTRO.
EARLIER_LABEL = "Same {subject} as an earlier case"
NEW_LESION = "No, {a_subject} that is not in the log"
NO_EARLIER = "No earlier case has this reference."
NOTE_HELP = f"At most {MAX_TEXT:,} characters. Do not write names here."
OPEN_EARLIER = "Open that case"
SAVE_AGAIN = "Save this image again, as the same {subject}"
SAVE_AGAIN_HELP = "The new case joins the {subject} of the earlier one, and the {subject} is counted once."
SAVE, SAVE_HELP = "Save case", "Image, answer, both reads and what you typed; none of it is stored before."
SAVE_AND_NEXT = "Save and next"
CHANGE_DECISION = "Change decision"
KEPT = "What you typed is still here."


KEEP_HEADING = "Keep it without an answer"
KEEP_INTRO = (
    "Your {label}, plan and note are kept with the image and the reason above. The AI gave no answer, so none is "
    "kept: no probability, no heatmap."
)
KEEP, KEEP_HELP = (
    "Save without an answer",
    "The image, why it was refused, and what you typed; none of it is stored before.",
)


def reason_label(dx: str | None, read: Read | None, named: str | None, task: Task) -> str | None:
    """The question for a reason, where the class differs from the own read or from the one that stands out, `named`."""
    differs = [
        name
        for name, other in (("your own read", read.dx if read else dx), (f"the AI's {task.standout}", named or dx))
        if dx is not None and dx != other
    ]
    return f"Why does it differ from {' and '.join(differs)}?" if differs else None


def saved_before(cases: Sequence[CaseSummary], is_told: bool) -> str:
    """That there are cases of the same image, newest first, of known tasks.

    Args:
        cases: at least one.
        is_told: whether the reader may know the diagnosis.
    """
    newest = cases[0]
    count = f" It is in {len(cases)} cases; this is the newest." if len(cases) > 1 else ""
    when = f"Saved on {shown_day(newest.saved_at)}"
    if is_told:
        decided = diagnosis_markdown(TASKS[newest.task], Decision(newest.dx, newest.plan, other=newest.other))
        return f"**{when} as {decided}** by {escape(newest.saved_by)}.{count}"
    label = TASKS[newest.task].words.label
    return f"**{when}** by {escape(newest.saved_by)}. The {label} is shown after your own read.{count}"


def same_patient_help(patient: Patient) -> str:
    """What the button fills in; the reference is typed by a user."""
    stated = [years(patient.age), sex(patient.sex)]
    return ", ".join([f"Reference {escape(patient.reference)}" if patient.reference else "No reference", *stated])


def earlier_lesion(summary: CaseSummary) -> str:
    """A lesion of an earlier case, of a known task, as the picker lists it; plain text."""
    task = TASKS[summary.task]
    decided = diagnosis(task, Decision(summary.dx, summary.plan, other=summary.other))
    where = (summary.site, summary.side)
    named = named_place(*where) if task.has_sites else choice(place_of(task, *where))
    return f"{named} · {decided} · {shown_day(summary.saved_at)}"


# --- Saved -----------------------------------------------------------------------------------------------------------

OPEN_CASE = "Open the case"
NEXT_HINT = "Press N for the next image."


def saved(case: Case) -> str:
    """When and by whom, and what the decision was."""
    decided = decision(case.decision, case.task)
    return (
        f"**Saved** {shown_time(case.saved_at)} by {escape(case.saved_by)}: {decided} "
        "This image is not saved a second time."
    )


def decision(decided: Decision, task: Task) -> str:
    """`Melanoma (mel), biopsy.` with the reason, if there is one."""
    reason = f" Reason: {escape(decided.reason)}" if decided.reason else ""
    return f"{diagnosis_markdown(task, decided)}, {decided.plan}.{reason}"


def facts(patient: Patient, lesion: Lesion, task: Task) -> str:
    """What was saved of patient and lesion."""
    stated = (years(patient.age), sex(patient.sex), place_of(task, lesion.site, lesion.side))
    reference = f"Patient {escape(patient.reference)} · " if patient.reference else ""
    note = f" · Note: {escape(lesion.note)}" if lesion.note else ""
    return f"{reference}{' · '.join(stated)}{note}"
