"""Which sign-ins were ended before their time, asked at every step of every session."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog
from data.cases.storage import StorageUnavailable

# For so long a sign-in that still held is not asked for again: how late another process may notice.
ASK_AGAIN_SECONDS = 1.0
# A database that does not answer is left alone for a while: it holds up whoever asks it.
LEAVE_ALONE_SECONDS = 30.0
MOST_REMEMBERED = 20_000

_log = logging.getLogger(__name__)


class EndedSignIns:
    """What this process knows of ended sign-ins, and the case log that all processes share.

    Where the log does not answer, a sign-in counts that this process has not seen end: no case can be read then either.

    Args:
        open_log: gives the case log, or raises `CaseLogUnavailable`.
        clock: seconds that only grow.
    """

    def __init__(self, open_log: Callable[[], CaseLog], clock: Callable[[], float] = time.monotonic) -> None:
        self._open_log = open_log
        self._clock = clock
        # When each was found to be so, by the clock; the order is that of the finds.
        self._ended: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._ask_not_before = 0.0

    def is_ended(self, sign_in: str) -> bool:
        """Whether this sign-in was ended; raises nothing."""
        if sign_in in self._ended:
            return True
        now = self._clock()
        if now < self._ask_not_before or now - self._held.get(sign_in, -ASK_AGAIN_SECONDS) < ASK_AGAIN_SECONDS:
            return False
        try:
            is_ended = self._open_log().is_sign_in_ended(sign_in)
        except (CaseLogUnavailable, StorageUnavailable) as error:
            self._ask_not_before = self._clock() + LEAVE_ALONE_SECONDS
            _log.warning("whether a sign-in was ended is not known: %s", error)
            return False
        _remember(self._ended if is_ended else self._held, sign_in, now)
        return is_ended

    def end(self, sign_in: str, holds_until: float) -> None:
        """End a sign-in, here at once and elsewhere within `ASK_AGAIN_SECONDS`.

        Args:
            sign_in: hash of what its token says.
            holds_until: when it would have ended by itself, seconds since 1970, UTC.

        Raises:
            CaseLogUnavailable: it is ended in this process only.
        """
        _remember(self._ended, sign_in, self._clock())
        # A token may state a time that no calendar holds.
        latest = datetime.max.replace(tzinfo=UTC).timestamp() - 1
        self._open_log().end_sign_in(sign_in, datetime.fromtimestamp(min(holds_until, latest), UTC))


def _remember(found: dict[str, float], sign_in: str, now: float) -> None:
    found[sign_in] = now
    if len(found) > MOST_REMEMBERED:
        found.pop(next(iter(found)), None)  # the case log knows it still
