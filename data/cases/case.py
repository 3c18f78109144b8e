"""What a saved case is: the words that the case log, the pages, the reports and the exports share.

Plain frozen values, no storage: `data.case_log` keeps them, `model.analysis.case_record` makes them of an analysis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import OTHER, Task

# How sure a reader is of a diagnosis, least first.
CERTAINTIES: tuple[str, ...] = ("unsure", "fairly sure", "sure")
# What a reader wants to do about a lesion, least first.
NO_FOLLOW_UP, FOLLOW_UP, BIOPSY, EXCISION, REFERRAL = "no follow-up", "follow-up", "biopsy", "excision", "referral"
PLANS: tuple[str, ...] = (NO_FOLLOW_UP, FOLLOW_UP, BIOPSY, EXCISION, REFERRAL)
SIDES: tuple[str, ...] = ("left", "right", "midline", "unknown")
SEXES: tuple[str, ...] = ("female", "male", "unknown")
# HAM10000's sites, so that a log can become a training set; `unknown` last.
SITES: tuple[str, ...] = (
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
    "unknown",
)
ROLES: tuple[str, ...] = ("clinician", "researcher", "admin")
MAX_TEXT = 2000  # characters of a free note
MAX_REFERENCE = 100  # characters of a patient reference
MAX_OTHER = 200  # characters of what stands beside the code `OTHER`


@dataclass(frozen=True)
class Actor:
    """Who does something with the log. On a laptop without sign-in it is `LOCAL_ACTOR`.

    Attributes:
        name: as the sign-in gives it (an e-mail address or a user name).
        organisation: whose cases the actor may see.
        role: one of `ROLES`.
    """

    name: str
    organisation: str
    role: str


LOCAL_ACTOR = Actor("local user", "this computer", "admin")


@dataclass(frozen=True)
class Patient:
    """What was said of the patient; nothing is required.

    Attributes:
        reference: the clinic's own word for the patient, free text; empty if none.
        age: years; None if unknown.
        sex: one of `SEXES`.
    """

    reference: str = ""
    age: float | None = None
    sex: str = "unknown"


@dataclass(frozen=True)
class Lesion:
    """Where the lesion is. `lesion_id` is shared by the cases that show the same lesion at different visits."""

    lesion_id: UUID
    site: str = "unknown"
    side: str = "unknown"
    note: str = ""


@dataclass(frozen=True)
class Read:
    """A clinician's own reading, given while the AI's answer was not on the screen.

    Attributes:
        dx: code of the case's task, or `OTHER`.
        certainty: one of `CERTAINTIES`.
        plan: one of `PLANS`.
        is_informed: whether the reader had been shown the answer to this image earlier, so that the read may be
            influenced by it.
        other: what it is that is none of the task's classes, free text; empty for any code but `OTHER`.
    """

    dx: str
    certainty: str
    plan: str
    is_informed: bool = False
    other: str = ""


@dataclass(frozen=True)
class Decision:
    """The diagnosis and plan after the AI's answer was seen.

    Attributes:
        dx: code of the case's task, or `OTHER`.
        plan: one of `PLANS`.
        reason: why, free text; may be empty.
        other: as of a `Read`.
    """

    dx: str
    plan: str
    reason: str = ""
    other: str = ""


@dataclass(frozen=True)
class Biopsy:
    """What histopathology said.

    Attributes:
        dx: code of the case's task, or `OTHER`.
        reported_on: day of the report.
        note: free text; may be empty.
        other: as of a `Read`.
    """

    dx: str
    reported_on: date
    note: str = ""
    other: str = ""


@dataclass(frozen=True)
class ModelResult:
    """What the model said when the case was saved, complete enough to show it again without the model.

    Attributes:
        task: what the model tells apart; every code of the case is one of its codes.
        model_name, model_version: for example `skin`, `2.0`.
        artifact_sha256: of the serving weights, hexadecimal.
        preprocessing_version: of the way from image to network input.
        probabilities: one a class in the task's order, sum 1, calibrated for `population`.
        population: whose class shares the probabilities hold for, and the age and site they take into account.
        prediction: code by the model's decision rule.
        p_positive: probability that the task's question is answered with yes, in [0, 1].
        conformal_set: codes, the most probable first, at `conformal_level`.
        conformal_level: for example 0.9.
        member_p_positive: one a network of the ensemble.
        quality: `ok`, or the remarks on the image joined by `|`.
        ood_score: distance from the training images, in the gate's unit.
        operating_point: name of the chosen one, for example `sensitivity_95`.
        threshold: images with p_positive >= threshold are flagged.
        sensitivity, specificity: measured at the threshold on the locked test lesions, in [0, 1].
        heatmap_method: for example `Grad-CAM`.
        evidence: compressed bytes of the forward pass and what was measured on the image
            (`model.analysis.case_record`).
        runtime_ms: milliseconds from bytes to answer.
    """

    task: Task
    model_name: str
    model_version: str
    artifact_sha256: str
    preprocessing_version: str
    probabilities: tuple[float, ...]
    population: str
    prediction: str
    p_positive: float
    conformal_set: tuple[str, ...]
    conformal_level: float
    member_p_positive: tuple[float, ...]
    quality: str
    ood_score: float
    operating_point: str
    threshold: float
    sensitivity: float
    specificity: float
    heatmap_method: str
    evidence: bytes = field(repr=False)
    runtime_ms: float

    @property
    def is_flagged(self) -> bool:
        """Whether p_positive reached the threshold."""
        return self.p_positive >= self.threshold


@dataclass(frozen=True)
class Refusal:
    """Why the model gave no answer to an image that was kept all the same. Of what it computed, nothing else is kept.

    Attributes:
        task, model_name, model_version, artifact_sha256, preprocessing_version, runtime_ms: as of a `ModelResult`.
        reason: the remark that forbade an answer, for example `out_of_distribution`.
        quality: all remarks on the image joined by `|`; the reason is one of them.
        ood_score: as of a `ModelResult`.
    """

    task: Task
    model_name: str
    model_version: str
    artifact_sha256: str
    preprocessing_version: str
    reason: str
    quality: str
    ood_score: float
    runtime_ms: float


@dataclass(frozen=True)
class CaseDraft:
    """What is handed to the log to be saved.

    Attributes:
        case_id: made when the image was opened, so that saving twice saves once.
        captured_name: the file name as given, for the clinician's eye only; never a path, never logged.
        own_read: None where the setting does not ask for it.
        content_sha256: of the uploaded bytes, hexadecimal; empty where they are not known.
    """

    case_id: UUID
    captured_name: str
    patient: Patient
    lesion: Lesion
    result: ModelResult | Refusal
    own_read: Read | None
    decision: Decision
    content_sha256: str = ""


@dataclass(frozen=True)
class Case:
    """A case as the log holds it.

    Attributes:
        saved_at: UTC, aware.
        saved_by, organisation: who saved it.
        image_key: in the image store.
        image_sha256: of the stored image's bytes, hexadecimal.
        image_width, image_height: pixels.
        biopsy: None until there is one.
    """

    case_id: UUID
    saved_at: datetime
    saved_by: str
    organisation: str
    captured_name: str
    patient: Patient
    lesion: Lesion
    image_key: str
    image_sha256: str
    image_width: int
    image_height: int
    result: ModelResult | Refusal
    own_read: Read | None
    decision: Decision
    biopsy: Biopsy | None

    @property
    def task(self) -> Task:
        """What the model told apart, and so what the reads and the biopsy name."""
        return self.result.task

    @property
    def has_changed_mind(self) -> bool | None:
        """Whether the decision's diagnosis differs from the reader's own read; None where none was given unaided."""
        is_unaided = self.own_read is not None and not self.own_read.is_informed
        return not is_same_diagnosis(self.own_read, self.decision) if self.own_read and is_unaided else None

    @property
    def refusal(self) -> Refusal | None:
        """Why there is no answer; None where there is one."""
        return self.result if isinstance(self.result, Refusal) else None

    @property
    def answered(self) -> ModelResult:
        """The answer, for what makes sense with one alone; raises ValueError for a refused image."""
        if isinstance(self.result, Refusal):
            raise ValueError("expected the case of an answered image, received that of a refused one")
        return self.result

    @property
    def agrees_with_model(self) -> bool | None:
        """Whether the decision's dx is the model's prediction; None where it gave none."""
        return None if isinstance(self.result, Refusal) else self.decision.dx == self.result.prediction


@dataclass(frozen=True)
class StoredImage:
    """An image ready for the store: no metadata, upright, the very pixels the model was shown.

    Attributes:
        content: PNG bytes.
        sha256: of them, hexadecimal.
        width, height: pixels.
    """

    content: bytes = field(repr=False)
    sha256: str
    width: int
    height: int


def is_same_diagnosis(one: Read | Decision | Biopsy, another: Read | Decision | Biopsy) -> bool:
    """Whether both name one class, or, beyond the classes, the same in any capitals."""
    return one.dx == another.dx and one.other.casefold() == another.other.casefold()


def check_dx(dx: str, other: str, task: Task) -> str:
    """The code itself.

    Raises:
        ValueError: neither one of the task's nor `OTHER`, `OTHER` without a text or any other code with one, or a text
            that is too long.
    """
    _one_of(dx, (*task.codes, OTHER), "a dx code")
    if dx == OTHER and not other.strip():
        raise ValueError(f"expected a text beside the code {OTHER!r}, received none")
    if dx != OTHER and other:
        raise ValueError(f"expected a text beside the code {OTHER!r} alone, received one beside {dx!r}")
    _not_longer(other, MAX_OTHER, "another diagnosis")
    return dx


def check_read(read: Read, task: Task) -> Read:
    """The read itself; raises ValueError where a word in it is none of the lists above, or as `check_dx`."""
    check_dx(read.dx, read.other, task)
    _one_of(read.certainty, CERTAINTIES, "a certainty")
    _one_of(read.plan, PLANS, "a plan")
    return read


def check_decision(decision: Decision, task: Task) -> Decision:
    """The decision itself; raises ValueError for an unknown word, a text that is too long, or as `check_dx`."""
    check_dx(decision.dx, decision.other, task)
    _one_of(decision.plan, PLANS, "a plan")
    _not_longer(decision.reason, MAX_TEXT, "a reason")
    return decision


def check_biopsy(biopsy: Biopsy, task: Task) -> Biopsy:
    """The biopsy itself; raises ValueError for a note that is too long, or as `check_dx`."""
    check_dx(biopsy.dx, biopsy.other, task)
    _not_longer(biopsy.note, MAX_TEXT, "a note")
    return biopsy


def check_draft(draft: CaseDraft) -> CaseDraft:
    """The draft itself; raises ValueError for an unknown word, an age outside 0 to 120, or a text that is too long."""
    _one_of(draft.patient.sex, SEXES, "a sex")
    _one_of(draft.lesion.site, SITES, "a site")
    _one_of(draft.lesion.side, SIDES, "a side")
    if draft.patient.age is not None and not 0 <= draft.patient.age <= 120:
        raise ValueError(f"expected an age from 0 to 120 years, received {draft.patient.age:g}")
    _not_longer(draft.patient.reference, MAX_REFERENCE, "a patient reference")
    _not_longer(draft.lesion.note, MAX_TEXT, "a note")
    if draft.own_read is not None:
        check_read(draft.own_read, draft.result.task)
    check_decision(draft.decision, draft.result.task)
    return draft


def probabilities_of(result: ModelResult) -> NDArray[np.float64]:
    """The probabilities as an array, (C,) float64 in the task's order."""
    return np.asarray(result.probabilities, dtype=np.float64)


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise ValueError(f"expected {what} ({', '.join(allowed)}), received {value!r}")
    return value


def _not_longer(text: str, limit: int, what: str) -> None:
    if len(text) > limit:
        raise ValueError(f"expected {what} of at most {limit} characters, received {len(text)}")
