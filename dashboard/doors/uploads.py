"""How much a session may hold of what was uploaded, and what it holds no longer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import cast

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config, runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.doors.addresses import own_path

# A queue of some fifty photographs of 5 MB, or a dozen of the largest that may be uploaded.
MOST_BYTES = 256 * 2**20
# Of a file beside its content; so that no session holds millions of empty ones.
BYTES_EACH = 4096
UPLOAD = re.compile(r"/_stcore/upload_file/(?P<session>[^/]+)/(?P<file>[^/]+)")
TOO_MUCH = "This session holds as much as it may. Save and close some images, then add these again."


class UploadLimit:
    """Middleware: refuses an upload that would let its session hold more than `MOST_BYTES`, before reading it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._coming: Counter[str] = Counter()  # bytes on the way, by session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        asked = UPLOAD.fullmatch(own_path(scope["path"])) if scope["type"] == "http" else None
        if asked is None or scope["method"] != "PUT":
            return await self.app(scope, receive, send)
        session, size = asked["session"], announced(Headers(scope=scope)) + BYTES_EACH
        if held(session) + self._coming[session] + size > MOST_BYTES:
            return await PlainTextResponse(f"{TOO_MUCH}\n", 413)(scope, receive, send)
        self._coming[session] += size
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming[session] -= size
            if not self._coming[session]:
                del self._coming[session]


def announced(headers: Headers) -> int:
    """Bytes that a request says it brings; as many as Streamlit takes, where it does not say."""
    length = headers.get("content-length", "")
    most = int(config.get_option("server.maxUploadSize")) * 2**20
    return min(int(length), most) if length.isascii() and length.isdigit() else most


def held(session: str) -> int:
    """Bytes that Streamlit holds of a session's uploads."""
    manager = cast(MemoryUploadedFileManager, runtime.get_instance().uploaded_file_mgr)
    files = manager.file_storage.get(session, {})
    return sum(len(file.data) + BYTES_EACH for file in list(files.values()))


def forget(file_ids: Collection[str]) -> None:
    """Have Streamlit drop uploads of this session that no widget lists any more; it would keep them to its end."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        manager = cast(MemoryUploadedFileManager, context.uploaded_file_mgr)
        for file_id in file_ids:
            manager.remove_file(context.session_id, file_id)
