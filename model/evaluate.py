"""Measure a model on its locked test lesions: every metric with its 95 % interval by lesion.

    python -m model.evaluate                                          # the committed model's test predictions
    python -m model.evaluate --predictions FILE.csv --output metrics.json
    python -m model.evaluate --resamples 100                          # quicker, rougher intervals

The table it reads has one row an image: image_id, lesion_id, dx, dx_type, age, sex, localization, seven probabilities
in columns named by dx code, and prediction, the predicted dx. Exit code 2, and a message, for a file that is not one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.diagnoses import DX_CODES
from data.ham10000 import METADATA_COLUMNS
from model.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    BinaryThresholds,
    Estimate,
    LesionIds,
    ThresholdMetrics,
    Weights,
    bootstrap_weights,
    calibration_estimate,
    estimate_of,
    percentile_interval,
    rate_estimates,
    share_estimates,
    weighted_auroc,
    weighted_balanced_accuracy,
    weighted_sensitivity_at,
)
from model.intervals import threshold_table as threshold_table  # offered here too, beside the evaluation it refines
from model.metrics import (
    Array,
    Booleans,
    Indices,
    auroc,
    balanced_accuracy,
    confusion_matrix,
    is_malignant,
    macro_auroc,
    malignant_probability,
    mean_of_finite,
    roc_curve,
)
from model.metrics import reweigh_ppv_npv as reweigh_ppv_npv  # likewise

PREDICTION_COLUMNS: tuple[str, ...] = (*METADATA_COLUMNS, *DX_CODES, "prediction")
# Probabilities are stored with few decimals, so their sum is 1 only within rounding.
SUM_TOLERANCE = 1e-3
MACRO, MALIGNANT = "macro", "malignant"
ROC_GRID = np.linspace(0, 1, 101)
DEFAULT_ARTIFACT = Path(__file__).with_name("weights") / "skin"
TEST_PREDICTIONS_FILE = "test_predictions.csv"
MANIFEST_FILE = "manifest.json"


class PredictionsError(Exception):
    """A predictions file, or the manifest beside it, that is not what it should be; the message says where and why."""


@dataclass(frozen=True)
class Cohort:
    """Predictions and reference diagnoses of N images.

    Attributes:
        image_ids, lesion_ids: (N,) str.
        dx_true: (N,) int64 class indices, the reference.
        probabilities: (N, 7) float64 in dx order, sum 1.
        dx_predicted: (N,) int64 class indices; not always the argmax, since the decision corrects for class shares.
    """

    image_ids: NDArray[np.str_]
    lesion_ids: LesionIds
    dx_true: Indices
    probabilities: Array
    dx_predicted: Indices

    @property
    def is_malignant(self) -> Booleans:
        return is_malignant(self.dx_true)

    @property
    def p_malignant(self) -> Array:
        return malignant_probability(self.probabilities)


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest: the rates of the predicted class, and the AUROC of its probability."""

    dx: str
    images: int
    lesions: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Every metric of a cohort; all in [0, 1], NaN where it cannot be said.

    Attributes:
        images, lesions: how many were measured.
        resamples, seed: of the bootstrap by lesion.
        balanced_accuracy: mean per-class sensitivity of the predicted class.
        macro_auroc: mean one-against-rest AUROC.
        malignant_auroc: of the summed probability of the malignant classes.
        calibration_error: of the highest probability, 15 bins.
        per_class: seven, in dx order.
        confusion: (7, 7) int64 images, row reference, column predicted class.
    """

    images: int
    lesions: int
    resamples: int
    seed: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_auroc: Estimate
    malignant_auroc: Estimate
    calibration_error: Estimate
    per_class: tuple[ClassMetrics, ...]
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class RocCurve:
    """One ROC curve with its pointwise 95 % band; NaN where a group is empty.

    Attributes:
        name: a dx code (against the rest), `macro` or `malignant`.
        false_positive_rate, sensitivity, threshold: (K,) from (0, 0) to (1, 1); the mean curve `macro` has no
            thresholds, they are NaN.
        band_grid: (101,) false-positive rates.
        band_low, band_high: (101,) bounds of the sensitivity at `band_grid`.
        auroc: area; that of `macro` is the mean of the classes' areas.
        positives, negatives: images; those of `macro` are summed over the classes in the mean.
    """

    name: str
    false_positive_rate: Array
    sensitivity: Array
    threshold: Array
    band_grid: Array
    band_low: Array
    band_high: Array
    auroc: Estimate
    positives: int
    negatives: int


def load_predictions(path: Path) -> pd.DataFrame:
    """Read a predictions CSV and check it; see `check_predictions`.

    Raises:
        PredictionsError: no such file, not a CSV, or a table that `check_predictions` refuses.
    """
    try:
        table = pd.read_csv(path, dtype=str)
    except FileNotFoundError:
        raise PredictionsError(f"expected a CSV of predictions at {path}, found none") from None
    except (OSError, ValueError) as error:
        # pandas' parser errors are ValueErrors, and so is text in another encoding.
        raise PredictionsError(f"{path}: expected a CSV of predictions, could not read it ({error})") from error
    return check_predictions(table, Path(path).name)


def check_predictions(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The columns of a predictions table, or an error that names the first row at fault.

    Args:
        table: any table; further columns are left out.
        source: file name for the message.

    Returns:
        `PREDICTION_COLUMNS` in this order, one row an image; age (years, NaN where missing) and probabilities float64.

    Raises:
        PredictionsError: no rows, a column missing, a value missing (other than age), an unknown dx, an age that is
            not a number, a probability outside [0, 1], probabilities whose sum differs from 1 by more than 0.001, or
            an image_id that stands twice.
    """
    missing = [column for column in PREDICTION_COLUMNS if column not in table.columns]
    if missing:
        raise PredictionsError(
            f"{source}: expected columns {', '.join(PREDICTION_COLUMNS)}; missing {', '.join(missing)}"
        )
    checked = table.loc[:, list(PREDICTION_COLUMNS)].reset_index(drop=True)
    if checked.empty:
        raise PredictionsError(f"{source}: expected one row an image, received none")
    for column in PREDICTION_COLUMNS:
        if column != "age":
            _refuse(checked[column].isna(), checked[column], source, "a value")
    for column in ("dx", "prediction"):
        _refuse(~checked[column].isin(DX_CODES), checked[column], source, f"one of {', '.join(DX_CODES)}")
    for column in ("age", *DX_CODES):
        numbers = pd.to_numeric(checked[column], errors="coerce").astype("float64")
        _refuse(numbers.isna() & checked[column].notna(), checked[column], source, "a number")
        checked[column] = numbers
    for column in DX_CODES:
        _refuse(~checked[column].between(0, 1), checked[column], source, "a probability from 0 to 1")
    total = checked[list(DX_CODES)].sum(axis=1).rename("sum of the probabilities")
    _refuse((total - 1).abs() > SUM_TOLERANCE, total, source, "1")
    _refuse(checked["image_id"].duplicated(), checked["image_id"], source, "each image once")
    return checked


def _refuse(is_wrong: pd.Series, values: pd.Series, source: str, expected: str) -> None:
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        received = "nothing" if pd.isna(values.iloc[row]) else values.iloc[row]
        # + 2: the header is line 1 of the file.
        raise PredictionsError(f"{source}, row {row + 2}, {values.name}: expected {expected}, received {received}")


def cohort_of(predictions: pd.DataFrame) -> Cohort:
    """The arrays of a checked predictions table, or of any selection of its rows."""
    index_of = {dx: index for index, dx in enumerate(DX_CODES)}
    return Cohort(
        image_ids=predictions["image_id"].to_numpy(dtype=str),
        lesion_ids=predictions["lesion_id"].to_numpy(dtype=str),
        dx_true=predictions["dx"].map(index_of).to_numpy(dtype=np.int64),
        probabilities=predictions[list(DX_CODES)].to_numpy(dtype=np.float64),
        dx_predicted=predictions["prediction"].map(index_of).to_numpy(dtype=np.int64),
    )


def evaluate(cohort: Cohort, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Evaluation:
    """Every metric of a cohort with its 95 % interval.

    Args:
        cohort: the images; none gives NaN everywhere.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than one resample.
    """
    weights = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    truth, predicted = cohort.dx_true, cohort.dx_predicted
    areas = np.array([weighted_auroc(truth == k, cohort.probabilities[:, k], weights) for k in range(len(DX_CODES))])
    per_class = tuple(_class_metrics(cohort, index, areas[index], weights) for index in range(len(DX_CODES)))
    is_correct = (truth == predicted)[:, np.newaxis]
    return Evaluation(
        images=len(truth),
        lesions=len(np.unique(cohort.lesion_ids)),
        resamples=resamples,
        seed=seed,
        accuracy=share_estimates(is_correct, np.ones_like(is_correct), cohort.lesion_ids, weights)[0],
        balanced_accuracy=estimate_of(
            balanced_accuracy(truth, predicted), weighted_balanced_accuracy(truth, predicted, weights)
        ),
        macro_auroc=estimate_of(macro_auroc(truth, cohort.probabilities), mean_of_finite(areas)),
        malignant_auroc=estimate_of(
            auroc(cohort.is_malignant, cohort.p_malignant),
            weighted_auroc(cohort.is_malignant, cohort.p_malignant, weights),
        ),
        calibration_error=calibration_estimate(truth, cohort.probabilities, weights),
        per_class=per_class,
        confusion=confusion_matrix(truth, predicted),
    )


def _class_metrics(cohort: Cohort, index: int, areas: Array, weights: Weights) -> ClassMetrics:
    is_class = cohort.dx_true == index
    is_called = cohort.dx_predicted == index
    sensitivity, specificity, ppv, npv, _ = rate_estimates(is_class, is_called, cohort.lesion_ids, weights)
    return ClassMetrics(
        dx=DX_CODES[index],
        images=int(is_class.sum()),
        lesions=len(np.unique(cohort.lesion_ids[is_class])),
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=ppv,
        npv=npv,
        auroc=estimate_of(auroc(is_class, cohort.probabilities[:, index]), areas),
    )


def roc_curves(cohort: Cohort, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> tuple[RocCurve, ...]:
    """Nine ROC curves: each class against the rest in dx order, their mean `macro`, and `malignant` against benign.

    Args:
        cohort: the images.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap; the same as in `evaluate` gives the same intervals of the areas.

    Raises:
        ValueError: fewer than one resample.
    """
    questions = [(dx, cohort.dx_true == index, cohort.probabilities[:, index]) for index, dx in enumerate(DX_CODES)]
    questions.append((MALIGNANT, cohort.is_malignant, cohort.p_malignant))
    # The first row of ones is the cohort as measured; one bootstrap sample a row follows.
    drawn = bootstrap_weights(cohort.lesion_ids, resamples, seed)
    weights = np.vstack([np.ones((1, drawn.shape[1]), dtype=np.float32), drawn])
    sensitivities = np.array([weighted_sensitivity_at(*question[1:], weights, ROC_GRID) for question in questions])
    areas = np.array([weighted_auroc(*question[1:], weights) for question in questions])
    curves = [
        _roc_curve(name, roc_curve(is_positive, score), sensitivities[i], areas[i], _group_sizes(is_positive))
        for i, (name, is_positive, score) in enumerate(questions)
    ]
    *per_class, malignant = curves
    usable = [(curve.positives, curve.negatives) for curve in per_class if curve.positives and curve.negatives]
    mean_sensitivities = mean_of_finite(sensitivities[: len(per_class)])
    macro = _roc_curve(
        MACRO,
        # The grid starts at the top of the rise at false-positive rate 0; the drawn curve starts at its foot.
        (np.array([0, *ROC_GRID]), np.array([0, *mean_sensitivities[0]]), np.full(len(ROC_GRID) + 1, np.nan)),
        mean_sensitivities,
        mean_of_finite(areas[: len(per_class)]),
        (sum(positives for positives, _ in usable), sum(negatives for _, negatives in usable)),
    )
    return (*per_class, macro, malignant)


def _group_sizes(is_positive: Booleans) -> tuple[int, int]:
    return int(is_positive.sum()), int((~is_positive).sum())


def _roc_curve(
    name: str, points: tuple[Array, Array, Array], sensitivities: Array, areas: Array, sizes: tuple[int, int]
) -> RocCurve:
    low, high = percentile_interval(sensitivities[1:])
    return RocCurve(name, *points, ROC_GRID, low, high, estimate_of(areas[0], areas[1:]), *sizes)


def evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON holds it: plain numbers, text, lists and dicts, with None for NaN."""
    return to_plain(asdict(evaluation))


def evaluation_from_dict(stored: dict[str, Any]) -> Evaluation:
    """The evaluation that `evaluation_to_dict` wrote; further keys (data, split) are ignored.

    Raises:
        KeyError: an entry is missing.
    """
    rows = [{field.name: _read_field(row[field.name]) for field in fields(ClassMetrics)} for row in stored["per_class"]]
    return Evaluation(
        **{field.name: _read_field(stored[field.name]) for field in fields(Evaluation)}
        | {
            "per_class": tuple(ClassMetrics(**row) for row in rows),
            "confusion": np.array(stored["confusion"], dtype=np.int64),
        }
    )


def _read_field(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    return Estimate(*(math.nan if stored[key] is None else float(stored[key]) for key in ("value", "low", "high")))


def to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Source:
    """What the command line measures: checked predictions, their data and split in words, and named thresholds."""

    predictions: pd.DataFrame
    title: str
    operating_points: tuple[tuple[str, float], ...]


def read_source(arguments: argparse.Namespace) -> Source:
    """The predictions that the command-line arguments ask for.

    A predictions file may come from another model, so the thresholds of an artifact are tried on it only where
    `--artifact` names one.

    Raises:
        PredictionsError: a file is missing or not what it should be.
    """
    if arguments.predictions is not None:
        points = _read_operating_points(_read_manifest(arguments.artifact)) if arguments.artifact else ()
        return Source(load_predictions(arguments.predictions), f"{arguments.predictions.name}, all of its rows", points)
    folder = arguments.artifact or DEFAULT_ARTIFACT
    predictions = load_predictions(folder / TEST_PREDICTIONS_FILE)
    manifest = _read_manifest(folder)
    measured = manifest.get("metrics", {})
    model = " ".join(str(manifest[key]) for key in ("name", "version") if key in manifest) or folder.name
    title = f"{measured.get('data', 'HAM10000')}, {measured.get('split', 'locked test')} split, model {model}"
    return Source(predictions, title, _read_operating_points(manifest))


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise PredictionsError(f"{path}: expected a JSON object, could not read it ({error}); restore it") from error


def _read_operating_points(manifest: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    try:
        return tuple((str(point["name"]), float(point["threshold"])) for point in manifest.get("operating_points", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise PredictionsError(
            f"{MANIFEST_FILE}: expected operating points with a name and a threshold, received others ({error!r})"
        ) from error


def format_report(evaluation: Evaluation, points: dict[str, ThresholdMetrics], title: str) -> str:
    """All tables as text; a value is followed by its 95 % interval, `-` stands for what cannot be said."""
    overall = ("balanced_accuracy", "macro_auroc", "malignant_auroc", "accuracy", "calibration_error")
    rates = ("sensitivity", "specificity", "ppv", "npv")
    tables = [
        _table(
            ("Overall", "value (95 % interval)"),
            [(name.replace("_", " "), _text(getattr(evaluation, name))) for name in overall],
        ),
        _table(
            ("Class against rest", "images", "lesions", *rates, "auroc"),
            [
                (row.dx, f"{row.images:,}", f"{row.lesions:,}", *(_text(getattr(row, r)) for r in (*rates, "auroc")))
                for row in evaluation.per_class
            ],
        ),
        _table(
            ("Malignant against benign", "threshold", *rates, "accuracy"),
            [
                (name, f"{point.threshold:.4f}", *(_text(getattr(point, rate)) for rate in (*rates, "accuracy")))
                for name, point in points.items()
            ],
        )
        if points
        else "Malignant against benign: no operating points, since no manifest names any",
        _table(
            ("Images: diagnosis (row), prediction (column)", *DX_CODES),
            [(dx, *(f"{n:,}" for n in row)) for dx, row in zip(DX_CODES, evaluation.confusion, strict=True)],
        ),
    ]
    heading = (
        f"{title}: {evaluation.images:,} images of {evaluation.lesions:,} lesions\n"
        f"Intervals: {evaluation.resamples:,} bootstrap samples of lesions, seed {evaluation.seed}"
    )
    return "\n\n".join([heading, *tables])


def _text(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "-"
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    )


def _whole_number(minimum: int, text: str) -> int:
    number = int(text)
    if number < minimum:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, received {number}")
    return number


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path, help="weights folder (default: model/weights/skin)")
    parser.add_argument("--predictions", type=Path, help="CSV to measure in place of the artifact's test predictions")
    parser.add_argument("--resamples", type=partial(_whole_number, 1), default=RESAMPLES, help="bootstrap samples")
    parser.add_argument("--seed", type=partial(_whole_number, 0), default=BOOTSTRAP_SEED, help="of the bootstrap")
    parser.add_argument("--output", type=Path, help="JSON file to write the same figures to")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        source = read_source(arguments)
    except PredictionsError as error:
        print(error, file=sys.stderr)
        return 2
    cohort = cohort_of(source.predictions)
    evaluation = evaluate(cohort, arguments.resamples, arguments.seed)
    weights = bootstrap_weights(cohort.lesion_ids, arguments.resamples, arguments.seed)
    thresholds = BinaryThresholds(cohort.is_malignant, cohort.p_malignant, cohort.lesion_ids, weights)
    points = {name: thresholds.at(threshold) for name, threshold in source.operating_points}
    print(format_report(evaluation, points, source.title))
    if arguments.output is not None:
        document = {"data": source.title, **evaluation_to_dict(evaluation)}
        document["operating_points"] = [{"name": name, **to_plain(asdict(point))} for name, point in points.items()]
        try:
            arguments.output.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"{arguments.output}: cannot be written ({error})", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
