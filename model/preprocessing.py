"""Bytes to an RGB array to the network's input, and the way back for heatmaps.

The same `to_network_input` prepares images for training, evaluation and serving, so the network never meets a
geometry or a resampling filter it was not trained with.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

RgbImage = NDArray[np.uint8]

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 64
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
IMAGE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
# Cropping a square or a 16:9 image to 4:3 loses 25 % of it; whatever would lose more is padded instead.
MAX_CROPPED_SHARE = 0.26


class ImageRejected(Exception):
    """An upload that cannot be used.

    Attributes:
        reason: a code for logs and tables: `empty`, `too_many_bytes`, `not_an_image`, `too_many_pixels`,
            `too_small` or `damaged`.
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
            round(self.image_height * factor),
            round(self.image_width * factor),
            self.is_turned,
            round(self.left * factor),
            round(self.top * factor),
            max(round(self.width * factor), 1),
            max(round(self.height * factor), 1),
        )


def decode_image(content: bytes) -> RgbImage:
    """Decode an uploaded file to upright 8-bit RGB.

    EXIF rotation is applied; CMYK, 16-bit, palette and grey images are converted; transparency is laid on white.
    Metadata (EXIF, GPS) does not survive, since only pixels are returned.

    Args:
        content: the file's bytes.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, at least 64 pixels a side.

    Raises:
        ImageRejected: no bytes, more than 20 MiB, not one of JPEG, PNG, TIFF, WebP, BMP, more than 50 megapixels
            (refused before pixels are decoded), less than 64 pixels a side, or truncated.
    """
    if not content:
        raise ImageRejected("empty", "expected an image, received an empty file; choose the file again")
    if len(content) > MAX_BYTES:
        raise ImageRejected(
            "too_many_bytes",
            f"expected at most {MAX_BYTES // 2**20} MB, received {len(content) / 2**20:.0f} MB; "
            "export the image as JPEG and upload that",
        )
    image = _open(content)
    width, height = image.size
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
    try:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)), dtype=np.uint8)
    # Pillow's decoders raise these for damaged data; SyntaxError is its PNG reader's word for a broken chunk.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageRejected(
            "damaged", f"expected a complete image, received a damaged or truncated {image.format}; export it again"
        ) from error


def _open(content: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received far more; upload a smaller export",
        ) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageRejected(
            "not_an_image",
            f"expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, received {_describe(content)}; "
            "upload the image file itself",
        ) from error


def _describe(content: bytes) -> str:
    signatures = {b"%PDF": "a PDF document", b"PK\x03\x04": "a ZIP archive or Office document", b"GIF8": "a GIF"}
    known = next((name for signature, name in signatures.items() if content.startswith(signature)), None)
    return known or "a file of another kind"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I", "F"):
        return Image.fromarray(_to_8_bit(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale 16-bit or floating grey values to 0-255 by the range their type implies."""
    highest = float(values.max(initial=0.0))
    full_scale = 1.0 if highest <= 1.0 else 255.0 if highest <= 255.0 else max(65535.0, highest)
    return np.clip(values / full_scale * 255.0, 0, 255).astype(np.uint8)


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
    turned = np.rot90(image) if framing.is_turned else image
    inside = _inside(framing)
    if inside == (framing.left, framing.top, framing.left + framing.width, framing.top + framing.height):
        resized = Image.fromarray(np.ascontiguousarray(turned)).resize(
            (width, height), Image.Resampling.BICUBIC, box=inside, reducing_gap=3.0
        )
        return np.asarray(resized, dtype=np.uint8), framing
    # Padded with the image's mean colour: a black frame would look like the rim of a dermatoscope.
    mean_colour = tuple(int(value) for value in turned.reshape(-1, 3).mean(axis=0))
    canvas = Image.new("RGB", (framing.width, framing.height), mean_colour)
    canvas.paste(Image.fromarray(np.ascontiguousarray(turned)), (-framing.left, -framing.top))
    return np.asarray(canvas.resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8), framing


def to_image_pixels(heatmap: NDArray[np.float32], framing: Framing) -> NDArray[np.float32]:
    """Map a heatmap of network resolution back onto the pixels of the image it was computed from.

    Args:
        heatmap: (h, w) float32, any range; it covers the framed box.
        framing: what `to_network_input` returned for the image.

    Returns:
        (image_height, image_width) float32, bilinear between cells; 0 where the network saw nothing.
    """
    turned_height, turned_width = _turned_size(framing)
    box = Image.fromarray(np.ascontiguousarray(heatmap, dtype=np.float32)).resize(
        (framing.width, framing.height), Image.Resampling.BILINEAR
    )
    values = np.asarray(box, dtype=np.float32)
    left, top, right, bottom = _inside(framing)
    turned = np.zeros((turned_height, turned_width), dtype=np.float32)
    turned[top:bottom, left:right] = values[
        top - framing.top : bottom - framing.top, left - framing.left : right - framing.left
    ]
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
