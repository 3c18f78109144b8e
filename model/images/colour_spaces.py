"""Colour spaces that a file names without describing them, as ICC profiles: Adobe RGB by EXIF, others by PNG's cICP.

Source:
    CIPA DC-009 (DCF 2.0), optional colour space; Adobe RGB (1998) Color Image Encoding; ITU-T H.273, tables 2 and 3;
    W3C, PNG (third edition), section 11.3.2.6; ICC.1:2022, section 8 (profiles), 10.18 (curves), annex E (Bradford).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache

import numpy as np
from PIL import ExifTags, Image

_D65, _D50 = (0.3127, 0.3290), np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Chromaticities x, y of red, green, blue.
_Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
_ADOBE: _Primaries = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_PRIMARIES: Mapping[int, _Primaries] = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
# What becomes linear how: the exponent alone, or g, a, b, c, d of (aX + b)^g from d on and cX below it.
_BT_709 = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_TRANSFERS: Mapping[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _BT_709),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
}
_ADOBE_GAMMA = (563 / 256,)
_SRGB, _ADOBE_RGB, _UNCALIBRATED = 1, 2, 0xFFFF
_INTEROP_INDEX, _ADOBE_INDEX = 1, "R03"


def named_by_exif(image: Image.Image) -> bytes | None:
    """The ICC profile of Adobe RGB where the EXIF block says that the pixels are that; None where it says nothing.

    Args:
        image: of red, green and blue.

    Raises:
        Whatever Pillow raises for a broken block.
    """
    exif = image.getexif()
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace, _UNCALIBRATED)
    index = str(exif.get_ifd(ExifTags.IFD.Interop).get(_INTEROP_INDEX, "")).strip("\0 ")
    is_adobe = space == _ADOBE_RGB or (space != _SRGB and index == _ADOBE_INDEX)
    return _profile(_ADOBE, _ADOBE_GAMMA) if is_adobe else None


def named_by_code_points(chunk: bytes) -> bytes | None:
    """The ICC profile of what a PNG's cICP chunk says.

    Args:
        chunk: its four bytes: primaries, transfer, matrix (0, RGB), whether the full range is used (1).

    Returns:
        None for others than the usual spaces of a display: light of a scene (PQ, HLG) has no sRGB without a choice.
    """
    if len(chunk) != 4 or chunk[2:] != b"\0\1" or chunk[0] not in _PRIMARIES or chunk[1] not in _TRANSFERS:
        return None
    return _profile(_PRIMARIES[chunk[0]], _TRANSFERS[chunk[1]])


@cache
def _profile(primaries: _Primaries, transfer: tuple[float, ...]) -> bytes:
    """A display profile of three primaries, white D65 and one curve."""
    curve = struct.pack(">4sIHH", b"para", 0, 0 if len(transfer) == 1 else 3, 0) + _fixed(*transfer)
    columns = _to_d50(primaries).T
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50)}
    tags |= {
        name: b"XYZ \0\0\0\0" + _fixed(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    rest = struct.pack(">I", len(tags)) + table + body
    header = struct.pack(">I4xI4s4s4s12x4s", 128 + len(rest), 0x04400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (header + bytes(28) + _fixed(*_D50)).ljust(128, b"\0") + rest


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _to_d50(primaries: _Primaries) -> np.ndarray:
    """Linear red, green and blue to XYZ under D50, (3, 3)."""
    columns = np.array([_xyz(one) for one in primaries]).T
    white = np.array(_xyz(_D65))
    scaled = columns * np.linalg.solve(columns, white)
    adapted = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    matrix: np.ndarray = np.linalg.inv(_BRADFORD) @ adapted @ _BRADFORD @ scaled
    return matrix


def _xyz(chromaticity: tuple[float, float]) -> tuple[float, float, float]:
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y
