"""Where the images of a batch lie: files, folders, and `s3://bucket/prefix`.

Credentials and region come from boto3's own chain; another endpoint by AWS_ENDPOINT_URL_S3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from data.cases.stores.calls import Redirected, refuse_redirects, seconds_for, within
from model.images.decoding import IMAGE_SUFFIXES
from model.images.dicom import is_dicom
from model.images.rejection import MAX_BYTES

S3 = "s3://"
_ATTEMPTS = 5
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_GONE = ("NoSuchKey", "404")
# What macOS writes beside each file, and folders of copies that other programs keep.
_COPIES_START, _COPIES = "._", ("__MACOSX", ".ipynb_checkpoints")


class SourceUnavailable(Exception):
    """A bucket that cannot be reached or refuses; unlike a bad image it ends a batch."""


@dataclass(frozen=True)
class S3Object:
    """One object of a bucket; named like a path, so that both can be scored alike."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{S3}{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.key).stem


Source = Path | S3Object


def find_sources(places: Sequence[str]) -> list[Source]:
    """Files and objects as given, and every image in the folders and under the prefixes among them, sorted.

    Args:
        places: paths, and `s3://bucket/key` or `s3://bucket/prefix`.

    Raises:
        FileNotFoundError: a path does not exist, or nothing in a bucket has this prefix.
        SourceUnavailable: a bucket cannot be listed.
    """
    return [source for place in places for source in _sources_of(place)]


def source_of(place: str) -> Source:
    """The file or object that `str` of a source names."""
    if not place.startswith(S3):
        return Path(place)
    bucket, _, key = place.removeprefix(S3).partition("/")
    return S3Object(bucket, key)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and every image file in the folders among them, sorted by path.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"expected an image or a folder, {missing} does not exist")
    return [image for path in paths for image in _images_of(path)]


def read_source(source: Source) -> bytes:
    """The bytes of an image, or one more than is accepted: no more than that of a disk image ever lies in memory.

    Raises:
        OSError: a file or an object cannot be read, or is not there any more.
        SourceUnavailable: a bucket cannot be reached or refuses.
    """
    if isinstance(source, S3Object):
        return _read_object(source)
    with source.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _sources_of(place: str) -> Sequence[Source]:
    if not place.startswith(S3):
        return find_images([Path(place)])
    bucket, _, prefix = place.removeprefix(S3).partition("/")
    if not bucket:
        raise FileNotFoundError("expected s3://bucket/prefix, received no bucket")
    keys = sorted(_keys(bucket, prefix))
    # A key as given may have any ending, as a file may; a prefix is a folder, whether it ends with a slash or not.
    if prefix in keys:
        return [S3Object(bucket, prefix)]
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    found = [S3Object(bucket, key) for key in keys if key.startswith(folder)]
    if prefix and not found:
        raise FileNotFoundError(f"expected an object or a prefix, {place} does not exist")
    return [image for image in found if has_image_name(PurePosixPath(image.key))]


def _images_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if _is_image(file))


def _is_image(file: Path) -> bool:
    """By its name; without an ending, as scanners and cameras write DICOM, by how it begins."""
    if not file.is_file() or is_copy(file):
        return False
    if file.suffix:
        return has_image_name(file)
    try:
        with file.open("rb") as opened:
            return is_dicom(opened.read(132))
    except OSError:
        return False


def has_image_name(path: PurePath) -> bool:
    """Whether a file is an image by its name, and no copy of one."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_copy(path)


def is_copy(path: PurePath) -> bool:
    """Whether a file lies beside an image without being one of the user's, such as macOS's `._lesion.jpg`."""
    return path.name.startswith(_COPIES_START) or any(folder in path.parts[:-1] for folder in _COPIES)


def copies_in(places: Sequence[str]) -> list[Path]:
    """The files of the folders among these places that `find_sources` passes over as `is_copy`."""
    folders = [Path(place) for place in places if not place.startswith(S3) and Path(place).is_dir()]
    return sorted(file for folder in folders for file in folder.rglob("*") if is_copy(file) and file.is_file())


def _keys(bucket: str, prefix: str) -> Iterator[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    pages = iter(_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    try:
        while (page := within(seconds_for(), lambda: next(pages, None))) is not None:
            yield from (found["Key"] for found in page.get("Contents", ()))
    except (BotoCoreError, ClientError, Redirected, TimeoutError) as error:
        raise _unavailable(bucket, error) from error


def _read_object(source: S3Object) -> bytes:
    from botocore.exceptions import BotoCoreError, ClientError

    # Made before the clock starts: what takes long here is this machine, not the store.
    client = _client()
    try:
        answer = within(seconds_for(), lambda: client.get_object(Bucket=source.bucket, Key=source.key))
        return within(seconds_for(MAX_BYTES), lambda: _content(answer["Body"]))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _GONE:
            raise FileNotFoundError(2, "No such object") from error
        raise _unavailable(source.bucket, error) from error
    except (BotoCoreError, Redirected, TimeoutError) as error:
        raise _unavailable(source.bucket, error) from error


def _content(body: Any) -> bytes:
    """To the end, where boto3 checks that nothing is missing, or to the limit."""
    content = bytearray()
    for chunk in body.iter_chunks(1024 * 1024):
        content += chunk
        if len(content) > MAX_BYTES:
            body.close()
            break
    return bytes(content)


@cache
def _client() -> Any:
    """One a process."""
    import boto3
    from botocore.config import Config

    retries = {"total_max_attempts": _ATTEMPTS, "mode": "standard"}
    config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries=retries)  # type: ignore[arg-type]
    client = boto3.Session().client("s3", config=config)
    refuse_redirects(client)
    return client


def _unavailable(bucket: str, error: Any) -> SourceUnavailable:
    # The error's own text may hold addresses and account names: only its kind is passed on.
    code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
    return SourceUnavailable(
        f"expected the bucket {bucket} to be read, received {code}; check its name, the rights to list and get, and "
        "the network"
    )
