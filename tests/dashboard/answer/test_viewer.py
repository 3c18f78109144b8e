"""The heatmap viewer: what it says of the image that it shows."""

from __future__ import annotations

import io

import pytest
from PIL import ExifTags, Image

from tests.support.review import SAMPLE, give_own_read, opened_page, sent, upload


@pytest.fixture(scope="module")
def phone_photograph() -> bytes:
    """A sample as a phone held upright stores it: 4032 x 3024 pixels, turned by its EXIF orientation."""
    with Image.open(SAMPLE) as sample:
        large = sample.resize((4032, 3024))
    exif = large.getexif()
    exif[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    large.save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_size_on_screen_is_that_of_the_uploaded_file(phone_photograph: bytes) -> None:
    page = upload(opened_page(), ("phone.jpg", phone_photograph))
    assert '"size": "3024 x 4032 px"' in sent(page).replace('\\"', '"')
    assert '"size": "3024 x 4032 px"' in sent(give_own_read(page)).replace('\\"', '"')
