"""What a store of images promises, and a folder that keeps it.

A key is the case's UUID and `.png`, nothing a user typed, so an upload never becomes a path. Every read is checked
against the SHA-256 that the case log holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from data.cases.case import StoredImage

_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png")
# What a killed write leaves in a folder: the key, a random word, and this.
_PART = ".part"
# Where images lie that no case names, below the others, until they are removed.
QUARANTINE = "quarantine"


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

    @property
    def quarantine(self) -> Self:
        """The store of images set aside, whose age counts from when they were."""

    def move(self, key: str, to: Self) -> None:
        """Take an image over to this store's quarantine, or back from it; raises `ImageMissing`.

        A crash leaves it here, there, or in both. What is left of an unfinished write here is removed.
        """

    def keys(self, older_than: datetime) -> Iterator[str]:
        """Keys last written before `older_than` (aware), those of unfinished writes included."""

    def download_url(self, key: str, seconds: int = 300) -> str | None:
        """A URL that anyone may read the image from for so many seconds; None for a folder."""

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> UploadForm | None:
        """A form to upload 1 to `max_bytes` bytes of one content type by; None for a folder.

        What arrives is as the browser sent it, metadata included. So give uploads a store of their own, under a prefix
        whose lifecycle ends them after a day, and keep as a case's image what `stored_image` makes of their pixels.
        """


@dataclass(frozen=True)
class FolderStore:
    """Images as files of one folder, readable by their owner only."""

    folder: Path

    @property
    def quarantine(self) -> FolderStore:
        return FolderStore(self.folder / QUARANTINE)

    def put(self, key: str, image: StoredImage) -> None:
        path = self._path(key)
        with self._failures("write"):
            _make_folder(self.folder)
            write_whole(path, image.content)

    def get(self, key: str, sha256: str) -> bytes:
        path = self._path(key)
        with self._failures("read"):
            try:
                return checked(path.read_bytes(), key, sha256)
            except FileNotFoundError as error:
                raise missing(key) from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._failures("delete"):
            if self.folder.is_dir():
                for found in [path, *self.folder.glob(f"{key}.*{_PART}")]:
                    found.unlink(missing_ok=True)
                _sync_folder(self.folder)

    def move(self, key: str, to: FolderStore) -> None:
        path = self._path(key)
        with self._failures("move"):
            try:
                os.utime(path)
                _make_folder(to.folder)
                os.replace(path, to._path(key))
            except FileNotFoundError as error:  # the rest of an unfinished write, or another process was first
                self.delete(key)
                raise missing(key) from error
            _sync_folder(to.folder)
            self.delete(key)

    def keys(self, older_than: datetime) -> Iterator[str]:
        with self._failures("list"):
            paths = self.folder.iterdir() if self.folder.is_dir() else ()
            found = {path.name[:40] for path in paths if _is_of_key(path.name) and _is_older(path, older_than)}
        return iter(sorted(found))

    def download_url(self, key: str, seconds: int = 300) -> None:
        check_key(key)

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> None:
        check_key(key)

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    @contextlib.contextmanager
    def _failures(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(
                f"expected to {verb} images in the folder {self.folder}, received {error.strerror or error}; "
                "check the disk's free space and the folder's permissions, then try again"
            ) from error


def is_key(name: str) -> bool:
    """Whether a name is that of an image."""
    return bool(_KEY.fullmatch(name))


def check_key(key: str) -> str:
    """The key itself; raises ValueError for what is none."""
    if not is_key(key):
        raise ValueError(f"expected an image key of the form UUID.png, received {len(key)} other characters")
    return key


def checked(content: bytes, key: str, sha256: str) -> bytes:
    """The bytes of an image; raises `ImageAltered` where they are not those of the hash."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ImageAltered(
            f"expected the image {key} with SHA-256 {sha256[:12]}..., received {found[:12]}...; it was changed after "
            "it was saved: do not use it, restore it from a backup"
        )
    return content


def missing(key: str) -> ImageMissing:
    """The error to raise where nothing is under a key."""
    return ImageMissing(f"expected an image {key} in the store, received nothing; restore it from a backup")


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def write_whole(path: Path, content: bytes) -> None:
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
    return is_key(name[:40]) and (len(name) == 40 or name.endswith(_PART))


def _is_older(path: Path, than: datetime) -> bool:
    try:
        return path.stat().st_mtime < than.timestamp()
    except FileNotFoundError:  # deleted by another process since it was listed
        return False
