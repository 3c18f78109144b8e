"""A process that hangs is replaced, one that is slow is not."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.serving.gateway import Gateway
from dashboard.serving.supervisor import HANG_SECONDS, TICK_SECONDS, Server, Service, Supervisor
from tests.support.servers.ports import free_port
from tests.support.servers.serve import PATIENCE_SECONDS, answers, is_alive, needs_nginx
from tests.support.servers.toy_server import LATE_SECONDS

LIMIT_SECONDS = 2 * LATE_SECONDS


class Silences:
    """What `is_silent` says, one after the other; then the process ends."""

    def __init__(self, server: Server, *said: bool) -> None:
        self.server, self.said = server, list(said)

    def __call__(self, path: str, seconds: float) -> bool:
        if len(self.said) == 1:
            self.server.process.kill()
            self.server.process.wait()
        return self.said.pop(0)


@pytest.fixture
def server() -> Iterator[Server]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield Server(process, free_port(), started=0.0)
    process.kill()
    process.wait()


def watch(server: Server, monkeypatch: pytest.MonkeyPatch, *said: bool) -> Silences:
    silences = Silences(server, *said)
    monkeypatch.setattr(server, "is_silent", silences)
    server.watch("/", seconds=0.0)
    return silences


def test_two_silences_in_a_row_are_a_hang(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    left = watch(server, monkeypatch, False, True, False, True, True, False)
    assert server.is_hanging and left.said == [False]


def test_silences_with_answers_between_are_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch(server, monkeypatch, True, False, True, False, True).said == []
    assert not server.is_hanging


def test_silence_lasts_a_minute() -> None:
    assert HANG_SECONDS == 60


def test_closed_port_is_not_silent(server: Server) -> None:
    assert not server.is_silent("/", seconds=PATIENCE_SECONDS)


# --- With real processes ---------------------------------------------------------------------------------------------


class Watched:
    """A supervisor of two toy dashboards and a toy API behind nginx; the second dashboard answers late."""

    def __init__(self, folder: Path) -> None:
        services = [Service(name, "tests.support.servers.toy_server", path) for name, path in NAMES.items()]
        self.supervisor = Supervisor(services, Gateway(folder, "127.0.0.1", free_port()), LIMIT_SECONDS)

    def run_until(self, is_so: Callable[[], bool]) -> None:
        """Tick until it is so, at most `PATIENCE_SECONDS`."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            now = time.monotonic()
            assert now < until
            self.supervisor.tick(now)
            time.sleep(TICK_SECONDS)

    def processes(self) -> dict[str, int | None]:
        serving = {service.name: service.serving for service in self.supervisor.services}
        return {name: server.process.pid if server else None for name, server in serving.items()}


NAMES = {"dashboard1": "/", "dashboard2": "/late", "api": "/"}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    needs_nginx()
    watched = Watched(tmp_path)
    try:
        watched.run_until(lambda: None not in watched.processes().values())
        watched.run_until(lambda: answers(watched.supervisor.gateway.url))
        yield watched
    finally:
        watched.supervisor.end()


def test_stopped_process_is_replaced_and_a_slow_one_is_not(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = watched.processes()
    assert before["dashboard1"]
    os.kill(before["dashboard1"], signal.SIGSTOP)
    watched.run_until(lambda: watched.processes()["dashboard1"] not in (None, before["dashboard1"]))
    watched.run_until(lambda: not is_alive(before["dashboard1"] or 0))
    assert watched.processes() == before | {"dashboard1": watched.processes()["dashboard1"]}
    assert f"process {before['dashboard1']} answered nothing for 2 x 3 s and is killed" in caplog.text
    assert caplog.text.count("is killed") == 1
    assert [answers(watched.supervisor.gateway.url) for _ in range(4)] == [True] * 4


def test_stopped_process_that_was_replaced_already_does_not_stay(watched: Watched) -> None:
    before = watched.processes()
    assert before["dashboard1"]
    watched.supervisor.replace_all()
    os.kill(before["dashboard1"], signal.SIGSTOP)
    watched.run_until(lambda: not is_alive(before["dashboard1"] or 0))
    assert None not in watched.processes().values()
