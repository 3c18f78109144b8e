"""The Lambda function: the API of `model.server.aws_lambda`, and images too large for one event, by way of S3.

    POST /v1/uploads            -> {"upload": "UUID.png", "url": "...", "fields": {...}}: a form for 5 minutes
    POST /v1/uploads/UUID.png   <- {"sha256": "..."} of what was sent; answers as /v1/predict, and deletes the image

The name ends in .png whatever the image is. UPLOAD_STORE says where uploads lie, as s3://bucket/prefix; a lifecycle
rule there ends what nobody asked about. API Gateway lets nobody in without a token.
"""

from __future__ import annotations

import base64
import json
import os
import re
from typing import Any
from uuid import uuid4

from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable, open_image_store
from model.images.rejection import MAX_BYTES
from model.server.aws_lambda import handler as answer
from model.server.problems import MEDIA_TYPE

_CONTENT_TYPE = "application/octet-stream"
_UPLOAD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png")
_STORE = open_image_store(os.environ["UPLOAD_STORE"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An answer to an event of API Gateway, payload format 2.0."""
    try:
        if event["routeKey"] == "POST /v1/uploads":
            return _form()
        if event["routeKey"] == "POST /v1/uploads/{upload}":
            return _answer_to_upload(event, context)
    except (ImageMissing, ImageAltered):
        return _problem(404, "upload_missing", "expected an upload with this SHA-256, found none; send the image again")
    except StorageUnavailable:
        return _problem(503, "storage_unavailable", "expected to reach the uploads, they do not answer; try again")
    return answer(event, context)


def _form() -> dict[str, Any]:
    upload = f"{uuid4()}.png"
    form = _STORE.upload_form(upload, _CONTENT_TYPE, MAX_BYTES)
    if form is None:  # a folder, on a developer's computer
        return _problem(503, "storage_unavailable", "expected UPLOAD_STORE to be s3://bucket/prefix; correct it")
    return _json(200, {"upload": upload, "url": form.url, "fields": dict(form.fields)})


def _answer_to_upload(event: dict[str, Any], context: Any) -> dict[str, Any]:
    upload, sha256 = event["pathParameters"]["upload"], _sha256(event)
    if not _UPLOAD.fullmatch(upload) or sha256 is None:
        return _problem(422, "invalid_request", 'expected an upload and {"sha256": "..."}, received something else')
    image = _STORE.get(upload, sha256)
    _STORE.delete(upload)
    return answer(_as_sent(event, image), context)


def _sha256(event: dict[str, Any]) -> str | None:
    try:
        sha256 = json.loads(event.get("body") or "")["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return sha256 if isinstance(sha256, str) else None


def _as_sent(event: dict[str, Any], image: bytes) -> dict[str, Any]:
    """The event that API Gateway would have made, had the image fitted into it."""
    http = {**event["requestContext"]["http"], "path": "/v1/predict"}
    headers = {**event["headers"], "content-type": _CONTENT_TYPE, "content-length": str(len(image))}
    return {
        **event,
        "routeKey": "ANY /{proxy+}",
        "rawPath": "/v1/predict",
        "headers": headers,
        "requestContext": {**event["requestContext"], "http": http},
        "body": base64.b64encode(image).decode("ascii"),
        "isBase64Encoded": True,
    }


def _problem(status: int, reason: str, detail: str) -> dict[str, Any]:
    return _json(status, {"status": status, "reason": reason, "detail": detail}, MEDIA_TYPE)


def _json(status: int, content: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": media_type}, "body": json.dumps(content)}
