"""One user of the dashboard without a browser: a session of Streamlit over its websocket, for measurements."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class SessionFailed(Exception):
    """The dashboard did not do what a user would expect; the message says what."""


@dataclass(frozen=True)
class Widget:
    """Where a widget is, as the server calls it, and of which kind."""

    widget_id: str
    fragment_id: str
    kind: str


class StreamlitSession:
    """A user who opens the dashboard, clicks, uploads and waits for what is drawn; `open` comes first.

    Args:
        url: of the dashboard, http or https.
        patience: seconds to wait for one message.
        cookies: of a browser that is signed in, by name.
    """

    def __init__(self, url: str, patience: float, cookies: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._origin, self._base = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self._stream = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{self._base}/_stcore/stream"
        self._patience = patience
        self._http = httpx.AsyncClient(base_url=self._origin, timeout=patience, cookies=dict(cookies or {}))
        self._session_id = self._page = ""
        self._widgets: dict[str, Widget] = {}
        self._states: dict[str, WidgetState] = {}
        self._seen: list[bytes] = []
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        """Connect and wait until the first page is drawn."""
        # As a browser: the page first, whose answer may bring a cookie that keeps it with one process.
        for path in ("/", "/_stcore/health", "/_stcore/host-config"):
            (await self._http.get(f"{self._base}{path}")).raise_for_status()
        cookies = dict(self._http.cookies)
        token = cookies.get("_streamlit_xsrf")
        self._socket = await connect(
            self._stream,
            origin=self._origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            subprotocols=["streamlit", *([token] if token else [])],  # type: ignore[list-item]
            max_size=None,
            open_timeout=self._patience,
            close_timeout=1,
            ping_interval=None,  # a busy client would take its own lateness for a lost connection
            # A browser takes whatever comes, also while it uploads a file. A client that stops reading does not see
            # the server's pings either, and is dropped.
            max_queue=None,
        )
        await self.draw()

    async def close(self) -> None:
        """End the session."""
        if self._socket is not None:
            await self._socket.close()
        await self._http.aclose()

    async def click(self, label: str) -> None:
        """Click the button with this label and wait until the page is drawn; raises SessionFailed."""
        button = self._widget(label)
        await self._run(WidgetState(id=button.widget_id, trigger_value=True), button.fragment_id)

    async def choose(self, label: str, option: str) -> None:
        """Choose what is written so, of radio buttons or pills, and wait until it is drawn; raises SessionFailed."""
        widget = self._widget(label)
        state = WidgetState(id=widget.widget_id)
        if widget.kind == "button_group":
            state.string_array_value.data.append(option)
        else:
            state.string_value = option
        self._states[widget.widget_id] = state
        await self._run(fragment_id=widget.fragment_id)

    async def upload(self, label: str | tuple[str, ...], name: str, content: bytes) -> None:
        """Give a file to the uploader whose label begins so (with one of several) and wait until the page is drawn.

        Raises:
            SessionFailed: there is none, or the file was not taken.
        """
        uploader = self._widget(label)
        urls = await self._upload_urls(name)
        headers = {"X-Xsrftoken": self._http.cookies.get("_streamlit_xsrf") or ""}
        answer = await self._http.put(
            f"{self._base}{urls.upload_url}", files={urls.file_id: (name, content)}, headers=headers
        )
        if answer.status_code != 204:
            raise SessionFailed(f"expected 204 for the upload, received {answer.status_code}")
        state = WidgetState(id=uploader.widget_id)
        info = state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id
        )
        info.file_urls.CopyFrom(urls)
        self._states[uploader.widget_id] = state
        await self._run(fragment_id=uploader.fragment_id)

    def shows(self, text: str) -> bool:
        """Whether what was drawn last holds this text."""
        return self.found(re.escape(text)) is not None

    def found(self, pattern: str) -> str | None:
        """What was drawn last and looks so; the part in brackets where the pattern has one; None where nothing does."""
        for message in self._seen:
            if found := re.search(pattern.encode(), message):
                return found[found.re.groups].decode()
        return None

    async def draw(self) -> None:
        """Draw the page again; raises SessionFailed or a WebSocketException where the session is gone."""
        await self._run()

    @property
    def _connection(self) -> ClientConnection:
        if self._socket is None:
            raise SessionFailed("expected an open session, received none; call open first")
        return self._socket

    def _widget(self, label: str | tuple[str, ...]) -> Widget:
        found = next((widget for name, widget in self._widgets.items() if name.startswith(label)), None)
        if found is None:
            raise SessionFailed(f"expected a widget {label!r}, the page has {', '.join(self._widgets) or 'none'}")
        return found

    async def _run(self, trigger: WidgetState | None = None, fragment_id: str = "") -> None:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.page_script_hash, rerun.fragment_id = self._page, fragment_id
        rerun.widget_states.widgets.extend([*self._states.values(), *([trigger] if trigger else [])])
        self._seen.clear()
        await self._connection.send(message.SerializeToString())
        await self._read_until(lambda message: message.script_finished in FINISHED, "script_finished")

    async def _upload_urls(self, name: str):  # type: ignore[no-untyped-def]
        message = BackMsg()
        request = message.file_urls_request
        request.request_id, request.session_id = str(uuid.uuid4()), self._session_id
        request.file_names.append(name)
        await self._connection.send(message.SerializeToString())
        received = await self._read_until(lambda message: True, "file_urls_response")
        return received.file_urls_response.file_urls[0]

    async def _read_until(self, is_last: Callable[[ForwardMsg], bool], kind: str) -> ForwardMsg:
        while True:
            raw = await asyncio.wait_for(self._connection.recv(decode=False), self._patience)
            self._seen.append(raw)
            message = ForwardMsg.FromString(raw)
            self._take(message)
            if message.WhichOneof("type") == kind and is_last(message):
                return message

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._session_id = message.new_session.initialize.session_id or self._session_id
            self._page = message.new_session.page_script_hash
        elif kind == "navigation":
            self._page = message.navigation.page_script_hash or self._page
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._take_element(message.delta)

    def _take_element(self, delta) -> None:  # type: ignore[no-untyped-def]
        kind = delta.new_element.WhichOneof("type")
        if kind is None:
            return
        element = getattr(delta.new_element, kind)
        if kind == "exception":
            raise SessionFailed(f"expected no exception on the page, received {element.type}; see the server's log")
        if getattr(element, "id", "") and getattr(element, "label", ""):
            self._widgets[element.label] = Widget(element.id, delta.fragment_id, kind)
