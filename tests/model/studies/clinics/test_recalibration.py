"""A recalibration on made-up images whose true probabilities are known: it mends what is wrong and claims no more."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.studies.clinics.labelled import Labelled
from model.studies.clinics.recalibration import RecalibrationRefused, fitting_half, recalibrate
from model.studies.clinics.report import recalibration_text
from tests.support.artifacts import made_up_clinic

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)


def test_halves_share_no_lesion_and_hold_half_of_each_class() -> None:
    images = made_up_clinic(ARTIFACT, 301)
    # Three images of each lesion.
    images = images.part(np.repeat(np.arange(301), 3))
    is_fitted = fitting_half(images, SKIN)
    halves = images.part(is_fitted), images.part(~is_fitted)
    assert not set(halves[0].lesion_ids) & set(halves[1].lesion_ids)
    for index in range(len(SKIN.codes)):
        counts = [int((half.dx_true == index).sum()) for half in halves]
        assert abs(counts[0] - counts[1]) <= 3
    positives = [int(np.isin(half.dx_true, SKIN.positives).sum()) for half in halves]
    assert abs(positives[0] - positives[1]) <= 3
    assert (fitting_half(images, SKIN) == is_fitted).all()
    assert (fitting_half(images, SKIN, seed=2) != is_fitted).any()


def test_what_is_too_sure_is_mended() -> None:
    found = recalibrate("a clinic", made_up_clinic(ARTIFACT, 1200, too_sure=2.5), ARTIFACT)
    assert found.factor_temperature == pytest.approx(2.5, rel=0.15)
    assert found.verdict == "better" and found.log_loss.difference.high < 0
    before, after = found.calibration_errors
    assert before.value > before.chance_high and after.value < before.value / 2
    assert found.calibration.population == f"a clinic ({found.fitted.answered:,} labelled images)"
    json.dumps(found.section(), allow_nan=False)


def test_class_shares_of_the_clinic_are_learned() -> None:
    found = recalibrate("a clinic", made_up_clinic(ARTIFACT, 1200, malignant=0.7), ARTIFACT)
    assert found.verdict == "better"
    assert sum(found.calibration.prior[index] for index in SKIN.positives) == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_right_is_not_said_to_be_made_better(seed: int) -> None:
    found = recalibrate("a clinic", made_up_clinic(ARTIFACT, 800, seed=seed), ARTIFACT)
    assert found.verdict != "better"
    assert found.factor_temperature == pytest.approx(1, abs=0.25)


def test_diagnosis_without_images_is_named() -> None:
    images = made_up_clinic(ARTIFACT, 600)
    without = images.part(images.dx_true != SKIN.index("bcc"))
    found = recalibrate("a clinic", without, ARTIFACT)
    assert "bcc" in found.without_images and "mel" not in found.without_images
    text = recalibration_text(found.section(), SKIN)
    assert f"No image of {', '.join(found.without_images)} to fit on" in text


def test_thresholds_are_chosen_on_one_half_and_measured_on_the_other() -> None:
    images = made_up_clinic(ARTIFACT, 1200, too_sure=2.5, malignant=0.4)
    found = recalibrate("a clinic", images, ARTIFACT)
    is_fitted = fitting_half(images, SKIN)
    for half, is_chosen_on in ((images.part(is_fitted), True), (images.part(~is_fitted), False)):
        moved = half.recalibrated(ARTIFACT.calibration, found.calibration)
        cohort = moved.cohort(replace(ARTIFACT, calibration=found.calibration))
        for point in found.points:
            flagged = float((cohort.p_positive[cohort.is_positive] >= point.threshold).mean())
            if is_chosen_on:
                assert flagged == pytest.approx(point.target_sensitivity, abs=0.01)
                assert flagged >= point.target_sensitivity - 1e-9
            else:
                assert point.sensitivity.after.value == flagged
                assert point.images == (int(cohort.is_positive.sum()), int((~cohort.is_positive).sum()))
    held = found.sets.contains(cohort.probabilities)[np.arange(len(cohort.dx_true)), cohort.dx_true]
    assert found.coverage.after.value == float(held.mean())
    assert found.coverage.after.value == pytest.approx(found.sets.level, abs=0.05)


def test_refused_images_are_neither_fitted_nor_measured_on() -> None:
    images = made_up_clinic(ARTIFACT, 400)
    is_refused = np.arange(400) % 10 == 0
    nothing = np.where(is_refused[:, np.newaxis], np.nan, images.probabilities)
    images = replace(images, refusals=np.where(is_refused, "unreadable", ""), probabilities=nothing)
    found = recalibrate("a clinic", images, ARTIFACT)
    assert found.fitted.answered + found.measured.answered == 360
    assert found.fitted.images + found.measured.images == 400


def test_too_little_is_refused_with_a_reason() -> None:
    few = made_up_clinic(ARTIFACT, 60, malignant=0.3)
    with pytest.raises(
        RecalibrationRefused, match=r"at least 10 malignant and 10 benign lesions .* received \d and \d\d"
    ):
        recalibrate("a clinic", few, ARTIFACT)
    one_side = few.part(~np.isin(few.dx_true, SKIN.positives))
    with pytest.raises(RecalibrationRefused, match=r"received 0 and"):
        recalibrate("a clinic", one_side, ARTIFACT)
    unknown = Labelled(few.image_ids, few.lesion_ids, np.full(60, -1), few.refusals, few.probabilities)
    with pytest.raises(RecalibrationRefused, match="labels that tell melanoma alone; add a column dx"):
        recalibrate("a clinic", unknown, ARTIFACT)
