"""The dashboard as a server, with security headers and a health check.

python -m dashboard.server --address 127.0.0.1 --port 8501
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

import anyio
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, file_util

from dashboard.doors.addresses import own_path
from dashboard.doors.cookie import take_large_cookies
from dashboard.doors.gate import SignInGate
from dashboard.doors.sessions import SessionDoor
from dashboard.doors.uploads import UploadLimit
from dashboard.resources import models, stores
from dashboard.serving.assets import CompressedAssets
from dashboard.serving.connections import limit_connections
from dashboard.serving.logs import JSON_OPTIONS, configure_logging
from dashboard.serving.options import unstated
from dashboard.settings import SettingsError, check_address, is_sign_in_over_https, settings
from dashboard.shell.errors import ANY_PAGE
from data.cases.case import Actor
from data.cases.orphans import TooManyOrphans
from data.cases.queries import CaseQuery
from model.settings import is_loopback

SCRIPT = Path(__file__).with_name("app.py")
# Source: OWASP Secure Headers Project; what each part of the policy must allow was tried out in Chromium.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        # The hash: of the one line of script in Streamlit's index.html. Blobs hold the scripts of our components.
        "script-src 'self' 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA=' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        # Streamlit's camera widget fetches the photograph from a data URL.
        "connect-src 'self' data:",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}
STRICT_TRANSPORT_SECURITY = "max-age=31536000"  # a year, in seconds
# Asks the case log a question that finds nothing: this organisation has no cases.
HEALTH_CHECK = Actor("health check", "", "admin")
HEALTH_SECONDS = 4.0  # load balancers commonly give up after 5 s
METRICS = "/_stcore/metrics"
SWEEP_SECONDS = 3600.0
EXPIRE_SECONDS = 60.0
ORPHAN_AGE = timedelta(hours=1)

_KNOWN: tuple[type[Exception], ...] = (*ANY_PAGE, TooManyOrphans)

_log = logging.getLogger(__name__)


class SecureResponses:
    """Middleware: security headers on every answer, cookies for https only where the browser speaks https."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mend the head of the answer."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)

        async def send_secured(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                _secure(MutableHeaders(raw=message.setdefault("headers", [])), scope)
            await send(message)

        await self.app(scope, receive, send_secured)


class RefuseStrangers:
    """Middleware: without sign-in, only this computer is answered, however the server was started.

    Metrics are for this computer alone, whoever is signed in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on where `check_address` allows the address that it came in at."""
        if scope["type"] in ("http", "websocket"):
            try:
                check_address(settings(), (scope.get("server") or ("",))[0])
            except SettingsError as error:
                return await PlainTextResponse(f"{error}\n", status_code=403)(scope, receive, send)
            if own_path(scope["path"]) == METRICS and not _is_from_here(scope):
                return await PlainTextResponse("Not found\n", status_code=404)(scope, receive, send)
        await self.app(scope, receive, send)


def _is_from_here(scope: Scope) -> bool:
    """Whether this computer asks, and for nobody else."""
    return is_loopback((scope.get("client") or ("",))[0]) and "x-forwarded-for" not in Headers(scope=scope)


def _secure(headers: MutableHeaders, scope: Scope) -> None:
    headers.update(HEADERS)
    if own_path(scope["path"]).startswith("/media/"):
        headers["Cache-Control"] = "no-store"
    if _is_https(scope):
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
        cookies = headers.getlist("set-cookie")
        del headers["set-cookie"]
        for cookie in cookies:
            headers.append("set-cookie", cookie if "; secure" in cookie.lower() else f"{cookie}; Secure")


def _is_https(scope: Scope) -> bool:
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip()
    return "https" in (scope["scheme"], forwarded) or is_sign_in_over_https()


async def health(request: Request) -> JSONResponse:
    """Whether the model can be loaded and the case log answers: 200, or 503 and which of them does not."""
    # The first check of a process loads the model; only the case log is elsewhere and may hang.
    state = {"model": await run_in_threadpool(_has_model), "case log": await _in_time(_has_case_log)}
    return JSONResponse(
        {name: "ok" if is_well else "unavailable" for name, is_well in state.items()},
        status_code=200 if all(state.values()) else 503,
        headers={"Cache-Control": "no-store"},
    )


async def _in_time(check: Callable[[], bool]) -> bool:
    """What a check says; False where it takes so long that whoever asks would give up first."""
    with anyio.move_on_after(HEALTH_SECONDS):
        return await anyio.to_thread.run_sync(check, abandon_on_cancel=True, limiter=_health_checks())
    return False


@cache
def _health_checks() -> anyio.CapacityLimiter:
    # Checks that were given up keep their thread until the database lets them go: never those that serve users.
    return anyio.CapacityLimiter(4)


def _has_model() -> bool:
    return _works("model", models.artifact)


def _has_case_log() -> bool:
    return _works("case log", lambda: stores.case_log().count(CaseQuery(), HEALTH_CHECK))


def _works(name: str, check: Callable[[], object]) -> bool:
    try:
        check()
    except _KNOWN as error:
        _log.warning("%s unavailable: %s", name, error)
        return False
    except Exception as error:  # a fault of the program; whoever goes on for ever must outlive it
        _log.error("%s failed: %s", name, type(error).__name__)
        return False
    return True


@asynccontextmanager
async def _sweeping(app: st.App) -> AsyncIterator[None]:
    # A daemon, so that a database that does not answer never holds up the end of the process.
    threading.Thread(target=_sweep_for_ever, name="sweep", daemon=True).start()
    threading.Thread(target=_expire_for_ever, name="drafts", daemon=True).start()
    yield


def _expire_for_ever() -> None:
    while True:
        time.sleep(EXPIRE_SECONDS)
        _works("expiry of drafts", lambda: stores.drafts().expire())


def _sweep_for_ever() -> None:
    while True:
        _works("sweep of the case log", lambda: stores.case_log().sweep(ORPHAN_AGE))
        _works("sweep of shown answers", lambda: stores.case_log().forget_shown_answers())
        _works("sweep of ended sign-ins", lambda: stores.case_log().forget_ended_sign_ins())
        time.sleep(SWEEP_SECONDS)


app = st.App(
    SCRIPT,
    lifespan=_sweeping,
    # Below a base path as well.
    routes=[Route("/healthz", health), Route("/{base:path}/healthz", health)],
    middleware=[
        Middleware(SecureResponses),
        Middleware(RefuseStrangers),
        Middleware(SignInGate),
        Middleware(UploadLimit),
        Middleware(SessionDoor),
        Middleware(CompressedAssets, folder=Path(file_util.get_static_dir())),
    ],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it; exit code 2 and a message where the settings do not allow it."""
    parser = argparse.ArgumentParser(prog="python -m dashboard.server", description="Serve the dashboard.")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, help="where to listen (default: PORT, or 8501)")
    given = parser.parse_args(arguments)
    try:
        check_address(settings(), given.address)
    except SettingsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    configure_logging(settings())
    take_large_cookies()
    limit_connections()
    # The server ends in order, then sends itself the signal that ended it; that is no failure.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    options = {
        **unstated(),
        "server.address": given.address,
        "server.port": given.port or settings().port,
        **(JSON_OPTIONS if settings().json_logs else {}),
    }
    for name, value in options.items():
        config.set_option(name, value)  # Streamlit would warn that they changed since it read its file
    app.run(config=options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
