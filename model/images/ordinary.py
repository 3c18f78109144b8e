"""Which files are decoded here: the JPEG and PNG files that cameras and programs write.

What such a file costs to decode is known from its headers. Whatever is not surely cheap, and every other kind of file,
is decoded in a process that can be ended (`model.images.decoder`). Nothing is refused for being unusual.

Source:
    ITU-T T.81 (JPEG), annex B; ISO/IEC 15948 (PNG), 5.3; ISO/IEC 10918-1 (progressive scans).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from model.images import jpeg, png

# The twelve megapixels of a phone or a small camera, and some more.
MAX_PIXELS = 16_000_000
# Cameras write up to some dozens, each of at most 64 kB.
MAX_SEGMENTS = 200
# Encoders write up to 11.
MAX_SCANS = 16
# A file of 20 MB in chunks of 8 kB, as programs write them, has 2,500.
MAX_CHUNKS = 5_000
# Of a matrix and three curves, as cameras write it. One of many steps can cost minutes to prepare, and its steps may
# all be the same bytes.
MAX_PROFILE = 4 * 2**10
# Entries of an EXIF block may all name the same bytes, so that its cost grows with the square of its size.
MAX_EXIF = 64 * 2**10
_FRAMES = (0xC0, 0xC1, 0xC2)  # sequential and progressive, Huffman coded
_APP1, _APP2, _START_OF_SCAN = 0xE1, 0xE2, 0xDA


def is_ordinary(content: bytes) -> bool:
    """Whether a file is decoded within a second and some hundred megabytes, as its headers say.

    Also of what is no image at all, which is found out at its first bytes.
    """
    if jpeg.is_jpeg(content):
        return _is_ordinary_jpeg(content)
    if png.is_png(content):
        return _is_ordinary_png(content)
    return not content.startswith((b"II", b"MM", b"RIFF", b"BM")) and not content.startswith(b"DICM", 128)


def _is_ordinary_jpeg(content: bytes) -> bool:
    pixels = exif = profile = 0
    for kind, start, end in _segments(content):
        if kind in _FRAMES and min(end, len(content)) - start >= 6:
            height, width = struct.unpack_from(">HH", content, start + 1)
            pixels = height * width
        elif kind == _APP1:
            exif += end - start
        elif kind == _APP2 and content.startswith(b"ICC_PROFILE\0", start):
            profile += end - start
        elif kind == _START_OF_SCAN:
            is_small = 0 < pixels <= MAX_PIXELS and exif <= MAX_EXIF and profile <= MAX_PROFILE
            return is_small and jpeg.count_scans(content) <= MAX_SCANS
    return False


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker of each segment, and where what it holds begins and ends; up to `MAX_SEGMENTS`, and none behind what
    is no segment."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        if position + 4 > len(content) or content[position] != 0xFF or content[position + 1] == 0xFF:
            return
        length = int.from_bytes(content[position + 2 : position + 4])
        yield content[position + 1], position + 4, position + 2 + length
        position += 2 + length


def _is_ordinary_png(content: bytes) -> bool:
    width, height = struct.unpack_from(">II", content.ljust(24, b"\0"), 16)
    if not 0 < width * height <= MAX_PIXELS:
        return False
    position = len(png.SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(content):
            return True  # cut short, which is soon found
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"IEND":
            return True
        if kind == b"iCCP" and png.is_profile_longer(content[position + 8 : position + 8 + length], MAX_PROFILE):
            return False
        if kind == b"eXIf" and length > MAX_EXIF:
            return False
        position += 12 + length
    return False
