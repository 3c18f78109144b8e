"""Small pictures: how one is made, and stores with a limit, shared by all sessions, in memory and in a folder."""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL_SIDE = 320  # pixels, for screens of two pixels a point
THUMBNAIL_QUALITY = 80
# A picture that could not be made is asked for again after so many seconds: a store may be back by then.
RETRY_AFTER = 60.0


def small_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """An image, (H, W, 3) uint8 RGB, as a JPEG of at most `THUMBNAIL_SIDE` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


class SmallPictures:
    """Pictures by key, the ones used last; threads may share it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pictures: OrderedDict[Hashable, tuple[bytes | None, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, key: Hashable) -> bool:
        """Whether the picture is kept, or is known not to be had for now."""
        with self._lock:
            kept = self._pictures.get(key)
        return kept is not None and (kept[0] is not None or time.monotonic() - kept[1] < RETRY_AFTER)

    def get(self, key: Hashable) -> bytes | None:
        """The picture; None where it is not kept or not to be had."""
        with self._lock:
            if key not in self._pictures:
                return None
            self._pictures.move_to_end(key)
            return self._pictures[key][0]

    def put(self, key: Hashable, picture: bytes | None) -> None:
        """Keep a picture, or None for one that could not be made; the one not used for longest goes."""
        with self._lock:
            self._pictures[key] = picture, time.monotonic()
            self._pictures.move_to_end(key)
            while len(self._pictures) > self._limit:
                self._pictures.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """Drop a picture, if it is kept."""
        with self._lock:
            self._pictures.pop(key, None)


class PictureFolder:
    """Pictures as files of a folder; processes may share it. Where it cannot be written or read, nothing is kept."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._count: int | None = None

    def get(self, name: str) -> bytes | None:
        """The picture; None where it is not kept."""
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def put(self, name: str, picture: bytes) -> None:
        """Keep a picture; where there are more than the limit, the oldest tenth goes."""
        path = self._path(name)
        # Whole or not at all, though another process writes the same.
        draft = path.with_suffix(f".{uuid4().hex}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(picture)
            draft.replace(path)
            self._make_room()

    def _make_room(self) -> None:
        if self._count is None:
            self._count = sum(1 for _ in self._folder.iterdir())
        else:
            self._count += 1
        if self._count > self._limit:
            by_age = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
            for path in by_age[: len(by_age) - self._limit * 9 // 10]:
                path.unlink(missing_ok=True)
            self._count = None

    def _path(self, name: str) -> Path:
        return self._folder / f"{sha256(name.encode()).hexdigest()}.jpg"
