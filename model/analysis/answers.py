"""What the model answers over HTTP: an `Analysis` as JSON, and a forward pass read back from it.

The server writes it (`answer_of`, `to_json`); whoever runs the network elsewhere reads it (`read_answer`,
`network_output`). Dataclasses, so that the OpenAPI document is made of the same definitions.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.analysis.quality import Issue, Quality, advice
from model.explain.maps import overlay
from model.images.rejection import Remark
from model.inference.artifact import Artifact
from model.inference.classifier import NetworkOutput, Prediction
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.measured import ExternalResult, MeasuredRate, OperatingPoint

Heatmap = Literal["none", "png", "maps"]

NOTICE = "Research use only. It advises; a person decides."
# As the storage module found for images of this size: twice as fast as Pillow's default, a sixth larger.
_PNG_LEVEL = 1
_FLOAT32 = np.dtype("<f4")
# Arrays of a forward pass and how many dimensions they have; a class axis is the last one.
_DIMENSIONS = {"logits": 1, "member_logits": 2, "embedding": 1, "texture": 1, "maps": 3, "lesion": 2}
_BY_CLASS = ("logits", "member_logits", "maps")


class AnswerMalformed(Exception):
    """Bytes that are no answer of this API, or arrays in it that no network of ours would give."""


@dataclass(frozen=True)
class ModelFacts:
    """The model that answered; `weights_sha256` is that of the serving file, hexadecimal."""

    name: str
    version: str
    weights_sha256: str


@dataclass(frozen=True)
class QualityFacts:
    """What was measured on the image at the network's input size; `issues` worst first, empty for a usable image.

    `sharpness`, `brightness` and `contrast` are in grey levels; `ood_score` is about 1 for an image like the training
    images, and null where it is no number. `advice` says what to do about the worst issue.
    """

    sharpness: float
    brightness: float
    contrast: float
    ood_score: float | None
    max_ood_score: float
    issues: tuple[Issue, ...]
    advice: str | None


@dataclass(frozen=True)
class Rate:
    """A share measured on the locked test lesions, its 95 % interval, and n; null where n is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Elsewhere:
    """What became of the positive images of other clinics, `source`, where a threshold did worst; end to end, so that
    the three shares sum to 1."""

    source: str
    flagged: Rate
    not_flagged: Rate
    not_answered: Rate


@dataclass(frozen=True)
class Flag:
    """Whether one operating point flags the image: the positive side's probability is at or above its threshold.

    `sensitivity` and `specificity` hold for the locked test lesions; `elsewhere` is null where nothing was measured at
    other clinics.
    """

    name: str
    threshold: float
    is_flagged: bool
    sensitivity: Rate
    specificity: Rate
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True)
class ConformalSet:
    """The classes of the prediction set at `level`, the most probable first. One that is not in it is not excluded.

    Where the image is flagged at any operating point, the positive classes that raised the flag are in it.
    """

    level: float
    method: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Overlay:
    """The heatmap of the class that stands out, the answer's `prediction`, laid over the image, `png` in base64.

    It shows what raised the class score; it is no outline of the lesion and no proof. `has_evidence` is false where
    nothing in the image raised the score noticeably.
    """

    dx: str
    method: str
    has_evidence: bool
    png: str


@dataclass(frozen=True)
class Float32Array:
    """An array of little-endian float32 numbers, row by row, in base64."""

    shape: tuple[int, ...]
    base64: str


@dataclass(frozen=True)
class NetworkArrays:
    """One forward pass, as `model.inference.classifier.NetworkOutput` holds it; class axes are in class order. Networks
    that were not taught to find the lesion have none."""

    logits: Float32Array
    member_logits: Float32Array
    embedding: Float32Array
    texture: Float32Array
    maps: Float32Array
    lesion: Float32Array | None = None


@dataclass(frozen=True)
class Answer:
    """What the model says about one image.

    A refused image can be decoded but not judged: `refusal` names the reason, `quality.advice` what to do, and
    prediction, probabilities, conformal set and operating points are null or empty. `prediction` is the class that
    stands out: the one whose probability is highest for how common it is (of grades, the expected grade), which need
    not be the most likely one, that with the highest of `probabilities`. These hold for
    `population`, take `facts` into account and sum to 1; a model that uses no facts answers with none. `overlay` comes
    with heatmap=png; `network` comes with heatmap=maps, also of a refused image, for programs that hold the same
    weights' manifest and judge the quality themselves.

    `p_positive` is the probability of the positive side of the task's question. In JSON it is named after it,
    `p_malignant` for skin lesions, and so is `member_p_positive`, that of each network.
    """

    notice: str
    model: ModelFacts
    population: str
    quality: QualityFacts
    refusal: Issue | None
    prediction: str | None
    prediction_name: str | None
    probabilities: dict[str, float] | None
    p_positive: float | None
    member_p_positive: tuple[float, ...]
    conformal_set: ConformalSet | None
    operating_points: tuple[Flag, ...]
    overlay: Overlay | None
    network: NetworkArrays | None
    runtime_ms: float
    # Last and with a default: older servers do not send it.
    facts: PatientFacts = NO_FACTS
    # How the file was read: `profile_ignored`, its colours may be off; `first_page`, it holds several images.
    remarks: tuple[Remark, ...] = ()


def answer_of(analysis: Analysis, artifact: Artifact, heatmap: Heatmap = "none") -> Answer:
    """An analysis as the API answers it.

    Args:
        analysis: of an image, refused or not.
        artifact: the model that answered.
        heatmap: `png` adds the overlay of the predicted class, `maps` the whole forward pass.
    """
    answer = Answer(
        notice=NOTICE,
        model=model_facts(artifact),
        population=artifact.calibration.population,
        quality=_quality(analysis.quality, artifact),
        refusal=analysis.quality.refusal,
        prediction=None,
        prediction_name=None,
        probabilities=None,
        p_positive=None,
        member_p_positive=(),
        conformal_set=None,
        operating_points=(),
        overlay=_overlay(analysis) if heatmap == "png" else None,
        network=_arrays(analysis.output) if heatmap == "maps" else None,
        runtime_ms=analysis.runtime_ms,
        remarks=analysis.remarks,
    )
    return answer if analysis.answer is None else _predicted(answer, analysis.answer.prediction, artifact)


def model_facts(artifact: Artifact) -> ModelFacts:
    """Which model an artifact is."""
    return ModelFacts(artifact.name, artifact.version, artifact.weights_sha256)


def overlay_png(analysis: Analysis) -> bytes | None:
    """The heatmap of the answer's `prediction` laid over the image, as PNG at the size of `Analysis.image`.

    None if refused.
    """
    if analysis.answer is None:
        return None
    explanation = analysis.answer.explanation
    file = io.BytesIO()
    laid_over = overlay(analysis.image, explanation.heatmap(analysis.answer.prediction.dx), explanation.framing)
    Image.fromarray(laid_over).save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


def published_names(task: Task) -> dict[str, str]:
    """What names of this module are called in JSON: `p_positive` is `p_malignant` for skin lesions."""
    return {name: name.replace("p_positive", task.question.column) for name in ("p_positive", "member_p_positive")}


def to_json(answer: Answer, task: Task) -> bytes:
    """An answer as JSON."""
    return published_json(_adapter(), answer, task)


def published_json(adapter: TypeAdapter[Any], value: Any, task: Task) -> bytes:
    """An answer, or what holds answers, as JSON with the task's names (`published_names`)."""
    document = _renamed(adapter.dump_python(value, mode="json"), published_names(task))
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _renamed(document: Any, names: Mapping[str, str]) -> Any:
    if isinstance(document, list):
        return [_renamed(one, names) for one in document]
    if not isinstance(document, dict):
        return document
    return {names.get(key, key): _renamed(value, names) for key, value in document.items()}


def read_answer(content: bytes, task: Task) -> Answer:
    """Read what `to_json` wrote.

    Raises:
        AnswerMalformed: no JSON, a field missing or of another type.
    """
    try:
        names = {published: name for name, published in published_names(task).items()}
        return _adapter().validate_python(_renamed(_parsed(content), names))
    except ValidationError as error:
        # The first place only, and no value: it may be anything that a server sent.
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise AnswerMalformed(
            f"expected an answer of /v1/predict, received one where {place} is wrong ({first['type']}); "
            "check that the address leads to a LesionLens server of the same version"
        ) from error


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    # RecursionError: thousands of brackets.
    except (ValueError, RecursionError) as error:
        raise AnswerMalformed(
            "expected an answer of /v1/predict, received one where the document is wrong (no JSON); "
            "check that the address leads to a LesionLens server of the same version"
        ) from error


def network_output(answer: Answer, task: Task) -> NetworkOutput:
    """The forward pass that an answer with heatmap=maps carries.

    Raises:
        AnswerMalformed: no arrays, or arrays of another shape than a network of the task gives, or with
            numbers that are not finite.
    """
    if answer.network is None:
        raise AnswerMalformed("expected a forward pass in the answer, received none; ask with heatmap=maps")
    encoded = {name: getattr(answer.network, name) for name in _DIMENSIONS}
    arrays = {name: _decoded(name, one, len(task.classes)) for name, one in encoded.items() if one is not None}
    if "lesion" in arrays and arrays["maps"].shape[:2] != arrays["lesion"].shape:
        raise AnswerMalformed(
            f"expected maps and lesion of one size, received {arrays['maps'].shape} and {arrays['lesion'].shape}; "
            "check which model the server runs"
        )
    return NetworkOutput(**arrays)


@cache
def _adapter() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


def _predicted(answer: Answer, prediction: Prediction, artifact: Artifact) -> Answer:
    return replace(
        answer,
        population=prediction.population,
        facts=prediction.facts,
        prediction=prediction.dx,
        prediction_name=prediction.task.named(prediction.dx).name,
        probabilities=dict(zip(prediction.task.codes, prediction.probabilities.tolist(), strict=True)),
        p_positive=prediction.p_positive,
        member_p_positive=tuple(prediction.member_p_positive.tolist()),
        conformal_set=ConformalSet(artifact.conformal.level, artifact.conformal.method, prediction.conformal_set),
        operating_points=tuple(_flag(point, prediction, artifact) for point in artifact.operating_points),
    )


def _quality(quality: Quality, artifact: Artifact) -> QualityFacts:
    return QualityFacts(
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        contrast=quality.contrast,
        ood_score=_finite(quality.ood_score),
        max_ood_score=artifact.quality.max_ood_score,
        issues=quality.issues,
        advice=advice(quality.refusal or quality.issues[0], artifact.task) if quality.issues else None,
    )


def _flag(point: OperatingPoint, prediction: Prediction, artifact: Artifact) -> Flag:
    other = artifact.elsewhere(point.name, point.threshold)
    return Flag(
        name=point.name,
        threshold=point.threshold,
        is_flagged=prediction.p_positive >= point.threshold,
        sensitivity=_rate(point.sensitivity),
        specificity=_rate(point.specificity),
        elsewhere=None if other is None else _elsewhere(other),
    )


def _elsewhere(other: ExternalResult) -> Elsewhere:
    fates = other.positives
    return Elsewhere(other.source, _rate(fates.flagged), _rate(fates.not_flagged), _rate(fates.not_answered))


def _rate(rate: MeasuredRate) -> Rate:
    return Rate(_finite(rate.value), _finite(rate.low), _finite(rate.high), rate.n)


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def _overlay(analysis: Analysis) -> Overlay | None:
    png = overlay_png(analysis)
    if png is None:
        return None
    dx, explanation = analysis.answered.prediction.dx, analysis.answered.explanation
    return Overlay(dx, explanation.method, explanation.has_evidence(dx), base64.b64encode(png).decode("ascii"))


def _arrays(output: NetworkOutput) -> NetworkArrays:
    arrays: dict[str, Any] = {field.name: getattr(output, field.name) for field in fields(NetworkArrays)}
    return NetworkArrays(**{name: _encoded(array) for name, array in arrays.items() if array is not None})


def _encoded(array: np.ndarray) -> Float32Array:
    return Float32Array(array.shape, base64.b64encode(array.astype(_FLOAT32).tobytes()).decode("ascii"))


def _decoded(name: str, encoded: Float32Array, classes: int) -> np.ndarray:
    shape = encoded.shape
    try:
        values = np.frombuffer(base64.b64decode(encoded.base64, validate=True), _FLOAT32)
        is_possible = values.size == math.prod(shape) and min(shape, default=0) > 0 and bool(np.isfinite(values).all())
    except (binascii.Error, ValueError) as error:
        raise AnswerMalformed(f"expected {name} as float32 in base64, received something else") from error
    is_ours = len(shape) == _DIMENSIONS[name] and (name not in _BY_CLASS or shape[-1] == classes)
    if not (is_possible and is_ours):
        raise AnswerMalformed(
            f"expected {name} with {_DIMENSIONS[name]} dimensions of finite numbers, received shape {shape} and "
            f"{values.size} numbers; check which model the server runs"
        )
    return values.reshape(shape).astype(np.float32)
