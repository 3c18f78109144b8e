"""Bytes to an RGB array to the network's input, and the way back for heatmaps.

The same `to_network_input` prepares images for training, evaluation and serving, so the network never meets a
geometry or a resampling filter it was not trained with.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

RgbImage = NDArray[np.uint8]

# Saved with every case; count it up when the same bytes give another network input.
PREPROCESSING_VERSION = "1"
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
# A case's image is kept without loss, so it may be larger than the upload: three bytes a pixel and a rest.
MAX_STORED_BYTES = 4 * MAX_PIXELS
MIN_SIDE = 64
# What Pillow reads; DICOM goes its own way (`model.dicom`).
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
IMAGE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm")
# Cropping a square or a 16:9 image to 4:3 loses 25 % of it; whatever would lose more is padded instead.
MAX_CROPPED_SHARE = 0.26
# The committed network was trained on copies of HAM10000 that had been reduced to 320 x 240 (1.25 times its input) by
# Lanczos and saved as JPEG of quality 90. Larger images take the same way down, compression included: without it, p of
# malignant moved by 0.06 on average over the 28 originals at hand, and with it not at all.
RESAMPLING_STEP = 1.25
STEP_JPEG_QUALITY = 90
# How an image is turned upright by its EXIF orientation. Source: CIPA DC-008 (Exif 2.32), tag 0x0112.
_UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for damaged data; SyntaxError is its PNG reader's word for a broken chunk, TypeError and
# OverflowError come from TIFF tags of an unexpected type or size.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, struct.error)
# How files begin, for a message that says what came: offset, bytes, words.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "a damaged or truncated JPEG"),
    (0, b"\x89PNG", "a damaged or truncated PNG"),
    (0, b"II*\x00", "a damaged or truncated TIFF"),
    (0, b"MM\x00*", "a damaged or truncated TIFF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or Office document"),
    (0, b"GIF8", "a GIF"),
    (4, b"ftyphei", "an HEIC photo"),
)


class ImageRejected(Exception):
    """An upload that cannot be used.

    Attributes:
        reason: a code for logs and tables: `empty`, `too_many_bytes`, `not_an_image`, `too_many_pixels`, `too_small`,
            `damaged`, and of DICOM files `burnt_in_text` or `unsupported_dicom`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Framing:
    """How an upright image was laid under the network's input: turned, then this box was resized.

    Attributes:
        image_height, image_width: size of the image as the user sees it, pixels.
        is_turned: a portrait image was turned by 90 degrees counter-clockwise first; lesions have no upright.
        left, top, width, height: box in the turned image's pixels. It is smaller than the image where the image was
            cropped, and reaches beyond it (negative left or top) where it was padded.
    """

    image_height: int
    image_width: int
    is_turned: bool
    left: int
    top: int
    width: int
    height: int

    @property
    def seen_share(self) -> float:
        """Share of the image's area that the network saw, in (0, 1]."""
        turned_height, turned_width = _turned_size(self)
        seen = min(self.width, turned_width) * min(self.height, turned_height)
        return seen / (turned_height * turned_width)

    def scaled(self, max_side: int) -> Framing:
        """The same framing of the image scaled down to at most `max_side` pixels, for light overlays."""
        factor = min(1.0, max_side / max(self.image_height, self.image_width))
        if factor == 1.0:
            return self
        return Framing(
            max(round(self.image_height * factor), 1),
            max(round(self.image_width * factor), 1),
            self.is_turned,
            round(self.left * factor),
            round(self.top * factor),
            max(round(self.width * factor), 1),
            max(round(self.height * factor), 1),
        )


def decode_image(content: bytes, max_bytes: int = MAX_BYTES) -> RgbImage:
    """Decode an uploaded file to upright 8-bit RGB.

    EXIF rotation is applied; CMYK, 16-bit, palette and grey images are converted; transparency is laid on white.
    Metadata (EXIF, GPS, a DICOM file's patient) does not survive, since only pixels are returned.

    Args:
        content: the file's bytes.
        max_bytes: more are refused; a case's stored image may have `MAX_STORED_BYTES`.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, at least 64 pixels a side.

    Raises:
        ImageRejected: no bytes, more than `max_bytes`, not one of JPEG, PNG, TIFF, WebP, BMP, DICOM, more than 50
            megapixels (refused before pixels are decoded), less than 64 pixels a side, or truncated; of DICOM files
            also what `model.dicom.read_dicom` lists.
    """
    # Here, since that module builds upon this one.
    from model.dicom import is_dicom, read_dicom

    if not content:
        raise ImageRejected("empty", "expected an image, received an empty file; choose the file again")
    if len(content) > max_bytes:
        raise ImageRejected(
            "too_many_bytes",
            f"expected at most {max_bytes // 2**20} MB, received {math.ceil(len(content) / 2**20 * 10) / 10} MB; "
            "export the image as JPEG and upload that",
        )
    if is_dicom(content):
        return read_dicom(content).image
    image = _open(content)
    check_size(*image.size)
    try:
        return np.asarray(_to_rgb(_turn_upright(image)), dtype=np.uint8)
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise ImageRejected(
            "damaged", f"expected a complete image, received a damaged or truncated {image.format}; export it again"
        ) from error


def check_size(width: int, height: int) -> None:
    """Whether an image of this size, in pixels, may be decoded; raises `ImageRejected` where it may not."""
    if width * height > MAX_PIXELS:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received {width} x {height} px; "
            "upload a smaller export",
        )
    if min(width, height) < MIN_SIDE:
        raise ImageRejected(
            "too_small",
            f"expected at least {MIN_SIDE} px a side, received {width} x {height} px; upload the original image",
        )


def _open(content: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    # Pillow warns above 89 megapixels and raises above 179; both are far above ours, and a warning can be an error.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received far more; upload a smaller export",
        ) from error
    except (UnidentifiedImageError, *_DAMAGED) as error:
        raise ImageRejected(
            "not_an_image",
            f"expected {', '.join(FORMATS)} or DICOM, received {_describe(content)}; upload the image file itself",
        ) from error


def _describe(content: bytes) -> str:
    known = (words for offset, start, words in _SIGNATURES if content.startswith(start, offset))
    return next(known, "a file of another kind")


def _turn_upright(image: Image.Image) -> Image.Image:
    """The image turned by its EXIF orientation.

    Not by `ImageOps.exif_transpose`: that writes the remaining EXIF anew, which we drop anyway, and fails on tags that
    a camera wrote with an unexpected type.
    """
    image.load()
    method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, "white")
        canvas.paste(rgba, mask=rgba.getchannel("A"))
        return canvas
    return image.convert("RGB")


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values to 0-255: 16-bit ones by their type's range, others by the smallest usual range they fit in.

    The usual ranges are 0-1 (floating values), 0-255 and 0-65535; not a number counts as 0.
    """
    if values.dtype.itemsize == 2:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    levels = np.nan_to_num(values.astype(np.float32), copy=False)
    highest = float(levels.max(initial=0.0))
    is_unit_range = values.dtype.kind == "f" and highest <= 1.0
    levels *= 255.0 / (1.0 if is_unit_range else 255.0 if highest <= 255.0 else max(65535.0, highest))
    return np.rint(np.clip(levels, 0, 255, out=levels), out=levels).astype(np.uint8)


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


def to_network_input(image: RgbImage, height: int, width: int) -> tuple[RgbImage, Framing]:
    """Crop or pad an image to the network's aspect and resize it.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
        height, width: the network's input size, pixels.

    Returns:
        (height, width, 3) uint8 RGB, 0-255 (the network itself rescales), and the `Framing` that
        `to_image_pixels` needs to map a heatmap back.
    """
    framing = frame(image.shape[0], image.shape[1], height, width)
    turned = np.ascontiguousarray(np.rot90(image)) if framing.is_turned else image
    # Resized first and padded then: padding a narrow panorama at its own size would take gigabytes.
    left, top, right, bottom = _inside_input(framing, height, width)
    resized = _resize(Image.fromarray(turned), (right - left, bottom - top), _inside(framing))
    if resized.size == (width, height):
        return np.asarray(resized, dtype=np.uint8), framing
    # Padded with the image's mean colour: a black frame would look like the rim of a dermatoscope.
    red, green, blue = (int(value) for value in image.reshape(-1, 3).mean(axis=0))
    canvas = Image.new("RGB", (width, height), (red, green, blue))
    canvas.paste(resized, (left, top))
    return np.asarray(canvas, dtype=np.uint8), framing


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
