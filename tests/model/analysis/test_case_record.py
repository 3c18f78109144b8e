"""An analysis kept as a case and shown again: nothing may differ."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from data.cases.case import Case, Decision, Lesion, Patient
from data.cases.storage import stored_image
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.analysis import case_record
from model.analysis.analyzer import Analysis, Analyzer, reduced
from model.analysis.case_record import image_to_store, is_of_model, recorded_analysis, recorded_rates, result_of
from model.images.decoding import decode_image
from model.images.framing import Preparation
from model.inference.artifact import DEFAULT_ARTIFACT, QualityLimits, load_artifact
from model.inference.runtimes import LiteRTClassifier
from tests.support.case_log import eye_analysis, eye_result
from tests.support.files.fundus import fundus

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "sample"


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT)))


@pytest.fixture(scope="module")
def analysis(analyzer: Analyzer) -> Analysis:
    return analyzer.run((SAMPLES / "synthetic_nv_1.jpg").read_bytes())


@pytest.fixture(scope="module")
def case(analyzer: Analyzer, analysis: Analysis) -> Case:
    image = image_to_store(analysis, (SAMPLES / "synthetic_nv_1.jpg").read_bytes())
    return Case(
        case_id=uuid4(),
        saved_at=datetime.now(UTC),
        saved_by="somebody",
        organisation="somewhere",
        captured_name="synthetic_nv_1.jpg",
        patient=Patient(),
        lesion=Lesion(uuid4()),
        image_key="key",
        image_sha256=image.sha256,
        image_width=image.width,
        image_height=image.height,
        result=result_of(analysis, analyzer.artifact, analyzer.artifact.operating_points[0]),
        own_read=None,
        decision=Decision("nv", "follow-up"),
        biopsy=None,
    )


def test_case_is_shown_as_it_was(analysis: Analysis, case: Case) -> None:
    content = image_to_store(analysis, (SAMPLES / "synthetic_nv_1.jpg").read_bytes()).content
    shown = recorded_analysis(case, content)
    np.testing.assert_array_equal(shown.answered.prediction.probabilities, analysis.answered.prediction.probabilities)
    np.testing.assert_array_equal(
        shown.answered.prediction.member_p_positive, analysis.answered.prediction.member_p_positive
    )
    assert shown.answered.prediction.conformal_set == analysis.answered.prediction.conformal_set
    np.testing.assert_array_equal(shown.answered.explanation.heatmaps, analysis.answered.explanation.heatmaps)
    assert shown.answered.explanation.framing == analysis.answered.explanation.framing
    assert shown.answered.explanation.min_peak == analysis.answered.explanation.min_peak
    np.testing.assert_array_equal(shown.output.lesion, analysis.output.lesion)
    np.testing.assert_array_equal(shown.image, analysis.image)
    np.testing.assert_array_equal(shown.network_input, analysis.network_input)
    assert shown.prepared_at is None and analysis.prepared_at is None
    assert shown.quality == analysis.quality
    assert case.task is SKIN


def test_case_of_a_prepared_image_is_prepared_again(analyzer: Analyzer, case: Case) -> None:
    any_image = QualityLimits(0, 0, 255, 0, math.inf)
    artifact = replace(analyzer.artifact, preparation=Preparation("circle", "local_average"), quality=any_image)
    content = stored_image(fundus()).content
    answered = Analyzer(LiteRTClassifier(artifact)).run(content)
    result = result_of(answered, artifact, artifact.operating_points[0])
    shown = recorded_analysis(replace(case, result=result), content)
    np.testing.assert_array_equal(shown.network_input, answered.network_input)
    np.testing.assert_array_equal(shown.answered.explanation.heatmaps, answered.answered.explanation.heatmaps)
    assert shown.answered.explanation.framing == answered.answered.explanation.framing
    assert shown.prepared_at == answered.prepared_at == answered.answered.explanation.framing
    assert (answered.network_input[:5, :5] == 128).all()


def test_case_of_another_task_keeps_its_classes(case: Case) -> None:
    """Five grades, by a network that finds no lesion."""
    analysis = eye_analysis()
    result = eye_result()
    assert result.task is RETINA and (result.prediction, result.p_positive) == ("dr2", 0.7)
    content = stored_image(decode_image((SAMPLES / "synthetic_nv_1.jpg").read_bytes())).content
    shown = recorded_analysis(replace(case, result=result), content)
    assert shown.answered.prediction.task is RETINA and shown.answered.explanation.classes == RETINA.codes
    np.testing.assert_array_equal(shown.answered.prediction.probabilities, analysis.answered.prediction.probabilities)
    np.testing.assert_array_equal(shown.output.maps, analysis.output.maps)
    assert shown.output.lesion is None


def test_stored_image_gives_the_same_answer_again(analyzer: Analyzer, analysis: Analysis) -> None:
    upload = (SAMPLES / "synthetic_nv_1.jpg").read_bytes()
    stored = image_to_store(analysis, upload)
    np.testing.assert_array_equal(decode_image(stored.content), decode_image(upload))
    again = analyzer.run(stored.content)
    np.testing.assert_allclose(
        again.answered.prediction.probabilities, analysis.answered.prediction.probabilities, atol=1e-6
    )


def test_rates_of_the_threshold_are_kept_with_interval_and_n(case: Case, analyzer: Analyzer) -> None:
    point = next(one for one in analyzer.artifact.operating_points if one.name == case.result.operating_point)
    assert recorded_rates(case.result) == (point.sensitivity, point.specificity)
    assert recorded_rates(replace(case.result, evidence=b"")) is None


def test_record_is_small(case: Case) -> None:
    assert len(case.result.evidence) < 12_000


def test_another_model_or_preparation_is_known_as_such(case: Case, analyzer: Analyzer) -> None:
    assert is_of_model(case.result, analyzer.artifact)
    assert not is_of_model(replace(case.result, artifact_sha256="0" * 64), analyzer.artifact)
    assert not is_of_model(replace(case.result, preprocessing_version="0"), analyzer.artifact)


def test_refused_image_is_no_case(analyzer: Analyzer, analysis: Analysis) -> None:
    refused = replace(analysis, answer=None)
    with pytest.raises(ValueError, match="refused"):
        result_of(refused, analyzer.artifact, analyzer.artifact.operating_points[0])


def test_image_that_grew_when_it_was_stored_opens_again(
    analysis: Analysis, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = image_to_store(analysis, (SAMPLES / "synthetic_nv_1.jpg").read_bytes()).content
    # A photograph of many noisy pixels: its lossless copy has more bytes than an upload may have.
    monkeypatch.setattr("model.images.rejection.MAX_BYTES", len(content) // 2)
    assert recorded_analysis(case, content).answer is not None


@pytest.mark.parametrize(("side", "times"), [(2047, 0), (2049, 1)])
def test_upload_is_decoded_again_only_where_its_analysis_holds_it_reduced(
    analysis: Analysis, side: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = stored_image(np.full((64, side, 3), 100, dtype=np.uint8)).content
    decoded = []
    monkeypatch.setattr(case_record, "decode_image", lambda content: decoded.append(content) or decode_image(content))
    held = replace(analysis, image=reduced(decode_image(upload)))
    assert (image_to_store(held, upload).width, len(decoded)) == (side, times)
