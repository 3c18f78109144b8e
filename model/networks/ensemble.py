"""Several networks as one: their evidence side by side, one dense layer for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from model.networks.architecture import (
    CLASS_MAPS_LAYER,
    EVIDENCE_LAYER,
    LESION_LAYER,
    LOGITS_LAYER,
    MEMBER_LOGITS_LAYER,
    classifier_of,
    fix_input_size,
    has_layer,
    with_classifier,
)
from model.networks.backbones import BACKBONES, IMAGE_LAYER


@keras.saving.register_keras_serializable("lesionlens")
class BringToGrid(keras.layers.Layer):
    """Brings (N, h, w, K) values to height x width positions: each new one is the mean of the old area it covers.

    Unlike bilinear resizing, it keeps the mean over the positions, which a logit is made of, for any two grids.
    """

    def __init__(self, height: int, width: int, **options: object) -> None:
        super().__init__(**options)
        self.height, self.width = height, width

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        rows = keras.ops.convert_to_tensor(_overlaps(values.shape[1], self.height))
        columns = keras.ops.convert_to_tensor(_overlaps(values.shape[2], self.width))
        # (N, w, K, h), then (N, height, K, w): what matmul sums over stands last.
        by_row = keras.ops.matmul(keras.ops.transpose(values, (0, 2, 3, 1)), rows)
        by_column = keras.ops.matmul(keras.ops.transpose(by_row, (0, 3, 2, 1)), columns)
        return keras.ops.transpose(by_column, (0, 1, 3, 2))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.height, self.width, input_shape[3])

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "height": self.height, "width": self.width}


def _overlaps(old: int, new: int) -> np.ndarray:
    """(old, new) float32: which share of each new cell of a line every old cell covers; columns sum to 1."""
    edges = np.arange(old)[:, np.newaxis] * new, np.arange(new)[np.newaxis] * old  # in units of 1 / (old * new)
    covered = np.minimum(edges[0] + new, edges[1] + old) - np.maximum(edges[0], edges[1])
    return (np.maximum(covered, 0) / old).astype(np.float32)


@dataclass(frozen=True)
class _Answer:
    """What one member sees in the ensemble's image, as tensors; no lesion where it does not find one."""

    logits: keras.KerasTensor
    evidence: keras.KerasTensor
    lesion: keras.KerasTensor | None
    textures: tuple[keras.KerasTensor, ...]


def build_ensemble(
    members: Sequence[keras.Model], height: int, width: int, texture_layers: Sequence[str], views: int = 1
) -> keras.Model:
    """One network of several; its logits are the mean of theirs.

    The members' evidence stands side by side as channels of one evidence layer, and one dense layer holds all their
    kernels, so everything that is true of one network (Grad-CAM is the class map, the map adds up to the logit) is true
    of the ensemble. Members may have other backbones and input sizes: each resizes the image to its own, and all
    evidence is brought to the finest member's grid. The texture is the first member's; the lesion is the mean of the
    members that find it. The members are not changed; weights are copied or shared.

    Args:
        members: at least one network of `build_network` with an input size, for the same classes.
        height, width: input size of the ensemble.
        texture_layers: of the first member, see `Backbone`.
        views: 1, or 2: every member sees the image and its mirror image, and what it sees there is mirrored back.

    Returns:
        Model like the members, with the layer `member_logits`, (N, M, C), besides.

    Raises:
        ValueError: another number of views.
    """
    if views not in (1, 2):
        raise ValueError(f"expected 1 or 2 views, received {views}")
    image = keras.Input((height, width, 3), name=IMAGE_LAYER)
    answers = [
        _answer(member, f"member{number}", image, texture_layers if number == 0 else (), views)
        for number, member in enumerate(members)
    ]
    grid = max(tuple(answer.evidence.shape[1:3]) for answer in answers)
    evidence = [_on_grid(answer.evidence, grid) for answer in answers]
    lesions = [_on_grid(answer.lesion, grid) for answer in answers if answer.lesion is not None]
    outputs = {
        **({LESION_LAYER: _mean(lesions)} if lesions else {}),
        MEMBER_LOGITS_LAYER: keras.ops.stack([answer.logits for answer in answers], axis=1),
        **dict(zip(texture_layers, answers[0].textures, strict=True)),
    }
    # Named, and outputs, so that saving the network keeps them where others look for them.
    named = [keras.layers.Identity(name=name)(values) for name, values in outputs.items()]
    joined = keras.layers.Identity(name=EVIDENCE_LAYER)(keras.ops.concatenate(evidence, axis=-1))
    kernels, biases = zip(*(member.get_layer(CLASS_MAPS_LAYER).get_weights() for member in members), strict=True)
    # Nothing is dropped: the ensemble is not trained.
    classifier = with_classifier(image, joined, classes=len(biases[0]), dropout=0.0, name="classifier")
    network = keras.Model(image, [classifier.output, *named], name="ensemble")
    network.get_layer(CLASS_MAPS_LAYER).set_weights(
        [np.concatenate(kernels) / len(members), np.mean(np.stack(biases), axis=0)]
    )
    return network


def _answer(
    member: keras.Model, name: str, image: keras.KerasTensor, texture_layers: Sequence[str], views: int
) -> _Answer:
    lesion_layers = [LESION_LAYER] if has_layer(member, LESION_LAYER) else []
    inner = (LOGITS_LAYER, EVIDENCE_LAYER, *lesion_layers, *texture_layers)
    sees = keras.Model(member.inputs, [member.get_layer(layer).output for layer in inner], name=name)
    own = _resized(image, *member.inputs[0].shape[1:3])
    seen = dict(zip(inner, sees(own), strict=True))
    if views == 2:
        mirrored = dict(zip(inner, sees(keras.ops.flip(own, axis=2)), strict=True))
        seen[LOGITS_LAYER] = _mean([seen[LOGITS_LAYER], mirrored[LOGITS_LAYER]])
        for layer in (EVIDENCE_LAYER, *lesion_layers):
            seen[layer] = _mean([seen[layer], keras.ops.flip(mirrored[layer], axis=2)])
    textures = tuple(seen[layer] for layer in texture_layers)
    return _Answer(seen[LOGITS_LAYER], seen[EVIDENCE_LAYER], seen.get(LESION_LAYER), textures)


def _resized(image: keras.KerasTensor, height: int, width: int) -> keras.KerasTensor:
    if tuple(image.shape[1:3]) == (height, width):
        return image
    return keras.ops.image.resize(image, (height, width), interpolation="bilinear")


def _on_grid(values: keras.KerasTensor, grid: tuple[int, int]) -> keras.KerasTensor:
    return values if tuple(values.shape[1:3]) == grid else BringToGrid(*grid)(values)


def _mean(tensors: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    return sum(tensors[1:], start=tensors[0]) / len(tensors) if len(tensors) > 1 else tensors[0]


def member_of(ensemble: keras.Model, number: int) -> keras.Model:
    """One network of an ensemble as a network of its own, for any input size, to train it on.

    Its batch norms are folded (see `fold_batch_norm`); the ensemble is not changed.

    Raises:
        ValueError: the ensemble has no member of that number.
    """
    return fix_input_size(classifier_of(ensemble.get_layer(f"member{number}")), None, None)


def some_of(ensemble: keras.Model, numbers: Sequence[int], views: int = 1) -> keras.Model:
    """The ensemble of some members alone, with the same input size: for images that these were not trained on.

    The given ensemble is not changed, and no weights are shared with it.

    Args:
        ensemble: of `build_ensemble`, also loaded from a file.
        numbers: of the members, from 0.
        views: as the ensemble has.

    Raises:
        ValueError: the ensemble has no member of a number.
    """
    given = [ensemble.get_layer(f"member{number}") for number in numbers]
    members = [fix_input_size(classifier_of(member), *member.inputs[0].shape[1:3]) for member in given]
    height, width = ensemble.inputs[0].shape[1:3]
    return build_ensemble(members, height, width, _texture_layers(members[0]), views)


def _texture_layers(member: keras.Model) -> Sequence[str]:
    """Those of the first of `BACKBONES` that has layers of such names."""
    known = [backbone.texture_layers for backbone in BACKBONES.values()]
    return next(names for names in known if all(has_layer(member, name) for name in names))
