"""A port of this machine for a server under test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from itertools import cycle

from dashboard.serving.supervisor import is_free

# Below those that the system lends to clients (from 32768), one of which could take a port between look and start; and
# above those of a supervisor. Each process of the tests has a share of its own.
FIRST, SHARE, SHARES = 21000, 1000, 11


def free_port() -> int:
    """A port of the loopback that nobody listens on, and that this process has not given away lately."""
    return next(port for port in _own_ports() if is_free("127.0.0.1", port))


@cache
def _own_ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = FIRST + SHARE * (worker % SHARES)
    turn = os.getpid() % SHARE
    return cycle([*range(start + turn, start + SHARE), *range(start, start + turn)])
