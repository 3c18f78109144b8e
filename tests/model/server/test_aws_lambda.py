"""API Gateway's events to the Lambda handler, versions 1.0 and 2.0, without Lambda."""

from __future__ import annotations

import base64
import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model.server.settings import ServerSettingsError
from tests.support.artifacts import artifact_with_terms
from tests.support.server import sample
from tests.support.servers.lambda_events import EVENTS, Handler, event_2, handler_of


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handler]:
    """The module's handler with made-up terms."""
    with handler_of(artifact_with_terms(tmp_path_factory.mktemp("facts") / "skin")) as handler:
        yield handler


@EVENTS
def test_image_in_an_event_is_answered(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    body = base64.b64encode(sample()).decode()
    response = handler(event("POST", "/v1/predict", body, "image/jpeg", True, heatmap="png"), None)
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, False)
    answer = json.loads(response["body"])
    assert answer["prediction"] == "mel" and answer["overlay"] is not None


@EVENTS
def test_json_in_an_event_is_answered_again_and_again(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    body = json.dumps({"image": base64.b64encode(sample()).decode()})
    for _ in range(2):
        response = handler(event("POST", "/v1/predict", body, "application/json", False), None)
        assert (response["statusCode"], json.loads(response["body"])["prediction"]) == (200, "mel")


@EVENTS
def test_facts_in_an_event_s_query_and_body_are_taken_into_account(
    handler: Handler, event: Callable[..., dict[str, Any]]
) -> None:
    image = base64.b64encode(sample()).decode()
    body = json.dumps({"image": image, "age": 80, "site": "back"})
    for one in (
        event("POST", "/v1/predict", image, "image/jpeg", True, age="80", site="back"),
        event("POST", "/v1/predict", body, "application/json", False),
    ):
        answer = json.loads(handler(one, None)["body"])
        assert (answer["prediction"], answer["facts"]) == ("bcc", {"age": 80.0, "site": "back"})


@EVENTS
def test_picture_comes_in_base64(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    body = base64.b64encode(sample()).decode()
    response = handler(event("POST", "/v1/heatmap", body, "image/jpeg", True), None)
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(response["body"]).startswith(b"\x89PNG")


@EVENTS
def test_prepared_image_comes_as_it_was_sent(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    image = base64.b64encode(sample()).decode()
    picture = handler(event("POST", "/v1/preprocess", image, "image/jpeg", True), None)
    assert (picture["statusCode"], picture["isBase64Encoded"]) == (200, True)
    response = handler(event("POST", "/v1/preprocess", json.dumps({"image": image}), "application/json", False), None)
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, False)
    assert json.loads(response["body"]) == {"image": picture["body"], "height": 192, "width": 256}


@EVENTS
def test_problem_comes_as_text(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    response = handler(event("POST", "/v1/predict", "aGVsbG8=", "image/jpeg", True), None)
    assert (response["statusCode"], response["isBase64Encoded"]) == (422, False)
    assert json.loads(response["body"])["reason"] == "not_an_image"
    assert response["headers"]["content-type"] == "application/problem+json"


OWN_ADDRESS = "x.execute-api.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("stage", "address", "path", "status"),
    [
        ("prod", OWN_ADDRESS, "/prod/readyz", 200),
        ("readyz", OWN_ADDRESS, "/readyz/readyz", 200),
        ("$default", OWN_ADDRESS, "/readyz", 200),
        ("prod", OWN_ADDRESS, "/production/readyz", 404),
        # A domain of one's own has no stage in its paths, even one that is called like the path's beginning.
        ("readyz", "api.example", "/readyz", 200),
        ("prod", "api.example", "/prod/readyz", 404),
    ],
)
def test_named_stage_stands_before_the_path(handler: Handler, stage: str, address: str, path: str, status: int) -> None:
    event = event_2("GET", path, None, "", False)
    event["requestContext"] |= {"stage": stage, "domainName": address}
    assert handler(event, None)["statusCode"] == status


@EVENTS
def test_health_is_answered(handler: Handler, event: Callable[..., dict[str, Any]]) -> None:
    assert handler(event("GET", "/readyz", None, "", False), None)["statusCode"] == 200


def test_mangum_writes_no_lines_of_its_own_which_hold_paths(handler: Handler) -> None:
    assert not logging.getLogger("mangum").isEnabledFor(logging.INFO)
    assert not logging.getLogger("mangum.http").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("environ", [{}, {"API_TOKENS": "short"}])
def test_function_that_anyone_may_call_does_not_start(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALLOW_ANONYMOUS", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "model.server.aws_lambda", raising=False)
    with pytest.raises(ServerSettingsError):
        importlib.import_module("model.server.aws_lambda")
