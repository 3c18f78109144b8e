"""Measure an artifact anew from its own predictions, where how it is measured has changed and the model has not.

    python -m model.studies.remeasure

No network runs and no image is looked at: the out-of-fold and the locked test predictions that `model.export` left in
the folder are measured again. Thresholds, calibration and sets stay as they were chosen. Writes the sections
`operating_points`, `further_questions`, `conformal`, `out_of_fold_metrics`, `metrics` and `subgroups` of the manifest;
`model.studies.clinical` and `model.studies.repeatability`, which read the same predictions, write theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from model.arguments import add_artifact
from model.evaluation.operating_points import measured_rates
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.report import format_sections
from model.evaluation.results import evaluate, evaluation_to_dict, to_plain
from model.evaluation.subgroups import measure_subgroups
from model.inference.artifact import Artifact, load_artifact, write_section
from model.inference.conformal import cross_fit, measure_sets


def study(artifact: Artifact) -> dict[str, Any]:
    """The sections named in the module docstring, as they stand in the manifest with new figures."""
    task, manifest = artifact.task, artifact.manifest
    held_out_table = load_predictions(artifact.out_of_fold_path, task)
    locked_table = load_predictions(artifact.test_predictions_path, task)
    held_out, locked = cohort_of(held_out_table, task), cohort_of(locked_table, task)
    folds = pd.read_csv(artifact.out_of_fold_path, usecols=["fold"])["fold"].to_numpy()
    tried = {
        method: cross_fit(
            method, held_out.probabilities, held_out.dx_true, held_out.lesion_ids, folds, artifact.conformal.level
        )
        for method in manifest["conformal"]["tried_out_of_fold"]
    }
    sections = {
        "operating_points": _measured(manifest["operating_points"], locked),
        **_further(manifest, locked),
        "conformal": manifest["conformal"]
        | {
            "tried_out_of_fold": {
                method: asdict(measure_sets(sets, held_out.dx_true, held_out.lesion_ids, task.codes))
                for method, sets in tried.items()
            },
            "measured": asdict(
                measure_sets(
                    artifact.conformal.contains(locked.probabilities), locked.dx_true, locked.lesion_ids, task.codes
                )
            ),
        },
        "out_of_fold_metrics": manifest["out_of_fold_metrics"] | evaluation_to_dict(evaluate(held_out)),
        "metrics": manifest["metrics"] | evaluation_to_dict(evaluate(locked)),
        "subgroups": [
            asdict(group) for group in measure_subgroups(locked_table, task, artifact.operating_points[0].threshold)
        ],
    }
    return {name: to_plain(section) for name, section in sections.items()}


def _measured(points: Sequence[dict[str, Any]], locked: Cohort) -> list[dict[str, Any]]:
    return [
        point | {rate: asdict(one) for rate, one in measured_rates(point["threshold"], locked).items()}
        for point in points
    ]


def _further(manifest: dict[str, Any], locked: Cohort) -> dict[str, Any]:
    """The section on further questions, of an artifact that has one."""
    if "further_questions" not in manifest:
        return {}
    asked = {question.key: locked.asked(question) for question in locked.task.further}
    return {
        "further_questions": [
            one | {"operating_points": _measured(one["operating_points"], asked[one["question"]])}
            for one in manifest["further_questions"]
        ]
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    folder = parser.parse_args(argv).artifact
    for name, section in study(load_artifact(folder)).items():
        write_section(folder, name, section)
    artifact = load_artifact(folder)
    print(format_sections(artifact.manifest, artifact.task))


if __name__ == "__main__":
    main()
