"""Every text of the Use page that is more than a label. Nothing found is never called safe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.shell.formats import percent, plural
from dashboard.shell.glossary import METRICS
from dashboard.shell.metrics import Metric, interval_range
from model.evaluation.drift import ACCEPTED_DISTANCE, MIN_DRIFT_LESIONS, Drift, Reference, Shift
from model.evaluation.subgroups import MIN_LESIONS
from model.evaluation.use import Share
from model.measures.intervals import Estimate

TITLE = "Use"
INTRO = (
    "What the saved cases say of clinician and AI together. Cases are counted, also several of one lesion; intervals "
    f"are 95 % by bootstrap of lesions, and below {MIN_LESIONS} lesions no rate is given. Lesions of one patient count "
    "as independent."
)
EMPTY_LOG_TITLE = "No case has been saved yet"
EMPTY_LOG = (
    "Open an image on the **Review** page, decide, and save the case. From ten lesions on this page says how often "
    "you and the AI agree; with biopsy results from the **Cases** page, who was right."
)
NOTHING_FOUND_TITLE = "No case in this period"
NOTHING_FOUND = "Choose a longer period or all models."
LOADING = "Reading the saved cases ..."

PERIODS: dict[int | None, str] = {30: "Last 30 days", 90: "Last 90 days", None: "All"}
PERIOD_NAMES: dict[int | None, str] = {30: "last 30 days", 90: "last 90 days", None: "all time"}
ALL_MODELS = "All models"
READER_NAMES: dict[str, str] = {"model": "AI", "own_read": "Own read", "decision": "Decision"}

AGREEMENT_HEADING = "Clinician and AI"
AGREEMENT_TEXT = "How often they name the same diagnosis. Agreement is not accuracy: both can be wrong together."

SWITCHES_TITLE = "Where decisions went"
SWITCH_NAMES: dict[str, tuple[str, str]] = {
    "to_model": ("To the AI's diagnosis", "of own reads that differed from the AI"),
    "elsewhere": ("To a third diagnosis", "of own reads that differed from the AI"),
    "from_model": ("Away from the AI's diagnosis", "of own reads that agreed with the AI"),
    "to_right": ("From wrong to right", "of wrong own reads, by biopsy"),
    "from_right": ("From right to wrong", "of right own reads, by biopsy"),
}

LIVE_HEADING = "Against the biopsy"
VERIFICATION_BIAS = (
    "Only lesions that somebody thought worth a biopsy count here, a selected group: sensitivity comes out higher and "
    "specificity lower than among all lesions of the clinic, and PPV and NPV hold for such lesions alone "
    "(verification bias). Rates are of malignant against benign; the AI calls malignant what it flagged at the "
    "threshold saved with the case."
)
NO_BIOPSIES = "No case of this choice has a biopsy result. Enter results on the **Cases** page to see who was right."
RATES_TITLE = "Sensitivity, specificity and predictive values"
RATES_NOTE = (
    "Own read: before the AI's answer was shown; decision: after. Readers may have read different cases (n in the "
    "table): only rates of the same cases can be compared."
)
CALIBRATION_TITLE = "Stated probability and biopsy"
CALIBRATION_TABLE_TITLE = "Calibration in these cases"
CALIBRATION_NOTE = (
    "The probabilities are calibrated for HAM10000's mix of lesions. Among lesions chosen for biopsy more are "
    "malignant, so dots above the diagonal are to be expected."
)

DRIFT_HEADING = "Drift"
REFERENCE_NAME = "HAM10000, out of fold"
NO_REFERENCE = "no reference"
DRIFT_TABLE_TITLE = "Recent cases against the training data"
CLASS_SHARES_TITLE = "Answers of the AI"
CLASS_SHARES_NOTE = f"Tick: share on {REFERENCE_NAME}. Dot: these cases, with the 95 % interval."
DISTANCE_TITLE = "Distance from the training images"
DISTANCE_NOTE = "Images that the quality check refuses become no cases; they are left out of both curves."
NO_DISTANCES = "The manifest of this model holds no distances to compare with; `make studies` measures them."
NO_ANSWERS = "The manifest of this model holds no answers to compare with; export the model again to have them."

EXPORT_HEADING = "Labelled cases as a training set"
EXPORT_BUTTON = "Training set (ZIP)"
EXPORT_FILE = "lesionlens_labelled.zip"
NOTHING_LABELLED = "No case has a biopsy result yet. Enter results on the **Cases** page."
EXPORT_NOTE = (
    "All labelled cases of your organisation, whatever is chosen above: images, diagnosis by histopathology, age in "
    "five-year steps, sex and site, in the shape of HAM10000; no reference, note, name or time. "
    "`python -m model.train --extra FOLDER` trains on them. The export is recorded in the audit trail."
)
EXPORT_NOT_ALLOWED = "Your role may see these figures, not export images. A clinician or an administrator can."


def data_line(cases: int, lesions: int, period: str) -> str:
    """On what a chart stands: `saved cases of the last 30 days, 120 cases, 96 lesions`."""
    return f"saved cases, {period}: {plural(cases, 'case')}, {plural(lesions, 'lesion')}"


def biopsied_line(cases: int, lesions: int, period: str) -> str:
    """The same of biopsied cases."""
    return f"biopsied cases, {period}: {plural(cases, 'case')}, {plural(lesions, 'lesion')}"


def interval_of(estimate: Estimate, metric: Metric) -> str:
    """The 95 % interval; empty where it cannot be said."""
    return "" if math.isnan(estimate.low) else interval_range(estimate.low, estimate.high, metric)


def counted(share: Share) -> str:
    """`36 of 50 cases, 41 lesions`."""
    return f"{share.hits:,} of {plural(share.cases, 'case')}, {plural(share.lesions, 'lesion')}"


def under_metric(share: Share, metric: Metric) -> str:
    """The quiet line under a headline figure: interval and n, or that there are too few."""
    interval = interval_of(share.estimate, metric)
    return f"{interval} · {counted(share)}" if interval else f"{too_few(share.lesions)} · {counted(share)}"


def hits_of_n(share: Share) -> str:
    """`36 of 50`, as short as a table needs it."""
    return f"{share.hits:,} of {share.cases:,}"


def lesions(share: Share) -> str:
    """`41 lesions`."""
    return plural(share.lesions, "lesion")


def too_few(lesions: int, needed: int = MIN_LESIONS) -> str:
    """Why no rate is given."""
    return f"too few to say: {lesions:,} of {needed} lesions" if lesions < needed else "cannot be said"


def kappa_line(kappa: Estimate) -> str:
    """`kappa 0.41 (0.30 to 0.52)`; empty where it cannot be said."""
    metric = METRICS["kappa"]
    return "" if math.isnan(kappa.value) else f"kappa {metric.format(kappa.value)} ({interval_of(kappa, metric)})"


def drift_text(model: str, reference: Reference) -> str:
    """What is compared with what, and what a shift means."""
    source = (
        f"{plural(reference.images, 'image')} of HAM10000 that no weight was trained on"
        if reference.images
        else ("images of HAM10000")
    )
    return (
        f"Cases of the model in use, {model}, against {source}. A shift is no fault by itself, since your lesions are "
        "others than HAM10000's; it means that the measured sensitivity and specificity may not hold here. No shift "
        "found is no proof that they do."
    )


def beyond(drifts: Sequence[Drift], shifts: Sequence[Shift], metric: Metric) -> str:
    """The amber sentence of one kind of shift that `is_beyond` in some windows.

    Args:
        drifts, shifts: those windows, and the shift in each.
        metric: of the shift.
    """
    windows = "; ".join(
        f"{PERIOD_NAMES[drift.days]} {metric.format(shift.estimate.value)} "
        f"({interval_of(shift.estimate, metric)}, {plural(drift.lesions, 'lesion')})"
        for drift, shift in zip(drifts, shifts, strict=True)
    )
    return (
        f"**{metric.name} above the accepted {_limit(shifts[0].accepted)}:** {windows}. See what has changed: "
        "patients, camera, or light."
    )


def shift_state(drift: Drift, shift: Shift) -> str:
    """A word for the table: `shifted`, `within 10 %`, `cannot be told`, or why nothing is said."""
    if math.isnan(shift.accepted):
        return NO_REFERENCE
    if math.isnan(shift.estimate.value):
        return too_few(drift.lesions, MIN_DRIFT_LESIONS)
    if shift.is_beyond:
        return f"shifted, above {_limit(shift.accepted)}"
    return f"within {_limit(shift.accepted)}" if shift.estimate.high <= shift.accepted else "cannot be told"


def _limit(accepted: float) -> str:
    return f"{accepted * 100:.2g} %"


DRIFT_NOTE = (
    f"Accepted: {percent(ACCEPTED_DISTANCE)}, a convention of this program; for blurred images, their share in the "
    f"reference. Shifted: the whole interval lies above it. Below {MIN_DRIFT_LESIONS} lesions chance alone looks like "
    "a shift, and nothing is said."
)


def labelled(cases: int, lesions: int, contradictory: int) -> str:
    """How many cases the training set would hold."""
    left_out = f"; {plural(contradictory, 'case')} of lesions whose biopsies differ left out" if contradictory else ""
    return f"{plural(cases, 'case')} of {plural(lesions, 'lesion')} with a biopsy result{left_out}."


def too_many(limit: int) -> str:
    """Where a ZIP would be too large for the browser."""
    return (
        f"A ZIP is made for at most {limit:,} cases. For more, on the server: "
        "`python -m data.cases.labelled --database ... --images ... --key-file ... --output FOLDER`."
    )
