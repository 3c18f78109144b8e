"""The backbones: one function each that builds a Keras network, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

import keras

from model.networks.architecture import (
    BATCH_NORM_MOMENTUM,
    CONTEXT_WEIGHT,
    EVIDENCE_LAYER,
    FINE_LAYER,
    LESION_BRANCH,
    LESION_CHANNELS,
    LESION_LAYER,
    WeightByLesion,
    _with_classifier,
)


def build_mobilenet_v2(height: int | None, width: int | None, init: str | None) -> keras.Model:
    """MobileNetV2 (width 1.0) with dropout and a dense layer for the seven diagnoses.

    Args:
        height, width: input size in pixels, multiples of 32; None for any such size (training at several resolutions).
        init: `imagenet` (downloaded by Keras), a path to `include_top=False` weights, or None for random weights.

    Returns:
        Model from `image`, (N, height, width, 3) float32 RGB 0-255 (it rescales to [-1, 1] itself), to `logits`,
        (N, 7) float32 in dx order, not yet softmaxed.

    Source:
        Sandler et al., CVPR 2018, doi:10.1109/CVPR.2018.00474.
    """
    image, backbone = _mobilenet_v2(height, width, init)
    evidence = keras.layers.Identity(name=EVIDENCE_LAYER)(backbone.output)
    return _with_classifier(image, evidence, name="mobilenet_v2")


def build_lesion_mobilenet_v2(height: int | None, width: int | None, init: str | None) -> keras.Model:
    """MobileNetV2 that finds the lesion and averages its evidence over the lesion instead of over the whole image.

    A branch at stride 16 predicts where the lesion is (layer `lesion`, (N, h / 16, w / 16, 1) in [0, 1], trained with
    the dataset's masks); the last activation, brought to the same positions, is weighted by it. The weights have mean
    1, so a small lesion speaks as loudly as a large one. Arguments and result as in `build_mobilenet_v2`.
    """
    image, backbone = _mobilenet_v2(height, width, init)
    finer = keras.layers.UpSampling2D(2, interpolation="bilinear", name="finer")(backbone.output)
    projected = keras.layers.Conv2D(LESION_CHANNELS, 1, activation="relu", name=LESION_BRANCH)(backbone.output)
    context = keras.layers.UpSampling2D(2, interpolation="bilinear", name="lesion_context")(projected)
    fine = backbone.get_layer(FINE_LAYER).output
    joined = keras.layers.Concatenate(name="lesion_join")([fine, context])
    hidden = keras.layers.Conv2D(LESION_CHANNELS, 3, padding="same", activation="relu", name="lesion_hidden")(joined)
    # float32 also under mixed precision, as everything that ends in a loss.
    lesion = keras.layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=LESION_LAYER)(hidden)
    evidence = WeightByLesion(CONTEXT_WEIGHT, name=EVIDENCE_LAYER)([finer, lesion])
    return _with_classifier(image, evidence, name="lesion_mobilenet_v2")


def _mobilenet_v2(height: int | None, width: int | None, init: str | None) -> tuple[keras.KerasTensor, keras.Model]:
    image = keras.Input((height, width, 3), name="image")
    rescaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    backbone = keras.applications.MobileNetV2(input_tensor=rescaled, include_top=False, weights=init)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return image, backbone


BACKBONES: dict[str, Callable[[int | None, int | None, str | None], keras.Model]] = {
    "mobilenet_v2": build_mobilenet_v2,
    "lesion_mobilenet_v2": build_lesion_mobilenet_v2,
}
