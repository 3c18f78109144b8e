"""Requests are counted and their table written, against servers whose answers are known."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model.bench_requests import HEAD, PREDICT, PREPROCESS, Load, Target, body_of, event_of, load_of, main
from tests.support.server import sample

IMAGE = b"an image"
SHOWN = base64.b64encode(b"what the network is shown").decode()


class Service(BaseHTTPRequestHandler):
    """The API or, at /invocations, the emulator; every third prediction fails."""

    asked = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if is_event := self.path == "/invocations":
            route, body = f"{body['rawPath']}?{body['rawQueryString']}".rstrip("?"), json.loads(body["body"])
        else:
            route = self.path
        status, answer = 200, {"image": SHOWN} if route == PREPROCESS else {"refusal": None, "sent": body["image"]}
        if route == PREDICT:
            assert body["image"] == SHOWN
            Service.asked += 1
            status = 503 if Service.asked % 3 == 0 else 200
        text = json.dumps(answer)
        sent = json.dumps({"statusCode": status, "body": text}) if is_event else text
        self.send_response(200 if is_event else status)
        self.end_headers()
        self.wfile.write(sent.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Service.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_emulator", [False, True], ids=["api", "emulator"])
def test_answers_and_failures_are_counted(url: str, is_emulator: bool) -> None:
    target = Target(f"{url}/invocations" if is_emulator else url, None, is_emulator)
    load = asyncio.run(load_of(target, PREDICT, json.dumps({"image": SHOWN}).encode(), 9, 2))
    assert (len(load.milliseconds), dict(load.errors)) == (6, {"status 503": 3})
    assert load.answer_bytes == len(json.dumps({"refusal": None, "sent": SHOWN}))


def test_row_by_hand() -> None:
    load = Load(PREDICT, 1000, 4, 60_240, 1_500, milliseconds=[10.0, 20.0, 30.0])
    load.errors["status 503"] = 2
    assert load.row() == "| `/v1/predict` | 1,000 | 4 | 20 | 29 | 2 status 503 | 60.2 | 1.5 |"
    assert load.row().count("|") == HEAD.splitlines()[0].count("|")


def test_event_is_what_api_gateway_sends() -> None:
    event = event_of(PREDICT, body_of(IMAGE))
    assert (event["rawPath"], event["rawQueryString"]) == ("/v1/predict", "prepared=true")
    assert json.loads(event["body"]) == {"image": base64.b64encode(IMAGE).decode()}


def test_server_that_runs_is_measured_and_its_failures_end_with_1(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "eye.png").write_bytes(IMAGE)
    words = ["--image", str(tmp_path / "eye.png"), "--requests", "2", "4", "--at-once", "1"]
    assert main(["--url", url, *words]) == 1
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| `/v1/preprocess`", "2"], ["| `/v1/preprocess`", "4"], ["| `/v1/predict`", "2"], ["| `/v1/predict`", "4"],
    ]  # fmt: skip
    assert HEAD in out and "load average before the run" in out
    assert main(["--emulator", f"{url}/invocations", *words]) == 1
    assert "with the function's start" in capsys.readouterr().out


def test_nobody_there_and_no_model_end_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "eye.png").write_bytes(IMAGE)
    words = ["--image", str(tmp_path / "eye.png")]
    assert main(["--url", "http://127.0.0.1:9", *words]) == 2
    assert main(["--artifact", str(tmp_path), *words]) == 2
    assert main(["--artifact", str(tmp_path), "--image", str(tmp_path / "none.png")]) == 2
    assert "expected http://127.0.0.1:9 to answer the image, received ConnectError" in capsys.readouterr().err


def test_process_of_its_own_is_started_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lesion.jpg").write_bytes(sample())
    assert main(["--task", "skin", "--image", str(tmp_path / "lesion.jpg"), "--requests", "1", "--starts", "1"]) == 0
    out = capsys.readouterr().out
    assert "From the start of the API's process to its first answer" in out and "median of 1" in out
    assert out.count("| `/v1/") == 2
