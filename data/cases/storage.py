"""Where the images of saved cases lie: a folder, or `s3://bucket/prefix`, behind one small interface.

A key is the case's UUID and `.png`, nothing a user typed, so an upload never becomes a path. Every read is checked
against the SHA-256 that the case log holds. `model.batch.sources` reads images of other people's
buckets; nothing else speaks S3.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.cases.case import StoredImage

if TYPE_CHECKING:  # boto3 costs 0.2 s to import and botocore is of no use to a folder
    from botocore.client import BaseClient

_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png")
# What a killed write leaves in a folder: the key, a random word, and this.
_PART = ".part"
# Mean over the 28 full-size HAM10000 images (600 x 450), one core: level 1 takes 17 ms for 296 KiB, Pillow's default
# (6) takes 81 ms for 253 KiB, level 9 takes 400 ms for 241 KiB. A 12-megapixel phone image would take 3.5 s at level 6.
_COMPRESS_LEVEL = 1
_CONTENT_TYPE = "image/png"
_CONNECT_SECONDS = 3
_READ_SECONDS = 10
_ATTEMPTS = 2
# An hour at most: whoever holds a presigned URL needs no sign-in.
MAX_URL_SECONDS = 3600
_MISSING = ("NoSuchKey", "404")
_ADVICE = {
    "NoSuchBucket": "create the bucket, or correct IMAGE_STORE",
    "AccessDenied": "let the credentials put, get, delete and list under the prefix",
    "403": "let the credentials put, get, delete and list under the prefix",
    "InvalidAccessKeyId": "check the AWS credentials",
    "SignatureDoesNotMatch": "check the AWS credentials, and the clock of this machine",
    "ExpiredToken": "renew the AWS credentials",
    "InvalidArgument": "the endpoint may not know server-side encryption AES256, which every image asks for",
    "NotImplemented": "the endpoint may not know server-side encryption AES256, which every image asks for",
}


class StorageUnavailable(Exception):
    """The image store cannot be reached or refuses: disk full, no permission, bucket or network away."""


class ImageMissing(Exception):
    """The store has no image under this key."""


class ImageAltered(Exception):
    """The stored bytes are not the ones that were saved: their SHA-256 differs."""


@dataclass(frozen=True)
class UploadForm:
    """An HTML form by which a browser uploads one file straight to S3.

    Attributes:
        url: where to POST.
        fields: to be sent, in this order, before the field `file`. They hold a signature: never log them.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)


class ImageStore(Protocol):
    """Images by key, `{UUID}.png`; any other key raises ValueError. All methods may raise `StorageUnavailable`."""

    def put(self, key: str, image: StoredImage) -> None:
        """Keep the image under the key, whole or not at all; an image already there is replaced."""

    def get(self, key: str, sha256: str) -> bytes:
        """The PNG bytes; raises `ImageMissing`, or `ImageAltered` where their SHA-256 is not `sha256` (hexadecimal)."""

    def delete(self, key: str) -> None:
        """Remove whatever is under the key; nothing happens where nothing is."""

    def keys(self, older_than: datetime) -> Iterator[str]:
        """Keys last written before `older_than` (aware), those of unfinished writes included."""

    def download_url(self, key: str, seconds: int = 300) -> str | None:
        """A URL that anyone may read the image from for so many seconds; None for a folder."""

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> UploadForm | None:
        """A form to upload 1 to `max_bytes` bytes of one content type by; None for a folder.

        What arrives is as the browser sent it, metadata included. So give uploads a store of their own, under a prefix
        whose lifecycle ends them after a day, and keep as a case's image what `stored_image` makes of their pixels.
        """


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


def open_image_store(location: str, endpoint_url: str | None = None) -> ImageStore:
    """The image store at a place. Nothing is read, written or connected to yet.

    Args:
        location: a folder (made at the first save), or `s3://bucket/prefix`.
        endpoint_url: of an S3-compatible store, for example `https://storage.googleapis.com`; None for AWS.
            Credentials and region come from boto3's own chain.

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
    return S3Store(_s3_client(endpoint_url), bucket, f"{prefix}/" if prefix else "", is_aws=endpoint_url is None)


@dataclass(frozen=True)
class FolderStore:
    """Images as files of one folder, readable by their owner only."""

    folder: Path

    def put(self, key: str, image: StoredImage) -> None:
        path = self._path(key)
        with self._failures("write"):
            _make_folder(self.folder)
            _write_whole(path, image.content)

    def get(self, key: str, sha256: str) -> bytes:
        path = self._path(key)
        with self._failures("read"):
            try:
                return _checked(path.read_bytes(), key, sha256)
            except FileNotFoundError as error:
                raise _missing(key) from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._failures("delete"):
            if self.folder.is_dir():
                for found in [path, *self.folder.glob(f"{key}.*{_PART}")]:
                    found.unlink(missing_ok=True)
                _sync_folder(self.folder)

    def keys(self, older_than: datetime) -> Iterator[str]:
        with self._failures("list"):
            paths = self.folder.iterdir() if self.folder.is_dir() else ()
            found = {path.name[:40] for path in paths if _is_of_key(path.name) and _is_older(path, older_than)}
        return iter(sorted(found))

    def download_url(self, key: str, seconds: int = 300) -> None:
        _check_key(key)

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> None:
        _check_key(key)

    def _path(self, key: str) -> Path:
        return self.folder / _check_key(key)

    @contextlib.contextmanager
    def _failures(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(
                f"expected to {verb} images in the folder {self.folder}, received {error.strerror or error}; "
                "check the disk's free space and the folder's permissions, then try again"
            ) from error


@dataclass(frozen=True)
class S3Store:
    """Images as encrypted objects under a prefix of one bucket.

    A bucket with versioning keeps what is deleted here: give it a lifecycle rule that ends old versions.

    Attributes:
        client: boto3's, for S3.
        prefix: empty, or ends with a slash.
        is_aws: whether the endpoint is AWS's own and so takes its checksum headers; Google's refuses them.
    """

    client: BaseClient
    bucket: str
    prefix: str
    is_aws: bool

    def put(self, key: str, image: StoredImage) -> None:
        name = self._name(key)
        digest = base64.b64encode(bytes.fromhex(image.sha256)).decode()
        with self._failures("keep"):
            self.client.put_object(
                Bucket=self.bucket,
                Key=name,
                Body=image.content,
                ContentType=_CONTENT_TYPE,
                ServerSideEncryption="AES256",
                Metadata={"sha256": image.sha256},
                **({"ChecksumSHA256": digest} if self.is_aws else {}),
            )

    def get(self, key: str, sha256: str) -> bytes:
        name = self._name(key)
        with self._failures("give", key):
            content = self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read()
        return _checked(content, key, sha256)

    def delete(self, key: str) -> None:
        name = self._name(key)
        with self._failures("delete"):
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def keys(self, older_than: datetime) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        with self._failures("list"):
            for page in pages:
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self.prefix)
                    if _KEY.fullmatch(key) and entry["LastModified"] < older_than:
                        yield key

    def download_url(self, key: str, seconds: int = 300) -> str:
        parameters = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "ResponseContentType": _CONTENT_TYPE,
            "ResponseContentDisposition": f'attachment; filename="{key}"',
        }
        with self._failures("sign a download of"):
            return self.client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=_check_seconds(seconds), HttpMethod="GET"
            )

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> UploadForm:
        fixed = {"Content-Type": content_type, "x-amz-server-side-encryption": "AES256"}
        conditions = [*({name: value} for name, value in fixed.items()), ["content-length-range", 1, max_bytes]]
        name = self._name(key)
        self.download_url(key, seconds)  # names missing credentials, where the form ends in botocore's AttributeError
        with self._failures("sign an upload of"):
            form = self.client.generate_presigned_post(
                self.bucket, name, Fields=fixed, Conditions=conditions, ExpiresIn=seconds
            )
        return UploadForm(form["url"], form["fields"])

    def _name(self, key: str) -> str:
        return self.prefix + _check_key(key)

    @contextlib.contextmanager
    def _failures(self, verb: str, key: str = "") -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if key and code in _MISSING:
                raise _missing(key) from error
            raise self._unavailable(verb, code, _ADVICE.get(code, "try again later")) from error
        except BotoCoreError as error:
            advice = "check the network, the endpoint and the AWS credentials, then try again"
            raise self._unavailable(verb, type(error).__name__, advice) from error

    def _unavailable(self, verb: str, cause: str, advice: str) -> StorageUnavailable:
        # The error's own text may hold addresses and account names: only its kind is passed on.
        return StorageUnavailable(f"expected the bucket {self.bucket} to {verb} images, received {cause}; {advice}")


def _s3_client(endpoint_url: str | None) -> Any:
    import boto3
    from botocore.config import Config

    # A session of its own: the shared one is not safe between threads.
    return boto3.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            signature_version="s3v4",
            # The SHA-256 of what is sent is part of the signature, so every store checks what arrives, and boto3's own
            # checksums are not needed. Google Cloud Storage refuses those: github.com/boto/boto3/issues/4400
            s3={"payload_signing_enabled": True},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"expected an image key of the form UUID.png, received {len(key)} other characters")
    return key


def _check_seconds(seconds: int) -> int:
    if not 1 <= seconds <= MAX_URL_SECONDS:
        raise ValueError(f"expected a URL to live from 1 to {MAX_URL_SECONDS} seconds, received {seconds}")
    return seconds


def _checked(content: bytes, key: str, sha256: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ImageAltered(
            f"expected the image {key} with SHA-256 {sha256[:12]}..., received {found[:12]}...; it was changed after "
            "it was saved: do not use it, restore it from a backup"
        )
    return content


def _missing(key: str) -> ImageMissing:
    return ImageMissing(f"expected an image {key} in the store, received nothing; restore it from a backup")


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _write_whole(path: Path, content: bytes) -> None:
    """Write so that a crash leaves the old file or the new one, never a part of it; the file's mode is 0600."""
    handle, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=_PART, dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_of_key(name: str) -> bool:
    return bool(_KEY.fullmatch(name[:40])) and (len(name) == 40 or name.endswith(_PART))


def _is_older(path: Path, than: datetime) -> bool:
    try:
        return path.stat().st_mtime < than.timestamp()
    except FileNotFoundError:  # deleted by another process since it was listed
        return False
