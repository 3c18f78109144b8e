"""An upright RGB image to the network's input, and the way back for heatmaps.

The same `to_network_input` prepares images for training, evaluation and serving, so the network never meets a
geometry or a resampling filter it was not trained with.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.images.contrast import ENHANCED, Contrast
from model.images.field import Field, find_field
from model.images.rejection import RgbImage

# Saved with every case; count it up when the same bytes give another network input.
PREPROCESSING_VERSION = "1"
# Cropping a square or a 16:9 image to 4:3 loses 25 % of it; whatever would lose more is padded instead.
MAX_CROPPED_SHARE = 0.26
# The committed network was trained on copies of HAM10000 that had been reduced to 320 x 240 (1.25 times its input) by
# Lanczos and saved as JPEG of quality 90. Larger images take the same way down, compression included: without it, p of
# malignant moved by 0.06 on average over the 28 originals at hand, and with it not at all.
RESAMPLING_STEP = 1.25
STEP_JPEG_QUALITY = 90
# A field's rim is brighter or darker than the rest of it, and is cut away; of the radius.
KEPT_RADIUS = 0.97
# Of the field's height, what nearly every camera of APTOS 2019 shows. Of 3,016 of its images whose field is found, 42 %
# show the whole disc; the others miss 12 % of it above and 11 % below in the median, 96 of 100 images at most 14 % on
# either side. Which of them an image is tells the grade (`model.studies.shortcut`).
BAND = 0.72

Crop = Literal["none", "circle", "band"]
CROPS: tuple[Crop, ...] = get_args(Crop)


@dataclass(frozen=True)
class Preparation:
    """What is done to an image beside fitting it to the network's size; an artifact states it (`input`).

    Attributes:
        crop: `circle` brings the round field of a retinal photograph to the whole input, an ellipse to a circle, and
            blackens what lies outside; `band` brings its middle there, `BAND` of the field's height, which hides how
            far a camera sees above and below. An image without such a field is framed as any other. `none` frames it.
        contrast: see `model.images.contrast`.
    """

    crop: Crop = "none"
    contrast: Contrast = "none"


AS_FRAMED = Preparation()


@dataclass(frozen=True)
class Framing:
    """How an upright image was laid under the network's input: turned, then this box was resized.

    Attributes:
        image_height, image_width: size of the image as the user sees it, pixels.
        is_turned: a portrait image was turned by 90 degrees counter-clockwise first; lesions have no upright.
        left, top, width, height: box in the turned image's pixels. It is smaller than the image where the image was
            cropped, and reaches beyond it (negative left or top) where it was padded.
        is_of_field: the box lies around the round field of a retinal photograph, or its middle, and leaves out the
            rest on purpose.
    """

    image_height: int
    image_width: int
    is_turned: bool
    left: int
    top: int
    width: int
    height: int
    is_of_field: bool = False

    @property
    def seen_share(self) -> float:
        """Share of the image's area that the network saw, in (0, 1]."""
        left, top, right, bottom = _inside(self)
        return (right - left) * (bottom - top) / (self.image_height * self.image_width)

    @property
    def upright_box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the box in pixels of the image as the user sees it."""
        if not self.is_turned:
            return self.left, self.top, self.width, self.height
        return self.image_width - self.top - self.height, self.left, self.height, self.width

    def scaled(self, max_side: int) -> Framing:
        """The same framing of the image scaled down to at most `max_side` pixels, for light overlays."""
        factor = min(1.0, max_side / max(self.image_height, self.image_width))
        if factor == 1.0:
            return self
        return replace(
            self,
            image_height=max(round(self.image_height * factor), 1),
            image_width=max(round(self.image_width * factor), 1),
            left=round(self.left * factor),
            top=round(self.top * factor),
            width=max(round(self.width * factor), 1),
            height=max(round(self.height * factor), 1),
        )


def frame(image_height: int, image_width: int, height: int, width: int) -> Framing:
    """Choose how an image of a given size is laid under a network input of `height` x `width` pixels."""
    is_turned = (image_height > image_width) != (height > width) and image_height != image_width
    turned_height, turned_width = (image_width, image_height) if is_turned else (image_height, image_width)
    aspect = width / height
    is_too_wide = turned_width > turned_height * aspect
    if is_too_wide:
        cropped = (turned_height, round(turned_height * aspect))
        padded = (round(turned_width / aspect), turned_width)
    else:
        cropped = (round(turned_width / aspect), turned_width)
        padded = (turned_height, round(turned_height * aspect))
    lost = 1 - cropped[0] * cropped[1] / (turned_height * turned_width)
    box_height, box_width = cropped if lost <= MAX_CROPPED_SHARE else padded
    left, top = (turned_width - box_width) // 2, (turned_height - box_height) // 2
    return Framing(image_height, image_width, is_turned, left, top, box_width, box_height)


def frame_field(
    field: Field, image_height: int, image_width: int, height: int, width: int, crop: Crop = "circle"
) -> Framing:
    """Lay the box around a field, or its middle band, under the network input, whose aspect shows more or less beside
    it."""
    share = _field_share(crop, height, width)
    box_width, box_height = field.width * share * width / height, field.height * share
    left, top = field.left + (field.width - box_width) / 2, field.top + (field.height - box_height) / 2
    return Framing(
        image_height,
        image_width,
        is_turned=False,
        left=round(left),
        top=round(top),
        width=max(round(box_width), 1),
        height=max(round(box_height), 1),
        is_of_field=True,
    )


def _field_share(crop: Crop, height: int, width: int) -> float:
    """How much of the field's height the network input shows, above 0; more than 1 with room above and below."""
    return BAND if crop == "band" else max(1.0, height / width)


def to_network_input(
    image: RgbImage, height: int, width: int, preparation: Preparation = AS_FRAMED
) -> tuple[RgbImage, Framing]:
    """Crop or pad an image to the network's aspect, resize it and prepare it.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
        height, width: the network's input size, pixels.
        preparation: of the artifact, `model.inference.artifact.Artifact.preparation`.

    Returns:
        (height, width, 3) uint8 RGB, 0-255 (the network itself rescales), and the `Framing` that
        `to_image_pixels` needs to map a heatmap back.
    """
    rows, columns = image.shape[:2]
    field = find_field(image) if preparation.crop != "none" else None
    if field is None:
        framing = frame(rows, columns, height, width)
    else:
        framing = frame_field(field, rows, columns, height, width, preparation.crop)
    framed = _framed(image, framing, height, width)
    if field is None and preparation.contrast == "none":
        return framed, framing
    seen = _seen(framing, height, width, None if field is None else preparation.crop)
    if preparation.contrast == "none":
        return np.where(seen[..., np.newaxis], framed, np.uint8(0)), framing
    return ENHANCED[preparation.contrast](framed, seen), framing


def _seen(framing: Framing, height: int, width: int, crop: Crop | None) -> NDArray[np.bool_]:
    """(height, width) bool, what of the input shows the image, and of it the field if it was cropped to one."""
    left, top, right, bottom = _inside_input(framing, height, width)
    seen = np.zeros((height, width), dtype=bool)
    seen[top:bottom, left:right] = True
    if crop is not None:
        rows, columns = (np.arange(side) + 0.5 - side / 2 for side in (height, width))
        radius = height / (2 * _field_share(crop, height, width)) * KEPT_RADIUS
        seen &= rows[:, np.newaxis] ** 2 + columns[np.newaxis, :] ** 2 <= radius**2
    return seen


def _framed(image: RgbImage, framing: Framing, height: int, width: int) -> RgbImage:
    turned = np.ascontiguousarray(np.rot90(image)) if framing.is_turned else image
    # Resized first and padded then: padding a narrow panorama at its own size would take gigabytes.
    left, top, right, bottom = _inside_input(framing, height, width)
    resized = _resize(Image.fromarray(turned), (right - left, bottom - top), _inside(framing))
    if resized.size == (width, height):
        return np.asarray(resized, dtype=np.uint8)
    # Padded with the image's mean colour: a black frame would look like the rim of a dermatoscope.
    red, green, blue = (int(value) for value in image.reshape(-1, 3).mean(axis=0))
    canvas = Image.new("RGB", (width, height), (red, green, blue))
    canvas.paste(resized, (left, top))
    return np.asarray(canvas, dtype=np.uint8)


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """Resize a box of an image, by way of a JPEG of `RESAMPLING_STEP` times the size if it is larger than that."""
    step = (round(size[0] * RESAMPLING_STEP), round(size[1] * RESAMPLING_STEP))
    if box[2] - box[0] <= step[0]:
        return image.resize(size, Image.Resampling.BICUBIC, box=box)
    compressed = io.BytesIO()
    image.resize(step, Image.Resampling.LANCZOS, box=box).save(compressed, "JPEG", quality=STEP_JPEG_QUALITY)
    return Image.open(compressed).convert("RGB").resize(size, Image.Resampling.BICUBIC)


def to_image_pixels(heatmap: NDArray[np.float32], framing: Framing) -> NDArray[np.float32]:
    """Map a heatmap of network resolution back onto the pixels of the image it was computed from.

    Args:
        heatmap: (h, w) float32, any range; it covers the framed box.
        framing: what `to_network_input` returned for the image.

    Returns:
        (image_height, image_width) float32, bicubic between cells (it may overshoot the range a little); 0 where the
        network saw nothing.
    """
    rows, columns = heatmap.shape
    left, top, right, bottom = _inside(framing)
    seen = (
        (left - framing.left) * columns / framing.width,
        (top - framing.top) * rows / framing.height,
        (right - framing.left) * columns / framing.width,
        (bottom - framing.top) * rows / framing.height,
    )
    values = Image.fromarray(np.ascontiguousarray(heatmap, dtype=np.float32)).resize(
        (right - left, bottom - top), Image.Resampling.BICUBIC, box=seen
    )
    turned = np.zeros(_turned_size(framing), dtype=np.float32)
    turned[top:bottom, left:right] = np.asarray(values)
    return np.ascontiguousarray(np.rot90(turned, -1)) if framing.is_turned else turned


def upright(network_input: RgbImage, framing: Framing) -> RgbImage:
    """The network's input, (h, w, 3) uint8, as it lies in `framing.upright_box` of its image."""
    return np.ascontiguousarray(np.rot90(network_input, -1)) if framing.is_turned else network_input


def _turned_size(framing: Framing) -> tuple[int, int]:
    size = (framing.image_height, framing.image_width)
    return size[::-1] if framing.is_turned else size


def _inside(framing: Framing) -> tuple[int, int, int, int]:
    """The part of the box that lies on the image: left, top, right, bottom."""
    turned_height, turned_width = _turned_size(framing)
    return (
        max(framing.left, 0),
        max(framing.top, 0),
        min(framing.left + framing.width, turned_width),
        min(framing.top + framing.height, turned_height),
    )


def _inside_input(framing: Framing, height: int, width: int) -> tuple[int, int, int, int]:
    """Where `_inside` lies on the network's input: left, top, right, bottom, at least one pixel each way."""
    left, top, right, bottom = _inside(framing)
    input_left = round((left - framing.left) * width / framing.width)
    input_top = round((top - framing.top) * height / framing.height)
    input_right = round((right - framing.left) * width / framing.width)
    input_bottom = round((bottom - framing.top) * height / framing.height)
    return input_left, input_top, max(input_right, input_left + 1), max(input_bottom, input_top + 1)
