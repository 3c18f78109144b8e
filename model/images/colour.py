"""Colours as they were meant: what a file's colour profile says, converted to sRGB, which the networks were trained on.

Source:
    ICC.1:2022 (profiles); IEC 61966-2-1 (sRGB). Little CMS does the conversion, through Pillow's ImageCms.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

# By the profile's colour space, how its image comes.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# A profile that moves no colour by more than this is sRGB by another name: the pixels stay what they are.
_ROUNDING = 2


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The image with the colours that its profile means.

    Args:
        image: 8 bits a channel, of mode RGB, L or CMYK.
        profile: ICC profile, as it stands in the file.

    Returns:
        The same size, of mode RGB; None where the profile is broken or belongs to another kind of image.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(source.profile.xcolor_space.strip()) != image.mode:
            return None
        intent = ImageCms.getDefaultIntent(source)
        transform = ImageCms.buildTransform(
            source, _srgb(), image.mode, "RGB", ImageCms.Intent(intent), ImageCms.Flags.BLACKPOINTCOMPENSATION
        )
        if image.mode == "RGB" and _changes_nothing(transform):
            return image
        return transform.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    grid = _grid()
    moved = np.asarray(transform.apply(grid), dtype=np.int64) - np.asarray(grid, dtype=np.int64)
    return int(np.abs(moved).max()) <= _ROUNDING


@cache
def _grid() -> Image.Image:
    """Nine levels of each channel, as an image of 27 x 27."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return Image.fromarray(colours.reshape(27, 27, 3))
