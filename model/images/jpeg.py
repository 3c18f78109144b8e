"""JPEG files that are damaged inside, or made to cost time.

Pillow decodes what it can and keeps its decoder's warnings to itself: a file that lacks its middle, but has its end,
comes out grey or shifted. libjpeg-turbo's own word on the same bytes is asked for through simplejpeg, at an eighth of
the size, since every coefficient has to be read for it, and none to be drawn.

Source:
    ITU-T T.81 (JPEG), B.1.1 (markers) and G.1 (scans of a progressive image).
"""

from __future__ import annotations

import re

import simplejpeg

SIGNATURE = b"\xff\xd8\xff"
# What encoders write has at most 11 scans, custom scripts some more; each costs a whole pass over the image.
MAX_SCANS = 100
# Coefficients that all scans together may go over: 32 times those of the largest image.
MAX_SCANNED = 1_600_000_000
# Cameras write some dozens of segments before the image, and no fill bytes.
MAX_SEGMENTS, MAX_FILL = 5_000, 1_000
_FILL = re.compile(rb"\xff+")
_START_OR_END = (b"\xda", b"\xd9", b"")
_START_OF_SCAN = b"\xff\xda"


def is_jpeg(content: bytes) -> bool:
    return content.startswith(SIGNATURE)


def count_scans(content: bytes) -> int:
    """How many times decoding goes over the image, or a little more.

    In the pixels' own data a marker cannot stand by chance (T.81, B.1.1.5), in a thumbnail it can: that adds few.
    """
    return content.count(_START_OF_SCAN)


def has_endless_header(content: bytes) -> bool:
    """Whether more segments or fill bytes stand before the image than any program writes (T.81, B.1.1.2)."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(content, position)
        if fill is None:
            return False
        if fill.end() - position > MAX_FILL:
            return True
        if content[fill.end() : fill.end() + 1] in _START_OR_END:
            return False
        position = fill.end() + 1 + int.from_bytes(content[fill.end() + 1 : fill.end() + 3])
    return True


def damage_in(content: bytes) -> str | None:
    """What libjpeg-turbo says is wrong with the data of a JPEG image; None where nothing is, or it cannot judge it."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except ValueError:
        return None
    if colours not in ("YCbCr", "Gray", "RGB"):
        return None
    try:
        simplejpeg.decode_jpeg(content, "GRAY" if colours != "RGB" else "RGB", True, True, height // 8, width // 8)
    except ValueError as error:
        return str(error)
    return None
