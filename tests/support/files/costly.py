"""Small files that cost much to decode, each made as an attacker would make it; none holds a lesion."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from tests.support.dicom import dicom_file

MB = 2**20


def file_of(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def picture(width: int = 640, height: int = 480, mode: str = "RGB") -> Image.Image:
    """A slope of colours, which compresses well and is not all one."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)
    return Image.fromarray(image).convert(mode)


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_png_chunk(content: bytes, chunk: bytes) -> bytes:
    """A PNG file with a chunk behind its header."""
    return content[:33] + chunk + content[33:]


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


# --- JPEG ------------------------------------------------------------------------------------------------------------


def jpeg_behind_fill_bytes(size: int = 18 * MB) -> bytes:
    whole = file_of(picture(), "JPEG")
    return whole[:2] + b"\xff" * size + whole[2:]


def jpeg_of_small_segments(count: int = 4_500_000) -> bytes:
    whole = file_of(picture(), "JPEG")
    return whole[:2] + segment(0xFE, b"") * count + whole[2:]


def jpeg_of_repeated_scans(times: int, width: int = 7000, height: int = 7000) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    whole = file_of(Image.new("RGB", (width, height), (200, 150, 130)), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[start:-2] * (times - 1) + b"\xff\xd9"


def jpeg_with_exif_of_overlapping_tags(blocks: int = 60) -> bytes:
    """EXIF over several segments, which Pillow joins; every tag names all the bytes behind the directory."""
    whole = file_of(picture(), "JPEG")
    exif = overlapping_tags(blocks * 65_000)
    parts = [exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    return whole[:2] + b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts) + whole[2:]


def overlapping_tags(size: int) -> bytes:
    """A TIFF header and a directory of as many tags as there can be, each of all bytes that follow."""
    count = min(65_000, size // 24)
    behind = size - 10 - 12 * count - 4
    tags = b"".join(struct.pack("<HHII", tag, 1, behind, 10 + 12 * count + 4) for tag in range(1, count + 1))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + tags + bytes(4) + bytes(behind)


def jpeg_with_profile(profile: bytes) -> bytes:
    return file_of(picture(), "JPEG", icc_profile=profile)


def profile_of_many_steps(steps: int = 130_000) -> bytes:
    """An ICC profile whose way to the screen has so many matrices, each changing nothing."""
    matrix = b"matf" + bytes(4) + struct.pack(">HH", 3, 3)
    matrix += b"".join(struct.pack(">f", value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0))
    table = 16 + 8 * steps
    positions = b"".join(struct.pack(">II", table, len(matrix)) for _ in range(steps))
    elements = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, steps) + positions + matrix
    return icc_profile({b"D2B0": elements, b"D2B1": elements, b"A2B0": elements})


def icc_profile(extra: dict[bytes, bytes]) -> bytes:
    """A profile of a display with sRGB's primaries, and more tags."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 8) + b"made up\0" + bytes(78)}
    tags |= {b"cprt": b"text\0\0\0\0made up\0", b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    tags |= {b"rXYZ": xyz(0.436, 0.222, 0.014), b"gXYZ": xyz(0.385, 0.717, 0.097), b"bXYZ": xyz(0.143, 0.061, 0.714)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0" + struct.pack(">IHH", 1, 2 * 256, 0))
    tags |= extra
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(rest), bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    return (head + bytes(12) + b"acsp" + bytes(28) + xyz(0.9642, 1.0, 0.8249)[8:]).ljust(128, b"\0") + rest


# --- PNG -------------------------------------------------------------------------------------------------------------


def png_of_many_chunks(count: int = 1_700_000) -> bytes:
    return with_png_chunk(file_of(picture(), "PNG"), png_chunk(b"teST", b"") * count)


def png_strip() -> bytes:
    return file_of(Image.new("1", (300_000, 64)), "PNG")


def png_with_text_bomb() -> bytes:
    """A gigabyte of zeros as text, twice, and as colour profile."""
    bomb = zlib.compress(bytes(1024 * MB), 9)
    text = png_chunk(b"zTXt", b"Comment\0\0" + bomb)
    return with_png_chunk(file_of(picture(), "PNG"), text * 2 + png_chunk(b"iCCP", b"x\0\0" + bomb))


def png_with_profile(profile: bytes) -> bytes:
    return file_of(picture(), "PNG", icc_profile=profile)


def png_with_overlapping_tags(size: int = 4 * MB) -> bytes:
    return with_png_chunk(file_of(picture(), "PNG"), png_chunk(b"eXIf", overlapping_tags(size)))


# --- TIFF ------------------------------------------------------------------------------------------------------------


def tiff_of(tags: dict[int, tuple[int, bytes]], behind: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory.

    Args:
        tags: of each tag its type (3: 16 bits, 4: 32 bits) and its values.
        behind: bytes that follow the values.
        following: where the next directory lies.
    """
    start = 8 + 2 + 12 * len(tags) + 4
    directory, values = struct.pack("<H", len(tags)), b""
    for tag, (kind, content) in sorted(tags.items()):
        count = len(content) // (2 if kind == 3 else 4)
        if len(content) <= 4:
            directory += struct.pack("<HHI", tag, kind, count) + content.ljust(4, b"\0")
        else:
            directory += struct.pack("<HHII", tag, kind, count, start + len(values))
            values += content
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + values + behind


def _short(*values: int) -> tuple[int, bytes]:
    return 3, struct.pack(f"<{len(values)}H", *values)


def _long(*values: int) -> tuple[int, bytes]:
    return 4, struct.pack(f"<{len(values)}I", *values)


def tiff_tags(width: int, height: int, rows_per_strip: int, compression: int = 1) -> dict[int, tuple[int, bytes]]:
    return {
        256: _long(width), 257: _long(height), 258: _short(8), 259: _short(compression), 262: _short(1),
        277: _short(1), 278: _long(rows_per_strip),
    }  # fmt: skip


def tiff_of_many_strips(strips: int = 468_000, width: int = 714, height: int = 70_000) -> bytes:
    """Strips of a row each, all of the same bytes, and more of them than rows."""
    tags = tiff_tags(width, height, 1)
    tags |= {273: _long(*[8] * strips), 279: _long(*[width] * strips)}
    return tiff_of(tags)


def tiff_of_many_tiles(side: int = 7000) -> bytes:
    """Tiles of 16 x 16, all of the same bytes."""
    count = ((side + 15) // 16) ** 2
    tags = tiff_tags(side, side, side)
    del tags[278]
    tags |= {322: _short(16), 323: _short(16), 324: _long(*[8] * count), 325: _long(*[256] * count)}
    return tiff_of(tags)


def tiff_of_many_pages(pages: int = 600_000) -> bytes:
    """A chain of directories of two tags each behind a whole page."""
    tags = tiff_tags(100, 100, 100)
    tags |= {273: _long(8), 279: _long(10_000)}
    size = len(tiff_of(tags)) + 10_000
    entries = struct.pack("<HHIIHHII", 256, 4, 1, 100, 257, 4, 1, 100)
    chain = b"".join(
        struct.pack("<H", 2) + entries + struct.pack("<I", size + 30 * (page + 1) if page + 1 < pages else 0)
        for page in range(pages)
    )
    return tiff_of(tags, bytes(10_000) + chain, size)


def tiff_of_overlapping_tags(size: int = 4 * MB) -> bytes:
    return overlapping_tags(size)


def tiff_bomb(side: int = 7000) -> bytes:
    """49 megapixels of one colour, deflated."""
    return file_of(Image.new("RGB", (side, side)), "TIFF", compression="tiff_adobe_deflate")


# --- BMP, WebP -------------------------------------------------------------------------------------------------------


def bmp_of_runs(width: int = 7000, height: int = 7000) -> bytes:
    """Runs of one pixel each."""
    runs = (b"\x01\x07" * width + b"\0\0") * min(height, 20 * MB // (2 * width + 2) - 1)
    palette = bytes(1024)
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs


def large_webp(side: int = 7000, **options: Any) -> bytes:
    return file_of(picture(side, side), "WEBP", method=0, **options)


def webp_of_many_frames(frames: int = 2000) -> bytes:
    first, *others = [Image.new("RGB", (640, 480), (200, number % 256, number // 256)) for number in range(frames)]
    return file_of(first, "WEBP", save_all=True, append_images=others, method=0)


# --- DICOM -----------------------------------------------------------------------------------------------------------


def _explicit(group: int, element: int, kind: bytes, content: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, kind, len(content)) + content


def dicom_of_many_meta_elements(count: int = 2_000_000) -> bytes:
    """File meta information of empty elements behind a whole header."""
    whole = dicom_file()
    syntax = whole.index(struct.pack("<HH", 0x0002, 0x0010))
    return whole[:syntax] + _explicit(0x0002, 0x0100, b"SH", b"") * count + whole[syntax:]


def dicom_of_many_elements(count: int = 2_000_000, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """Empty private elements before everything else of the data set, deflated or plain."""
    filling = b"".join(_explicit(0x0007, 0x1000 + number % 60_000, b"LO", b"") for number in range(60_000))
    filling = filling * (count // 60_000)
    if syntax.endswith(".99"):
        packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        whole = dicom_file(syntax)
        start = _end_of_meta(whole)
        body = zlib.decompress(whole[start:], -zlib.MAX_WBITS)
        return whole[:start] + packer.compress(filling + body) + packer.flush()
    whole = dicom_file(syntax)
    start = _end_of_meta(whole)
    return whole[:start] + filling + whole[start:]


def _end_of_meta(whole: bytes) -> int:
    """Behind the group length (0002,0000), the first element of all."""
    return 132 + 12 + struct.unpack_from("<I", whole, 132 + 8)[0]


def dicom_of_nested_sequences(depth: int = 100_000) -> bytes:
    """A private sequence in a sequence in a sequence, each of undefined length."""
    whole = dicom_file()
    start = _end_of_meta(whole)
    opened = struct.pack("<HH2sHI", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return whole[:start] + opened * depth + whole[start:]


def dicom_of_jpeg_2000(side: int = 6000, tile: int = 0, noisy: bool = False) -> bytes:
    image = picture(side, side)
    if noisy:
        image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8))
    options: dict[str, Any] = {"tile_size": (tile, tile), "num_resolutions": 1} if tile else {}
    frame = file_of(image, "JPEG2000", no_jp2=True, mct=1, **options)
    return dicom_of_frame(frame, "1.2.840.10008.1.2.4.90", side)


def dicom_of_frame(frame: bytes, syntax: str, side: int) -> bytes:
    from pydicom.encaps import encapsulate

    colours = "YBR_RCT" if syntax.endswith("90") else "YBR_FULL_422"
    return dicom_file(
        syntax, Rows=side, Columns=side, PhotometricInterpretation=colours, PixelData=encapsulate([frame])
    )


Maker = Callable[[], bytes]
