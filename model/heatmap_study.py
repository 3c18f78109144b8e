"""Measure on locked test lesions whether heatmaps look at the lesion, and whether the score depends on where they look.

    python -m model.heatmap_study --artifact model/weights/skin --dataset ../shared/ham10000
    python -m model.heatmap_study --images 14 --faithfulness-images 7 --methods Grad-CAM "Centred Gaussian" Random

Needs HAM10000 with its lesion masks. One image a lesion, the classes in turn, so that each counts alike as far as its
test lesions last; the map is that of the predicted class. Writes the section `heatmaps` of the artifact's manifest and
prints it as tables. Grad-CAM++ and Score-CAM run in a process with Keras, one image after the other, and therefore on
fewer images (`--keras-images`). Exit code 2, and a message, where the artifact or the dataset is not what it should be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from data.ham10000 import DatasetError, image_path, load_metadata, mask_path
from data.splits import TEST, split_by_lesion
from model.arguments import whole_number
from model.artifact import DEFAULT_ARTIFACT, Artifact, ArtifactMismatch, load_artifact, write_section
from model.classifier import Classifier, NetworkOutput
from model.evaluation import to_plain
from model.explain import Heatmap
from model.heatmap_metrics import (
    IOU_THRESHOLDS,
    STEPS,
    centred_gaussian,
    cross_fitted_iou,
    energy_inside,
    halves_by_lesion,
    insertion_deletion,
    iou_by_threshold,
    points_inside,
    random_map,
    to_input_pixels,
)
from model.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
    share_estimates,
)
from model.keras_worker import KerasWorker, WorkerFailed
from model.metrics import Array, Booleans, mean_of_finite
from model.preprocessing import RgbImage, decode_image, to_network_input
from model.report import text_of
from model.runtimes import LiteRTClassifier
from model.uncertainty import decide

SECTION = "heatmaps"
GRAD_CAM, PREDICTED_LESION, SPOT, NOISE = "Grad-CAM", "Predicted lesion", "Centred Gaussian", "Random"
KERAS_METHODS: tuple[str, ...] = ("Grad-CAM++", "Score-CAM")
METHODS: tuple[str, ...] = (GRAD_CAM, PREDICTED_LESION, *KERAS_METHODS, SPOT, NOISE)
# Of the draw of images, of the halves that thresholds are chosen on, and with an image's number of its noise.
STUDY_SEED = 1
# A pixel of a resized mask, 0-255, is lesion above it.
MASK_LEVEL = 127


@dataclass(frozen=True)
class StudyImage:
    """One image of the study.

    Attributes:
        image_id, lesion_id: as in HAM10000.
        number: its place in the draw, from 0; with `STUDY_SEED` the seed of its noise.
        with_faithfulness: whether insertion and deletion are measured, which takes most of the time.
    """

    image_id: str
    lesion_id: str
    number: int
    with_faithfulness: bool


@dataclass(frozen=True)
class HeatmapMeasures:
    """What one method's heatmap of one image was measured to be; see `model.heatmap_metrics`.

    Attributes:
        method: one of `METHODS`.
        image_id, lesion_id: as in HAM10000.
        energy_inside: in [0, 1]; NaN for a map of zeros.
        points_inside: whether its maximum lies on the lesion.
        ious: (T,) overlap at each of `IOU_THRESHOLDS`.
        insertion, deletion: areas in [0, 1]; NaN where they were not measured.
    """

    method: str
    image_id: str
    lesion_id: str
    energy_inside: float
    points_inside: bool
    ious: Array
    insertion: float
    deletion: float


@dataclass(frozen=True)
class Measures:
    """The six measures over a set of images, or their differences between two methods; NaN where it cannot be said.

    Attributes:
        energy_inside: share of the map on the lesion, over the images with evidence.
        pointing: share of the images whose maximum lies on the lesion.
        iou: overlap at the threshold that is best on the other half of the lesions. Its interval holds these
            thresholds fixed.
        insertion, deletion: areas under the curves of the calibrated probability of the predicted class.
        faithfulness: insertion - deletion.
    """

    energy_inside: Estimate
    pointing: Estimate
    iou: Estimate
    insertion: Estimate
    deletion: Estimate
    faithfulness: Estimate


MEASURES: tuple[str, ...] = tuple(field.name for field in fields(Measures))


@dataclass(frozen=True)
class MethodResult:
    """One method on its images.

    Attributes:
        method: one of `METHODS`.
        images: how many were measured, one a lesion.
        without_evidence: how many of them had a map of zeros: left out of the energy, a miss when pointing, an overlap
            of 0.
        faithfulness_images: on how many insertion and deletion were measured.
        iou_thresholds: used on the first and on the second half of the lesions, shares of a map's maximum.
        measures: the means.
    """

    method: str
    images: int
    without_evidence: int
    faithfulness_images: int
    iou_thresholds: tuple[float, float]
    measures: Measures


@dataclass(frozen=True)
class Comparison:
    """Mean differences `method` minus `other`, pair by pair, on the images that both were measured on."""

    method: str
    other: str
    images: int
    faithfulness_images: int
    measures: Measures


@dataclass(frozen=True)
class HeatmapStudy:
    """Every method with its intervals, as it stands in the manifest.

    Attributes:
        images, lesions: how many were measured by any method.
        seed: of the draw of images.
        steps: of insertion and deletion.
        resamples, bootstrap_seed: of the intervals.
        methods: one result each.
        comparisons: Grad-CAM with each other method; none where it was not measured.
    """

    images: int
    lesions: int
    seed: int
    steps: int
    resamples: int
    bootstrap_seed: int
    methods: tuple[MethodResult, ...]
    comparisons: tuple[Comparison, ...]


def draw_images(metadata: pd.DataFrame, split_seed: int, images: int, faithfulness_images: int) -> list[StudyImage]:
    """Draw locked test images, one a lesion, the classes in turn.

    Any first part of the list is drawn in the same way, so that what is measured on fewer images is measured on the
    first of them.

    Args:
        metadata: of `load_metadata`.
        split_seed: of the artifact's data split.
        images: how many; all test lesions where there are fewer.
        faithfulness_images: how many of them, the first, have insertion and deletion measured.

    Returns:
        The images; a class whose lesions are used up is passed over.
    """
    locked = metadata[split_by_lesion(metadata, seed=split_seed) == TEST]
    # Sorted first: the draw does not depend on the order of the rows.
    shuffled = locked.sort_values("image_id").sample(frac=1, random_state=STUDY_SEED).drop_duplicates("lesion_id")
    turn = shuffled.groupby("dx").cumcount()
    drawn = shuffled.assign(turn=turn).sort_values(["turn", "dx"]).head(images)
    return [
        StudyImage(image_id, lesion_id, number, number < faithfulness_images)
        for number, (image_id, lesion_id) in enumerate(zip(drawn["image_id"], drawn["lesion_id"], strict=True))
    ]


def load_pair(dataset: Path, image_id: str, height: int, width: int) -> tuple[RgbImage, Booleans]:
    """An image and its lesion mask, framed alike.

    Returns:
        (height, width, 3) uint8 RGB 0-255, and (height, width) bool, True on the lesion.

    Raises:
        DatasetError: the image or its mask is missing.
    """
    image, mask = image_path(dataset, image_id), mask_path(dataset, image_id)
    if image is None:
        raise DatasetError(f"expected {image_id}.jpg in {dataset}, found none; run: python -m data.download")
    if mask is None:
        raise DatasetError(
            f"expected the lesion mask of {image_id} in {dataset}, found none; "
            "run: python -m data.download --part masks"
        )
    network_input, _ = to_network_input(decode_image(image.read_bytes()), height, width)
    levels, _ = to_network_input(decode_image(mask.read_bytes()), height, width)
    return network_input, levels[..., 0] > MASK_LEVEL


def measure_image(
    image: StudyImage,
    dataset: Path,
    classifier: Classifier,
    methods: Sequence[str],
    worker: KerasWorker | None = None,
) -> list[HeatmapMeasures]:
    """Measure the heatmaps of several methods for the predicted class of one image.

    Args:
        image: which.
        dataset: HAM10000 folder with masks.
        classifier: answers the forward passes.
        methods: from `METHODS`.
        worker: computes those of `KERAS_METHODS`; needed where one is asked for.

    Raises:
        DatasetError: the image or its mask is missing.
        ValueError: another method, or one that needs a worker without one.
        WorkerFailed: the worker could not compute a map.
    """
    artifact = classifier.artifact
    network_input, mask = load_pair(dataset, image.image_id, artifact.height, artifact.width)
    output = classifier.forward(network_input)
    class_index = int(decide(_probabilities(output, artifact), np.asarray(artifact.calibration.prior)))

    def score(shown: RgbImage) -> float:
        return float(_probabilities(classifier.forward(shown), artifact)[class_index])

    def map_of(method: str) -> Heatmap:
        if method in KERAS_METHODS and worker is not None:
            cells = worker.heatmap(method, network_input, class_index)
            return to_input_pixels(cells, artifact.height, artifact.width)
        return own_map(method, output, class_index, image.number, artifact)

    return [_measure_map(method, map_of(method), image, network_input, mask, score) for method in methods]


def own_map(method: str, output: NetworkOutput, class_index: int, number: int, artifact: Artifact) -> Heatmap:
    """A map that needs no Keras, (height, width) float32 >= 0 at the size of the network's input.

    Args:
        method: from `METHODS`, without `KERAS_METHODS`.
        output: the image's forward pass.
        class_index: position in `DX_CODES`.
        number: the image's place in the draw, for its noise.
        artifact: gives the size.

    Raises:
        ValueError: another method.
    """
    size = (artifact.height, artifact.width)
    if method == GRAD_CAM:
        return to_input_pixels(np.maximum(output.maps[..., class_index], 0), *size)
    if method == PREDICTED_LESION:
        return to_input_pixels(output.lesion, *size)
    if method == SPOT:
        return centred_gaussian(*size)
    if method == NOISE:
        return random_map(*size, np.random.default_rng([STUDY_SEED, number]))
    raise ValueError(f"expected one of {', '.join(METHODS)} (Keras methods with a worker), received {method!r}")


def _probabilities(output: NetworkOutput, artifact: Artifact) -> Array:
    return artifact.calibration.probabilities(output.logits.astype(np.float64))


def _measure_map(
    method: str,
    heatmap: Heatmap,
    image: StudyImage,
    network_input: RgbImage,
    mask: Booleans,
    score: Callable[[RgbImage], float],
) -> HeatmapMeasures:
    unmeasured = (float("nan"), float("nan"))
    insertion, deletion = insertion_deletion(network_input, heatmap, score) if image.with_faithfulness else unmeasured
    return HeatmapMeasures(
        method=method,
        image_id=image.image_id,
        lesion_id=image.lesion_id,
        energy_inside=energy_inside(heatmap, mask),
        points_inside=points_inside(heatmap, mask),
        ious=iou_by_threshold(heatmap, mask),
        insertion=insertion,
        deletion=deletion,
    )


def measure_all(
    images: Sequence[StudyImage],
    dataset: Path,
    artifact_folder: Path,
    methods: Sequence[str],
    keras_images: int,
    processes: int,
) -> list[HeatmapMeasures]:
    """Measure every method, with progress bars: Keras methods on the first images only.

    Raises:
        ArtifactMismatch: the folder holds no usable artifact.
        DatasetError: an image or a mask is missing.
        WorkerFailed: the process with Keras could not compute a map.
    """
    own = [method for method in methods if method not in KERAS_METHODS]
    slow = [method for method in methods if method in KERAS_METHODS]
    measure = partial(_measure_in_process, dataset=dataset, artifact_folder=artifact_folder, methods=own)
    measured = _flatten(_mapped(measure, images, processes)) if own else []
    if slow:
        classifier = _classifier(artifact_folder)
        worker = KerasWorker(classifier.artifact.keras_path)
        try:
            shown = tqdm(images[:keras_images], desc=", ".join(slow), unit="image", disable=None)
            measured += _flatten(measure_image(image, dataset, classifier, slow, worker) for image in shown)
        finally:
            worker.close()
    return measured


def _mapped(
    measure: Callable[[StudyImage], list[HeatmapMeasures]], images: Sequence[StudyImage], processes: int
) -> Iterable[list[HeatmapMeasures]]:
    progress = partial(tqdm, total=len(images), desc="heatmaps", unit="image", disable=None)
    if processes == 1:
        yield from progress(map(measure, images))
        return
    # Spawned, not forked: a fork would copy an interpreter's threads in the middle of their work.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from progress(pool.map(measure, images))


def _measure_in_process(
    image: StudyImage, dataset: Path, artifact_folder: Path, methods: Sequence[str]
) -> list[HeatmapMeasures]:
    return measure_image(image, dataset, _classifier(artifact_folder), methods)


@cache
def _classifier(artifact_folder: Path) -> LiteRTClassifier:
    """One a process."""
    return LiteRTClassifier(load_artifact(artifact_folder))


def _flatten(measured: Iterable[list[HeatmapMeasures]]) -> list[HeatmapMeasures]:
    return [one for of_image in measured for one in of_image]


def summarise(measured: Sequence[HeatmapMeasures]) -> HeatmapStudy:
    """Means with intervals of every method, and Grad-CAM compared with each other method.

    Args:
        measured: of any number of methods and images, each pair once; at least two lesions a method.

    Raises:
        ValueError: a method with fewer than two lesions.
    """
    methods = list(dict.fromkeys(one.method for one in measured))
    tables, thresholds = {}, {}
    for method in methods:
        tables[method], thresholds[method] = _table_of([one for one in measured if one.method == method])
    others = [method for method in methods if method != GRAD_CAM] if GRAD_CAM in methods else []
    return HeatmapStudy(
        images=len({one.image_id for one in measured}),
        lesions=len({one.lesion_id for one in measured}),
        seed=STUDY_SEED,
        steps=STEPS,
        resamples=RESAMPLES,
        bootstrap_seed=BOOTSTRAP_SEED,
        methods=tuple(_result_of(method, tables[method], thresholds[method]) for method in methods),
        comparisons=tuple(_compare(GRAD_CAM, other, tables[GRAD_CAM], tables[other]) for other in others),
    )


def _table_of(measured: Sequence[HeatmapMeasures]) -> tuple[pd.DataFrame, tuple[float, float]]:
    """One row an image, indexed by image_id, a column for each of `Measures`; and the thresholds of the overlap."""
    lesion_ids = np.array([one.lesion_id for one in measured])
    ious, (on_first, on_second) = cross_fitted_iou(
        np.array([one.ious for one in measured]), halves_by_lesion(lesion_ids, STUDY_SEED)
    )
    table = pd.DataFrame(
        {
            "lesion_id": lesion_ids,
            "energy_inside": [one.energy_inside for one in measured],
            "pointing": [float(one.points_inside) for one in measured],
            "iou": ious,
            "insertion": [one.insertion for one in measured],
            "deletion": [one.deletion for one in measured],
            "faithfulness": [one.insertion - one.deletion for one in measured],
        },
        index=[one.image_id for one in measured],
    )
    return table, (float(IOU_THRESHOLDS[on_first]), float(IOU_THRESHOLDS[on_second]))


def _result_of(method: str, table: pd.DataFrame, thresholds: tuple[float, float]) -> MethodResult:
    is_pointing = table[["pointing"]].to_numpy() == 1
    lesion_ids = table["lesion_id"].to_numpy(dtype=str)
    weights = bootstrap_weights(lesion_ids)
    # A share, so that a method that never misses still gets an interval.
    (pointing,) = share_estimates(is_pointing, np.ones_like(is_pointing), lesion_ids, weights)
    return MethodResult(
        method=method,
        images=len(table),
        without_evidence=int(table["energy_inside"].isna().sum()),
        faithfulness_images=int(table["faithfulness"].notna().sum()),
        iou_thresholds=thresholds,
        measures=replace(_means(table, weights), pointing=pointing),
    )


def _compare(method: str, other: str, table: pd.DataFrame, other_table: pd.DataFrame) -> Comparison:
    shared = table.index.intersection(other_table.index)
    differences = table.loc[shared, list(MEASURES)] - other_table.loc[shared, list(MEASURES)]
    weights = bootstrap_weights(table.loc[shared, "lesion_id"].to_numpy(dtype=str))
    return Comparison(
        method=method,
        other=other,
        images=len(shared),
        faithfulness_images=int(differences["faithfulness"].notna().sum()),
        measures=_means(differences, weights),
    )


def _means(table: pd.DataFrame, weights: Weights) -> Measures:
    return Measures(**{name: mean_estimate(table[name].to_numpy(dtype=np.float64), weights) for name in MEASURES})


def mean_estimate(values: Array, weights: Weights) -> Estimate:
    """Mean of the values that can be said, with its interval.

    Args:
        values: (N,), NaN where it cannot be said; those are left out.
        weights: (B, N) of `bootstrap_weights`.

    Returns:
        The mean, in the values' unit; NaN where there is no value.
    """
    is_finite = np.isfinite(values)
    counted = weights @ is_finite.astype(np.float64)
    resampled = weights @ np.where(is_finite, values, 0.0) / np.where(counted > 0, counted, np.nan)
    return estimate_of(float(mean_of_finite(values)), resampled)


def study_to_dict(study: HeatmapStudy) -> dict[str, Any]:
    """A study as the manifest holds it: plain numbers, text, lists and dicts, with None for NaN."""
    return {"data": "HAM10000", "split": "locked test", **to_plain(asdict(study))}


def format_report(study: HeatmapStudy, title: str) -> str:
    """Both tables as text; a mean is followed by its 95 % interval, `-` stands for what cannot be said."""
    heading = [
        f"{title}: heatmaps of the predicted class, {study.images:,} locked test images of {study.lesions:,} lesions, "
        "the classes in turn",
        f"Intervals: {study.resamples:,} bootstrap samples of lesions, seed {study.bootstrap_seed}",
    ]
    methods = [
        _line(
            f"{one.method} ({one.without_evidence} without evidence)", one.images, one.faithfulness_images, one.measures
        )
        for one in study.methods
    ]
    comparisons = [
        _line(f"{one.method} minus {one.other}", one.images, one.faithfulness_images, one.measures)
        for one in study.comparisons
    ]
    lines = [*heading, "", _header("Method"), *methods]
    return "\n".join([*lines, "", _header("Paired difference"), *comparisons] if comparisons else lines)


def _header(first: str) -> str:
    names = "".join(f"{name.replace('_', ' '):>27}" for name in MEASURES)
    return f"{first:<40}{'images':>8}{'faithful':>10}{names}"


def _line(name: str, images: int, faithfulness_images: int, measures: Measures) -> str:
    texts = "".join(f"{text_of(getattr(measures, measure)):>27}" for measure in MEASURES)
    return f"{name:<40}{images:>8,}{faithfulness_images:>10,}{texts}"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.heatmap_study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # Two: a threshold is chosen on one half of the lesions and measured on the other.
    at_least_two = whole_number(2)
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder")
    parser.add_argument("--dataset", type=Path, default=Path("data/raw/ham10000"), help="HAM10000 folder with masks")
    parser.add_argument("--images", type=at_least_two, default=200, help="test images, one a lesion")
    parser.add_argument(
        "--faithfulness-images",
        type=whole_number(0),
        default=100,
        help="the first so many: insertion, deletion",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="heatmaps to measure")
    parser.add_argument(
        "--keras-images", type=at_least_two, default=40, help=f"the first so many: {', '.join(KERAS_METHODS)}"
    )
    parser.add_argument("--processes", type=whole_number(1), default=2, help="one network each")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        images = draw_images(
            load_metadata(arguments.dataset),
            artifact.manifest["split"]["seed"],
            arguments.images,
            arguments.faithfulness_images,
        )
        measured = measure_all(
            images, arguments.dataset, artifact.folder, arguments.methods, arguments.keras_images, arguments.processes
        )
        study = summarise(measured)
        write_section(artifact.folder, SECTION, study_to_dict(study))
    except (ArtifactMismatch, DatasetError, WorkerFailed) as error:
        print(error, file=sys.stderr)
        return 2
    print(format_report(study, f"{artifact.name} {artifact.version}"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
