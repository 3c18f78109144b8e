"""How much the API takes on: images a client may send in a minute, requests and bytes held at once."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model.images.decoder import MEMORY_LIMITS, memory_here
from model.server.problems import Problem

# Clients whose buckets are remembered; the one that was quiet longest is forgotten first, which gives it a full bucket.
MAX_CLIENTS = 10_000
# Bytes of requests that may lie in memory at once. A dermoscopic JPEG has about 0.3 MB, so 500 fit many times.
MAX_HELD_BYTES = 512 * 1024 * 1024
# The rest is for the program, its networks and the images it decodes.
HELD_SHARE_OF_MEMORY = 0.25


def held_bytes(limits: Sequence[Path] = MEMORY_LIMITS) -> int:
    """How many bytes of requests may be held here: a quarter of the memory, at most `MAX_HELD_BYTES`."""
    return min(MAX_HELD_BYTES, int(memory_here(limits) * HELD_SHARE_OF_MEMORY))


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
    """Room for requests: so many at once that have arrived, and so many bytes of any."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def held(self) -> Iterator[Hold]:
        """A hold for one request, empty until something arrives, and given back at the end.

        Raises:
            Problem: `overloaded`, there is no room for another request.
        """
        hold = Hold(self)
        self._check(self._requests < self._max_requests)
        try:
            yield hold
        finally:
            self._bytes -= hold.size
            self._requests -= hold.is_whole

    def _check(self, has_room: bool) -> None:
        if not has_room:
            raise Problem(
                "overloaded",
                f"expected at most {self._max_requests} requests at once, received more; come back in a second",
                {"Retry-After": "1"},
            )


class Hold:
    """What one request takes of the room. What a client announces and does not send takes nothing."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size = 0
        self.is_whole = False

    def add(self, size: int) -> None:
        """Count bytes that have arrived; raises Problem `overloaded` where there is no room for them."""
        admission = self._admission
        admission._check(admission._bytes + size <= admission._max_bytes)
        admission._bytes += size
        self.size += size

    def end(self) -> None:
        """Count the request, which has arrived whole; raises Problem `overloaded` where there is no room for it."""
        admission = self._admission
        admission._check(admission._requests < admission._max_requests)
        admission._requests += 1
        self.is_whole = True
