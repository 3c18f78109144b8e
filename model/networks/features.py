"""The plain feature extractors: from a rescaled image to the last activation, without pooling and classes.

Each function takes the rescaled image and `init`, and returns a model from the image (before it was rescaled) to the
last activation. Every one keeps its positions on the image's own grid: a stride of 16 gives h / 16 x w / 16 positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

IMAGENET = "imagenet"


class WeightsMismatch(Exception):
    """Initial weights that are not there or do not fit the network; the message says what would."""


def mobilenet_v2(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """MobileNetV2 of width 1.0.

    Source:
        Sandler et al., CVPR 2018, doi:10.1109/CVPR.2018.00474.
    """
    return _of_keras_applications(keras.applications.MobileNetV2, rescaled, init)


def vgg16(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """VGG16.

    Source:
        Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556.
    """
    return _of_keras_applications(keras.applications.VGG16, rescaled, init)


def densenet121(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """DenseNet121.

    Source:
        Huang et al., CVPR 2017, doi:10.1109/CVPR.2017.243.
    """
    return _of_keras_applications(keras.applications.DenseNet121, rescaled, init)


def inception_v3(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """InceptionV3 whose every layer pads.

    Keras' own does not pad in seven layers, so its positions lie on an odd grid inside the image (10 x 14 of 192 x 256
    px) that no lesion mask fits on. The weights are the same.

    Source:
        Szegedy et al., CVPR 2016, doi:10.1109/CVPR.2016.308.
    """
    unpadded = _of_keras_applications(keras.applications.InceptionV3, rescaled, init)

    def padded(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        return type(layer).from_config({**config, "padding": "same"} if "padding" in config else config)

    # `unpadded.inputs` is the image that was rescaled.
    network = keras.models.clone_model(unpadded, input_tensors=unpadded.input, clone_function=padded)
    network.set_weights(unpadded.get_weights())
    return network


def _of_keras_applications(
    build: Callable[..., keras.Model], rescaled: keras.KerasTensor, init: str | None
) -> keras.Model:
    expected = f"expected `{IMAGENET}`, `none` or a file of {build.__name__}'s weights without its top (.weights.h5)"
    if init not in (None, IMAGENET) and not (Path(init).is_file() and init.endswith(".h5")):
        raise WeightsMismatch(f"{expected}, received {init}")
    try:
        return build(input_tensor=rescaled, include_top=False, weights=init)
    except (ValueError, OSError) as error:
        raise WeightsMismatch(f"{expected}; {init} could not be loaded ({error})") from error


def xception_small(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """A small network of separable convolutions in the manner of Xception, to train from scratch.

    Source:
        Chollet, CVPR 2017, doi:10.1109/CVPR.2017.195; the size is that of Keras' example "Image classification from
        scratch", https://keras.io/examples/vision/image_classification_from_scratch/.
    """
    if init is not None:
        raise WeightsMismatch(f"expected `none`, since this network is trained from scratch, received {init}")
    values = _norm_relu(keras.layers.Conv2D(128, 3, strides=2, padding="same", name="stem_conv")(rescaled), "stem")
    for filters in (256, 512, 728):
        values = _xception_block(values, filters, f"block{filters}")
    values = keras.layers.SeparableConv2D(1024, 3, padding="same", name="head_separable")(values)
    return _model_to(_norm_relu(values, "head"))


def _xception_block(values: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Two separable convolutions at half of the positions, beside a plain one."""
    residual = keras.layers.Conv2D(filters, 1, strides=2, padding="same", name=f"{name}_residual")(values)
    for number in (1, 2):
        values = keras.layers.ReLU(name=f"{name}_relu{number}")(values)
        values = keras.layers.SeparableConv2D(filters, 3, padding="same", name=f"{name}_separable{number}")(values)
        values = keras.layers.BatchNormalization(name=f"{name}_bn{number}")(values)
    values = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(values)
    return keras.layers.Add(name=f"{name}_add")([values, residual])


def _norm_relu(values: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.BatchNormalization(name=f"{name}_bn")(values))


# Blocks of EfficientNet-Lite: kernel, stride, expansion, filters.
Blocks = Sequence[tuple[int, int, int, int]]
LITE0: Blocks = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    *[(3, 1, 6, 80)] * 2,
    *[(5, 1, 6, 112)] * 3,
    (5, 2, 6, 192),
    *[(5, 1, 6, 192)] * 3,
    (3, 1, 6, 320),
)
LITE2: Blocks = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    *[(3, 1, 6, 24)] * 2,
    (5, 2, 6, 48),
    *[(5, 1, 6, 48)] * 2,
    (3, 2, 6, 88),
    *[(3, 1, 6, 88)] * 3,
    *[(5, 1, 6, 120)] * 4,
    (5, 2, 6, 208),
    *[(5, 1, 6, 208)] * 4,
    (3, 1, 6, 352),
)
# Of the released weights; Keras' own default is the same.
LITE_EPSILON = 1e-3


def efficientnet_lite0(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """EfficientNet-Lite0; see `_efficientnet_lite`."""
    return _efficientnet_lite(rescaled, init, LITE0)


def efficientnet_lite2(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """EfficientNet-Lite2: wider and deeper; see `_efficientnet_lite`."""
    return _efficientnet_lite(rescaled, init, LITE2)


def _efficientnet_lite(rescaled: keras.KerasTensor, init: str | None, blocks: Blocks) -> keras.Model:
    """EfficientNet without squeeze-and-excitation and with ReLU6, made for phones.

    Source:
        Tan & Le, ICML 2019, arXiv:1905.11946; the Lite variants:
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
    """
    values = keras.layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(rescaled)
    values = _lite_norm_relu(values, "stem")
    for number, block in enumerate(blocks):
        values = _lite_block(values, *block, name=f"block{number}")
    values = keras.layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(values)
    network = _model_to(_lite_norm_relu(values, "head"))
    if init is not None:
        load_arrays(network, init)
    return network


def _lite_block(
    values: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    entering, hidden = values, values
    if expansion != 1:
        expanded = keras.layers.Conv2D(expansion * values.shape[-1], 1, use_bias=False, name=f"{name}_expand_conv")(
            values
        )
        hidden = _lite_norm_relu(expanded, f"{name}_expand")
    hidden = keras.layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(hidden)
    hidden = _lite_norm_relu(hidden, f"{name}_depthwise")
    projected = keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(hidden)
    projected = keras.layers.BatchNormalization(epsilon=LITE_EPSILON, name=f"{name}_project_bn")(projected)
    if stride == 1 and entering.shape[-1] == filters:
        return keras.layers.Add(name=f"{name}_add")([projected, entering])
    return projected


def _lite_norm_relu(values: keras.KerasTensor, name: str) -> keras.KerasTensor:
    normed = keras.layers.BatchNormalization(epsilon=LITE_EPSILON, name=f"{name}_bn")(values)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(normed)


def _model_to(values: keras.KerasTensor) -> keras.Model:
    """The model from the image that `values` were made from."""
    return keras.Model(keras.utils.get_source_inputs(values), values)


def load_arrays(network: keras.Model, path: str) -> None:
    """Give a network the arrays of an .npz file, named `<layer>/<weight>`. Changes `network`.

    Raises:
        WeightsMismatch: no such file, or an array is missing, left over or of another shape.
    """
    expected = "expected `none` or a file of this network's weights (.npz with arrays `<layer>/<weight>`)"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
    # ValueError is what numpy says of a file that would have to be unpickled; AttributeError of a single array.
    except (OSError, ValueError, AttributeError, BadZipFile) as error:
        raise WeightsMismatch(f"{expected}, received {path}") from error
    # Not `weight.path`: it would begin with the name of a model that is built within another.
    weights = {f"{layer.name}/{weight.name}": weight for layer in network.layers for weight in layer.weights}
    if weights.keys() != arrays.keys():
        name = sorted(weights.keys() ^ arrays.keys())[0]
        raise WeightsMismatch(f"{expected}; {path} has {'no' if name in weights else 'an unknown'} array {name}")
    for name, weight in weights.items():
        if tuple(weight.shape) != arrays[name].shape:
            raise WeightsMismatch(f"{expected}; {name} of {path} is {arrays[name].shape}, not {tuple(weight.shape)}")
        weight.assign(arrays[name])
