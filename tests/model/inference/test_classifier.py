"""From a forward pass to a `Prediction`, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.inference.calibration import Calibration
from model.inference.classifier import NetworkOutput, predict
from tests.support.artifacts import artifact_with

PRIOR = (0.10, 0.05, 0.05, 0.02, 0.10, 0.67, 0.01)


def output_of(logits: np.ndarray, members: np.ndarray | None = None) -> NetworkOutput:
    return NetworkOutput(
        logits.astype(np.float32),
        (logits[np.newaxis] if members is None else members).astype(np.float32),
        np.zeros(4, np.float32),
        np.zeros(2, np.float32),
        np.zeros((6, 8, 7), np.float32),
        np.zeros((6, 8), np.float32),
    )


def test_prediction_by_hand() -> None:
    # Softmax of log p is p. mel stands out: 0.20 / 0.10 = 2 against nv's 0.69 / 0.67.
    probabilities = np.array([0.05, 0.02, 0.02, 0.01, 0.20, 0.69, 0.01])
    prediction = predict(output_of(np.log(probabilities)), artifact_with(Calibration(1.0, (0.0,) * 7, "nobody", PRIOR)))
    assert prediction.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert prediction.probabilities.dtype == np.float64
    assert prediction.dx == "mel"
    # akiec, bcc and mel: 0.05 + 0.02 + 0.20.
    assert prediction.p_positive == pytest.approx(0.27, abs=1e-6)
    assert type(prediction.p_positive) is float
    # At least 0.049 each; the most probable first.
    assert prediction.conformal_set == ("nv", "mel", "akiec")


def test_members_are_calibrated_one_by_one() -> None:
    probabilities = np.array([[0.3, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1], [0.1, 0.0001, 0.1, 0.1, 0.0999, 0.5, 0.1]])
    logits = np.log(probabilities)
    prediction = predict(
        output_of(logits.mean(axis=0), logits), artifact_with(Calibration(1.0, (0.0,) * 7, "nobody", PRIOR))
    )
    assert prediction.member_p_positive == pytest.approx([0.6, 0.2 / probabilities[1].sum()], abs=1e-6)


def test_prediction_is_calibrated_and_says_by_whom() -> None:
    logits = np.zeros(7)
    logits[5] = 2 * np.log(4)
    prediction = predict(output_of(logits), artifact_with(Calibration(2.0, (0.0,) * 7, "nobody", (1 / 7,) * 7)))
    assert prediction.probabilities == pytest.approx([0.1] * 5 + [0.4, 0.1])
    assert prediction.dx == "nv"
    assert (prediction.population, prediction.model_name, prediction.model_version, prediction.weights_sha256) == (
        "nobody",
        "made-up",
        "9.1",
        "ab12",
    )


def test_extreme_logits_still_sum_to_1_and_nothing_is_written_to() -> None:
    output = output_of(np.array([3e4, -3e4, 0, 0, 0, 0, 0]))
    before = output.logits.copy()
    prediction = predict(output, artifact_with(Calibration(0.5, (0.0,) * 7, "nobody", PRIOR)))
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert prediction.dx == "akiec"
    np.testing.assert_array_equal(output.logits, before)
