"""Builds the Keras networks, one function a backbone.

Only `keras.layers` and `keras.ops` are used, so a network also runs on Keras' JAX and PyTorch backends. Each ends in
one dense layer at every position and the mean over the positions, because then the class-activation map is Grad-CAM,
comes with the forward pass, and adds up to the logit (Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from data.tasks.skin import DX_CODES

# Names that training, export, heatmaps and tf-keras-vis find the layers by.
EVIDENCE_LAYER = "evidence"
CLASS_MAPS_LAYER = "class_maps"
LOGITS_LAYER = "logits"
LESION_LAYER = "lesion"
LESION_BRANCH = "lesion_project"
MEMBER_LOGITS_LAYER = "member_logits"
# Where the out-of-distribution gate looks: the middle of the network still tells textures apart that the last layers,
# trained to tell seven diagnoses apart, map onto each other.
TEXTURE_LAYERS = ("block_5_add", "block_10_project_BN")
# The last block at stride 16: its positions are twice as fine as the last activation's.
FINE_LAYER = "block_12_add"

# Keras' MobileNetV2 has momentum 0.999: after a few hundred steps the moving statistics would still be ImageNet's, and
# validation would look broken while the loss falls.
BATCH_NORM_MOMENTUM = 0.95
DROPOUT = 0.3
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


def _with_classifier(image: keras.KerasTensor, evidence: keras.KerasTensor, name: str) -> keras.Model:
    # A whole channel is dropped at once, so this is dropout of the pooled embedding.
    dropped = keras.layers.SpatialDropout2D(DROPOUT, name="dropout")(evidence)
    class_maps = keras.layers.Dense(len(DX_CODES), dtype="float32", name=CLASS_MAPS_LAYER)(dropped)
    logits = keras.layers.GlobalAveragePooling2D(dtype="float32", name=LOGITS_LAYER)(class_maps)
    return keras.Model(image, logits, name=name)


def finds_lesion(network: keras.Model) -> bool:
    """Whether a network has the layer that predicts where the lesion is."""
    return any(layer.name == LESION_LAYER for layer in network.layers)


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


def build_training_network(network: keras.Model) -> keras.Model:
    """The same network with all that a loss is put on, as a dict: `logits`, and `lesion` and `class_maps` if it has."""
    names = (LOGITS_LAYER, LESION_LAYER, CLASS_MAPS_LAYER) if finds_lesion(network) else (LOGITS_LAYER,)
    return keras.Model(network.inputs, {name: network.get_layer(name).output for name in names}, name=network.name)


def fix_input_size(network: keras.Model, height: int | None, width: int | None) -> keras.Model:
    """The same network and weights for one input size, or for any. The given network is not changed."""
    image = keras.Input((height, width, 3), name="image")
    # Keras wants the inputs in the structure that the network was built with.
    fixed = keras.models.clone_model(network, input_tensors=[image] if isinstance(network.input, list) else image)
    fixed.set_weights(network.get_weights())
    return fixed


def member_of(ensemble: keras.Model, number: int) -> keras.Model:
    """One network of an ensemble as a network of its own, for any input size, to train it on.

    Its batch norms are folded (see `fold_batch_norm`); the ensemble is not changed.

    Raises:
        ValueError: the ensemble has no member of that number.
    """
    return fix_input_size(classifier_of(ensemble.get_layer(f"member{number}")), None, None)


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """The same function without batch norm: each one's scale and offset go into the convolution before it.

    For inference, and for training on with batch norm as it stands. LiteRT does the same when it converts; done here,
    the Keras file and the serving file hold the same weights. The given network is not changed.
    """
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    convolution_of = {norm.name: norm.input._keras_history.operation for norm in norms}
    folded_into = {convolution.name for convolution in convolution_of.values()}

    def without_norm(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in convolution_of:
            return keras.layers.Identity(name=layer.name)
        changes = {"use_bias": True} if layer.name in folded_into else {}
        return type(layer).from_config({**layer.get_config(), **changes})

    def call(layer: keras.layers.Layer, *inputs: object, **options: object) -> object:
        # What batch norm is told besides its input (a mask), an identity does not take.
        return layer(*inputs) if layer.name in convolution_of else layer(*inputs, **options)

    folded = keras.models.clone_model(network, call_function=call, clone_function=without_norm)
    for layer in network.layers:
        if layer.weights and layer.name not in convolution_of and layer.name not in folded_into:
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    for norm in norms:
        convolution = convolution_of[norm.name]
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        (kernel,) = convolution.get_weights()
        # A depthwise kernel has its channels before the multiplier, which is 1 here.
        is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        scaled = kernel * (scale[:, np.newaxis] if is_depthwise else scale)
        folded.get_layer(convolution.name).set_weights([scaled, beta - mean * scale])
    return folded


def build_ensemble(members: Sequence[keras.Model], height: int, width: int, views: int = 1) -> keras.Model:
    """One network of several that find the lesion; its logits are the mean of theirs.

    The members' evidence stands side by side as channels of one evidence layer, and one dense layer holds all their
    kernels, so everything that is true of one network (Grad-CAM is the class map, the map adds up to the logit) is true
    of the ensemble. The texture is the first member's. The members are not changed; weights are copied or shared.

    Args:
        members: at least one network of `lesion_mobilenet_v2`, for the same input size.
        height, width: that size.
        views: 1, or 2: every member sees the image and its mirror image, and what it sees there is mirrored back.

    Returns:
        Model like the members, with the layer `member_logits`, (N, M, 7), besides.

    Raises:
        ValueError: another number of views.
    """
    if views not in (1, 2):
        raise ValueError(f"expected 1 or 2 views, received {views}")
    image = keras.Input((height, width, 3), name="image")
    inner = (LOGITS_LAYER, EVIDENCE_LAYER, LESION_LAYER, *TEXTURE_LAYERS)
    answers = []
    for number, member in enumerate(members):
        sees = keras.Model(member.inputs, [member.get_layer(name).output for name in inner], name=f"member{number}")
        as_it_is = sees(image)
        mirrored = [sees(keras.ops.flip(image, axis=2))] if views == 2 else []
        back = [
            [logits, *(keras.ops.flip(maps, axis=2) for maps in (evidence, lesion))]
            for logits, evidence, lesion, *_ in mirrored
        ]
        answers.append([_mean(seen) for seen in zip(as_it_is[:3], *back, strict=True)] + as_it_is[3:])
    logits, evidence, lesion = zip(*(answer[:3] for answer in answers), strict=True)
    joined = keras.layers.Identity(name=EVIDENCE_LAYER)(keras.ops.concatenate(evidence, axis=-1))
    outputs = {
        LESION_LAYER: _mean(lesion),
        MEMBER_LOGITS_LAYER: keras.ops.stack(logits, axis=1),
        **dict(zip(TEXTURE_LAYERS, answers[0][3:], strict=True)),
    }
    # Named, and outputs, so that saving the network keeps them where others look for them.
    named = [keras.layers.Identity(name=name)(values) for name, values in outputs.items()]
    network = keras.Model(image, [_with_classifier(image, joined, "classifier").output, *named], name="ensemble")
    kernels, biases = zip(*(member.get_layer(CLASS_MAPS_LAYER).get_weights() for member in members), strict=True)
    network.get_layer(CLASS_MAPS_LAYER).set_weights(
        [np.concatenate(kernels) / len(members), np.mean(np.stack(biases), axis=0)]
    )
    return network


def _mean(tensors: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    return sum(tensors[1:], start=tensors[0]) / len(tensors) if len(tensors) > 1 else tensors[0]


def classifier_of(network: keras.Model) -> keras.Model:
    """The part of a network that ends in the logits alone, sharing its layers."""
    return keras.Model(network.inputs[0], network.get_layer(LOGITS_LAYER).output, name=network.name)


def build_serving_network(network: keras.Model, height: int, width: int) -> keras.Model:
    """One forward pass that returns logits, embedding, texture and the class-activation maps of all classes.

    The map of class c is sum_k W[k, c] * A[..., k] with A the evidence layer and W the dense layer's kernel: what each
    position adds to the logit (or takes from it: maps are signed). Its mean over the positions plus the class's bias
    is the logit, and its positive part equals Grad-CAM of the logit on A up to a factor, since the logit is linear in
    the mean of A. The texture is the mean and standard deviation over the image of each channel of `TEXTURE_LAYERS`.
    The given network is not changed and shares its weights, but for the dense layer's bias in the maps: build the
    serving network when training is over.

    Args:
        network: what `build_ensemble` returned, of one member or several.
        height, width: its input size.

    Returns:
        Model from (N, height, width, 3) float32 RGB 0-255 to a dict: `logits` (N, 7), `member_logits` (N, M, 7),
        `embedding` (N, K), `texture` (N, T), `maps` (N, h, w, 7) and `lesion` (N, h, w), all float32.
    """
    names = (LOGITS_LAYER, MEMBER_LOGITS_LAYER, EVIDENCE_LAYER, CLASS_MAPS_LAYER, LESION_LAYER, *TEXTURE_LAYERS)
    inner = keras.Model(network.inputs, [network.get_layer(name).output for name in names])
    image = keras.Input((height, width, 3), name="image")
    logits, member_logits, evidence, class_maps, lesion, *middle = inner(image)
    texture = keras.ops.concatenate(
        [statistic(values, axis=(1, 2)) for values in middle for statistic in (keras.ops.mean, keras.ops.std)], axis=1
    )
    outputs = {
        "logits": logits,
        "member_logits": member_logits,
        "embedding": keras.ops.mean(evidence, axis=(1, 2)),
        "texture": texture,
        "maps": class_maps - keras.ops.convert_to_numpy(network.get_layer(CLASS_MAPS_LAYER).bias),
        "lesion": keras.ops.squeeze(lesion, axis=-1),
    }
    return keras.Model(image, outputs, name="serving")
