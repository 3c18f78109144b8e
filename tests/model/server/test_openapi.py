"""The OpenAPI document: valid, true, and no request made after it meets a failure of the server."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from model.server.app import create_app
from model.server.problems import PROBLEMS
from model.server.settings import ServerSettings, hash_token
from tests.support.server import TOKEN, open_app, predict, sample, send

EXAMPLES = 40  # a route; each costs a few milliseconds

schemathesis.serializer.alias("application/dicom", "application/octet-stream")
schema = schemathesis.openapi.from_asgi("/openapi.json", open_app())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return send(open_app(), "GET", "/openapi.json").json()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_made_after_the_document_breaks_the_server(case: Case) -> None:
    # A schema cannot say what bytes make an image, so most of what it allows is rightly refused.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


def test_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_pages_that_would_load_scripts_from_elsewhere_do_not_exist() -> None:
    assert send(open_app(), "GET", "/docs").status_code == send(open_app(), "GET", "/redoc").status_code == 404


def test_every_way_to_send_an_image_is_described(document: dict[str, Any]) -> None:
    single = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(single) == {
        "application/json", "multipart/form-data", "image/*", "application/dicom", "application/octet-stream",
    }  # fmt: skip
    batch = document["paths"]["/v1/predict/batch"]["post"]["requestBody"]["content"]
    assert set(batch) == {"application/json", "multipart/form-data"}


def test_preparing_is_described_without_what_the_network_is_asked(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/preprocess"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(asked) == {"image"} and not operation.get("parameters")
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "image/png"}


def test_answer_has_the_fields_that_are_described(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["Answer"]["properties"]
    assert set(predict(open_app(), sample()).json()) == set(described)


def test_errors_are_described_as_problems(document: dict[str, Any]) -> None:
    for path in ("/v1/predict", "/v1/predict/batch", "/v1/heatmap", "/v1/preprocess"):
        responses = document["paths"][path]["post"]["responses"]
        for status in ("401", "413", "415", "422", "429", "503"):
            assert list(responses[status]["content"]) == ["application/problem+json"]


def test_refusals_are_described(document: dict[str, Any]) -> None:
    assert "refusal" in document["info"]["description"]
    assert all(400 <= status < 600 and title for status, title in PROBLEMS.values())


def test_authorisation_is_described_where_it_is_asked_for(document: dict[str, Any]) -> None:
    guarded = create_app(ServerSettings(token_hashes=(hash_token(TOKEN),), workers=1)).openapi()["paths"]
    for path in ("/v1/predict", "/v1/predict/batch", "/v1/heatmap", "/v1/preprocess", "/metrics"):
        (operation,) = guarded[path].values()
        assert operation["security"] == [{"HTTPBearer": []}]
    assert "security" not in guarded["/healthz"]["get"]
    assert "security" not in document["paths"]["/v1/predict"]["post"]
