"""DICOM uploads: files of every accepted encoding made by pydicom, and everything that is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from dashboard.review.wording import rejection
from data.cases.storage import stored_image
from model.images import dicom
from model.images.decoding import decode_image, open_image
from model.images.dicom import DicomFacts, read_dicom
from model.images.rejection import MAX_BYTES, ImageRejected
from tests.support.dicom import COLUMNS, ROWS, SECRETS, dicom_file, lesion, written

# Exact in RGB; within this of it after a way through YCbCr or a lossy frame.
NEAR = 4


def ycbcr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).convert("YCbCr"))


def compressed(file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(lesion()).save(buffer, file_format, **options)
    return encapsulate([buffer.getvalue()])


def rle_file(photometric: str, samples: NDArray[np.uint8]) -> bytes:
    """Packed by pydicom, which is not what unpacks it."""
    dataset = dcmread(io.BytesIO(dicom_file(PhotometricInterpretation=photometric, PixelData=samples.tobytes())))
    dataset.compress(uid.RLELossless)
    return written(dataset)


def refusal_of(content: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode_image(content)
    return caught.value


# Files that are read


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize(
    "kind",
    [
        uid.DermoscopicPhotographyImageStorage,
        uid.OphthalmicPhotography8BitImageStorage,
        uid.VLPhotographicImageStorage,
    ],
)
def test_plain_pixels_are_read_as_they_are(syntax: str, kind: str) -> None:
    image = decode_image(dicom_file(syntax, SOPClassUID=kind))
    assert (image.dtype, image.shape) == (np.uint8, (ROWS, COLUMNS, 3))
    np.testing.assert_array_equal(image, lesion())


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("is_planar", [False, True])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_samples_of_16_bits_are_brought_to_8(syntax: str, bits: int, is_planar: bool) -> None:
    """Black stays black, the brightest that fits into the stored bits is white; what lies above them is not read."""
    most = 2**bits - 1
    levels = np.round(lesion() / 255 * most).astype("<u2")
    levels[0, 0], levels[0, 1] = 0, most
    stored = (np.moveaxis(levels, -1, 0) if is_planar else levels) | (0 if bits == 16 else 1 << bits)
    content = dicom_file(
        syntax, SOPClassUID=uid.OphthalmicPhotography16BitImageStorage, BitsAllocated=16, BitsStored=bits,
        HighBit=bits - 1, PlanarConfiguration=int(is_planar), PixelData=stored.astype("<u2").tobytes(),
    )  # fmt: skip
    expected = lesion().copy()
    expected[0, 0], expected[0, 1] = 0, 255
    np.testing.assert_array_equal(decode_image(content), expected)


def test_own_uids_are_those_of_the_standard() -> None:
    assert dicom.DERMOSCOPIC == uid.DermoscopicPhotographyImageStorage
    assert dicom.OPHTHALMIC_8_BIT == uid.OphthalmicPhotography8BitImageStorage
    assert dicom.OPHTHALMIC_16_BIT == uid.OphthalmicPhotography16BitImageStorage
    assert dicom.VL_PHOTOGRAPHIC == uid.VLPhotographicImageStorage
    assert dicom.SECONDARY_CAPTURE == uid.SecondaryCaptureImageStorage
    assert (dicom.IMPLICIT, dicom.EXPLICIT) == (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
    assert (dicom.DEFLATED, dicom.RLE) == (uid.DeflatedExplicitVRLittleEndian, uid.RLELossless)
    assert list(dicom.PILLOW_FORMATS) == [uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, uid.JPEG2000]


def test_planes_one_after_the_other() -> None:
    planes = np.ascontiguousarray(np.moveaxis(lesion(), -1, 0)).tobytes()
    np.testing.assert_array_equal(decode_image(dicom_file(PlanarConfiguration=1, PixelData=planes)), lesion())


def test_ycbcr_becomes_rgb() -> None:
    content = dicom_file(PhotometricInterpretation="YBR_FULL", PixelData=ycbcr(lesion()).tobytes())
    np.testing.assert_allclose(decode_image(content).astype(int), lesion(), atol=NEAR)


def test_halved_chroma_by_hand() -> None:
    """Y Y Cb Cr of two pixels; of red (76, 85, 255) and of grey 200 (200, 128, 128), by the formula of PS3.3."""
    red, grey = bytes((76, 76, 85, 255)), bytes((200, 200, 128, 128))
    row = red * (COLUMNS // 4) + grey * (COLUMNS // 4)
    image = decode_image(dicom_file(PhotometricInterpretation="YBR_FULL_422", PixelData=row * ROWS)).astype(int)
    assert np.abs(image[:, : COLUMNS // 2] - (255, 0, 0)).max() <= NEAR
    assert np.abs(image[:, COLUMNS // 2 :] - 200).max() <= NEAR


def test_rle() -> None:
    np.testing.assert_array_equal(decode_image(rle_file("RGB", lesion())), lesion())
    np.testing.assert_allclose(decode_image(rle_file("YBR_FULL", ycbcr(lesion()))).astype(int), lesion(), atol=NEAR)


@pytest.mark.parametrize(
    ("syntax", "photometric", "file_format", "options"),
    [
        (uid.JPEGBaseline8Bit, "YBR_FULL_422", "JPEG", {"quality": 95, "subsampling": "4:2:2"}),
        (uid.JPEGBaseline8Bit, "YBR_FULL", "JPEG", {"quality": 95, "subsampling": "4:4:4"}),
        (uid.JPEGBaseline8Bit, "RGB", "JPEG", {"quality": 95, "keep_rgb": True}),
        # Wrong beside a frame of Y, Cb and Cr, and common.
        (uid.JPEGBaseline8Bit, "RGB", "JPEG", {"quality": 95}),
        (uid.JPEG2000Lossless, "YBR_RCT", "JPEG2000", {"no_jp2": True, "mct": 1}),
        (uid.JPEG2000, "YBR_ICT", "JPEG2000", {"no_jp2": True, "mct": 1, "irreversible": True}),
    ],
)
def test_compressed_frames(syntax: str, photometric: str, file_format: str, options: dict[str, Any]) -> None:
    content = dicom_file(syntax, PhotometricInterpretation=photometric, PixelData=compressed(file_format, **options))
    difference = np.abs(decode_image(content).astype(int) - lesion())
    assert difference.mean() < 2
    assert np.percentile(difference, 95) <= 4 * NEAR


def test_secondary_capture_is_read_where_it_denies_text() -> None:
    content = dicom_file(SOPClassUID=uid.SecondaryCaptureImageStorage)
    np.testing.assert_array_equal(decode_image(content), lesion())


def test_nothing_of_the_patient_goes_on_but_age_and_sex() -> None:
    content = dicom_file()
    assert all(secret.encode() in content for secret in SECRETS)
    read = read_dicom(content)
    assert read.facts == DicomFacts(61.0, "female", True, uid.DermoscopicPhotographyImageStorage)
    assert type(read.image) is np.ndarray
    assert not any(secret in repr(read.facts) for secret in SECRETS)


def test_stored_image_holds_the_pixels_alone() -> None:
    stored = stored_image(decode_image(dicom_file()))
    np.testing.assert_array_equal(decode_image(stored.content), lesion())
    assert not any(secret.encode() in stored.content for secret in SECRETS)


# Age and sex


@pytest.mark.parametrize(
    ("stated", "years"),
    [("061Y", 61), ("018M", 1.5), ("052W", 52 * 7 / 365.25), ("010D", 10 / 365.25), ("000Y", 0), ("007Y ", 7)],
)
def test_age_as_stated(stated: str, years: float) -> None:
    assert read_dicom(dicom_file(PatientAge=stated)).facts.age == pytest.approx(years)


@pytest.mark.parametrize(
    ("birth", "study", "years"),
    [
        ("19600615", "20200614", 59),
        ("19600615", "20200615", 60),
        ("20200101", "20200101", 0),
        ("19600615", None, None),
        (None, "20200615", None),
        ("20200102", "20200101", None),
        ("18000101", "20200101", None),
        ("", "20200101", None),
    ],
)
def test_age_from_dates(birth: str | None, study: str | None, years: float | None) -> None:
    content = dicom_file(PatientAge=None, PatientBirthDate=birth, StudyDate=study)
    assert read_dicom(content).facts.age == years


def test_age_that_no_case_may_hold_is_unknown() -> None:
    assert read_dicom(dicom_file(PatientAge="200Y")).facts.age is None


@pytest.mark.parametrize(("stated", "sex"), [("F", "female"), ("M", "male"), ("O", "unknown"), (None, "unknown")])
def test_sex(stated: str | None, sex: str) -> None:
    assert read_dicom(dicom_file(PatientSex=stated)).facts.sex == sex


def test_facts_come_with_the_pixels_and_of_dicom_files_alone() -> None:
    expected = DicomFacts(61.0, "female", True, uid.DermoscopicPhotographyImageStorage)
    assert open_image(dicom_file()).dicom == expected
    assert open_image(stored_image(lesion()).content).dicom is None


# Files that are refused


@pytest.mark.parametrize(
    ("values", "received"),
    [
        ({"BurnedInAnnotation": "YES"}, "one that says it has"),
        ({"BurnedInAnnotation": "YES", "SOPClassUID": uid.SecondaryCaptureImageStorage}, "one that says it has"),
        ({"BurnedInAnnotation": None, "SOPClassUID": uid.SecondaryCaptureImageStorage}, "a Secondary Capture that"),
    ],
)
def test_burnt_in_text_is_refused(values: dict[str, Any], received: str) -> None:
    rejected = refusal_of(dicom_file(**values))
    assert rejected.reason == "burnt_in_text"
    assert received in str(rejected)
    assert "crop the text away" in str(rejected)


def test_dermoscopic_image_that_says_nothing_of_text_is_read_and_that_is_known() -> None:
    assert not read_dicom(dicom_file(BurnedInAnnotation=None)).facts.is_text_excluded


@pytest.mark.parametrize(
    ("values", "received"),
    [
        ({"SOPClassUID": uid.CTImageStorage}, "CT Image Storage"),
        ({"SOPClassUID": uid.MultiFrameTrueColorSecondaryCaptureImageStorage}, "Multi-frame True Color Secondary"),
        ({"SOPClassUID": "1.2.3"}, "an object of another kind"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": 1}, "a grey image"),
        ({"PhotometricInterpretation": "PALETTE COLOR", "SamplesPerPixel": 1}, "colours of another kind"),
        ({"BitsAllocated": 16, "BitsStored": 12, "PixelRepresentation": 1}, "3 of 12 bits, with a sign, in 16"),
        ({"BitsAllocated": 16, "BitsStored": 16, "PhotometricInterpretation": "YBR_FULL"}, "3 of 16 bits in 16"),
        ({"BitsAllocated": 32, "BitsStored": 24}, "3 of 24 bits in 32"),
        ({"SamplesPerPixel": 4}, "4 of 8 bits in 8"),
    ],
)
def test_other_kinds_are_refused_with_words(values: dict[str, Any], received: str) -> None:
    rejected = refusal_of(dicom_file(**values))
    assert rejected.reason == "unsupported_dicom"
    assert f"received {received}" in str(rejected)
    assert str(rejected).endswith("export the image as JPEG or PNG")


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.ExplicitVRBigEndian])
def test_other_encodings_are_refused_with_words(syntax: str) -> None:
    pixels = lesion().tobytes() if syntax == uid.ExplicitVRBigEndian else encapsulate([b"\xff\xd8"])
    assert "received another encoding" in str(refusal_of(dicom_file(syntax, PixelData=pixels)))


def test_colours_that_jpeg_2000_does_not_mark_are_refused() -> None:
    pixels = compressed("JPEG2000", no_jp2=True)
    content = dicom_file(uid.JPEG2000, PhotometricInterpretation="YBR_FULL", PixelData=pixels)
    assert refusal_of(content).reason == "unsupported_dicom"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Rows": 10_001, "Columns": 5_000}, "too_many_pixels"),
        ({"Rows": 63}, "too_small"),
        ({"Rows": None}, "damaged"),
        ({"Rows": [72, 72]}, "damaged"),
        ({"PixelData": None}, "damaged"),
        ({"PixelData": lesion().tobytes()[:-2]}, "damaged"),
        ({"Rows": ROWS + 2}, "damaged"),
        ({"PhotometricInterpretation": "YBR_FULL_422", "PixelData": bytes(100)}, "damaged"),
    ],
)
def test_sizes_are_checked(values: dict[str, Any], reason: str) -> None:
    assert refusal_of(dicom_file(**values)).reason == reason


def test_frame_of_another_size_than_the_tags_say_is_damaged() -> None:
    content = dicom_file(uid.JPEGBaseline8Bit, Rows=ROWS * 2, PixelData=compressed("JPEG"))
    assert refusal_of(content).reason == "damaged"


def test_grey_frame_behind_tags_of_colour_is_damaged() -> None:
    buffer = io.BytesIO()
    Image.fromarray(lesion()).convert("L").save(buffer, "JPEG")
    content = dicom_file(uid.JPEGBaseline8Bit, PixelData=encapsulate([buffer.getvalue()]))
    assert refusal_of(content).reason == "damaged"


def test_deflated_bomb_is_not_laid_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros deflate a thousandfold: 20 MB could take 20 GB."""
    monkeypatch.setattr(dicom, "_MAX_INFLATED", 100_000)
    content = dicom_file(uid.DeflatedExplicitVRLittleEndian, PixelData=bytes(1_000_000))
    assert len(content) < 5_000
    # Here and not in the child, where the limit is what it was.
    with pytest.raises(ImageRejected) as caught:
        dicom.read_dicom(content)
    assert caught.value.reason == "too_many_pixels"


def test_rle_bomb_fills_the_image_and_no_more() -> None:
    # Each plane says 128 times the same byte, far more often than it has room for; runs cross the ends of rows.
    segment = bytes((129, 77)) * 20_000
    header = np.array([3, 64, 64 + len(segment), 64 + 2 * len(segment)] + [0] * 12, "<u4").tobytes()
    image = decode_image(dicom_file(uid.RLELossless, PixelData=encapsulate([header + 3 * segment])))
    np.testing.assert_array_equal(image, np.full((ROWS, COLUMNS, 3), 77))


def test_more_than_20_mb_is_refused_unread() -> None:
    assert refusal_of(dicom_file().ljust(MAX_BYTES + 1, b"\0")).reason == "too_many_bytes"


FILES = {
    "plain": dicom_file(),
    "implicit": dicom_file(uid.ImplicitVRLittleEndian),
    "deflated": dicom_file(uid.DeflatedExplicitVRLittleEndian),
    "rle": rle_file("RGB", lesion()),
    "jpeg": dicom_file(uid.JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422", PixelData=compressed("JPEG")),
}


@pytest.mark.parametrize("name", FILES)
def test_truncated_file_is_refused_and_never_half_shown(name: str) -> None:
    whole = FILES[name]
    for tenth in range(1, 10):
        start = whole[: len(whole) * tenth // 10]
        # A deflated file is all header: cut there, it may end before it says DICOM, or in its transfer syntax.
        expected = {"damaged"} if len(start) > 500 else {"damaged", "not_an_image", "unsupported_dicom"}
        assert refusal_of(start).reason in expected


@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_are_read_or_refused(name: str) -> None:
    """Nothing but `ImageRejected` comes out, whatever 300 files with some bytes changed make the readers do."""
    generator = np.random.default_rng(7)
    outcomes = set()
    for _ in range(300):
        content = np.frombuffer(FILES[name], np.uint8).copy()
        # Half of the changes fall on the tags before the pixels.
        end = 900 if generator.random() < 0.5 else len(content)
        places = generator.integers(132, min(end, len(content)), generator.integers(1, 8))
        content[places] = generator.integers(0, 256, len(places))
        outcomes.add(outcome_of(content.tobytes()))
    assert "damaged" in outcomes


def outcome_of(content: bytes) -> str:
    try:
        assert decode_image(content).shape[2] == 3
    except ImageRejected as rejected:
        return rejected.reason
    return "read"


@pytest.mark.parametrize("values", [{"BurnedInAnnotation": "YES"}, {"NumberOfFrames": 2}])
def test_refusals_have_words_and_name_no_patient(values: dict[str, Any]) -> None:
    text = rejection("scan.dcm", refusal_of(dicom_file(**values)))
    assert len(text) > 80
    assert not any(secret in text for secret in SECRETS)


def test_reading_logs_and_warns_nothing(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    # A name that is too long, an age and a date that are none: pydicom would warn, with the values.
    content = dicom_file().replace(b"061Y", b"6 1Y").replace(b"20200101", b"2020-1-1")
    assert read_dicom(content).facts.age is None
    assert decode_image(content).shape == (ROWS, COLUMNS, 3)
    assert not caplog.records
    assert capsys.readouterr() == ("", "")
