"""An analysis as JSON and back: everything a screen needs, and nothing that no network would give."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields, replace
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from data.tasks.skin import SKIN
from model.analysis.analyzer import Analysis, Analyzer
from model.analysis.answers import (
    Answer,
    AnswerMalformed,
    Float32Array,
    answer_of,
    network_output,
    overlay_png,
    read_answer,
    to_json,
)
from model.analysis.quality import Issue, advice
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.classifier import NetworkOutput, predict
from model.inference.clinical import PatientFacts
from model.inference.measured import MeasuredRate
from model.inference.runtimes import LiteRTClassifier
from tests.support.artifacts import artifact_with_terms
from tests.support.server import black_image, sample


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@cache
def analysed(content: bytes) -> Analysis:
    return Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT))).run(content)


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Artifact]:
    """As `analysed`, of a model with made-up terms, with the facts of a patient."""
    artifact = load_artifact(artifact_with_terms(tmp_path_factory.mktemp("facts") / "skin"))
    analysis = analysed(sample())
    prediction = predict(analysis.output, artifact, PatientFacts(80, "back"))
    return replace(analysis, answer=replace(analysis.answered, prediction=prediction)), artifact


def test_answer_says_what_the_analysis_says(artifact: Artifact) -> None:
    analysis = analysed(sample())
    answer = answer_of(analysis, artifact)
    prediction = analysis.answered.prediction
    assert (answer.prediction, answer.prediction_name) == (prediction.dx, "Melanoma")
    assert answer.probabilities == dict(zip(SKIN.codes, prediction.probabilities, strict=True))
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.p_positive == pytest.approx(sum(answer.probabilities[dx] for dx in SKIN.question.positives))
    assert answer.member_p_positive == tuple(prediction.member_p_positive)
    assert answer.conformal_set is not None
    assert (answer.conformal_set.classes, answer.conformal_set.level) == (prediction.conformal_set, 0.9)
    assert (answer.model.version, answer.model.weights_sha256) == (artifact.version, artifact.weights_sha256)
    assert (answer.population, answer.runtime_ms) == (prediction.population, analysis.runtime_ms)
    assert (answer.refusal, answer.quality.issues, answer.quality.advice) == (None, (), None)
    assert (answer.overlay, answer.network) == (None, None)


def test_flag_says_what_its_threshold_did_elsewhere(artifact: Artifact) -> None:
    flag, *_ = answer_of(analysed(sample()), artifact).operating_points
    other = artifact.elsewhere(flag.name, flag.threshold)
    assert other is not None and flag.elsewhere is not None
    assert flag.elsewhere.source == "ISIC 2017, locked part"
    assert flag.elsewhere.not_flagged.value == other.positives.not_flagged.value
    fates = flag.elsewhere.flagged, flag.elsewhere.not_flagged, flag.elsewhere.not_answered
    assert sum(rate.value or 0.0 for rate in fates) == pytest.approx(1.0)
    alone, *_ = answer_of(analysed(sample()), replace(artifact, external=())).operating_points
    assert alone.elsewhere is None


def test_operating_points_flag_from_their_threshold_on(artifact: Artifact) -> None:
    analysis = analysed(sample())
    p = analysis.answered.prediction.p_positive
    first = artifact.operating_points[0]
    points = tuple(replace(first, name=name, threshold=t) for name, t in (("at", p), ("above", np.nextafter(p, 1))))
    flags = answer_of(analysis, replace(artifact, operating_points=points)).operating_points
    assert [(flag.name, flag.is_flagged) for flag in flags] == [("at", True), ("above", False)]
    assert flags[0].sensitivity.value == first.sensitivity.value
    assert flags[0].specificity.n == first.specificity.n


def test_answer_states_the_facts_it_takes_into_account(informed: tuple[Analysis, Artifact]) -> None:
    analysis, artifact = informed
    answer = answer_of(*informed)
    assert answer.probabilities is not None
    assert (answer.facts, answer.prediction) == (PatientFacts(80.0, "back"), "bcc")
    assert answer.population == f"{artifact.calibration.population}, given age 80, back"
    assert list(answer.probabilities.values()) == list(analysis.answered.prediction.probabilities)
    assert read_answer(to_json(answer, SKIN), SKIN) == answer


def test_answer_of_a_server_that_knows_no_facts_is_read(artifact: Artifact) -> None:
    answer = answer_of(analysed(sample()), artifact, "maps")
    document = json.loads(to_json(answer, SKIN))
    assert document.pop("facts") == {"age": None, "site": "unknown"}
    assert read_answer(json.dumps(document).encode(), SKIN) == answer


def test_rate_that_cannot_be_said_is_null(artifact: Artifact) -> None:
    analysis = analysed(sample())
    unknown = MeasuredRate(float("nan"), float("nan"), float("nan"), 0)
    point = replace(artifact.operating_points[0], sensitivity=unknown)
    answer = answer_of(analysis, replace(artifact, operating_points=(point,)))
    assert json.loads(to_json(answer, SKIN))["operating_points"][0]["sensitivity"] == {
        "value": None, "low": None, "high": None, "n": 0,
    }  # fmt: skip


@pytest.mark.parametrize("heatmap", ["none", "png", "maps"])
def test_refused_image_gets_a_reason_and_advice_but_no_label(artifact: Artifact, heatmap: Any) -> None:
    analysis = analysed(black_image())
    answer = answer_of(analysis, artifact, heatmap)
    assert answer.refusal == "too_dark"
    assert answer.quality.advice == advice("too_dark", SKIN)
    assert (answer.prediction, answer.probabilities, answer.p_positive, answer.conformal_set) == (None,) * 4
    assert (answer.member_p_positive, answer.operating_points, answer.overlay) == ((), (), None)
    # Whoever runs the network here judges the quality there.
    assert (answer.network is not None) == (heatmap == "maps")


def test_every_refusal_has_advice() -> None:
    assert all(advice(issue, SKIN).endswith(".") for issue in get_args(Issue))


def test_blurred_image_is_answered_with_advice(artifact: Artifact) -> None:
    analysis = analysed(sample())
    blurred = replace(analysis, quality=replace(analysis.quality, issues=("blurred",), ood_score=float("nan")))
    answer = answer_of(blurred, artifact)
    assert (answer.refusal, answer.quality.advice, answer.prediction) == (None, advice("blurred", SKIN), "mel")
    # JSON has no word for what is no number.
    assert read_answer(to_json(answer, SKIN), SKIN).quality.ood_score is None


def test_overlay_is_a_png_of_the_image_s_size(artifact: Artifact) -> None:
    analysis = analysed(sample())
    overlay = answer_of(analysis, artifact, "png").overlay
    assert overlay is not None
    png = base64.b64decode(overlay.png)
    assert png == overlay_png(analysis)
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (600, 450))
    assert (overlay.dx, overlay.method, overlay.has_evidence) == ("mel", "Grad-CAM", True)
    assert overlay_png(analysed(black_image())) is None


@pytest.mark.parametrize("heatmap", ["none", "png", "maps"])
def test_answer_survives_json(artifact: Artifact, heatmap: Any) -> None:
    answer = answer_of(analysed(sample()), artifact, heatmap)
    assert read_answer(to_json(answer, SKIN), SKIN) == answer


@pytest.mark.parametrize("content", [sample(), black_image()], ids=["answered", "refused"])
def test_forward_pass_survives_to_the_last_bit(artifact: Artifact, content: bytes) -> None:
    analysis = analysed(content)
    received = network_output(read_answer(to_json(answer_of(analysis, artifact, "maps"), SKIN), SKIN), SKIN)
    for field in fields(NetworkOutput):
        array = getattr(received, field.name)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, getattr(analysis.output, field.name))


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"<html>502 Bad Gateway</html>", "the document"),
        (b"", "the document"),
        (b"[]", "the document"),
        (b'{"notice": "x"}', "model"),
    ],
)
def test_what_is_no_answer_is_refused_without_repeating_it(content: bytes, place: str) -> None:
    with pytest.raises(
        AnswerMalformed, match=f"expected an answer of /v1/predict, received one where {place}"
    ) as error:
        read_answer(content, SKIN)
    assert "Gateway" not in str(error.value)


def answer_with(artifact: Artifact, **arrays: Float32Array) -> Answer:
    answer = answer_of(analysed(sample()), artifact, "maps")
    assert answer.network is not None
    return replace(answer, network=replace(answer.network, **arrays))


def encoded(*shape: int, value: float = 0.0) -> Float32Array:
    return Float32Array(shape, base64.b64encode(np.full(shape, value, "<f4").tobytes()).decode())


@pytest.mark.parametrize(
    "arrays",
    [
        {"logits": encoded(8)},
        {"logits": encoded(7, 1)},
        {"logits": encoded(7, value=float("nan"))},
        {"logits": encoded(7, value=float("inf"))},
        {"logits": Float32Array((7,), encoded(6).base64)},
        {"logits": Float32Array((-7,), encoded(7).base64)},
        {"logits": Float32Array((7,), "not base64")},
        {"logits": Float32Array((7,), "AAAA")},
        {"embedding": encoded(0)},
        {"member_logits": encoded(5, 6)},
        {"maps": encoded(12, 16, 6)},
        {"maps": encoded(6, 8, 7)},
        {"lesion": encoded(12)},
    ],
)
def test_arrays_that_no_network_gives_are_refused(artifact: Artifact, arrays: dict[str, Float32Array]) -> None:
    with pytest.raises(AnswerMalformed, match="expected "):
        network_output(answer_with(artifact, **arrays), SKIN)


def test_answer_without_a_forward_pass_says_how_to_ask(artifact: Artifact) -> None:
    with pytest.raises(AnswerMalformed, match="ask with heatmap=maps"):
        network_output(answer_of(analysed(sample()), artifact), SKIN)
