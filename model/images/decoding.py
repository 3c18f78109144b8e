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

from model.images.dicom import DicomFacts, is_dicom, read_dicom
from model.images.rejection import MAX_BYTES, MAX_PIXELS, ImageRejected, RgbImage, check_size

# What Pillow reads; DICOM goes its own way (`model.images.dicom`).
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
IMAGE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm")
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


@dataclass(frozen=True)
class OpenedImage:
    """An uploaded file, read once.

    Attributes:
        image: (H, W, 3) uint8 RGB, 0-255, upright, at least 64 pixels a side.
        dicom: what the file says of the patient; None for a file that is no DICOM.
    """

    image: RgbImage
    dicom: DicomFacts | None = None


def decode_image(content: bytes, max_bytes: int = MAX_BYTES) -> RgbImage:
    """The pixels of `open_image` alone; raises ImageRejected as it does."""
    return open_image(content, max_bytes).image


def open_image(content: bytes, max_bytes: int = MAX_BYTES) -> OpenedImage:
    """Decode an uploaded file to upright 8-bit RGB.

    EXIF rotation is applied; CMYK, 16-bit, palette and grey images are converted; transparency is laid on white.
    Metadata does not survive, but for the age and sex that a DICOM file states.

    Args:
        content: the file's bytes.
        max_bytes: more are refused; a case's stored image may have `MAX_STORED_BYTES`.

    Raises:
        ImageRejected: no bytes, more than `max_bytes`, not one of JPEG, PNG, TIFF, WebP, BMP, DICOM, more than 50
            megapixels (refused before pixels are decoded), less than 64 pixels a side, or truncated; of DICOM files
            also what `model.images.dicom.read_dicom` lists.
    """
    if not content:
        raise ImageRejected("empty", "expected an image, received an empty file; choose the file again")
    if len(content) > max_bytes:
        raise ImageRejected(
            "too_many_bytes",
            f"expected at most {max_bytes // 2**20} MB, received {math.ceil(len(content) / 2**20 * 10) / 10} MB; "
            "export the image as JPEG and upload that",
        )
    if is_dicom(content):
        read = read_dicom(content)
        return OpenedImage(read.image, read.facts)
    image = _open(content)
    check_size(*image.size)
    try:
        return OpenedImage(np.asarray(_to_rgb(_turn_upright(image)), dtype=np.uint8))
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise ImageRejected(
            "damaged", f"expected a complete image, received a damaged or truncated {image.format}; export it again"
        ) from error


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
