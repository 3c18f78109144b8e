"""Measure what heatmaps are worth: where they lie, whether the score depends on it, and whether they come from what the
network has learned.

    python -m model.studies.heatmaps --artifact model/weights/skin --dataset ../shared/ham10000
    python -m model.studies.heatmaps --images 14 --methods Grad-CAM "Centred Gaussian" Random    # a taste of it

Needs the dataset, and the lesion masks where it has any (`data.tasks.task.Dataset.has_masks`): without, where the maps
lie is not measured. One image a lesion, the classes in turn, so that each counts alike as far as its
lesions last; each is answered by the members of the ensemble that were not trained on it, so no locked test lesion is
looked at. The map is that of the predicted class. Where it lies is compared with the masks, which the network may have
been taught to obey; the other measures are those that a taught map can fail: insertion and deletion, the largest change
under faint noise, and what is left of the map when the network is randomised layer after layer. Writes the section
`heatmaps` of the artifact's manifest and prints it as tables. Grad-CAM++ and Score-CAM run in a process with Keras, one
image after the other, and therefore on fewer images (`--keras-images`). Exit code 2, and a message, where the artifact
or the dataset is not what it should be.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError
from model.arguments import add_artifact, add_dataset, whole_number
from model.evaluation.report import heatmap_checks
from model.explain.faithfulness import (
    centred_gaussian,
    insertion_deletion,
    random_map,
    to_input_pixels,
)
from model.explain.keras_worker import KerasWorker, WorkerFailed
from model.explain.maps import Heatmap
from model.explain.stability import max_sensitivity
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.classifier import Classifier, NetworkOutput
from model.inference.processes import classifier_of_process, mapped
from model.studies.heatmap_randomisation import (
    Randomisation,
    measure_randomised,
    randomisation_to_dict,
    summarise_randomised,
)
from model.studies.heatmap_summary import (
    GRAD_CAM,
    KERAS_METHODS,
    METHODS,
    NOISE,
    PREDICTED_LESION,
    SPOT,
    HeatmapMeasures,
    HeatmapStudy,
    format_report,
    place_of,
    study_to_dict,
    summarise,
)
from model.studies.held_out import (
    STUDY_SEED,
    HeldOutNetwork,
    StudyImage,
    by_fold,
    draw_images,
    load_input,
    load_mask,
    predicted_class,
    probabilities_of,
    write_networks,
)

SECTION = "heatmaps"
# With 42 images the interval of insertion - deletion of Grad-CAM minus that of the spot was 0.037 wide, as wide as what
# it was to tell; with so many it is about a third of that.
IMAGES = 350


def measure_image(
    image: StudyImage,
    dataset: Path,
    classifier: Classifier,
    methods: Sequence[str],
    with_faithfulness: bool,
    worker: KerasWorker | None = None,
) -> list[HeatmapMeasures]:
    """Measure the heatmaps of several methods for the predicted class of one image.

    Args:
        image: which.
        dataset: folder of the artifact's dataset, with its masks where it has any.
        classifier: answers the forward passes.
        methods: from `METHODS`; the predicted lesion is left out where the network does not find it.
        with_faithfulness: whether insertion, deletion and, of Grad-CAM, the change under noise are measured, which
            takes most of the time.
        worker: computes those of `KERAS_METHODS`; needed where one is asked for.

    Raises:
        DatasetError: the image, or its mask where the dataset has masks, is missing.
        ValueError: another method, or one that needs a worker without one.
        WorkerFailed: the worker could not compute a map.
    """
    artifact = classifier.artifact
    size = (artifact.height, artifact.width)
    network_input = load_input(dataset, image.image_id, *size, artifact.preparation)
    mask = load_mask(dataset, image.image_id, *size) if artifact.task.dataset.has_masks else None
    output = classifier.forward(network_input)
    class_index = predicted_class(output.logits, artifact)

    def score(shown: RgbImage) -> float:
        return float(probabilities_of(classifier.forward(shown).logits, artifact)[class_index])

    def shown_map(shown: RgbImage) -> Heatmap:
        return np.maximum(classifier.forward(shown).maps[..., class_index], 0)

    def map_of(method: str) -> Heatmap:
        if method in KERAS_METHODS and worker is not None:
            return to_input_pixels(worker.heatmap(method, network_input, class_index), *size)
        return own_map(method, output, class_index, image.number, artifact)

    def measured(method: str) -> HeatmapMeasures:
        heatmap, areas, noise_change = map_of(method), (math.nan, math.nan), math.nan
        if with_faithfulness:
            areas = insertion_deletion(network_input, heatmap, score)
        if with_faithfulness and method == GRAD_CAM:
            noise_change = max_sensitivity(network_input, shown_map, np.random.default_rng([STUDY_SEED, image.number]))
        return HeatmapMeasures(
            method=method,
            image_id=image.image_id,
            lesion_id=image.lesion_id,
            has_evidence=bool((heatmap > 0).any()),
            place=None if mask is None else place_of(heatmap, mask),
            insertion=areas[0],
            deletion=areas[1],
            noise_change=noise_change,
        )

    return [measured(method) for method in methods if method != PREDICTED_LESION or output.lesion is not None]


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


def measure_all(
    images: Sequence[StudyImage],
    dataset: Path,
    artifact: Artifact,
    networks: Mapping[int, HeldOutNetwork],
    methods: Sequence[str],
    faithfulness_images: int,
    keras_images: int,
    processes: int,
) -> list[HeatmapMeasures]:
    """Measure every method, with progress bars: Keras methods on the first images only.

    Raises:
        DatasetError: an image or a mask is missing.
        WorkerFailed: the process with Keras could not compute a map.
    """
    own = [method for method in methods if method not in KERAS_METHODS]
    slow = [method for method in methods if method in KERAS_METHODS]
    measure = partial(
        _measure_in_process,
        dataset=dataset,
        artifact_folder=artifact.folder,
        networks=networks,
        methods=own,
        faithfulness_images=faithfulness_images,
    )
    measured = _flatten(mapped(measure, images, processes=processes, description=SECTION)) if own else []
    if slow:
        with tqdm(total=len(images[:keras_images]), desc=", ".join(slow), unit="image", disable=None) as progress:
            for fold, of_fold in by_fold(images[:keras_images]):
                classifier = classifier_of_process(artifact.folder, networks[fold].litert_path)
                worker = KerasWorker(networks[fold].keras_path)
                try:
                    for image in of_fold:
                        is_first = image.number < faithfulness_images
                        measured += measure_image(image, dataset, classifier, slow, is_first, worker)
                        progress.update()
                finally:
                    worker.close()
    return measured


def _measure_in_process(
    image: StudyImage,
    dataset: Path,
    artifact_folder: Path,
    networks: Mapping[int, HeldOutNetwork],
    methods: Sequence[str],
    faithfulness_images: int,
) -> list[HeatmapMeasures]:
    classifier = classifier_of_process(artifact_folder, networks[image.fold].litert_path)
    return measure_image(image, dataset, classifier, methods, image.number < faithfulness_images)


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
    add_artifact(parser)
    add_dataset(parser)
    parser.add_argument("--images", type=at_least_two, default=IMAGES, help="images out of fold, one a lesion")
    parser.add_argument(
        "--faithfulness-images",
        type=whole_number(0),
        default=IMAGES,
        help="the first so many: insertion, deletion, change under noise",
    )
    parser.add_argument(
        "--randomised-images", type=whole_number(1), default=IMAGES, help="the first so many: randomised networks"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="heatmaps to measure")
    parser.add_argument(
        "--keras-images", type=at_least_two, default=40, help=f"the first so many: {', '.join(KERAS_METHODS)}"
    )
    parser.add_argument("--processes", type=whole_number(1), default=2, help="one network each")
    return parser


def measure(arguments: argparse.Namespace, artifact: Artifact) -> tuple[HeatmapStudy, Randomisation]:
    """Both parts of the study; raises as `main` catches."""
    images = draw_images(artifact, arguments.images)
    dataset = arguments.dataset or artifact.task.dataset.folder
    with tempfile.TemporaryDirectory() as folder:
        networks = write_networks(artifact, (image.fold for image in images), Path(folder))
        measured = measure_all(
            images,
            dataset,
            artifact,
            networks,
            arguments.methods,
            arguments.faithfulness_images,
            arguments.keras_images,
            arguments.processes,
        )
        to_randomise = images[: arguments.randomised_images]
        randomised = measure_randomised(to_randomise, dataset, artifact, networks)
    return summarise(measured), summarise_randomised(randomised)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        study, randomisation = measure(arguments, artifact)
        section = {**study_to_dict(study, artifact.task), "randomisation": randomisation_to_dict(randomisation)}
        write_section(artifact.folder, SECTION, section)
    except (ArtifactMismatch, DatasetError, WorkerFailed) as error:
        print(error, file=sys.stderr)
        return 2
    print(format_report(study, f"{artifact.name} {artifact.version}", artifact.task))
    print(f"\n{heatmap_checks(section)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
