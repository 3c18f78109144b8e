"""Measure speed, side by side with the usual way, in one run.

    python -m model.bench                    # about two minutes
    python -m model.bench --image lesion.jpg --runs 100

Times are medians on this machine and differ between machines; the ratios are what to compare. The usual way
(`Keras predict()` plus `tf-keras-vis Gradcam` for one class) runs in the same process after the LiteRT part, so that
TensorFlow is not loaded while LiteRT is measured.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from model.analysis.analyzer import Analyzer
from model.arguments import add_artifact, sample_of
from model.batch.rows import score_in_process
from model.explain.maps import explain, overlay
from model.images.decoding import decode_image
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact, load_artifact
from model.inference.processes import images_at_a_time
from model.inference.runtimes import LiteRTClassifier

MIN_RUNS = 30
START_RUNS = 5
BATCH_IMAGES = 200
BATCH_PROCESSES = (1, 2)
# What a fresh process does to answer one image; its wall time includes starting Python.
FIRST_PREDICTION = """
import sys
from pathlib import Path
from model.analysis.analyzer import Analyzer
from model.inference.artifact import load_artifact
from model.inference.runtimes import LiteRTClassifier
analysis = Analyzer(LiteRTClassifier(load_artifact(Path(sys.argv[1])))).run(Path(sys.argv[2]).read_bytes())
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table: a median with its quartiles, milliseconds."""

    name: str
    median: float
    low: float
    high: float
    runs: int
    method: str


@dataclass(frozen=True)
class Throughput:
    """Images a second of a batch in so many processes, one LiteRT thread each."""

    processes: int
    images: int
    images_per_second: float


def measure(name: str, action: Callable[[], object], runs: int, method: str) -> Figure:
    """Median and quartiles of the wall time of an action, after one call that is not counted."""
    action()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    low, median, high = np.percentile(times, [25, 50, 75])
    return Figure(name, float(median), float(low), float(high), runs, method)


def measure_serving(artifact: Artifact, content: bytes, runs: int) -> list[Figure]:
    """Every step from the bytes of an upload to the overlay, LiteRT on one thread."""
    analyzer = Analyzer(LiteRTClassifier(artifact))
    image = decode_image(content)
    network_input, framing = artifact.network_input(image)
    output = analyzer.classifier.forward(network_input)
    explanation = explain(output.maps, artifact.task.codes, framing, artifact.min_peak)
    pixels, tiff = f"{image.shape[1]} x {image.shape[0]} px", _as_tiff(image)
    return [
        measure("decode", lambda: decode_image(content), runs, pixels),
        measure("decode, as TIFF", lambda: decode_image(tiff), runs, f"by the child process, {pixels}"),
        measure("preprocess", lambda: artifact.network_input(image), runs, "crop, resize"),
        measure(
            "whole answer, all networks, all heatmaps",
            lambda: analyzer.classifier.forward(network_input),
            runs,
            f"LiteRT, 1 thread, {len(output.member_logits)} networks, decoded array in",
        ),
        measure("similar cases", lambda: analyzer.similar_cases(output), runs, "six nearest training lesions"),
        measure(
            "overlay",
            lambda: overlay(image, explanation.heatmap(artifact.task.gravest), framing),
            runs,
            f"one class, {pixels}",
        ),
        measure("bytes to analysis", lambda: analyzer.run(content), runs, "all of it but the overlay"),
    ]


def _as_tiff(image: RgbImage) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "TIFF")
    return file.getvalue()


def measure_first_prediction(artifact: Artifact, image_path: Path) -> Figure:
    """Process start to first prediction, in fresh processes without TensorFlow."""
    command = [sys.executable, "-c", FIRST_PREDICTION, str(artifact.folder), str(image_path)]
    root = Path(__file__).resolve().parents[1]
    return measure(
        "process start to first prediction",
        lambda: subprocess.run(command, cwd=root, check=True),
        START_RUNS,
        "fresh process, no TensorFlow",
    )


def measure_batch(artifact: Artifact, image_path: Path, images: int = BATCH_IMAGES) -> list[Throughput]:
    """Images a second through `model.predict`'s processes, their start not counted, for 1 and 2 of them."""
    return [_throughput(artifact, image_path, images, processes) for processes in BATCH_PROCESSES]


def _throughput(artifact: Artifact, image_path: Path, images: int, processes: int) -> Throughput:
    run = partial(score_in_process, artifact.folder)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        # Each process loads its network at its first image.
        list(pool.map(run, [image_path] * 4 * processes, [None] * 4 * processes))
        started = time.perf_counter()
        at_a_time = images_at_a_time(images, processes)
        list(pool.map(run, [image_path] * images, [None] * images, chunksize=at_a_time))
        return Throughput(processes, images, images / (time.perf_counter() - started))


def measure_usual_way(artifact: Artifact, network_input: RgbImage, runs: int) -> list[Figure]:
    """Keras `predict()` and tf-keras-vis' Gradcam of one class, as most public tools do it. Loads TensorFlow."""
    import keras

    from model.explain.keras_worker import build_methods
    from model.networks.architecture import classifier_of

    network = classifier_of(keras.models.load_model(artifact.keras_path, compile=False))
    gradcam = build_methods(artifact.keras_path)["Grad-CAM"]
    batch = network_input[np.newaxis].astype(np.float32)
    gravest = artifact.task.index(artifact.task.gravest)

    def predict_and_explain() -> None:
        network.predict(batch, verbose=0)
        gradcam(batch, [gravest])

    return [
        measure("Keras predict()", lambda: network.predict(batch, verbose=0), runs, "all cores"),
        measure("Keras predict() + tf-keras-vis Gradcam", predict_and_explain, runs, "one class, all cores"),
    ]


def print_table(figures: list[Figure]) -> None:
    print(f"{'what':<40} {'median':>9} {'quartiles':>19} {'runs':>5}  method")
    for figure in figures:
        quartiles = f"{figure.low:.2f} to {figure.high:.2f}"
        print(f"{figure.name:<40} {figure.median:>6.2f} ms {quartiles:>19} {figure.runs:>5}  {figure.method}")


def print_throughputs(throughputs: list[Throughput]) -> None:
    """Each line beside what as many single processes would do."""
    print(f"\n{'batch, decoded from files':<40} {'images/s':>9} {'a process':>10} {'scaling':>8}")
    single = throughputs[0].images_per_second
    for one in throughputs:
        rate = one.images_per_second
        name = f"{one.processes} processes, {one.images} images"
        print(f"{name:<40} {rate:>9.1f} {rate / one.processes:>10.1f} {rate / single:>7.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    parser.add_argument("--image", type=Path, help="image to measure with; default: a drawn one of the task")
    parser.add_argument("--runs", type=int, default=50, help=f"runs of each step, at least {MIN_RUNS}")
    arguments = parser.parse_args()
    runs = max(arguments.runs, MIN_RUNS)
    artifact = load_artifact(arguments.artifact)
    path = arguments.image or sample_of(artifact.task)
    content = path.read_bytes()
    network_input, _ = artifact.network_input(decode_image(content))

    first = measure_first_prediction(artifact, path)
    serving = measure_serving(artifact, content, runs)
    batch = measure_batch(artifact, path)
    usual = measure_usual_way(artifact, network_input, runs)
    print_table([*serving, first, *usual])
    print_throughputs(batch)
    forward = next(figure for figure in serving if figure.name.startswith("whole answer"))
    print(
        f"\nprobabilities and heatmaps of all classes are {usual[-1].median / forward.median:.0f} times faster than "
        "predict() plus tf-keras-vis Gradcam for one class (medians of this run)"
    )


if __name__ == "__main__":
    main()
