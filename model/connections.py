"""Connections of a server that nobody can hold for nothing; API and dashboard, which both run on Uvicorn, share it.

Uvicorn limits the time of an idle connection after its first request, and no other. A client that begins requests and
never ends them would hold a descriptor each, until none is left for anyone. Here a request must come within a time, and
where descriptors run short, whoever has kept the server waiting longest for a request makes room for who comes next.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the first byte, or from connecting, to the end of the headers
SILENT_SECONDS = 30.0  # between two parts of a body, and while a client takes nothing of its answer
BODY_SECONDS = 300.0  # 20 MB over 0.6 Mbit/s
# Descriptors that connections leave to files, databases and child processes, and to those that are about to be closed;
# and how many of these newcomers may take who nobody makes room for, until it is seen what they want.
RESERVED, NEWCOMERS = 128, 64
# A connection costs some 50 kB; where descriptors are free, memory is the limit.
MOST_CONNECTIONS = 10_000
# Accepted at once, before what was accepted earlier is looked at; asyncio alone would take thousands.
AT_ONCE = 32


class TimedConnection(H11Protocol):
    """Uvicorn's HTTP/1.1 with time limits for heads, bodies and answers that nobody takes."""

    # All of the process that wait for a request, the longest first.
    waiting: ClassVar[dict[TimedConnection, None]] = {}

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._timer: asyncio.TimerHandle | None = None
        self._is_head_begun = False
        self._body_until: float | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # or it is a websocket now
            self._await_nothing()
        elif self.conn.their_state is h11.IDLE:
            if not self._is_head_begun:
                self._await_head()
        elif self.conn.their_state is h11.SEND_BODY:
            self._await_body()
        else:
            self._await_nothing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Idle, for as long as Uvicorn lets it; what is left of the answer has its own time.
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self._is_head_begun, self._body_until = False, None
            self.waiting[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._restart(SILENT_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_head_begun:
            self._restart(HEAD_SECONDS)
        elif self._body_until is not None:
            self._await_body()
        elif self._timer is not None:
            self._timer.cancel()

    def give_up(self) -> None:
        """Close it at once."""
        self._await_nothing()
        self.transport.abort()

    def _await_head(self) -> None:
        self._await_nothing()
        self._is_head_begun = True
        self.waiting[self] = None
        self._restart(HEAD_SECONDS)

    def _await_body(self) -> None:
        if self._body_until is None:
            self._await_nothing()
            self._body_until = self.loop.time() + BODY_SECONDS
        self._restart(min(SILENT_SECONDS, self._body_until - self.loop.time()))

    def _await_nothing(self) -> None:
        self.waiting.pop(self, None)
        self._is_head_begun, self._body_until = False, None
        if self._timer is not None:
            self._timer.cancel()

    def _restart(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(max(seconds, 0), self._time_is_over)

    def _time_is_over(self) -> None:
        if self.flow.write_paused:
            unsent, self._unsent = self._unsent, self.transport.get_write_buffer_size()
            is_moving = self._unsent < unsent
        else:
            # The program wants no more of the body for now: that the client is silent is not its fault.
            is_moving = self.flow.read_paused or self.conn.they_are_waiting_for_100_continue
        if is_moving:
            self._restart(SILENT_SECONDS)
        else:
            self.give_up()


class ListeningSocket(socket.socket):
    """A socket that takes no more connections than descriptors and memory allow."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; where there are too many, one that waits for its request is closed for it.

        Raises:
            BlockingIOError: nobody else connects, or so many have that they are to be looked at first.
            ConnectionAbortedError: the connection was refused, since none of the others could be closed.
        """
        if self._accepted == AT_ONCE:
            self._accepted = 0
            raise BlockingIOError
        connection, address = super().accept()
        self._accepted += 1
        # The lowest number that is free: so many descriptors are in use.
        excess = connection.fileno() - most_descriptors()
        if excess >= 0 and TimedConnection.waiting:
            next(iter(TimedConnection.waiting)).give_up()
        elif excess >= NEWCOMERS:
            connection.close()
            raise ConnectionAbortedError
        return connection, address


def most_descriptors() -> int:
    """Up to which descriptor connections are taken."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft - RESERVED, MOST_CONNECTIONS) if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS


def listening_socket(address: str, port: int, backlog: int) -> ListeningSocket:
    """A non-blocking `ListeningSocket`, bound; raises OSError where the address or port is not to be had."""
    # asyncio sends at once on connections that are said to be TCP's; on others the kernel holds the body of an answer
    # back for 40 ms, until its header was acknowledged.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = ListeningSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((address, port))
        bound.listen(backlog)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound
