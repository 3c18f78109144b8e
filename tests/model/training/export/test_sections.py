"""The committed artifact's sections come out of its own tables again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import to_plain
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@pytest.fixture(scope="module")
def out_of_fold(artifact: Artifact) -> pd.DataFrame:
    return pd.read_csv(artifact.out_of_fold_path)


@pytest.fixture(scope="module")
def elsewhere(artifact: Artifact) -> pd.DataFrame | None:
    """What was scored of the second source's choosing part, where one was chosen on."""
    return pd.read_csv(artifact.elsewhere_path) if artifact.elsewhere_path.exists() else None


@pytest.fixture(scope="module")
def test_predictions(artifact: Artifact) -> pd.DataFrame:
    return pd.read_csv(artifact.test_predictions_path)


def expect_same(measured: Any, stated: Any) -> None:
    """Equal, numbers within what the tables' seven decimals leave open."""
    if isinstance(stated, dict):
        assert {name for name, value in measured.items() if value is not None or name in stated} == set(stated)
        for name, value in stated.items():
            expect_same(measured[name], value)
    elif isinstance(stated, list):
        assert len(measured) == len(stated)
        for one, other in zip(measured, stated, strict=True):
            expect_same(one, other)
    elif isinstance(stated, float):
        assert measured == pytest.approx(stated, abs=1e-6)
    else:
        assert measured == stated


def test_thresholds_and_prediction_sets_are_those_of_the_manifest(
    artifact: Artifact, out_of_fold: pd.DataFrame, test_predictions: pd.DataFrame, elsewhere: pd.DataFrame | None
) -> None:
    from model.training.export.sections import conformal_section, points_section

    points = choose_operating_points(cohort_of(out_of_fold, SKIN), cohort_of(test_predictions, SKIN))
    expect_same(to_plain(points_section(points)), artifact.manifest["operating_points"])
    sets = to_plain(conformal_section(out_of_fold, test_predictions, SKIN, points, elsewhere))
    expect_same(sets, artifact.manifest["conformal"])


def test_what_is_measured_and_said_is_that_of_the_manifest(artifact: Artifact, test_predictions: pd.DataFrame) -> None:
    from model.training.export.card import card_of
    from model.training.export.sections import decision, input_section, licence, metrics_section, reliability_section

    manifest = artifact.manifest
    measured = to_plain(metrics_section(test_predictions, SKIN, manifest["metrics"]["split"]))
    expect_same(measured, manifest["metrics"])
    expect_same(to_plain(reliability_section(test_predictions, SKIN)), manifest["reliability"])
    assert input_section(artifact.height, artifact.width) == manifest["input"]
    assert (licence(SKIN), decision(SKIN)) == (manifest["licence"], manifest["decision"])
    assert to_plain(asdict(card_of(SKIN))) == manifest["model_card"]
    assert SKIN.dataset.population == artifact.calibration.population
    assert f"{SKIN.dataset.name}, {SKIN.dataset.reference}" == manifest["training"]["data"]
