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
import os
import platform
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from websockets.exceptions import WebSocketException

from dashboard.decision_wording import SKIP_READ
from dashboard.review_wording import INTENDED_USE_BUTTON
from dashboard.settings import ROOT
from dashboard.streamlit_session import SessionFailed, StreamlitSession

SAMPLE = ROOT / "data" / "sample" / "synthetic_mel_1.jpg"
USERS = (10, 100, 200, 500)
PATIENCE_SECONDS = 120.0
SAMPLING_SECONDS = 0.5
ALONE_REQUESTS = 20
# Drawn once for each class and twice more in the answer, and nowhere else.
ANSWER_MARK = 'role="meter"'
UPLOADER_LABEL = "Dermoscopic images"
FAILURES = (SessionFailed, httpx.HTTPError, WebSocketException, TimeoutError, OSError)


@dataclass
class Load:
    """What some users met.

    Attributes:
        users: how many.
        milliseconds: of each answer that came.
        errors: how often, by what went wrong.
        seconds: from the first request to the last answer.
        memory: of all server processes together, at its highest, MB (resident; shared pages count in each).
        descriptors: open files of the process with most of them.
    """

    users: int
    milliseconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: float = 0.0
    descriptors: int = 0

    def row(self) -> str:
        """As a row of `HEAD`; a percentile of nothing is a dash."""
        times = np.percentile(self.milliseconds, [50, 95, 99]) if self.milliseconds else []
        shown = [f"{value:,.0f}" for value in times] or ["-"] * 3
        rate = len(self.milliseconds) / self.seconds if self.seconds else 0.0
        errors = ", ".join(f"{count} {what}" for what, count in self.errors.items()) or "0"
        cells = [f"{self.users:,}", f"{len(self.milliseconds):,}", f"{rate:.1f}", *shown, errors]
        return f"| {' | '.join([*cells, f'{self.memory:,.0f}', str(self.descriptors)])} |"


HEAD = (
    "| users | answers | answers/s | median, ms | p95, ms | p99, ms | errors | memory, MB | most descriptors |\n"
    "|---|---|---|---|---|---|---|---|---|"
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


async def _watch(load: Load, supervisor: int) -> None:
    while True:
        memory, most = memory_and_descriptors(descendants(supervisor))
        load.memory, load.descriptors = max(load.memory, memory), max(load.descriptors, most)
        await asyncio.sleep(SAMPLING_SECONDS)


@asynccontextmanager
async def _measured(load: Load, supervisor: int | None) -> AsyncIterator[None]:
    watch = asyncio.create_task(_watch(load, supervisor)) if supervisor is not None else None
    started = time.perf_counter()
    try:
        yield
    finally:
        load.seconds = time.perf_counter() - started
        if watch is not None:
            watch.cancel()


# --- Users -----------------------------------------------------------------------------------------------------------


def unlike_any(content: bytes) -> bytes:
    """The same image in a file of its own, so that no cache knows it: decoders ignore what follows its end."""
    return content + secrets.token_bytes(16)


async def dashboard_load(url: str, users: int, ramp: float, content: bytes, supervisor: int | None) -> Load:
    """So many sessions, `ramp` new ones a second; measured from the upload to the answer on the screen."""
    load, is_over = Load(users), asyncio.Event()
    left = users

    async def user(number: int) -> None:
        nonlocal left
        try:
            await asyncio.sleep(number / ramp)
            async with StreamlitSession(url, PATIENCE_SECONDS) as session:
                await session.click(INTENDED_USE_BUTTON)
                started = time.perf_counter()
                await session.upload(UPLOADER_LABEL, "lesion.jpg", unlike_any(content))
                await session.click(SKIP_READ)
                if not session.shows(ANSWER_MARK):
                    raise SessionFailed("no answer on the page")
                load.milliseconds.append((time.perf_counter() - started) * 1000)
                left -= 1
                await _stay_until(session, is_over, lambda: left == 0)
        except FAILURES as error:
            load.errors[f"{type(error).__name__}: {error}".split("\n")[0][:60]] += 1
            left -= 0 if load.milliseconds and is_over.is_set() else 1
        if left <= 0:
            is_over.set()

    async with _measured(load, supervisor):
        await asyncio.gather(*(user(number) for number in range(users)))
    return load
