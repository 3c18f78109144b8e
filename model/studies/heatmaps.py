"""Measure on locked test lesions whether heatmaps look at the lesion, and whether the score depends on where they look.

    python -m model.studies.heatmaps --artifact model/weights/skin --dataset ../shared/ham10000
    python -m model.studies.heatmaps --images 14 --faithfulness-images 7 --methods Grad-CAM "Centred Gaussian" Random

Needs HAM10000 with its lesion masks. One image a lesion, the classes in turn, so that each counts alike as far as its
test lesions last; the map is that of the predicted class. Writes the section `heatmaps` of the artifact's manifest and
prints it as tables. Grad-CAM++ and Score-CAM run in a process with Keras, one image after the other, and therefore on
fewer images (`--keras-images`). Exit code 2, and a message, where the artifact or the dataset is not what it should be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError, image_path, load_metadata, mask_path
from data.datasets.splits import TEST, split_by_lesion
from model.arguments import whole_number
from model.explain.faithfulness import (
    centred_gaussian,
    energy_inside,
    insertion_deletion,
    iou_by_threshold,
    points_inside,
    random_map,
    to_input_pixels,
)
from model.explain.keras_worker import KerasWorker, WorkerFailed
from model.explain.maps import Heatmap
from model.images.decoding import decode_image
from model.images.framing import to_network_input
from model.images.rejection import RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.calibration import decide
from model.inference.classifier import Classifier, NetworkOutput
from model.inference.processes import classifier_of_process, mapped
from model.measures.metrics import Array, Booleans
from model.studies.heatmap_summary import (
    GRAD_CAM,
    KERAS_METHODS,
    METHODS,
    NOISE,
    PREDICTED_LESION,
    SPOT,
    STUDY_SEED,
    HeatmapMeasures,
    format_report,
    study_to_dict,
    summarise,
)

SECTION = "heatmaps"
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
    class_index = int(
        decide(_probabilities(output, artifact), np.asarray(artifact.calibration.prior), artifact.task.is_ordinal)
    )

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
        class_index: position in the order of the classes.
        number: the image's place in the draw, for its noise.
        artifact: gives the size.

    Raises:
        ValueError: another method.
    """
    size = (artifact.height, artifact.width)
    if method == GRAD_CAM:
        return to_input_pixels(np.maximum(output.maps[..., class_index], 0), *size)
    if method == PREDICTED_LESION and output.lesion is not None:
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
    measured = _flatten(mapped(measure, images, processes=processes, description=SECTION)) if own else []
    if slow:
        classifier = classifier_of_process(artifact_folder)
        worker = KerasWorker(classifier.artifact.keras_path)
        try:
            shown = tqdm(images[:keras_images], desc=", ".join(slow), unit="image", disable=None)
            measured += _flatten(measure_image(image, dataset, classifier, slow, worker) for image in shown)
        finally:
            worker.close()
    return measured


def _measure_in_process(
    image: StudyImage, dataset: Path, artifact_folder: Path, methods: Sequence[str]
) -> list[HeatmapMeasures]:
    return measure_image(image, dataset, classifier_of_process(artifact_folder), methods)


def _flatten(measured: Iterable[list[HeatmapMeasures]]) -> list[HeatmapMeasures]:
    return [one for of_image in measured for one in of_image]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.studies.heatmaps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
            load_metadata(arguments.dataset, artifact.task.codes),
            artifact.description.split.seed,
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
