"""What a network is shown of an image, as it is sent: PNG, alone or in JSON."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from model.images.rejection import RgbImage

# Of a retinal photograph at 192 x 256 it takes 3.5 ms of the processor in place of 16, for a fifth more bytes.
_PNG_LEVEL = 1


@dataclass(frozen=True)
class PreparedImage:
    """An image at the network's size: PNG in base64, and its size in pixels."""

    image: str
    height: int
    width: int


def prepared_image(pixels: RgbImage) -> PreparedImage:
    """(H, W, 3) uint8 RGB as JSON holds it."""
    return PreparedImage(base64.b64encode(png_of(pixels)).decode("ascii"), *pixels.shape[:2])


def png_of(pixels: RgbImage) -> bytes:
    """(H, W, 3) uint8 RGB without loss."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()
