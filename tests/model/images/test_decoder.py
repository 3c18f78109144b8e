"""What decoding may take: ordinary files are decoded here, everything else in a child that ends when it takes more."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
from PIL import Image

from model.images import decoder as decoder_module
from model.images import decoding
from model.images.decoder import MAX_CPU_SECONDS, Decoder, DecoderFailed
from model.images.decoding import decode_image, open_image
from model.images.ordinary import is_ordinary
from model.images.reading import OpenedImage, read_image
from model.images.rejection import ImageRejected
from tests.support.dicom import dicom_file, lesion
from tests.support.files import costly
from tests.support.files.costly import MB, file_of, picture

ROOT = Path(__file__).resolve().parents[3]
# Each of a kind that cost seconds, minutes or gigabytes, made small enough to be made quickly.
COSTLY: dict[str, Callable[[], bytes]] = {
    "fill bytes": partial(costly.jpeg_behind_fill_bytes, 100),
    "segments": partial(costly.jpeg_of_small_segments, 300),
    "scans": partial(costly.jpeg_of_repeated_scans, 20, 256, 256),
    "EXIF in JPEG": partial(costly.jpeg_with_exif_of_overlapping_tags, 2),
    "profile in JPEG": lambda: costly.jpeg_with_profile(costly.profile_of_many_steps(2000)),
    "49 megapixels of JPEG": lambda: file_of(Image.new("L", (7000, 7000)), "JPEG"),
    "profile in PNG": lambda: costly.png_with_profile(costly.profile_of_many_steps(2000)),
    "chunks": partial(costly.png_of_many_chunks, 10_000),
    "EXIF in PNG": partial(costly.png_with_overlapping_tags, MB),
    "49 megapixels of PNG": lambda: file_of(Image.new("1", (7000, 7000)), "PNG"),
    "strips": partial(costly.tiff_of_many_strips, 1000, 100, 1000),
    "tiles": partial(costly.tiff_of_many_tiles, 400),
    "pages": partial(costly.tiff_of_many_pages, 100),
    "overlapping tags": partial(costly.tiff_of_overlapping_tags, MB),
    "runs": partial(costly.bmp_of_runs, 100, 100),
    "WebP": lambda: file_of(picture(), "WEBP"),
    "frames": partial(costly.webp_of_many_frames, 5),
    "meta elements": partial(costly.dicom_of_many_meta_elements, 100),
    "elements": partial(costly.dicom_of_many_elements, 60_000),
    "deflated elements": partial(costly.dicom_of_many_elements, 60_000, "1.2.840.10008.1.2.1.99"),
    "sequences": partial(costly.dicom_of_nested_sequences, 5000),
    "tiles of JPEG 2000": partial(costly.dicom_of_jpeg_2000, 256, 16),
}


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(cpu_seconds=1)
    yield decoder
    decoder.close()


def refusal_by(decoder: Decoder, content: bytes, seconds: float = 60) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decoder.open(content, seconds)
    return caught.value


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# --- Where a file is decoded -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COSTLY)
def test_whatever_may_be_costly_is_decoded_by_the_child(kind: str) -> None:
    assert not is_ordinary(COSTLY[kind]())


def test_what_cameras_and_programs_write_is_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_DECODER", None)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = costly.icc_profile({})
    for content in (
        *(path.read_bytes() for path in sorted((ROOT / "data" / "sample").glob("*.jpg"))),
        file_of(picture(), "JPEG", progressive=True, exif=exif, icc_profile=profile),
        file_of(picture(4000, 3000), "JPEG", quality=30),
        file_of(picture(), "PNG", exif=exif, icc_profile=profile),
        file_of(picture(mode="RGBA"), "PNG"),
        file_of(picture(mode="P"), "PNG"),
    ):
        assert decode_image(content).shape[2] == 3
    for content in (b"%PDF-1.7", b"GIF89a", b"\xff\xd8"):
        with pytest.raises(ImageRejected, match="upload the image file itself"):
            open_image(content)


def test_no_more_are_decoded_here_at_once_than_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, may_end, most = threading.Semaphore(0), threading.Event(), max(2, os.cpu_count() or 1)

    def read(content: bytes) -> OpenedImage:
        counted.release()
        assert may_end.wait(60)
        return read_image(content)

    monkeypatch.setattr(decoding, "read_image", read)
    with ThreadPoolExecutor(most + 3) as pool:
        futures = [pool.submit(decode_image, file_of(picture(), "PNG")) for _ in range(most + 3)]
        assert all(counted.acquire(timeout=60) for _ in range(most))
        assert not counted.acquire(timeout=0.3)
        may_end.set()
        assert [future.result(60).shape for future in futures] == [(480, 640, 3)] * (most + 3)


@pytest.mark.parametrize("file_format", ["TIFF", "BMP", "WEBP"])
def test_child_gives_the_pixels_that_this_process_would(decoder: Decoder, file_format: str) -> None:
    content = file_of(picture(), file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    assert decoder.pid is None
    np.testing.assert_array_equal(decoder.open(content).image, np.asarray(picture()))
    assert decoder.pid is not None


def test_child_tells_what_a_file_says_of_the_patient_and_how_it_was_read(decoder: Decoder) -> None:
    opened, here = decoder.open(dicom_file(ICCProfile=b"broken")), read_image(dicom_file(ICCProfile=b"broken"))
    np.testing.assert_array_equal(opened.image, lesion())
    assert (opened.dicom, opened.remarks) == (here.dicom, here.remarks)
    assert opened.remarks == ("profile_ignored",) and opened.dicom is not None and opened.dicom.age == 61


def test_child_refuses_in_the_words_of_this_process(decoder: Decoder) -> None:
    content = file_of(picture(32, 32), "BMP")
    with pytest.raises(ImageRejected) as here:
        read_image(content)
    assert (refusal_by(decoder, content).reason, str(refusal_by(decoder, content))) == ("too_small", str(here.value))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_file_that_is_cut_anywhere_in_its_headers_is_refused_by_name(file_format: str) -> None:
    whole = file_of(picture(), file_format, icc_profile=costly.icc_profile({}))
    for length in range(1, 1200):
        assert isinstance(is_ordinary(whole[:length]), bool)
    for length in (100, 160, 165, 170, 700):
        with pytest.raises(ImageRejected):
            decode_image(whole[:length])


# --- What headers tell -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (costly.jpeg_behind_fill_bytes(2 * MB), "a damaged or truncated JPEG"),
        (costly.jpeg_of_small_segments(6000), "a damaged or truncated JPEG"),
        (costly.dicom_of_many_meta_elements(20_000), "a damaged or truncated DICOM file"),
    ],
    ids=["fill bytes", "segments", "meta elements"],
)
def test_headers_that_no_program_writes_are_refused_unread(content: bytes, received: str) -> None:
    with pytest.raises(ImageRejected, match=received):
        read_image(content)


def test_pages_behind_the_first_are_not_read() -> None:
    opened = read_image(costly.tiff_of_many_pages(1000))  # all of them broken
    assert (opened.image.shape, opened.remarks) == ((100, 100, 3), ("first_page",))


def test_scans_of_a_large_image_are_fewer() -> None:
    with pytest.raises(ImageRejected, match="of 7000 x 7000 px of up to 32 scans, received"):
        read_image(costly.jpeg_of_repeated_scans(30))


def test_jpeg_with_fill_bytes_as_the_standard_allows_them_is_read() -> None:
    whole = file_of(picture(), "JPEG")
    np.testing.assert_array_equal(decode_image(whole[:2] + b"\xff" * 40 + whole[2:]), decode_image(whole))


# --- What it may take ------------------------------------------------------------------------------------------------


def test_time_by_the_clock_is_limited_and_the_work_ends(decoder: Decoder) -> None:
    decoder.open(file_of(picture(), "BMP"))
    pid = decoder.pid
    assert pid is not None
    rejected = refusal_by(decoder, costly.png_with_profile(costly.profile_of_many_steps(100_000)), seconds=0.2)
    assert rejected.reason == "too_costly"
    assert f"at most {MAX_CPU_SECONDS} s" in str(rejected) and "export it again" in str(rejected)
    assert is_gone(pid)


def test_time_of_the_processor_is_limited_and_the_next_image_is_read(decoder: Decoder) -> None:
    costs_minutes = costly.png_with_profile(costly.profile_of_many_steps())
    assert refusal_by(decoder, costs_minutes).reason == "too_costly"
    np.testing.assert_array_equal(decoder.open(file_of(picture(), "BMP")).image, np.asarray(picture()))


def test_memory_is_limited_and_the_next_image_is_read() -> None:
    decoder = Decoder(memory=300 * MB)
    try:
        assert refusal_by(decoder, costly.tiff_bomb()).reason == "too_costly"
        np.testing.assert_array_equal(decoder.open(file_of(picture(), "BMP")).image, np.asarray(picture()))
    finally:
        decoder.close()


def test_child_has_no_more_than_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "memory_here", lambda: 600 * MB)
    decoder = Decoder()
    try:
        decoder.open(file_of(picture(), "BMP"))
        limits = Path(f"/proc/{decoder.pid}/limits").read_text(encoding="ascii")
    finally:
        decoder.close()
    assert f"Max data size             {300 * MB} " in limits


def test_file_that_brings_the_child_down_is_damaged(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    exchanged = decoder_module._exchanged

    def exchanged_with_the_dead(process: Popen[bytes], content: bytes, seconds: float) -> OpenedImage:
        os.kill(process.pid, signal.SIGSEGV)  # as a broken library ends
        return exchanged(process, content, seconds)

    monkeypatch.setattr(decoder_module, "_exchanged", exchanged_with_the_dead)
    assert refusal_by(decoder, file_of(picture(), "BMP")).reason == "damaged"
    monkeypatch.undo()
    assert decoder.open(file_of(picture(), "BMP")).image.shape == (480, 640, 3)


def test_child_that_ended_for_want_of_work_is_started_again(decoder: Decoder) -> None:
    decoder.open(file_of(picture(), "BMP"))
    process = decoder._process
    assert process is not None and process.stdin is not None
    # It ends where nothing comes any more; its own clock would take a minute.
    process.stdin.close()
    process.wait(60)
    decoder.open(file_of(picture(), "BMP"))
    assert decoder.pid not in (None, process.pid)


def test_child_knows_no_secret_of_its_parent(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_KEY", "of the case log")
    decoder.open(file_of(picture(), "BMP"))
    environment = Path(f"/proc/{decoder.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in environment and b"CASE_KEY" not in environment


def test_child_that_cannot_start_is_no_fault_of_the_image(monkeypatch: pytest.MonkeyPatch, decoder: Decoder) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(DecoderFailed):
        decoder.open(file_of(picture(), "BMP"))
