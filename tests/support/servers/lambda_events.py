"""API Gateway's events in tests, versions 1.0 and 2.0 as AWS documents them: `@EVENTS` runs a test with each. And the
handler that takes them, loaded as Lambda loads it.

Source:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@contextmanager
def as_in_lambda(**variables: str) -> Iterator[None]:
    """Loads the function's module anew with these settings, as Lambda does; the log of the tests is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOW_ANONYMOUS", "1")
        patch.setenv("API_WORKERS", "1")
        for name, value in variables.items():
            patch.setenv(name, value)
        sys.modules.pop("model.server.aws_lambda", None)
        yield
    sys.modules.pop("model.server.aws_lambda", None)
    asyncio.set_event_loop(None)
    loop.close()
    root.handlers[:], root.level = handlers, level


@contextmanager
def handler_of(artifact: Path) -> Iterator[Handler]:
    """The module's handler with these weights."""
    with as_in_lambda(MODEL_DIR=str(artifact)):
        yield importlib.import_module("model.server.aws_lambda").handler


def event_1(method: str, path: str, body: str | None, kind: str, is_base64: bool, **query: str) -> dict[str, Any]:
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": kind, "Host": "api.example"},
        "multiValueHeaders": {"Content-Type": [kind], "Host": ["api.example"]},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "requestContext": {
            "accountId": "1", "apiId": "x", "httpMethod": method, "path": path, "stage": "$default",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"},
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }  # fmt: skip


def event_2(method: str, path: str, body: str | None, kind: str, is_base64: bool, **query: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query.items()),
        "headers": {"content-type": kind, "host": "api.example"},
        "requestContext": {
            "accountId": "1", "apiId": "x", "stage": "$default",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test",
            },
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }  # fmt: skip


EVENTS = pytest.mark.parametrize("event", [event_1, event_2], ids=["v1", "v2"])
