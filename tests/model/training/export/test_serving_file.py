"""The .keras file of an artifact: what is half precision is stored so, what is not keeps every bit."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


def rounded_network():  # type: ignore[no-untyped-def]
    """A convolution rounded to half precision, and a norm whose moments no half precision holds."""
    import keras

    image = keras.Input((8, 8, 3), name="image")
    filtered = keras.layers.Conv2D(64, 5, name="filter")(image)
    network = keras.Model(image, keras.layers.BatchNormalization(name="norm")(filtered))
    filters = network.get_layer("filter")
    filters.set_weights([weight.astype(np.float16).astype(np.float32) for weight in filters.get_weights()])
    norm = network.get_layer("norm")
    norm.set_weights([np.full(64, value, dtype=np.float32) for value in (1 / 3, 0.1, 1e6 / 3, 1e-9)])
    return network


def test_every_weight_comes_back_bit_for_bit(tmp_path: Path) -> None:
    import keras

    from model.training.export.serving_file import save_keras

    network = rounded_network()
    save_keras(network, tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for saved, found in zip(network.get_weights(), restored.get_weights(), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, saved)


def test_rounded_weights_take_two_bytes(tmp_path: Path) -> None:
    from model.training.export.serving_file import save_keras

    network = rounded_network()
    network.save(tmp_path / "plain.keras")
    save_keras(network, tmp_path / "model.keras")
    sizes = []
    for name in ("plain.keras", "model.keras"):
        with zipfile.ZipFile(tmp_path / name) as file:
            sizes.append(file.getinfo("model.weights.h5").file_size)
    weights = network.get_layer("filter").count_params()
    assert sizes[0] - sizes[1] >= 2 * weights
