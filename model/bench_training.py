"""Measure what training costs: seconds an epoch, images a second, memory, share of the processor, and what comes of it.

    python -m model.bench_training --dataset ../shared/ham10000 --init none
    python -m model.bench_training --images 200 --height 64 --width 96 --init none     # a minute or two on a laptop
    python -m model.bench_training ... --instance ml.c7i.4xlarge --price-per-hour 0.86 # in a cloud

For 200, 2,000 and all training images one after the other, each in a process of its own, two epochs of all layers at
the full size; every other option is one of `model.train`. A row each is added to `results/training.csv` with the
machine and the versions of the libraries, and no name of a host or folder. The metrics are those of the validation
fold, most probable class, uncalibrated: the locked test is for finished models. Times of a machine that does other work
as well say little; the row has the load that it had before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from model.arguments import whole_number
from model.training.environment import created_by, environment_of, instance_of

if TYPE_CHECKING:
    from model.evaluation.predictions import Cohort
    from model.training.recipe import Recipe

RESULTS = Path("results/training.csv")
ALL = "all"
SIZES = ("200", "2000", ALL)
# Two epochs, since the first one also traces the network; the phases come before the caller's options, which may change
# them.
PHASES: tuple[str, ...] = ("--head-epochs", "0", "--low-resolution", "1", "--low-resolution-epochs", "2")
PHASES += ("--middle-resolution-epochs", "0", "--full-resolution-epochs", "0")


@dataclass(frozen=True)
class Cost:
    """What a training of so many images took, and what it gave on its validation fold.

    Attributes:
        training_images: drawn an epoch.
        validation_images, validation_lesions: measured after each epoch, which is part of its seconds.
        seconds_an_epoch: of the last one, in which nothing is traced any more.
        images_per_second: `training_images` by `seconds_an_epoch`.
        processor_share: of all cores that the process may use, in the same epoch; in [0, 1] as far as clocks go.
        peak_memory_mb: of the process, TensorFlow and decoded images included, in MiB.
        balanced_accuracy, macro_auroc: each with the bounds of its 95 % interval by lesion.
    """

    training_images: int
    validation_images: int
    validation_lesions: int
    task: str
    backbone: str
    init: str
    height: int
    width: int
    batch_size: int
    epochs: int
    seconds_an_epoch: float
    images_per_second: float
    processor_share: float
    peak_memory_mb: float
    balanced_accuracy: float
    balanced_accuracy_low: float
    balanced_accuracy_high: float
    macro_auroc: float
    macro_auroc_low: float
    macro_auroc_high: float


def train_once(options: Sequence[str], folder: Path) -> Cost | str:
    """Train with the options of `model.train` in this process, which loads TensorFlow, and measure it.

    Returns:
        The cost, or what stands in the way in words: errors of training do not all survive the way between processes.
    """
    # Loaded here: the process that waits and writes needs none of it.
    from data.datasets.ham10000 import DatasetError
    from model.networks.features import WeightsMismatch
    from model.train import build_parser, recipe_from
    from model.training.recipe import RunMismatch
    from model.training.run import HISTORY_FILE, train

    try:
        recipe = recipe_from(build_parser().parse_args(list(options)))
        train(recipe, folder, is_resumed=False, checkpoint_minutes=float("inf"))
    except (DatasetError, RunMismatch, WeightsMismatch) as error:
        return str(error)
    peak = _peak_memory_mb()
    history = pd.read_csv(folder / HISTORY_FILE)
    return _cost(recipe, folder, history, peak)


def _cost(recipe: Recipe, folder: Path, history: pd.DataFrame, peak: float) -> Cost:
    from data.datasets.ham10000 import load_metadata
    from model.evaluation.results import evaluate
    from model.training.recipe import labelled_task, select_rows

    metadata = load_metadata(Path(recipe.dataset), labelled_task(recipe).codes)
    training, validation = select_rows(metadata, recipe)
    last = history.iloc[-1]
    evaluation = evaluate(_validated(folder, recipe, validation, int(last["height"]), int(last["width"])))
    balanced, area = evaluation.balanced_accuracy, evaluation.macro_auroc
    return Cost(
        training_images=len(training),
        validation_images=evaluation.images,
        validation_lesions=evaluation.lesions,
        task=recipe.task,
        backbone=recipe.backbone,
        init=Path(recipe.init).name,
        height=int(last["height"]),
        width=int(last["width"]),
        batch_size=recipe.batch_size,
        epochs=len(history),
        seconds_an_epoch=float(last["seconds"]),
        images_per_second=round(len(training) / max(last["seconds"], 0.1), 2),
        processor_share=round(last["processor_seconds"] / max(last["seconds"], 0.1) / environment_of().cores, 3),
        peak_memory_mb=peak,
        **{
            f"balanced_accuracy{end}": round(value, 4)
            for end, value in (("", balanced.value), ("_low", balanced.low), ("_high", balanced.high))
        },
        **{
            f"macro_auroc{end}": round(value, 4)
            for end, value in (("", area.value), ("_low", area.low), ("_high", area.high))
        },
    )


def _validated(folder: Path, recipe: Recipe, rows: pd.DataFrame, height: int, width: int) -> Cohort:
    """The trained network's answers for its validation fold, as validation decides: the most probable class."""
    import keras

    from model.evaluation.predictions import Cohort
    from model.measures.metrics import softmax
    from model.networks.architecture import LOGITS_LAYER, build_training_network
    from model.training.batches import load_images
    from model.training.recipe import NETWORK_FILE, class_indices, task_of
    from model.training.validation import predict_logits

    network = build_training_network(keras.models.load_model(folder / NETWORK_FILE, compile=False), [LOGITS_LAYER])
    names, prepared = list(rows["image_id"]), recipe.preparation
    logits = predict_logits(network, load_images(Path(recipe.dataset), names, height, width, preparation=prepared))
    task = task_of(recipe)
    return Cohort(
        task,
        rows["image_id"].to_numpy(dtype=str),
        rows["lesion_id"].to_numpy(dtype=str),
        class_indices(rows, task.codes),
        softmax(logits),
        logits.argmax(axis=1),
    )


def _peak_memory_mb() -> float:
    """The most memory that this process has held, MiB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1)


def measure(size: str, options: Sequence[str], instance: str, price: float | None) -> dict[str, object] | str:
    """A row of the results for a training with so many images, or what stands in the way of it."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    limit = [] if size == ALL else ["--limit", size]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            cost = pool.submit(train_once, [*PHASES, *options, *limit], Path(folder) / "run").result()
    if isinstance(cost, str):
        return cost
    created = created_by("python -m model.bench_training")
    return {
        "utc": created["utc"],
        "commit": created["commit"],
        "images": size,
        **asdict(cost),
        "minutes": round((time.monotonic() - started) / 60, 2),
        "load_before": round(load, 2),
        **asdict(environment_of(instance)),
        "price_per_hour": price,
    }


def append(row: dict[str, object], path: Path) -> None:
    """Add a row to the table, or begin it; written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = [pd.read_csv(path, dtype=str, keep_default_na=False)] if path.is_file() else []
    table = pd.concat([*earlier, pd.DataFrame([row]).astype("object")], ignore_index=True)
    temporary = path.with_suffix(".tmp")
    table.to_csv(temporary, index=False)
    temporary.replace(path)


def describe(row: dict[str, object]) -> str:
    """What a row says, for a reader of the screen."""
    return (
        f"{row['training_images']} images, {row['width']} x {row['height']} px: {row['seconds_an_epoch']:.1f} s an "
        f"epoch, {row['images_per_second']:.1f} images/s, {row['processor_share']:.0%} of {row['cores']} cores, "
        f"{row['peak_memory_mb']:.0f} MiB; validation of {row['validation_images']} images: balanced accuracy "
        f"{row['balanced_accuracy']:.3f} ({row['balanced_accuracy_low']:.3f} to {row['balanced_accuracy_high']:.3f})"
    )


def _size(text: str) -> str:
    return text if text == ALL else str(whole_number(14)(text))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=_size, nargs="+", default=SIZES, help="sizes to measure, a number or `all`")
    parser.add_argument("--output", type=Path, default=RESULTS, help="table to add to")
    parser.add_argument("--instance", default=instance_of(os.environ), help="of the cloud, for the table")
    parser.add_argument("--price-per-hour", type=float, help="of that instance, in US dollars")
    arguments, options = parser.parse_known_args(argv)
    for size in arguments.images:
        row = measure(size, options, arguments.instance, arguments.price_per_hour)
        if isinstance(row, str):
            print(row, file=sys.stderr)
            return 2
        append(row, arguments.output)
        print(describe(row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
