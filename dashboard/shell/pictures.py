"""A store of small pictures in memory with a limit, shared by all sessions."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

# A picture that could not be made is asked for again after so many seconds: a store may be back by then.
RETRY_AFTER = 60.0


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
