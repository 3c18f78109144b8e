"""What a browser may ask of its session, and the session's end, with which all is forgotten that it holds."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from google.protobuf.message import DecodeError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.doors import haste

# What pages send. Of the others one clears the caches of all users, and one writes files beside the program.
ALLOWED = {"rerun_script", "stop_script", "app_heartbeat", "file_urls_request", "backend_operation_request"}
ALLOWED_OPERATIONS = {"deferred_file", "dataframe_chunk"}
# An uploader asks for as many addresses as files were chosen.
MOST_ADDRESSES = 1000
# RFC 6455, section 7.4.1: the tab was closed or reloaded, which ends a session for good. A network that fails says
# neither, and its browser comes back.
GONE_FOR_GOOD = {1000, 1001}


class SessionDoor:
    """Middleware of websockets: drops messages that no page sends, closes sessions that nobody comes back to, and
    keeps what is done in haste.

    Streamlit keeps a session for `server.disconnectedSessionTTL` seconds after its browser went, and what it holds for
    longer, until another session ends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._closing: dict[str, asyncio.TimerHandle] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes and goes."""
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        session, code, page = "", 1006, haste.OpenPage()

        async def receive_allowed() -> Message:
            nonlocal code
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    code = message.get("code", code)
                if message["type"] != "websocket.receive":
                    return message
                asked = asked_by(message.get("bytes") or b"")
                if asked is None:
                    return message
                if not is_allowed(asked):
                    continue
                if session and (answer := haste.addresses(asked, session)):
                    with suppress(OSError):  # the browser has gone, which the next message says
                        await send({"type": "websocket.send", "bytes": answer.SerializeToString()})
                    continue
                return {**message, "bytes": asked.SerializeToString()} if page.mend(asked) else message

        async def send_watched(message: Message) -> None:
            nonlocal session
            if message["type"] == "websocket.send":
                told = ForwardMsg.FromString(message.get("bytes") or b"")
                page.note(told)
                if not session:
                    session = session_in(told)
                    self._keep(session)
            await send(message)

        try:
            await self.app(scope, receive_allowed, send_watched)
        finally:
            if session:
                self._end(session, 0.0 if code in GONE_FOR_GOOD else _seconds_kept())

    def _keep(self, session: str) -> None:
        """The browser of a session is there (again)."""
        if (timer := self._closing.pop(session, None)) is not None:
            timer.cancel()

    def _end(self, session: str, seconds: float) -> None:
        """Close a session after some seconds, unless its browser comes back."""
        self._keep(session)
        self._closing[session] = asyncio.get_running_loop().call_later(seconds, self._close, session)

    def _close(self, session: str) -> None:
        self._closing.pop(session, None)
        if runtime.exists() and not runtime.get_instance().is_active_session(session):
            runtime.get_instance().close_session(session)


def asked_by(content: bytes) -> BackMsg | None:
    """What a browser sent; None for what is no message at all, which is left to Streamlit, which hangs up."""
    try:
        return BackMsg.FromString(content)
    except DecodeError:
        return None


def is_allowed(asked: BackMsg) -> bool:
    """Whether a page of ours may send this."""
    kind = asked.WhichOneof("type")
    if kind == "backend_operation_request":
        return asked.backend_operation_request.WhichOneof("payload") in ALLOWED_OPERATIONS
    if kind == "file_urls_request":
        return len(asked.file_urls_request.file_names) <= MOST_ADDRESSES
    return kind in ALLOWED


def session_in(told: ForwardMsg) -> str:
    """The id of the session that a message to the browser begins, empty where it begins none."""
    return told.new_session.initialize.session_id if told.WhichOneof("type") == "new_session" else ""


def _seconds_kept() -> float:
    # Before Streamlit loses sight of the session, without closing it.
    return 0.95 * float(config.get_option("server.disconnectedSessionTTL"))
