"""Bytes to an RGB array, within bounds of time and memory: what every upload, file and stored image goes through."""

from __future__ import annotations

import math
import os
import threading

from model.images.decoder import MAX_SECONDS, Decoder
from model.images.ordinary import is_ordinary
from model.images.reading import OpenedImage, read_image
from model.images.rejection import MAX_BYTES, ImageRejected, RgbImage

IMAGE_SUFFIXES: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib"),
    *(".dcm", ".dicom"),
)
# One a process: what is unusual waits for what is unusual, and takes no more than one processor and its memory.
_DECODER = Decoder()
# Each may take 350 MB, and more at once than there are processors would only make all of them later.
_AT_ONCE = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


def decode_image(content: bytes, max_bytes: int = MAX_BYTES) -> RgbImage:
    """The pixels of `open_image` alone; raises ImageRejected as it does."""
    return open_image(content, max_bytes).image


def open_image(content: bytes, max_bytes: int = MAX_BYTES, seconds: float = MAX_SECONDS) -> OpenedImage:
    """Decode an uploaded file to upright 8-bit RGB.

    EXIF rotation is applied; colours are converted to sRGB by the file's colour profile, or from the space that its
    EXIF block or cICP chunk names; CMYK, 16-bit, palette and grey images are converted; transparency is laid on white,
    unless nothing at all would be seen. Of several pages the first one is read. Metadata does not survive, but for the
    age and sex that a DICOM file states.

    A file that is not surely cheap (`model.images.ordinary`) is decoded in a process of its own, which is ended when it
    takes too much (`model.images.decoder`).

    Args:
        content: the file's bytes.
        max_bytes: more are refused; a case's stored image may have `MAX_STORED_BYTES`.
        seconds: how long the process of its own may take, by the clock.

    Raises:
        ImageRejected: no bytes, more than `max_bytes`, not one of JPEG, PNG, TIFF, WebP, BMP, DICOM, more than 50
            megapixels (refused before pixels are decoded), less than 64 pixels a side, truncated or damaged inside, a
            TIFF of a layout that Pillow garbles, or more to decode than an image is worth; of DICOM files also what
            `model.images.dicom.read_dicom` lists.
    """
    if not content:
        raise ImageRejected("empty", "expected an image, received an empty file; choose the file again")
    if len(content) > max_bytes:
        raise ImageRejected(
            "too_many_bytes",
            f"expected at most {max_bytes // 2**20} MB, received {math.ceil(len(content) / 2**20 * 10) / 10} MB; "
            "export the image as JPEG and upload that",
        )
    if not is_ordinary(content):
        return _DECODER.open(content, seconds)
    with _AT_ONCE:
        return read_image(content)
