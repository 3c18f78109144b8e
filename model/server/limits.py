"""How much the API takes on: images a client may send in a minute, requests and bytes held at once."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model.server.problems import Problem

# Clients whose buckets are remembered; the one that was quiet longest is forgotten first, which gives it a full bucket.
MAX_CLIENTS = 10_000
# Bytes of requests that may lie in memory at once. A dermoscopic JPEG has about 0.3 MB, so 500 fit many times.
MAX_HELD_BYTES = 512 * 1024 * 1024
# The rest is for the program, its networks and the images it decodes.
HELD_SHARE_OF_MEMORY = 0.25
# By control groups of version 2 and 1, as a container sees its own limit.
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def held_bytes(limits: Sequence[Path] = MEMORY_LIMITS) -> int:
    """How many bytes of requests may be held here: a quarter of the memory, at most `MAX_HELD_BYTES`."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in limits:
        # Without a limit, version 2 says "max", version 1 a number larger than any memory.
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(path.read_text(encoding="ascii")))
    return min(MAX_HELD_BYTES, int(memory * HELD_SHARE_OF_MEMORY))


class RateLimit:
    """A token bucket a client: it holds a minute's worth of images and fills evenly.

    Used by one event loop, so without a lock.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_minute` 0 means no limit."""
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Take one image's worth.

        Raises:
            Problem: `rate_limited`, the bucket is empty.
        """
        left = self._left(client)
        if left < 1:
            seconds = math.ceil((1 - left) * 60 / self._per_minute)
            raise Problem(
                "rate_limited",
                f"expected at most {self._per_minute} images a minute, received more; come back in {seconds} s",
                {"Retry-After": str(seconds)},
            )
        self.charge(client, 1)

    def charge(self, client: str, images: int) -> None:
        """Take what a request turned out to need; the bucket may go into debt, which the next request waits for."""
        if self._per_minute:
            self._buckets[client] = (self._left(client) - images, self._clock())
            self._buckets.move_to_end(client)
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)

    def _left(self, client: str) -> float:
        if not self._per_minute:
            return math.inf
        left, noted = self._buckets.get(client, (float(self._per_minute), self._clock()))
        return min(float(self._per_minute), left + (self._clock() - noted) * self._per_minute / 60)


class Admission:
    """Room for requests: so many at once, and so many bytes."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold a request of at most `size` bytes.

        Raises:
            Problem: `overloaded`, there is no room.
        """
        if self._requests >= self._max_requests or self._bytes + size > self._max_bytes:
            raise Problem(
                "overloaded",
                f"expected at most {self._max_requests} requests at once, received more; come back in a second",
                {"Retry-After": "1"},
            )
        self._requests += 1
        self._bytes += size
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= size
