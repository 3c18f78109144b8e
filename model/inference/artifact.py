"""A weights folder and its manifest: what the network is, what it was measured to do, and that no byte has changed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.images.framing import AS_FRAMED, Framing, Preparation, to_network_input
from model.images.rejection import RgbImage
from model.inference.calibration import Calibration
from model.inference.clinical import NO_TERMS, UNKNOWN, ClinicalTerms, PatientFacts
from model.inference.conformal import ConformalSets
from model.inference.manifest import (
    SCHEMA_VERSION,
    CalledSection,
    Description,
    ExternalPoint,
    Point,
    Rate,
    RepeatabilitySection,
    Serving,
    Terms,
    upgraded,
)
from model.inference.measured import (
    Called,
    EdgeResult,
    ExternalResult,
    GroupRate,
    MeasuredRate,
    OperatingPoint,
    Outcome,
    Repeats,
    at_level,
    lowest_threshold,
)
from model.measures.intervals import Estimate

MANIFEST_FILE = "manifest.json"
LITERT_FILE = "model.tflite"
KERAS_FILE = "model.keras"
HISTORY_FILE = "history.csv"
TEST_PREDICTIONS_FILE = "test_predictions.csv"
OUT_OF_FOLD_FILE = "out_of_fold_predictions.csv"
# Of images of other clinics that calibration and sets were chosen on, where there were some.
ELSEWHERE_FILE = "elsewhere_predictions.csv"
GATE_FILE = "gate.npz"
NEIGHBOURS_FILE = "neighbours.npz"
# Name of the LiteRT file's one signature: `image` to what `model.inference.classifier.NetworkOutput` holds.
SIGNATURE = "serving_default"
# Without these nothing can be answered, so a manifest must vouch for them.
SERVING_FILES: tuple[str, ...] = (LITERT_FILE, GATE_FILE, NEIGHBOURS_FILE)
# Each task's weights lie in a folder of its key.
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
DEFAULT_ARTIFACT = WEIGHTS / DEFAULT_TASK


HISTOPATHOLOGY = "histo"


class ArtifactMismatch(Exception):
    """A weights folder that is incomplete, altered, or made for other classes; the message says which."""


@dataclass(frozen=True)
class QualityLimits:
    """Limits of `model.analysis.quality`, measured on the training images; see `model.analysis.quality.Quality` for
    the units. Between `edge_ood_score` and `max_ood_score` an image lies at the edge of what the model knows."""

    min_sharpness: float
    min_brightness: float
    max_brightness: float
    min_contrast: float
    max_ood_score: float
    edge_ood_score: float = math.inf


@dataclass(frozen=True)
class Artifact:
    """A checked weights folder.

    Attributes:
        folder: where it lies.
        name, version: for example `skin`, `1.0`.
        height, width: network input, pixels; it takes RGB 0-255 and rescales itself.
        calibration: logits to probabilities.
        task: what it tells apart.
        operating_points: of the task's question, the default first.
        conformal: probabilities to sets of classes.
        min_peak: a class map whose maximum is below it shows no positive evidence.
        quality: limits for usable images.
        weights_sha256: hash of the serving file, hexadecimal.
        manifest: the whole manifest as read, brought to `SCHEMA_VERSION`: what was measured is in it.
        clinical: what age and body site add; nothing where `model.studies.clinical` has not been run.
        external: what was measured at other clinics, a threshold and a source each.
        edges: what a threshold was measured to do for images at the edge of what the model knows and for those inside,
            one an operating point; none where it was not measured.
        repeats_of_one, repeats_of_mean: how far repeat photographs differ, a level of the probability of one of them,
            and of the mean of both, each; none where it was not measured.
        preparation: of an image, beside framing it.
        further_points: of the task's further questions, by their keys.
    """

    folder: Path
    name: str
    version: str
    height: int
    width: int
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    conformal: ConformalSets
    min_peak: float
    quality: QualityLimits
    weights_sha256: str
    manifest: dict[str, Any]
    task: Task
    clinical: ClinicalTerms = NO_TERMS
    external: tuple[ExternalResult, ...] = ()
    edges: tuple[EdgeResult, ...] = ()
    repeats_of_one: tuple[Repeats, ...] = ()
    repeats_of_mean: tuple[Repeats, ...] = ()
    preparation: Preparation = AS_FRAMED
    further_points: Mapping[str, tuple[OperatingPoint, ...]] = field(default_factory=dict)

    def points_of(self, question: str) -> tuple[OperatingPoint, ...]:
        """The operating points of one of the task's questions, by its key; none of anything else, such as a class."""
        return self.operating_points if question == self.task.question.key else self.further_points.get(question, ())

    def network_input(self, image: RgbImage, is_prepared: bool = False) -> tuple[RgbImage, Framing]:
        """An image as the network takes it.

        Args:
            image: (H, W, 3) uint8 RGB.
            is_prepared: it is what this gave before: at the network's size it stays as it is.

        Returns:
            (height, width, 3) uint8 RGB, and how it was framed.
        """
        return to_network_input(image, self.height, self.width, AS_FRAMED if is_prepared else self.preparation)

    def elsewhere(self, point: str, threshold: float) -> ExternalResult | None:
        """A threshold where it did worst: on the images of other clinics of whose positives it flags the fewest."""
        measured = [
            result
            for result in self.external
            if (result.point, result.threshold) == (point, threshold) and result.positives.flagged.n
        ]
        return min(measured, key=lambda result: result.positives.flagged.value, default=None)

    def confirmed_specificity(self, point: str, threshold: float) -> Estimate | None:
        """Specificity among the negative subjects that someone had excised (histopathology); their images are harder.

        None where it was not measured, at this threshold, on enough of them.
        """
        groups = self._groups_at(point, threshold)
        found = groups.get(("dx_type", HISTOPATHOLOGY))
        return Estimate(**found["specificity"]) if found is not None and not found["is_too_small"] else None

    def group_sensitivity(self, point: str, threshold: float, facts: PatientFacts) -> GroupRate | None:
        """Sensitivity among patients of this age or lesions of this site, the lower of the two; None where neither was
        measured, at this threshold, on enough of them."""
        groups = self._groups_at(point, threshold)
        stated = (("age", facts.age_band), ("site", facts.site))
        rates = [
            GroupRate(**one["sensitivity"], attribute=attribute, group=group, lesions=one["positive_lesions"])
            for attribute, group in stated
            if group != UNKNOWN
            and (one := groups.get((attribute, group))) is not None
            and one["sensitivity"]["value"] is not None
        ]
        return min(rates, key=lambda rate: rate.value, default=None)

    def _groups_at(self, point: str, threshold: float) -> dict[tuple[str, str], dict[str, Any]]:
        """What was measured of parts of the locked test images, by attribute and group; at the default threshold."""
        default = self.operating_points[0] if self.operating_points else None
        if default is None or (default.name, default.threshold) != (point, threshold):
            return {}
        return {(one["attribute"], one["group"]): one for one in self.manifest.get("subgroups", ())}

    def repeats_at(self, p_positive: float) -> Repeats | None:
        """How far another photograph may differ from one with this probability; None where too few were measured."""
        return at_level(self.repeats_of_one, p_positive)

    def repeats_around(self, mean: float) -> Repeats | None:
        """How far repeat photographs with this mean differ; None where too few were measured."""
        return at_level(self.repeats_of_mean, mean)

    @cached_property
    def description(self) -> Description:
        """What export states of how the weights came about; raises `ArtifactMismatch` where it does not."""
        try:
            return Description.model_validate(self.manifest)
        except ValidationError as error:
            raise _unreadable(self.folder, error) from error

    @property
    def litert_path(self) -> Path:
        return self.folder / LITERT_FILE

    @property
    def keras_path(self) -> Path:
        return self.folder / KERAS_FILE

    @property
    def gate_path(self) -> Path:
        return self.folder / GATE_FILE

    @property
    def neighbours_path(self) -> Path:
        return self.folder / NEIGHBOURS_FILE

    @property
    def history_path(self) -> Path:
        return self.folder / HISTORY_FILE

    @property
    def out_of_fold_path(self) -> Path:
        return self.folder / OUT_OF_FOLD_FILE

    @property
    def elsewhere_path(self) -> Path:
        return self.folder / ELSEWHERE_FILE

    @property
    def test_predictions_path(self) -> Path:
        return self.folder / TEST_PREDICTIONS_FILE


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_artifact(folder: Path) -> Artifact:
    """Read a weights folder and check every file's hash and the class list.

    Raises:
        ArtifactMismatch: no manifest, one that cannot be read, another schema, other classes or another order, a file
            missing or unlisted, or a file whose SHA-256 differs from the manifest's.
    """
    manifest_path = folder / MANIFEST_FILE
    if not manifest_path.is_file():
        raise ArtifactMismatch(
            f"expected {MANIFEST_FILE} in {folder}, found none; run: make train, or restore the folder"
        )
    try:
        manifest = upgraded(json.loads(manifest_path.read_text(encoding="utf-8")))
        _check_schema(manifest)
        serving = Serving.model_validate(manifest)
        _check_serving(serving, folder)
        return _parse(serving, manifest, folder)
    # Broken JSON, bad UTF-8 and what pydantic finds wrong are ValueErrors; TypeError is a list for an object.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> ArtifactMismatch:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg'].lower()}"
    else:
        reason = f"{type(error).__name__}: {error}"
    return ArtifactMismatch(
        f"expected a manifest of schema {SCHEMA_VERSION} in {folder / MANIFEST_FILE}, could not read it ({reason}); "
        "restore the file or export the model again"
    )


def write_section(folder: Path, name: str, value: Any) -> None:
    """Write what a study measured on an artifact into its manifest, replacing what stood there under this name.

    Args:
        folder: artifact folder.
        name: key in the manifest, for example `robustness`.
        value: what JSON holds: plain numbers, text, lists and dicts, None for what cannot be said.

    Raises:
        ArtifactMismatch: the folder holds no usable artifact.
    """
    manifest = {**load_artifact(folder).manifest, name: value}
    temporary = folder / f"{MANIFEST_FILE}.tmp"
    temporary.write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST_FILE)


def _check_schema(manifest: dict[str, Any]) -> None:
    if manifest["schema_version"] != SCHEMA_VERSION:
        raise ArtifactMismatch(
            f"expected manifest schema {SCHEMA_VERSION}, received {manifest['schema_version']}; export the model again"
        )


def _check_serving(serving: Serving, folder: Path) -> None:
    if serving.task not in TASKS:
        raise ArtifactMismatch(
            f"expected a task of {', '.join(TASKS)}, received {serving.task!r}; use a newer LesionLens"
        )
    codes = TASKS[serving.task].codes
    if serving.classes != codes:
        raise ArtifactMismatch(
            f"expected classes {', '.join(codes)}, received {', '.join(serving.classes)}; "
            "these weights were made for other diagnoses or another order"
        )
    unlisted = next((name for name in SERVING_FILES if name not in serving.files), None)
    if unlisted is not None:
        raise ArtifactMismatch(
            f"expected the SHA-256 of {unlisted} in {folder / MANIFEST_FILE}, found none; export the model again"
        )
    for name, expected in serving.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactMismatch(f"expected {name} in {folder}, found none; restore it or export the model again")
        if sha256_of(path) != expected.sha256:
            raise ArtifactMismatch(
                f"{path} has changed since it was exported (its SHA-256 differs from the manifest's); restore it"
            )


def _parse(serving: Serving, manifest: dict[str, Any], folder: Path) -> Artifact:
    calibration, sets, task = serving.calibration, serving.conformal.sets, TASKS[serving.task]
    points = tuple(_operating_point(point) for point in serving.operating_points)
    return Artifact(
        folder=folder,
        name=serving.name,
        version=serving.version,
        height=serving.input.height,
        width=serving.input.width,
        preparation=Preparation(serving.input.crop, serving.input.contrast),
        calibration=Calibration(
            temperature=calibration.temperature,
            offsets=_one_a_class(calibration.offsets, task),
            population=calibration.population,
            prior=_one_a_class(calibration.prior, task),
        ),
        operating_points=points,
        further_points={
            one.question: tuple(map(_operating_point, one.operating_points)) for one in serving.further_questions
        },
        conformal=ConformalSets(
            sets.method, sets.level, _one_a_class(sets.thresholds, task), task.positives, lowest_threshold(points)
        ),
        min_peak=serving.evidence.min_peak,
        quality=QualityLimits(**serving.quality.limits),
        weights_sha256=serving.files[LITERT_FILE].sha256,
        manifest=manifest,
        task=task,
        clinical=NO_TERMS if serving.clinical is None else _terms(serving.clinical.terms, task),
        external=tuple(
            ExternalResult(source.name, point.name, point.threshold, _outcomes(point))
            for source in serving.external
            for point in source.points
        ),
        edges=tuple(
            EdgeResult(edge.name, edge.threshold, _called(edge.inside), _called(edge.edge))
            for edge in (() if serving.gate is None else serving.gate.edges)
        ),
        **({} if serving.repeatability is None else _repeats(serving.repeatability)),
    )


def _repeats(stored: RepeatabilitySection) -> dict[str, Any]:
    return {
        f"repeats_{name}": tuple(
            Repeats(level.low, level.high, stored.share, level.largest["value"] or 0.0, level.pairs)
            for level in getattr(stored, name)
        )
        for name in ("of_one", "of_mean")
    }


def _outcomes(point: ExternalPoint) -> dict[str, Outcome]:
    return {
        kind: Outcome(_rate(stored.flagged), _rate(stored.not_flagged), _rate(stored.not_answered))
        for kind, stored in point.outcomes.items()
    }


def _called(stored: CalledSection) -> Called:
    return Called(_rate(stored.sensitivity), _rate(stored.specificity))


def _terms(stored: Terms, task: Task) -> ClinicalTerms:
    return ClinicalTerms(
        age=tuple(_one_a_class(row, task) for row in stored.age),
        site={site: _one_a_class(row, task) for site, row in stored.site.items()},
        positives=task.positives,
    )


def _one_a_class(stored: tuple[float, ...], task: Task) -> tuple[float, ...]:
    """Fewer numbers than classes would be spread over all of them by numpy, without an error."""
    if len(stored) != len(task.classes):
        raise ValueError(f"expected {len(task.classes)} numbers, one a class, received {len(stored)}")
    return stored


def _operating_point(point: Point) -> OperatingPoint:
    measured = {rate: _rate(getattr(point, rate)) for rate in ("sensitivity", "specificity", "ppv", "npv")}
    return OperatingPoint(point.name, point.threshold, point.target_sensitivity, **measured)


def _rate(stored: Rate) -> MeasuredRate:
    value, low, high = (float("nan") if one is None else one for one in (stored.value, stored.low, stored.high))
    return MeasuredRate(value, low, high, stored.n)
