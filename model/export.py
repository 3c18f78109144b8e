"""Turn a finished training run into the artifact folder that the dashboard serves.

    python -m model.export --run runs/skin --output model/weights/skin --version 1.0

Writes `model.keras` and `model.tflite` (one forward pass: logits, embedding, texture,
class-activation maps), scores the
validation fold and the locked test lesions with the serving file itself, fits calibration, thresholds, quality limits
and the out-of-distribution gate on images that are not in the test part, and states all of it in `manifest.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tqdm import tqdm

from data.diagnoses import DX_CODES, MALIGNANT_DX
from data.ham10000 import DatasetError, image_path, load_metadata
from data.splits import FOLDS, TEST, TEST_SHARE, split_by_lesion
from model.architecture import BACKBONES, build_serving_network
from model.artifact import (
    GATE_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    LITERT_FILE,
    MANIFEST_FILE,
    SCHEMA_VERSION,
    SIGNATURE,
    TEST_PREDICTIONS_FILE,
    MeasuredRate,
    OperatingPoint,
    QualityLimits,
    load_artifact,
    sha256_of,
)
from model.evaluation import evaluate, evaluation_to_dict, to_plain
from model.intervals import BinaryThresholds
from model.metrics import is_malignant, malignant_probability, threshold_for_sensitivity
from model.predictions import cohort_of
from model.preprocessing import RgbImage, decode_image
from model.quality import Gate, fit_gate, measure
from model.recipe import HEIGHT, WIDTH, Recipe, class_indices, read_run, select_rows, training_prior
from model.train import NETWORK_FILE
from model.training_data import load_images
from model.uncertainty import Calibration, decide, fit_calibration

TARGET_SENSITIVITIES: dict[str, float] = {"sensitivity_95": 0.95, "sensitivity_90": 0.90}
GATE_ACCEPTANCE = 0.98
POPULATION = "HAM10000 (dermoscopy clinics in Vienna and Queensland)"
LICENCE = "CC BY-NC 4.0, see LICENSE-WEIGHTS.md: derived from HAM10000, which is CC BY-NC 4.0"


@dataclass(frozen=True)
class Scored:
    """What the serving file answered for the images of one part, row by row."""

    rows: pd.DataFrame
    logits: NDArray[np.float64]
    textures: NDArray[np.float32]
    qualities: NDArray[np.float64]


def fix_input_size(network: keras.Model, backbone: str, height: int, width: int) -> keras.Model:
    """The same network and weights for one input size, without optimizer state. The given network is not changed."""
    fixed = BACKBONES[backbone](height, width, None)
    fixed.set_weights(network.get_weights())
    return fixed


def to_litert(network: keras.Model, height: int, width: int) -> bytes:
    """Convert to a LiteRT file whose `serving_default` signature maps `image` to logits, embedding, texture, maps."""
    serving = build_serving_network(network, height, width)
    archive = keras.export.ExportArchive(verbose=False)
    archive.track(serving)
    archive.add_endpoint(
        SIGNATURE,
        lambda image: serving(image, training=False),
        input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, name="image")],
    )
    # By way of a SavedModel: converting the concrete function directly leaves Keras 3's weights out of the file.
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE]).convert()


def score(interpreter: Interpreter, rows: pd.DataFrame, images: RgbImage, description: str) -> Scored:
    """Run the serving file over images of its input size, with a progress bar."""
    runner = interpreter.get_signature_runner(SIGNATURE)
    logits, textures = [], []
    for image in tqdm(images, desc=f"scoring {description}", unit="image", mininterval=1.0):
        outputs = runner(image=image[np.newaxis].astype(np.float32))
        logits.append(outputs["logits"][0])
        textures.append(outputs["texture"][0])
    qualities = np.array([measure(image) for image in images])
    return Scored(rows, np.stack(logits).astype(np.float64), np.stack(textures), qualities)


def choose_limits(training: Scored, validation: Scored, gate: Gate) -> QualityLimits:
    """Limits of a usable image: just outside what the training images show; the gate accepts 98 % of the validation.

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
        max_ood_score=float(np.quantile(gate.score(validation.textures), GATE_ACCEPTANCE)),
    )


def choose_operating_points(calibration: Calibration, validation: Scored, test: Scored) -> list[OperatingPoint]:
    """Thresholds for malignant against benign chosen on the validation fold, then measured on the locked test."""
    chosen_on = malignant_probability(calibration.probabilities(validation.logits))
    reference = is_malignant(class_indices(validation.rows))
    thresholds = BinaryThresholds(
        is_malignant(class_indices(test.rows)),
        malignant_probability(calibration.probabilities(test.logits)),
        test.rows["lesion_id"].to_numpy(dtype=str),
    )
    points = []
    for name, target in TARGET_SENSITIVITIES.items():
        threshold = threshold_for_sensitivity(reference, chosen_on, target)
        measured = thresholds.at(threshold)
        counts = measured.counts
        denominators = {
            "sensitivity": counts.true_positives + counts.false_negatives,
            "specificity": counts.true_negatives + counts.false_positives,
            "ppv": counts.true_positives + counts.false_positives,
            "npv": counts.true_negatives + counts.false_negatives,
        }
        rates = {
            rate: MeasuredRate(**asdict(getattr(measured, rate)), n=denominator)
            for rate, denominator in denominators.items()
        }
        points.append(OperatingPoint(name, threshold, target, **rates))
    return points


def predictions_table(test: Scored, calibration: Calibration) -> pd.DataFrame:
    """The locked test lesions' predictions as `test_predictions.csv` holds them."""
    probabilities = calibration.probabilities(test.logits)
    columns = ["image_id", "lesion_id", "dx", "age", "sex", "localization", "dx_type"]
    table = test.rows[columns].reset_index(drop=True)
    table[list(DX_CODES)] = probabilities.round(7)
    return table.assign(prediction=[DX_CODES[index] for index in decide(probabilities, np.asarray(calibration.prior))])


def export(run: Path, output: Path, name: str, version: str, dataset: Path | None, init_label: str | None) -> Path:
    """Write the artifact of a finished run; see the module docstring.

    Args:
        run: folder that `model.train` wrote.
        output: artifact folder; replaced.
        name, version: for the manifest.
        dataset: HAM10000 folder; the run's own where None.
        init_label: how the manifest calls the initial weights; the file name where None.

    Returns:
        `output`, after it was loaded once to check it.
    """
    recipe = read_run(run)
    history = pd.read_csv(run / HISTORY_FILE)
    metadata = load_metadata(dataset or Path(recipe.dataset))
    training_rows, validation_rows = select_rows(metadata, recipe)
    test_rows = metadata[split_by_lesion(metadata, seed=recipe.split_seed) == TEST]
    split = "locked test"
    if recipe.limit is not None:
        test_rows = test_rows.groupby("dx").head(max(recipe.limit // len(DX_CODES), 2))
        split = f"{TEST}, limited to some images a class"

    output.mkdir(parents=True, exist_ok=True)
    network = fix_input_size(keras.models.load_model(run / NETWORK_FILE), recipe.backbone, HEIGHT, WIDTH)
    network.save(output / KERAS_FILE)
    (output / LITERT_FILE).write_bytes(to_litert(network, HEIGHT, WIDTH))
    shutil.copyfile(run / HISTORY_FILE, output / HISTORY_FILE)

    interpreter = Interpreter(model_path=str(output / LITERT_FILE), num_threads=os.cpu_count())
    training, validation, test = (
        score(
            interpreter, rows, load_images(dataset or Path(recipe.dataset), list(rows["image_id"]), HEIGHT, WIDTH), part
        )
        for part, rows in (("training", training_rows), ("validation", validation_rows), ("locked test", test_rows))
    )
    calibration = fit_calibration(
        validation.logits,
        class_indices(validation_rows),
        training_prior(recipe, metadata),
        _class_shares(metadata[split_by_lesion(metadata, seed=recipe.split_seed) != TEST]),
        POPULATION,
    )
    gate = fit_gate(training.textures)
    gate.save(output / GATE_FILE)
    predictions = predictions_table(test, calibration)
    predictions.to_csv(output / TEST_PREDICTIONS_FILE, index=False)

    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "created": _provenance(),
        "licence": LICENCE,
        "classes": list(DX_CODES),
        "malignant": list(MALIGNANT_DX),
        "input": {
            "height": HEIGHT,
            "width": WIDTH,
            "channels": "RGB",
            "value_range": [0, 255],
            "rescaled_by": "the network",
        },
        "network": {
            "backbone": recipe.backbone,
            "parameters": network.count_params(),
            "outputs": _outputs(interpreter),
        },
        "training": {
            **_describe_training(recipe, init_label, training_rows, validation_rows),
            "epochs_by_phase": {str(phase): int(n) for phase, n in history["phase"].value_counts(sort=False).items()},
            "source_pixels": _source_pixels(dataset or Path(recipe.dataset), training_rows),
        },
        "split": {
            "by": "lesion_id",
            "seed": recipe.split_seed,
            "test_share": TEST_SHARE,
            "folds": FOLDS,
            "validation_fold": recipe.validation_fold,
        },
        "calibration": {"chosen_on": _part(validation_rows, "validation fold"), **asdict(calibration)},
        "decision": "argmax of probability / prior (every class counts the same, as in balanced accuracy)",
        "operating_points": [asdict(point) for point in choose_operating_points(calibration, validation, test)],
        "operating_points_chosen_on": _part(validation_rows, "validation fold"),
        "quality": {
            "chosen_on": [_part(training_rows, "training"), _part(validation_rows, "validation fold")],
            "gate_acceptance": GATE_ACCEPTANCE,
            "limits": asdict(choose_limits(training, validation, gate)),
        },
        "metrics": {
            "data": "HAM10000",
            "split": split,
            **evaluation_to_dict(evaluate(cohort_of(predictions))),
        },
        "files": {
            file: {"sha256": sha256_of(output / file), "bytes": (output / file).stat().st_size}
            for file in (LITERT_FILE, KERAS_FILE, GATE_FILE, HISTORY_FILE, TEST_PREDICTIONS_FILE)
        },
    }
    (output / MANIFEST_FILE).write_text(json.dumps(to_plain(manifest), indent=2, allow_nan=False) + "\n")
    load_artifact(output)
    return output


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


def _describe_training(
    recipe: Recipe, init_label: str | None, training: pd.DataFrame, validation: pd.DataFrame
) -> dict[str, Any]:
    """The recipe without folders of the machine it ran on, and how many images and lesions it saw."""
    init = init_label or (recipe.init if recipe.init in ("imagenet", "none") else Path(recipe.init).name)
    return {
        "data": "HAM10000, doi:10.7910/DVN/DBW86T",
        "recipe": {**asdict(recipe), "dataset": "HAM10000", "init": init},
        "training": _part(training, "training"),
        "validation": _part(validation, "validation"),
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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/skin"), help="folder that model.train wrote")
    parser.add_argument("--output", type=Path, default=Path("model/weights/skin"), help="artifact folder to write")
    parser.add_argument("--name", default="skin")
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--dataset", type=Path, help="HAM10000 folder; default: the one the run was trained on")
    parser.add_argument("--init-label", help="what the manifest calls the initial weights")
    arguments = parser.parse_args(argv)
    folder = export(
        arguments.run, arguments.output, arguments.name, arguments.version, arguments.dataset, arguments.init_label
    )
    print(f"artifact: {folder}; next: python -m model.evaluate")


if __name__ == "__main__":
    main()
