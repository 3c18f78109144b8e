"""One line a request: its id, route, status and times, and nothing that a caller wrote."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

import pytest
from fastapi import FastAPI

from model.analysis.log_lines import JsonFormatter
from model.server.request_log import LOGGER
from model.server.service import Service
from tests.support.server import black_image, open_app, predict, sample, send


@pytest.fixture
def app() -> FastAPI:
    return open_app()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, LOGGER.name)
    caplog.handler.setFormatter(JsonFormatter())
    return caplog


def lines(logged: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonFormatter().format(record)) for record in logged.records if record.name == LOGGER.name]


def test_line_of_an_answer_holds_the_time_of_each_stage(app: FastAPI, logged: pytest.LogCaptureFixture) -> None:
    response = predict(app, sample())
    (line,) = lines(logged)
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["event"], line["level"], line["method"], line["route"]) == ("request", "info", "POST", "/v1/predict")
    assert (line["status"], line["images"], line["reason"]) == (200, 1, None)
    assert set(line["ms"]) == {"wait", "image", "network", "answer", "total"}
    assert line["ms"]["total"] >= line["ms"]["network"] > 0


@pytest.mark.parametrize(("content", "reason"), [(black_image(), "too_dark"), (b"no image", "not_an_image")])
def test_line_says_why_there_is_no_prediction(
    app: FastAPI, logged: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    predict(app, content)
    assert lines(logged)[0]["reason"] == reason


def test_nothing_a_caller_wrote_is_logged(app: FastAPI, logged: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": "Bearer mueller", "User-Agent": "mueller", "X-Request-Id": "mueller"}
    send(app, "GET", "/mueller?mueller=1", headers=headers)
    send(app, "MUELLER", "/healthz", headers=headers)
    send(app, "POST", "/v1/predict?heatmap=mueller", files={"mueller": ("mueller.jpg", sample())}, headers=headers)
    send(app, "POST", "/v1/predict", files={"mueller": ("mueller.jpg", sample())}, headers=headers)
    assert [line["status"] for line in lines(logged)] == [404, 405, 422, 200]
    assert "mueller" not in json.dumps(lines(logged)).lower()
    assert [line["route"] for line in lines(logged)] == ["unmatched", "/healthz", "/v1/predict", "/v1/predict"]


def test_failure_is_logged_by_class_and_place(
    app: FastAPI, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*arguments: Any) -> None:
        raise KeyError("mueller.jpg")

    monkeypatch.setattr(Service, "answer", failing)
    response = predict(app, sample())
    failed, request = lines(logged)
    assert (failed["level"], failed["error"]) == ("error", "KeyError")
    assert failed["at"][-1].startswith("test_request_log.py:") and failed["at"][-1].endswith(" failing")
    assert failed["request_id"] == request["request_id"] == response.headers["x-request-id"]
    assert (request["status"], request["reason"]) == (500, "internal_error")
    assert "mueller" not in json.dumps(lines(logged))


def test_caller_s_id_is_used_if_it_is_a_uuid(app: FastAPI) -> None:
    own = str(uuid.uuid4())
    assert send(app, "GET", "/healthz", headers={"X-Request-Id": own}).headers["x-request-id"] == own
    given = send(app, "GET", "/healthz", headers={"X-Request-Id": "P-4711"}).headers["x-request-id"]
    assert str(uuid.UUID(given)) == given


def test_exception_of_a_library_loses_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("mueller.jpg")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (type(error), error, error.__traceback__))
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["error"]) == ("failed", "ValueError")
    assert "mueller" not in json.dumps(line)
