"""The limits of `model.connections` for the server that Streamlit starts, which has no option for them."""

from __future__ import annotations

from streamlit.web.server.starlette import starlette_server
from uvicorn.config import HTTP_PROTOCOLS

from model.connections import TimedConnection, listening_socket


def limit_connections() -> None:
    """Before the server starts: time limits for what comes in, and no more connections than there is room for."""
    HTTP_PROTOCOLS["auto"] = f"{TimedConnection.__module__}:{TimedConnection.__qualname__}"
    starlette_server._bind_socket = listening_socket
