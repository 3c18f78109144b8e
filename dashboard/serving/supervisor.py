"""Starts, watches and replaces the processes of `dashboard.serve`."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException

from dashboard.doors.addresses import address
from dashboard.serving.gateway import Gateway

# Below what Linux gives to outgoing connections (32768 to 60999), of which nginx makes thousands.
PORTS = range(20000, 21000)
# A session holds four to five descriptors here and two in nginx; 500 users need 8,192 at least.
DESCRIPTORS = 20_000
TICK_SECONDS = 0.1
# Together with the last tick below the two seconds that are promised.
END_SECONDS = 1.6
# A gateway that is told to reload still sends requests by the old list for a moment.
HAND_OVER_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
# Who has lived that long died of something new, and is not kept waiting.
STEADY_SECONDS = 30.0
# A process that serves 250 users may answer late; one that is silent that long, so often in a row, hangs.
HANG_SECONDS = 60.0
SILENCES = 2

_log = logging.getLogger(__name__)


@dataclass
class BackOff:
    """How long to wait before the next start: twice as long after each quick death."""

    pause: float = 0.0
    not_before: float = 0.0

    def died(self, lived: float, now: float) -> None:
        """Note a death; `lived` and `now` in seconds."""
        is_quick = self.pause and lived < STEADY_SECONDS
        self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS) if is_quick else FIRST_PAUSE_SECONDS
        self.not_before = now + self.pause


@dataclass
class Server:
    """One process of a service and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    started: float
    is_told_to_end: bool = False
    silences: int = 0

    @property
    def is_hanging(self) -> bool:
        """Whether `watch` has seen enough."""
        return self.silences >= SILENCES

    def is_dead(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self.process.poll() is not None

    def answers(self, path: str) -> bool:
        """Whether it answers 200 within half a second."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=0.5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def watch(self, path: str, seconds: float) -> None:
        """Ask until the process has ended or hangs, and count how often in a row nothing came back.

        Args:
            path: what to ask for.
            seconds: how long to wait for an answer, and after one.
        """
        while not self.is_dead() and not self.is_hanging:
            if self.is_silent(path, seconds):
                self.silences += 1
            else:
                self.silences = 0
                time.sleep(seconds)

    def is_silent(self, path: str, seconds: float) -> bool:
        """Whether nothing at all comes back in that time: an error is an answer, and so is a port not yet open."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=seconds):
                return False
        except (OSError, HTTPException) as error:
            # As it is where nothing was read, as a reason where no connection came about.
            return isinstance(getattr(error, "reason", error), TimeoutError)


@dataclass
class Service:
    """A place that is to be filled by a process: who serves, who starts to take over, when to try again.

    Attributes:
        name: as the log and the cookie call it.
        module: what Python runs.
        health_path: answers 200 once the process can serve.
        arguments: what it is started with, beside its address and port.
    """

    name: str
    module: str
    health_path: str
    arguments: tuple[str, ...] = ()
    serving: Server | None = None
    coming: Server | None = None
    is_replacing: bool = False
    back_off: BackOff = field(default_factory=BackOff)

    def bury(self, now: float) -> None:
        """Forget processes that have ended."""
        for role in ("serving", "coming"):
            server = getattr(self, role)
            if server is not None and server.is_dead():
                self.back_off.died(now - server.started, now)
                _log.warning(
                    "%s ended with %s; again in %.1f s", self.name, server.process.returncode, self.back_off.pause
                )
                setattr(self, role, None)

    def is_to_start(self, now: float) -> bool:
        """Whether a new process is wanted and due."""
        is_wanted = self.coming is None and (self.serving is None or self.is_replacing)
        return is_wanted and now >= self.back_off.not_before

    def take_over(self) -> Server | None:
        """The new process serves; returns the one it replaces."""
        old, self.serving, self.coming = self.serving, self.coming, None
        self.is_replacing = False
        return old


class Supervisor:
    """Keeps every service filled and the gateway informed, tick by tick.

    Args:
        services: the last one is the API.
        gateway: before them.
        hang_seconds: a process that answers nothing for so long, `SILENCES` times in a row, is replaced.
    """

    def __init__(self, services: Sequence[Service], gateway: Gateway, hang_seconds: float = HANG_SECONDS) -> None:
        self.services = services
        self.gateway = gateway
        self._hang_seconds = hang_seconds
        self._to_replace: deque[Service] = deque()
        self._ending: list[tuple[Server, float]] = []
        self._gateway_started = 0.0
        self._gateway_back_off = BackOff()

    def tick(self, now: float) -> None:
        """Look at everything once.

        Args:
            now: of the monotonic clock, seconds.
        """
        for service in self.services:
            service.bury(now)
            if service.is_to_start(now):
                service.coming = self._start(service, now)
            elif service.coming is not None and service.coming.answers(service.health_path):
                self._take_over(service, now)
        self._kill_hanging()
        self._keep_gateway(now)
        self._end_replaced(now)
        self._replace_next()

    def replace_all(self) -> None:
        """From the next tick on, replace every process, one after the other."""
        self._to_replace = deque(self.services)

    def end(self) -> None:
        """Ask all to end, running requests first; after `END_SECONDS` they are killed."""
        processes = [server.process for server in self._servers()]
        if self.gateway.process is not None:
            # It lets nobody in any more, and passes on what still comes.
            self.gateway.process.send_signal(signal.SIGQUIT)
        for process in processes:
            process.terminate()
        until = time.monotonic() + END_SECONDS
        for process in processes:
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.gateway.process is not None:
            # Nobody is left behind it. Not killed, for its worker would stay.
            self.gateway.process.terminate()
            self.gateway.process.wait()

    def _servers(self) -> Iterable[Server]:
        for service in self.services:
            yield from (server for server in (service.serving, service.coming) if server is not None)
        yield from (server for server, _ in self._ending)

    def _start(self, service: Service, now: float) -> Server:
        port = free_port({server.port for server in self._servers()})
        command = [sys.executable, "-m", service.module, "--address", "127.0.0.1", "--port", str(port)]
        command += service.arguments
        # In the same folder, whose `.streamlit/config.toml` both must read. A session of its own: Ctrl-C in a terminal
        # reaches the supervisor alone, which ends them in order.
        process = subprocess.Popen(command, start_new_session=True)
        _log.info("%s starts as process %d on port %d", service.name, process.pid, port)
        server = Server(process, port, now)
        # A thread, for it may wait for a minute; a daemon, for nobody waits for it.
        threading.Thread(target=server.watch, args=(service.health_path, self._hang_seconds), daemon=True).start()
        return server

    def _take_over(self, service: Service, now: float) -> None:
        replaced = service.take_over()
        if all(service.serving for service in self.services):
            ports = {service.name: service.serving.port for service in self.services if service.serving}
            api_port = ports.pop(self.services[-1].name)
            self.gateway.write(ports, api_port)
            self.gateway.reload()
        if replaced is not None:
            self._ending.append((replaced, now + HAND_OVER_SECONDS))

    def _kill_hanging(self) -> None:
        for server in self._servers():
            if server.is_hanging and not server.is_dead():
                silent = f"{SILENCES} x {self._hang_seconds:.0f} s"
                _log.warning("process %d answered nothing for %s and is killed", server.process.pid, silent)
                server.process.kill()
                server.silences = 0  # told once

    def _keep_gateway(self, now: float) -> None:
        process, back_off = self.gateway.process, self._gateway_back_off
        if process is not None and process.poll() is not None:
            back_off.died(now - self._gateway_started, now)
            _log.warning("nginx ended with %s; again in %.1f s", process.returncode, back_off.pause)
            self.gateway.process = None
        if self.gateway.process is None and self.gateway.is_written and now >= back_off.not_before:
            self.gateway.start()
            self._gateway_started = now
            _log.info("ready on %s", self.gateway.url)

    def _end_replaced(self, now: float) -> None:
        for server, due in self._ending:
            if now >= due and not server.is_told_to_end:
                server.process.terminate()
                server.is_told_to_end = True
        self._ending = [(server, due) for server, due in self._ending if not server.is_dead()]

    def _replace_next(self) -> None:
        if self._to_replace and all(one.serving and not one.is_replacing for one in self.services):
            self._to_replace.popleft().is_replacing = True


def free_port(taken: set[int]) -> int:
    """A port of `PORTS` that nobody listens on and that is not among `taken`; raises OSError where there is none."""
    for port in PORTS:
        if port not in taken and is_free("127.0.0.1", port):
            return port
    raise OSError(f"expected a free port from {PORTS.start} to {PORTS.stop - 1}, found none; end what listens there")


def is_free(address: str, port: int) -> bool:
    """Whether one could listen there."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def raise_descriptor_limit() -> int:
    """Let this process and its children open `DESCRIPTORS` files, or as many as are permitted; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in ((DESCRIPTORS, max(hard, DESCRIPTORS)), (min(hard, DESCRIPTORS), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted[0]), wanted[1]))
            break
        except (ValueError, OSError):
            continue  # only root may raise the hard limit
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def services(dashboards: int) -> list[Service]:
    """So many dashboards, then the API."""
    names = [f"dashboard{number}" for number in range(1, dashboards + 1)]
    return [
        *(Service(name, "dashboard.server", address("/_stcore/health")) for name in names),
        # nginx tells it who asks.
        Service("api", "model.server", "/healthz", ("--proxy", "127.0.0.1")),
    ]


def supervise(supervisor: Supervisor) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP replaces the processes."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: received.append(number))
    try:
        while not {signal.SIGTERM, signal.SIGINT} & set(received):
            if received:
                received.clear()
                supervisor.replace_all()
            supervisor.tick(time.monotonic())
            time.sleep(TICK_SECONDS)
    finally:
        supervisor.end()
