"""What callers send: images as bytes, as a form or in JSON, read no further than the limit."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from model.analysis.answers import Heatmap
from model.images.rejection import MAX_BYTES
from model.inference.clinical import NO_FACTS, PatientFacts
from model.server.facts import FORM_FIELDS, JSON_FIELDS, facts_of, facts_of_text
from model.server.problems import Problem

# The largest image in base64, with room for the JSON or the form around it.
MAX_BODY_BYTES = MAX_BYTES * 4 // 3 + 1024 * 1024
MAX_BATCH = 16
# A batch with every field has a hundred; base64 has none. Nine million empty texts are small, and a gigabyte once read.
MAX_COMMAS = 1000
# An image of 20 MB over 10 Mbit/s takes 16 s.
READ_SECONDS = 20
_TAKEN = (
    "an image (image/*, application/dicom, application/octet-stream), a form (multipart/form-data) or application/json"
)
_RAW_TYPES = ("application/dicom", "application/octet-stream", "application/x-image")
_HEATMAPS: tuple[str, ...] = get_args(Heatmap)

_BASE64 = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "An image file in base64; line breaks and `data:image/jpeg;base64,` before it are taken.",
}
# Up to the comma; a type may have parameters.
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_HEATMAP = {"type": "string", "enum": list(_HEATMAPS), "description": "As the query parameter, which it overrides."}
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}


def _object(properties: Mapping[str, Any], required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": [required]}


def _several(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": MAX_BATCH}


_IMAGE_WITH_FACTS = {
    "anyOf": [_BASE64, _object({"image": _BASE64, **JSON_FIELDS}, "image")],
    "description": "An image file in base64, or an object of one and facts that hold for it alone.",
}


def request_body(name: str, many: bool, is_asked: bool = True) -> dict[str, Any]:
    """The OpenAPI description of a body that holds one image, or several, and what the network is asked with them."""
    image, file = (_several(_IMAGE_WITH_FACTS), _several(_BINARY)) if many else (_BASE64, _BINARY)
    json_fields, form_fields = (
        ({"heatmap": _HEATMAP, **one} if is_asked else {}) for one in (JSON_FIELDS, FORM_FIELDS)
    )
    content = {
        "application/json": {"schema": _object({name: image, **json_fields}, name)},
        "multipart/form-data": {"schema": _object({name: file, **form_fields}, name)},
    }
    if not many:
        content |= {kind: {"schema": _BINARY} for kind in ("image/*", *_RAW_TYPES[:2])}
    return {"requestBody": {"required": True, "content": content}}


@dataclass(frozen=True)
class SentImage:
    """An image file's bytes, what is known of its patient, and whether it is what /v1/preprocess gave."""

    content: bytes
    facts: PatientFacts = NO_FACTS
    is_prepared: bool = False


@dataclass(frozen=True)
class Upload:
    """The images of a request, and the heatmap it asks for, where the body says so."""

    images: tuple[SentImage, ...]
    heatmap: Heatmap | None = None

    def prepared(self, is_prepared: bool) -> Upload:
        """The same, of images that are prepared already or are not."""
        return replace(self, images=tuple(replace(image, is_prepared=is_prepared) for image in self.images))


def check_announced_size(request: Request) -> None:
    """Raises Problem `request_too_large` for what a request's header announces, before a byte is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
        raise _too_large()


async def read_body(request: Request) -> bytes:
    """A request's body, counted by its hold (`model.server.dependencies.held`) as it arrives.

    Raises:
        Problem: `request_too_large` as soon as it is, whatever its header said; `request_timeout` when it takes longer
            than READ_SECONDS; `unsupported_media_type` where it is compressed; `overloaded` where there is no room.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported_media_type", "expected a body as it is, received a compressed one; send it plainly")
    body, hold = bytearray(), request.state.hold
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
                hold.add(len(chunk))
    except TimeoutError as error:
        raise Problem(
            "request_timeout", f"expected the whole request within {READ_SECONDS} s, it took longer; send it again"
        ) from error
    hold.end()
    return bytes(body)


async def read_upload(request: Request, name: str, facts: PatientFacts, many: bool = False) -> Upload:
    """The images of a request.

    Args:
        request: body not yet read.
        name: of the field in JSON.
        facts: what holds of each image where the body says nothing.
        many: whether it may hold more than one image; if so, only as JSON or a form.

    Raises:
        Problem: as `read_body`, and `unsupported_media_type` and `invalid_request` for what cannot be taken apart.
    """
    kind = media_type(request)
    body = await read_body(request)
    if kind == "multipart/form-data":
        upload = await _of_form(request, body, facts)
    elif kind == "application/json":
        # In a thread: 20 MB of base64 take a tenth of a second.
        upload = await asyncio.to_thread(_of_json, body, name, facts, many)
    elif not many and (kind.startswith("image/") or kind in _RAW_TYPES):
        upload = Upload((SentImage(body, facts),))
    else:
        taken = _TAKEN if not many else "a form (multipart/form-data) or application/json"
        raise Problem(
            "unsupported_media_type", f"expected {taken}, received another Content-Type; name the kind you send"
        )
    _check_count(len(upload.images), many)
    return upload


def media_type(request: Request) -> str:
    """The Content-Type of a request without its parameters; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _of_json(body: bytes, name: str, facts: PatientFacts, many: bool) -> Upload:
    document = json_object(body)
    images = document.get(name)
    if not isinstance(images, list if many else str):
        raise _invalid(
            f"a field {name!r} with {'a list of images' if many else 'an image'} in base64", "something else"
        )
    shared = facts_of(document, facts)
    sent = tuple(_sent_image(image, shared) for image in (images if many else [images]))
    return Upload(sent, heatmap_of(document))


def _sent_image(image: object, facts: PatientFacts) -> SentImage:
    if isinstance(image, dict):
        return SentImage(decode_base64(image.get("image")), facts_of(image, facts))
    return SentImage(decode_base64(image), facts)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object of no more than MAX_COMMAS; raises Problem `invalid_request` for anything else."""
    if body.count(b",") > MAX_COMMAS:
        raise _invalid(f"JSON of at most {MAX_COMMAS:,} commas", "more")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("JSON", "something else") from error
    if not isinstance(document, dict):
        raise _invalid("a JSON object", "another kind of JSON")
    return document


def decode_base64(text: object) -> bytes:
    """Bytes of base64 text, alone or as a data URI, in lines or not; raises Problem `invalid_request` otherwise.

    Source:
        RFC 2045, 6.8 (lines); RFC 2397 (data URIs).
    """
    try:
        if isinstance(text, str):
            start = _DATA_URI.match(text)
            encoded = text[start.end() if start else 0 :].encode("ascii")
            return base64.b64decode(encoded.translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _invalid("an image file in base64", "something else")


def heatmap_of(fields: Mapping[str, Any]) -> Heatmap | None:
    """The heatmap that a body asks for; None where it does not say."""
    if "heatmap" not in fields:
        return None
    heatmap = fields["heatmap"]
    if heatmap not in _HEATMAPS:
        raise _invalid(f"heatmap as one of {', '.join(_HEATMAPS)}", "something else")
    return cast("Heatmap", heatmap)


def is_prepared(fields: Mapping[str, Any]) -> bool:
    """Whether fields of a platform say that the images are prepared already: true, or `true` as text."""
    stated = fields.get("prepared", False)
    if stated not in (True, False, "true", "false"):
        raise _invalid("prepared as true or false", "something else")
    return stated in (True, "true")


class _InMemoryParser(MultiPartParser):
    """Files stay in memory, where the limits count them: the disk may be read-only."""

    spool_max_size = MAX_BODY_BYTES


async def _of_form(request: Request, body: bytes, facts: PatientFacts) -> Upload:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), 1024 * 1024):
            yield body[start : start + 1024 * 1024]
        yield b""

    try:
        form = await _InMemoryParser(request.headers, chunks(), max_files=MAX_BATCH, max_fields=MAX_BATCH).parse()
    # python-multipart's errors are ValueErrors; KeyError is a part or a type without its name.
    except (MultiPartException, ValueError, KeyError) as error:
        raise _invalid("a form with image files", "one that cannot be read") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        stated = facts_of_text(form, facts)
        return Upload(tuple([SentImage(await file.read(), stated) for file in files]), heatmap_of(form))
    finally:
        await form.close()


def _check_count(count: int, many: bool) -> None:
    most = MAX_BATCH if many else 1
    if not 1 <= count <= most:
        raise _invalid("one image" if most == 1 else f"1 to {most} images", f"{count}")


def _invalid(expected: str, received: str) -> Problem:
    return Problem("invalid_request", f"expected {expected}, received {received}; see /openapi.json")


def _too_large() -> Problem:
    return Problem(
        "request_too_large",
        f"expected at most {MAX_BODY_BYTES // 2**20} MB a request, received more; send fewer or smaller images",
    )
