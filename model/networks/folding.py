"""Batch norm folded into the convolution before it, where that is exact."""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """The same function with fewer batch norms: scale and offset of one go into the convolution before it.

    For inference, and for training on with batch norm as it stands. LiteRT does the same when it converts; done here,
    the Keras file and the serving file hold the same weights. A norm stays where a convolution cannot take it: behind
    an activation, a pooling or a concatenation, as in DenseNet, or where another layer, too, takes what the
    convolution gives. The given network is not changed.
    """
    folded_into = convolutions_before_norms(network)
    convolutions = {convolution.name for convolution in folded_into.values()}

    def without_norm(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in folded_into:
            return keras.layers.Identity(name=layer.name)
        changes = {"use_bias": True} if layer.name in convolutions else {}
        return type(layer).from_config({**layer.get_config(), **changes})

    def call(layer: keras.layers.Layer, *inputs: object, **options: object) -> object:
        # What batch norm is told besides its input (a mask), an identity does not take.
        return layer(*inputs) if layer.name in folded_into else layer(*inputs, **options)

    folded = keras.models.clone_model(network, call_function=call, clone_function=without_norm)
    for layer in network.layers:
        if layer.weights and layer.name not in folded_into and layer.name not in convolutions:
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    for name, convolution in folded_into.items():
        folded.get_layer(convolution.name).set_weights(_folded_weights(convolution, network.get_layer(name)))
    return folded


def convolutions_before_norms(network: keras.Model) -> dict[str, keras.layers.Layer]:
    """The batch norms that can be folded, by name, and the convolution that takes each."""
    # Both counted over all calls that Keras knows of; one too many keeps a norm, which is no error.
    consumers = Counter(
        tensor._keras_history.operation.name
        for operation in network.operations
        for node in operation._inbound_nodes
        for tensor in node.input_tensors
    )
    consumers.update(tensor._keras_history.operation.name for tensor in network.outputs)
    found: dict[str, keras.layers.Layer] = {}
    for norm in network.layers:
        if isinstance(norm, keras.layers.BatchNormalization) and len(norm._inbound_nodes) == 1:
            before = norm.input._keras_history.operation
            if _can_take_norm(before, norm) and consumers[before.name] == 1:
                found[norm.name] = before
    return found


def _can_take_norm(layer: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> bool:
    return (
        isinstance(layer, CONVOLUTIONS)
        and len(layer._inbound_nodes) == 1
        and keras.activations.serialize(layer.activation) == "linear"
        and layer.data_format == "channels_last"
        and norm.axis in (-1, 3)
    )


def _folded_weights(convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    mean, variance = (np.asarray(value) for value in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma)
    offset = np.asarray(norm.beta) if norm.center else np.zeros_like(mean)
    *kernels, last = convolution.get_weights()[: -1 if convolution.use_bias else None]
    bias = np.asarray(convolution.bias) if convolution.use_bias else np.zeros_like(mean)
    # The last kernel gives the channels: of a separable convolution the pointwise one. A depthwise kernel has its
    # channels in front of the multiplier, input by input.
    is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    scaled = last * (scale.reshape(last.shape[-2:]) if is_depthwise else scale)
    return [*kernels, scaled, (bias - mean) * scale + offset]
