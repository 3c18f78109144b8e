"""Every text of the page on local performance that is more than a label. Nothing found is never called safe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.answer.saved import INFORMED
from dashboard.shell.formats import percent, plural
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import Metric, interval_of
from data.tasks.task import Task
from model.evaluation.drift import ACCEPTED_DISTANCE, MIN_DRIFT_LESIONS, Drift, Reference, Shift
from model.evaluation.subgroups import MIN_LESIONS
from model.evaluation.use import Share
from model.inference.calibration import population_name
from model.measures.intervals import Estimate

TITLE = "Local performance"
EMPTY_LOG_TITLE = "No case has been saved yet"
NOTHING_FOUND_TITLE = "No case in this period"
NOTHING_FOUND = "Choose a longer period or all models."
LOADING = "Reading the saved cases ..."

PERIODS: dict[int | None, str] = {30: "Last 30 days", 90: "Last 90 days", None: "All"}
PERIOD_NAMES: dict[int | None, str] = {30: "last 30 days", 90: "last 90 days", None: "all time"}
ALL_MODELS = "All models"
READER_NAMES: dict[str, str] = {"model": "AI", "own_read": "Own read", "decision": "Decision"}

AGREEMENT_HEADING = "Clinician and AI"
SWITCHES_TITLE = "Where decisions went"

LIVE_HEADING = "Against the {reference}"
NO_BIOPSIES = "None of the cases chosen has a {reference} result to measure by. Enter results on the **Cases** page."
RATES_TITLE = "Sensitivity, specificity and predictive values"
RATES_NOTE = (
    "Own read: before the AI's answer was shown; decision: after. Readers may have read different cases (n in the "
    "table): only rates of the same cases can be compared."
)
CALIBRATION_TITLE = "Stated probability and {reference}"
CALIBRATION_TABLE_TITLE = "Calibration in these cases"

DRIFT_HEADING = "Drift"
NO_REFERENCE = "no reference"
DRIFT_TABLE_TITLE = "Recent cases against the reference"
CLASS_SHARES_TITLE = "Answers of the AI"
DISTANCE_TITLE = "Distance from the training images"
DISTANCE_NOTE = "Images that the quality check refuses are left out of both curves."
NO_DISTANCES = "The manifest of this model holds no distances to compare with; `make studies` measures them."
NO_ANSWERS = "The manifest of this model holds no answers to compare with; export the model again to have them."

EXPORT_HEADING = "Labelled cases as a training set"
EXPORT_BUTTON = "Training set (ZIP)"
EXPORT_FILE = "lesionlens_labelled.zip"
NOTHING_LABELLED = "No case has a {reference} result to train on yet. Enter results on the **Cases** page."
_STATED = "age in five-year steps, sex and site, "
EXPORT_NOT_ALLOWED = "Your role may see these figures, not export images. A clinician or an administrator can."


def data_line(cases: int, lesions: int, period: str, task: Task) -> str:
    """On what a chart stands: `saved cases of the last 30 days, 120 cases, 96 lesions`."""
    return f"saved cases, {period}: {plural(cases, 'case')}, {plural(lesions, task.words.subject)}"


def biopsied_line(cases: int, lesions: int, period: str, task: Task) -> str:
    """The same of biopsied cases."""
    counted = f"{plural(cases, 'case')}, {plural(lesions, task.words.subject)}"
    return f"saved cases with a {task.words.reference} result, {period}: {counted}"


def counted(share: Share, task: Task) -> str:
    """`36 of 50 cases, 41 lesions`."""
    return f"{share.hits:,} of {plural(share.cases, 'case')}, {plural(share.lesions, task.words.subject)}"


def under_metric(share: Share, metric: Metric, task: Task) -> str:
    """The quiet line under a headline figure: interval and n, or that there are too few."""
    interval = interval_of(share.estimate, metric)
    return f"{interval or too_few(share.lesions, task)} · {counted(share, task)}"


def hits_of_n(share: Share) -> str:
    """`36 of 50`, as short as a table needs it."""
    return f"{share.hits:,} of {share.cases:,}"


def lesions(share: Share, task: Task) -> str:
    """`41 lesions`."""
    return plural(share.lesions, task.words.subject)


def too_few(lesions: int, task: Task, needed: int = MIN_LESIONS) -> str:
    """Why no rate is given."""
    if lesions >= needed:
        return "cannot be said"
    return f"too few to say ({plural(lesions, task.words.subject, task.words.subjects)}; {needed} needed)"


def left_out(informed_reads: int) -> str:
    """How many own reads the comparisons leave out; empty where none is."""
    if not informed_reads:
        return ""
    verb = "was" if informed_reads == 1 else "were"
    return f"{plural(informed_reads, 'own read')} {verb} {INFORMED} and {verb} left out of every comparison here."


def kappa_line(kappa: Estimate, task: Task) -> str:
    """`kappa 0.41 (0.30 to 0.52)`; empty where it cannot be said."""
    metric = metric_of("kappa", task)
    return "" if math.isnan(kappa.value) else f"kappa {metric.format(kappa.value)} ({interval_of(kappa, metric)})"


def drift_text(model: str, reference: Reference) -> str:
    """What is compared with what, and what a shift means."""
    dataset, subjects = reference.task.dataset.name, reference.task.words.subjects
    source = (
        f"{plural(reference.images, 'image')} of {dataset}'s training part, each answered by a network that was not "
        "trained on it (out of fold)"
        if reference.images
        else f"images of {dataset}"
    )
    return (
        f"Cases of the model in use, {model}, against {dataset}: the answers against those to {source}; distance and "
        f"blur against its locked test {subjects}. A shift is not a fault in itself, because your {subjects} differ "
        f"from {dataset}'s; it means that the measured sensitivity and specificity may not hold here. Finding no shift "
        "does not prove that they do."
    )


def beyond(drifts: Sequence[Drift], shifts: Sequence[Shift], metric: Metric, task: Task) -> str:
    """The amber sentence of one kind of shift that `is_beyond` in some windows.

    Args:
        drifts, shifts: those windows, and the shift in each.
        metric: of the shift.
    """
    windows = "; ".join(
        f"{PERIOD_NAMES[drift.days]} {metric.format(shift.estimate.value)} "
        f"({interval_of(shift.estimate, metric)}, {plural(drift.lesions, task.words.subject)})"
        for drift, shift in zip(drifts, shifts, strict=True)
    )
    return (
        f"**{metric.name} above the accepted {_limit(shifts[0].accepted)}:** {windows}. See what has changed: "
        "patients, camera, or light."
    )


def shift_state(drift: Drift, shift: Shift, task: Task) -> str:
    """A word for the table: `shifted`, `within 10 %`, `cannot be told`, or why nothing is said."""
    if math.isnan(shift.accepted):
        return NO_REFERENCE
    if math.isnan(shift.estimate.value):
        return too_few(drift.lesions, task, MIN_DRIFT_LESIONS)
    if shift.is_beyond:
        return f"shifted, above {_limit(shift.accepted)}"
    return f"within {_limit(shift.accepted)}" if shift.estimate.high <= shift.accepted else "cannot be told"


def _limit(accepted: float) -> str:
    return f"{accepted * 100:.2g} %"


def labelled(cases: int, lesions: int, contradictory: int, refused: int, other: int, task: Task) -> str:
    """How many cases the training set would hold, and how many are left out."""
    reasons = {
        f"of {task.words.subjects} whose {task.words.reference} results differ": contradictory,
        "of images that the AI refused": refused,
        f"whose {task.words.reference} found another {task.words.label} than the {task.count}": other,
    }
    left_out = ", ".join(f"{plural(count, 'case')} {reason}" for reason, count in reasons.items() if count)
    held = f"{plural(cases, 'case')} of {plural(lesions, task.words.subject)} with a {task.words.reference} result"
    return f"{held}. Left out: {left_out}." if left_out else f"{held}."


def too_many(limit: int) -> str:
    """Where a ZIP would be too large for the browser."""
    return (
        f"A ZIP is made for at most {limit:,} cases. For more, on the server: "
        "`python -m data.cases.labelled --database ... --images ... --key-file ... --output FOLDER`."
    )


# --- Of a task -------------------------------------------------------------------------------------------------------


def intro(task: Task) -> str:
    """What the page is."""
    words = task.words
    return (
        f"How clinicians and the AI compare in the cases saved here. Several cases of one {words.subject} all count; "
        f"intervals are 95 %, by {words.subject}, and no rate is given for fewer than {MIN_LESIONS} "
        f"{words.subjects}. {words.subjects.capitalize()} of one patient count as independent."
    )


def unreadable(count: int) -> str:
    """Where some cases are in no figure, since their rows in the log cannot be read."""
    return (
        f"**{plural(count, 'case')} cannot be read and {'is' if count == 1 else 'are'} in no figure below.** Tell "
        "whoever runs LesionLens, who can check the log on the Audit page and restore a backup."
    )


def empty_log(task: Task) -> str:
    """What to do first."""
    return (
        f"Open an image on the **Review** page, decide, and save the case. From ten {task.words.subjects} on, this "
        f"page says how often you and the AI agree and, with {task.words.reference} results from the **Cases** page, "
        "who was right."
    )


def agreement_text(task: Task) -> str:
    """What agreement is not."""
    return f"How often they name the same {task.words.label}. Agreement is not accuracy: both can be wrong together."


def switch_names(task: Task) -> dict[str, tuple[str, str]]:
    """Where decisions went, and of which cases that is said, by the key of `model.evaluation.use.Switches`."""
    label = task.words.label
    return {
        "to_model": (f"To the AI's {task.standout}", "of own reads that differed from the AI"),
        "elsewhere": (f"To a third {label}", "of own reads that differed from the AI"),
        "from_model": (f"Away from the AI's {task.standout}", "of own reads that agreed with the AI"),
        "to_right": ("From wrong to right", f"of wrong own reads, by {task.words.reference}"),
        "from_right": ("From right to wrong", f"of right own reads, by {task.words.reference}"),
    }


def refused(cases: int, task: Task) -> str:
    """Cases without an answer to compare with."""
    return (
        f"In {plural(cases, 'more case')} the AI refused the image and gave no answer: counted here, and in none of "
        "the figures below."
    )


def other_name(task: Task) -> tuple[str, str]:
    """Decisions for what is none of the classes, and of which cases that is said."""
    return f"For another {task.words.label}", f"not among the {task.count}; of all decisions"


def other_note(task: Task) -> str:
    """How such decisions are counted."""
    return (
        f"Whatever was typed, **Other** counts as one more {task.words.label}, never as one of the {task.count}, so it "
        "never agrees with the AI."
    )


def other_biopsies(cases: int, task: Task) -> str:
    """Biopsies that no rate can count."""
    return (
        f"In {plural(cases, 'case')} the {task.words.reference} found another {task.words.label} than the {task.count} "
        "that the AI knows. They count in none of the rates below."
    )


def verification_bias(task: Task) -> str:
    """Whom the rates are of."""
    subjects, question, reference = task.words.subjects, task.question, task.words.reference
    return (
        f"Only {subjects} with a {reference} result count here, which somebody thought worth one: a selected group. "
        f"Sensitivity comes out higher and specificity lower than among all {subjects} of the clinic, and PPV and NPV "
        f"hold for such {subjects} alone (verification bias). Rates are of {question.positive} against "
        f"{question.negative}; the AI calls {question.positive} what it flagged at the threshold saved with the case."
    )


def calibration_note(task: Task, population: str) -> str:
    """Why dots are expected above the diagonal; `population` as the model's calibration says it."""
    subjects, place = task.words.subjects, population_name(population)
    return (
        f"The probabilities are calibrated for {place}'s mix of {subjects}. Among {subjects} with a "
        f"{task.words.reference} result more are {task.question.positive}, so dots above the diagonal are to be "
        "expected."
    )


def reference_name(task: Task) -> str:
    """What cases are compared with."""
    return f"{task.dataset.name}, out of fold"


def distance_name(task: Task) -> str:
    """Whose distances cases are compared with."""
    return f"{task.dataset.name}, locked test"


def class_shares_note(task: Task) -> str:
    """How the chart of answers is read."""
    return f"Tick: share on {reference_name(task)}. Dot: these cases, with the 95 % interval."


def drift_note(task: Task) -> str:
    """What counts as a shift."""
    return (
        f"Accepted: {percent(ACCEPTED_DISTANCE)}, a convention of this program; for blurred images, their share in the "
        f"reference. Shifted: the whole interval lies above it. Below {MIN_DRIFT_LESIONS} {task.words.subjects} chance "
        "alone looks like a shift, and nothing is said."
    )


def export_note(task: Task) -> str:
    """What the training set holds."""
    return (
        f"All labelled cases of your organisation, whatever is chosen above: images, {task.words.label} by "
        f"{task.words.examination}, {_STATED if task.facts else ''}in the shape of HAM10000; no reference, note, name "
        "or time. `python -m model.train --extra FOLDER` trains on them. The export is recorded in the audit trail."
    )
