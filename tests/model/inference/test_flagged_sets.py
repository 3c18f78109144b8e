"""No flagged image has a set of benign diagnoses alone: on the locked test, with age and site, and on whole images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model.analysis.analyzer import Analyzer
from model.evaluation.predictions import cohort_of, load_predictions
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.clinical import PatientFacts
from model.inference.measured import lowest_threshold
from model.inference.runtimes import LiteRTClassifier
from model.studies.clinical import facts_of

FACE = PatientFacts(72, "face")


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


def has_positive(artifact: Artifact, codes: Sequence[str]) -> bool:
    return any(artifact.task.is_positive(code) for code in codes)


def test_no_flagged_image_of_the_locked_test_has_a_benign_set(artifact: Artifact) -> None:
    table = load_predictions(artifact.test_predictions_path, artifact.task)
    cohort, facts, task = cohort_of(table, artifact.task), facts_of(table), artifact.task
    is_flagged = cohort.p_positive >= lowest_threshold(artifact.operating_points)
    positives = list(task.positives)
    melanomas = cohort.dx_true == task.index(task.gravest)
    assert 0 < is_flagged.sum() < len(is_flagged)
    assert artifact.conformal.contains(cohort.probabilities)[is_flagged][:, positives].any(axis=1).all()
    # Sets as the thresholds alone make them are what this is about: they leave melanomas out that are flagged.
    thresholds = np.array(artifact.conformal.thresholds)
    assert ((cohort.probabilities < thresholds)[:, positives].all(axis=1) & is_flagged & melanomas).sum() > 0
    for one in (None, FACE):
        for image_alone, known in zip(cohort.probabilities[is_flagged], np.array(facts)[is_flagged], strict=True):
            informed = artifact.clinical.probabilities(image_alone, one or known)
            members = set(artifact.conformal.members(informed, image_alone))
            assert members >= set(artifact.conformal.members(image_alone)) & set(positives) and members & set(positives)


def test_no_flagged_original_has_a_benign_set(artifact: Artifact, ham10000_folder: Path) -> None:
    analyzer = Analyzer(LiteRTClassifier(artifact))
    flagged = 0
    for path in sorted((ham10000_folder / "full_size_samples").glob("*.jpg")):
        analysis = analyzer.run(path.read_bytes())
        if analysis.answer is None:
            continue
        for one in (analysis, analyzer.with_facts(analysis, FACE)):
            prediction = one.answered.prediction
            if prediction.p_positive >= lowest_threshold(artifact.operating_points):
                flagged += 1
                assert has_positive(artifact, prediction.conformal_set), path.name
    assert flagged > 0
