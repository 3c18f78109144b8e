"""Images into memory and how to vary them: the tf.data side of training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError, image_path, mask_path
from model.images.decoding import decode_image
from model.images.framing import AS_FRAMED, Preparation, to_network_input
from model.images.rejection import ImageRejected, RgbImage
from model.networks.architecture import CLASS_MAPS_LAYER, FINE_STRIDE, LESION_LAYER, LOGITS_LAYER
from model.training.recipe import Augmentation

# Ranges of the augmentation, chosen once by looking at augmented dermoscopic images; not tuned on any result.
MAX_ROTATION = np.pi / 2  # radians; with both flips this reaches every orientation
MAX_LOG_ZOOM = 0.3
MAX_LOG_ASPECT = 0.16  # a 4:3 image squashed into a square lies within
MAX_SHIFT = 0.1  # of the side
MAX_COLOUR_GAIN = 0.15  # each channel by itself: white balance and colour cast
MAX_SATURATION = 0.35
MAX_CONTRAST = 0.3
MAX_BRIGHTNESS = 26.0  # grey levels of 255
BLURRED_SHARE = 0.25
MAX_LOG_BLUR = np.log(2.5)  # an image reduced by at most so much and enlarged again
COMPRESSED_SHARE = 0.5
MIN_JPEG_QUALITY, MAX_JPEG_QUALITY = 25, 90
VIGNETTE_SHARE = 0.15
MIN_VIGNETTE_RADIUS = 0.75  # of half the diagonal; the dark round frame of a dermatoscope


def load_images(
    dataset: Path,
    image_ids: Sequence[str],
    height: int,
    width: int,
    extra_folders: Sequence[Path] = (),
    preparation: Preparation = AS_FRAMED,
) -> RgbImage:
    """Decode images of a HAM10000 folder to the network's input size, with a progress bar.

    Args:
        dataset: the folder.
        image_ids: of N images.
        height, width: of the network input, pixels.
        extra_folders: of the same shape; an image that is not in the first folder is looked for there.
        preparation: of every image.

    Returns:
        (N, height, width, 3) uint8 RGB, 0-255: about 0.15 MB an image at 192 x 256.

    Raises:
        DatasetError: an image file is missing or broken.
    """
    images = np.empty((len(image_ids), height, width, 3), dtype=np.uint8)
    folders = (dataset, *extra_folders)

    def load(position: int) -> None:
        found = (image_path(folder, image_ids[position]) for folder in folders)
        path = next((path for path in found if path is not None), None)
        if path is None:
            places = " or ".join(str(folder) for folder in folders)
            raise DatasetError(
                f"expected {image_ids[position]}.jpg in {places}, found none; run: python -m data.download"
            )
        images[position] = to_network_input(_decoded(path), height, width, preparation)[0]

    _load_all(load, len(image_ids), f"loading {width} x {height} px")
    return images


def load_masks(dataset: Path, image_ids: Sequence[str], height: int, width: int) -> NDArray[np.uint8]:
    """Lesion masks of a HAM10000 folder, framed as `load_images` frames the images.

    Returns:
        (N, height, width) uint8: 255 inside the lesion, 0 outside, between on the rim.

    Raises:
        DatasetError: a mask file is missing or broken.
    """
    masks = np.empty((len(image_ids), height, width), dtype=np.uint8)

    def load(position: int) -> None:
        path = mask_path(dataset, image_ids[position])
        if path is None:
            raise DatasetError(
                f"expected the lesion mask of {image_ids[position]} in {dataset}, found none; run: "
                "python -m data.download --part masks, or train without masks (--lesion-weight 0 --map-weight 0)"
            )
        masks[position] = to_network_input(_decoded(path), height, width)[0][..., 0]

    _load_all(load, len(image_ids), "loading masks")
    return masks


def _decoded(path: Path) -> RgbImage:
    try:
        return decode_image(path.read_bytes())
    except ImageRejected as error:
        raise DatasetError(f"{path}: {error}") from error


def _load_all(load: Callable[[int], None], count: int, description: str) -> None:
    with ThreadPoolExecutor() as pool:
        jobs = pool.map(load, range(count))
        for _ in tqdm(jobs, total=count, desc=description, unit="image", mininterval=1.0):
            pass


def training_batches(
    images: RgbImage,
    masks: NDArray[np.uint8] | None,
    labels: NDArray[np.float32],
    rows: NDArray[np.int64],
    batch_size: int,
    seed: int,
    step: int,
    outputs: Collection[str],
    augmentation: Augmentation = "all",
) -> tf.data.Dataset:
    """Augmented batches of one epoch from batch number `step` on.

    An empty mask stands for one that is not known: the losses on the lesion pass over it (`model.networks.losses`).

    Args:
        images: (N, H, W, 3) uint8 RGB, 0-255.
        masks: (N, H, W) uint8, 255 inside the lesion; None where no output needs them.
        labels: (N, C) of the images, see `model.training.recipe.labels`.
        rows: numbers of the images to take, in this order.
        batch_size: B.
        seed: of the augmentation.
        step: number of the first batch to give.
        outputs: of the training network, by name.
        augmentation: how the images are varied, see `augment`.

    Returns:
        Dataset of ((B, H, W, 3) float32 RGB 0-255, targets), the targets as a dict by output: `logits` (B, C) float32,
        the labels, `lesion` (B, H / 16, W / 16, 1) float32, the share of each cell that is lesion, and `class_maps`
        (B, H / 16, W / 16, C) float32, the same in the channel of the true class.
    """
    # Drawn in numpy: a tensor of all images would be captured by every epoch's graph and kept, a gigabyte each.
    count = len(rows) // batch_size if len(rows) >= batch_size else 1
    channels = 3 if masks is None else 4

    def draw() -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float32]]]:
        for number in range(step, count):
            batch = rows[number * batch_size : (number + 1) * batch_size]
            pixels = images[batch] if masks is None else np.concatenate([images[batch], masks[batch, ..., None]], -1)
            yield number, pixels, labels[batch]

    def prepare(number: tf.Tensor, pixels: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        varied, moved_masks = augment(pixels, tf.stack([tf.cast(seed, tf.int64), number]), augmentation)
        targets = {LOGITS_LAYER: target}
        if masks is not None:
            lesion = tf.nn.avg_pool2d(moved_masks / 255.0, FINE_STRIDE, FINE_STRIDE, "VALID")
            targets |= {LESION_LAYER: lesion, CLASS_MAPS_LAYER: lesion * tf.nn.relu(target)[:, None, None, :]}
        return varied, {name: targets[name] for name in outputs}

    signature = (
        tf.TensorSpec((), tf.int64),
        tf.TensorSpec((None, *images.shape[1:3], channels), tf.uint8),
        tf.TensorSpec((None, labels.shape[1]), tf.float32),
    )
    drawn = tf.data.Dataset.from_generator(draw, output_signature=signature)
    return drawn.map(prepare, num_parallel_calls=2).prefetch(2)


def augment(images: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation = "all") -> tuple[tf.Tensor, tf.Tensor]:
    """Vary a batch: rotation, zoom, aspect, shift, flips in one resampling; blur; light and colour; frame; JPEG.

    Args:
        images: (B, H, W, 3 + M) uint8 RGB, 0-255, and M mask channels, which only the resampling moves.
        seed: (2,) int64; the same seed gives the same batch.
        augmentation: `all` of it, the `geometry` alone (the one resampling), or `none`: the images as they are.

    Returns:
        (B, H, W, 3) float32 RGB, 0-255, and (B, H, W, M) float32 masks, 0-255. What a rotation uncovers is filled by
        reflection.
    """
    if augmentation == "none":
        unchanged = tf.cast(images, tf.float32)
        return unchanged[..., :3], unchanged[..., 3:]
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = tf.unstack(tf.random.stateless_uniform((23, batch), seed, -1.0, 1.0))
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=_affine(draws[:8], float(height), float(width)),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    if augmentation == "geometry":
        return moved[..., :3], moved[..., 3:]
    pixels = _blur(moved[..., :3], draws[14:16], height, width)
    pixels = _recolour(pixels, draws[8:14])
    pixels = _frame(pixels, draws[16:20], height, width)
    return _compress(tf.clip_by_value(pixels, 0.0, 255.0), draws[20:22]), moved[..., 3:]


def _chance(draw: tf.Tensor, share: float) -> tf.Tensor:
    """(B, 1, 1, 1) bool, true for about `share` of the batch, from draws in [-1, 1)."""
    return ((draw + 1) / 2 < share)[:, None, None, None]


def _blur(images: tf.Tensor, draws: Sequence[tf.Tensor], height: int, width: int) -> tf.Tensor:
    """Some images reduced and enlarged again, all by the factor that the batch's first image drew."""
    factor = tf.exp(-MAX_LOG_BLUR * tf.abs(draws[0][0]))
    size = tf.cast(tf.round([height * factor, width * factor]), tf.int32)
    reduced = tf.image.resize(images, size, antialias=True)
    return tf.where(_chance(draws[1], BLURRED_SHARE), tf.image.resize(reduced, (height, width)), images)


def _frame(images: tf.Tensor, draws: Sequence[tf.Tensor], height: int, width: int) -> tf.Tensor:
    """Some images seen through a dermatoscope's round field, black outside."""
    rows = (tf.range(height, dtype=tf.float32) - (height - 1) / 2)[None, :, None]
    columns = (tf.range(width, dtype=tf.float32) - (width - 1) / 2)[None, None, :]
    half_diagonal = float(np.hypot(height, width) / 2)
    centre_y, centre_x = (0.06 * half_diagonal * draw[:, None, None] for draw in draws[:2])
    distance = tf.sqrt((rows - centre_y) ** 2 + (columns - centre_x) ** 2) / half_diagonal
    radius = MIN_VIGNETTE_RADIUS + (1 - MIN_VIGNETTE_RADIUS) * (draws[2][:, None, None] + 1) / 2
    seen = tf.clip_by_value((radius - distance) * 40, 0, 1)[..., None]
    return tf.where(_chance(draws[3], VIGNETTE_SHARE), images * seen, images)


def _compress(images: tf.Tensor, draws: Sequence[tf.Tensor]) -> tf.Tensor:
    """Some images written as JPEG and read again."""
    middle, half = (MAX_JPEG_QUALITY + MIN_JPEG_QUALITY) / 2, (MAX_JPEG_QUALITY - MIN_JPEG_QUALITY) / 2
    qualities = tf.cast(tf.round(middle + half * draws[0]), tf.int32)
    is_compressed = tf.reshape(_chance(draws[1], COMPRESSED_SHARE), [-1])

    def one(arguments: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, quality, is_chosen = arguments
        return tf.cond(
            is_chosen,
            lambda: 255.0 * tf.image.adjust_jpeg_quality(image / 255.0, quality),
            lambda: image,
        )

    compressed = tf.map_fn(one, (images, qualities, is_compressed), fn_output_signature=tf.float32)
    return tf.ensure_shape(compressed, images.shape)


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
