"""Measure the dashboard and the API under load, with real sessions and real requests.

    READ_FIRST=0 API_RATE_PER_MINUTE=0 make serve            # in another terminal; it prints its process id
    python -m dashboard.bench_load --url http://127.0.0.1:8501 --supervisor PID --users 10 100 200 500

Each user of the dashboard opens a Streamlit session over websocket, confirms the intended use, uploads an image of its
own and waits until the answer is drawn; the session stays open until the last user is done. Each user of the API sends
images to /v1/predict with pauses between. Prints Markdown tables (docs/load.md holds those of one run). Client and
servers share this machine's cores. Exit code 1 where a request failed or a session was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import platform
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed, WebSocketException

from dashboard.review.decision_wording import SKIP_READ
from dashboard.review.wording import INTENDED_USE_BUTTON
from dashboard.serving.streamlit_session import SessionFailed, StreamlitSession
from dashboard.settings import ROOT
from data.tasks.known import TASKS

SAMPLE = ROOT / "data" / "sample" / "synthetic_mel_1.jpg"
USERS = (10, 100, 200, 500)
PATIENCE_SECONDS = 120.0
SAMPLING_SECONDS = 0.5
ALONE_REQUESTS = 20
# Of the bars of the answer, which stand nowhere else.
ANSWER_MARK = "role='meter'"
# How the uploader's label begins, of whichever task the dashboard's model is.
UPLOADERS = tuple(task.words.images.capitalize() for task in TASKS.values())
FAILURES = (SessionFailed, httpx.HTTPError, WebSocketException, TimeoutError, OSError)


@dataclass
class Load:
    """What some users met.

    Attributes:
        users: how many.
        milliseconds: of each answer that came.
        errors: how often, by what went wrong.
        seconds: from the first request to the last answer.
        processor_seconds: of one processor, that all server processes together have used; NaN where it is not known.
        memory: of all server processes together, at its highest, MB (resident; shared pages count in each).
        descriptors: open files of the process with most of them.
    """

    users: int
    milliseconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    processor_seconds: float = math.nan
    memory: float = 0.0
    descriptors: int = 0

    @property
    def processor_seconds_each(self) -> float:
        """Of one answer; NaN where it is not known."""
        return self.processor_seconds / len(self.milliseconds) if self.milliseconds else math.nan

    def row(self) -> str:
        """As a row of `HEAD`; a percentile of nothing is a dash."""
        shown = ["-"] * 3
        if self.milliseconds:
            shown = [f"{value:,.0f}" for value in np.percentile(self.milliseconds, [50, 95, 99])]
        rate = len(self.milliseconds) / self.seconds if self.seconds else 0.0
        errors = ", ".join(f"{count} {what}" for what, count in self.errors.items()) or "0"
        cost = "-" if math.isnan(self.processor_seconds_each) else f"{self.processor_seconds_each:.3f}"
        cells = [f"{self.users:,}", f"{len(self.milliseconds):,}", f"{rate:.1f}", *shown, cost, errors]
        return f"| {' | '.join([*cells, f'{self.memory:,.0f}', str(self.descriptors)])} |"


HEAD = (
    "| users | answers | answers/s | median, ms | p95, ms | p99, ms | processor seconds per answer | errors "
    "| memory, MB | most descriptors |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


# --- Server processes ------------------------------------------------------------------------------------------------


def descendants(process_id: int) -> list[int]:
    """A process and all that come from it; Linux only."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = [process_id]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def memory_and_descriptors(process_ids: Sequence[int]) -> tuple[float, int]:
    """Resident MB of all together, and the open files of the one with most."""
    memory, most = 0.0, 0
    for process_id in process_ids:
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
            memory += pages * os.sysconf("SC_PAGE_SIZE") / 1e6
            most = max(most, len(os.listdir(f"/proc/{process_id}/fd")))
    return memory, most


def processor_seconds(process_ids: Sequence[int]) -> float:
    """User and system time of all together so far, with that of their children that have ended."""
    ticks = 0
    for process_id in process_ids:
        with contextlib.suppress(OSError):
            # Fields 14 to 17 of proc(5): utime, stime, cutime, cstime; the name before may hold anything.
            fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


async def _watch(load: Load, supervisor: int) -> None:
    while True:
        memory, most = memory_and_descriptors(descendants(supervisor))
        load.memory, load.descriptors = max(load.memory, memory), max(load.descriptors, most)
        await asyncio.sleep(SAMPLING_SECONDS)


@asynccontextmanager
async def _measured(load: Load, supervisor: int | None) -> AsyncIterator[None]:
    watch = asyncio.create_task(_watch(load, supervisor)) if supervisor is not None else None
    used = math.nan if supervisor is None else processor_seconds(descendants(supervisor))
    started = time.perf_counter()
    try:
        yield
    finally:
        load.seconds = time.perf_counter() - started
        if watch is not None and supervisor is not None:
            watch.cancel()
            load.processor_seconds = processor_seconds(descendants(supervisor)) - used


# --- Users -----------------------------------------------------------------------------------------------------------


def unlike_any(content: bytes) -> bytes:
    """The same image in a file of its own, so that no cache knows it: decoders ignore what follows its end."""
    return content + secrets.token_bytes(16)


async def dashboard_load(url: str, users: int, ramp: float, content: bytes, supervisor: int | None) -> Load:
    """So many sessions at once, `ramp` new ones a second; measured from the upload to the answer on the screen.

    When all have their answer, each draws its page once more: a session that was lost by then is an error.
    """
    load, sessions = Load(users), [StreamlitSession(url, PATIENCE_SECONDS) for _ in range(users)]

    async def come(session: StreamlitSession, number: int) -> None:
        await asyncio.sleep(number / ramp)
        await session.open()
        load.milliseconds.append(await answer_time(session, content))

    async with _measured(load, supervisor):
        arrived = await asyncio.gather(*(_noted(load, come(one, number)) for number, one in enumerate(sessions)))
    stayed = [session for session, is_well in zip(sessions, arrived, strict=True) if is_well]
    await asyncio.gather(*(_noted(load, session.draw(), "lost: ") for session in stayed))
    await asyncio.gather(*(session.close() for session in sessions))
    return load


async def answer_time(session: StreamlitSession, content: bytes) -> float:
    """Milliseconds from the upload to the answer on the screen; raises SessionFailed where none is there."""
    await session.click(INTENDED_USE_BUTTON)
    started = time.perf_counter()
    await session.upload(UPLOADERS, "image.jpg", unlike_any(content))
    await session.click(SKIP_READ)
    if not session.shows(ANSWER_MARK):
        raise SessionFailed("expected an answer on the page, received none")
    return (time.perf_counter() - started) * 1000


async def api_load(
    url: str, users: int, seconds: float, pause: float, content: bytes, supervisor: int | None, token: str | None
) -> Load:
    """So many clients for so many seconds; each waits for its answer, then `pause` seconds on average."""
    load = Load(users)
    headers = {"Content-Type": "image/jpeg", **({"Authorization": f"Bearer {token}"} if token else {})}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    chance = random.Random(0)

    async def use(client: httpx.AsyncClient) -> None:
        await asyncio.sleep(chance.uniform(0, pause))  # not all at the same moment
        while time.perf_counter() < until:
            await _noted(load, ask(client))
            thinks = chance.expovariate(1 / pause) if pause else 0.0
            await asyncio.sleep(min(thinks, max(until - time.perf_counter(), 0.0)))

    async def ask(client: httpx.AsyncClient) -> None:
        started = time.perf_counter()
        response = await client.post("/v1/predict", content=unlike_any(content), headers=headers)
        response.raise_for_status()
        load.milliseconds.append((time.perf_counter() - started) * 1000)

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, limits=limits) as client:
        async with _measured(load, supervisor):
            until = time.perf_counter() + seconds
            await asyncio.gather(*(use(client) for _ in range(users)))
    return load


async def _noted(load: Load, action: Awaitable[None], prefix: str = "") -> bool:
    """Do it, count what goes wrong, and tell whether nothing did."""
    try:
        await action
    except FAILURES as error:
        load.errors[prefix + _kind_of(error)] += 1
        return False
    return True


def _kind_of(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    if isinstance(error, SessionFailed):
        return str(error).split(",")[0]
    if isinstance(error, ConnectionClosed):
        # By whom and why: `received 1011 (internal error) keepalive ping timeout; then sent ...`.
        return f"connection closed: {error}"
    return type(error).__name__


# --- Report ----------------------------------------------------------------------------------------------------------


def machine() -> str:
    """The machine in one sentence, and how busy it was with other work."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    load = os.getloadavg()[0]
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), {memory:.0f} GB, Python "
        f"{platform.python_version()}; load average before the run {load:.1f}"
    )


def compared(dashboard: Load, api: Load) -> str:
    """How much more processor time an answer on the page takes than one of the API; empty where it is not known."""
    page, alone = dashboard.processor_seconds_each, api.processor_seconds_each
    if math.isnan(page) or math.isnan(alone):
        return ""
    return (
        f"An answer of the dashboard took {page:.3f} processor seconds with {dashboard.users} users, one of the API "
        f"{alone:.3f} with {api.users}: {page / alone:.1f} times as much."
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def arithmetic(milliseconds_alone: float, cores: int, users: int, pause: float) -> str:
    """What one answer at a time says of many users: the most answers a second, and what these users ask for."""
    most = cores * 1000 / milliseconds_alone
    asked = users / (pause + milliseconds_alone / 1000)
    return (
        f"One answer alone takes {milliseconds_alone:.0f} ms; were all of it work of one core, {cores} cores could "
        f"give {most:.0f} answers a second at most. {users} users who pause {pause:g} s ask for {asked:.0f} a second"
        f"{'.' if asked <= most else f', so they wait for each other: about {users / most - pause:.1f} s an answer.'}"
    )


async def alone(url: str, content: bytes, token: str | None) -> float:
    """The median of answers of the API, one after the other, milliseconds; raises SessionFailed without any."""
    load = Load(1)
    while sum(load.errors.values()) + len(load.milliseconds) < ALONE_REQUESTS:
        one = await api_load(url, 1, 0.001, 0, content, None, token)
        load.milliseconds += one.milliseconds
        load.errors += one.errors
    if not load.milliseconds:
        raise SessionFailed(f"expected answers of the API, received {dict(load.errors)}; see its log")
    return float(np.median(load.milliseconds))


async def measure(given: argparse.Namespace) -> int:
    """Run all loads, print the tables; returns how many errors there were."""
    content, errors = given.image.read_bytes(), 0
    dashboards: list[Load] = []
    apis: list[Load] = []
    print(f"{machine()}.\n")
    if given.only != "api":
        print(f"Dashboard, from upload to answer:\n\n{HEAD}")
        for users in given.users:
            load = await dashboard_load(given.url, users, given.ramp, content, given.supervisor)
            print(load.row(), flush=True)
            errors += sum(load.errors.values())
            dashboards.append(load)
    if given.only != "dashboard":
        one = await alone(given.url, content, given.token)
        print(f"\nAPI, POST /v1/predict:\n\n{HEAD}")
        for users in given.users:
            load = await api_load(given.url, users, given.seconds, given.pause, content, given.supervisor, given.token)
            print(load.row(), flush=True)
            errors += sum(load.errors.values())
            apis.append(load)
        print(f"\n{arithmetic(one, os.cpu_count() or 1, max(given.users), given.pause)}")
    for dashboard, api in zip(dashboards, apis, strict=False):
        print(compared(dashboard, api))
    return errors


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dashboard.bench_load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="of the dashboard and the API")
    parser.add_argument("--users", type=int, nargs="+", default=USERS, help="how many at once, one run each")
    parser.add_argument("--only", choices=["dashboard", "api"], help="one of the two; default: both")
    parser.add_argument(
        "--supervisor", type=int, help="process whose processor time, memory and descriptors count, with its children"
    )
    parser.add_argument("--image", type=Path, default=SAMPLE, help="image to send")
    parser.add_argument("--ramp", type=float, default=10, help="new sessions a second")
    parser.add_argument("--seconds", type=float, default=30, help="length of each run of the API")
    parser.add_argument("--pause", type=float, default=5, help="seconds between two images of a user of the API")
    parser.add_argument("--token", help="bearer token of the API, where it asks for one")
    given = parser.parse_args(argv)
    try:
        return min(asyncio.run(measure(given)), 1)
    except FAILURES as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
