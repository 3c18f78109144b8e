"""What a network has learned, taken from it layer after layer from the output downwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np

from model.networks.architecture import CLASS_MAPS_LAYER, first_of_head

OUTPUT, HEAD, BACKBONE = "output", "head", "backbone"
# The layers of a backbone lose their weights in so many parts of about equal number.
BACKBONE_PARTS = 8


@dataclass(frozen=True)
class Stage:
    """How far a network is randomised: everything from the output down to here.

    Attributes:
        part: `OUTPUT` (the layer that gives the class maps), `HEAD` (all above the backbone, the branch that finds the
            lesion among it) or `BACKBONE`.
        backbone_share: share of the backbone's layers with weights, in [0, 1]; 1 is the whole network.
    """

    part: str
    backbone_share: float = 0.0


STAGES: tuple[Stage, ...] = (
    Stage(OUTPUT),
    Stage(HEAD),
    *(Stage(BACKBONE, number / BACKBONE_PARTS) for number in range(1, BACKBONE_PARTS + 1)),
)


def randomised(ensemble: keras.Model, generator: np.random.Generator) -> Iterator[Stage]:
    """Randomise a network in place, one of `STAGES` after the other, and put its weights back at the end.

    Every array of weights is shuffled: it keeps its values, so activations stay as large as they were, and loses where
    they belong. Members of an ensemble are randomised side by side.

    Args:
        ensemble: of `build_ensemble`, of one member or several; shared with nobody meanwhile.
        generator: draws the order.

    Yields:
        The stage that the network has just reached.

    Source:
        Adebayo et al., NeurIPS 2018, arXiv:1810.03292 (cascading randomisation; there weights are drawn anew, which
        without batch norm would let activations vanish or burst).
    """
    layers = _layers_by_stage(ensemble)
    weights = [[layer.get_weights() for layer in of_stage] for of_stage in layers]
    try:
        for stage, of_stage in zip(STAGES, layers, strict=True):
            for layer in of_stage:
                layer.set_weights([_shuffled(weight, generator) for weight in layer.get_weights()])
            yield stage
    finally:
        for of_stage, stored in zip(layers, weights, strict=True):
            for layer, arrays in zip(of_stage, stored, strict=True):
                layer.set_weights(arrays)


def _shuffled(weight: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(weight.ravel()).reshape(weight.shape)


def _layers_by_stage(ensemble: keras.Model) -> list[list[keras.layers.Layer]]:
    """The layers with weights that each of `STAGES` randomises besides those of the stages before."""
    members = [layer for layer in ensemble.layers if isinstance(layer, keras.Model)]
    heads: list[keras.layers.Layer] = []
    parts: list[list[keras.layers.Layer]] = [[] for _ in range(BACKBONE_PARTS)]
    for member in members:
        backbone, head = _taken_apart(member)
        heads += head
        from_output = backbone[::-1]
        edges = np.linspace(0, len(from_output), BACKBONE_PARTS + 1).round().astype(int)
        for part, (start, end) in zip(parts, pairwise(edges), strict=True):
            part += from_output[start:end]
    return [[ensemble.get_layer(CLASS_MAPS_LAYER)], heads, *parts]


def _taken_apart(member: keras.Model) -> tuple[Sequence[keras.layers.Layer], Sequence[keras.layers.Layer]]:
    """The layers with weights of a member's backbone, and those above it."""
    first = [layer.name for layer in member.layers].index(first_of_head(member))
    backbone = [layer for layer in member.layers[:first] if layer.weights]
    return backbone, [layer for layer in member.layers[first:] if layer.weights]
