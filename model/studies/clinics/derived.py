"""The artifact of a recalibration: the same networks with a calibration, thresholds and sets of their own.

Nothing that was measured of the artifact it derives from is carried over where the calibration bears on it: what stored
predictions give is computed anew, what takes images is left out, and the studies can be run on the new folder. What the
half that was not fitted on showed is its entry of `external`, next to the locked test.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model.evaluation.operating_points import measured_rates
from model.evaluation.predictions import cohort_of, load_predictions
from model.evaluation.results import evaluate, evaluation_to_dict, reliability_bins, to_plain
from model.evaluation.subgroups import measure_subgroups
from model.inference.artifact import (
    ELSEWHERE_FILE,
    MANIFEST_FILE,
    OUT_OF_FOLD_FILE,
    TEST_PREDICTIONS_FILE,
    Artifact,
    ArtifactMismatch,
    load_artifact,
    sha256_of,
    write_section,
)
from model.inference.calibration import Calibration, decide
from model.inference.conformal import measure_sets
from model.measures.metrics import Array
from model.studies.clinics.entry import SECTION, measure
from model.studies.clinics.labelled import Labelled
from model.studies.clinics.recalibration import SECTION as RECALIBRATION
from model.studies.clinics.recalibration import Half, Recalibration, fitting_half
from model.studies.repeatability import SECTION as REPEATABILITY
from model.studies.repeatability import study as measure_repeatability
from model.training.environment import created_by

# Predictions that stand in an artifact's folder; all but the first only in some.
TABLES = (TEST_PREDICTIONS_FILE, OUT_OF_FOLD_FILE, ELSEWHERE_FILE)
# Sections on which no calibration bears: what the networks are, which images are refused, which are alike.
KEPT = (
    "schema_version",
    "name",
    "licence",
    "task",
    "classes",
    "positive",
    "input",
    "network",
    "training",
    "split",
    "decision",
    "evidence",
    "quality",
    "retrieval",
)
# Stored probabilities have seven decimals.
HALF_OF_LAST_DECIMAL = 5e-8


def check_output(artifact: Artifact, output: Path) -> None:
    """Refuse a folder that holds something, or an artifact without predictions, before anything is computed.

    Raises:
        ArtifactMismatch: the message says which, and what to do.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ArtifactMismatch(f"expected a new or empty folder for the recalibrated model, received {output}")
    if TEST_PREDICTIONS_FILE not in artifact.manifest["files"]:
        raise ArtifactMismatch(
            f"expected {TEST_PREDICTIONS_FILE} in {artifact.folder}, whose figures are computed anew; "
            "give --artifact the folder that model.export wrote, not a bundle"
        )


def write_derived(
    name: str, images: Labelled, artifact: Artifact, recalibration: Recalibration, command: str, output: Path
) -> Artifact:
    """Write the folder of a recalibration, whole or not at all.

    Args:
        name: of the clinic.
        images: all of them, with the probabilities of `artifact`.
        artifact: that was recalibrated.
        recalibration: of these images.
        command: that was typed, for the manifest.
        output: new or empty folder.

    Returns:
        The new artifact, loaded once to check it.

    Raises:
        ArtifactMismatch: as `check_output`.
    """
    check_output(artifact, output)
    building = output.with_name(f"{output.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for file in artifact.manifest["files"]:
        if file in TABLES:
            _recalibrated_table(artifact, recalibration.calibration, file).to_csv(building / file, index=False)
        else:
            shutil.copyfile(artifact.folder / file, building / file)
    manifest = _manifest(name, artifact, recalibration, building) | {"created": created_by(command)}
    text = json.dumps(to_plain(manifest), indent=2, allow_nan=False)
    (building / MANIFEST_FILE).write_text(f"{text}\n", encoding="utf-8")
    derived = load_artifact(building)
    is_measured = ~fitting_half(images, artifact.task, recalibration.seed)
    measured = images.part(is_measured).recalibrated(artifact.calibration, derived.calibration)
    write_section(building, SECTION, [measure(f"{name}, the half not chosen on", measured, derived)])
    if REPEATABILITY in artifact.manifest and OUT_OF_FOLD_FILE in artifact.manifest["files"]:
        write_section(building, REPEATABILITY, to_plain(measure_repeatability(derived)))
    if output.exists():
        output.rmdir()
    building.rename(output)
    return load_artifact(output)


def _recalibrated_table(artifact: Artifact, calibration: Calibration, file: str) -> pd.DataFrame:
    """Stored predictions as the new calibration gives them, from stored logits where there are some."""
    table, codes = pd.read_csv(artifact.folder / file, dtype=str, keep_default_na=False), list(artifact.task.codes)
    columns = [f"logit_{code}" for code in codes]
    logits: Array
    if set(columns) <= set(table.columns):
        logits = table[columns].to_numpy(dtype=np.float64)
    else:
        logits = artifact.calibration.logits(table[codes].to_numpy(dtype=np.float64), HALF_OF_LAST_DECIMAL)
    probabilities = calibration.probabilities(logits)
    decided = decide(probabilities, np.asarray(calibration.prior), artifact.task.is_ordinal)
    table[codes] = probabilities.round(7)
    return table.assign(prediction=[codes[index] for index in decided])


def _manifest(name: str, artifact: Artifact, recalibration: Recalibration, folder: Path) -> dict[str, Any]:
    task, stands, calibration = artifact.task, artifact.manifest, recalibration.calibration
    table = load_predictions(folder / TEST_PREDICTIONS_FILE, task)
    locked = cohort_of(table, task)
    chosen_on = _part(f"{name}, the half chosen on", recalibration.fitted)
    contained = recalibration.sets.contains(locked.probabilities)
    sets = recalibration.sets
    return {
        **{key: stands[key] for key in KEPT if key in stands},
        "version": f"{artifact.version}, {name}",
        "derived_from": {
            "name": artifact.name,
            "version": artifact.version,
            "weights_sha256": artifact.weights_sha256,
            "created": stands["created"],
            "source": name,
            "chosen_on": chosen_on,
            "measured_on": _part(f"{name}, the half not chosen on", recalibration.measured),
        },
        RECALIBRATION: recalibration.section(),
        "calibration": {"chosen_on": chosen_on, **asdict(calibration)},
        "operating_points": [
            {
                "name": point.name,
                "threshold": point.threshold,
                "target_sensitivity": point.target_sensitivity,
                **{rate: asdict(one) for rate, one in measured_rates(point.threshold, locked).items()},
            }
            for point in recalibration.points
        ],
        "operating_points_chosen_on": chosen_on,
        "conformal": {
            "chosen_on": chosen_on,
            "sets": {"method": sets.method, "level": sets.level, "thresholds": sets.thresholds},
            "tried_out_of_fold": {},
            "measured": asdict(measure_sets(contained, locked.dx_true, locked.lesion_ids, task.codes)),
        },
        **({"gate": {key: one for key, one in stands["gate"].items() if key != "edges"}} if "gate" in stands else {}),
        **_out_of_fold(artifact, folder),
        "metrics": {
            **{key: stands["metrics"][key] for key in ("data", "split")},
            **evaluation_to_dict(evaluate(locked)),
        },
        "reliability": reliability_bins(locked),
        "subgroups": [asdict(group) for group in measure_subgroups(table, task, recalibration.points[0].threshold)],
        "model_card": _card(name, stands["model_card"], recalibration),
        "files": _files(artifact, folder),
    }


def _part(name: str, half: Half) -> dict[str, Any]:
    return {"part": name, "images": half.images, "lesions": half.lesions}


def _out_of_fold(artifact: Artifact, folder: Path) -> dict[str, Any]:
    if OUT_OF_FOLD_FILE not in artifact.manifest["files"]:
        return {}
    held_out = cohort_of(load_predictions(folder / OUT_OF_FOLD_FILE, artifact.task), artifact.task)
    return {"out_of_fold_metrics": evaluation_to_dict(evaluate(held_out))}


def _card(name: str, stands: Mapping[str, Any], recalibration: Recalibration) -> dict[str, Any]:
    """What the model is for, and what nobody has tested: of other places than the clinic, and no facts are taken."""
    no_more = ("**Other clinics", "**Age and body site")
    other_places = (
        f"**Places other than {name}.** Calibration, thresholds and sets were chosen on "
        f"{recalibration.fitted.images:,} of its images and tried on {recalibration.measured.images:,} others. Expect "
        "worse elsewhere, and after a change of camera, light or patients."
    )
    codes = ", ".join(recalibration.without_images)
    missing = f"**{codes}:** the clinic sent no image of them to calibrate on; hardly any probability is left to them."
    kept = [line for line in stands["not_tested"] if not line.startswith(no_more)]
    return {"intended_use": stands["intended_use"], "not_tested": [other_places, *([missing] if codes else []), *kept]}


def _files(artifact: Artifact, folder: Path) -> dict[str, Any]:
    return {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for name in artifact.manifest["files"]
    }
