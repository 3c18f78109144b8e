"""Middleware: with AUTH=oidc nothing of Streamlit answers anybody whose sign-in does not hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import encode_provider_token
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.doors import sign_out, wording
from dashboard.doors.addresses import address, own_path
from dashboard.doors.cookie import claims_of
from dashboard.doors.plain_page import no_role_page, sign_in_page
from dashboard.settings import settings
from dashboard.shell.identity import NotSignedIn, RoleMissing, SignInExpired, signed_in_actor

# Whoever watches this process signs in nowhere; they learn that it lives.
HEALTH = ("/healthz", "/_stcore/health")
SIGN_IN, COME_BACK, SIGN_OUT = "/auth/login", "/oauth2callback", "/auth/logout"
# What a page asks before it connects again; it says nothing. Once it connects, it is sent to the sign-in page.
BEFORE_CONNECTING = "/_stcore/host-config"
# What a page asks for, and no person.
OF_PAGES = ("/_stcore/", "/media/", "/static/", "/component/")
# RFC 6455, section 7.4.1: a policy is violated.
POLICY_VIOLATION = 1008

_log = logging.getLogger(__name__)


class SignInGate:
    """Middleware: passes on who is signed in and has a role; the others get a page of plain HTML, or a refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] not in ("http", "websocket") or settings().auth == "none":
            return await self.app(scope, receive, send)
        path, is_websocket = own_path(scope["path"]), scope["type"] == "websocket"
        if path in HEALTH and not is_websocket:
            return await self.app(scope, receive, send)
        claims = claims_of(HTTPConnection(scope).cookies)
        refusal = await run_in_threadpool(_refusal, claims)
        if is_websocket and refusal is not None:
            return await _turn_away(scope, receive, send, is_known=bool(claims))
        if path == SIGN_OUT and not is_websocket:
            await run_in_threadpool(sign_out.end, claims)
            return await self.app(scope, receive, send)
        answer = None if is_websocket else _answer(Request(scope), path, claims, refusal)
        if answer is not None:
            return await answer(scope, receive, send)
        await self.app(_with_ticket(scope) if path == SIGN_IN else scope, receive, send)


def _refusal(claims: Mapping[str, Any]) -> Exception | None:
    """Why whom the claims speak of is not let in; None where they are."""
    try:
        signed_in_actor(claims)
    except (NotSignedIn, RoleMissing) as refused:
        return refused
    return None


def _answer(request: Request, path: str, claims: Mapping[str, Any], refusal: Exception | None) -> Response | None:
    """What a request gets instead of what it asks for; None where it may have that."""
    if path in (SIGN_IN, COME_BACK):
        return _answer_on_the_way_in(request, path, refusal)
    if refusal is None or (path == BEFORE_CONNECTING and claims):
        return None
    if path.startswith(OF_PAGES):
        return PlainTextResponse(f"{wording.FIRST_SIGN_IN}\n", 401, headers={"Cache-Control": "no-store"})
    if isinstance(refusal, RoleMissing):
        return no_role_page(claims, settings())
    return sign_in_page(wording.EXPIRED if isinstance(refusal, SignInExpired) else "")


def _answer_on_the_way_in(request: Request, path: str, refusal: Exception | None) -> Response | None:
    if refusal is None:
        return RedirectResponse(address(""), 302)  # a second sign-in would leave the first one behind, not ended
    if path == COME_BACK and "error" in request.query_params:
        # Streamlit would write what anybody can put into the address into the log as it is.
        _log.warning("a sign-in was not completed: %r", request.query_params["error"][:100])
        return sign_in_page(wording.REFUSED)
    return None


def _with_ticket(scope: Scope) -> Scope:
    """The request for a sign-in with the ticket that Streamlit wants to see: it names the provider, for two minutes."""
    query = urlencode({"provider": encode_provider_token("default")})
    return {**scope, "query_string": query.encode()}


async def _turn_away(scope: Scope, receive: Receive, send: Send, *, is_known: bool) -> None:
    """Refuse a websocket; a page that was open when its sign-in ended is sent to the sign-in page."""
    await receive()
    if is_known:
        message = ForwardMsg()
        message.auth_redirect.url = address("")
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope.get("subprotocols", ())), None)})
        await send({"type": "websocket.send", "bytes": message.SerializeToString()})
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})
