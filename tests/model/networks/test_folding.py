"""Batch norm is folded where that is exact, and stays where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


def shaken(network: keras.Model, images: np.ndarray) -> keras.Model:
    """The network with the batch norms of these images, and scales and offsets of their own. Changes `network`."""
    import keras

    generator = np.random.default_rng(0)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    network(images, training=True)
    for norm in norms:
        for weight in norm.trainable_weights:
            weight.assign(weight + generator.uniform(-0.3, 0.3, weight.shape))
    return network


def norms_of(network: keras.Model) -> set[str]:
    import keras

    return {layer.name for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    patches = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3))
    return np.kron(patches, np.ones((1, 16, 16, 1))).astype(np.float32)


def expect_the_same(network: keras.Model, images: np.ndarray, kept: set[str]) -> None:
    """Folding changes no answer, which is not the same for both images, and keeps these norms alone."""
    from model.networks.folding import fold_batch_norm

    folded = fold_batch_norm(shaken(network, images))
    assert norms_of(folded) == kept
    expected = np.asarray(network(images, training=False))
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * np.abs(expected).max()
    np.testing.assert_allclose(
        np.asarray(folded(images, training=False)), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )


def test_convolutions_of_each_kind_take_the_norm_behind_them(images: np.ndarray) -> None:
    import keras

    layers = keras.layers
    image = keras.Input((96, 96, 3))
    values = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(image / 255)
    values = layers.BatchNormalization(epsilon=0.5)(values)
    values = layers.BatchNormalization(scale=False)(layers.Conv2D(6, 3, bias_initializer="ones")(values))
    values = layers.BatchNormalization(center=False)(layers.DepthwiseConv2D(3, depth_multiplier=2)(values))
    values = layers.BatchNormalization()(
        layers.SeparableConv2D(5, 3, depth_multiplier=2, bias_initializer="ones")(values)
    )
    expect_the_same(keras.Model(image, layers.Dense(2)(values)), images, kept=set())


def test_norms_stay_where_a_convolution_cannot_take_them(images: np.ndarray) -> None:
    import keras

    layers = keras.layers
    image = keras.Input((96, 96, 3))
    active = layers.Conv2D(4, 3, activation="relu")(image / 255)
    behind_activation = layers.BatchNormalization(name="behind_activation")(active)
    twice_used = layers.Conv2D(4, 3)(behind_activation)
    of_twice_used = layers.BatchNormalization(name="of_twice_used")(twice_used)
    joined = layers.Concatenate()([twice_used, of_twice_used])
    behind_join = layers.BatchNormalization(name="behind_join")(joined)
    shared = layers.Conv2D(8, 3, padding="same")
    once = layers.BatchNormalization(name="of_shared")(shared(behind_join))
    again = shared(layers.ReLU()(once))
    pooled = layers.BatchNormalization(name="behind_pooling")(layers.MaxPooling2D()(again))
    network = keras.Model(image, layers.Dense(2)(pooled))
    expect_the_same(network, images, norms_of(network))
    assert len(norms_of(network)) == 5


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("mobilenet_v2", 0),
        ("efficientnet_lite0", 0),
        ("efficientnet_lite2", 0),
        ("inception_v3", 0),
        ("vgg16", 0),
        # In front of its activations, behind a concatenation or a pooling.
        ("densenet121", 62),
        ("xception_small", 0),
    ],
)
def test_folding_changes_no_answer_of_a_backbone(images: np.ndarray, name: str, kept: int) -> None:
    import keras

    from model.networks.backbones import BACKBONES
    from model.networks.folding import convolutions_before_norms

    image = keras.Input((96, 96, 3))
    backbone = BACKBONES[name]
    network = backbone.build(keras.layers.Rescaling(1 / 128, offset=-1.0)(image), None)
    stay = norms_of(network) - convolutions_before_norms(network).keys()
    assert len(stay) == kept
    expect_the_same(network, images, stay)
