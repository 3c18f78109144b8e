"""What readers have not saved yet, in the memory of this process: never on disk, bounded, and gone after an hour."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from data.cases.case import Actor

SECONDS_KEPT = 3600.0
MOST_DRAFTS = 200
MOST_BYTES = 256 * 2**20  # of all drafts together
MOST_BYTES_EACH = 64 * 2**20  # a queue of a dozen photographs of 5 MB


@dataclass(frozen=True)
class Draft:
    """The unsaved work of one user in one browser tab.

    Attributes:
        values: of the session, by key; frozen values, or containers that nobody changes.
        size: bytes of its images.
        kept_at: seconds of the store's clock.
    """

    values: Mapping[str, Any]
    size: int
    kept_at: float


class DraftStore:
    """Drafts by browser tab and user. A draft is given to nobody else; the oldest goes when there is no more room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._drafts: OrderedDict[tuple[str, Actor], Draft] = OrderedDict()

    def keep(self, tab: str, actor: Actor, values: Mapping[str, Any], size: int) -> None:
        """Hold the draft of a tab and user in place of the one before.

        Args:
            tab: what only this browser tab knows.
            actor: whose work it is.
            values: of the session.
            size: bytes of the images in it, at most `MOST_BYTES_EACH`.

        Raises:
            ValueError: a larger draft.
        """
        if size > MOST_BYTES_EACH:
            raise ValueError(f"expected a draft of at most {MOST_BYTES_EACH} bytes, received {size}")
        with self._lock:
            self._drafts.pop((tab, actor), None)
            self._drafts[tab, actor] = Draft(values, size, self._clock())
            self._drop_old()
            while len(self._drafts) > MOST_DRAFTS or sum(draft.size for draft in self._drafts.values()) > MOST_BYTES:
                self._drafts.popitem(last=False)

    def held(self, tab: str, actor: Actor) -> Mapping[str, Any] | None:
        """The values of a tab and user; None where there are none, or an hour has passed."""
        with self._lock:
            self._drop_old()
            draft = self._drafts.get((tab, actor))
            return None if draft is None else draft.values

    def forget(self, tab: str) -> None:
        """Drop whatever is held for a tab, of every user: at sign-out, and where there is nothing left to hold."""
        with self._lock:
            for key in [key for key in self._drafts if key[0] == tab]:
                del self._drafts[key]

    def expire(self) -> None:
        """Drop what is older than an hour; asked for from time to time, so that nothing stays where nobody comes."""
        with self._lock:
            self._drop_old()

    def _drop_old(self) -> None:
        limit = self._clock() - SECONDS_KEPT
        while self._drafts and next(iter(self._drafts.values())).kept_at <= limit:
            self._drafts.popitem(last=False)
