"""Servers that misbehave, on sockets of this machine: a store that lies or drips, and a database that falls silent.

May be imported by tests: PYTEST_DONT_REWRITE, for there is no assertion here.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DRIP_SECONDS = 0.02


class Request(BaseHTTPRequestHandler):
    """One request to a store, answered by the server's `answer`."""

    server: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer whatever the method is."""
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with contextlib.suppress(OSError):  # whoever asked has gone
            self.server.answer(self)

    do_PUT = do_DELETE = do_HEAD = do_POST = do_GET

    def say(self, status: int, content: bytes = b"", **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def drip(self, content: bytes) -> None:
        """The same byte by byte, without end, until the server is told to stop."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.is_over.wait(DRIP_SECONDS):
                return

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the output of tests stays readable."""


class Store(ThreadingHTTPServer):
    """A server that answers every request by one function."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Request], None]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answer = answer
        self.is_over = threading.Event()


@contextmanager
def store_that(answer: Callable[[Request], None]) -> Iterator[str]:
    """URL of a store that answers as it likes."""
    with Store(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()


class SilentDatabase:
    """What stands between a client and PostgreSQL, and passes nothing on while `is_silent` is set.

    Attributes:
        port: on this machine, by TCP.
    """

    def __init__(self, postgres_socket: Path) -> None:
        self.is_silent = threading.Event()
        self._target = str(postgres_socket / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, postgres_url: str) -> str:
        """The URL of a database by its way through here."""
        name = postgres_url.partition("@/")[2].partition("?")[0]
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """End every connection."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                if self.is_silent.is_set():
                    continue  # the kernel has said that it came
                other.sendall(content)
            other.shutdown(socket.SHUT_WR)
