"""PNG files without what stands around their pixels: text of any size, a broken EXIF block, a large colour profile.

Pillow refuses a whole image for the sake of such a block. What the pixels need is kept as it is.

Source:
    ISO/IEC 15948 (PNG); W3C, Portable Network Graphics (third edition), 2025.
"""

from __future__ import annotations

import struct
import zlib

from model.images.colour_spaces import named_by_code_points

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Size, palette, transparency, pixels, end; which way up.
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
# A file of 20 MB in chunks of 8 kB has 2,500; one that has a hundred times as many is made to cost time.
MAX_CHUNKS = 250_000
_MAX_PROFILE = 8 * 2**20


class TooManyChunks(ValueError):
    """No camera and no program writes so many."""


def is_png(content: bytes) -> bool:
    return content.startswith(SIGNATURE)


def without_metadata(content: bytes) -> tuple[bytes, bytes | None]:
    """A PNG file with its pixels alone, and its colour profile.

    Args:
        content: of a file that begins as a PNG does; what is broken in it stays as it is, for the decoder to say so.

    Returns:
        The file; and the ICC profile of its colours: of its cICP chunk, which goes first, or as it is in the file.
        Empty where neither can be used, None where there is neither.

    Raises:
        TooManyChunks: see `MAX_CHUNKS`.
    """
    kept, position, chunks = [SIGNATURE], len(SIGNATURE), 0
    profiles: dict[bytes, bytes] = {}
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise TooManyChunks(f"expected at most {MAX_CHUNKS:,} chunks")
        if kind in (b"cICP", b"iCCP") and kind not in profiles:
            chunk = content[position + 8 : end - 4]
            profiles[kind] = _unpacked(chunk) if kind == b"iCCP" else named_by_code_points(chunk) or b""
        elif kind in _KEPT:
            kept.append(content[position:end])
        position = end
        if kind == b"IEND":
            break
    return b"".join(kept), profiles.get(b"cICP") or profiles.get(b"iCCP", profiles.get(b"cICP"))


def _unpacked(chunk: bytes) -> bytes:
    """A profile behind its name, a zero, and how it is packed."""
    _, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _MAX_PROFILE)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else profile


def is_profile_longer(chunk: bytes, size: int) -> bool:
    """Whether a colour profile, packed as it stands in its chunk, has more than so many bytes."""
    _, _, packed = chunk.partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], size + 1)) > size
    except zlib.error:
        return False
