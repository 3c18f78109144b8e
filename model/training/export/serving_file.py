"""Trained networks as the two files of an artifact: `model.keras` and `model.tflite`."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

from model.inference.artifact import KERAS_FILE, SIGNATURE
from model.networks.architecture import build_serving_network, fix_input_size
from model.networks.folding import fold_batch_norm
from model.training.checkpoints import finished_network


def load_member(run: Path, height: int, width: int) -> keras.Model:
    """The network of a run for one input size, ready to serve; see `ready_to_serve`.

    Raises:
        RunMismatch: the run has not been trained to its end.
    """
    return ready_to_serve(fix_input_size(finished_network(run), height, width))


def ready_to_serve(network: keras.Model) -> keras.Model:
    """A network with batch norm folded, its weights rounded to half precision, as the serving file holds them.

    Rounding here keeps the Keras file and the serving file the same network, but for the norms that cannot be folded:
    LiteRT makes a scale and an offset of each and rounds those. The given network is not changed.
    """
    folded = fold_batch_norm(network)
    for layer in folded.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([weight.astype(np.float16).astype(np.float32) for weight in layer.get_weights()])
    return folded


def save_keras(network: keras.Model, path: Path) -> None:
    """Save a network as a .keras file: weights rounded to half precision are stored so, and all of it is compressed.

    Keras reads them into the single precision they are computed in. Level 4: on the skin model's weights level 9 takes
    six times as long and leaves 5 % less.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / KERAS_FILE
        network.save(plain)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as file:
            for name in source.namelist():
                content = source.read(name)
                halved = _halved(content) if name.endswith(".h5") else content
                file.writestr(zipfile.ZipInfo(name), halved, zipfile.ZIP_DEFLATED, compresslevel=4)


def _halved(weights: bytes) -> bytes:
    """An HDF5 file with those arrays in half precision that lose nothing by it."""
    halved = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(halved, "w") as target:
        _copy_halved(source, target)
    return halved.getvalue()


def _copy_halved(source: h5py.Group, target: h5py.Group) -> None:
    target.attrs.update(source.attrs)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy_halved(item, target.create_group(name))
            continue
        values = item[()]
        # Norms that cannot be folded keep their precision, and may lie beyond half precision's range.
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        target.create_dataset(name, data=half if np.array_equal(half, values) else values).attrs.update(item.attrs)


def to_litert(network: keras.Model, height: int, width: int) -> bytes:
    """Convert to a LiteRT file, weights in half precision, whose one signature maps `image` to the serving outputs."""
    serving = build_serving_network(network, height, width)
    archive = keras.export.ExportArchive(verbose=False)
    archive.track(serving)
    archive.add_endpoint(
        SIGNATURE,
        lambda image: serving(image, training=False),
        input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, name="image")],
    )
    # By way of a SavedModel: converting the concrete function directly leaves Keras 3's weights out of the file.
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
