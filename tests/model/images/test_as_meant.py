"""Pixels as the file means them: colour profiles, blocks around the pixels, layouts that a decoder garbles, and damage
that has the form of a whole file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pydicom import uid
from pydicom.encaps import encapsulate

from dashboard.answer.wording import warnings
from data.tasks.skin import SKIN
from model.analysis.quality import Quality
from model.images import jpeg, png
from model.images.decoding import decode_image, open_image
from model.images.framing import frame
from model.images.rejection import ImageRejected
from tests.support.dicom import dicom_file, lesion

# Display P3's primaries under D50, and sRGB's. Source: SMPTE EG 432-1, IEC 61966-2-1, adapted by Bradford.
P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24119, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
GAMMA = 2.2
NEAR = 3


def profile(space: bytes = b"RGB ") -> bytes:
    """A display profile with the primaries of Display P3 and a plain gamma; or a grey one, with the curve alone."""

    def xyz(values: NDArray[np.float64]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    text = b"text\0\0\0\0made up\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 8) + b"made up\0" + bytes(78), b"cprt": text}
    tags[b"wtpt"] = xyz(np.array([0.9642, 1.0, 0.8249]))
    if space == b"RGB ":
        tags |= {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3.T, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    else:
        tags[b"kTRC"] = curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    white = xyz(np.array([0.9642, 1.0, 0.8249]))[8:]
    header = struct.pack(">I4sI4s4s4s", 128 + len(rest), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    return (header + bytes(12) + b"acsp" + bytes(28) + white).ljust(128, b"\0") + rest


def as_srgb(image: NDArray[np.uint8], primaries: NDArray[np.float64] = P3) -> NDArray[np.float64]:
    """What the profile means, worked out with the matrices."""
    linear = (image / 255.0) ** GAMMA @ primaries.T @ np.linalg.inv(SRGB).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def file_of(image: NDArray[np.uint8], file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, file_format, **options)
    return buffer.getvalue()


def refusal_of(content: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode_image(content)
    return caught.value


# --- Colour profiles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100, "subsampling": 0})],
)
def test_colours_are_those_that_the_profile_means(file_format: str, options: dict[str, Any]) -> None:
    opened = open_image(file_of(lesion(), file_format, icc_profile=profile(), **options))
    expected = as_srgb(lesion())
    assert np.abs(expected - lesion()).max() > 2 * NEAR
    np.testing.assert_allclose(opened.image, expected, atol=NEAR + (2 if file_format == "JPEG" else 0))
    assert opened.remarks == ()


def test_profile_of_a_dicom_file_is_used() -> None:
    np.testing.assert_allclose(decode_image(dicom_file(ICCProfile=profile())), as_srgb(lesion()), atol=NEAR)
    broken = open_image(dicom_file(ICCProfile=b"no profile"))
    np.testing.assert_array_equal(broken.image, lesion())
    assert broken.remarks == ("profile_ignored",)


def test_srgb_by_its_profile_stays_as_it_is() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened = open_image(file_of(lesion(), "PNG", icc_profile=srgb))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ()


def test_grey_image_with_a_grey_profile() -> None:
    grey = lesion()[..., 0]
    expected = 255 * np.where(
        (grey / 255) ** GAMMA <= 0.0031308,
        12.92 * (grey / 255) ** GAMMA,
        1.055 * (grey / 255) ** (GAMMA / 2.4) - 0.055,
    )
    opened = open_image(file_of(grey, "PNG", icc_profile=profile(b"GRAY")))
    np.testing.assert_allclose(opened.image, np.repeat(expected[..., np.newaxis], 3, axis=-1), atol=NEAR)
    assert opened.remarks == ()


def test_opacity_is_no_colour() -> None:
    opaque = np.dstack([lesion(), np.full(lesion().shape[:2], 255, np.uint8)])
    np.testing.assert_allclose(
        decode_image(file_of(opaque, "PNG", icc_profile=profile())), as_srgb(lesion()), atol=NEAR
    )


@pytest.mark.parametrize("unusable", [b"no profile", profile()[:200], profile(b"GRAY"), profile(b"CMYK")])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_profile_that_cannot_be_used_is_ignored_with_a_remark(unusable: bytes, file_format: str) -> None:
    opened = open_image(file_of(lesion(), file_format, icc_profile=unusable))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ("profile_ignored",)
    (remark,) = warnings(Quality(9.0, 100.0, 50.0, 0.5, ()), frame(192, 256, 192, 256), SKIN, None, opened.remarks)
    assert "colours are read as sRGB and may be off" in remark


def test_profile_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    packed = zlib.compress(bytes(64 * 2**20))
    opened = open_image(chunk_before_pixels(file_of(lesion(), "PNG"), b"iCCP", b"made up\0\0" + packed))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ("profile_ignored",)


# --- Colour spaces that are only named ---

# Adobe RGB's primaries under D50. Source: B. Lindbloom, RGB/XYZ matrices, Bradford-adapted.
ADOBE = np.array([[0.60976, 0.20524, 0.14922], [0.31112, 0.62566, 0.06322], [0.01948, 0.06089, 0.74484]])


def chunk_before_pixels(whole: bytes, kind: bytes, content: bytes) -> bytes:
    chunk = kind + content
    return whole[:33] + struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[33:]


def exif_of(space: int | None, index: str | None) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1  # Pillow leaves a block away that is empty but for what it refers to
    if space is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = space
    if index is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: index}
    return exif


@pytest.mark.parametrize(("space", "index"), [(0xFFFF, "R03"), (None, "R03"), (2, None)])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_adobe_rgb_that_exif_names_is_converted(file_format: str, space: int | None, index: str | None) -> None:
    options: dict[str, Any] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(
        file_format, {}
    )
    opened = open_image(file_of(lesion(), file_format, exif=exif_of(space, index), **options))
    expected = as_srgb(lesion(), ADOBE)
    assert np.abs(expected - lesion()).max() > 2 * NEAR
    np.testing.assert_allclose(opened.image, expected, atol=NEAR + (2 if file_format == "JPEG" else 0))
    assert opened.remarks == ()


@pytest.mark.parametrize(("space", "index"), [(1, "R98"), (1, "R03"), (0xFFFF, None), (0xFFFF, "R98"), (None, None)])
def test_colours_that_exif_does_not_name_adobe_rgb_stay(space: int | None, index: str | None) -> None:
    opened = open_image(file_of(lesion(), "PNG", exif=exif_of(space, index)))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ()


def test_profile_goes_before_the_space_that_exif_names() -> None:
    opened = open_image(file_of(lesion(), "PNG", exif=exif_of(2, None), icc_profile=profile()))
    np.testing.assert_allclose(opened.image, as_srgb(lesion()), atol=NEAR)


def test_grey_image_of_a_camera_set_to_adobe_rgb_stays() -> None:
    grey = lesion()[..., 0]
    opened = open_image(file_of(grey, "PNG", exif=exif_of(2, None)))
    np.testing.assert_array_equal(opened.image[..., 0], grey)
    assert opened.remarks == ()


@pytest.mark.parametrize("options", [{}, {"icc_profile": profile(b"GRAY")}])
def test_code_points_of_a_png_go_before_its_profile(options: dict[str, Any]) -> None:
    # Primaries of Display P3, a plain gamma of 2.2, RGB, full range.
    opened = open_image(chunk_before_pixels(file_of(lesion(), "PNG", **options), b"cICP", bytes([12, 4, 0, 1])))
    np.testing.assert_allclose(opened.image, as_srgb(lesion()), atol=NEAR)
    assert opened.remarks == ()


def test_code_points_of_srgb_leave_the_pixels_alone() -> None:
    opened = open_image(chunk_before_pixels(file_of(lesion(), "PNG"), b"cICP", bytes([1, 13, 0, 1])))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ()


@pytest.mark.parametrize(
    "points", [(9, 16, 0, 1), (9, 18, 0, 1), (1, 13, 1, 1), (1, 13, 0, 0), (2, 2, 0, 1), (1, 13, 0)]
)
def test_code_points_that_cannot_be_used_leave_it_to_the_profile_or_are_told(points: tuple[int, ...]) -> None:
    opened = open_image(chunk_before_pixels(file_of(lesion(), "PNG"), b"cICP", bytes(points)))
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ("profile_ignored",)
    with_profile = file_of(lesion(), "PNG", icc_profile=profile())
    opened = open_image(chunk_before_pixels(with_profile, b"cICP", bytes(points)))
    np.testing.assert_allclose(opened.image, as_srgb(lesion()), atol=NEAR)
    assert opened.remarks == ()


# --- What stands around the pixels -----------------------------------------------------------------------------------


def test_png_with_megabytes_of_text_is_read() -> None:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 2_000_000)
    text.add_text("comment", "y" * 3_000_000, zip=True)
    np.testing.assert_array_equal(decode_image(file_of(lesion(), "PNG", pnginfo=text)), lesion())


def test_png_with_a_broken_exif_block_is_read() -> None:
    np.testing.assert_array_equal(decode_image(file_of(lesion(), "PNG", exif=b"Exif\0\0nothing of use")), lesion())


def test_png_of_endless_chunks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MAX_CHUNKS", 10)
    whole = file_of(lesion(), "PNG")
    empty = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    assert refusal_of(whole[:33] + empty * 20 + whole[33:]).reason == "damaged"
    np.testing.assert_array_equal(decode_image(whole), lesion())


def test_first_page_is_read_and_said() -> None:
    buffer = io.BytesIO()
    pages = [Image.fromarray(page) for page in (lesion(), 255 - lesion())]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    opened = open_image(buffer.getvalue())
    np.testing.assert_array_equal(opened.image, lesion())
    assert opened.remarks == ("first_page",)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_image_whose_opacity_was_never_filled_in_is_shown(file_format: str) -> None:
    unseen = np.dstack([lesion(), np.zeros(lesion().shape[:2], np.uint8)])
    np.testing.assert_array_equal(decode_image(file_of(unseen, file_format)), lesion())


# --- Layouts ---------------------------------------------------------------------------------------------------------


def tiff_16(planes: NDArray[np.uint16], photometric: int) -> bytes:
    """An uncompressed TIFF of one strip a plane, planes one after the other, as (planes, height, width)."""
    count, height, width = planes.shape
    strips = [plane.astype("<u2").tobytes() for plane in planes]
    entries = 10
    data = 8 + 2 + 12 * entries + 4
    bits, offsets, sizes = data, data + 2 * count, data + 6 * count
    pixels = data + 10 * count
    starts = [pixels + sum(len(strip) for strip in strips[:index]) for index in range(count)]
    short, long = 3, 4

    def entry(tag: int, kind: int, number: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, number, value)

    return b"".join(
        [
            struct.pack("<2sHI", b"II", 42, 8),
            struct.pack("<H", entries),
            entry(256, long, 1, width),
            entry(257, long, 1, height),
            entry(258, short, count, 16 if count == 1 else bits),
            entry(259, short, 1, 1),
            entry(262, short, 1, photometric),
            entry(273, long, count, starts[0] if count == 1 else offsets),
            entry(277, short, 1, count),
            entry(278, long, 1, height),
            entry(279, long, count, len(strips[0]) if count == 1 else sizes),
            entry(284, short, 1, 2 if count > 1 else 1),
            bytes(4),
            struct.pack(f"<{count}H", *[16] * count),
            struct.pack(f"<{count}I", *starts),
            struct.pack(f"<{count}I", *map(len, strips)),
            *strips,
        ]
    )


def test_separate_planes_of_16_bits_are_refused_by_name() -> None:
    planes = np.moveaxis(lesion(), -1, 0).astype(np.uint16) * 257
    rejected = refusal_of(tiff_16(planes, photometric=2))
    assert rejected.reason == "unsupported_tiff" and "separate planes of 16 bits" in str(rejected)


def test_grey_of_16_bits_whose_zero_is_white() -> None:
    grey = lesion()[..., 0].astype(np.uint16) * 257
    black_is_zero = decode_image(tiff_16(grey[np.newaxis], photometric=1))
    np.testing.assert_array_equal(black_is_zero[..., 0], lesion()[..., 0])
    np.testing.assert_array_equal(decode_image(tiff_16(65535 - grey[np.newaxis], photometric=0)), black_is_zero)


# --- DICOM -----------------------------------------------------------------------------------------------------------


def test_chroma_of_every_pixel_behind_a_tag_of_shared_chroma() -> None:
    samples = np.asarray(Image.fromarray(lesion()).convert("YCbCr"))
    wrong = dicom_file(PhotometricInterpretation="YBR_FULL_422", PixelData=samples.tobytes())
    right = dicom_file(PhotometricInterpretation="YBR_FULL", PixelData=samples.tobytes())
    np.testing.assert_array_equal(decode_image(wrong), decode_image(right))


def test_jpeg_without_a_marker_has_the_colours_that_the_tag_says() -> None:
    """libjpeg takes three components without JFIF's or Adobe's marker for YCbCr; here they are red, green and blue."""
    whole = file_of(lesion(), "JPEG", quality=100, subsampling=0, keep_rgb=True)
    start = whole.index(b"\xff\xee")
    without = whole[:start] + whole[start + 2 + struct.unpack_from(">H", whole, start + 2)[0] :]
    # Component names R, G and B would tell as well.
    for name, number in ((b"R", b"\x01"), (b"G", b"\x02"), (b"B", b"\x03")):
        without = without.replace(name + b"\x11\x00", number + b"\x11\x00").replace(name + b"\x00", number + b"\x00", 1)
    frame = dicom_file(uid.JPEGBaseline8Bit, PhotometricInterpretation="RGB", PixelData=encapsulate([without]))
    np.testing.assert_allclose(decode_image(frame), lesion(), atol=NEAR)


def test_jpeg_2000_whose_frame_and_tags_contradict_each_other_is_refused() -> None:
    """Without the flag of a transform nobody knows whether red, green and blue stand there or luma and chroma."""
    frames = [
        dicom_file(
            uid.JPEG2000,
            PhotometricInterpretation="YBR_ICT",
            PixelData=encapsulate([file_of(lesion(), "JPEG2000", no_jp2=True, irreversible=True, mct=transformed)]),
        )
        for transformed in (1, 0)
    ]
    np.testing.assert_allclose(decode_image(frames[0]), lesion(), atol=NEAR)
    rejected = refusal_of(frames[1])
    assert rejected.reason == "unsupported_dicom" and "tags of a transform without one" in str(rejected)


# --- Damage in the form of a whole file ------------------------------------------------------------------------------


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_that_lacks_its_middle_or_its_rest_is_damaged(progressive: bool) -> None:
    whole = file_of(noise(), "JPEG", quality=90, progressive=progressive)
    assert jpeg.damage_in(whole) is None and jpeg.damage_in(whole + b"what a camera adds") is None
    middle = len(whole) // 2
    for broken in (whole[:middle] + b"\xff\xd9", whole[:middle] + whole[middle + 200 :]):
        assert refusal_of(broken).reason == "damaged"
    frame = dicom_file(
        uid.JPEGBaseline8Bit,
        Rows=96,
        Columns=128,
        PhotometricInterpretation="YBR_FULL_422",
        PixelData=encapsulate([whole[:middle] + b"\xff\xd9"]),
    )
    assert refusal_of(frame).reason == "damaged"


def test_jpeg_of_endless_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    progressive = file_of(noise(), "JPEG", progressive=True)
    assert decode_image(progressive).shape == (96, 128, 3)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    assert refusal_of(progressive[:-2] + scan * 200 + b"\xff\xd9").reason == "damaged"


# --- The files of the reports ----------------------------------------------------------------------------------------


def test_files_of_the_reports_are_read_as_they_should_be(shared_folder: Path) -> None:
    cases = shared_folder / "cases"

    def pixels(name: str) -> NDArray[np.uint8]:
        return decode_image((cases / name).read_bytes())

    np.testing.assert_allclose(pixels("icc-profile/display_p3.png"), pixels("icc-profile/srgb.png").astype(int), atol=4)
    plain = pixels("png-big-metadata/plain.png")
    for name in ("xmp_2mb", "icc_3mb", "exif_garbage"):
        np.testing.assert_array_equal(pixels(f"png-big-metadata/{name}.png"), plain)
    tiffs = "tiff-16bit-planar"
    np.testing.assert_array_equal(pixels(f"{tiffs}/gray16_whiteiszero.tif"), pixels(f"{tiffs}/gray16_blackiszero.tif"))
    assert refusal_of((cases / tiffs / "planar.tif").read_bytes()).reason == "unsupported_tiff"
    chroma = "dicom-422-full-length"
    np.testing.assert_array_equal(pixels(f"{chroma}/tag_422_three_bytes_a_pixel.dcm"), pixels(f"{chroma}/right.dcm"))
    np.testing.assert_allclose(pixels("dicom-rgb-jpeg-no-marker/rgb_jpeg.dcm"), plain.astype(int), atol=10)


@pytest.mark.parametrize("size", [(64 * 100 + 1, 64), (64, 64 * 100 + 1)])
def test_narrow_strip_is_refused_by_name(size: tuple[int, int]) -> None:
    assert refusal_of(file_of(np.zeros((size[1], size[0], 3), np.uint8), "PNG")).reason == "too_narrow"
    assert decode_image(file_of(np.zeros((64, 6400, 3), np.uint8), "PNG")).shape == (64, 6400, 3)


@pytest.mark.parametrize(
    ("brand", "words"),
    [(b"heic", "an HEIC photo"), (b"mif1", "an HEIF photo"), (b"heix", "an HEIC"), (b"avif", "AVIF")],
)
def test_photos_of_newer_phones_are_called_by_their_name(brand: bytes, words: str) -> None:
    assert words in str(refusal_of(b"\0\0\0\x18ftyp" + brand + bytes(200)))
