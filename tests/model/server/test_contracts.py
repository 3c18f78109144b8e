"""SageMaker's and Vertex AI's contracts: the same answers at their addresses, in their words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fastapi import FastAPI

from data.tasks.skin import SKIN
from model.analysis.answers import network_output, read_answer
from model.server.app import create_app
from model.server.bodies import MAX_BATCH
from model.server.settings import ServerSettings, hash_token
from tests.support.server import TOKEN, assert_problem, black_image, open_app, predict, sample, send

HEALTH, PREDICT = "/v1/endpoints/1/deployedModels/2:health", "/v1/endpoints/1/deployedModels/2:predict"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def sagemaker() -> FastAPI:
    return create_app(ServerSettings(rate_per_minute=0, workers=1), is_sagemaker=True)


@pytest.fixture(scope="module")
def vertex() -> FastAPI:
    settings = ServerSettings(
        rate_per_minute=1, workers=1, vertex_health_route=HEALTH, vertex_predict_route=PREDICT,
        token_hashes=(hash_token(TOKEN),),
    )  # fmt: skip
    return create_app(settings)


# --- SageMaker -------------------------------------------------------------------------------------------------------


def test_sagemaker_s_ping_says_whether_the_model_is_there(sagemaker: FastAPI, tmp_path) -> None:  # type: ignore[no-untyped-def]
    response = send(sagemaker, "GET", "/ping")
    assert (response.status_code, response.content) == (200, b"")
    broken = create_app(ServerSettings(model_dir=tmp_path), is_sagemaker=True)
    assert_problem(send(broken, "GET", "/ping"), 503, "not_ready")


@pytest.mark.parametrize("kind", ["image/jpeg", "application/x-image", "application/octet-stream"])
def test_sagemaker_s_invocation_answers_like_predict(sagemaker: FastAPI, kind: str) -> None:
    response = send(sagemaker, "POST", "/invocations", content=sample(), headers={"content-type": kind})
    assert response.status_code == 200
    assert response.json()["probabilities"] == predict(open_app(), sample()).json()["probabilities"]


def test_sagemaker_s_json_and_attributes_ask_for_heatmaps(sagemaker: FastAPI) -> None:
    body = {"image": encoded(sample()), "heatmap": "maps"}
    assert network_output(read_answer(send(sagemaker, "POST", "/invocations", json=body).content, SKIN), SKIN)
    header = {"X-Amzn-SageMaker-Custom-Attributes": "c000b4f9, heatmap=png"}
    assert predict(sagemaker, sample(), "/invocations", **header).json()["overlay"] is not None


def test_sagemaker_s_errors_are_problems(sagemaker: FastAPI) -> None:
    assert_problem(predict(sagemaker, b"no image", "/invocations"), 422, "not_an_image")
    header = {"X-Amzn-SageMaker-Custom-Attributes": "heatmap=jet"}
    assert_problem(predict(sagemaker, sample(), "/invocations", **header), 422, "invalid_request")


# --- Vertex AI -------------------------------------------------------------------------------------------------------


def instances(app: FastAPI, *images: Any, **more: Any) -> Any:
    return send(app, "POST", PREDICT, json={"instances": list(images), **more})


def test_vertex_s_health_needs_no_token(vertex: FastAPI) -> None:
    assert send(vertex, "GET", HEALTH).status_code == 200


def test_vertex_s_instances_become_predictions_in_order(vertex: FastAPI) -> None:
    response = instances(
        vertex,
        {"b64": encoded(sample())},
        {"image": {"b64": encoded(b"no image")}},
        {"image": encoded(black_image())},
    )
    first, second, third = response.json()["predictions"]
    assert first["answer"]["probabilities"] == predict(open_app(), sample()).json()["probabilities"]
    assert (second["answer"], second["problem"]["reason"]) == (None, "not_an_image")
    assert third["answer"]["refusal"] == "too_dark"


def test_vertex_s_parameters_ask_for_heatmaps(vertex: FastAPI) -> None:
    image = {"b64": encoded(sample())}
    (prediction,) = instances(vertex, image, parameters={"heatmap": "maps"}).json()["predictions"]
    assert network_output(read_answer(json.dumps(prediction["answer"]).encode(), SKIN), SKIN)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": []},
        {"instances": "x"},
        {"instances": [None]},
        {"instances": [{"b64": 1}]},
        {"instances": [{"image": {}}]},
        {"instances": [{"b64": "AAAA"}] * (MAX_BATCH + 1)},
        {"instances": [{"b64": "AAAA"}], "parameters": [1]},
        {"instances": [{"b64": "AAAA"}], "parameters": {"heatmap": "jet"}},
        {"instances": [{"b64": "AAAA"}], "parameters": {"prepared": "perhaps"}},
        [],
    ],
)
def test_what_vertex_would_not_send_is_a_problem(vertex: FastAPI, body: Any) -> None:
    assert_problem(send(vertex, "POST", PREDICT, json=body), 422, "invalid_request")


def test_vertex_s_route_takes_json_only(vertex: FastAPI) -> None:
    assert_problem(predict(vertex, sample(), PREDICT), 415, "unsupported_media_type")


def test_platform_s_routes_open_no_others(vertex: FastAPI) -> None:
    assert_problem(predict(vertex, sample()), 401, "unauthorised")


def test_contracts_stay_out_of_the_document(vertex: FastAPI, sagemaker: FastAPI) -> None:
    for app in (vertex, sagemaker):
        assert set(send(app, "GET", "/openapi.json").json()["paths"]) == {
            "/healthz", "/readyz", "/metrics", "/v1/predict", "/v1/predict/batch", "/v1/heatmap",
            "/v1/preprocess",
        }  # fmt: skip
