"""Streamlit's scripts and styles compressed: once, at the first request for each, and kept.

Streamlit itself sends them plain, because it would compress them anew for every request.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import brotli
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.doors.addresses import own_path

# Of Streamlit's build. The eight characters change with the content, so that a browser may keep such a file for good.
HASHED = re.compile(r"/static/(?:js|css)/[\w.-]+\.[\w-]{8}\.(?P<kind>js|css)")
MEDIA_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"  # a year, in seconds
# By preference. Brotli at 6 makes the pages' scripts an eighth smaller than gzip at 9, and takes twice its 0.3 s; at 11
# a quarter smaller, in 20 s. Browsers take it over https and from this computer. Without a time in gzip, all processes
# of `make serve` give one file one entity tag.
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": partial(brotli.compress, quality=6),
    "gzip": partial(gzip.compress, compresslevel=9, mtime=0),
}


@dataclass(frozen=True)
class Compressed:
    """One file in one encoding, with the entity tag of this form of it."""

    content: bytes
    encoding: str
    etag: str


class CompressedAssets:
    """Middleware: answers for scripts and styles with names that change with their content, and passes the rest on.

    Clients that take neither encoding, and those that ask for a range, get what Streamlit sends: the plain file.

    Args:
        app: what answers everything else.
        folder: holds the files as the addresses name them (`static/js/...`). What it holds bounds what is kept: 2.5 MB
            after a look at every page, 7 MB an encoding where somebody asks for all that Streamlit 1.67 has.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self._folder = folder
        self._kept: dict[tuple[str, str], Compressed] = {}
        # Many browsers that come at once wait for the first of them instead of compressing as well.
        self._compressing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        path = own_path(scope["path"]) if scope["type"] == "http" else ""
        named = HASHED.fullmatch(path)
        if named is None:
            return await self.app(scope, receive, send)
        asked = Headers(scope=scope)
        encoding = accepted_encoding(asked.get("accept-encoding", ""))
        if encoding and scope["method"] in ("GET", "HEAD") and "range" not in asked:
            found = await self._compressed(path, encoding)
            if found is not None:
                answer = _answer(
                    found, named["kind"], asked.get("if-none-match", ""), is_head=scope["method"] == "HEAD"
                )
                return await answer(scope, receive, send)

        async def send_varying(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message.setdefault("headers", [])).add_vary_header("Accept-Encoding")
            await send(message)

        await self.app(scope, receive, send_varying)

    async def _compressed(self, path: str, encoding: str) -> Compressed | None:
        """None where there is no such file."""
        async with self._compressing:
            if (path, encoding) not in self._kept:
                made = await run_in_threadpool(_compress, self._folder / path.lstrip("/"), encoding)
                if made is None:
                    return None
                self._kept[path, encoding] = made
        return self._kept[path, encoding]


def accepted_encoding(accepted: str) -> str | None:
    """The first of `ENCODINGS` that an Accept-Encoding header allows; None where it allows neither.

    Allowed is what is named, or meant by `*`, and has not the weight 0.

    Source:
        RFC 9110, section 12.5.3.
    """
    allowed = {}
    for part in accepted.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        allowed[name] = not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return next((name for name in ENCODINGS if allowed.get(name, allowed.get("*", False))), None)


def _compress(file: Path, encoding: str) -> Compressed | None:
    if not file.is_file():
        return None
    content = ENCODINGS[encoding](file.read_bytes())
    return Compressed(content, encoding, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _answer(found: Compressed, kind: str, known: str, *, is_head: bool) -> Response:
    """What a request gets, which may already know these entity tags."""
    headers = {"ETag": found.etag, "Cache-Control": KEPT_FOR_GOOD, "Vary": "Accept-Encoding"}
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    if found.etag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    headers |= {
        "Content-Type": MEDIA_TYPES[kind],
        "Content-Encoding": found.encoding,
        "Content-Length": str(len(found.content)),
    }
    return Response(b"" if is_head else found.content, headers=headers)
