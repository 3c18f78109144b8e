"""Fit what age and body site add to the answer of the image, and measure it.

    python -m model.studies.clinical

The terms (`model.inference.clinical`) are fitted on the artifact's out-of-fold predictions; what they are worth there
is measured fold by fold with terms of the other folds. On the locked test lesions every fact that HAM10000 states is
given. The thresholds of prediction sets stay those chosen for the image alone; p(malignant) does not move. Writes the
section `clinical` of the artifact's manifest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from data.cases.case import SITES
from model.arguments import add_artifact
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.report import clinical_table
from model.evaluation.results import evaluate, to_plain
from model.inference.artifact import Artifact, load_artifact, write_section
from model.inference.calibration import decide
from model.inference.clinical import UNKNOWN, ClinicalTerms, PatientFacts, fit_terms
from model.inference.conformal import measure_sets
from model.measures.intervals import bootstrap_weights, estimate_of, weighted_auroc, weighted_balanced_accuracy
from model.measures.metrics import Array, mean_of_finite

# Of 2, 5, 10 and 20 the one with the highest out-of-fold likelihood.
PENALTY = 5.0
OVERALL = ("balanced_accuracy", "macro_auroc", "positive_auroc", "accuracy", "calibration_error")


def facts_of(predictions: pd.DataFrame) -> list[PatientFacts]:
    """What a predictions table states of each image's patient; a word that the log does not know is unknown."""
    return [
        PatientFacts(None if np.isnan(age) else float(age), site if site in SITES else UNKNOWN)
        for age, site in zip(predictions["age"], predictions["localization"], strict=True)
    ]


def with_facts(cohort: Cohort, facts: Sequence[PatientFacts], terms: ClinicalTerms, prior: Array) -> Cohort:
    """The cohort as it would have been answered with the facts."""
    pairs = zip(cohort.probabilities, facts, strict=True)
    return _decided(cohort, np.array([terms.probabilities(alone, known) for alone, known in pairs]), prior)


def cross_fitted(
    cohort: Cohort, facts: Sequence[PatientFacts], folds: Sequence[Any], penalty: float, prior: Array
) -> Cohort:
    """The cohort answered with the facts, each fold by terms fitted on the others.

    Raises:
        ValueError: fewer than two folds.
    """
    labels = np.asarray(folds)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"expected two folds or more, received {len(np.unique(labels))}; export with more runs")
    moved = cohort.probabilities.copy()
    for label in np.unique(labels):
        rest = [int(row) for row in np.flatnonzero(labels != label)]
        terms = fit_terms(
            cohort.probabilities[rest],
            cohort.dx_true[rest],
            [facts[row] for row in rest],
            penalty,
            cohort.task.positives,
        )
        for row in map(int, np.flatnonzero(labels == label)):
            moved[row] = terms.probabilities(cohort.probabilities[row], facts[row])
    return _decided(cohort, moved, prior)


def compare(alone: Cohort, informed: Cohort, artifact: Artifact) -> dict[str, Any]:
    """The same images answered without and with the facts: metrics of both, and the paired gain."""
    before, after = _measured(alone, artifact), _measured(informed, artifact, alone.probabilities)
    drawn_before, drawn_after = _drawn(alone), _drawn(informed)
    gain = {
        name: estimate_of(after[name]["value"] - before[name]["value"], drawn_after[name] - values)
        for name, values in drawn_before.items()
    }
    return {
        "images": len(alone.dx_true),
        "lesions": len(np.unique(alone.lesion_ids)),
        "image_alone": before,
        "with_facts": after,
        "gain": {name: asdict(one) for name, one in gain.items()},
    }


def _decided(cohort: Cohort, probabilities: Array, prior: Array) -> Cohort:
    return replace(
        cohort, probabilities=probabilities, dx_predicted=decide(probabilities, prior, cohort.task.is_ordinal)
    )


def _measured(cohort: Cohort, artifact: Artifact, image_alone: Array | None = None) -> dict[str, Any]:
    evaluation = evaluate(cohort)
    contained = artifact.conformal.contains(cohort.probabilities, image_alone)
    sets = measure_sets(contained, cohort.dx_true, cohort.lesion_ids, cohort.task.codes)
    return {
        **{name: asdict(getattr(evaluation, name)) for name in OVERALL},
        "sets": {
            name: value for name, value in asdict(sets).items() if name in ("coverage", "mean_size", "coverage_by_dx")
        },
    }


def _drawn(cohort: Cohort) -> dict[str, Array]:
    """Each metric in every bootstrap sample, which are the same for all cohorts of these lesions."""
    weights = bootstrap_weights(cohort.lesion_ids)
    areas = [weighted_auroc(cohort.dx_true == k, share, weights) for k, share in enumerate(cohort.probabilities.T)]
    return {
        "balanced_accuracy": weighted_balanced_accuracy(
            cohort.dx_true, cohort.dx_predicted, weights, len(cohort.task.classes)
        ),
        "macro_auroc": mean_of_finite(np.array(areas)),
    }


def study(artifact: Artifact) -> dict[str, Any]:
    """The section `clinical` of the manifest; see the module docstring."""
    task = artifact.task
    held_out_table = load_predictions(artifact.out_of_fold_path, task)
    folds = pd.read_csv(artifact.out_of_fold_path, usecols=["fold"])["fold"]
    held_out, locked_table = cohort_of(held_out_table, task), load_predictions(artifact.test_predictions_path, task)
    locked, prior = cohort_of(locked_table, task), np.asarray(artifact.calibration.prior)
    facts, locked_facts = facts_of(held_out_table), facts_of(locked_table)
    terms = fit_terms(held_out.probabilities, held_out.dx_true, facts, PENALTY, task.positives)
    informed = cross_fitted(held_out, facts, list(folds), PENALTY, prior)
    locked_informed = with_facts(locked, locked_facts, terms, prior)
    return {
        "chosen_on": artifact.description.calibration.chosen_on.model_dump(),
        "penalty": PENALTY,
        "terms": {"age": terms.age, "site": dict(terms.site)},
        "known": {
            "age": sum(one.age is not None for one in locked_facts),
            "site": sum(one.site != UNKNOWN for one in locked_facts),
        },
        "out_of_fold": compare(held_out, informed, artifact),
        "measured": compare(locked, locked_informed, artifact),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    folder = parser.parse_args(argv).artifact
    artifact = load_artifact(folder)
    if not artifact.task.facts:
        print(f"Not measured: answers of the task {artifact.task.name!r} take no facts; nothing was written.")
        return
    section = to_plain(study(artifact))
    write_section(folder, "clinical", section)
    print(clinical_table(section, artifact.task))


if __name__ == "__main__":
    main()
