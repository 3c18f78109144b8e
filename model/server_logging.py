"""Structured logs of the API: one line of JSON a request, with its id and times and nothing of what was sent.

No image, file name, token, user or address reaches a line: what a client writes is never copied, and of an error that
nobody foresaw the log holds its class and where it arose, not its message.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.analysis import Analysis
from model.server_emf import embedded_metrics
from model.server_metrics import ServerMetrics
from model.server_problems import Problem, problem_response

LOGGER = logging.getLogger("lesionlens.api")
# The status of a request whose client left before the answer, as nginx writes it.
CLIENT_LEFT = 499
_STATE_KEY = "record"


@dataclass
class RequestRecord:
    """What is known of one request; the handlers add to it, the log line is made of it.

    Attributes:
        request_id: the caller's, where it is a UUID, or a new one.
        images: how many the request brought.
        reason: of a problem or refusal; of the last image in a batch.
        seconds: by stage, summed over the images.
        predictions: images by predicted dx code.
        refusals: images that cannot be judged or read, by reason.
        ood_scores: each image's distance from the training images.
    """

    request_id: str
    images: int = 0
    reason: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    predictions: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    ood_scores: list[float] = field(default_factory=list)

    def observe(self, analysis: Analysis) -> None:
        """Add what an image was answered with."""
        self.ood_scores.append(round(analysis.quality.ood_score, 3))
        if analysis.prediction is not None:
            self.predictions[analysis.prediction.dx] = self.predictions.get(analysis.prediction.dx, 0) + 1
        elif analysis.quality.refusal is not None:
            self.refuse(analysis.quality.refusal)

    def refuse(self, reason: str) -> None:
        """Add an image that was not answered."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def add(self, seconds: dict[str, float]) -> None:
        """Add the stages of one image."""
        for stage, value in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + value


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
                LOGGER.error("failed", extra={"fields": {"request_id": record.request_id, **_where(error)}})
                if status == CLIENT_LEFT:
                    await problem_response(_internal_error(), record.request_id)(scope, receive, send_noting)
        self._note(scope, record, status, time.perf_counter() - started)

    def _note(self, scope: Scope, record: RequestRecord, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.observe_request(route, status, seconds)
        if record.reason is not None and status >= 400:
            self._metrics.problems.labels(record.reason).inc()
        milliseconds = {stage: round(value * 1000, 2) for stage, value in (record.seconds | {"total": seconds}).items()}
        LOGGER.info(
            "request",
            extra={
                "fields": {
                    "request_id": record.request_id,
                    "method": scope["method"] if scope["method"] in _METHODS else "other",
                    "route": route,
                    "status": status,
                    "reason": record.reason,
                    "images": record.images,
                    "predictions": record.predictions,
                    "refusals": record.refusals,
                    "ood_scores": record.ood_scores,
                    "ms": milliseconds,
                }
            },
        )


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class JsonFormatter(logging.Formatter):
    """One JSON object a line; of an exception its class and place only.

    With `has_metrics`, a request's line is in CloudWatch's embedded metric format as well (`model.server_emf`).
    """

    def __init__(self, has_metrics: bool = False) -> None:
        super().__init__()
        self._has_metrics = has_metrics

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _where(record.exc_info[1])
        if self._has_metrics and "ms" in line:
            line |= embedded_metrics(line, int(record.created * 1000))
        return json.dumps(line)


def configure_logging(has_metrics: bool) -> None:
    """Send the log to standard output as JSON lines, with CloudWatch's metrics in them if wanted.

    Requests are noted by `RequestRecorder` alone: the lines of Uvicorn and Mangum hold the paths and queries that
    callers write.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(has_metrics))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn.access", "mangum"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _request_id(headers: Headers) -> str:
    """A caller's id is copied only if it is a UUID: any other text could name a patient."""
    try:
        return str(uuid.UUID(headers.get("x-request-id", "")))
    except ValueError:
        return str(uuid.uuid4())


def _where(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return {
        "error": type(error).__name__,
        "at": [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _internal_error() -> Problem:
    return Problem(
        "internal_error", "expected to answer, the server failed; try again, and tell whoever runs it the id"
    )
