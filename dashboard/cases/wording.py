"""Every text of the Cases page that is more than a label; one message for each error of the case log and image store.

Unsure is never shown as safe, also in a case that was saved long ago; what is typed by a user is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from dashboard.answer.diagnosis import diagnosis_markdown, listed_diagnosis
from dashboard.answer.patient import choice, person, place_of
from dashboard.answer.saved import INFORMED_NOT_COMPARED, model_name
from dashboard.shell.formats import escape
from dashboard.shell.times import day_of, shown_time
from data.cases.case import Case, ModelResult, Read, Refusal
from data.cases.queries import MAX_SEARCH, CaseSummary
from data.tasks.known import TASKS
from data.tasks.task import Task
from model.inference.clinical import GIVEN

# --- Worklist --------------------------------------------------------------------------------------------------------

TITLE, CASE_TITLE = "Cases", "Case"
EMPTY_LOG_TITLE = "No case has been saved yet"
EMPTY_LOG = (
    "Open an image on the **Review** page, decide, and press **Save case**. The case then stands here: as it was, with "
    "its image, its heatmap and both reads."
)
NOTHING_FOUND_TITLE = "No case matches this search"
NOTHING_FOUND = "Widen the dates, shorten the words, or remove a filter. **Reset** shows all cases again."
SEARCH_HELP = (
    "A whole patient reference (capitals, spaces and hyphens do not matter), or words from the note or the file name."
)
SEARCH_TOO_LONG = f"This search is too long: only its first {MAX_SEARCH} characters are used."
SAVED_BY_HELP = "The whole name, as the column Saved by shows it."
TABLE_CAPTION = "Cases found; the button with the picture opens a case"
NO_REFERENCE = "No reference"
NO_PICTURE, PICTURE_COMES = "No image", "…"
TICK_HINT = "Tick rows of the table to export only those."
ANY = "Any"
FLAGGED_NAMES = {True: "Flagged", False: "Not flagged"}
DIFFERS_NAMES = {True: "Differs from the AI", False: "Same as the AI"}
REFUSED_NAMES = {True: "Refused by the AI", False: "Given by the AI"}
BIOPSY_NAMES = {True: "With a result", False: "Without a result"}
# Days by what they are called in a list of choices.
NOT_SEEN_FOR = {
    30: "Not seen again for 1 month",
    91: "Not seen again for 3 months",
    182: "Not seen again for 6 months",
    365: "Not seen again for 12 months",
}
DUE_DAYS = 91
DUE_HELP = (
    "Plan Follow-up, no {reference} result, and no later case of the same {subject}. A plan holds no date, so you "
    "choose after how long a follow-up counts as due."
)
TO_DO_HEADING = "To do"
UNPLANNED, DUE = "Flagged, no follow-up planned", "Follow-up due"
UNPLANNED_HELP = "Flagged by the AI, plan No follow-up, no {reference} result."
DUE_BUTTON_HELP = f"Not seen again for 3 months. {DUE_HELP}"
PREVIOUS, NEXT = "Previous", "Next"
TASK_LABEL = "Cases of"
EVERY_TASK = "All tasks"
TASK_HELP = "Cases of one task can be searched by what was found in them, and exported."
EXPORT_ONE_TASK = "Exports hold cases of one task: choose one above, or tick rows of one."


def unreadable_cases(case_ids: Sequence[UUID]) -> str:
    """Said above a page of the list of which some cases cannot be read."""
    one = len(case_ids) == 1
    named = ", ".join(str(case_id) for case_id in case_ids)
    return (
        f"**{'One case' if one else f'{len(case_ids)} cases'} on this page cannot be read:** {named}. The other cases "
        f"are listed below; exports and Local performance leave {'it' if one else 'them'} out. Nothing was changed. "
        "Tell whoever runs LesionLens, who can check the log on the Audit page and restore a backup."
    )


def unreadable(key: str, count: int) -> str:
    """Said instead of a list, where this version of the program does not know the task."""
    cases = "1 case is" if count == 1 else f"{count:,} cases are"
    return (
        f"**These cases cannot be read.** {cases} of the task {escape(key)}, which this version of LesionLens does not "
        "know. Nothing was changed; the version that saved them shows them."
    )


def awaited(plans: Sequence[str]) -> str:
    """Cases whose result is still to come: `Biopsy or excision planned, no result`."""
    return f"{_either(plans).capitalize()} planned, no result"


def awaited_help(plans: Sequence[str], tasks: Sequence[Task]) -> str:
    """Which cases these are."""
    return helped(f"Plan {_either([choice(plan) for plan in plans])}, and no {{reference}} result entered.", tasks)


def _either(words: Sequence[str]) -> str:
    """`biopsy, excision or referral`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def helped(text: str, tasks: Sequence[Task]) -> str:
    """A text on cases of these tasks, whose braces name what is said of each: `lesion`, or `lesion or eye`."""
    subjects = dict.fromkeys(task.words.subject for task in tasks)
    references = dict.fromkeys(task.words.reference for task in tasks)
    return text.format(subject=_either(list(subjects)), reference=_either(list(references)))


def label_name(task: Task | None) -> str:
    """What the decision's class is called; None for cases of several tasks."""
    return "Decision" if task is None else task.words.label.capitalize()


def model_class_name(task: Task | None) -> str:
    """What the model's class is called; None for cases of several tasks."""
    return "AI's answer" if task is None else f"AI's {task.standout}"


def reference_name(task: Task | None) -> str:
    """What tells for sure is called; None for cases of several tasks."""
    return "Reference" if task is None else task.words.reference.capitalize()


def positive_help(task: Task | None) -> str:
    """What the share in the list is the sum of; one sentence. None for cases of several tasks."""
    if task is None:
        return "The AI's answer, and how likely it was that the question of the case's task is answered with yes."
    names = ", ".join(task.named(code).name.lower() for code in task.question.positives)
    return f"The AI's {task.standout}, and how likely {task.question.positive} was: {names} together."


def flag(task: Task, share: str, is_flagged: bool) -> str:
    """`Malignant 78 %, flagged`."""
    unbroken = share.replace(" ", "\u00a0")
    return f"{task.question.positive.capitalize()} {unbroken}{', flagged' if is_flagged else ''}"


def order_names(task: Task | None) -> dict[str, str]:
    """What a list can be sorted by, in words; None for cases of several tasks."""
    return {
        "saved_at": "When saved",
        "saved_by": "Saved by",
        "patient_reference": "Patient reference",
        "age": "Age",
        "site": "Site",
        "dx": label_name(task),
        "prediction": model_class_name(task),
        "p_positive": "Probability by the AI" if task is None else f"{task.question.positive.capitalize()} by the AI",
    }


def found(count: int, first: int, last: int, is_filtered: bool) -> str:
    """`10,000 cases, 51 to 100 shown`, `3 cases found by these filters`."""
    cases = ("1 case" if count == 1 else f"{count:,} cases") + (" found by these filters" if is_filtered else "")
    return cases if last - first + 1 == count else f"{cases}, {first:,} to {last:,} shown"


def to_do(name: str, count: int) -> str:
    """A list of what is left to do and how much it is: `Follow-up due: 4`."""
    return f"{name}: **{count:,}**"


def place_in_list(position: int, count: int) -> str:
    """`Case 3 of 12 in the list`; the position counts from 1."""
    return f"Case {position:,} of {count:,} in the list"


def _decided(summary: CaseSummary) -> str:
    return listed_diagnosis(TASKS[summary.task], summary.dx, summary.other)


def one_line(number: int, summary: CaseSummary) -> str:
    """A case in a list to choose from, as plain text; the number tells two apart that read the same."""
    patient, decided = summary.patient_reference or "no reference", _decided(summary)
    place = place_of(TASKS[summary.task], summary.site, summary.side)
    return f"{number}. {shown_time(summary.saved_at)} · {patient} · {place} · {decided}"


# --- One case --------------------------------------------------------------------------------------------------------

OWN_READ_LABEL, DECISION_LABEL = "Own read before the AI", "Decision after the AI"
FIRST_READ_LABEL, NEWEST_DECISION_LABEL = "First read", "Decision"
DECISION_HINT = "The case keeps the newest decision; the audit trail keeps that it was changed, by whom and when."
BIOPSY_HINT = (
    "What {examination} found. It becomes the reference when **Local performance** counts how often the AI was right."
)
DELETE_TITLE = "Delete this case?"
SAME_LESION_AS_NOW = "as now"
NO_BIOPSY_DX = "Choose what {examination} found; for another {label}, say which. Then save again."
NEW_ANSWER_BUTTON = "Show the present model's answer beside it"
NO_NEW_ANSWER = "The present model does not answer this image; its quality check refuses it."
NOT_A_VERDICT = "Shown as it was saved. Nothing here was computed again."


def model_label(task: Task) -> str:
    """Whose word stands beside the two reads."""
    return f"AI's {task.standout}"


def no_dx(task: Task) -> str:
    """Where another diagnosis was chosen and not named."""
    return f"Say which other {task.words.label} it is, then save again."


def correct_hint(task: Task) -> str:
    """What can be corrected."""
    return f"Facts on the patient and the {task.words.subject}. The image and what the AI said of it are never changed."


def same_lesion_label(task: Task) -> str:
    """Which other case shows the same."""
    return f"Shows the same {task.words.subject} as"


def same_lesion_help(task: Task) -> str:
    """What that is for, and what is offered."""
    words = task.words
    return (
        f"Cases of one {words.subject} form a timeline. Offered are the {words.subjects} saved under the same patient "
        "reference."
    )


def of_its_own(task: Task) -> str:
    """The choice that parts a case from the others."""
    return f"no other case: {task.a_subject} of its own"


def case_heading(case: Case, names_task: bool = False) -> str:
    """What is opened, in one line of Markdown; its task where there are several."""
    parts = [
        *([f"**{case.task.name}**"] if names_task else []),
        f"Saved {shown_time(case.saved_at)} by {escape(case.saved_by)}",
        escape(case.patient.reference) if case.patient.reference else "no patient reference",
        person(case.patient),
        place_of(case.task, case.lesion.site, case.lesion.side),
    ]
    return " · ".join(parts)


def saved_model(result: ModelResult) -> str:
    """The line under a saved answer."""
    return (
        f"Model {model_name(result)} · weights {result.artifact_sha256[:12]} · preprocessing "
        f"{escape(result.preprocessing_version)} · calibrated for {escape(result.population)}"
    )


def refusing_model(refusal: Refusal) -> str:
    """The line under a refusal."""
    return (
        f"Model {model_name(refusal)} · weights {refusal.artifact_sha256[:12]} · no probability and no heatmap was kept"
    )


def model_has_changed(result: ModelResult | Refusal, present: str) -> str:
    """Said above a case that another model answered or refused."""
    if isinstance(result, Refusal):
        return (
            f"Model {model_name(result)} refused this image. The present model is {escape(present)}: it may give an "
            "answer. The case stays as it was."
        )
    return (
        f"This answer was given by model {model_name(result)}. The present model is {escape(present)}: it may answer "
        "otherwise. The saved answer stands as it was."
    )


def own_read_label(read: Read) -> str:
    """What the row of an own read is called: only an unaided one came before the AI."""
    return "Own read" if read.is_informed else OWN_READ_LABEL


def changed_mind(case: Case) -> str:
    """Whether the clinician's diagnosis changed between the two reads."""
    if case.own_read is not None and case.own_read.is_informed:
        return INFORMED_NOT_COMPARED
    if case.refusal is not None:
        return "There was no answer of the AI to be swayed by."
    if case.has_changed_mind is None:
        return "No read before the AI was asked for."
    if not case.has_changed_mind:
        return f"The {case.task.words.label} is the same before and after the AI's answer was seen."
    return f"The {case.task.words.label} was changed after the AI's answer was seen."


def delete_button(case: Case) -> str:
    """The button that removes a case names it, so that nobody deletes another one than they think."""
    return f"Delete the case of {escape(named(case))}"


def named(case: Case) -> str:
    """What tells a case from the others: `PAT-17, 21 Nov 2026, 14:05`; plain text."""
    return ", ".join(part for part in (case.patient.reference, shown_time(case.saved_at)) if part)


def deletion(case: Case) -> str:
    """What the confirmation says; in words, since it cannot be undone."""
    decided = diagnosis_markdown(case.task, case.decision)
    return (
        f"**{escape(named(case))}**, decided as {decided}, is removed from the log together with its "
        "image: patient reference, notes, both reads, the AI's answer and the "
        f"{case.task.words.reference} result. The audit trail keeps "
        "that a case was deleted, by whom and when. This cannot be undone."
    )


# --- Timeline --------------------------------------------------------------------------------------------------------


def timeline_heading(task: Task) -> str:
    """Above the cases of one lesion."""
    return f"This {task.words.subject} over time"


def timeline_alone(task: Task) -> str:
    """Where there is nothing to compare."""
    return f"This is the only case of this {task.words.subject}."


def compare_note(task: Task) -> str:
    """How two images are compared, and what cannot be told from them."""
    return (
        "Both images at the same zoom, moved together. Switch **Move together** off to line them up, and on again. The "
        f"distance of the camera is not known, so {task.a_subject} that looks larger may only be nearer."
    )


def visit(number: int, summary: CaseSummary) -> str:
    """A case of a timeline, from 1, as plain text: `2. 21 Nov 2026, 14:05`."""
    return f"{number}. {shown_time(summary.saved_at)}"


def days_between(earlier: datetime, later: datetime) -> str:
    """`same day`, `1 day`, `183 days`; days of the reader's calendar."""
    days = (day_of(later) - day_of(earlier)).days
    if days == 0:
        return "same day"
    return "1 day" if days == 1 else f"{days:,} days"


def points(earlier: float, later: float) -> str:
    """A difference of two shares in percentage points, with its sign: `+12`, `−3`, `0`."""
    difference = round((later - earlier) * 100)
    return f"+{difference}" if difference > 0 else f"−{-difference}" if difference < 0 else "0"


def populations(saved: str, present: str) -> str:
    """For whom the saved and the present answer hold."""
    saved, present = escape(saved), escape(present)
    return f"Both are calibrated for {saved}." if saved == present else f"Saved: {saved}. Now: {present}."


def other_models(earlier: ModelResult, later: ModelResult) -> str | None:
    """A remark where two answers cannot be compared as they stand."""
    if (earlier.artifact_sha256, earlier.preprocessing_version) == (later.artifact_sha256, later.preprocessing_version):
        if (GIVEN in earlier.population) == (GIVEN in later.population):
            return None
        return "One of the two answers takes age or body site into account: their difference may come from that alone."
    return (
        f"The two answers come from different models ({model_name(earlier)}, {model_name(later)}): their difference is "
        f"no sign of change in the {later.task.words.subject} by itself."
    )


# --- Exports ---------------------------------------------------------------------------------------------------------

EXPORT_HEADING = "Export"
EXPORT_NOTE = (
    "Exports hold what you see, patient references included; every one is written into the audit trail. In CSV a text "
    "that begins with = + - @ gets an apostrophe in front, so that a spreadsheet does not run it. The column "
    "`prediction` holds the {standout}."
)


def export_of(count: int, is_selection: bool) -> str:
    """What an export holds: `3 selected cases`, `all 512 cases found`."""
    if is_selection:
        return "1 selected case" if count == 1 else f"{count:,} selected cases"
    return "the case found" if count == 1 else f"all {count:,} cases found"


def too_many_images(limit: int) -> str:
    """Why the images cannot be had at once."""
    return f"Images can be exported for at most {limit:,} cases at once; select rows or filter."
