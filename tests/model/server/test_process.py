"""The API as a process of its own: what it loads, how it starts, refuses to, and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.support.server import END_SECONDS, ROOT, TOKEN, half_sent, running_server, sample, wait_until_held

HEAVY = ("tensorflow", "keras", "pandas", "scipy", "streamlit", "boto3", "pydicom")


def test_process_loads_nothing_heavy() -> None:
    code = (
        "import sys, uvicorn; from model.server.app import create_app; "
        "from model.server.settings import ServerSettings; create_app(ServerSettings(workers=1)); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(process.stdout.split())
    assert loaded >= {"fastapi", "ai_edge_litert"}
    assert not loaded & set(HEAVY)


def test_running_request_is_finished_when_the_server_is_told_to_end() -> None:
    content = sample()
    with running_server() as (process, address):
        connection = half_sent(address, content)
        wait_until_held(address)
        process.send_signal(signal.SIGTERM)
        # It takes no new connections any more, and still waits for the rest of this one.
        connection.sendall(content[1000:])
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        connection.close()
        log, _ = process.communicate(timeout=END_SECONDS)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["prediction"] == "mel"
    assert process.returncode == 0
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["status"] for event in events if event.get("route") == "/v1/predict"] == [200]


def test_request_that_never_ends_does_not_keep_the_server() -> None:
    with running_server() as (process, address), half_sent(address, sample()):
        wait_until_held(address)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=END_SECONDS)
    assert process.returncode == 0


def test_process_as_sagemaker_starts_it_answers_at_its_addresses() -> None:
    with running_server("serve", API_WORKERS="1") as (_, address):
        assert httpx.get(f"{address}/ping").status_code == 200
        response = httpx.post(f"{address}/invocations", content=sample(), headers={"content-type": "image/jpeg"})
    assert response.json()["prediction"] == "mel"


def test_process_with_tokens_serves_others_and_says_nothing_of_itself() -> None:
    with running_server("--address", "0.0.0.0", API_TOKENS=TOKEN, API_WORKERS="1") as (_, address):
        refused = httpx.post(f"{address}/v1/predict", content=sample())
        answered = httpx.post(
            f"{address}/v1/predict",
            content=sample(),
            headers={"authorization": f"Bearer {TOKEN}", "content-type": "image/jpeg"},
        )
    assert (refused.status_code, answered.status_code) == (401, 200)
    assert "server" not in answered.headers


@pytest.mark.parametrize(
    ("proxies", "statuses"), [("", [200, 429]), ("10.0.0.1", [200, 429]), ("127.0.0.1", [200, 200])]
)
def test_only_a_stated_proxy_says_who_asks(proxies: str, statuses: list[int]) -> None:
    environ = {"API_PROXIES": proxies, "API_RATE_PER_MINUTE": "1", "API_WORKERS": "1", "FORWARDED_ALLOW_IPS": "*"}
    with running_server(**environ) as (_, address):
        received = [
            httpx.post(
                f"{address}/v1/predict",
                content=sample(),
                headers={"content-type": "image/jpeg", "x-forwarded-for": f"192.0.2.{number}"},
            ).status_code
            for number in (1, 2)
        ]
    assert received == statuses


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (["--address", "0.0.0.0"], {}, "ALLOW_ANONYMOUS=1"),
        ([], {"API_TOKENS": "short"}, "API_TOKENS"),
        ([], {"API_WORKERS": "many"}, "API_WORKERS"),
    ],
)
def test_wrong_settings_end_it_with_the_reason(arguments: list[str], environ: dict[str, str], message: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "model.server", *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stderr.startswith("model.server: ") and message in process.stderr
    assert "Traceback" not in process.stderr


def test_port_in_use_ends_it_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = subprocess.run(
            [sys.executable, "-m", "model.server", "--port", str(port)],
            cwd=ROOT, env=os.environ | {"API_WORKERS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert process.returncode == 2
    assert f"expected to listen on 127.0.0.1:{port}, received Address already in use" in process.stderr
