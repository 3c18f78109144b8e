"""What a browser may send to its session, and when the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.doors import sessions
from dashboard.doors.sessions import MOST_ADDRESSES, SessionDoor, asked_by, is_allowed, session_in


def sent(**fields: object) -> bytes:
    return BackMsg(**fields).SerializeToString()  # type: ignore[arg-type]


def addresses(number: int) -> bytes:
    message = BackMsg()
    message.file_urls_request.file_names.extend(["lesion.jpg"] * number)
    return message.SerializeToString()


def operation(kind: str) -> bytes:
    message = BackMsg()
    getattr(message.backend_operation_request, kind).SetInParent()
    return message.SerializeToString()


def rerun() -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = "case=1"
    return message.SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        rerun(),
        sent(stop_script=True),
        sent(app_heartbeat=True),
        addresses(MOST_ADDRESSES),
        operation("deferred_file"),
        operation("dataframe_chunk"),
    ],
)
def test_what_pages_send_is_passed_on(content: bytes) -> None:
    assert is_allowed(BackMsg.FromString(content))


@pytest.mark.parametrize(
    "content",
    [
        sent(clear_cache=True),
        sent(clear_cache=False),
        rerun() + sent(clear_cache=True),  # of several, the last one counts
        sent(clear_cache=True) + b"\xfa\x01\x03abc",  # with a field that nobody knows
        sent(set_run_on_save=True),
        sent(load_git_info=True),
        sent(debug_shutdown_runtime=True),
        operation("install_skills"),
        addresses(MOST_ADDRESSES + 1),
        b"",
    ],
)
def test_what_no_page_sends_is_dropped(content: bytes) -> None:
    assert not is_allowed(BackMsg.FromString(content))


def test_the_session_is_known_by_its_first_message() -> None:
    message = ForwardMsg()
    message.new_session.initialize.session_id = "one"
    assert session_in(message) == "one"
    assert session_in(ForwardMsg(script_finished=0)) == ""


class Streamlit:
    """A runtime with sessions that are there, and those that were closed; and the application in front of it."""

    def __init__(self) -> None:
        self.active: set[str] = set()
        self.closed: list[str] = []
        self.received: list[bytes] = []

    def is_active_session(self, session: str) -> bool:
        return session in self.active

    def close_session(self, session: str) -> None:
        self.closed.append(session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.active.add("one")
        message = ForwardMsg()
        message.new_session.initialize.session_id = "one"
        await send({"type": "websocket.send", "bytes": message.SerializeToString()})
        while (received := await receive())["type"] == "websocket.receive":
            self.received.append(received["bytes"])
        self.active.remove("one")


@pytest.fixture
def streamlit(monkeypatch: pytest.MonkeyPatch) -> Streamlit:
    behind = Streamlit()
    runtime = SimpleNamespace(exists=lambda: True, get_instance=lambda: behind)
    monkeypatch.setattr(sessions, "runtime", runtime)
    return behind


async def visit(door: SessionDoor, code: int, contents: Iterable[bytes] = ()) -> None:
    """A browser connects, sends these and goes, with a code of RFC 6455."""
    coming: list[Message] = [{"type": "websocket.receive", "bytes": content} for content in contents]
    coming.append({"type": "websocket.disconnect", "code": code})

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        return None

    await door({"type": "websocket", "path": "/_stcore/stream"}, receive, send)


def test_caches_are_not_cleared_and_the_rest_arrives(streamlit: Streamlit) -> None:
    contents = [rerun(), sent(clear_cache=True), sent(stop_script=True), b"\xff no message at all"]
    asyncio.run(visit(SessionDoor(streamlit), 1001, contents))
    assert asked_by(contents[3]) is None
    assert streamlit.received == [contents[0], *contents[2:]]


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_session_whose_tab_is_closed_ends_at_once(streamlit: Streamlit, code: int) -> None:
    async def run() -> None:
        await visit(SessionDoor(streamlit), code)
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert streamlit.closed == ["one"]


def test_a_session_whose_network_failed_ends_later(streamlit: Streamlit, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        later = loop.call_later

        def note(seconds: float, *call: object) -> asyncio.TimerHandle:
            kept.append(seconds)
            return later(0.01, *call)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "call_later", note)
        await visit(SessionDoor(streamlit), 1006)
        assert streamlit.closed == []
        monkeypatch.setattr(loop, "call_later", later)
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert streamlit.closed == ["one"]
    assert kept == [pytest.approx(114)]  # Streamlit forgets it after 120 s


def test_a_browser_that_comes_back_finds_its_session(streamlit: Streamlit) -> None:
    async def run() -> None:
        door = SessionDoor(streamlit)
        await visit(door, 1006)
        before = dict(door._closing)
        await visit(door, 1006)
        assert before["one"].cancelled() and not door._closing["one"].cancelled()
        door._closing["one"].cancel()

    asyncio.run(run())
    assert streamlit.closed == []
