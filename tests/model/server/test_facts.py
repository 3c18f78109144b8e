"""Age and site through the API: stated anywhere, they give the model's own answer with them; wrong, a problem."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.inference.artifact import load_artifact
from model.inference.clinical import PatientFacts
from model.inference.runtimes import LiteRTClassifier
from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.artifacts import artifact_with_terms, artifact_without_terms
from tests.support.server import assert_problem, black_image, predict, sample, send

VERTEX = "/vertex:predict"
UNKNOWN = {"age": None, "site": "unknown"}
Answer = dict[str, Any]


def app_of(folder: Any) -> FastAPI:
    settings = ServerSettings(
        model_dir=folder, rate_per_minute=0, workers=1, vertex_health_route="/health", vertex_predict_route=VERTEX
    )
    return create_app(settings, is_sagemaker=True)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """The API with terms for age and site, and the contracts of both platforms."""
    app = app_of(artifact_with_terms(tmp_path_factory.mktemp("facts") / "skin"))
    yield app
    app.state.service.close()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def of_json(app: FastAPI, path: str = "/v1/predict", **body: Any) -> httpx.Response:
    return send(app, "POST", path, json=body)


def of_form(app: FastAPI, images: int = 1, path: str = "/v1/predict", **data: Any) -> httpx.Response:
    return send(app, "POST", path, files=[("image", ("x.jpg", sample(), "image/jpeg"))] * images, data=data)


def of_vertex(app: FastAPI, *instances: Any, **more: Any) -> httpx.Response:
    return of_json(app, VERTEX, instances=list(instances), **more)


def of_attributes(app: FastAPI, attributes: str, content: bytes = sample()) -> httpx.Response:
    header = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
    return predict(app, content, "/invocations", **header)


def stated(answer: Answer) -> tuple[float | None, str]:
    return answer["facts"]["age"], answer["facts"]["site"]


# --- What is answered ------------------------------------------------------------------------------------------------


def test_facts_give_the_analyzer_s_answer_with_them(app: FastAPI, tmp_path: Any) -> None:
    analyzer = Analyzer(LiteRTClassifier(load_artifact(artifact_with_terms(tmp_path / "skin"))))
    alone = analyzer.run(sample())
    expected = analyzer.with_facts(alone, PatientFacts(80, "foot")).answered.prediction
    assert not np.allclose(expected.probabilities, alone.answered.prediction.probabilities, atol=1e-3)
    answer = predict(app, sample(), "/v1/predict?age=80&site=foot").json()
    assert answer["probabilities"] == dict(zip(SKIN.codes, expected.probabilities, strict=True))
    assert answer["facts"] == {"age": 80.0, "site": "foot"}
    assert answer["population"] == expected.population
    assert answer["population"].endswith("given age 80, foot")


def test_facts_move_no_flag(app: FastAPI) -> None:
    alone = predict(app, sample()).json()
    informed = predict(app, sample(), "/v1/predict?age=80&site=back").json()
    assert [point["is_flagged"] for point in alone["operating_points"]] == [True, True]
    assert informed["operating_points"] == alone["operating_points"]
    assert informed["p_malignant"] == pytest.approx(alone["p_malignant"])


def test_every_place_says_the_same(app: FastAPI) -> None:
    image = encoded(sample())
    answers = [
        predict(app, sample(), "/v1/predict?age=80&site=lower%20extremity").json(),
        of_json(app, image=image, age=80, site="lower extremity").json(),
        of_form(app, age="80", site="lower extremity").json(),
        of_json(app, "/invocations", image=image, age=80, site="lower extremity").json(),
        of_attributes(app, "c000b4f9, heatmap=png, age=80, site=lower extremity").json(),
        of_vertex(app, {"b64": image, "age": 80, "site": "lower extremity"}).json()["predictions"][0]["answer"],
        of_vertex(app, {"image": {"b64": image}, "age": 80, "site": "lower extremity"}).json()["predictions"][0][
            "answer"
        ],
    ]
    assert [stated(answer) for answer in answers] == [(80.0, "lower extremity")] * len(answers)
    assert len({json.dumps(answer["probabilities"]) for answer in answers}) == 1


@pytest.mark.parametrize("unknown", [{}, {"site": "unknown"}, {"age": None}, {"age": None, "site": "unknown"}])
def test_unknown_facts_change_nothing_to_the_last_bit(app: FastAPI, unknown: Answer) -> None:
    alone, answer = predict(app, sample()).json(), of_json(app, image=encoded(sample()), **unknown).json()
    for name in ("probabilities", "population", "operating_points", "facts"):
        assert answer[name] == alone[name]
    assert answer["facts"] == UNKNOWN


def test_body_comes_before_the_query_fact_by_fact(app: FastAPI) -> None:
    path = "/v1/predict?age=80&site=back"
    assert stated(of_json(app, path, image=encoded(sample()), age=30).json()) == (30.0, "back")
    assert stated(of_json(app, path, image=encoded(sample()), age=None).json()) == (None, "back")
    assert stated(of_form(app, path=path, site="foot").json()) == (80.0, "foot")


def test_batch_has_facts_for_all_and_of_each_image(app: FastAPI) -> None:
    image = encoded(sample())
    images = [image, {"image": image}, {"image": image, "site": "foot"}, {"image": image, "age": 20, "site": "unknown"}]
    results = of_json(app, "/v1/predict/batch?age=80", images=images, site="back").json()["results"]
    answers = [result["answer"] for result in results]
    assert [stated(answer) for answer in answers] == [(80, "back"), (80, "back"), (80, "foot"), (20, "unknown")]
    assert answers[0]["probabilities"] == answers[1]["probabilities"] != answers[2]["probabilities"]
    of_two = of_form(app, images=2, path="/v1/predict/batch", age="80").json()["results"]
    assert [stated(result["answer"]) for result in of_two] == [(80, "unknown")] * 2


def test_vertex_s_instances_have_facts_of_their_own(app: FastAPI) -> None:
    image = encoded(sample())
    instances = [{"b64": image}, {"b64": image, "site": "foot"}]
    predictions = of_vertex(app, *instances, parameters={"age": 80, "site": "back"}).json()["predictions"]
    assert [stated(one["answer"]) for one in predictions] == [(80, "back"), (80, "foot")]


def test_heatmap_is_of_the_class_predicted_with_the_facts(app: FastAPI) -> None:
    query = "site=back&heatmap=png"
    answer = predict(app, sample(), f"/v1/predict?{query}").json()
    assert (answer["prediction"], answer["overlay"]["dx"]) == ("bcc", "bcc")
    picture = predict(app, sample(), "/v1/heatmap?site=back").content
    assert picture == base64.b64decode(answer["overlay"]["png"])
    assert picture != predict(app, sample(), "/v1/heatmap").content
    assert of_form(app, path="/v1/heatmap", site="back").content == picture


def test_refused_image_takes_nothing_into_account(app: FastAPI) -> None:
    answer = predict(app, black_image(), "/v1/predict?age=80&site=back").json()
    assert (answer["refusal"], answer["facts"]) == ("too_dark", UNKNOWN)
    assert "given" not in answer["population"]


def test_model_without_terms_says_that_it_takes_nothing_into_account(tmp_path: Any) -> None:
    app = app_of(artifact_without_terms(tmp_path / "skin"))
    alone, answer = (predict(app, sample(), f"/v1/predict{query}").json() for query in ("", "?age=80&site=back"))
    app.state.service.close()
    assert answer["facts"] == UNKNOWN
    assert (answer["probabilities"], answer["population"]) == (alone["probabilities"], alone["population"])


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["age=-1", "age=121", "age=nan", "age=old", "age=", "site=Mueller", "site=Back"])
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/batch", "/v1/heatmap"])
def test_wrong_query_is_a_problem(app: FastAPI, path: str, query: str) -> None:
    problem = assert_problem(predict(app, sample(), f"{path}?{query}"), 422, "invalid_request")
    assert query.partition("=")[0] in problem["detail"] and "Mueller" not in problem["detail"]


WRONG = [
    {"age": -1}, {"age": 120.5}, {"age": 10**400}, {"age": "60"}, {"age": True}, {"age": [60]}, {"age": {}},
    {"site": None}, {"site": "Mueller"}, {"site": ["back"]}, {"site": 1},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:20])
def test_wrong_json_is_a_problem_wherever_it_stands(app: FastAPI, wrong: Answer) -> None:
    image = encoded(sample())
    responses = [
        of_json(app, image=image, **wrong),
        of_json(app, "/v1/predict/batch", images=[image], **wrong),
        of_json(app, "/v1/predict/batch", images=[image, {"image": image, **wrong}]),
        of_vertex(app, {"b64": image, **wrong}),
        of_vertex(app, {"b64": image}, parameters=wrong),
    ]
    for response in responses:
        problem = assert_problem(response, 422, "invalid_request")
        assert next(iter(wrong)) in problem["detail"] and "Mueller" not in problem["detail"]


def test_json_that_is_no_number_is_a_problem(app: FastAPI) -> None:
    body = json.dumps({"image": encoded(sample()), "age": float("nan")})
    response = send(app, "POST", "/v1/predict", content=body, headers={"content-type": "application/json"})
    assert_problem(response, 422, "invalid_request")


@pytest.mark.parametrize("wrong", [{"age": "old"}, {"age": "nan"}, {"age": ""}, {"age": "inf"}, {"site": "Mueller"}])
def test_wrong_form_is_a_problem(app: FastAPI, wrong: Answer) -> None:
    assert "Mueller" not in assert_problem(of_form(app, **wrong), 422, "invalid_request")["detail"]


@pytest.mark.parametrize("name", ["age", "site"])
def test_file_in_the_place_of_a_fact_is_a_problem(app: FastAPI, name: str) -> None:
    response = send(app, "POST", "/v1/predict", files=[(name, ("x.jpg", sample(), "image/jpeg"))])
    assert_problem(response, 422, "invalid_request")


@pytest.mark.parametrize("image", [{}, {"image": None}, {"b64": "AAAA"}, {"image": ["AAAA"]}])
def test_object_without_an_image_is_a_problem(app: FastAPI, image: Answer) -> None:
    assert_problem(of_json(app, "/v1/predict/batch", images=[image]), 422, "invalid_request")


@pytest.mark.parametrize("attributes", ["age=old", "age=", "site=Mueller"])
def test_wrong_attributes_are_a_problem(app: FastAPI, attributes: str) -> None:
    assert_problem(of_attributes(app, attributes), 422, "invalid_request")


# --- The document and the log ----------------------------------------------------------------------------------------


def test_facts_are_described(app: FastAPI) -> None:
    document = send(app, "GET", "/openapi.json").json()
    for path in ("/v1/predict", "/v1/predict/batch", "/v1/heatmap"):
        operation = document["paths"][path]["post"]
        parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
        assert "lower extremity" in parameters["site"]["enum"]
        assert {"minimum": 0, "maximum": 120, "type": "number"} in parameters["age"]["anyOf"]
        for content in ("application/json", "multipart/form-data"):
            assert {"age", "site"} <= set(operation["requestBody"]["content"][content]["schema"]["properties"])
    assert set(document["components"]["schemas"]["PatientFacts"]["properties"]) == set(UNKNOWN)


def test_facts_reach_no_log_line(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        predict(app, sample(), "/v1/predict?age=117&site=lower%20extremity")
        of_json(app, image=encoded(sample()), age=117, site="lower extremity")
    fields = [vars(record)["fields"] for record in caplog.records if record.name == "lesionlens.api"]
    assert len(fields) == 2
    assert "117" not in json.dumps([{**one, "ms": 0, "request_id": ""} for one in fields])
    assert "extremity" not in json.dumps(fields)
