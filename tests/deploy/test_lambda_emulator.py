"""The bundle as Lambda runs it: in the real runtime interface emulator, through its HTTP endpoint."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from model.server.bodies import MAX_BODY_BYTES
from tests.support.server import open_app, predict, sample, send
from tests.support.servers.lambda_emulator import Invoke
from tests.support.servers.lambda_events import EVENTS

pytest_plugins = ("tests.support.servers.lambda_emulator",)
Event = Callable[..., dict[str, Any]]
IMAGE = base64.b64encode(sample()).decode()


@EVENTS
def test_image_is_answered_as_here(invoke: Invoke, event: Event) -> None:
    response = invoke(event("POST", "/v1/predict", IMAGE, "image/jpeg", True))
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, False)
    answer, local = json.loads(response["body"]), predict(open_app(), sample()).json()
    assert answer["probabilities"] == pytest.approx(local["probabilities"], abs=1e-6)
    assert answer["prediction"] == local["prediction"]


@EVENTS
def test_broken_image_is_a_problem(invoke: Invoke, event: Event) -> None:
    response = invoke(event("POST", "/v1/predict", "aGVsbG8=", "image/jpeg", True))
    assert (response["statusCode"], json.loads(response["body"])["reason"]) == (422, "not_an_image")


@EVENTS
def test_health_is_answered(invoke: Invoke, event: Event) -> None:
    assert invoke(event("GET", "/healthz", None, "", False))["statusCode"] == 200


@EVENTS
def test_heatmap_comes_in_base64(invoke: Invoke, event: Event) -> None:
    response = invoke(event("POST", "/v1/heatmap", IMAGE, "image/jpeg", True))
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(response["body"]).startswith(b"\x89PNG")


@EVENTS
def test_image_is_prepared_as_here_base64_in_and_out(invoke: Invoke, event: Event) -> None:
    body = json.dumps({"image": IMAGE})
    response = invoke(event("POST", "/v1/preprocess", body, "application/json", False))
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, False)
    local = send(open_app(), "POST", "/v1/preprocess", json={"image": IMAGE}).json()
    assert json.loads(response["body"]) == local
    picture = invoke(event("POST", "/v1/preprocess", IMAGE, "image/jpeg", True))
    assert (picture["statusCode"], picture["isBase64Encoded"]) == (200, True)
    assert picture["body"] == local["image"]


@EVENTS
def test_announced_body_that_is_too_large_is_refused(invoke: Invoke, event: Event) -> None:
    sent = event("POST", "/v1/predict", IMAGE, "image/jpeg", True)
    sent["headers"]["content-length"] = str(MAX_BODY_BYTES + 1)
    sent.get("multiValueHeaders", {})["content-length"] = [str(MAX_BODY_BYTES + 1)]
    response = invoke(sent)
    assert (response["statusCode"], json.loads(response["body"])["reason"]) == (413, "request_too_large")
