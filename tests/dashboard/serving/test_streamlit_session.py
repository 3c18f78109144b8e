"""A user without a browser keeps what a browser keeps: the connection."""

from __future__ import annotations

import asyncio

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from dashboard.bench_load import Load, _noted
from dashboard.serving.streamlit_session import StreamlitSession
from tests.support.servers.ports import free_port

FINISHED = ForwardMsg(script_finished=ForwardMsg.FINISHED_SUCCESSFULLY).SerializeToString()
MORE = ForwardMsg(page_profile={}).SerializeToString()


def _page(connection: ServerConnection, request: Request) -> Response | None:
    return None if request.path == "/_stcore/stream" else connection.respond(200, "")  # type: ignore[arg-type]


async def _chatty(connection: ServerConnection) -> None:
    """Draws on request, and goes on to send without having been asked."""
    async for _ in connection:
        await connection.send(FINISHED)
        for _ in range(100):
            await connection.send(MORE)


def test_session_that_waits_still_answers_the_server() -> None:
    async def scenario(port: int) -> None:
        async with serve(_chatty, "127.0.0.1", port, process_request=_page, ping_interval=0.3, ping_timeout=1):
            session = StreamlitSession(f"http://127.0.0.1:{port}", patience=60)
            await session.open()
            await asyncio.sleep(3)  # as while others upload: ten times the interval of the server's pings
            await session.draw()
            await session.close()

    asyncio.run(scenario(free_port()))


def test_closed_connection_is_counted_with_its_reason() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(1011, "keepalive ping timeout")

    async def scenario(port: int, load: Load) -> None:
        async with serve(hang_up, "127.0.0.1", port, process_request=_page):
            assert not await _noted(load, StreamlitSession(f"http://127.0.0.1:{port}", patience=60).open(), "lost: ")

    load = Load(1)
    asyncio.run(scenario(free_port(), load))
    (reason,) = load.errors
    assert reason.startswith("lost: connection closed: received 1011 (internal error) keepalive ping timeout")
