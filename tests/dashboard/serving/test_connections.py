"""Headers that never end, sent to the dashboard and to nginx over real sockets: others are answered all the same."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dashboard.serving.gateway import Gateway
from tests.support.case_log import KEY
from tests.support.server import END_SECONDS, ROOT, many_half_sent, running_server
from tests.support.servers.ports import free_port
from tests.support.servers.serve import answers, needs_nginx, wait_until


def test_1100_connections_do_not_stop_a_dashboard_of_1024_descriptors(tmp_path: Path) -> None:
    store = {"DATABASE_URL": f"sqlite:///{tmp_path / 'cases.sqlite3'}", "IMAGE_STORE": str(tmp_path / "images")}
    with running_server(module="dashboard.server", descriptors=1024, CASE_KEY=KEY, **store) as (process, address):
        held = list(many_half_sent(address, 1100))
        for path in ("/", "/_stcore/health", "/healthz"):
            assert httpx.get(f"{address}{path}", timeout=END_SECONDS).status_code == 200
        for connection in held:
            connection.close()
        process.terminate()
        log, _ = process.communicate(timeout=END_SECONDS)
    assert len(log) < 20_000


@pytest.fixture
def gateway(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Gateway]:
    """nginx before a toy server, with room for 250 connections and 1 s for headers; `capfd` has its log."""
    needs_nginx()
    port = free_port()
    toy = [sys.executable, "-m", "tests.support.servers.toy_server", "--address", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(toy, cwd=ROOT) as behind:
        made = Gateway(tmp_path, "127.0.0.1", free_port())
        file = tmp_path / "nginx.conf"
        text = file.read_text()
        for whole, small in {"client_header_timeout 10s": "client_header_timeout 1s", "9000": "250"}.items():
            assert whole in text
            text = text.replace(whole, small)
        file.write_text(text)
        made.write({"dashboard1": port}, port)
        nginx = made.start()
        try:
            wait_until(lambda: answers(made.url), file)
            yield made
        finally:
            nginx.terminate()
            nginx.wait(END_SECONDS)
            behind.terminate()


def test_nginx_times_headers_out_and_says_nothing_of_whom_it_turns_away(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    held = list(many_half_sent(gateway.url, 600))
    wait_until(lambda: answers(gateway.url), gateway.folder / "nginx.conf")
    for connection in held[:100]:  # those that it let in
        with connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    for connection in held[100:]:
        connection.close()
    assert capfd.readouterr().err == ""
