"""Each task's committed model under every contract: one answer, whichever way the image comes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from data.tasks.known import TASKS
from model.arguments import sample_of
from model.inference.artifact import WEIGHTS
from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.server import predict, send
from tests.support.servers.lambda_events import event_2, handler_of

SERVED = [task for task in TASKS if (WEIGHTS / task).is_dir()]
PREDICT = "/v1/endpoints/1/deployedModels/2:predict"
# The requests of the service that this one was measured against were of 1.5 MB at most; ours stay well below it.
MOST_BYTES = 200_000


@pytest.fixture(scope="module", params=SERVED)
def task(request: pytest.FixtureRequest) -> str:
    key: str = request.param
    return key


@pytest.fixture(scope="module")
def app(task: str) -> Iterator[FastAPI]:
    settings = ServerSettings(model_dir=WEIGHTS / task, rate_per_minute=0, workers=1, vertex_predict_route=PREDICT)
    app = create_app(settings, is_sagemaker=True)
    yield app
    app.state.service.close()


@pytest.fixture(scope="module")
def image(task: str) -> bytes:
    return sample_of(TASKS[task]).read_bytes()


def stated(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from one request to the next."""
    return {name: value for name, value in answer.items() if "request_id" not in name and "_ms" not in name}


@pytest.fixture(scope="module")
def answer(app: FastAPI, image: bytes) -> dict[str, Any]:
    response = predict(app, image)
    assert response.status_code == 200
    return stated(response.json())


def test_answer_is_the_task_s(app: FastAPI, answer: dict[str, Any], task: str) -> None:
    assert send(app, "GET", "/readyz").json()["name"] == task
    assert answer["refusal"] or tuple(answer["probabilities"]) == TASKS[task].codes


def test_sagemaker_and_vertex_ai_say_the_same(app: FastAPI, image: bytes, answer: dict[str, Any]) -> None:
    encoded = base64.b64encode(image).decode()
    assert stated(predict(app, image, "/invocations").json()) == answer
    body = {"instances": [{"b64": encoded}, {"image": {"b64": encoded}}]}
    predictions = send(app, "POST", PREDICT, json=body).json()["predictions"]
    assert [stated(one["answer"]) for one in predictions] == [answer, answer]
    batch = send(app, "POST", "/v1/predict/batch", json={"images": [encoded]}).json()
    assert [stated(one["answer"]) for one in batch["results"]] == [answer]


def test_lambda_says_the_same(task: str, image: bytes, answer: dict[str, Any]) -> None:
    with handler_of(WEIGHTS / task) as handler:
        body = base64.b64encode(image).decode()
        response = handler(event_2("POST", "/v1/predict", body, "image/jpeg", True), None)
    assert stated(json.loads(response["body"])) == answer


def test_what_is_prepared_is_answered_alike_in_a_small_request(
    app: FastAPI, image: bytes, answer: dict[str, Any]
) -> None:
    encoded = base64.b64encode(image).decode()
    shown = send(app, "POST", "/v1/preprocess", json={"image": encoded}).json()["image"]
    body = json.dumps({"image": shown}).encode()
    assert len(body) <= MOST_BYTES
    response = send(
        app, "POST", "/v1/predict?prepared=true", content=body, headers={"content-type": "application/json"}
    )
    assert response.json()["probabilities"] == answer["probabilities"]
