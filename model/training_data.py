"""Images into memory and how to vary them: the tf.data side of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from data.diagnoses import DX_CODES
from data.ham10000 import DatasetError, image_path
from model.preprocessing import RgbImage, decode_image, to_network_input

# Ranges of the augmentation, chosen once by looking at augmented dermoscopic images; not tuned on any result.
MAX_ROTATION = np.pi / 2  # radians; with both flips this reaches every orientation
MAX_LOG_ZOOM = 0.25
MAX_LOG_ASPECT = 0.12
MAX_SHIFT = 0.08  # of the side
MAX_COLOUR_GAIN = 0.10  # each channel by itself: white balance and colour cast
MAX_SATURATION = 0.3
MAX_CONTRAST = 0.25
MAX_BRIGHTNESS = 24.0  # grey levels of 255


def load_images(dataset: Path, image_ids: Sequence[str], height: int, width: int) -> RgbImage:
    """Decode images of a HAM10000 folder to the network's input size, with a progress bar.

    Returns:
        (N, height, width, 3) uint8 RGB, 0-255: about 0.15 MB an image at 192 x 256.

    Raises:
        DatasetError: an image file is missing.
    """
    images = np.empty((len(image_ids), height, width, 3), dtype=np.uint8)

    def load(position: int) -> None:
        path = image_path(dataset, image_ids[position])
        if path is None:
            raise DatasetError(
                f"expected {image_ids[position]}.jpg in {dataset}, found none; run: python -m data.download"
            )
        images[position] = to_network_input(decode_image(path.read_bytes()), height, width)[0]

    with ThreadPoolExecutor() as pool:
        jobs = pool.map(load, range(len(image_ids)))
        for _ in tqdm(jobs, total=len(image_ids), desc=f"loading {width} x {height} px", unit="image", mininterval=1.0):
            pass
    return images


def training_batches(
    images: RgbImage, class_indices: NDArray[np.int64], rows: NDArray[np.int64], batch_size: int, seed: int, step: int
) -> tf.data.Dataset:
    """Augmented batches of one epoch from batch number `step` on.

    Returns:
        Dataset of ((B, H, W, 3) float32 RGB 0-255, (B, 7) float32 one-hot).
    """
    # Drawn in numpy: a tensor of all images would be captured by every epoch's graph and kept, a gigabyte each.
    count = len(rows) // batch_size if len(rows) >= batch_size else 1

    def draw() -> Iterator[tuple[int, RgbImage, NDArray[np.int64]]]:
        for number in range(step, count):
            batch = rows[number * batch_size : (number + 1) * batch_size]
            yield number, images[batch], class_indices[batch]

    def prepare(number: tf.Tensor, pixels: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(pixels, tf.stack([tf.cast(seed, tf.int64), number])), tf.one_hot(classes, len(DX_CODES))

    signature = (
        tf.TensorSpec((), tf.int64),
        tf.TensorSpec((None, *images.shape[1:]), tf.uint8),
        tf.TensorSpec((None,), tf.int64),
    )
    drawn = tf.data.Dataset.from_generator(draw, output_signature=signature)
    return drawn.map(prepare, num_parallel_calls=2).prefetch(2)


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Vary a batch: rotation, zoom, aspect, shift, flips in one resampling; light and colour in one product.

    Args:
        images: (B, H, W, 3) uint8 RGB, 0-255.
        seed: (2,) int64; the same seed gives the same batch.

    Returns:
        (B, H, W, 3) float32 RGB, 0-255. What a rotation uncovers is filled by reflection.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = tf.unstack(tf.random.stateless_uniform((16, batch), seed, -1.0, 1.0))
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=_affine(draws[:8], float(height), float(width)),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.clip_by_value(_recolour(moved, draws[8:]), 0.0, 255.0)


def _affine(draws: Sequence[tf.Tensor], height: float, width: float) -> tf.Tensor:
    """(B, 8) output-to-input transforms about the image centre, as ImageProjectiveTransformV3 wants them."""
    angle, zoom, aspect = draws[0] * MAX_ROTATION, draws[1] * MAX_LOG_ZOOM, draws[2] * MAX_LOG_ASPECT
    scale_x, scale_y = tf.exp(zoom + aspect) * tf.sign(draws[3]), tf.exp(zoom - aspect) * tf.sign(draws[4])
    a, b = tf.cos(angle) * scale_x, -tf.sin(angle) * scale_y
    c, d = tf.sin(angle) * scale_x, tf.cos(angle) * scale_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    shift_x = centre_x * (1 + 2 * MAX_SHIFT * draws[5]) - a * centre_x - b * centre_y
    shift_y = centre_y * (1 + 2 * MAX_SHIFT * draws[6]) - c * centre_x - d * centre_y
    zero = tf.zeros_like(a)
    return tf.stack([a, b, shift_x, c, d, shift_y, zero, zero], axis=1)


def _recolour(images: tf.Tensor, draws: Sequence[tf.Tensor]) -> tf.Tensor:
    """Saturation, colour cast, contrast and brightness as one 3 x 3 matrix and offset an image."""
    grey = tf.constant([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    saturation = (1 + MAX_SATURATION * draws[0])[:, None, None]
    gains = 1 + MAX_COLOUR_GAIN * tf.stack(draws[1:4], axis=1)
    contrast = (1 + MAX_CONTRAST * draws[4])[:, None, None]
    matrix = (saturation * tf.eye(3) + (1 - saturation) * grey[:, None]) * gains[:, None, :] * contrast
    mean = tf.reduce_mean(images, axis=(1, 2))[:, None, :]
    offset = tf.matmul(mean, matrix) * (1 / contrast - 1) + MAX_BRIGHTNESS * draws[5][:, None, None]
    return tf.einsum("bhwc,bcd->bhwd", images, matrix) + offset[:, None, :, :]
