"""What the Review page says of a threshold, at its edges."""

from __future__ import annotations

import numpy as np

from dashboard import review_wording as wording
from dashboard.formats import escape, one_decimal, percent
from data.diagnoses import DX_CODES
from model.artifact import MeasuredRate, OperatingPoint
from model.classifier import Prediction

RATE = MeasuredRate(0.9, 0.85, 0.95, 100)


def prediction(**shares: float) -> Prediction:
    probabilities = np.array([shares.get(dx, 0.0) for dx in DX_CODES])
    malignant = float(probabilities[[0, 1, 4]].sum())
    return Prediction(probabilities, "df", malignant, "a made-up clinic", "made-up", "1", "ab12")


def point(sensitivity: MeasuredRate, threshold: float = 0.034) -> OperatingPoint:
    return OperatingPoint("sensitivity_95", threshold, 0.95, sensitivity, RATE, RATE, RATE)


def test_just_below_the_threshold_is_not_three_percent_against_three() -> None:
    text = wording.verdict(prediction(mel=0.031, nv=0.969), point(RATE))
    assert "malignant 3.1 %, threshold 3.4 %" in text
    assert "not an all-clear" in text


def test_missing_none_is_said_with_its_upper_bound() -> None:
    text = wording.missed(MeasuredRate(1.0, 0.96, 1.0, 50))
    assert "fewer than 1 of 100 malignant test images (0 to 4)" in text
    assert "n = 50" in text
    assert "10 of 100 malignant test images (5 to 15)" in wording.missed(MeasuredRate(0.9, 0.85, 0.95, 100))


def test_what_could_not_be_measured_is_said() -> None:
    nan = float("nan")
    assert "could not be measured" in wording.missed(MeasuredRate(nan, nan, nan, 0))
    assert "nan of" not in wording.verdict(prediction(nv=1.0), point(MeasuredRate(nan, nan, nan, 0)))


def test_flagged_image_leads_with_a_malignant_class() -> None:
    mixed = prediction(nv=0.9, mel=0.06, bcc=0.04)
    assert wording.leading_class(mixed, is_flagged=True) == "mel"
    assert wording.leading_class(mixed, is_flagged=False) == "nv"


def test_percents_never_round_to_certainty() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]
    assert one_decimal(0.0344) == "3.4 %"


def test_user_text_loses_its_markdown_meaning() -> None:
    assert escape("a*b_c[d](e)<f>") == r"a\*b\_c\[d\]\(e\)\<f\>"
