"""Class maps of twice the resolution from a network as it was trained."""

from __future__ import annotations

import keras

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def with_finer_maps(network: keras.Model) -> keras.Model:
    """The same weights with the last stride taken out, and what follows dilated in its place.

    The last activation then has twice the rows and columns. Every other one of each is what the network gave before;
    those between are what it gives to an image shifted by half a position. So its logits, which are means over the
    positions, become the mean of four shifted looks. What follows the last stride takes four times as long.

    Args:
        network: of `model.networks.architecture.build_network`, with an input size. It is not changed.

    Returns:
        Model of the same layers, by name.

    Raises:
        ValueError: the network has no such stride, or shrinks maps in another way than by "same" padded convolutions.

    Source:
        Chen et al., ICLR 2015, arXiv:1412.7062 (atrous convolution); Yu, Koltun, Funkhouser, CVPR 2017,
        arXiv:1705.09914 (dilated residual networks).
    """
    strided = [number for number, layer in enumerate(network.layers) if _shrinks(layer)]
    if not strided or not _is_same(network.layers[strided[-1]]):
        raise ValueError(f"expected a network whose last stride is of a padded convolution, received {network.name}")
    last = network.layers[strided[-1]].name
    later = {layer.name for layer in network.layers[strided[-1] + 1 :] if isinstance(layer, _CONVOLUTIONS)}
    for layer in network.layers:
        if layer.name in later and not _is_same(layer):
            raise ValueError(f"expected padded convolutions behind the last stride, received {layer.name}")

    def changed(layer: keras.layers.Layer) -> keras.layers.Layer:
        options = layer.get_config()
        if layer.name == last:
            options["strides"] = (1, 1)
        elif layer.name in later:
            options["dilation_rate"] = tuple(2 * rate for rate in layer.dilation_rate)
        return layer.__class__.from_config(options)

    finer = keras.models.clone_model(network, clone_function=changed)
    finer.set_weights(network.get_weights())
    return finer


def _shrinks(layer: keras.layers.Layer) -> bool:
    steps = getattr(layer, "strides", 1)
    return max(steps if isinstance(steps, tuple) else (steps,)) > 1


def _is_same(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, _CONVOLUTIONS) and (layer.padding == "same" or max(layer.kernel_size) == 1)
