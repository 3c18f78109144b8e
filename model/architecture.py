"""Builds the Keras networks, one function a backbone.

Only `keras.layers` and `keras.ops` are used, so a network also runs on Keras' JAX and PyTorch backends. Each ends in
global average pooling and one dense layer, because then the class-activation map is Grad-CAM and comes with the
forward pass (Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319).
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from data.diagnoses import DX_CODES

# Names that export, heatmaps and tf-keras-vis find the layers by.
ACTIVATION_LAYER = "out_relu"
EMBEDDING_LAYER = "embedding"
LOGITS_LAYER = "logits"
# Where the out-of-distribution gate looks: the middle of the network still tells textures apart that the last layers,
# trained to tell seven diagnoses apart, map onto each other.
TEXTURE_LAYERS = ("block_5_add", "block_10_project_BN")

# Keras' MobileNetV2 has momentum 0.999: after a few hundred steps the moving statistics would still be ImageNet's, and
# validation would look broken while the loss falls.
BATCH_NORM_MOMENTUM = 0.95
DROPOUT = 0.3


def build_mobilenet_v2(height: int | None, width: int | None, init: str | None) -> keras.Model:
    """MobileNetV2 (width 1.0) with pooling, dropout and a dense layer for the seven diagnoses.

    Args:
        height, width: input size in pixels; None for any size (training at several resolutions).
        init: `imagenet` (downloaded by Keras), a path to `include_top=False` weights, or None for random weights.

    Returns:
        Model from `image`, (N, height, width, 3) float32 RGB 0-255 (it rescales to [-1, 1] itself), to `logits`,
        (N, 7) float32 in dx order, not yet softmaxed.

    Source:
        Sandler et al., CVPR 2018, doi:10.1109/CVPR.2018.00474.
    """
    image = keras.Input((height, width, 3), name="image")
    rescaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    backbone = keras.applications.MobileNetV2(input_tensor=rescaled, include_top=False, weights=init)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return _with_classifier(image, backbone.output, name="mobilenet_v2")


def _with_classifier(image: keras.KerasTensor, activation: keras.KerasTensor, name: str) -> keras.Model:
    embedding = keras.layers.GlobalAveragePooling2D(name=EMBEDDING_LAYER)(activation)
    dropped = keras.layers.Dropout(DROPOUT, name="dropout")(embedding)
    # float32 also under mixed precision: softmax and loss need it.
    logits = keras.layers.Dense(len(DX_CODES), dtype="float32", name=LOGITS_LAYER)(dropped)
    return keras.Model(image, logits, name=name)


BACKBONES: dict[str, Callable[[int | None, int | None, str | None], keras.Model]] = {
    "mobilenet_v2": build_mobilenet_v2,
}


def set_trainable(network: keras.Model, first_trainable: str) -> None:
    """Freeze every layer before the named one and free the rest. Changes `network`, which must be in training.

    A frozen batch norm runs on its stored statistics, so the layers above meet the features they will meet at
    inference. Compile after calling.

    Raises:
        ValueError: no layer has that name.
    """
    names = [layer.name for layer in network.layers]
    if first_trainable not in names:
        raise ValueError(f"expected the name of a layer, received {first_trainable!r}")
    for position, layer in enumerate(network.layers):
        layer.trainable = position >= names.index(first_trainable)


def build_serving_network(network: keras.Model, height: int, width: int) -> keras.Model:
    """One forward pass that returns logits, embedding, texture and the class-activation maps of all classes.

    The map of class c is relu(sum_k W[k, c] * A[..., k]) with A the last activation and W the dense layer's kernel.
    That equals Grad-CAM of the logit on A up to a factor, since the logit is linear in the mean of A. The maps are not
    normalised. The texture is the mean and standard deviation over the image of each channel of `TEXTURE_LAYERS`.
    The given network is not changed and shares its weights, but for the dense layer's kernel in the maps: build the
    serving network when training is over.

    Returns:
        Model from (N, height, width, 3) float32 RGB 0-255 to a dict: `logits` (N, 7), `embedding` (N, K), `texture`
        (N, T) and `maps` (N, height / 32, width / 32, 7), all float32.
    """
    kernel = network.get_layer(LOGITS_LAYER).kernel
    inner = keras.Model(
        network.inputs,
        [
            network.get_layer(LOGITS_LAYER).output,
            network.get_layer(EMBEDDING_LAYER).output,
            network.get_layer(ACTIVATION_LAYER).output,
            *(network.get_layer(name).output for name in TEXTURE_LAYERS),
        ],
    )
    image = keras.Input((height, width, 3), name="image")
    logits, embedding, activation, *middle = inner(image)
    weights = keras.ops.reshape(keras.ops.convert_to_tensor(kernel), (1, 1, *kernel.shape))
    maps = keras.ops.relu(keras.ops.conv(activation, weights))
    texture = keras.ops.concatenate(
        [statistic(values, axis=(1, 2)) for values in middle for statistic in (keras.ops.mean, keras.ops.std)], axis=1
    )
    outputs = {"logits": logits, "embedding": embedding, "texture": texture, "maps": maps}
    return keras.Model(image, outputs, name="serving")
