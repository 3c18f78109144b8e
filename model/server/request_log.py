"""Structured logs of the API: one line of JSON a request, with its id and times and nothing of what was sent.

No image, file name, token, user or address reaches a line: what a client writes is never copied, and of an error that
nobody foresaw the log holds its class and where it arose, not its message.
"""

from __future__ import annotations

import logging
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.analysis.log_lines import JsonFormatter, RequestRecord, log_to_stdout, where
from model.server.metrics import ServerMetrics
from model.server.problems import Problem, problem_response

LOGGER = logging.getLogger("lesionlens.api")
# The status of a request whose client left before the answer, as nginx writes it.
CLIENT_LEFT = 499
_STATE_KEY = "record"


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request that `RequestRecorder` let through."""
    return scope["state"][_STATE_KEY]


class RequestRecorder:
    """ASGI middleware around everything: request id, log line, metrics, and no trace to the caller."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(_request_id(Headers(scope=scope)))
        scope.setdefault("state", {})[_STATE_KEY] = record
        status = CLIENT_LEFT

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = record.request_id
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        started = time.perf_counter()
        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_noting)
            except ClientDisconnect:
                record.reason = "client_left"
            # Whatever was not foreseen: the log says where, the caller gets a number to ask with.
            except Exception as error:
                record.reason = "internal_error"
                LOGGER.error("failed", extra={"fields": {"request_id": record.request_id, **where(error)}})
                if status == CLIENT_LEFT:
                    await problem_response(_internal_error(), record.request_id)(scope, receive, send_noting)
        self._note(scope, record, status, time.perf_counter() - started)

    def _note(self, scope: Scope, record: RequestRecord, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.observe_request(route, status, seconds)
        if record.reason is not None and status >= 400:
            self._metrics.problems.labels(record.reason).inc()
        LOGGER.info(
            "request",
            extra={
                "fields": {
                    "request_id": record.request_id,
                    "method": scope["method"] if scope["method"] in _METHODS else "other",
                    "route": route,
                    "status": status,
                    **record.fields(seconds),
                }
            },
        )


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def configure_logging(has_metrics: bool) -> None:
    """Send the log to standard output as JSON lines, with CloudWatch's metrics in them if wanted.

    Requests are noted by `RequestRecorder` alone: the lines of Uvicorn and Mangum hold the paths and queries that
    callers write.
    """
    log_to_stdout(JsonFormatter(has_metrics))
    for name in ("uvicorn.access", "mangum"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _request_id(headers: Headers) -> str:
    """A caller's id is copied only if it is a UUID: any other text could name a patient."""
    try:
        return str(uuid.UUID(headers.get("x-request-id", "")))
    except ValueError:
        return str(uuid.uuid4())


def _internal_error() -> Problem:
    return Problem(
        "internal_error", "expected to answer, the server failed; try again, and tell whoever runs it the id"
    )
