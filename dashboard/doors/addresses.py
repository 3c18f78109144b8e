"""Addresses on this server, which may lie below a base path (Streamlit's option `server.baseUrlPath`)."""

from __future__ import annotations

from streamlit import config
from streamlit.url_util import make_url_path


def address(path: str) -> str:
    """Where a browser finds what this server calls so: `/lesions/media/x` for `/media/x` below `lesions`."""
    return make_url_path(_base(), path)


def own_path(path: str) -> str:
    """How this server calls what a browser asks for; a path outside of the base path stays as it is."""
    base = address("").rstrip("/")
    return path.removeprefix(base) or "/" if path == base or path.startswith(f"{base}/") else path


def _base() -> str:
    return str(config.get_option("server.baseUrlPath") or "")
