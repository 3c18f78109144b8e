"""The artifact folder of finished training runs: what is chosen, measured and stated in the manifest."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from data.datasets.ham10000 import DatasetError, image_path, load_metadata
from data.datasets.splits import FOLDS, TEST, TEST_SHARE, split_by_lesion
from data.tasks.skin import DX_CODES, SKIN
from model.analysis.quality import Gate, fit_gate
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict, to_plain
from model.evaluation.subgroups import measure_subgroups
from model.explain.neighbours import fit_index, precision_at
from model.images.decoding import decode_image
from model.inference.artifact import (
    GATE_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    LITERT_FILE,
    MANIFEST_FILE,
    NEIGHBOURS_FILE,
    OUT_OF_FOLD_FILE,
    SCHEMA_VERSION,
    SIGNATURE,
    TEST_PREDICTIONS_FILE,
    QualityLimits,
    load_artifact,
    sha256_of,
)
from model.inference.calibration import decide, fit_calibration
from model.inference.conformal import METHODS as CONFORMAL_METHODS
from model.inference.conformal import PRIOR_WEIGHTED, cross_fit, fit_sets, measure_sets
from model.measures.metrics import reliability
from model.networks.architecture import build_ensemble
from model.training.batches import load_images
from model.training.card import INTENDED_USE, NOT_TESTED
from model.training.recipe import HEIGHT, RUN_FILE, WIDTH, Recipe, class_indices, read_run, select_rows, training_prior
from model.training.scoring import Scored, joined, predictions_table, score, score_member
from model.training.serving_file import load_member, save_keras, to_litert

GATE_ACCEPTANCE = 0.97
# A class map that peaks below all but so many of the predicted classes' maps shows no positive evidence.
WEAK_EVIDENCE_SHARE = 0.01
CONFORMAL_LEVEL = 0.90
CONFORMAL_METHOD = PRIOR_WEIGHTED
NEIGHBOUR_DIMENSIONS = 64
VIEWS = 1
DEFAULT_RUNS = [Path(f"runs/fold{fold}") for fold in range(FOLDS)]
OUT_OF_FOLD = "out of fold"
POPULATION = "HAM10000 (dermoscopy clinics in Vienna and Queensland)"
LICENCE = "CC BY-NC 4.0, see LICENSE-WEIGHTS.md: derived from HAM10000, which is CC BY-NC 4.0"


def choose_limits(training: Scored, held_out: Scored, gate: Gate) -> QualityLimits:
    """Limits of a usable image: just outside what the training images show; the gate accepts 97 % of the held-out ones.

    Sharpness is limited at the training images' 0.1 % quantile. Brightness and contrast are limited at half of theirs
    (towards white, halfway to it): these limits are for black, white and empty pictures only.
    """
    sharpness, brightness, contrast = np.quantile(training.qualities, 0.001, axis=0)
    brightest = np.quantile(training.qualities[:, 1], 0.999)
    return QualityLimits(
        min_sharpness=float(sharpness),
        min_brightness=float(brightness / 2),
        max_brightness=float((brightest + 255) / 2),
        min_contrast=float(contrast / 2),
        max_ood_score=float(np.quantile(gate.score(held_out.textures), GATE_ACCEPTANCE)),
    )


def fit_conformal(out_of_fold: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """The manifest's section on prediction sets: what was chosen on which images, and what it covers on others.

    Args:
        out_of_fold: predictions with the column `fold`; every method is tried on it, fold by fold.
        test: the locked test lesions' predictions.
    """
    held_out, locked = cohort_of(out_of_fold, SKIN), cohort_of(test, SKIN)
    # Without a second fold there is nothing to try the methods on.
    has_folds = out_of_fold["fold"].nunique() > 1
    tried = {
        method: measure_sets(
            cross_fit(
                method,
                held_out.probabilities,
                held_out.dx_true,
                held_out.lesion_ids,
                out_of_fold["fold"].to_numpy(),
                CONFORMAL_LEVEL,
            ),
            held_out.dx_true,
            held_out.lesion_ids,
            SKIN.codes,
        )
        for method in (CONFORMAL_METHODS if has_folds else ())
    }
    sets = fit_sets(CONFORMAL_METHOD, held_out.probabilities, held_out.dx_true, held_out.lesion_ids, CONFORMAL_LEVEL)
    measured = measure_sets(sets.contains(locked.probabilities), locked.dx_true, locked.lesion_ids, SKIN.codes)
    return {
        "sets": asdict(sets),
        "tried_out_of_fold": {method: asdict(metrics) for method, metrics in tried.items()},
        "measured": asdict(measured),
    }


def export(
    runs: Sequence[Path],
    output: Path,
    name: str,
    version: str,
    dataset: Path | None,
    init_label: str | None,
    views: int = VIEWS,
) -> Path:
    """Write the artifact of finished runs; see the module docstring.

    Args:
        runs: folders that `model.train` wrote, of one recipe but for fold and seed.
        output: artifact folder; replaced.
        name, version: for the manifest.
        dataset: HAM10000 folder; the runs' own where None.
        init_label: how the manifest calls the initial weights; the file name where None.
        views: of each image that each network sees, see `build_ensemble`.

    Returns:
        `output`, after it was loaded once to check it.
    """
    created = _provenance()  # before the first file is written, which would count as a change
    recipes = [read_run(run) for run in runs]
    recipe = recipes[0]
    folder = dataset or Path(recipe.dataset)
    metadata = load_metadata(folder)
    split = split_by_lesion(metadata, seed=recipe.split_seed)
    test_rows, split_name = metadata[split == TEST], "locked test"
    if recipe.limit is not None:
        test_rows = test_rows.groupby("dx").head(max(recipe.limit // len(DX_CODES), 2))
        split_name = f"{TEST}, limited to some images a class"

    output.mkdir(parents=True, exist_ok=True)
    members = [load_member(run, HEIGHT, WIDTH) for run in runs]
    held_out = [
        score_member(
            member, views, select_rows(metadata, recipe)[1], folder, f"fold {recipe.validation_fold}, out of fold"
        )
        for member, recipe in zip(members, recipes, strict=True)
    ]
    network = build_ensemble(members, HEIGHT, WIDTH, views)
    save_keras(network, output / KERAS_FILE)
    (output / LITERT_FILE).write_bytes(to_litert(network, HEIGHT, WIDTH))
    write_history(runs, output / HISTORY_FILE)

    interpreter = Interpreter(model_path=str(output / LITERT_FILE), num_threads=os.cpu_count())
    training_rows = pd.concat([select_rows(metadata, member)[0] for member in recipes])
    training_rows = training_rows[~training_rows["image_id"].duplicated()]
    training, test = (
        score(interpreter, rows, load_images(folder, list(rows["image_id"]), HEIGHT, WIDTH), part)
        for part, rows in (("training", training_rows), ("locked test", test_rows))
    )
    all_held_out = joined(held_out)
    calibration = fit_calibration(
        all_held_out.logits,
        all_held_out.class_indices,
        np.mean([training_prior(member, metadata) for member in recipes], axis=0),
        _class_shares(metadata[split != TEST]),
        POPULATION,
    )
    # The texture is the first member's: its own training images are what it is compared with.
    was_trained_on = training.rows["image_id"].isin(select_rows(metadata, recipe)[0]["image_id"]).to_numpy()
    gate = fit_gate(training.textures[was_trained_on])
    gate.save(output / GATE_FILE)
    index = fit_index(training.embeddings, training.rows, NEIGHBOUR_DIMENSIONS, SKIN.codes)
    index.save(output / NEIGHBOURS_FILE)
    out_of_fold = predictions_table(all_held_out, calibration).assign(
        fold=np.repeat([member.validation_fold for member in recipes], [len(part.rows) for part in held_out])
    )
    out_of_fold[[f"logit_{dx}" for dx in DX_CODES]] = all_held_out.logits.round(4)
    out_of_fold.to_csv(output / OUT_OF_FOLD_FILE, index=False)
    predictions = predictions_table(test, calibration)
    predictions.to_csv(output / TEST_PREDICTIONS_FILE, index=False)
    decided = decide(calibration.probabilities(all_held_out.logits), np.asarray(calibration.prior))
    predicted_peaks = all_held_out.peaks[np.arange(len(decided)), decided]
    points = choose_operating_points(cohort_of(out_of_fold, SKIN), cohort_of(predictions, SKIN))

    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "created": created,
        "licence": LICENCE,
        "classes": list(DX_CODES),
        "task": SKIN.key,
        "positive": list(SKIN.question.positives),
        "input": {
            "height": HEIGHT,
            "width": WIDTH,
            "channels": "RGB",
            "value_range": [0, 255],
            "rescaled_by": "the network",
        },
        "network": {
            "backbone": recipe.backbone,
            "members": len(members),
            "views": views,
            "parameters": network.count_params(),
            "outputs": _outputs(interpreter),
        },
        "training": {
            **_describe_training(recipe, init_label or read_run(lineage(runs[0])[0]).init, training_rows),
            "epochs_by_fold": {
                str(member.validation_fold): _epochs_by_phase(run) for run, member in zip(runs, recipes, strict=True)
            },
            "source_pixels": _source_pixels(folder, training_rows),
        },
        "split": {
            "by": "lesion_id",
            "seed": recipe.split_seed,
            "test_share": TEST_SHARE,
            "folds": FOLDS,
            "out_of_fold": [member.validation_fold for member in recipes],
        },
        "model_card": {"intended_use": INTENDED_USE, "not_tested": NOT_TESTED},
        "calibration": {"chosen_on": _part(all_held_out.rows, OUT_OF_FOLD), **asdict(calibration)},
        "decision": "argmax of probability / prior (every class counts the same, as in balanced accuracy)",
        "operating_points": [asdict(point) for point in points],
        "operating_points_chosen_on": _part(all_held_out.rows, OUT_OF_FOLD),
        "conformal": {"chosen_on": _part(all_held_out.rows, OUT_OF_FOLD), **fit_conformal(out_of_fold, predictions)},
        "evidence": {
            "chosen_on": _part(all_held_out.rows, OUT_OF_FOLD),
            "weak_share": WEAK_EVIDENCE_SHARE,
            "min_peak": max(float(np.quantile(predicted_peaks, WEAK_EVIDENCE_SHARE)), 0.0),
        },
        "quality": {
            "chosen_on": [_part(training_rows, "training"), _part(held_out[0].rows, OUT_OF_FOLD)],
            "gate_acceptance": GATE_ACCEPTANCE,
            "limits": asdict(choose_limits(training, held_out[0], gate)),
        },
        "retrieval": {
            "dimensions": NEIGHBOUR_DIMENSIONS,
            "index": _part(training_rows, "training"),
            **asdict(
                precision_at(index, test.embeddings, test.class_indices, test.rows["lesion_id"].to_numpy(dtype=str))
            ),
        },
        "out_of_fold_metrics": evaluation_to_dict(evaluate(cohort_of(out_of_fold, SKIN))),
        "metrics": {
            "data": "HAM10000",
            "split": split_name,
            **evaluation_to_dict(evaluate(cohort_of(predictions, SKIN))),
        },
        "reliability": _reliability(predictions),
        "subgroups": [asdict(group) for group in measure_subgroups(predictions, SKIN, points[0].threshold)],
        "files": {
            file: {"sha256": sha256_of(output / file), "bytes": (output / file).stat().st_size}
            for file in (
                LITERT_FILE,
                KERAS_FILE,
                GATE_FILE,
                NEIGHBOURS_FILE,
                HISTORY_FILE,
                OUT_OF_FOLD_FILE,
                TEST_PREDICTIONS_FILE,
            )
        },
    }
    (output / MANIFEST_FILE).write_text(json.dumps(to_plain(manifest), indent=2, allow_nan=False) + "\n")
    load_artifact(output)
    return output


def write_history(runs: Sequence[Path], path: Path) -> None:
    """The histories of all runs in one table, with the fold each was not trained on."""
    histories = [history_of(run).assign(fold=read_run(run).validation_fold) for run in runs]
    pd.concat(histories).to_csv(path, index=False)


def history_of(run: Path) -> pd.DataFrame:
    """A run's history, after that of the earlier runs it went on from; epochs are numbered through."""
    history = pd.concat([pd.read_csv(part / HISTORY_FILE) for part in lineage(run)], ignore_index=True)
    return history.assign(epoch=range(1, len(history) + 1))


def lineage(run: Path) -> list[Path]:
    """The runs a network comes from, the first one first, the run itself last."""
    start = Path(read_run(run).init)
    return [*(lineage(start) if (start / RUN_FILE).is_file() else []), run]


def _epochs_by_phase(run: Path) -> dict[str, int]:
    phases = history_of(run)["phase"].value_counts(sort=False)
    return {str(phase): int(count) for phase, count in phases.items()}


def _reliability(predictions: pd.DataFrame) -> dict[str, Any]:
    """Mean probability, observed share and images of each bin: of the most probable class, and of p(malignant)."""
    cohort = cohort_of(predictions, SKIN)
    top = cohort.probabilities.argmax(axis=1)
    confidence = cohort.probabilities.max(axis=1)
    questions = {
        "top_class": (top == cohort.dx_true, confidence),
        "positive": (cohort.is_positive, cohort.p_positive),
    }
    return {
        name: dict(zip(("stated", "observed", "images"), reliability(*question), strict=True))
        for name, question in questions.items()
    }


def _source_pixels(dataset: Path, rows: pd.DataFrame) -> list[int]:
    """Width and height of the first training image's file: HAM10000's originals are 600 x 450."""
    path = image_path(dataset, rows["image_id"].iloc[0])
    if path is None:
        raise DatasetError(f"expected {rows['image_id'].iloc[0]}.jpg in {dataset}, found none")
    image = decode_image(path.read_bytes())
    return [image.shape[1], image.shape[0]]


def _class_shares(*parts: pd.DataFrame) -> NDArray[np.float64]:
    counts = np.bincount(np.concatenate([class_indices(part) for part in parts]), minlength=len(DX_CODES))
    return np.maximum(counts, 1) / np.maximum(counts, 1).sum()


def _part(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    return {"part": name, "images": len(rows), "lesions": int(rows["lesion_id"].nunique())}


def _outputs(interpreter: Interpreter) -> dict[str, list[int]]:
    details = interpreter.get_signature_runner(SIGNATURE).get_output_details()
    return {name: [int(size) for size in detail["shape"]] for name, detail in details.items()}


def _describe_training(recipe: Recipe, init: str, training: pd.DataFrame) -> dict[str, Any]:
    """The recipe without folders of the machine it ran on, and how many images and lesions the members saw."""
    init = Path(init).name
    return {
        "data": "HAM10000, doi:10.7910/DVN/DBW86T",
        "recipe": {**asdict(recipe), "dataset": "HAM10000", "init": init}
        | {"extra": [{**asdict(extra), "folder": Path(extra.folder).name} for extra in recipe.extra]},
        "training": _part(training, "training"),
        "training_images_by_dx": {dx: int(count) for dx, count in training["dx"].value_counts().sort_index().items()},
    }


def _provenance() -> dict[str, str]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changes = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    ).stdout.strip()
    arguments = [Path(argument).name if argument.startswith("/") else argument for argument in sys.argv[1:]]
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "model.export", *arguments]),
        "commit": f"{commit or 'unknown'}{' with changes' if changes else ''}",
    }
