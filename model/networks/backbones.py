"""The backbones as data: one entry of `BACKBONES` is all that a network needs to be trained, exported and served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from model.networks.features import (
    densenet121,
    efficientnet_lite0,
    efficientnet_lite2,
    inception_v3,
    mobilenet_v2,
    vgg16,
    xception_small,
)

# Colours of one kind for all channels, or of each.
PerChannel = float | tuple[float, float, float]
# Name of the input layer of every network: training from it on is training all layers.
IMAGE_LAYER = "image"


@dataclass(frozen=True)
class Backbone:
    """A feature extractor, and by what names others find what they need of it.

    Attributes:
        name: of `model.train --backbone` and of the manifest.
        build: the plain feature extractor of a rescaled image and of initial weights, see `model.networks.features`.
        scale, offset: RGB 0-255 times `scale` plus `offset` is what it was trained on, red first.
        texture_layers: where the out-of-distribution gate looks: the middle of the network still tells textures apart
            that the last layers, trained to tell classes apart, map onto each other. Twice their channels are the
            gate's numbers, and the square of that its size, so a few hundred channels at most.
        fine_layer: the last one at stride 16, for the branch that finds the lesion.
        middle_resolution_from, full_resolution_from: the first layer trained in the phase, by default; about where
            strides 8 and 16 begin. All layers are trained at low resolution, and those of the head in its own phase.
            Everything behind it in the network's order is trained as well, so where branches run side by side it is
            the layer that joins them.
        stride: pixels a side of a position of the last activation, 16 or 32.
        is_bgr: whether it was trained on blue first.
        dropout: share of the last activation's channels left out in training.
    """

    name: str
    build: Callable[[keras.KerasTensor, str | None], keras.Model]
    scale: PerChannel
    offset: PerChannel
    texture_layers: tuple[str, ...]
    fine_layer: str
    middle_resolution_from: str
    full_resolution_from: str
    stride: int = 32
    is_bgr: bool = False
    dropout: float = 0.3


_ENTRIES = (
    Backbone(
        name="mobilenet_v2",
        build=mobilenet_v2,
        scale=1 / 127.5,
        offset=-1.0,
        texture_layers=("block_5_add", "block_10_project_BN"),
        fine_layer="block_12_add",
        middle_resolution_from="block_3_expand",
        full_resolution_from="block_6_expand",
    ),
    Backbone(
        name="efficientnet_lite0",
        build=efficientnet_lite0,
        scale=1 / 128,
        offset=-127 / 128,
        texture_layers=("block4_add", "block8_project_bn"),
        fine_layer="block10_add",
        middle_resolution_from="block3_expand_conv",
        full_resolution_from="block5_expand_conv",
    ),
    Backbone(
        name="efficientnet_lite2",
        build=efficientnet_lite2,
        scale=1 / 128,
        offset=-127 / 128,
        texture_layers=("block6_add", "block11_project_bn"),
        fine_layer="block14_add",
        middle_resolution_from="block4_expand_conv",
        full_resolution_from="block7_expand_conv",
    ),
    Backbone(
        name="inception_v3",
        build=inception_v3,
        scale=1 / 127.5,
        offset=-1.0,
        texture_layers=("mixed2",),
        fine_layer="mixed7",
        middle_resolution_from="mixed0",
        full_resolution_from="mixed2",
    ),
    Backbone(
        name="vgg16",
        build=vgg16,
        scale=1.0,
        # Mean colour of ImageNet.
        offset=(-123.68, -116.779, -103.939),
        is_bgr=True,
        texture_layers=("block3_pool",),
        fine_layer="block5_conv3",
        middle_resolution_from="block3_conv1",
        full_resolution_from="block4_conv1",
    ),
    Backbone(
        name="densenet121",
        build=densenet121,
        # Mean and standard deviation of ImageNet's colours: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of 255.
        scale=(1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
        offset=(-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
        texture_layers=("pool2_pool", "pool3_pool"),
        fine_layer="pool4_conv",
        middle_resolution_from="pool2_pool",
        full_resolution_from="pool3_pool",
    ),
    Backbone(
        name="xception_small",
        build=xception_small,
        scale=1 / 255,
        offset=0.0,
        texture_layers=("block256_add",),
        fine_layer="block728_add",
        # Trained from scratch, it has nothing to keep.
        middle_resolution_from=IMAGE_LAYER,
        full_resolution_from=IMAGE_LAYER,
        stride=16,
        dropout=0.5,
    ),
)
BACKBONES: dict[str, Backbone] = {backbone.name: backbone for backbone in _ENTRIES}
DEFAULT_BACKBONE = "mobilenet_v2"
