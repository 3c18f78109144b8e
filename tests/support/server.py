"""The API in tests: one with the committed weights, requests through ASGI, and a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60  # other work may share the processors
END_SECONDS = 60
TOKEN = "a-token-that-nobody-guesses"


def sample(name: str = "synthetic_mel_1.jpg") -> bytes:
    """A committed drawing of a lesion, 600 x 450."""
    return (ROOT / "data" / "sample" / name).read_bytes()


def black_image() -> bytes:
    """A PNG that can be decoded and not judged."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((120, 160, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@cache
def open_app() -> FastAPI:
    """The API without authorisation, rate limit or contracts of a platform; one for all tests, which leave it alone."""
    return create_app(ServerSettings(rate_per_minute=0, workers=2))


def send(app: FastAPI, method: str, path: str, **arguments: Any) -> httpx.Response:
    """One request to the application, without a network."""

    async def sent() -> httpx.Response:
        async with client_of(app) as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(sent())


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """An asynchronous client of the application."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://api")


def predict(app: FastAPI, content: bytes, path: str = "/v1/predict", **headers: str) -> httpx.Response:
    """An image to /v1/predict."""
    return send(app, "POST", path, content=content, headers={"content-type": "image/jpeg", **headers})


def assert_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Whether a response is a problem of RFC 9457 with this status and reason; its content."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["reason"]) == (status, status, reason)
    assert problem["type"] == f"urn:lesionlens:{reason}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"] and problem["detail"].startswith("expected")
    assert "Traceback" not in response.text
    return problem


@contextmanager
def running_server(
    *arguments: str, module: str = "model.server", descriptors: int | None = None, **environ: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m` of the API, or of the dashboard, on a free port, answering; the process and its address.

    Args:
        descriptors: how many it may open; as many as this process where none is given.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", str(port), *arguments],
        cwd=ROOT, env=os.environ | environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        preexec_fn=descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))),
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_alive(process, address)
        yield process, address
    finally:
        process.kill()
        process.communicate()


def _wait_until_alive(process: subprocess.Popen[str], address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"{address}/healthz").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"expected the server to answer on {address}, it did not")


def half_sent(address: str, content: bytes) -> socket.socket:
    """A connection on which a request has begun and not ended."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=END_SECONDS)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content[:1000])
    return connection


def many_half_sent(address: str, many: int) -> Iterator[socket.socket]:
    """Connections on which the headers of a request have begun and never end."""
    parts = urlsplit(address)
    for _ in range(many):
        connection = socket.create_connection((parts.hostname, parts.port), timeout=END_SECONDS)
        with suppress(ConnectionError):  # turned away already
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        yield connection


def in_flight(address: str) -> float:
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("lesionlens_requests_in_flight ")).split()[1])


def wait_until_held(address: str) -> None:
    """Until the server has begun with the half-sent request, beside the one that asks."""
    until = time.monotonic() + END_SECONDS
    while in_flight(address) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
