"""Where the images of saved cases lie: a folder, or `s3://bucket/prefix`, behind one small interface."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.cases.case import StoredImage
from data.cases.stores.folder import (
    FolderStore,
    ImageAltered,
    ImageMissing,
    ImageStore,
    StorageUnavailable,
    UploadForm,
)
from data.cases.stores.s3 import ENCRYPTIONS, S3Store, s3_client

__all__ = [
    "ENCRYPTIONS",
    "FolderStore",
    "ImageAltered",
    "ImageMissing",
    "ImageStore",
    "S3Store",
    "StorageUnavailable",
    "UploadForm",
    "open_image_store",
    "stored_image",
]

# Mean over the 28 full-size HAM10000 images (600 x 450), one core: level 1 takes 17 ms for 296 KiB, Pillow's default
# (6) takes 81 ms for 253 KiB, level 9 takes 400 ms for 241 KiB. A 12-megapixel phone image would take 3.5 s at level 6.
_COMPRESS_LEVEL = 1


def stored_image(image: NDArray[np.uint8]) -> StoredImage:
    """An image as the store keeps it: PNG with these very pixels and nothing else, no EXIF, GPS, ICC or text.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255, upright.

    Raises:
        ValueError: another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f"expected an RGB image (H, W, 3) uint8, received {image.shape} {image.dtype}; decode it first"
        )
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=_COMPRESS_LEVEL)
    content = file.getvalue()
    return StoredImage(content, hashlib.sha256(content).hexdigest(), width=image.shape[1], height=image.shape[0])


def open_image_store(location: str, endpoint_url: str | None = None, encryption: str = "AES256") -> ImageStore:
    """The image store at a place. Nothing is read, written or connected to yet.

    Args:
        location: a folder (made at the first save), or `s3://bucket/prefix`.
        endpoint_url: of an S3-compatible store, for example `https://storage.googleapis.com`; None for AWS.
            Credentials and region come from boto3's own chain.
        encryption: one of `ENCRYPTIONS`, which every upload to a bucket asks for.

    Raises:
        ValueError: an empty location, no bucket, or another scheme.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        if not location:
            raise ValueError("expected a folder or s3://bucket/prefix, received nothing; set IMAGE_STORE")
        return FolderStore(Path(location))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(
            f"expected a folder or s3://bucket/prefix, received {location!r}; for Google Cloud Storage give s3:// and "
            "the endpoint https://storage.googleapis.com"
        )
    prefix = prefix.strip("/")
    client, is_aws = s3_client(endpoint_url), endpoint_url is None
    return S3Store(client, bucket, f"{prefix}/" if prefix else "", is_aws, encryption)
