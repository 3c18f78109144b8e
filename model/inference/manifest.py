"""What an artifact's manifest states, typed section by section; `model.inference.artifact` loads and checks the files.

`Serving` is what an answer needs, and loading an artifact checks it. `Description` is what export says besides, of how
the weights came about; whoever tells of it asks for it. What was measured is kept as it was written: tables are made of
it row by row (`model.evaluation.report`, `dashboard.evaluation.trust_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from data.tasks.known import DEFAULT_TASK
from model.images.contrast import Contrast
from model.images.framing import Crop

SCHEMA_VERSION = 3
# What schema 2, from before there were tasks, called measurements that schema 3 names without regard to the task.
_SCHEMA_2_NAMES: dict[str, str] = {
    "malignant": "positive",
    "malignant_auroc": "positive_auroc",
    "melanoma_auroc": "gravest_auroc",
    "malignant_lesions": "positive_lesions",
    "benign_lesions": "negative_lesions",
}

Measured = Mapping[str, Any]


class Section(BaseModel):
    """A part of the manifest. More than it names may stand there."""

    model_config = ConfigDict(frozen=True)


# --- What an answer needs ---------------------------------------------------------------------------------------------


class FileEntry(Section):
    """SHA-256 of a file of the folder, hexadecimal, and its size in bytes."""

    sha256: str
    bytes: int = 0


class NetworkInput(Section):
    """Size of the network's input, pixels; it takes RGB 0-255 and rescales itself. Crop and contrast are those of
    `model.images.framing.Preparation`."""

    height: int
    width: int
    crop: Crop = "none"
    contrast: Contrast = "none"


class CalibrationSection(Section):
    """Logits to probabilities, see `model.inference.calibration.Calibration`."""

    temperature: float
    offsets: tuple[float, ...]
    prior: tuple[float, ...]
    population: str


class Rate(Section):
    """A share with its 95 % interval, None where it cannot be said, since JSON has no NaN; and n."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Point(Section):
    """A threshold and what it was measured to do, see `model.inference.measured.OperatingPoint`."""

    name: str
    threshold: float
    target_sensitivity: float
    sensitivity: Rate
    specificity: Rate
    ppv: Rate
    npv: Rate


class FurtherQuestion(Section):
    """Thresholds of a further question of the task."""

    question: str
    operating_points: tuple[Point, ...]


class OutcomeSection(Section):
    """See `model.inference.measured.Outcome`."""

    flagged: Rate
    not_flagged: Rate
    not_answered: Rate


class ExternalPoint(Section):
    """A stored threshold on images of other clinics; `outcomes` by kind of image."""

    name: str
    threshold: float
    outcomes: Mapping[str, OutcomeSection]


class ExternalSection(Section):
    """What `model.studies.external` measured on one labelled folder."""

    name: str
    points: tuple[ExternalPoint, ...]


class CalledSection(Section):
    """See `model.inference.measured.Called`."""

    sensitivity: Rate
    specificity: Rate


class EdgePoint(Section):
    """A stored threshold for images inside and at the edge of what the model knows."""

    name: str
    threshold: float
    inside: CalledSection
    edge: CalledSection


class GateSection(Section):
    """What `model.studies.gate` measured; `edges` since images at the edge are told from others."""

    edges: tuple[EdgePoint, ...] = ()


class RepeatLevel(Section):
    """How far two photographs of one subject differ whose probability lies in [low, high)."""

    low: float
    high: float
    pairs: int
    largest: Mapping[str, float | None]


class RepeatabilitySection(Section):
    """What `model.studies.repeatability` measured; `share` of the pairs stay within `largest`."""

    share: float
    of_one: tuple[RepeatLevel, ...]
    of_mean: tuple[RepeatLevel, ...]


class Sets(Section):
    """See `model.inference.conformal.ConformalSets`."""

    method: str
    level: float
    thresholds: tuple[float, ...]


class ConformalSection(Section):
    """Prediction sets, and what they were measured to hold on the locked test images."""

    sets: Sets
    measured: Measured | None = None


class Evidence(Section):
    """From which peak on a heatmap shows evidence."""

    min_peak: float


class QualitySection(Section):
    """Limits of `model.analysis.quality`; what drift is compared with, where the gate was studied."""

    limits: Mapping[str, float]
    gate_acceptance: float | None = None
    ood_quantiles: tuple[float, ...] | None = None
    blurred_share: float | None = None


class Terms(Section):
    """See `model.inference.clinical.ClinicalTerms`."""

    age: tuple[tuple[float, ...], ...]
    site: Mapping[str, tuple[float, ...]]


class ClinicalSection(Section):
    """What age and body site add."""

    terms: Terms


class Serving(Section):
    """What an answer needs of a manifest of `SCHEMA_VERSION`."""

    name: str
    version: str
    task: str = DEFAULT_TASK
    classes: tuple[str, ...]
    files: Mapping[str, FileEntry]
    input: NetworkInput
    calibration: CalibrationSection
    operating_points: tuple[Point, ...]
    further_questions: tuple[FurtherQuestion, ...] = ()
    conformal: ConformalSection
    evidence: Evidence
    quality: QualitySection
    clinical: ClinicalSection | None = None
    external: tuple[ExternalSection, ...] = ()
    gate: GateSection | None = None
    repeatability: RepeatabilitySection | None = None


# --- How the weights came about ---------------------------------------------------------------------------------------


class Created(Section):
    """When, by which command and commit the artifact was exported."""

    utc: str
    command: str
    commit: str


class Part(Section):
    """Images that something was trained or chosen on."""

    part: str
    images: int
    lesions: int


class ChosenCalibration(Section):
    """On which images calibration, thresholds, sets and limits were chosen."""

    chosen_on: Part


class Network(Section):
    """The networks; `backbone` is one name where all have one; each sees so many views of an image."""

    backbone: str
    members: int
    parameters: int
    views: int = 1


class RecipeFacts(Section):
    """Of the recipe of the runs (`model.training.recipe.Recipe`), what the card tells."""

    init: str
    sampling: str
    averaged_epochs: int
    init_share: float = 0.0
    seed: int
    lesion_weight: float
    map_weight: float


class Training(Section):
    """Data, recipe and epochs; `source_pixels` are width and height of the dataset's files."""

    data: str
    recipe: RecipeFacts
    training: Part
    epochs_by_fold: Mapping[str, Mapping[str, int]]
    source_pixels: tuple[int, int]


class Split(Section):
    """By what the dataset was split; `out_of_fold` are the folds that networks of the recipe answered unseen."""

    by: str
    seed: int
    test_share: float
    folds: int
    out_of_fold: tuple[int, ...]


class Derived(Section):
    """Of a recalibrated model, which one it derives from, and the images that it was fitted and measured on."""

    name: str
    version: str
    source: str
    chosen_on: Part
    measured_on: Part


class ModelCard(Section):
    """What the model is for, and what nobody has tested; Markdown."""

    intended_use: str
    not_tested: tuple[str, ...]


class Description(Section):
    """What export states of how the weights came about."""

    created: Created
    calibration: ChosenCalibration
    decision: str
    network: Network
    training: Training
    split: Split
    model_card: ModelCard
    derived_from: Derived | None = None

    @property
    def folds_of_members(self) -> tuple[int, ...]:
        """The fold that each served network was not trained on; more folds may have been answered by others."""
        return self.split.out_of_fold[: self.network.members]


def upgraded(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest of schema 2, from before there were tasks, as one of `SCHEMA_VERSION`; any other as it is.

    Schema 2 knew skin lesions alone and named measurements after malignant, benign and melanoma.
    """
    if not isinstance(manifest, dict) or manifest.get("schema_version") != 2:
        return manifest
    return {**_renamed(manifest), "schema_version": SCHEMA_VERSION, "task": DEFAULT_TASK}


def _renamed(stored: Any) -> Any:
    if isinstance(stored, list):
        return [_renamed(one) for one in stored]
    if not isinstance(stored, dict):
        return stored
    return {_SCHEMA_2_NAMES.get(key, key): _renamed(value) for key, value in stored.items()}
