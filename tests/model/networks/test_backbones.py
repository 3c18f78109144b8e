"""Entries of the table: the layers they name are where they should be, and pretrained weights fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

NAMES = (
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "inception_v3",
    "vgg16",
    "densenet121",
    "xception_small",
)
RED, BLUE = (255.0, 0.0, 0.0), (0.0, 0.0, 255.0)


def test_all_backbones_are_tested_here() -> None:
    from model.networks.backbones import BACKBONES

    assert set(BACKBONES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_layers_named_in_an_entry_lie_on_the_image_s_grid(name: str) -> None:
    import keras

    from model.networks.backbones import BACKBONES, IMAGE_LAYER

    backbone = BACKBONES[name]
    image = keras.Input((96, 128, 3), name=IMAGE_LAYER)
    network = backbone.build(keras.layers.Rescaling(1 / 255)(image), None)
    assert network.inputs[0] is image
    assert network.output.shape[1:3] == (96 // backbone.stride, 128 // backbone.stride)
    assert network.get_layer(backbone.fine_layer).output.shape[1:3] == (6, 8)
    channels = sum(network.get_layer(layer).output.shape[-1] for layer in backbone.texture_layers)
    assert 64 <= channels <= 512
    # The upper phase trains fewer layers than the middle one.
    order = [layer.name for layer in network.layers]
    assert order.index(backbone.middle_resolution_from) <= order.index(backbone.full_resolution_from) < len(order) - 1


@pytest.mark.parametrize(
    ("name", "red"),
    [
        ("mobilenet_v2", (1, -1, -1)),
        ("efficientnet_lite0", (1, -127 / 128, -127 / 128)),
        ("efficientnet_lite2", (1, -127 / 128, -127 / 128)),
        ("inception_v3", (1, -1, -1)),
        # Blue, green, red.
        ("vgg16", (-103.939, -116.779, 255 - 123.68)),
        ("densenet121", ((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225)),
        ("xception_small", (1, 0, 0)),
    ],
)
def test_red_is_rescaled_as_the_weights_were_trained(name: str, red: tuple[float, float, float]) -> None:
    import keras

    from model.networks.architecture import rescaled
    from model.networks.backbones import BACKBONES

    pixel = keras.ops.convert_to_tensor(np.full((1, 1, 1, 3), RED, dtype=np.float32))
    np.testing.assert_allclose(np.asarray(rescaled(pixel, BACKBONES[name]))[0, 0, 0], red, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "init", "expected"),
    [
        ("xception_small", "imagenet", "trained from scratch"),
        ("efficientnet_lite0", "imagenet", "expected `none` or a file"),
        ("mobilenet_v2", "nowhere.weights.h5", "expected `imagenet`, `none` or a file"),
        ("mobilenet_v2", "weights.npz", "expected `imagenet`, `none` or a file"),
    ],
)
def test_weights_that_a_backbone_cannot_start_from_are_refused(name: str, init: str, expected: str) -> None:
    from model.networks.architecture import build_network
    from model.networks.backbones import BACKBONES
    from model.networks.features import WeightsMismatch

    with pytest.raises(WeightsMismatch, match=expected):
        build_network(BACKBONES[name], 7, 64, 64, init, None)


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    import keras

    from model.networks.features import WeightsMismatch, load_arrays

    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")])
    path = str(tmp_path / "weights.npz")
    kernel, bias = np.ones((2, 3), dtype=np.float16), np.arange(3, dtype=np.float16)
    np.savez(path, **{"dense/kernel": kernel, "dense/bias": bias})
    load_arrays(network, path)
    np.testing.assert_array_equal(network.get_weights()[1], bias)
    for arrays, expected in (
        ({"dense/kernel": kernel}, "no array dense/bias"),
        ({"dense/kernel": kernel, "dense/bias": bias, "top/bias": bias}, "an unknown array top/bias"),
        ({"dense/kernel": kernel.T, "dense/bias": bias}, "is .3, 2., not .2, 3."),
    ):
        np.savez(path, **arrays)
        with pytest.raises(WeightsMismatch, match=expected):
            load_arrays(network, path)
    Path(path).write_text("no arrays")
    with pytest.raises(WeightsMismatch, match="received"):
        load_arrays(network, path)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_pretrained_arrays_fit_and_tell_images_apart(shared_folder: Path, name: str) -> None:
    import keras

    from model.images.decoding import decode_image
    from model.images.framing import to_network_input
    from model.networks.architecture import rescaled
    from model.networks.backbones import BACKBONES

    path = shared_folder / "pretrained" / f"{name}_imagenet.npz"
    photographs = sorted((shared_folder / "everyday_photos").glob("*.jpg"))[:3]
    if not path.is_file() or len(photographs) < 3:
        pytest.skip(f"needs {path} and photographs")
    image = keras.Input((224, 224, 3))
    network = BACKBONES[name].build(rescaled(image, BACKBONES[name]), str(path))
    with np.load(path) as arrays:
        shapes = {f"{layer.name}/{weight.name}": weight.shape for layer in network.layers for weight in layer.weights}
        assert {key: arrays[key].shape for key in arrays.files} == shapes
    batch = np.stack([to_network_input(decode_image(photo.read_bytes()), 224, 224)[0] for photo in photographs])
    features = np.asarray(network(batch.astype(np.float32), training=False))
    assert np.isfinite(features).all() and features.min() == 0 and features.max() <= 6
    # Neither dead nor saturated: most channels speak somewhere, few positions do in each; images differ.
    assert (features.max(axis=(0, 1, 2)) > 0).mean() > 0.5
    assert 0.02 < (features > 0).mean() < 0.6
    pooled = features.mean(axis=(1, 2))
    assert np.corrcoef(pooled)[np.triu_indices(3, 1)].max() < 0.9
