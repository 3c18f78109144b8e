"""Measure the two requests of a service that prepares an image and then asks for its answer, one table to paste.

    python -m model.bench_requests --task retina --image eye.png
    python -m model.bench_requests --task retina --requests 10 --starts 1          # a first look
    python -m model.bench_requests --url https://api.example --token TOKEN --image eye.png       # one that runs
    python -m model.bench_requests --emulator http://127.0.0.1:9000/2015-03-31/functions/function/invocations ...

Sends the image to `/v1/preprocess` as base64 in JSON, and what comes back to `/v1/predict?prepared=true`, so many times
each, `--at-once` of them together. Without `--url` it starts `python -m model.server` on a free port for each of
`--starts`, measures from there to the first answer, and uses the last one. `--emulator` sends API Gateway's events to
AWS's runtime interface emulator (docs/load.md tells how one is started); its first answer then holds the function's
start. Prints Markdown; docs/load.md holds it beside another system's figures. Exit code 1 where a request failed, 2
where nothing can be measured.

Needs httpx, which requirements-dev.txt installs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from model.arguments import add_artifact, sample_of, whole_number
from model.inference.artifact import ArtifactMismatch, load_artifact
from model.training.environment import environment_of

REQUESTS = (10, 100, 200, 500)
PATIENCE_SECONDS = 120.0
PREPROCESS, PREDICT = "/v1/preprocess", "/v1/predict?prepared=true"
HEAD = (
    "| request | requests | at once | median, ms | p95, ms | errors | request, kB | answer, kB |\n"
    "|---|---|---|---|---|---|---|---|"
)


class NothingToMeasure(Exception):
    """No server, or one that does not answer this image; the message says what was received."""


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        url: of the API, or of the emulator's invocations.
        token: bearer token, where the API asks for one.
        is_emulator: whether requests go as API Gateway's events.
    """

    url: str
    token: str | None = None
    is_emulator: bool = False

    async def ask(self, client: httpx.AsyncClient, route: str, body: bytes) -> bytes:
        """The body of an answer with status 200; raises httpx.HTTPError for any other, `Refused` from the emulator."""
        if not self.is_emulator:
            headers = {"Content-Type": "application/json", **self._authorization()}
            response = await client.post(f"{self.url}{route}", content=body, headers=headers)
            response.raise_for_status()
            return response.content
        response = await client.post(self.url, json=event_of(route, body))
        response.raise_for_status()
        answer = response.json()
        if answer.get("statusCode") != 200:
            raise Refused(f"status {answer.get('statusCode', answer)}")
        return str(answer["body"]).encode()

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class Refused(Exception):
    """An answer of the function with another status than 200."""


@dataclass
class Load:
    """What some requests met; `row` is a row of `HEAD`."""

    route: str
    requests: int
    at_once: int
    request_bytes: int
    answer_bytes: int = 0
    milliseconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def row(self) -> str:
        median, p95 = np.percentile(self.milliseconds, [50, 95]) if self.milliseconds else (np.nan, np.nan)
        errors = ", ".join(f"{count} {what}" for what, count in self.errors.items()) or "0"
        sizes = (f"{size / 1e3:.1f}" for size in (self.request_bytes, self.answer_bytes))
        route = self.route.partition("?")[0]
        cells = (f"`{route}`", f"{self.requests:,}", str(self.at_once), f"{median:,.0f}", f"{p95:,.0f}", errors, *sizes)
        return f"| {' | '.join(cells)} |"


def event_of(route: str, body: bytes) -> dict[str, Any]:
    """API Gateway's event, payload format 2.0, of a JSON request."""
    address = urlsplit(route)
    http = {"method": "POST", "path": address.path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": ""}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": address.path,
        "rawQueryString": address.query,
        "headers": {"content-type": "application/json"},
        "requestContext": {"accountId": "1", "apiId": "x", "stage": "$default", "http": http},
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def body_of(image: bytes) -> bytes:
    """A request with an image file in base64."""
    return json.dumps({"image": base64.b64encode(image).decode()}).encode()


async def load_of(target: Target, route: str, body: bytes, requests: int, at_once: int) -> Load:
    """Send the same request so many times, so many of them together."""
    load, room = Load(route, requests, at_once, len(body)), asyncio.Semaphore(at_once)

    async def one(client: httpx.AsyncClient) -> None:
        async with room:
            started = time.perf_counter()
            try:
                answer = await target.ask(client, route, body)
            except (httpx.HTTPError, Refused) as error:
                load.errors[_kind_of(error)] += 1
                return
            load.milliseconds.append((time.perf_counter() - started) * 1000)
            load.answer_bytes = len(answer)

    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        await asyncio.gather(*(one(client) for _ in range(requests)))
    return load


def _kind_of(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return str(error) if isinstance(error, Refused) else type(error).__name__


async def prepared_by(target: Target, image: bytes) -> tuple[bytes, float]:
    """What `/v1/preprocess` gives for an image, as a request to `/v1/predict`; and milliseconds to the first answer.

    Raises:
        NothingToMeasure: the image is not answered.
    """
    started = time.perf_counter()
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            shown = json.loads(await target.ask(client, PREPROCESS, body_of(image)))
            first = (time.perf_counter() - started) * 1000
            body = body_of(base64.b64decode(shown["image"]))
            answer = json.loads(await target.ask(client, PREDICT, body))
    except (httpx.HTTPError, Refused, ValueError, KeyError) as error:
        raise NothingToMeasure(f"expected {target.url} to answer the image, received {_kind_of(error)}") from error
    if answer.get("refusal"):
        print(f"This image gets no label: {answer['refusal']}. It takes as long as one that does.\n")
    return body, first


@contextmanager
def served(artifact: Path) -> Iterator[str]:
    """The address of an API process of its own, which has just been started and may not listen yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"MODEL_DIR": str(artifact.resolve()), "API_RATE_PER_MINUTE": "0"}
    command = [sys.executable, "-m", "model.server", "--port", str(port)]
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(command, cwd=root, env=os.environ | variables, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def first_answer_seconds(url: str, body: bytes) -> float:
    """From now to the first answer of `/v1/predict`, while the process that is to give it starts."""
    started = time.perf_counter()
    while time.perf_counter() - started < PATIENCE_SECONDS:
        try:
            response = httpx.post(f"{url}{PREDICT.partition('?')[0]}", content=body, timeout=PATIENCE_SECONDS,
                                  headers={"Content-Type": "application/json"})  # fmt: skip
        except httpx.ConnectError:
            time.sleep(0.01)
            continue
        if response.status_code == 200:
            return time.perf_counter() - started
        raise NothingToMeasure(f"expected an answer to the image, received status {response.status_code}")
    raise NothingToMeasure(f"expected an answer within {PATIENCE_SECONDS:.0f} s, received none")


async def measure(target: Target, image: bytes, requests: Sequence[int], at_once: Sequence[int]) -> int:
    """Print the table; returns how many errors there were."""
    body, first = await prepared_by(target, image)
    if target.is_emulator:
        print(
            f"First answer of `{PREPROCESS}`, with the function's start if this was the first event: {first:,.0f} ms.\n"
        )
    print(HEAD)
    errors = 0
    for together in at_once:
        for route, sent in ((PREPROCESS, body_of(image)), (PREDICT, body)):
            for count in requests:
                load = await load_of(target, route, sent, count, together)
                print(load.row(), flush=True)
                errors += sum(load.errors.values())
    return errors


def machine() -> str:
    """The machine in a sentence, and how busy it is with other work."""
    where = environment_of()
    python = where.libraries.partition(",")[0]
    return (
        f"{where.cores} cores ({where.cpu}), {where.memory_gb:.0f} GiB, {python}; load average before the run "
        f"{os.getloadavg()[0]:.1f}."
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.bench_requests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_artifact(parser)
    parser.add_argument("--image", type=Path, help="image file to send; default: a drawn one of the task")
    parser.add_argument("--requests", type=whole_number(1), nargs="+", default=REQUESTS, help="one run each")
    parser.add_argument(
        "--at-once", type=whole_number(1), nargs="+", default=(1,), help="requests together; default: 1"
    )
    parser.add_argument("--starts", type=whole_number(1), default=5, help="processes whose start is measured")
    parser.add_argument("--url", help="of an API that runs already")
    parser.add_argument("--token", help="bearer token of that API")
    parser.add_argument("--emulator", help="invocations of a Lambda emulator that runs already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    given = parser.parse_args(argv)
    try:
        image = (given.image or sample_of(load_artifact(given.artifact).task)).read_bytes()
        print(f"{machine()}\n")
        with ExitStack() as running:
            url = given.emulator or given.url
            if url is None:
                url = _started(running, given.artifact, image, given.starts)
            target = Target(url.rstrip("/"), given.token, given.emulator is not None)
            return min(asyncio.run(measure(target, image, given.requests, given.at_once)), 1)
    except (OSError, ArtifactMismatch, NothingToMeasure) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _started(running: ExitStack, folder: Path, image: bytes, starts: int) -> str:
    """Start so many processes one after the other, say how long each takes; the address of the last, which stays."""
    artifact = load_artifact(folder)
    seconds = []
    for number in range(starts):
        with ExitStack() as this_one:
            url = this_one.enter_context(served(folder))
            seconds.append(first_answer_seconds(url, body_of(image)))
            if number == starts - 1:
                running.push(this_one.pop_all())
    print(
        f"Model {artifact.name} {artifact.version}. From the start of the API's process to its first answer: "
        f"{np.median(seconds):.2f} s, median of {starts} ({min(seconds):.2f} to {max(seconds):.2f}).\n"
    )
    return url


if __name__ == "__main__":
    sys.exit(main())
