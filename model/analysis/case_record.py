"""An analysis as the case log keeps it, and back: a saved case is shown as it was, without asking the model again."""

from __future__ import annotations

import io
import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from data.cases.case import Case, ModelResult, Refusal, StoredImage
from data.cases.storage import stored_image
from model.analysis.analyzer import MAX_KEPT_SIDE, Analysis, ModelAnswer, reduced
from model.analysis.quality import Issue, Quality
from model.explain.maps import explain
from model.images.decoding import decode_image
from model.images.framing import AS_FRAMED, PREPROCESSING_VERSION, Preparation, to_network_input
from model.images.rejection import MAX_STORED_BYTES, RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import NetworkOutput, Prediction
from model.inference.measured import MeasuredRate, OperatingPoint

# Of a forward pass, what a screen shows (some networks find no lesion); embedding and texture serve searches in the
# model's own version only.
_OUTPUTS = ("logits", "member_logits", "maps", "lesion")
_MEASURES = ("sharpness", "brightness", "contrast")


def result_of(analysis: Analysis, artifact: Artifact, point: OperatingPoint) -> ModelResult:
    """What the log keeps of an answered image.

    Args:
        analysis: with an answer.
        artifact: the model that answered.
        point: the operating point the clinician had chosen.

    Raises:
        ValueError: the image was refused, so there is no answer to keep.
    """
    prediction, explanation = analysis.answered.prediction, analysis.answered.explanation
    return ModelResult(
        task=prediction.task,
        model_name=prediction.model_name,
        model_version=prediction.model_version,
        artifact_sha256=prediction.weights_sha256,
        preprocessing_version=PREPROCESSING_VERSION,
        probabilities=tuple(float(value) for value in prediction.probabilities),
        population=prediction.population,
        prediction=prediction.dx,
        p_positive=prediction.p_positive,
        conformal_set=prediction.conformal_set,
        conformal_level=artifact.conformal.level,
        member_p_positive=tuple(float(value) for value in prediction.member_p_positive),
        quality="|".join(analysis.quality.issues) or "ok",
        ood_score=analysis.quality.ood_score,
        operating_point=point.name,
        threshold=point.threshold,
        sensitivity=point.sensitivity.value,
        specificity=point.specificity.value,
        heatmap_method=explanation.method,
        evidence=_packed(analysis, explanation.min_peak, point, artifact.preparation),
        runtime_ms=analysis.runtime_ms,
    )


def refusal_of(analysis: Analysis, artifact: Artifact) -> Refusal:
    """What the log keeps of an image that can be read and was refused.

    Args:
        analysis: without an answer.
        artifact: the model that refused.

    Raises:
        ValueError: the image was answered.
    """
    reason = analysis.quality.refusal
    if reason is None:
        raise ValueError("expected a refused image, received an answered one; keep its answer")
    return Refusal(
        task=artifact.task,
        model_name=artifact.name,
        model_version=artifact.version,
        artifact_sha256=artifact.weights_sha256,
        preprocessing_version=PREPROCESSING_VERSION,
        reason=reason,
        quality="|".join(analysis.quality.issues),
        ood_score=analysis.quality.ood_score,
        runtime_ms=analysis.runtime_ms,
    )


def image_to_store(analysis: Analysis, content: bytes) -> StoredImage:
    """An upload as the image store keeps it: its pixels, upright, and nothing else.

    Args:
        analysis: of it.
        content: its bytes, decoded again only where the analysis holds the image reduced.
    """
    is_whole = max(analysis.image.shape[:2]) < MAX_KEPT_SIDE
    return stored_image(analysis.image if is_whole else decode_image(content))


def recorded_analysis(case: Case, content: bytes) -> Analysis:
    """The analysis a case was saved with, heatmaps included, of its stored image.

    Args:
        case: from the log.
        content: PNG bytes of its image, from the store.

    Returns:
        The analysis as it was; embedding and texture of its forward pass are empty, since the log does not keep them.
        Of a refused image it has no answer, its forward pass and network input are empty, and what was measured is NaN.
    """
    image = decode_image(content, MAX_STORED_BYTES)
    if case.refusal is not None:
        return _refused(case.refusal, image, case.image_sha256)
    outputs, measures, network_size, min_peak, preparation = _unpacked(case.answered.evidence)
    network_input, framing = to_network_input(image, *network_size, preparation)
    shown = reduced(image)
    framing = framing.scaled(max(shown.shape[:2]))
    explanation = explain(outputs.maps, case.task.codes, framing, min_peak)
    return Analysis(
        image=shown,
        original_size=(case.image_width, case.image_height),
        image_sha256=case.image_sha256,
        network_input=network_input,
        quality=Quality(**measures, ood_score=case.result.ood_score, issues=_issues(case.result.quality)),
        output=outputs,
        answer=ModelAnswer(recorded_prediction(case.answered), explanation),
        runtime_ms=case.result.runtime_ms,
        prepared_at=None if preparation == AS_FRAMED else framing,
    )


def _refused(refusal: Refusal, image: RgbImage, image_sha256: str) -> Analysis:
    nothing: NDArray[np.float32] = np.empty(0, dtype=np.float32)
    return Analysis(
        image=reduced(image),
        original_size=(image.shape[1], image.shape[0]),
        image_sha256=image_sha256,
        network_input=np.empty((0, 0, 3), dtype=np.uint8),
        quality=Quality(math.nan, math.nan, math.nan, refusal.ood_score, _issues(refusal.quality)),
        output=NetworkOutput(nothing, nothing, nothing, nothing, nothing),
        answer=None,
        runtime_ms=refusal.runtime_ms,
    )


def recorded_prediction(result: ModelResult) -> Prediction:
    """The prediction a case was saved with."""
    return Prediction(
        task=result.task,
        probabilities=np.asarray(result.probabilities, dtype=np.float64),
        dx=result.prediction,
        p_positive=result.p_positive,
        conformal_set=result.conformal_set,
        member_p_positive=np.asarray(result.member_p_positive, dtype=np.float64),
        population=result.population,
        model_name=result.model_name,
        model_version=result.model_version,
        weights_sha256=result.artifact_sha256,
    )


def recorded_rates(result: ModelResult) -> tuple[MeasuredRate, MeasuredRate] | None:
    """Sensitivity and specificity of a case's threshold with their intervals and n; None where it was saved without."""
    if not result.evidence:
        return None
    with np.load(io.BytesIO(result.evidence), allow_pickle=False) as arrays:
        if "rates" not in arrays:
            return None
        sensitivity, specificity = (
            MeasuredRate(float(value), float(low), float(high), int(n)) for value, low, high, n in arrays["rates"]
        )
    return sensitivity, specificity


def is_of_model(result: ModelResult | Refusal, artifact: Artifact) -> bool:
    """Whether this model, prepared in this way, answered or refused: if not, the page shows a new answer beside it.

    A recalibrated model has the weights of the one it derives from, and another name.
    """
    of_result = (result.artifact_sha256, result.model_name, result.model_version, result.preprocessing_version)
    return of_result == (artifact.weights_sha256, artifact.name, artifact.version, PREPROCESSING_VERSION)


def _issues(quality: str) -> tuple[Issue, ...]:
    return () if quality == "ok" else cast("tuple[Issue, ...]", tuple(quality.split("|")))


def _packed(analysis: Analysis, min_peak: float, point: OperatingPoint, preparation: Preparation) -> bytes:
    file = io.BytesIO()
    outputs = {name: getattr(analysis.output, name) for name in _OUTPUTS}
    arrays: dict[str, NDArray[Any]] = {name: array for name, array in outputs.items() if array is not None}
    arrays["measures"] = np.array([getattr(analysis.quality, name) for name in _MEASURES])
    arrays["network_size"] = np.array(analysis.network_input.shape[:2])
    arrays["min_peak"] = np.array(min_peak)
    arrays["rates"] = np.array(
        [[rate.value, rate.low, rate.high, rate.n] for rate in (point.sensitivity, point.specificity)]
    )
    if preparation != AS_FRAMED:
        arrays["preparation"] = np.array([preparation.crop, preparation.contrast])
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _unpacked(evidence: bytes) -> tuple[NetworkOutput, dict[str, float], tuple[int, int], float, Preparation]:
    with np.load(io.BytesIO(evidence), allow_pickle=False) as arrays:
        nothing: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        output = NetworkOutput(
            embedding=nothing, texture=nothing, **{name: arrays[name] for name in _OUTPUTS if name in arrays}
        )
        height, width = (int(value) for value in arrays["network_size"])
        measures = {name: float(value) for name, value in zip(_MEASURES, arrays["measures"], strict=True)}
        preparation = Preparation(*arrays["preparation"].tolist()) if "preparation" in arrays else AS_FRAMED
        return output, measures, (height, width), float(arrays["min_peak"]), preparation
