"""The artifact of a recalibration: it loads and serves, and every figure in it is its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.analysis.answers import answer_of, to_json
from model.evaluation.operating_points import measured_rates
from model.evaluation.predictions import cohort_of, load_predictions
from model.evaluation.results import evaluate, evaluation_to_dict
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, ArtifactMismatch, load_artifact, sha256_of
from model.inference.clinical import NO_TERMS
from model.inference.conformal import measure_sets
from model.inference.runtimes import LiteRTClassifier
from model.server.bundle import copy_artifact
from model.studies.clinics.derived import check_output, write_derived
from model.studies.clinics.labelled import Labelled
from model.studies.clinics.recalibration import Recalibration, fitting_half, recalibrate
from tests.support.artifacts import made_up_clinic

PARENT = load_artifact(DEFAULT_ARTIFACT)
SAMPLES = Path(__file__).resolve().parents[4] / "data" / "sample"


@pytest.fixture(scope="module")
def images() -> Labelled:
    return made_up_clinic(PARENT, 300, too_sure=1.3, malignant=0.4)


@pytest.fixture(scope="module")
def recalibration(images: Labelled) -> Recalibration:
    return recalibrate("Our clinic", images, PARENT)


@pytest.fixture(scope="module")
def derived(images: Labelled, recalibration: Recalibration, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    output = tmp_path_factory.mktemp("derived") / "ours"
    return write_derived("Our clinic", images, PARENT, recalibration, "python -m model.studies.external", output)


def test_it_has_the_parent_s_networks_and_a_name_of_its_own(derived: Artifact) -> None:
    assert (derived.name, derived.version) == (PARENT.name, f"{PARENT.version}, Our clinic")
    assert derived.weights_sha256 == PARENT.weights_sha256
    assert sha256_of(derived.keras_path) == sha256_of(PARENT.keras_path)
    stated = derived.description.derived_from
    assert stated is not None and (stated.version, stated.source) == (PARENT.version, "Our clinic")
    assert stated.chosen_on.images + stated.measured_on.images == 300
    assert derived.description.calibration.chosen_on == stated.chosen_on
    assert sorted(path.name for path in derived.folder.parent.iterdir()) == ["ours"]


def test_what_was_chosen_is_what_is_served(derived: Artifact, recalibration: Recalibration) -> None:
    assert derived.calibration == recalibration.calibration
    assert derived.conformal == recalibration.sets
    assert [point.threshold for point in derived.operating_points] == [one.threshold for one in recalibration.points]
    analyzer = Analyzer(LiteRTClassifier(derived))
    analysis = analyzer.run(sorted(SAMPLES.glob("*.jpg"))[0].read_bytes())
    prediction = analysis.answered.prediction
    expected = recalibration.calibration.probabilities(analysis.output.logits.astype(np.float64))
    assert prediction.probabilities == pytest.approx(expected)
    answer = json.loads(to_json(answer_of(analysis, derived), SKIN))
    assert answer["model"]["version"] == derived.version and answer["population"].startswith("Our clinic (")
    assert [flag["elsewhere"]["source"] for flag in answer["operating_points"]] == [
        "Our clinic, the half not chosen on" for _ in derived.operating_points
    ]


def test_stored_predictions_are_those_of_the_new_calibration(derived: Artifact, recalibration: Recalibration) -> None:
    before, after = (pd.read_csv(one.out_of_fold_path) for one in (PARENT, derived))
    codes = list(SKIN.codes)
    logits = before[[f"logit_{code}" for code in codes]].to_numpy()
    assert after[codes].to_numpy() == pytest.approx(recalibration.calibration.probabilities(logits), abs=1e-6)
    assert after.drop(columns=[*codes, "prediction"]).equals(before.drop(columns=[*codes, "prediction"]))
    # The locked test keeps no logits: they come back from its probabilities, whose last decimals are gone.
    before, after = (pd.read_csv(one.test_predictions_path) for one in (PARENT, derived))
    logits = PARENT.calibration.logits(before[codes].to_numpy(), 5e-8)
    assert after[codes].to_numpy() == pytest.approx(recalibration.calibration.probabilities(logits), abs=1e-6)
    assert (after["prediction"] != before["prediction"]).any()


def test_every_promise_is_its_own(derived: Artifact, recalibration: Recalibration, images: Labelled) -> None:
    manifest, stands = derived.manifest, PARENT.manifest
    locked = cohort_of(load_predictions(derived.test_predictions_path, SKIN), SKIN)
    assert {**manifest["metrics"], **evaluation_to_dict(evaluate(locked))} == manifest["metrics"]
    for point in derived.operating_points:
        rates = measured_rates(point.threshold, locked)
        for rate, expected in rates.items():
            assert asdict(getattr(point, rate)) == pytest.approx(asdict(expected), nan_ok=True)
    contained = derived.conformal.contains(locked.probabilities)
    coverage = measure_sets(contained, locked.dx_true, locked.lesion_ids, SKIN.codes).coverage.value
    assert manifest["conformal"]["measured"]["coverage"]["value"] == coverage
    # What takes images to measure is left out, and what was fitted to the parent's probabilities as well.
    assert derived.clinical == NO_TERMS and not derived.edges
    assert {"robustness", "heatmaps", "clinical"} & set(manifest) == set()
    for section in set(manifest) & set(stands) - {
        "schema_version", "name", "licence", "task", "classes", "positive", "input", "network", "training", "split",
        "decision", "evidence", "quality", "retrieval", "gate",
    }:  # fmt: skip
        assert manifest[section] != stands[section], section
    # The half that nothing was chosen on is told at each threshold.
    (entry,) = manifest["external"]
    assert entry["images"] == recalibration.measured.images and entry["name"] == "Our clinic, the half not chosen on"
    is_measured = ~fitting_half(images, SKIN)
    half = images.part(is_measured).recalibrated(PARENT.calibration, derived.calibration)
    p_positive = half.cohort(derived).p_positive[half.cohort(derived).is_positive]
    for point in derived.operating_points:
        told = derived.elsewhere(point.name, point.threshold)
        assert told is not None and told.positives.flagged.value == (p_positive >= point.threshold).mean()
    card = derived.description.model_card
    assert "Places other than Our clinic" in card.not_tested[0]
    assert not any("Every figure here was measured on" in line for line in card.not_tested)


def test_nothing_is_written_where_something_lies_or_is_missing(
    tmp_path: Path, images: Labelled, recalibration: Recalibration
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(ArtifactMismatch, match="expected a new or empty folder"):
        write_derived("Our clinic", images, PARENT, recalibration, "", tmp_path / "full")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]
    copy_artifact(DEFAULT_ARTIFACT, tmp_path / "bundle")
    with pytest.raises(ArtifactMismatch, match=r"expected test_predictions.csv .* not a bundle"):
        check_output(load_artifact(tmp_path / "bundle"), tmp_path / "new")
