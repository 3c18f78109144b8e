"""Puts a backbone, the branch that finds the lesion and the classes together, and takes the network apart again.

Only `keras.layers` and `keras.ops` are used, so a network also runs on Keras' JAX and PyTorch backends. Each ends in
one dense layer at every position and the mean over the positions, because then the class-activation map is Grad-CAM,
comes with the forward pass, and adds up to the logit (Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from model.networks.backbones import IMAGE_LAYER, Backbone

# Names that training, export, heatmaps and tf-keras-vis find the layers by.
EVIDENCE_LAYER = "evidence"
CLASS_MAPS_LAYER = "class_maps"
LOGITS_LAYER = "logits"
LESION_LAYER = "lesion"
# The same layer of a network that was never shown a mask: what it weighs by need not be the lesion.
ATTENTION_LAYER = "attention"
LESION_BRANCH = "lesion_project"
MEMBER_LOGITS_LAYER = "member_logits"
# Pixels a side of a position of the lesion and, where there is the branch, of the evidence and the class maps.
FINE_STRIDE = 16

# Keras' MobileNetV2 has momentum 0.999: after a few hundred steps the moving statistics would still be ImageNet's, and
# validation would look broken while the loss falls.
BATCH_NORM_MOMENTUM = 0.95
LESION_CHANNELS = 32
# What skin outside the lesion weighs in the mean over positions, relative to the lesion: context counts a little.
CONTEXT_WEIGHT = 0.03


@keras.saving.register_keras_serializable("lesionlens")
class WeightByLesion(keras.layers.Layer):
    """Weighs each position of an activation by how much it belongs to the lesion.

    Takes (N, h, w, K) activations and (N, h, w, 1) lesion probabilities; returns the activations times weights
    proportional to `context_weight` + probability, whose mean over the positions of each image is 1.
    """

    def __init__(self, context_weight: float, **options: object) -> None:
        super().__init__(**options)
        self.context_weight = context_weight

    def call(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        activation, lesion = inputs
        raw = lesion + self.context_weight
        weights = raw / keras.ops.mean(raw, axis=(1, 2), keepdims=True)
        return activation * keras.ops.cast(weights, activation.dtype)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "context_weight": self.context_weight}


def build_network(
    backbone: Backbone, classes: int, height: int | None, width: int | None, init: str | None, branch: str | None
) -> keras.Model:
    """A backbone with dropout and a dense layer for the classes, and, by choice, the branch that finds the lesion.

    The branch at stride 16 predicts where the lesion is ((N, h / 16, w / 16, 1) in [0, 1], trained with the dataset's
    masks); the last activation, brought to the same positions, is weighted by it. The weights have mean 1, so a small
    lesion speaks as loudly as a large one. Without the branch, the evidence is averaged over the whole image.

    Args:
        backbone: of `BACKBONES`.
        classes: how many the task has.
        height, width: input size in pixels, multiples of 32; None for any such size (training at several resolutions).
        init: `imagenet` (downloaded by Keras), a file of the backbone's weights, or None for random weights.
        branch: name of its last layer, `LESION_LAYER` or `ATTENTION_LAYER`; None for a network without the branch.

    Returns:
        Model from `image`, (N, height, width, 3) float32 RGB 0-255 (it rescales itself), to `logits`, (N, classes)
        float32 in the task's order, not yet softmaxed.

    Raises:
        WeightsMismatch: `init` is nothing the backbone can start from.
    """
    image = keras.Input((height, width, 3), name=IMAGE_LAYER)
    features = backbone.build(rescaled(image, backbone), init)
    for layer in features.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    if branch is None:
        evidence = keras.layers.Identity(name=EVIDENCE_LAYER)(features.output)
        return with_classifier(image, evidence, classes, backbone.dropout, backbone.name)
    evidence = _weighted_by_lesion(features, backbone, branch)
    return with_classifier(image, evidence, classes, backbone.dropout, f"{LESION_LAYER}_{backbone.name}")


def rescaled(image: keras.KerasTensor, backbone: Backbone) -> keras.KerasTensor:
    """An image, (N, h, w, 3) RGB 0-255, as a backbone was trained on it."""
    values = keras.layers.Rescaling(backbone.scale, offset=backbone.offset, name="rescaling")(image)
    return keras.ops.flip(values, axis=-1) if backbone.is_bgr else values


def _weighted_by_lesion(features: keras.Model, backbone: Backbone, branch: str) -> keras.KerasTensor:
    factor = backbone.stride // FINE_STRIDE
    finer = _enlarged(features.output, factor, name="finer")
    projected = keras.layers.Conv2D(LESION_CHANNELS, 1, activation="relu", name=LESION_BRANCH)(features.output)
    context = _enlarged(projected, factor, name="lesion_context")
    fine = features.get_layer(backbone.fine_layer).output
    joined = keras.layers.Concatenate(name="lesion_join")([fine, context])
    hidden = keras.layers.Conv2D(LESION_CHANNELS, 3, padding="same", activation="relu", name="lesion_hidden")(joined)
    # float32 also under mixed precision, as everything that ends in a loss.
    lesion = keras.layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=branch)(hidden)
    return WeightByLesion(CONTEXT_WEIGHT, name=EVIDENCE_LAYER)([finer, lesion])


def _enlarged(values: keras.KerasTensor, factor: int, name: str) -> keras.KerasTensor:
    if factor == 1:
        return values
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", name=name)(values)


def with_classifier(
    image: keras.KerasTensor, evidence: keras.KerasTensor, classes: int, dropout: float, name: str
) -> keras.Model:
    """The model from an image to the logits of its evidence."""
    # A whole channel is dropped at once, so this is dropout of the pooled embedding.
    dropped = keras.layers.SpatialDropout2D(dropout, name="dropout")(evidence)
    class_maps = keras.layers.Dense(classes, dtype="float32", name=CLASS_MAPS_LAYER)(dropped)
    logits = keras.layers.GlobalAveragePooling2D(dtype="float32", name=LOGITS_LAYER)(class_maps)
    return keras.Model(image, logits, name=name)


def has_layer(network: keras.Model, name: str) -> bool:
    """Whether a network has a layer of that name, for example `LESION_LAYER`."""
    return any(layer.name == name for layer in network.layers)


def first_of_head(network: keras.Model) -> str:
    """Name of the lowest layer that is no part of the backbone."""
    return LESION_BRANCH if has_layer(network, LESION_BRANCH) else CLASS_MAPS_LAYER


def set_trainable(network: keras.Model, first_trainable: str, is_batch_norm_frozen: bool) -> None:
    """Freeze every layer before the named one and free the rest. Changes `network`, which must be in training.

    A frozen batch norm runs on its stored statistics, so the layers above meet the features they will meet at
    inference. Compile after calling.

    Args:
        network: any of `BACKBONES`.
        first_trainable: name of the lowest layer to train.
        is_batch_norm_frozen: freeze every batch norm as well; training is then nearly twice as fast on a CPU.

    Raises:
        ValueError: no layer has that name.
    """
    names = [layer.name for layer in network.layers]
    if first_trainable not in names:
        raise ValueError(f"expected the name of a layer, received {first_trainable!r}")
    for position, layer in enumerate(network.layers):
        is_frozen = is_batch_norm_frozen and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= names.index(first_trainable) and not is_frozen


def build_training_network(network: keras.Model, outputs: Sequence[str]) -> keras.Model:
    """The same network with all that a loss is put on, as a dict by name of the layer.

    Args:
        network: of `build_network`.
        outputs: `LOGITS_LAYER`, and with masks `LESION_LAYER` or `CLASS_MAPS_LAYER` or both.

    Raises:
        ValueError: the network has no layer of such a name.
    """
    return keras.Model(network.inputs, {name: network.get_layer(name).output for name in outputs}, name=network.name)


def fix_input_size(network: keras.Model, height: int | None, width: int | None) -> keras.Model:
    """The same network and weights for one input size, or for any. The given network is not changed."""
    image = keras.Input((height, width, 3), name="image")
    # Keras wants the inputs in the structure that the network was built with.
    fixed = keras.models.clone_model(network, input_tensors=[image] if isinstance(network.input, list) else image)
    fixed.set_weights(network.get_weights())
    return fixed


def classifier_of(network: keras.Model) -> keras.Model:
    """The part of a network that ends in the logits alone, sharing its layers."""
    return keras.Model(network.inputs[0], network.get_layer(LOGITS_LAYER).output, name=network.name)


def build_serving_network(network: keras.Model, height: int, width: int) -> keras.Model:
    """One forward pass that returns logits, embedding, texture and the class-activation maps of all classes.

    The map of class c is sum_k W[k, c] * A[..., k] with A the evidence layer and W the dense layer's kernel: what each
    position adds to the logit (or takes from it: maps are signed). Its mean over the positions plus the class's bias
    is the logit, and its positive part equals Grad-CAM of the logit on A up to a factor, since the logit is linear in
    the mean of A. The texture is the mean and standard deviation over the image of each channel of the first member's
    texture layers. The given network is not changed and shares its weights, but for the dense layer's bias in the
    maps: build the serving network when training is over.

    Args:
        network: what `build_ensemble` returned, of one member or several.
        height, width: its input size.

    Returns:
        Model from (N, height, width, 3) float32 RGB 0-255 to a dict: `logits` (N, C), `member_logits` (N, M, C),
        `embedding` (N, K), `texture` (N, T), `maps` (N, h, w, C) and, if a member finds it, `lesion` (N, h, w), all
        float32.
    """
    # The ensemble's outputs are what is to be found by name; those of no other name are the texture layers.
    known = (LOGITS_LAYER, MEMBER_LOGITS_LAYER, LESION_LAYER)
    texture_layers = [name for name in network.output_names if name not in known]
    lesion_layers = [LESION_LAYER] if has_layer(network, LESION_LAYER) else []
    names = (LOGITS_LAYER, MEMBER_LOGITS_LAYER, EVIDENCE_LAYER, CLASS_MAPS_LAYER, *texture_layers, *lesion_layers)
    inner = keras.Model(network.inputs, [network.get_layer(name).output for name in names])
    image = keras.Input((height, width, 3), name=IMAGE_LAYER)
    found = dict(zip(names, inner(image), strict=True))
    texture = [
        statistic(found[name], axis=(1, 2)) for name in texture_layers for statistic in (keras.ops.mean, keras.ops.std)
    ]
    outputs = {
        "logits": found[LOGITS_LAYER],
        "member_logits": found[MEMBER_LOGITS_LAYER],
        "embedding": keras.ops.mean(found[EVIDENCE_LAYER], axis=(1, 2)),
        "texture": keras.ops.concatenate(texture, axis=1),
        "maps": found[CLASS_MAPS_LAYER] - keras.ops.convert_to_numpy(network.get_layer(CLASS_MAPS_LAYER).bias),
    }
    if lesion_layers:
        outputs["lesion"] = keras.ops.squeeze(found[LESION_LAYER], axis=-1)
    return keras.Model(image, outputs, name="serving")
