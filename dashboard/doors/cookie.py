"""The cookie that says who is signed in: made and signed by Streamlit, read here before Streamlit runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS, USER_COOKIE_NAME
from websockets import http11

# Of all cookies together, as in deploy/nginx/nginx.conf. Of a user of hundreds of groups Streamlit keeps some 30 kB.
MOST_BYTES = 64 * 2**10
# A large cookie comes in parts that are signed one by one. Parts of one answer are made within a moment; others would
# put the claims of two sign-ins together.
MOST_SECONDS_BETWEEN_PARTS = 5.0


def take_large_cookies() -> None:
    """Let websockets begin with cookies as large as those of pages; their library hangs at 8 kB."""
    http11.MAX_LINE_LENGTH = MOST_BYTES


def claims_of(cookies: Mapping[str, str]) -> dict[str, Any]:
    """What the provider said of the user at sign-in, and `is_logged_in`; nothing where no cookie of ours says it.

    Args:
        cookies: of a request, by name.
    """
    signed_at: list[float] = []

    def part(name: str) -> bytes | None:
        try:
            value, made = URLSafeTimedSerializer(get_cookie_secret(), salt=name).loads(
                cookies.get(name, ""), max_age=AUTH_COOKIE_MAX_AGE_SECONDS, return_timestamp=True
            )
        except BadData:
            return None
        signed_at.append(made.timestamp())
        return value.encode() if isinstance(value, str) else None

    try:
        claims = json.loads(get_cookie_with_chunks(part, USER_COOKIE_NAME) or b"null")
    except ValueError:
        return {}
    is_of_one_answer = bool(signed_at) and max(signed_at) - min(signed_at) <= MOST_SECONDS_BETWEEN_PARTS
    return claims if is_of_one_answer and isinstance(claims, dict) else {}
