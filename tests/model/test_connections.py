"""Real sockets against Uvicorn with our limits: who holds a connection for nothing loses it, and starves nobody."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from model import connections
from model.connections import ListeningSocket, TimedConnection, listening_socket, most_descriptors
from tests.support.server import END_SECONDS, many_half_sent, running_server

ANSWER = bytes(40 * 2**20)  # more than any buffer between two sockets
HEAD = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class App:
    """Reads bodies at `/`, answers much at `/much`, and at `/late` begins to read when it is told to."""

    def __init__(self) -> None:
        self.may_read = threading.Event()
        self.began = threading.Event()
        self.disconnected = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.began.set()
        while scope["path"] == "/late" and not self.may_read.is_set():
            await asyncio.sleep(0.01)
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        if message["type"] == "http.disconnect":
            self.disconnected.set()
        content = ANSWER if scope["path"] == "/much" else b"answered"
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]}
        await send(head)
        await send({"type": "http.response.body", "body": content})


class Serving:
    """Uvicorn with an `App` in a thread, as the API runs it."""

    def __init__(self) -> None:
        self.app = App()
        listening = listening_socket("127.0.0.1", 0, 2048)
        self.address = listening.getsockname()
        config = uvicorn.Config(self.app, http=TimedConnection, log_config=None, lifespan="off", timeout_keep_alive=600)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[listening]))
        self._thread.start()

    def connection(self, begun: bytes = b"") -> socket.socket:
        """A connection on which this has been sent."""
        connection = socket.create_connection(self.address, timeout=END_SECONDS)
        connection.sendall(begun)
        return connection

    @property
    def connections(self) -> set[Any]:
        """Those that are open."""
        return self._server.server_state.connections

    def end(self) -> None:
        """Wait until it has ended."""
        self.app.may_read.set()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()


@pytest.fixture
def serving() -> Iterator[Serving]:
    server = Serving()
    yield server
    server.end()


def is_closed(connection: socket.socket) -> bool:
    """Waits until the other side closes it; False where an answer comes, or nothing for long."""
    with contextlib.suppress(ConnectionResetError), connection:
        return connection.recv(1) == b""
    return True


def status_of(connection: socket.socket) -> bytes:
    with connection:
        return connection.recv(15)


def test_answer_is_sent_at_once(serving: Serving) -> None:
    with serving.connection(HEAD % (b"", 1)):
        wait_until(lambda: bool(serving.connections))
        for taken in serving.connections:
            assert taken.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-Slow: ", HEAD % (b"", 0) + b"GET / HTTP/1.1\r\nX-Slow: "])
def test_headers_that_never_end_are_timed_out(serving: Serving, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    connection = serving.connection(begun)
    if begun.startswith(b"POST"):  # of the second request on a connection, which was answered the first
        received = b""
        while not received.endswith(b"answered"):
            received += (part := connection.recv(1000))
            assert part, received
        connection.sendall(b"more")
    assert is_closed(connection)


def test_drops_of_a_header_win_no_time(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    assert is_dripping_closed(serving.connection(b"GET / HTTP/1.1\r\nX-Slow: "))


def test_body_that_stops_is_timed_out_and_the_program_told(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.2)
    assert is_closed(serving.connection(HEAD % (b"", 1000) + b"some"))
    assert serving.app.disconnected.wait(END_SECONDS)


def test_body_in_drops_ends_as_well(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.3)
    assert is_dripping_closed(serving.connection(HEAD % (b"", 100_000)))


def is_dripping_closed(connection: socket.socket) -> bool:
    until = time.monotonic() + END_SECONDS
    with connection:
        while time.monotonic() < until:
            try:
                connection.sendall(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return True
            time.sleep(0.02)
    return False


def test_client_is_not_blamed_while_the_program_reads_nothing(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.5)
    body = bytes(200_000)  # more than Uvicorn takes ahead
    connection = serving.connection(HEAD % (b"late", len(body)) + body)
    time.sleep(1.5)
    serving.app.may_read.set()
    assert status_of(connection) == b"HTTP/1.1 200 OK"


def test_answer_that_nobody_takes_is_given_up(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.2)
    with serving.connection(HEAD % (b"much", 0)) as connection:
        received = connection.recv(1)
        wait_until(lambda: not serving.connections)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(2**20):
                received += part
    assert len(received) < len(ANSWER)


def test_where_descriptors_run_short_the_longest_wait_makes_room(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [serving.connection(b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(10)]
    wait_until(lambda: len(TimedConnection.waiting) == 10)
    monkeypatch.setattr(connections, "most_descriptors", lambda: 0)
    assert httpx.get(f"http://127.0.0.1:{serving.address[1]}/", timeout=END_SECONDS).text == "answered"
    assert is_closed(held[0])
    for connection in held[1:]:
        connection.sendall(b"\r\nHost: x\r\n\r\n")
        assert status_of(connection) == b"HTTP/1.1 200 OK"


def test_where_nobody_waits_the_newcomer_is_refused_and_the_others_go_on(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serving.connection(HEAD % (b"late", 0))
    assert serving.app.began.wait(END_SECONDS)
    monkeypatch.setattr(connections, "most_descriptors", lambda: -connections.NEWCOMERS)
    assert is_closed(serving.connection())
    serving.app.may_read.set()
    assert status_of(running) == b"HTTP/1.1 200 OK"


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + END_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_limit_leaves_descriptors_to_the_program_and_memory_to_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((1024, 896), (20_000, 10_000), (2**20, 10_000), (-1, 10_000)):
        monkeypatch.setattr(connections.resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert most_descriptors() == most


def test_address_in_use_is_an_error_and_leaves_nothing_open() -> None:
    with listening_socket("127.0.0.1", 0, 1) as bound, pytest.raises(OSError, match="in use"):
        listening_socket(*bound.getsockname(), 1)
    assert isinstance(bound, ListeningSocket)


def test_1100_connections_do_not_stop_an_api_of_1024_descriptors() -> None:
    with running_server(descriptors=1024, API_WORKERS="1") as (process, address):
        held = list(many_half_sent(address, 1100))
        assert httpx.get(f"{address}/readyz", timeout=END_SECONDS).status_code == 200
        for connection in held:
            connection.close()
        assert httpx.get(f"{address}/healthz", timeout=END_SECONDS).status_code == 200
        process.terminate()
        log, _ = process.communicate(timeout=END_SECONDS)
    assert len(log) < 20_000
