"""Fifty whole image files of every kind that is read, small, for damage to be done to them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from tests.support.dicom import dicom_file, lesion
from tests.support.files import costly
from tests.support.files.costly import file_of

_JPEG: tuple[dict[str, Any], ...] = (
    {}, {"quality": 30}, {"quality": 98, "subsampling": 0}, {"progressive": True}, {"optimize": True},
    {"restart_marker_blocks": 2}, {"progressive": True, "subsampling": 0},
)  # fmt: skip
_TIFF: tuple[str, ...] = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
_ORIENTATION = 0x0112


def seeds() -> list[bytes]:
    """The files; each can be decoded."""
    return [*_jpegs(), *_pngs(), *_tiffs(), *_bmps(), *_webps(), *_dicoms()]


def _picture(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(lesion()).convert(mode)


def _deep() -> Image.Image:
    return Image.fromarray(lesion()[..., 0].astype(np.uint16) * 257)


def _jpegs() -> list[bytes]:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    profile = costly.icc_profile({})
    return [
        *(file_of(_picture(), "JPEG", **options) for options in _JPEG),
        *(file_of(_picture(mode), "JPEG") for mode in ("L", "CMYK")),
        file_of(_picture(), "JPEG", exif=exif, icc_profile=profile, comment=b"made up"),
    ]


def _pngs() -> list[bytes]:
    exif = Image.Exif()
    exif[_ORIENTATION] = 3
    return [
        *(file_of(_picture(mode), "PNG") for mode in ("RGB", "RGBA", "P", "L", "LA", "1")),
        file_of(_deep(), "PNG"),
        file_of(_picture(), "PNG", exif=exif, icc_profile=costly.icc_profile({})),
        file_of(_picture("P"), "PNG", transparency=1),
        file_of(_picture(), "PNG", compress_level=0),
    ]


def _tiffs() -> list[bytes]:
    two = {"save_all": True, "append_images": [_picture("L").convert("RGB")]}
    return [
        *(file_of(_picture(), "TIFF", compression=compression) for compression in _TIFF),
        *(file_of(_picture(mode), "TIFF") for mode in ("RGBA", "L", "CMYK", "P")),
        file_of(_picture("1"), "TIFF", compression="group4"),
        file_of(_deep(), "TIFF"),
        file_of(Image.fromarray(lesion()[..., 0].astype(np.float32)), "TIFF"),
        file_of(_picture(), "TIFF", icc_profile=costly.icc_profile({})),
        file_of(_picture(), "TIFF", **two),
    ]


def _bmps() -> list[bytes]:
    return [*(file_of(_picture(mode), "BMP") for mode in ("RGB", "L", "P", "1")), costly.bmp_of_runs(80, 70)]


def _webps() -> list[bytes]:
    two = {"save_all": True, "append_images": [_picture("L").convert("RGB")]}
    options: tuple[dict[str, Any], ...] = ({}, {"lossless": True}, two)
    seen_through = _picture()
    seen_through.putalpha(_picture("L"))
    return [*(file_of(_picture(), "WEBP", **one) for one in options), file_of(seen_through, "WEBP")]


def _dicoms() -> list[bytes]:
    planes = [np.ascontiguousarray(lesion()[..., channel]).tobytes() for channel in range(3)]
    # Each byte as a run of its own: PackBits as no writer would, and right.
    runs = [b"".join(b"\0" + bytes([value]) for value in plane) for plane in planes]
    starts = [64 + sum(map(len, runs[:number])) for number in range(3)]
    packed = np.array([3, *starts, *[0] * 12], "<u4").tobytes() + b"".join(runs)
    j2k = io.BytesIO()
    _picture().save(j2k, "JPEG2000", no_jp2=True, mct=1)
    return [
        dicom_file(),
        dicom_file(uid.ImplicitVRLittleEndian),
        dicom_file(uid.DeflatedExplicitVRLittleEndian),
        dicom_file(uid.RLELossless, PixelData=encapsulate([packed])),
        dicom_file(
            uid.JPEGBaseline8Bit,
            PhotometricInterpretation="YBR_FULL_422",
            PixelData=encapsulate([file_of(_picture(), "JPEG")]),
        ),
        dicom_file(uid.JPEG2000Lossless, PhotometricInterpretation="YBR_RCT", PixelData=encapsulate([j2k.getvalue()])),
        dicom_file(PhotometricInterpretation="YBR_FULL_422", PixelData=lesion()[..., :2].tobytes()),
    ]
