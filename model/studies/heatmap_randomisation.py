"""What is left of a heatmap when the network loses what it has learned, layer after layer from the output downwards.

A map that stays the same does not come from what the network has learned: it would look the same for any network, and
tells of the image alone, or of a place that the network was taught to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from model.evaluation.results import to_plain
from model.explain.maps import Heatmap
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.measures.intervals import Estimate, bootstrap_weights
from model.measures.similarity import correlation, rank_correlation
from model.studies.heatmap_summary import mean_estimate
from model.studies.held_out import STUDY_SEED, HeldOutNetwork, StudyImage, by_fold, load_input, predicted_class


@dataclass(frozen=True)
class Similarity:
    """How alike two class maps of one image are, each in [-1, 1]; NaN where a map is the same everywhere.

    Attributes:
        rank_correlation: Spearman, of the maps as shown: what speaks for the class, in the cells of the network.
        absolute_rank_correlation: Spearman, of what every cell adds or takes away, without its sign: where the network
            looks, whichever way it takes what it sees.
        correlation: Pearson, of the maps as shown.
    """

    rank_correlation: float
    absolute_rank_correlation: float
    correlation: float


MEASURES: tuple[str, ...] = tuple(field.name for field in fields(Similarity))
# An image, as the network sees it, to (C,) logits and (h, w, C) class maps.
Forward = Callable[[RgbImage], tuple[np.ndarray, Heatmap]]


@dataclass(frozen=True)
class RandomisedMap:
    """One image's map at one stage of randomisation, compared with that of the whole network.

    Attributes:
        lesion_id: as in HAM10000.
        part, backbone_share: the stage, see `model.networks.randomisation.Stage`.
        has_evidence: whether the randomised map shows anything for the class.
        similarity: to the map of the whole network.
    """

    lesion_id: str
    part: str
    backbone_share: float
    has_evidence: bool
    similarity: Similarity


@dataclass(frozen=True)
class StageResult:
    """All images at one stage: means with intervals by lesion, over the images where each can be said.

    Attributes:
        part, backbone_share: see `model.networks.randomisation.Stage`.
        without_evidence: at how many images the randomised map shows nothing for the class.
        rank_correlation, absolute_rank_correlation, correlation: see `Similarity`.
    """

    part: str
    backbone_share: float
    without_evidence: int
    rank_correlation: Estimate
    absolute_rank_correlation: Estimate
    correlation: Estimate


@dataclass(frozen=True)
class Randomisation:
    """Every stage, from the output to the whole network, on so many images, one a lesion."""

    images: int
    stages: tuple[StageResult, ...]


def similarity_of(class_map: Heatmap, other: Heatmap) -> Similarity:
    """Compare two class maps, (h, w) float32, signed."""
    shown, other_shown = np.maximum(class_map, 0), np.maximum(other, 0)
    return Similarity(
        rank_correlation=rank_correlation(shown, other_shown),
        absolute_rank_correlation=rank_correlation(np.abs(class_map), np.abs(other)),
        correlation=correlation(shown, other_shown),
    )


def measure_randomised(
    images: Sequence[StudyImage], dataset: Path, artifact: Artifact, networks: Mapping[int, HeldOutNetwork]
) -> list[RandomisedMap]:
    """Randomise the network of each image, by a draw of its own, and compare the maps. Loads TensorFlow.

    Args:
        images: of `draw_images`.
        dataset: HAM10000 folder.
        artifact: gives input size and calibration.
        networks: by fold, of `write_networks`.

    Raises:
        DatasetError: an image is missing.
    """
    import keras

    measured: list[RandomisedMap] = []
    with tqdm(total=len(images), desc="randomisation", unit="image", disable=None) as progress:
        for fold, of_fold in by_fold(images):
            network = keras.models.load_model(networks[fold].keras_path, compile=False)
            forward = forward_of(network)
            for image in of_fold:
                size = (artifact.height, artifact.width)
                network_input = load_input(dataset, image.image_id, *size, artifact.preparation)
                measured += randomised_maps(network, forward, network_input, image, artifact)
                progress.update()
    return measured


def forward_of(network: Any) -> Forward:
    """A Keras ensemble's logits and signed class maps of an image; with whatever weights it has when called."""
    import keras

    from model.networks.architecture import CLASS_MAPS_LAYER, LOGITS_LAYER

    last = network.get_layer(CLASS_MAPS_LAYER)
    both = keras.Model(network.inputs, [network.get_layer(LOGITS_LAYER).output, last.output])

    def forward(network_input: RgbImage) -> tuple[np.ndarray, Heatmap]:
        logits, maps = both.predict_on_batch(network_input[np.newaxis].astype(np.float32))
        _, bias = last.get_weights()
        return logits[0], maps[0] - bias

    return forward


def randomised_maps(
    network: Any, forward: Forward, network_input: RgbImage, image: StudyImage, artifact: Artifact
) -> Iterator[RandomisedMap]:
    """The map of the predicted class at every stage of randomisation of a Keras ensemble, which is whole again after.

    Args:
        network: its weights are drawn anew for each image.
        forward: of `forward_of`.
        network_input: (height, width, 3) uint8 RGB 0-255.
        image: whose it is.
        artifact: gives the calibration that the class is decided by.
    """
    from model.networks.randomisation import randomised

    logits, maps = forward(network_input)
    class_index = predicted_class(logits, artifact)
    for stage in randomised(network, np.random.default_rng([STUDY_SEED, image.number])):
        class_map = forward(network_input)[1][..., class_index]
        yield RandomisedMap(
            lesion_id=image.lesion_id,
            part=stage.part,
            backbone_share=stage.backbone_share,
            has_evidence=bool((class_map > 0).any()),
            similarity=similarity_of(maps[..., class_index], class_map),
        )


def summarise_randomised(measured: Sequence[RandomisedMap]) -> Randomisation:
    """Means with intervals of every stage, in the order of the first image.

    Args:
        measured: the same stages of at least one image, one a lesion.
    """
    stages = list(dict.fromkeys((one.part, one.backbone_share) for one in measured))
    by_stage = {stage: [one for one in measured if (one.part, one.backbone_share) == stage] for stage in stages}
    return Randomisation(
        images=len(by_stage[stages[0]]),
        stages=tuple(_stage_result(*stage, maps) for stage, maps in by_stage.items()),
    )


def _stage_result(part: str, backbone_share: float, maps: Sequence[RandomisedMap]) -> StageResult:
    weights = bootstrap_weights(np.array([one.lesion_id for one in maps]))
    means = {
        name: mean_estimate(np.array([getattr(one.similarity, name) for one in maps], dtype=np.float64), weights)
        for name in MEASURES
    }
    return StageResult(part, backbone_share, sum(not one.has_evidence for one in maps), **means)


def randomisation_to_dict(randomisation: Randomisation) -> dict[str, Any]:
    """As the manifest holds it: plain numbers, text, lists and dicts, with None for NaN."""
    return to_plain(asdict(randomisation))
