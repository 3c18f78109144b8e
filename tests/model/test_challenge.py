"""The ISIC challenge's own scorer gives our locked test answers the balanced accuracy that we state."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.evaluate import main
from model.evaluation.predictions import cohort_of, load_predictions
from model.inference.artifact import DEFAULT_ARTIFACT, TEST_PREDICTIONS_FILE
from model.measures.metrics import auroc, balanced_accuracy
from tests.support.environments.made_on_use import python_of


def test_the_official_scorer_agrees(tmp_path: Path) -> None:
    scorer = python_of("challenge").parent / "isic-challenge-scoring"
    submission, truth = tmp_path / "submission.csv", tmp_path / "truth.csv"
    assert main(["--challenge", str(submission), "--resamples", "2"]) == 0
    cohort = cohort_of(load_predictions(DEFAULT_ARTIFACT / TEST_PREDICTIONS_FILE, SKIN), SKIN)
    is_class = {code.upper(): (cohort.dx_true == SKIN.index(code)).astype(float) for code in SKIN.codes}
    pd.DataFrame({"image": cohort.image_ids} | is_class).to_csv(truth, index=False)
    scored = subprocess.run(
        [
            str(scorer),
            "--output",
            "json",
            "classification",
            "--metric",
            "balanced_accuracy",
            str(truth),
            str(submission),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert scored.returncode == 0, scored.stderr
    score = json.loads(scored.stdout)
    ours = balanced_accuracy(cohort.dx_true, cohort.dx_predicted, len(SKIN.codes))
    assert score["overall"] == pytest.approx(ours, abs=1e-9)
    # The scores are read back as another model's: its areas are those of what was written.
    written = pd.read_csv(submission)
    area = auroc(cohort.dx_true == SKIN.index("mel"), written["MEL"].to_numpy())
    assert score["per_category"]["auc"]["MEL"] == pytest.approx(area, abs=1e-6)


def test_only_an_artifact_s_own_answers_are_submitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = ["--predictions", str(DEFAULT_ARTIFACT / TEST_PREDICTIONS_FILE)]
    assert main([*predictions, "--challenge", str(tmp_path / "submission.csv")]) == 2
    assert "without --predictions" in capsys.readouterr().err
    assert main(["--challenge", str(tmp_path / "absent" / "submission.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
