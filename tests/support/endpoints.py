"""A server on this machine that answers as a test wants it to, and one that passes requests on to another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is sent back: `content` after the head, in `pieces` with a pause before each, and cut off after `cut`."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0
    pieces: int = 1
    cut: int | None = None


Behaviour = Callable[[Received], Reply]


def wait_for_first(received: list[Received]) -> None:
    """Until a server of `serving` has read a request; fails after ten seconds."""
    until = time.monotonic() + 10
    while not received:
        assert time.monotonic() < until, "the server read no request"
        time.sleep(0.02)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[tuple[str, list[Received]]]:
    """A server that replies as told; its address and what it received so far."""
    received: list[Received] = []
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, body)
            received.append(request)
            self._send(behaviour(request))

        do_GET = do_POST = _answer

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.content)), **reply.headers}.items():
                self.send_header(name, value)
            content = reply.content[: reply.cut]
            self.close_connection = reply.cut is not None
            step = -(-len(content) // reply.pieces) or 1
            if not reply.pause:
                self.end_headers()
            for start in range(0, len(content), step):
                if reply.pause and is_over.wait(reply.pause):
                    return
                if reply.pause and start == 0:
                    self.end_headers()
                try:
                    self.wfile.write(content[start : start + step])
                except OSError:  # the other side has given up
                    self.close_connection = True
                    return

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that gave up

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def passing_on(address: str) -> Behaviour:
    """Send what arrives to another address, with the headers that matter, and reply what comes back."""

    def pass_on(request: Received) -> Reply:
        kept = ("content-type", "x-amzn-sagemaker-custom-attributes", "authorization")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        response = httpx.post(address, content=request.body, headers=headers, timeout=60)
        return Reply(response.content, response.status_code, {"Content-Type": response.headers["content-type"]})

    return pass_on


@contextmanager
def lambda_process() -> Iterator[Callable[[bytes], bytes]]:
    """The Lambda handler in a process of its own, loaded as Lambda loads it: an event as JSON in, its answer out."""
    code = (
        "import asyncio, json, sys; out = sys.stdout; sys.stdout = sys.stderr; "
        "asyncio.set_event_loop(asyncio.new_event_loop())\n"
        "from model.server.aws_lambda import handler\n"
        "for line in sys.stdin: print(json.dumps(handler(json.loads(line), None)), file=out, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "ALLOW_ANONYMOUS": "1", "API_WORKERS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    lock = threading.Lock()

    def call(event: bytes) -> bytes:
        assert process.stdin is not None and process.stdout is not None
        with lock:
            process.stdin.write(json.dumps(json.loads(event)).encode() + b"\n")
            process.stdin.flush()
            return process.stdout.readline()

    try:
        yield call
    finally:
        process.kill()
        process.communicate()
