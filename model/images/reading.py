"""The bytes of a file to an RGB array, in this process, whatever it costs; `model.images.decoding` takes any upload."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageChops, ImageFile

from model.images.colour import to_srgb
from model.images.colour_spaces import named_by_exif
from model.images.dicom import DicomFacts, is_dicom, read_dicom
from model.images.jpeg import MAX_SCANNED, MAX_SCANS, count_scans, damage_in, has_endless_header, is_jpeg
from model.images.png import TooManyChunks, is_png, without_metadata
from model.images.rejection import MAX_PIXELS, ImageRejected, Remark, RgbImage, check_size

# What Pillow reads; DICOM goes its own way (`model.images.dicom`).
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
# Source of the tags: TIFF 6.0, sections 4 and 8.
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_PLANES = 258, 262, 284
WHITE_IS_ZERO, SEPARATE_PLANES = 0, 2
# How an image is turned upright by its EXIF orientation. Source: CIPA DC-008 (Exif 2.32), tag 0x0112.
_UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# How files begin, for a message that says what came: offset, bytes, words.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "a damaged or truncated JPEG"),
    (0, b"\x89PNG", "a damaged or truncated PNG"),
    (0, b"II*\x00", "a damaged or truncated TIFF"),
    (0, b"MM\x00*", "a damaged or truncated TIFF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or Office document"),
    (0, b"GIF8", "a GIF"),
    # Source: ISO/IEC 23008-12 (HEIF), annex B; AV1 Image File Format, section 8.
    *((4, b"ftyp" + brand, "an HEIC photo") for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")),
    *((4, b"ftyp" + brand, "an HEIF photo") for brand in (b"mif1", b"mif2", b"msf1")),
    *((4, b"ftyp" + brand, "an AVIF photo") for brand in (b"avif", b"avis")),
)


@dataclass(frozen=True)
class OpenedImage:
    """An uploaded file, read once.

    Attributes:
        image: (H, W, 3) uint8 RGB, 0-255, sRGB, upright, at least 64 pixels a side.
        dicom: what the file says of the patient; None for a file that is no DICOM.
        remarks: what a reader should know of how it was read.
    """

    image: RgbImage
    dicom: DicomFacts | None = None
    remarks: tuple[Remark, ...] = ()


def read_image(content: bytes) -> OpenedImage:
    """Decode a file to upright 8-bit sRGB; see `model.images.decoding.open_image`, which bounds what that costs.

    Raises:
        ImageRejected: as `open_image`, but for the size of the file and the cost.
    """
    if is_dicom(content):
        read = read_dicom(content)
        return OpenedImage(read.image, read.facts, read.remarks)
    content, profile = _without_what_pillow_trips_over(content)
    with _open(content) as image:
        try:
            return _read(image, content, profile)
        except (ImageRejected, MemoryError):
            raise
        # What a broken file makes Pillow raise is an open list: SyntaxError of a PNG's chunk, TypeError and
        # OverflowError of a TIFF's tags, ZeroDivisionError of a size.
        except Exception as error:
            raise _damaged(str(image.format)) from error


def _read(image: ImageFile.ImageFile, content: bytes, profile: bytes | None) -> OpenedImage:
    check_size(*image.size)
    _check_layout(image)
    if image.format == "JPEG" and "progressive" in image.info:
        _check_scans(count_scans(content), *image.size)
    # Not by `n_frames`, for which Pillow reads every page.
    remarks: list[Remark] = ["first_page"] if getattr(image, "is_animated", False) else []
    upright = _turn_upright(image)
    profile = _profile_of(image) if profile is None else profile
    rgb, is_profile_used = _to_rgb(upright, profile, _is_white_zero(image))
    if image.format == "JPEG" and damage_in(content) is not None:
        raise _damaged("JPEG")
    if not is_profile_used:
        remarks.append("profile_ignored")
    return OpenedImage(np.asarray(rgb, dtype=np.uint8), remarks=tuple(remarks))


def _damaged(what: str) -> ImageRejected:
    return ImageRejected(
        "damaged", f"expected a complete image, received a damaged or truncated {what}; export it again"
    )


def _without_what_pillow_trips_over(content: bytes) -> tuple[bytes, bytes | None]:
    """The file as Pillow should get it, and its colour profile where that had to be taken out."""
    if is_jpeg(content) and has_endless_header(content):
        raise _damaged("JPEG")
    if is_jpeg(content) and count_scans(content) > MAX_SCANS:
        raise ImageRejected(
            "damaged", f"expected a JPEG of up to {MAX_SCANS} scans, received one of more; export the image again"
        )
    if not is_png(content):
        return content, None
    try:
        return without_metadata(content)
    except TooManyChunks as error:
        raise _damaged("PNG") from error


def _check_scans(scans: int, width: int, height: int) -> None:
    if scans * width * height > MAX_SCANNED:
        most = MAX_SCANNED // (width * height)
        raise ImageRejected(
            "damaged",
            f"expected a JPEG of {width} x {height} px of up to {most} scans, received {scans}; export the image again",
        )


def _check_layout(image: ImageFile.ImageFile) -> None:
    """Refuses what Pillow reads without an error, and wrongly."""
    if image.format != "TIFF":
        return
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(TIFF_PLANES, 1) == SEPARATE_PLANES and max(tags.get(TIFF_BITS, (8,))) > 8:
        raise ImageRejected(
            "unsupported_tiff",
            "expected a TIFF whose samples lie together, received separate planes of 16 bits; "
            "export the image as JPEG or PNG",
        )


def _open(content: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except MemoryError:
        raise
    # Pillow warns above 89 megapixels and raises above 179; both are far above ours, and a warning can be an error.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received far more; upload a smaller export",
        ) from error
    except Exception as error:
        raise ImageRejected(
            "not_an_image",
            f"expected {', '.join(FORMATS)} or DICOM, received {_describe(content)}; upload the image file itself",
        ) from error


def _describe(content: bytes) -> str:
    known = (words for offset, start, words in _SIGNATURES if content.startswith(start, offset))
    return next(known, "a file of another kind")


def _turn_upright(image: Image.Image) -> Image.Image:
    """The image turned by its EXIF orientation.

    Not by `ImageOps.exif_transpose`: that writes the remaining EXIF anew, which we drop anyway, and fails on tags that
    a camera wrote with an unexpected type.
    """
    image.load()
    try:
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:
        # The block is broken, the pixels are not.
        method = None
    return image if method is None else image.transpose(method)


def _profile_of(image: Image.Image) -> bytes | None:
    """The ICC profile in a file, or of the colour space that its EXIF block names."""
    if "icc_profile" in image.info or image.mode in ("L", "LA", "1", "I", "F", "CMYK") or image.mode.startswith("I;16"):
        return image.info.get("icc_profile")
    try:
        return named_by_exif(image)
    except MemoryError:
        raise
    except Exception:
        # As where the image is turned.
        return None


def _to_rgb(image: Image.Image, profile: bytes | None, is_white_zero: bool) -> tuple[Image.Image, bool]:
    """The image as RGB, by its colour profile; and whether that could be used, True where there is none.

    Args:
        image: upright.
        profile: ICC profile.
        is_white_zero: whether 0 is white where the image is grey and has more than 8 bits.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        levels = _to_8_bit(np.asarray(image))
        image = Image.fromarray(255 - levels if is_white_zero else levels)
    opacity = None
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        # Without a copy where there need be none: a large image has 200 MB.
        rgba = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
        opacity, image = rgba.getchannel("A"), rgba.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    managed = to_srgb(image, profile) if profile is not None else None
    rgb = managed or (image if image.mode == "RGB" else image.convert("RGB"))
    # Programs that never fill in the opacity leave it 0 everywhere: an image that no one could see.
    if opacity is not None and opacity.getextrema() not in ((0, 0), (255, 255)):
        rgb.paste("white", mask=ImageChops.invert(opacity))
    return rgb, profile is None or managed is not None


def _is_white_zero(image: ImageFile.ImageFile) -> bool:
    """Whether a grey TIFF's 0 is white, which Pillow turns around for 8 bits only."""
    return image.format == "TIFF" and image.tag_v2.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO  # type: ignore[attr-defined]


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values to 0-255: 16-bit ones by their type's range, others by the smallest usual range they fit in.

    The usual ranges are 0-1 (floating values), 0-255 and 0-65535; not a number counts as 0.
    """
    if values.dtype.itemsize == 2:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    levels = np.nan_to_num(values.astype(np.float32), copy=False)
    highest = float(levels.max(initial=0.0))
    is_unit_range = values.dtype.kind == "f" and highest <= 1.0
    levels *= 255.0 / (1.0 if is_unit_range else 255.0 if highest <= 255.0 else max(65535.0, highest))
    return np.rint(np.clip(levels, 0, 255, out=levels), out=levels).astype(np.uint8)
