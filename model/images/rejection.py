"""What an image must be to be looked at, and the error that says what it is instead."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
# What a reader should know of how an image was read: `profile_ignored`, its colour profile is broken or belongs to
# another kind of image; `first_page`, the file holds several.
Remark = Literal["profile_ignored", "first_page"]
# Reason for refusing a file that says that it shows what another task is about.
OTHER_TASK = "other_task"
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000
# A case's image is kept without loss, so it may be larger than the upload: three bytes a pixel and a rest.
MAX_STORED_BYTES = 4 * MAX_PIXELS
MIN_SIDE = 64
# No lesion and no dermatoscope gives a picture longer than this; a strip of 300,000 pixels fits in 48 kB of PNG.
MAX_ASPECT = 100


class ImageRejected(Exception):
    """An upload that cannot be used.

    Attributes:
        reason: a code for logs and tables: `empty`, `too_many_bytes`, `not_an_image`, `too_many_pixels`, `too_narrow`,
            `too_small`, `damaged`, `too_costly`, of TIFF files `unsupported_tiff`, of DICOM files `burnt_in_text` or
            `unsupported_dicom`, and `other_task` where one shows what another task's models judge.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_size(width: int, height: int) -> None:
    """Whether an image of this size, in pixels, may be decoded; raises `ImageRejected` where it may not."""
    if width * height > MAX_PIXELS:
        raise ImageRejected(
            "too_many_pixels",
            f"expected at most {MAX_PIXELS // 1_000_000} megapixels, received {width} x {height} px; "
            "upload a smaller export",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageRejected(
            "too_narrow",
            f"expected sides of at most 1 : {MAX_ASPECT}, received {width} x {height} px; upload the original image",
        )
    if min(width, height) < MIN_SIDE:
        raise ImageRejected(
            "too_small",
            f"expected at least {MIN_SIDE} px a side, received {width} x {height} px; upload the original image",
        )
