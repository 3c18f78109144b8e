"""What age and site are worth: fitted on other folds, measured on other lesions, written into the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.evaluation.predictions import cohort_of
from model.inference.artifact import MANIFEST_FILE, OUT_OF_FOLD_FILE, TEST_PREDICTIONS_FILE, load_artifact, sha256_of
from model.inference.clinical import NO_FACTS, NO_TERMS, UNKNOWN, PatientFacts
from model.studies.clinical import cross_fitted, facts_of, main, with_facts
from tests.support.dashboard import made_up_predictions, write_artifact

PRIOR = np.full(7, 1 / 7)


def told_by_site(seed: int) -> pd.DataFrame:
    """Predictions that know nothing, of lesions whose site tells the diagnosis: melanomas in the face, bcc on feet."""
    table = made_up_predictions(seed=seed)
    is_melanoma = np.arange(len(table)) // 2 % 2 == 0
    table["dx"] = np.where(is_melanoma, "mel", "bcc")
    table["localization"] = np.where(is_melanoma, "face", "foot")
    table["lesion_id"] = [f"HAM_{number // 2:07d}" for number in range(len(table))]
    table[list(SKIN.codes)] = 1 / 7
    table["prediction"], table["age"] = "akiec", np.nan
    return table


def test_facts_are_what_the_table_states() -> None:
    table = pd.DataFrame({"age": [60.0, np.nan], "sex": ["male", "female"], "localization": ["back", "nowhere"]})
    assert facts_of(table) == [PatientFacts(60.0, "back"), PatientFacts(None, UNKNOWN)]


def test_each_fold_is_answered_by_terms_of_the_others() -> None:
    table = told_by_site(0)
    cohort, facts = cohort_of(table, SKIN), facts_of(table)
    folds = np.arange(len(table)) // 2 % 4
    informed = cross_fitted(cohort, facts, list(folds), 0.1, PRIOR)
    is_melanoma = table["dx"].to_numpy() == "mel"
    # Folds 0 and 2 hold melanomas alone, the others bcc alone; without fold 0 there are still melanomas in fold 2.
    assert (informed.dx_predicted == cohort.dx_true).all()
    # A fold whose site no other fold has: its terms are unknown, so its answers stay as they were.
    alone = np.where(is_melanoma, 0, 1)
    np.testing.assert_array_equal(
        cross_fitted(cohort, facts, list(alone), 0.1, PRIOR).probabilities, cohort.probabilities
    )
    with pytest.raises(ValueError, match="two folds or more"):
        cross_fitted(cohort, facts, [0] * len(table), 0.1, PRIOR)


def test_without_terms_or_facts_the_cohort_stays() -> None:
    table = told_by_site(0)
    cohort, facts = cohort_of(table, SKIN), facts_of(table)
    np.testing.assert_array_equal(with_facts(cohort, facts, NO_TERMS, PRIOR).probabilities, cohort.probabilities)
    nothing = [NO_FACTS] * len(facts)
    np.testing.assert_array_equal(with_facts(cohort, nothing, NO_TERMS, PRIOR).probabilities, cohort.probabilities)


def test_study_writes_terms_thresholds_and_gains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_artifact(tmp_path)
    held_out = told_by_site(1)
    held_out.assign(fold=np.arange(len(held_out)) // 2 % 4).to_csv(folder / OUT_OF_FOLD_FILE, index=False)
    told_by_site(2).to_csv(folder / TEST_PREDICTIONS_FILE, index=False)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    for name in (OUT_OF_FOLD_FILE, TEST_PREDICTIONS_FILE):
        manifest["files"][name]["sha256"] = sha256_of(folder / name)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    assert load_artifact(folder).clinical == NO_TERMS
    main(["--artifact", str(folder)])
    artifact = load_artifact(folder)
    section = artifact.manifest["clinical"]
    measured = section["measured"]
    assert measured["image_alone"]["balanced_accuracy"]["value"] == 0.0
    assert measured["with_facts"]["balanced_accuracy"]["value"] == 1.0
    assert measured["gain"]["balanced_accuracy"]["value"] == 1.0
    assert section["known"] == {"age": 0, "site": measured["images"]}
    assert {"face", "foot"} == set(artifact.clinical.site)
    assert measured["gain"].keys() == {"balanced_accuracy", "macro_auroc"}
    assert measured["with_facts"]["positive_auroc"] == measured["image_alone"]["positive_auroc"]
    assert "with what is known" in capsys.readouterr().out


def test_task_that_takes_no_facts_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_artifact(tmp_path / "eyes", ["conformal"], RETINA, "eyes")
    before = (folder / MANIFEST_FILE).read_bytes()
    main(["--artifact", str(folder)])
    expected = "Not measured: answers of the task 'Diabetic retinopathy' take no facts; nothing was written.\n"
    assert capsys.readouterr().out == expected
    assert (folder / MANIFEST_FILE).read_bytes() == before
