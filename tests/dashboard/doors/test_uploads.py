"""How much a session may hold: counted with what is on the way, and given back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from dashboard.doors import uploads
from dashboard.doors.uploads import BYTES_EACH, UploadLimit, held

MIB = 2**20


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    made = MemoryUploadedFileManager("/_stcore/upload_file")
    runtime = SimpleNamespace(exists=lambda: True, get_instance=lambda: SimpleNamespace(uploaded_file_mgr=made))
    monkeypatch.setattr(uploads, "runtime", runtime)
    monkeypatch.setattr(uploads, "MOST_BYTES", 10 * MIB)
    return made


async def taken(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def put(limit: UploadLimit, size: int | None, session: str = "one", method: str = "PUT", path: str = "") -> int:
    """The status that an upload of this size gets; None does not say its size."""

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(limit), base_url="http://x") as client:
            request = client.build_request(method, path or f"/_stcore/upload_file/{session}/file")
            request.headers.pop("content-length", None)
            if size is not None:
                request.headers["content-length"] = str(size)
            return await client.send(request)

    return asyncio.run(sent()).status_code


def keep(manager: MemoryUploadedFileManager, size: int, file: str = "file", session: str = "one") -> None:
    manager.add_file(session, UploadedFileRec(file, "lesion.jpg", "image/jpeg", bytes(size)))


def test_an_upload_is_taken_while_there_is_room(manager: MemoryUploadedFileManager) -> None:
    keep(manager, 6 * MIB)
    assert put(UploadLimit(taken), 3 * MIB) == 204
    assert put(UploadLimit(taken), 5 * MIB) == 413
    assert put(UploadLimit(taken), 5 * MIB, session="another") == 204


def test_one_that_does_not_say_its_size_counts_as_the_largest(manager: MemoryUploadedFileManager) -> None:
    assert put(UploadLimit(taken), None) == 413


def test_empty_files_count_as_well(manager: MemoryUploadedFileManager) -> None:
    for number in range(3):
        keep(manager, 0, f"file {number}")
    assert held("one") == 3 * BYTES_EACH


def test_what_is_on_the_way_counts_until_it_is_there(manager: MemoryUploadedFileManager) -> None:
    statuses: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if not statuses:
            statuses.append(await asyncio.to_thread(put, limit, 6 * MIB))
        await taken(scope, receive, send)

    limit = UploadLimit(slow)
    assert put(limit, 6 * MIB) == 204
    assert statuses == [413]
    assert put(limit, 6 * MIB) == 204


def test_other_requests_are_none_of_its_business(manager: MemoryUploadedFileManager) -> None:
    assert put(UploadLimit(taken), 99 * MIB, method="DELETE") == 204
    assert put(UploadLimit(taken), 99 * MIB, path="/media/x") == 204


def test_what_no_widget_lists_is_given_back(
    manager: MemoryUploadedFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        uploads, "get_script_run_ctx", lambda **_: SimpleNamespace(session_id="one", uploaded_file_mgr=manager)
    )
    keep(manager, MIB, "first")
    keep(manager, MIB, "second")
    uploads.forget(["first", "unknown"])
    assert list(manager.file_storage["one"]) == ["second"]
