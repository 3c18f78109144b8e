"""DICOM files as uploads: the pixels, the patient's age and sex, and nothing else of what such a file holds.

Read are single colour images: Dermoscopic Photography, Ophthalmic Photography (also of 16 bits), VL Photographic, and
Secondary Capture where it says that no text is burnt into it (such objects are often screenshots, with a name in a
corner). Which of them show what a model was trained on is not known here (`DicomFacts.kind`).

Source:
    DICOM PS3.3 (A.32.4 VL Photographic, A.32.11 Dermoscopic Photography, A.41 and A.42 Ophthalmic Photography, A.8.1
    Secondary Capture, C.7.6.3 Image Pixel), PS3.5 (8.2 encapsulated pixel data, Annex G RLE);
    https://www.dicomstandard.org/current
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from model.images.colour import to_srgb
from model.images.jpeg import damage_in
from model.images.rejection import MAX_PIXELS, ImageRejected, Remark, RgbImage, check_size

if TYPE_CHECKING:
    from pydicom import Dataset

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
OPHTHALMIC_8_BIT, OPHTHALMIC_16_BIT = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.5.2"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_KINDS = (DERMOSCOPIC, OPHTHALMIC_8_BIT, OPHTHALMIC_16_BIT, VL_PHOTOGRAPHIC, SECONDARY_CAPTURE)
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
PILLOW_FORMATS: dict[str, str] = {
    "1.2.840.10008.1.2.4.50": "JPEG",
    "1.2.840.10008.1.2.4.90": "JPEG2000",
    "1.2.840.10008.1.2.4.91": "JPEG2000",
}
# Colours by transfer syntax. Lossless JPEG, JPEG-LS and HTJ2K would need libraries that we do without.
_COLOURS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((IMPLICIT, EXPLICIT, DEFLATED), ("RGB", "YBR_FULL", "YBR_FULL_422")),
    RLE: ("RGB", "YBR_FULL"),
    "1.2.840.10008.1.2.4.50": ("RGB", "YBR_FULL", "YBR_FULL_422"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), ("RGB", "YBR_ICT", "YBR_RCT")),
}
# All that is ever decoded of a file: no name, no number, no place of a patient.
_KEYWORDS = (
    "SOPClassUID NumberOfFrames SamplesPerPixel PhotometricInterpretation PlanarConfiguration Rows Columns "
    "BitsAllocated BitsStored PixelRepresentation ICCProfile BurnedInAnnotation PatientAge PatientBirthDate PatientSex "
    "StudyDate PixelData"
).split()
# A deflated file may hold the largest image that is accepted, and a megabyte of words.
_MAX_INFLATED = MAX_PIXELS * 3 + 2**20
# Samples of more than 8 bits are read as they are only; a decoder that keeps them would be another library.
_PLAIN = (IMPLICIT, EXPLICIT, DEFLATED)
# File meta information takes some hundred bytes; pydicom takes seconds for megabytes of it.
_MAX_META = 64 * 2**10
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_SEXES = {"F": "female", "M": "male"}
_MAX_AGE = 120  # years, as in data.cases.case


@dataclass(frozen=True)
class DicomFacts:
    """What an upload says of the patient, for a form to begin with.

    Attributes:
        age: years at the study; None where the file does not say.
        sex: `female`, `male` or `unknown`.
        is_text_excluded: the file states that no text is burnt into the image; False where it says nothing.
        kind: what sort of object it is, the UID of its SOP class.
    """

    age: float | None = None
    sex: str = "unknown"
    is_text_excluded: bool = False
    kind: str = ""


@dataclass(frozen=True)
class DicomImage:
    """The image of a DICOM file, (H, W, 3) uint8 sRGB, what the file says of the patient, and how it was read."""

    image: RgbImage
    facts: DicomFacts
    remarks: tuple[Remark, ...] = ()


def is_dicom(content: bytes) -> bool:
    """Whether bytes begin as a DICOM file does (PS3.10, 7.1)."""
    return content.startswith(b"DICM", 128)


def read_dicom(content: bytes) -> DicomImage:
    """The image of a DICOM file of at most `MAX_BYTES`; `model.images.decoding.decode_image` takes any upload.

    Raises:
        ImageRejected: `burnt_in_text` where the file says that text is burnt in, or a Secondary Capture does not deny
            it; `unsupported_dicom` for objects of another kind, grey images, several frames, other than 8 bits (or 16
            where they are not compressed) or a compression that cannot be read; `too_many_pixels` and `too_small`,
            known before pixels are decoded; `damaged`.
    """
    with _damage_said():
        dataset, syntax = _read(content)
        _check_kind(dataset)
        _check_text(dataset)
        check_size(int(dataset.Columns), int(dataset.Rows))
        _check_samples(dataset, syntax)
        image, remarks = _in_srgb(_pixels(dataset, syntax), dataset.get("ICCProfile"))
        return DicomImage(image, _facts(dataset), remarks)


@contextmanager
def _damage_said() -> Iterator[None]:
    try:
        yield
    except (ImageRejected, MemoryError):
        raise
    # What a broken file makes pydicom, Pillow and numpy raise is an open list: values that are missing or doubled,
    # lengths beyond the end, frames that are none, endless nesting.
    except Exception as error:
        raise ImageRejected(
            "damaged", "expected a complete image, received a damaged or truncated DICOM file; export it again"
        ) from error


def _read(content: bytes) -> tuple[Dataset, str]:
    """The data set, of `_KEYWORDS` only, and its transfer syntax."""
    # Here, since it takes 0.2 s that a start without DICOM files need not pay.
    from pydicom import config
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag, Tag

    # Warnings on values would carry them into the log.
    config.settings.reading_validation_mode = config.IGNORE
    head = io.BytesIO(content[132 : 132 + _MAX_META])
    meta = read_dataset(head, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    rest = content[132 + head.tell() :]
    syntax = str(meta.TransferSyntaxUID)
    if syntax not in _COLOURS:
        raise _unsupported("pixels as they are, or in RLE, JPEG baseline or JPEG 2000", "another encoding")
    body = _inflated(rest) if syntax == DEFLATED else rest
    tags: list[BaseTag | int] = [Tag(tag) for tag in map(tag_for_keyword, _KEYWORDS) if tag is not None]
    return read_dataset(io.BytesIO(body), syntax == IMPLICIT, True, specific_tags=tags), syntax


def _inflated(body: bytes) -> bytes:
    """A deflated data set laid open, up to a limit: a megabyte can hold a gigabyte of zeros."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(body, _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received far more; upload a smaller export",
        )
    return inflated


def _check_kind(dataset: Dataset) -> None:
    kind, frames = str(dataset.SOPClassUID), int(dataset.get("NumberOfFrames") or 1)
    if kind not in _KINDS:
        expected = "Dermoscopic or Ophthalmic Photography, VL Photographic or Secondary Capture"
        raise _unsupported(expected, kind_name(kind))
    if frames != 1:
        raise _unsupported("one frame", f"{frames} frames")


def kind_name(kind: str) -> str:
    """What the standard calls a kind of object."""
    from pydicom.uid import UID_dictionary

    # The standard's name; never what the file itself says.
    return UID_dictionary[kind][0] if kind in UID_dictionary else "an object of another kind"


def _check_text(dataset: Dataset) -> None:
    said = _burnt_in(dataset)
    if said == "YES" or (said != "NO" and dataset.SOPClassUID == SECONDARY_CAPTURE):
        received = "one that says it has" if said == "YES" else "a Secondary Capture that does not say so"
        raise ImageRejected(
            "burnt_in_text",
            f"expected an image without text burnt into its pixels (DICOM tag 0028,0301), received {received}; "
            "crop the text away and upload the image as JPEG or PNG",
        )


def _burnt_in(dataset: Dataset) -> str:
    return str(dataset.get("BurnedInAnnotation") or "").strip().upper()


def _check_samples(dataset: Dataset, syntax: str) -> None:
    photometric, colours = str(dataset.PhotometricInterpretation), _COLOURS[syntax]
    if photometric not in colours:
        received = "a grey image" if photometric.startswith("MONOCHROME") else "colours of another kind"
        raise _unsupported(f"a colour image ({', '.join(colours)})", received)
    samples, allocated, stored = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated), int(dataset.BitsStored)
    is_deep = allocated == 16 and 8 <= stored <= 16 and photometric == "RGB" and syntax in _PLAIN
    is_signed = allocated == 16 and int(dataset.get("PixelRepresentation") or 0) != 0
    if samples != 3 or not ((allocated, stored) == (8, 8) or is_deep) or is_signed:
        received = f"{samples} of {stored} bits{', with a sign,' if is_signed else ''} in {allocated}"
        raise _unsupported("3 samples of 8 bits a pixel, or of up to 16 in plain RGB", received)


def _unsupported(expected: str, received: str) -> ImageRejected:
    return ImageRejected(
        "unsupported_dicom",
        f"expected a DICOM file with {expected}, received {received}; export the image as JPEG or PNG",
    )


# --- Pixels ----------------------------------------------------------------------------------------------------------


def _pixels(dataset: Dataset, syntax: str) -> RgbImage:
    if syntax in PILLOW_FORMATS:
        return _compressed_pixels(dataset, PILLOW_FORMATS[syntax])
    samples = _rle_samples(dataset) if syntax == RLE else _plain_samples(dataset)
    is_rgb = dataset.PhotometricInterpretation == "RGB"
    # Pillow's YCbCr is JFIF's, which is DICOM's YBR_FULL (PS3.3, C.7.6.3.1.2).
    return samples if is_rgb else np.asarray(Image.fromarray(samples, "YCbCr").convert("RGB"))


def _in_srgb(image: RgbImage, profile: bytes | None) -> tuple[RgbImage, tuple[Remark, ...]]:
    if not profile:
        return image, ()
    managed = to_srgb(Image.fromarray(image), bytes(profile))
    return (image, ("profile_ignored",)) if managed is None else (np.asarray(managed), ())


def _compressed_pixels(dataset: Dataset, file_format: str) -> RgbImage:
    """Of JPEG and JPEG 2000, whose own markers say how the colours are coded; the tags beside them are often wrong.

    Where there is no marker, the tags are all there is.
    """
    frame = _first_frame(dataset)
    with Image.open(io.BytesIO(frame), formats=(file_format,)) as image:
        if image.size != (int(dataset.Columns), int(dataset.Rows)) or image.mode != "RGB":
            raise ValueError("expected a frame as the tags describe it")
        is_untold = not _is_colour_told(image, frame)
        if is_untold and file_format == "JPEG" and dataset.PhotometricInterpretation == "RGB":
            # Pillow's decoder takes the colours of the file behind those of the image.
            image.tile = [tile._replace(args=("RGB", "RGB")) for tile in image.tile]
        pixels = np.asarray(image)
    if file_format == "JPEG" and damage_in(frame) is not None:
        raise ValueError("expected a whole frame")
    if is_untold and file_format == "JPEG2000" and dataset.PhotometricInterpretation != "RGB":
        raise _unsupported("JPEG 2000 whose frame and tags tell of the same colours", "tags of a transform without one")
    return pixels


def _is_colour_told(image: ImageFile.ImageFile, frame: bytes) -> bool:
    """Whether the frame itself says how its colours are coded.

    JPEG: by JFIF's or Adobe's marker. JPEG 2000: by the flag of the component transform behind the number of layers in
    the first COD segment (ITU-T T.800, A.6.1).
    """
    if image.format == "JPEG":
        return "jfif" in image.info or "adobe" in image.info
    start = frame.find(b"\xff\x52")
    return start < 0 or frame[start + 8] == 1


def _first_frame(dataset: Dataset) -> bytes:
    from pydicom.encaps import generate_frames

    return next(generate_frames(dataset.PixelData, number_of_frames=1))


def _plain_samples(dataset: Dataset) -> RgbImage:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    is_planar = int(dataset.get("PlanarConfiguration") or 0) == 1
    if int(dataset.BitsAllocated) == 16:
        return _in_colour_order(_as_bytes(dataset, rows * columns * 3), rows, columns, is_planar)
    # Some writers keep the chroma of every pixel and call it shared: their length tells.
    is_shared = dataset.PhotometricInterpretation == "YBR_FULL_422" and len(dataset.PixelData) < rows * columns * 3
    if is_shared:
        return _full_chroma(np.frombuffer(dataset.PixelData, np.uint8, rows * columns * 2).reshape(rows, -1, 4))
    values = np.frombuffer(dataset.PixelData, np.uint8, rows * columns * 3)
    return _in_colour_order(values, rows, columns, is_planar)


def _as_bytes(dataset: Dataset, count: int) -> NDArray[np.uint8]:
    """Samples of up to 16 bits, little-endian, brought to 8: the brightest that can be stored becomes 255."""
    most = (1 << int(dataset.BitsStored)) - 1
    samples = np.frombuffer(dataset.PixelData, "<u2", count) & most
    return ((samples.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)


def _in_colour_order(values: NDArray[np.uint8], rows: int, columns: int, is_planar: bool) -> RgbImage:
    if is_planar:
        return np.ascontiguousarray(np.moveaxis(values.reshape(3, rows, columns), 0, -1))
    return values.reshape(rows, columns, 3)


def _full_chroma(pairs: NDArray[np.uint8]) -> RgbImage:
    """(H, W, 3) of (H, W / 2, 4): two pixels of Y Y Cb Cr share their chroma (PS3.3, C.7.6.3.1.2)."""
    rows, half_columns = pairs.shape[:2]
    luma = pairs[..., :2].reshape(rows, half_columns * 2, 1)
    return np.concatenate([luma, np.repeat(pairs[..., 2:], 2, axis=1)], axis=2)


def _rle_samples(dataset: Dataset) -> RgbImage:
    """Three planes of packed bytes behind a header of 16 numbers: how many segments, and where each begins."""
    frame = _first_frame(dataset)
    count, *starts = struct.unpack("<4L", frame[:16])
    if count != 3:
        raise ValueError("expected three segments")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    # As one long line: some writers let a run cross the end of a row. Pillow unpacks no more than the line holds.
    planes = [
        Image.frombytes("L", (rows * columns, 1), frame[start:end], "packbits", "L")
        for start, end in zip(starts, [*starts[1:], len(frame)], strict=True)
    ]
    return np.dstack([np.asarray(plane).reshape(rows, columns) for plane in planes])


# --- Patient ---------------------------------------------------------------------------------------------------------


def _facts(dataset: Dataset) -> DicomFacts:
    sex = _SEXES.get(str(dataset.get("PatientSex") or "").strip().upper(), "unknown")
    return DicomFacts(_age(dataset), sex, _burnt_in(dataset) == "NO", str(dataset.SOPClassUID))


def _age(dataset: Dataset) -> float | None:
    """Years, as stated or from the dates of birth and study; None outside of what a case may hold."""
    stated = re.fullmatch(r"(\d{1,3})([YMWD])", str(dataset.get("PatientAge") or "").strip().upper())
    if stated is not None:
        age = int(stated[1]) / _PER_YEAR[stated[2]]
        return age if age <= _MAX_AGE else None
    return _years_between(_date(dataset.get("PatientBirthDate")), _date(dataset.get("StudyDate")))


def _years_between(birth: date | None, study: date | None) -> float | None:
    if birth is None or study is None:
        return None
    years = study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))
    return float(years) if 0 <= years <= _MAX_AGE else None


def _date(value: object) -> date | None:
    """A DICOM date, `YYYYMMDD`; None where there is none or no such day."""
    try:
        return datetime.strptime(str(value or ""), "%Y%m%d").date()
    except ValueError:
        return None
