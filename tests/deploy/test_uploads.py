"""Images that go to the Lambda function by way of S3: a form, the file sent with it, the answer, and nothing left."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import httpx
import pytest

from data.cases.storage import StorageUnavailable
from model.images.rejection import MAX_BYTES
from tests.support.deploy import DEPLOY
from tests.support.server import sample
from tests.support.servers.lambda_events import as_in_lambda
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.s3_server",)
UNKNOWN = "01234567-89ab-4def-8123-456789abcdef.png"
SHA256 = hashlib.sha256(sample()).hexdigest()

Send = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def uploads(moto_url: str) -> Iterator[ModuleType]:
    """The function's module, loaded as Lambda loads it; the log of the tests is put back."""
    with as_in_lambda(AWS_ENDPOINT_URL_S3=moto_url, UPLOAD_STORE=f"s3://{make_bucket(moto_url)}/uploads"):
        spec = importlib.util.spec_from_file_location("uploads", DEPLOY / "lambda" / "uploads.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def send(uploads: ModuleType) -> Send:
    """Sends an event as API Gateway would, and gives status and answer."""

    def sent(route: str, path: str, body: str | None = None, **parameters: str) -> tuple[int, dict[str, Any]]:
        method = route.partition(" ")[0]
        event = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "host": "api.example"},
            "pathParameters": parameters,
            "requestContext": {
                "stage": "$default",
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            },
            "body": body,
            "isBase64Encoded": False,
        }
        response = uploads.handler(event, None)
        return response["statusCode"], json.loads(response["body"])

    return sent


def ask(send: Send, upload: str, body: str) -> tuple[int, dict[str, Any]]:
    return send("POST /v1/uploads/{upload}", f"/v1/uploads/{upload}", body, upload=upload)


def upload_of(send: Send) -> str:
    """The name of an upload that was sent by its form."""
    status, form = send("POST /v1/uploads", "/v1/uploads")
    assert status == 200
    httpx.post(form["url"], data=form["fields"], files={"file": sample()}).raise_for_status()
    return form["upload"]


def test_upload_is_answered_once_and_deleted(uploads: ModuleType, send: Send) -> None:
    upload = upload_of(send)
    status, answer = ask(send, upload, json.dumps({"sha256": SHA256}))
    assert (status, answer["prediction"]) == (200, "mel")
    assert list(uploads._STORE.keys(datetime.now(UTC) + timedelta(minutes=1))) == []
    status, problem = ask(send, upload, json.dumps({"sha256": SHA256}))
    assert (status, problem["reason"]) == (404, "upload_missing")


def test_form_is_for_one_encrypted_image_of_the_api_s_size(send: Send) -> None:
    _, form = send("POST /v1/uploads", "/v1/uploads")
    conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    assert ["content-length-range", 1, MAX_BYTES] in conditions
    assert form["fields"]["x-amz-server-side-encryption"] == "AES256"
    assert form["fields"]["key"].startswith("uploads/")


def test_other_bytes_than_announced_are_not_answered(send: Send) -> None:
    status, problem = ask(send, upload_of(send), json.dumps({"sha256": "0" * 64}))
    assert (status, problem["reason"]) == (404, "upload_missing")


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"sha256": 1}'])
def test_wrong_question_is_refused(send: Send, body: str) -> None:
    status, problem = ask(send, UNKNOWN, body)
    assert (status, problem["reason"]) == (422, "invalid_request")


def test_name_that_is_no_upload_is_refused(send: Send) -> None:
    status, problem = ask(send, "..%2Fother.png", json.dumps({"sha256": SHA256}))
    assert (status, problem["reason"]) == (422, "invalid_request")


def test_store_that_is_away_is_a_problem(uploads: ModuleType, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def get(self, key: str, sha256: str) -> bytes:
            raise StorageUnavailable("expected the bucket, received nothing; try again")

    monkeypatch.setattr(uploads, "_STORE", Away())
    status, problem = ask(send, UNKNOWN, json.dumps({"sha256": SHA256}))
    assert (status, problem["reason"]) == (503, "storage_unavailable")


def test_everything_else_is_the_api_s(send: Send) -> None:
    status, facts = send("GET /{proxy+}", "/readyz", proxy="readyz")
    assert status == 200 and facts["name"]
