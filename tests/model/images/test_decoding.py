"""Bytes to pixels to network input and back: every row of bad input, and geometry worked out by hand."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile, ImageSequence

from model.images.decoding import decode_image
from model.images.framing import Framing, frame, to_image_pixels, to_network_input
from model.images.reading import read_image
from model.images.rejection import MAX_BYTES, MAX_PIXELS, MIN_SIDE, ImageRejected, RgbImage

HEIGHT, WIDTH = 192, 256
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def file_of(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise(width: int = 96, height: int = 72) -> Image.Image:
    """Does not compress, so that a cut through the file is a cut through the pixels."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


def quarters(width: int = 120, height: int = 80) -> Image.Image:
    """Red, green, blue, white from the top left corner in reading order."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image


def corner_colours(image: RgbImage) -> list[tuple[int, ...]]:
    """Colours at the centres of the quarters, in reading order, rounded to full or no light (JPEG is not exact)."""
    height, width = image.shape[:2]
    centres = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(255 * int(value > 127) for value in image[centre]) for centre in centres]


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many 1-bit pixels and holds none of them."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def refusal_of(content: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode_image(content)
    return caught.value


# Files that are refused


def test_empty_file_is_refused() -> None:
    rejected = refusal_of(b"")
    assert rejected.reason == "empty"
    assert "received an empty file; choose the file again" in str(rejected)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"%PDF-1.7\n" + bytes(200), "a PDF document"),
        (b"PK\x03\x04" + bytes(200), "a ZIP archive or Office document"),
        (file_of(noise(), "GIF"), "a GIF"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(200), "an HEIC photo"),
        (b"image_id,dx\nISIC_0,nv\n", "a file of another kind"),
        (b"\x00", "a file of another kind"),
        (file_of(noise(), "PNG")[:20], "a damaged or truncated PNG"),
        (file_of(noise(), "JPEG")[:30], "a damaged or truncated JPEG"),
        (file_of(noise(), "TIFF")[:6], "a damaged or truncated TIFF"),
    ],
)
def test_what_is_no_image_is_named_in_the_refusal(content: bytes, received: str) -> None:
    rejected = refusal_of(content)
    assert rejected.reason == "not_an_image"
    assert (
        str(rejected)
        == f"expected JPEG, PNG, TIFF, WEBP, BMP or DICOM, received {received}; upload the image file itself"
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated_file_is_refused_and_never_half_shown(file_format: str, share: float) -> None:
    whole = file_of(noise(), file_format)
    assert decode_image(whole).shape == (72, 96, 3)
    # TIFF keeps its directory, and WebP its length, where a cut may make the file unreadable as a whole.
    assert refusal_of(whole[: int(len(whole) * share)]).reason in ("damaged", "not_an_image")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
def test_truncated_pixels_are_called_damaged(file_format: str) -> None:
    whole = file_of(noise(), file_format)
    rejected = refusal_of(whole[: len(whole) // 2])
    assert rejected.reason == "damaged"
    assert f"received a damaged or truncated {file_format}; export it again" in str(rejected)


def test_broken_png_chunk_is_called_damaged() -> None:
    content = bytearray(file_of(noise(), "PNG"))
    data = content.index(b"IDAT")
    content[data + 4 : data + 12] = bytes(8)
    assert refusal_of(bytes(content)).reason == "damaged"


def test_tag_of_a_wrong_type_is_called_damaged() -> None:
    # A palette (tag 320) of 16-bit numbers, told to be of 32 bits: Pillow raises OverflowError.
    content = bytearray(file_of(quarters().quantize(4), "TIFF"))
    entry = content.index(struct.pack("<HHI", 320, 3, 768))
    content[entry : entry + 8] = struct.pack("<HHI", 320, 4, 768)
    assert refusal_of(bytes(content)).reason in ("damaged", "not_an_image")


def test_more_than_20_mb_is_refused_and_exactly_20_is_not() -> None:
    whole = file_of(quarters(), "BMP")
    assert decode_image(whole.ljust(MAX_BYTES, b"\0")).shape == (80, 120, 3)
    rejected = refusal_of(whole.ljust(MAX_BYTES + 1, b"\0"))
    assert rejected.reason == "too_many_bytes"
    # Not "expected at most 20 MB, received 20 MB".
    assert "expected at most 20 MB, received 20.1 MB" in str(rejected)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (10_001, 5_000),  # just over 50 megapixels
        (10_000, 9_000),  # 90: above Pillow's warning
        (20_000, 10_000),  # 200: above Pillow's error
        (2_000_000_000, 1_000_000_000),
    ],
)
def test_too_many_pixels_are_refused_from_the_header_alone(width: int, height: int) -> None:
    rejected = refusal_of(png_header(width, height))
    assert rejected.reason == "too_many_pixels"
    assert "expected at most 50 megapixels" in str(rejected)
    assert "upload a smaller export" in str(rejected)


def test_pixel_limit_itself_is_accepted_by_the_header() -> None:
    # 50 megapixels exactly pass the limit, and only then are the missing pixels missed.
    assert 10_000 * 5_000 == MAX_PIXELS
    assert refusal_of(png_header(10_000, 5_000)).reason == "damaged"


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch, file_format: str) -> None:
    # 80 megapixels of one bit in a few kilobytes; decoded to RGB they would take 240 MB.
    options = {"compression": "group4"} if file_format == "TIFF" else {}
    bomb = file_of(Image.new("1", (10_000, 8_000)), file_format, **options)
    assert len(bomb) < 20_000

    def load(image: ImageFile.ImageFile) -> None:
        raise AssertionError("expected no decoding")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    # Here and not in the child, where nothing would be replaced.
    with pytest.raises(ImageRejected) as caught:
        read_image(bomb)
    assert caught.value.reason == "too_many_pixels"


@pytest.mark.parametrize(("width", "height"), [(63, 200), (200, 63), (1, 1)])
def test_fewer_than_64_pixels_a_side_are_refused(width: int, height: int) -> None:
    rejected = refusal_of(file_of(Image.new("RGB", (width, height)), "PNG"))
    assert rejected.reason == "too_small"
    assert f"expected at least 64 px a side, received {width} x {height} px; upload the original" in str(rejected)


def test_64_pixels_a_side_are_enough() -> None:
    assert MIN_SIDE == 64
    assert decode_image(file_of(Image.new("RGB", (64, 64), RED), "PNG")).tolist() == [[list(RED)] * 64] * 64


# Files that are converted


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_content_counts_not_the_file_name(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "lesion.pdf"
    path.write_bytes(file_of(quarters(), file_format))
    image = decode_image(path.read_bytes())
    assert (image.shape, image.dtype) == ((80, 120, 3), np.uint8)
    assert corner_colours(image) == [RED, GREEN, BLUE, WHITE]


# What the camera stored (the upright image undone) for each EXIF orientation, by the standard's own description.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_turned_upright(orientation: int, file_format: str) -> None:
    upright = quarters()
    method = STORED[orientation]
    stored = upright if method is None else upright.transpose(method)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = decode_image(file_of(stored, file_format, exif=exif))
    assert image.shape == (80, 120, 3)
    assert corner_colours(image) == [RED, GREEN, BLUE, WHITE]


def test_orientation_6_by_hand() -> None:
    """A phone held upright stores the scene lying on its left side: the stored left column is the upright top row."""
    stored = np.zeros((80, 100, 3), dtype=np.uint8)
    stored[:, :50] = RED
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = decode_image(file_of(Image.fromarray(stored), "PNG", exif=exif))
    assert image.shape == (100, 80, 3)
    assert (image[:50] == RED).all()
    assert (image[50:] == 0).all()


def test_unknown_orientation_is_left_as_it_is() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    assert corner_colours(decode_image(file_of(quarters(), "PNG", exif=exif))) == [RED, GREEN, BLUE, WHITE]


def test_orientation_is_read_beside_a_tag_of_an_unexpected_type() -> None:
    """`ImageOps.exif_transpose` raises on this: it writes the model name (tag 272), here a number, anew as text."""
    entries = struct.pack(">HHIHH", 274, 3, 1, 6, 0) + struct.pack(">HHIf", 34855, 11, 1, 2.5)
    entries = struct.pack(">HHIf", 272, 11, 1, 1.5) + entries
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 3) + entries + bytes(4)
    assert decode_image(file_of(quarters(), "JPEG", exif=exif)).shape == (120, 80, 3)


def test_place_and_camera_do_not_survive() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretCamera"
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 12.0, 30.0)}
    content = file_of(quarters(), "JPEG", exif=exif)
    assert b"SecretCamera" in content
    assert Image.open(io.BytesIO(content)).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    image = decode_image(content)
    # A plain array has no room for metadata, and no hidden text in its pixels.
    assert type(image) is np.ndarray
    assert b"SecretCamera" not in image.tobytes()
    stored_again = file_of(Image.fromarray(image), "JPEG")
    assert not Image.open(io.BytesIO(stored_again)).getexif()


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(file_format: str) -> None:
    # No cyan, full magenta and yellow, no black: red.
    image = decode_image(file_of(Image.new("CMYK", (80, 80), (0, 255, 255, 0)), file_format))
    assert image.shape == (80, 80, 3)
    assert np.abs(image.astype(int) - RED).max() <= 3


@pytest.mark.parametrize(("stored", "shown"), [(0, 0), (255, 0), (256, 1), (32_768, 128), (65_535, 255)])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_high_byte(file_format: str, stored: int, shown: int) -> None:
    """Also a dark image: 255 of 65,535 is black, not white."""
    content = file_of(Image.fromarray(np.full((70, 70), stored, dtype=np.uint16)), file_format)
    assert np.unique(decode_image(content)).tolist() == [shown]


def test_16_bit_big_endian_tiff() -> None:
    image = Image.new("I;16B", (70, 70))
    image.frombytes(np.full((70, 70), 0x80FF, dtype=">u2").tobytes())
    assert np.unique(decode_image(file_of(image, "TIFF"))).tolist() == [0x80]


def test_16_bit_colour_png() -> None:
    # Pillow cannot write one: rows of 70 pixels, three 16-bit numbers each, after a filter byte of 0.
    header = struct.pack(">IIBBBBB", 70, 70, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">HHH", 0xC8FF, 0x6400, 0x0000) * 70
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    content += png_chunk(b"IDAT", zlib.compress(row * 70)) + png_chunk(b"IEND", b"")
    assert np.unique(decode_image(content).reshape(-1, 3), axis=0).tolist() == [[0xC8, 0x64, 0]]


@pytest.mark.parametrize(
    ("left", "right", "shown_left", "shown_right"),
    [
        (0.0, 1.0, 0, 255),  # 0 to 1
        (51.0, 255.0, 51, 255),  # 0 to 255
        (13_107.0, 65_535.0, 51, 255),  # 0 to 65,535: a fifth of it is a fifth of 255
        (-4.0, 0.5, 0, 128),  # nothing is darker than black; 127.5 rounds to the even 128
        (float("nan"), 1.0, 0, 255),
    ],
)
def test_floating_tiff(left: float, right: float, shown_left: int, shown_right: int) -> None:
    values = np.full((64, 64), left, dtype=np.float32)
    values[:, 32:] = right
    image = decode_image(file_of(Image.fromarray(values), "TIFF"))
    assert np.unique(image[:, :32]).tolist() == [shown_left]
    assert np.unique(image[:, 32:]).tolist() == [shown_right]


def test_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (32, 0, 64, 64))
    decoded = decode_image(file_of(image, "PNG", transparency=1))
    assert (decoded[:, :32] == RED).all()
    assert (decoded[:, 32:] == WHITE).all()


def test_palette_without_transparency() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([*BLUE])
    assert (decode_image(file_of(image, "PNG")) == BLUE).all()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(file_format: str) -> None:
    image = Image.new("RGBA", (64, 66), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 64, 22))
    image.paste((255, 0, 0, 51), (0, 22, 64, 44))
    decoded = decode_image(file_of(image, file_format, **({"lossless": True} if file_format == "WEBP" else {})))
    assert (decoded[:22] == RED).all()
    # A fifth of red on white: green and blue keep four fifths, 204 of 255.
    assert (decoded[22:44] == (255, 204, 204)).all()
    assert (decoded[44:] == WHITE).all()


def test_grey_with_alpha_is_laid_on_white() -> None:
    image = Image.new("LA", (64, 64), (100, 0))
    image.paste((100, 255), (0, 0, 64, 32))
    decoded = decode_image(file_of(image, "PNG"))
    assert (decoded[:32] == 100).all()
    assert (decoded[32:] == 255).all()


def test_transparent_colour_of_an_rgb_png_is_laid_on_white() -> None:
    decoded = decode_image(file_of(quarters(), "PNG", transparency=BLUE))
    assert corner_colours(decoded) == [RED, GREEN, WHITE, WHITE]


@pytest.mark.parametrize(("mode", "value", "shown"), [("L", 137, 137), ("1", 1, 255)])
def test_grey_becomes_three_equal_channels(mode: str, value: int, shown: int) -> None:
    image = decode_image(file_of(Image.new(mode, (64, 64), value), "PNG"))
    assert image.shape == (64, 64, 3)
    assert (image == shown).all()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_first_of_several_pages_is_taken(file_format: str) -> None:
    pages = [Image.new("RGB", (64, 64), BLUE), Image.new("RGB", (64, 64), GREEN)]
    content = file_of(Image.new("RGB", (80, 64), RED), "TIFF", save_all=True, append_images=pages)
    if file_format != "TIFF":
        options = {"save_all": True, "append_images": pages, "duration": 100}
        content = file_of(Image.new("RGB", (64, 64), RED), file_format, **options)
    assert len(list(ImageSequence.all_frames(Image.open(io.BytesIO(content))))) == 3
    image = decode_image(content)
    assert image.shape == (64, 80 if file_format == "TIFF" else 64, 3)
    assert np.abs(image.astype(int) - RED).max() <= 3


# How an image is laid under the network


@pytest.mark.parametrize(
    ("height", "width", "framing", "seen"),
    [
        # 4:3 as it is.
        (450, 600, Framing(450, 600, False, 0, 0, 600, 450), 1.0),
        (240, 320, Framing(240, 320, False, 0, 0, 320, 240), 1.0),
        # 3:2 loses 1/9 at the sides: 400 x 4 / 3 = 533 of 600 wide, (600 - 533) // 2 = 33 left out.
        (400, 600, Framing(400, 600, False, 33, 0, 533, 400), 533 / 600),
        # Square loses a quarter, half of it above: 600 x 3 / 4 = 450 high.
        (600, 600, Framing(600, 600, False, 0, 75, 600, 450), 0.75),
        # 16:9 loses a quarter at the sides: 900 x 4 / 3 = 1200 of 1600 wide.
        (900, 1600, Framing(900, 1600, False, 200, 0, 1200, 900), 0.75),
        # Portrait is turned; nothing is lost of 3:4, a quarter of 9:16 (box of the turned image).
        (600, 450, Framing(600, 450, True, 0, 0, 600, 450), 1.0),
        (1600, 900, Framing(1600, 900, True, 200, 0, 1200, 900), 0.75),
        # 2:1 would lose a third: padded to 600 x 3 / 4 = 450 high, (300 - 450) // 2 = -75.
        (300, 600, Framing(300, 600, False, 0, -75, 600, 450), 1.0),
        # Panorama, lying and standing.
        (100, 1000, Framing(100, 1000, False, 0, -325, 1000, 750), 1.0),
        (1000, 100, Framing(1000, 100, True, 0, -325, 1000, 750), 1.0),
    ],
)
def test_frame(height: int, width: int, framing: Framing, seen: float) -> None:
    assert frame(height, width, HEIGHT, WIDTH) == framing
    assert framing.seen_share == pytest.approx(seen)


def test_a_standing_network_turns_lying_images_and_pads_at_the_sides() -> None:
    # Width and height change places throughout; a square is never turned.
    assert frame(450, 600, 256, 192) == Framing(450, 600, True, 0, 0, 450, 600)
    assert frame(600, 450, 256, 192) == Framing(600, 450, False, 0, 0, 450, 600)
    assert frame(600, 300, 256, 192) == Framing(600, 300, False, -75, 0, 450, 600)
    assert not frame(600, 600, 256, 192).is_turned


def test_4_to_3_is_only_resized() -> None:
    image = np.asarray(quarters(640, 480))
    network_input, framing = to_network_input(image, HEIGHT, WIDTH)
    assert (network_input.shape, network_input.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert corner_colours(network_input) == [RED, GREEN, BLUE, WHITE]
    assert framing == Framing(480, 640, False, 0, 0, 640, 480)


def test_image_of_the_network_s_size_is_not_changed() -> None:
    image = np.asarray(noise(WIDTH, HEIGHT))
    np.testing.assert_array_equal(to_network_input(image, HEIGHT, WIDTH)[0], image)


def test_portrait_is_turned_counter_clockwise() -> None:
    """Turned to the left, the right edge comes to the top: green, white above, red, blue below."""
    network_input, _ = to_network_input(np.asarray(quarters(384, 512)), HEIGHT, WIDTH)
    assert corner_colours(network_input) == [GREEN, WHITE, RED, BLUE]


def test_square_loses_a_strip_above_and_below() -> None:
    # 800 x 800: rows 100 to 700 are seen, so a mark on the first and last 90 rows is not.
    image = np.full((800, 800, 3), 200, dtype=np.uint8)
    image[:90] = image[-90:] = 0
    assert (to_network_input(image, HEIGHT, WIDTH)[0] == 200).all()
    image[:200] = 0
    network_input, _ = to_network_input(image, HEIGHT, WIDTH)
    # Rows 100 to 200 of 600 seen ones are the first sixth: 32 of 192. Bicubic blurs two or three at the edge, and the
    # JPEG on the way rings by a few grey levels within its blocks of 16, which are 13 rows here.
    assert (network_input[:29] <= 12).all() and (network_input[35:] >= 188).all()
    assert (network_input[:16] == 0).all() and (network_input[48:] == 200).all()


def test_16_to_9_loses_a_strip_on_the_left_and_right() -> None:
    image = np.full((900, 1600, 3), 200, dtype=np.uint8)
    image[:, :190] = image[:, -190:] = 0
    assert (to_network_input(image, HEIGHT, WIDTH)[0] == 200).all()


def test_panorama_is_padded_with_its_mean_colour() -> None:
    # Half 100, half 200: padded with 150. 300 of 450 rows are image: 128 of 192, 32 rows of padding on either side.
    image = np.full((300, 600, 3), 100, dtype=np.uint8)
    image[:, 300:] = 200
    network_input, _ = to_network_input(image, HEIGHT, WIDTH)
    assert (network_input[:32] == 150).all()
    assert (network_input[160:] == 150).all()
    assert (network_input[32:160, :120] == 100).all()
    assert (network_input[32:160, 136:] == 200).all()


@pytest.mark.parametrize("is_standing", [False, True])
def test_narrow_panorama_is_never_padded_at_its_own_size(monkeypatch: pytest.MonkeyPatch, is_standing: bool) -> None:
    """64 x 60,000 pixels fit in 5 kB of PNG; padded at that size they would take 10 GB."""
    built: list[tuple[int, int]] = []
    new, resize = Image.new, Image.Image.resize

    def recording_new(mode: str, size: tuple[int, int], *rest: Any) -> Image.Image:
        assert size[0] * size[1] <= 64 * 60_000
        built.append(size)
        return new(mode, size, *rest)

    def recording_resize(image: Image.Image, size: tuple[int, int], *rest: Any, **options: Any) -> Image.Image:
        assert size[0] * size[1] <= 64 * 60_000
        built.append(size)
        return resize(image, size, *rest, **options)

    monkeypatch.setattr(Image, "new", recording_new)
    monkeypatch.setattr(Image.Image, "resize", recording_resize)
    image = np.full((64, 60_000, 3), 90, dtype=np.uint8)
    image = np.rot90(image) if is_standing else image
    network_input, framing = to_network_input(image, HEIGHT, WIDTH)
    heat = to_image_pixels(np.ones((6, 8), dtype=np.float32), framing)
    # 64 rows of 45,000 are a quarter of one of the input's 192: one row is kept, so that something is seen.
    assert (256, 1) in built
    assert (60_000, 64) in built
    assert (network_input == 90).all()
    assert heat.shape == image.shape[:2]
    assert heat == pytest.approx(1)


def test_input_is_not_written_to() -> None:
    for height, width in ((72, 96), (96, 72), (80, 80), (64, 200)):
        image = np.asarray(noise(width, height)).copy()
        before = image.copy()
        to_network_input(image, HEIGHT, WIDTH)
        np.testing.assert_array_equal(image, before)


# The way back


def corners(heat: np.ndarray) -> list[float]:
    """Mean heat of the corner eighths: top left, top right, bottom left, bottom right."""
    height, width = heat.shape
    y, x = height // 8, width // 8
    return [float(part.mean()) for part in (heat[:y, :x], heat[:y, -x:], heat[-y:, :x], heat[-y:, -x:])]


def hot_cell(row: int, column: int) -> np.ndarray:
    heatmap = np.zeros((6, 8), dtype=np.float32)
    heatmap[row, column] = 1
    return heatmap


@pytest.mark.parametrize(("row", "column", "corner"), [(0, 0, 0), (0, 7, 1), (5, 0, 2), (5, 7, 3)])
@pytest.mark.parametrize(("height", "width"), [(450, 600), (600, 600), (900, 1600)])
def test_hot_corner_of_a_lying_or_cropped_image_stays_in_its_corner(
    row: int, column: int, corner: int, height: int, width: int
) -> None:
    framing = frame(height, width, HEIGHT, WIDTH)
    heat = to_image_pixels(hot_cell(row, column), framing)
    assert (heat.shape, heat.dtype) == ((height, width), np.float32)
    turned_height, turned_width = height, width
    seen = heat[
        framing.top : turned_height - framing.top or turned_height,
        framing.left : turned_width - framing.left or turned_width,
    ]
    found = corners(seen)
    assert int(np.argmax(found)) == corner
    assert found[corner] > 0.5
    assert sum(found) - found[corner] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("row", "column", "corner"),
    # The image was turned to the left, so what is on the map's top left was the image's top right corner.
    [(0, 0, 1), (0, 7, 3), (5, 0, 0), (5, 7, 2)],
)
def test_hot_corner_of_a_turned_portrait(row: int, column: int, corner: int) -> None:
    heat = to_image_pixels(hot_cell(row, column), frame(600, 450, HEIGHT, WIDTH))
    assert heat.shape == (600, 450)
    found = corners(heat)
    assert int(np.argmax(found)) == corner
    assert found[corner] > 0.5


@pytest.mark.parametrize(("height", "width"), [(450, 600), (600, 450), (600, 600), (900, 1600), (300, 600), (600, 300)])
@pytest.mark.parametrize(("y_share", "x_share"), [(0.35, 0.3), (0.35, 0.7), (0.65, 0.3), (0.65, 0.7)])
def test_the_heat_lies_where_the_network_saw_the_lesion(
    height: int, width: int, y_share: float, x_share: float
) -> None:
    """There and back: a spot on the image, its place on the input, a map of that place, its place on the image."""
    y, x = round(height * y_share), round(width * x_share)
    radius = min(height, width) // 12
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    image[y - radius : y + radius, x - radius : x + radius] = 0
    network_input, framing = to_network_input(image, HEIGHT, WIDTH)
    darkness = (255 - network_input[..., 0].astype(np.float32)) / 255
    darkness[darkness < 0.5] = 0  # not the padding, which is a little darker than white
    cells = darkness.reshape(6, 32, 8, 32).mean(axis=(1, 3))
    heat = to_image_pixels(cells, framing)
    found_y, found_x = np.unravel_index(int(np.argmax(heat)), heat.shape)
    # The map is no finer than a cell.
    cell = framing.width / 8
    assert abs(found_y - y) < 0.75 * cell
    assert abs(found_x - x) < 0.75 * cell


def test_no_heat_where_the_network_saw_nothing() -> None:
    heat = to_image_pixels(np.ones((6, 8), dtype=np.float32), frame(600, 600, HEIGHT, WIDTH))
    assert (heat[:75] == 0).all()
    assert (heat[525:] == 0).all()
    assert heat[75:525] == pytest.approx(1)


def test_heat_on_the_padding_is_cut_off() -> None:
    # 300 x 600 in a box of 450 x 600: the outer sixths of the map (one row of six each) lie on padding.
    on_padding = np.zeros((6, 8), dtype=np.float32)
    on_padding[0] = on_padding[5] = 1
    heat = to_image_pixels(on_padding, frame(300, 600, HEIGHT, WIDTH))
    assert heat.shape == (300, 600)
    # Half a cell is 37.5 pixels: the image's middle is farther than two cells from the padding.
    assert heat[120:180] == pytest.approx(0, abs=1e-6)
    inside = np.zeros((6, 8), dtype=np.float32)
    inside[1:5] = 1
    assert to_image_pixels(inside, frame(300, 600, HEIGHT, WIDTH))[120:180] == pytest.approx(1, abs=1e-6)


def test_heatmap_is_not_written_to() -> None:
    heatmap = hot_cell(2, 3)
    to_image_pixels(heatmap, frame(600, 450, HEIGHT, WIDTH))
    np.testing.assert_array_equal(heatmap, hot_cell(2, 3))


# Light overlays


def test_scaled_by_hand() -> None:
    assert frame(900, 1600, HEIGHT, WIDTH).scaled(800) == Framing(450, 800, False, 100, 0, 600, 450)
    assert frame(1600, 900, HEIGHT, WIDTH).scaled(800) == Framing(800, 450, True, 100, 0, 600, 450)
    assert frame(100, 1000, HEIGHT, WIDTH).scaled(500) == Framing(50, 500, False, 0, -162, 500, 375)


def test_scaled_never_enlarges() -> None:
    framing = frame(450, 600, HEIGHT, WIDTH)
    assert framing.scaled(600) is framing
    assert framing.scaled(5000) is framing


@pytest.mark.parametrize(
    ("height", "width"), [(900, 1200), (1200, 900), (1600, 1600), (900, 1600), (600, 1200), (1200, 600)]
)
def test_scaled_map_is_the_full_map_made_small(height: int, width: int) -> None:
    framing = frame(height, width, HEIGHT, WIDTH)
    heatmap = np.random.default_rng(2).random((6, 8), dtype=np.float32)
    full = to_image_pixels(heatmap, framing)
    small = to_image_pixels(heatmap, framing.scaled(max(height, width) // 4))
    assert small.shape == (height // 4, width // 4)
    means = full.reshape(height // 4, 4, width // 4, 4).mean(axis=(1, 3))
    # The sizes divide by 4, so both boxes begin on the edge of a small pixel.
    assert np.abs(means - small).max() < 0.02


def test_scaled_panorama_keeps_at_least_one_pixel() -> None:
    # 64 x 700 / 60,000 = 0.7 would round to 1, but 64 x 300 / 60,000 = 0.3 to none.
    scaled = frame(64, 60_000, HEIGHT, WIDTH).scaled(300)
    assert to_image_pixels(np.ones((6, 8), dtype=np.float32), scaled) == pytest.approx(np.ones((1, 300)))
