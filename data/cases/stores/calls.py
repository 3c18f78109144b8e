"""Calls of S3 that surely end, and go nowhere else than they were sent."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

# botocore waits its time-out for the next byte, for ever where one comes now and then. So each call ends after this.
_CALL_SECONDS = 15.0
# An image of 25 MB, of a 12-megapixel phone, gets a minute more.
_SLOWEST_BYTES_PER_SECOND = 400_000
_MOST_SECONDS = 300.0
# Calls that were given up go on in their threads until the store lets them go.
_MOST_CALLS = 64

_slots = threading.BoundedSemaphore(_MOST_CALLS)
_Answer = TypeVar("_Answer")


class Redirected(Exception):
    """The store answered by the way to another place, and did not say which region that is."""


def seconds_for(size: int = 0) -> float:
    """How long a call may take that carries so many bytes, in seconds."""
    return min(_CALL_SECONDS + size / _SLOWEST_BYTES_PER_SECOND, _MOST_SECONDS)


def within(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """What a call gives; raises what it raises, or TimeoutError where it takes longer, and then it is let go."""
    until = time.monotonic() + seconds
    if not _slots.acquire(timeout=seconds):
        raise TimeoutError
    ends: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
    threading.Thread(target=_run, args=(call, ends), name="image store", daemon=True).start()
    try:
        is_answer, end = ends.get(timeout=max(until - time.monotonic(), 0.0))
    except queue.Empty:
        raise TimeoutError from None
    if is_answer:
        return end
    raise end


def refuse_redirects(client: Any) -> None:
    """Have boto3's client for S3 raise `Redirected` where it would ask in a circle for the region of a bucket.

    HeadBucket is asked only by botocore itself, of a bucket that was redirected: it would be redirected as well, and so
    on until Python's stack is full.
    """
    client.meta.events.register("before-call.s3.HeadBucket", _refuse)


def _refuse(**_: object) -> None:
    raise Redirected


def _run(call: Callable[[], object], ends: queue.SimpleQueue[tuple[bool, Any]]) -> None:
    try:
        ends.put((True, call()))
    except BaseException as error:
        ends.put((False, error))
    finally:
        _slots.release()
