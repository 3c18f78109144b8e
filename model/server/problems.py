"""Errors of the API as `application/problem+json`: what was expected, what came, what to do, and never a trace.

Source:
    RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from model.images.rejection import ImageRejected

# What FastAPI takes as the description of a route's answers.
Responses = dict[int | str, dict[str, Any]]
MEDIA_TYPE = "application/problem+json"
# By reason: HTTP status, title.
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "unauthorised": (401, "Who is asking is not known"),
    "not_found": (404, "No such address"),
    "method_not_allowed": (405, "This address takes another method"),
    "request_timeout": (408, "The request came too slowly"),
    "request_too_large": (413, "The request is too large"),
    "unsupported_media_type": (415, "This kind of content is not taken"),
    "invalid_request": (422, "The request is not as the API takes it"),
    "rate_limited": (429, "Too many images in a short time"),
    "internal_error": (500, "The server failed"),
    "not_ready": (503, "The model cannot answer"),
    "overloaded": (503, "Too many requests are waiting"),
    "time_limit": (503, "The answer took too long"),
    "identity_provider_unavailable": (503, "Tokens cannot be checked now"),
    # An image that cannot be read: `model.images.decoding.ImageRejected`.
    "empty": (422, "The image is empty"),
    "too_many_bytes": (413, "The image file is too large"),
    "not_an_image": (422, "The file is not an image that can be read"),
    "too_many_pixels": (422, "The image has too many pixels"),
    "too_narrow": (422, "The image is a narrow strip"),
    "too_small": (422, "The image is too small to judge"),
    "damaged": (422, "The image file is damaged"),
    "too_costly": (422, "The image takes too much to decode"),
    "burnt_in_text": (422, "The image may show who the patient is"),
    "unsupported_tiff": (422, "The TIFF file is of a kind that cannot be read"),
    "other_task": (422, "The DICOM file shows what another model judges"),
    "unsupported_dicom": (422, "The DICOM file is of a kind that cannot be read"),
    # No picture can be made of a refused image.
    "refused": (422, "The image cannot be judged"),
}


@dataclass(frozen=True)
class ProblemDetails:
    """An error: `reason` is a stable code, `detail` what was expected, what came and what to do."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    request_id: str


def problem_responses(*statuses: int) -> Responses:
    """How the OpenAPI document describes the errors of a route."""
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


class Problem(Exception):
    """An error a caller is told of.

    Attributes:
        reason: a key of `PROBLEMS`.
        headers: to be sent with it, for example `Retry-After`.
    """

    def __init__(self, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return PROBLEMS[self.reason][0]

    def details(self, request_id: str) -> ProblemDetails:
        status, title = PROBLEMS[self.reason]
        return ProblemDetails(f"urn:lesionlens:{self.reason}", title, status, self.detail, self.reason, request_id)


def rejected(error: ImageRejected) -> Problem:
    """The problem of an image that cannot be read."""
    return Problem(error.reason, str(error))


def problem_response(problem: Problem, request_id: str) -> Response:
    """A problem as a response."""
    content = json.dumps(asdict(problem.details(request_id)))
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)
