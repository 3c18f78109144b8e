"""Drift against a manifest's reference, by hand and on drawn samples."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.evaluation.drift import ACCEPTED_DISTANCE, MIN_DRIFT_LESIONS, Shift, measure_drift, reference_of
from model.evaluation.use import NOTHING, use_table
from model.measures.intervals import Estimate
from tests.support.use import NOON, made_up_case

RESAMPLES = 200
ARTIFACT = "0" * 64  # of `made_up_case`
# Predictions out of fold: half nv, three tenths mel, a fifth bcc; the rows are not what counts.
CONFUSION = np.zeros((7, 7), dtype=int)
CONFUSION[0, SKIN.codes.index("nv")] = 50
CONFUSION[5, SKIN.codes.index("mel")] = 30
CONFUSION[5, SKIN.codes.index("bcc")] = 20


def manifest(**quality: Any) -> dict[str, Any]:
    """What a reference is read from; ood_scores evenly from 0 to 2, those above 1.6 refused."""
    return {
        "files": {"model.tflite": {"sha256": ARTIFACT}},
        "out_of_fold_metrics": {"images": 100, "lesions": 80, "confusion": CONFUSION.tolist()},
        "quality": {
            "limits": {"max_ood_score": 1.6},
            "ood_quantiles": np.linspace(0, 2, 101).tolist(),
            "blurred_share": 0.01,
            **quality,
        },
    }


def answers(**counts: int) -> pd.DataFrame:
    """Cases by prediction, their distances evenly over what the gate accepts."""
    predictions = [dx for dx, count in counts.items() for _ in range(count)]
    scores = np.linspace(0, 1.6, len(predictions))
    return use_table(
        (made_up_case(dx, ood_score=float(score)) for dx, score in zip(predictions, scores, strict=True)), SKIN
    )


def test_reference_is_read_from_the_manifest() -> None:
    reference = reference_of(manifest(), SKIN)
    assert reference.class_shares is not None and reference.ood_levels is not None and reference.ood_values is not None
    assert reference.class_shares[[1, 4, 5]] == pytest.approx([0.2, 0.3, 0.5])
    # Only distances that the gate accepts, and their shares of the accepted.
    assert reference.ood_values[-1] == pytest.approx(1.6) and reference.ood_levels[[0, 40, -1]] == pytest.approx(
        [0, 0.5, 1]
    )
    assert (reference.images, reference.lesions, reference.blurred) == (100, 80, 0.01)


def test_same_shares_lie_at_distance_nought() -> None:
    drift = measure_drift(answers(nv=30, mel=18, bcc=12), reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1]
    assert drift.classes.estimate.value == pytest.approx(0, abs=1e-9)
    assert drift.distance.estimate.value < 0.02
    assert drift.blurred.estimate.value == 0
    assert not (drift.classes.is_beyond or drift.distance.is_beyond or drift.blurred.is_beyond)
    assert drift.class_shares[5].estimate.value == pytest.approx(0.5)


def test_shift_of_answers_by_hand() -> None:
    drift = measure_drift(answers(mel=40, bcc=10, df=10), reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1]
    # Half of |2/3 - 0.3| + |1/6 - 0.2| + |1/6 - 0| + |0 - 0.5|.
    assert drift.classes.estimate.value == pytest.approx((2 / 3 - 0.3 + 0.2 - 1 / 6 + 1 / 6 + 0.5) / 2)
    assert drift.classes.estimate.low < drift.classes.estimate.value < drift.classes.estimate.high
    assert drift.classes.is_beyond and not drift.distance.is_beyond


def test_shift_of_distances_by_hand() -> None:
    table = answers(nv=30, mel=18, bcc=12).assign(ood_score=1.2)
    drift = measure_drift(table, reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1]
    # Up to just below 1.2 lie 59/80 of the accepted images (in steps of 0.02) and none of the cases.
    assert drift.distance.estimate.value == pytest.approx(59 / 80, abs=0.013)
    assert drift.distance.is_beyond and not drift.classes.is_beyond


def test_blurred_images_are_counted_against_their_share_in_the_reference() -> None:
    table = answers(nv=30, mel=18, bcc=12)
    table.loc[:19, "quality"] = "blurred"
    drift = measure_drift(table, reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1]
    assert drift.blurred.estimate.value == pytest.approx(20 / 60) and drift.blurred.accepted == 0.01
    assert drift.blurred.is_beyond


def test_windows_end_now() -> None:
    ages = [0, 29, 31, 89, 91, 400]
    table = use_table((made_up_case(saved_at=NOON - timedelta(days=days)) for days in ages), SKIN)
    drifts = measure_drift(table, reference_of(manifest(), SKIN), NOON, RESAMPLES)
    assert [(drift.days, drift.cases) for drift in drifts] == [(30, 2), (90, 4), (None, 6)]


def test_only_the_reference_s_model_is_compared() -> None:
    table = use_table([made_up_case(), made_up_case(artifact_sha256="1" * 64)], SKIN)
    assert measure_drift(table, reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1].cases == 1


def test_too_few_lesions_say_nothing() -> None:
    few = answers(mel=MIN_DRIFT_LESIONS - 1)
    drift = measure_drift(few, reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1]
    for shift in (drift.classes, drift.distance, drift.blurred):
        assert np.isnan(shift.estimate.value) and not shift.is_beyond
    assert measure_drift(answers(mel=MIN_DRIFT_LESIONS), reference_of(manifest(), SKIN), NOON, RESAMPLES)[
        -1
    ].classes.is_beyond
    assert measure_drift(use_table([], SKIN), reference_of(manifest(), SKIN), NOON, RESAMPLES)[-1].cases == 0


def test_manifest_without_references_says_nothing() -> None:
    bare = manifest()
    del bare["out_of_fold_metrics"], bare["quality"]["ood_quantiles"], bare["quality"]["blurred_share"]
    reference = reference_of(bare, SKIN)
    assert (reference.class_shares, reference.ood_levels, reference.blurred, reference.images) == (None, None, None, 0)
    drift = measure_drift(answers(mel=60), reference, NOON, RESAMPLES)[-1]
    assert np.isnan(drift.classes.estimate.value) and np.isnan(drift.distance.estimate.value)
    # The share itself can be said; only not whether it is a shift.
    assert drift.blurred.estimate.value == 0 and not drift.blurred.is_beyond


def test_shift_is_beyond_only_with_its_whole_interval() -> None:
    assert Shift(Estimate(0.2, 0.11, 0.3), ACCEPTED_DISTANCE).is_beyond
    assert not Shift(Estimate(0.2, 0.10, 0.3), ACCEPTED_DISTANCE).is_beyond
    assert not Shift(NOTHING, ACCEPTED_DISTANCE).is_beyond
    assert not Shift(Estimate(0.2, 0.1, 0.3), float("nan")).is_beyond


def test_samples_without_a_shift_seldom_look_shifted() -> None:
    reference = reference_of(manifest(), SKIN)
    generator = np.random.default_rng(0)
    template = answers(nv=MIN_DRIFT_LESIONS)
    alarms = np.zeros(2)
    for _ in range(50):
        table = template.assign(
            prediction=generator.choice(SKIN.codes, MIN_DRIFT_LESIONS, p=reference.class_shares),
            ood_score=generator.uniform(0, 1.6, MIN_DRIFT_LESIONS),
        )
        drift = measure_drift(table, reference, NOON, RESAMPLES)[-1]
        alarms += drift.classes.is_beyond, drift.distance.is_beyond
    assert (alarms <= 5).all()
