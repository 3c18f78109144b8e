"""`python -m dashboard.serve` in tests: a running one with two dashboards, and ways to see what it does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.case_log import KEY
from tests.support.server import ROOT
from tests.support.servers.ports import free_port

PATIENCE_SECONDS = 120  # other work may share the processors
COOKIE = "lesionlens_process"


def needs_nginx() -> None:
    """Skip the test where there is no nginx, and fail it where CI is set."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs nginx (apt-get install nginx-light)")


class Running:
    """`python -m dashboard.serve` with two dashboards, its log and its address.

    The log is what it writes to standard output. What libraries in C++ write to standard error lies beside it: their
    lines come in pieces, which those of several processes would tear apart.
    """

    def __init__(self, folder: Path, port: int, base_path: str = "", **environ: str) -> None:
        self.folder, self.log = folder, folder / "log"
        self.store = (f"sqlite:///{folder / 'cases.sqlite3'}", str(folder / "images"))
        self.address = f"http://127.0.0.1:{port}"
        self.environ = {"DATABASE_URL": self.store[0], "IMAGE_STORE": self.store[1], "CASE_KEY": KEY, **environ}
        started_in = ROOT
        if base_path:
            (folder / ".streamlit").mkdir()
            (folder / ".streamlit" / "config.toml").write_text(f'[server]\nbaseUrlPath = "{base_path}"\n')
            self.address += f"/{base_path}"
            self.environ["PYTHONPATH"] = str(ROOT)
            started_in = folder
        command = [sys.executable, "-m", "dashboard.serve", "--dashboards", "2", "--port", str(port)]
        with self.log.open("wb") as output, errors_beside(self.log).open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=started_in,
                stdout=output,
                stderr=errors,
                env=os.environ | self.environ | {"API_WORKERS": "1"},
            )

    def processes(self) -> dict[str, int]:
        """The process id last started for each service."""
        found = re.findall(r"\b(dashboard1|dashboard2|api) starts as process (\d+)", self.log.read_text())
        return {name: int(number) for name, number in found}

    def cookie(self, **cookies: str) -> str | None:
        """Which dashboard answers, as the cookie says; None where the browser keeps its own."""
        answer = httpx.get(f"{self.address}/", cookies=cookies)
        assert answer.status_code == 200
        return answer.cookies.get(COOKIE)


@contextmanager
def running_serve(folder: Path, port: int | None = None, base_path: str = "", **environ: str) -> Iterator[Running]:
    """A `Running` that answers, with further settings, on a port, below a path; it ends with the block."""
    needs_nginx()
    started = Running(folder, port or free_port(), base_path, **environ)
    try:
        wait_until(lambda: "ready on" in started.log.read_text() or started.process.poll() is not None, started.log)
        assert started.process.poll() is None, told(started.log)
        wait_until(lambda: answers(f"{started.address}/_stcore/health"), started.log)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(timeout=PATIENCE_SECONDS)


def wait_until(is_so: Callable[[], bool], log: Path) -> None:
    """Wait for something that the log tells of where it does not come."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, told(log)
        time.sleep(0.1)


def told(log: Path) -> str:
    """The log, and what was written to standard error beside it."""
    return log.read_text() + errors_beside(log).read_text()


def errors_beside(log: Path) -> Path:
    """Where standard error is written."""
    return log.with_name(f"{log.name}.errors")


def is_alive(process_id: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether it answers 200."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
