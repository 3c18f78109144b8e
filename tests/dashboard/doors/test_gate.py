"""The gate: who is not signed in reaches nothing of Streamlit, and a sign-in that ended holds for no copy of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from streamlit import config
from streamlit.auth_util import decode_provider_token
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.doors import wording
from dashboard.doors.gate import SignInGate
from dashboard.resources import stores
from data.cases.case import Actor
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog
from data.tasks.known import TASKS
from data.tasks.skin import SKIN
from tests.support.servers.signed_in import asking_for_sign_in, user_claims, user_cookies

BEHIND = b"of Streamlit"
INSIDE = [
    "/", "/review", "/cases", "/anything", "/static/js/index.js", "/favicon.png", "/component/x/index.html",
    "/_stcore/host-config", "/_stcore/metrics", "/_stcore/stream", "/_stcore/script-health-check",
    "/_stcore/agent/openapi.json", "/media/abc.png", "/_stcore/upload_file/session/file", "/_stcore/health/x",
    "/auth", "/auth/login/", "//auth/login", "/x/_stcore/health",
]  # fmt: skip


def test_the_sign_in_page_names_the_images_of_each_task() -> None:
    assert wording.intended_use([SKIN]) == "A research tool for dermoscopic images: it advises, a person decides."
    assert " for dermoscopic images and retinal photographs: " in wording.intended_use(list(TASKS.values()))


@pytest.fixture(autouse=True)
def sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with asking_for_sign_in(tmp_path, monkeypatch):
        yield


@pytest.fixture
def below_a_path() -> Iterator[None]:
    config.set_option("server.baseUrlPath", "lesions")
    yield
    config.set_option("server.baseUrlPath", "")


async def streamlit(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands behind the gate and repeats the query that it got."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": BEHIND + scope["query_string"]})


def ask(path: str, cookies: Mapping[str, str] | None = None, method: str = "GET") -> httpx.Response:
    """The answer of a dashboard with the gate."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(SignInGate(streamlit))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8501", cookies=dict(cookies or {})
        ) as client:
            return await client.request(method, f"http://127.0.0.1:8501{path}")

    return asyncio.run(asked())


def connect(cookies: Mapping[str, str] | None = None) -> list[Message]:
    """What a websocket gets."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    header = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
    scope: dict[str, Any] = {"type": "websocket", "path": "/_stcore/stream", "headers": [(b"cookie", header.encode())]}
    asyncio.run(SignInGate(streamlit)(scope | {"subprotocols": ["streamlit", "token"]}, receive, send))
    return sent


def is_let_in(claims: Mapping[str, Any]) -> bool:
    return ask("/", user_cookies(claims)).content == BEHIND


# --- Who is not signed in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", INSIDE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_of_the_program_is_reached_without_sign_in(path: str, method: str) -> None:
    answer = ask(path, method=method)
    assert answer.status_code == 401 and BEHIND not in answer.content
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", INSIDE)
def test_everything_is_reached_with_a_sign_in(path: str) -> None:
    assert ask(path, user_cookies(user_claims())).content == BEHIND


def test_a_stranger_gets_a_page_without_scripts_that_leads_to_the_provider() -> None:
    answer = ask("/cases?case=1")
    assert answer.headers["content-type"].startswith("text/html")
    assert wording.WELCOME in answer.text and 'href="/auth/login"' in answer.text
    assert "<script" not in answer.text and "http:" not in answer.text.replace("http://www.w3.org", "")


def test_the_way_in_and_what_tells_that_the_process_lives_are_open() -> None:
    for path in ("/_stcore/health", "/healthz", "/oauth2callback?code=1", "/auth/logout"):
        assert ask(path).content.startswith(BEHIND), path


def test_the_way_in_gets_a_ticket_for_the_provider() -> None:
    query = ask("/auth/login").text.removeprefix(BEHIND.decode())
    assert decode_provider_token(query.removeprefix("provider="))["provider"] == "default"


def test_a_websocket_without_sign_in_is_refused_before_it_opens() -> None:
    assert connect() == [{"type": "websocket.close", "code": 1008}]
    assert connect(user_cookies(user_claims(), secret="d" * 32)) == [{"type": "websocket.close", "code": 1008}]
    assert connect(user_cookies(user_claims())) == [{"type": "websocket.accept"}]


def test_a_page_that_was_open_when_its_sign_in_ended_is_sent_to_the_sign_in_page() -> None:
    cookies = user_cookies(user_claims(exp=time.time() - 1))
    assert ask("/_stcore/host-config", cookies).content == BEHIND  # asked before it connects
    accepted, told, closed = connect(cookies)
    assert accepted == {"type": "websocket.accept", "subprotocol": "streamlit"}
    assert ForwardMsg.FromString(told["bytes"]).auth_redirect.url == "/"
    assert closed["type"] == "websocket.close"


def test_an_expired_sign_in_is_told() -> None:
    answer = ask("/", user_cookies(user_claims(exp=time.time() - 1)))
    assert answer.status_code == 401 and wording.EXPIRED in answer.text


def test_somebody_without_a_role_reaches_nothing_and_is_told() -> None:
    cookies = user_cookies(user_claims(role="surgeon"))
    answer = ask("/", cookies)
    assert answer.status_code == 403 and wording.NO_ROLE_TITLE in answer.text
    assert "ben@clinic.org=clinician@Organisation" in answer.text and "Your sign-in states: surgeon." in answer.text
    assert 'href="/auth/logout"' in answer.text
    assert ask("/_stcore/metrics", cookies).status_code == 401
    assert ForwardMsg.FromString(connect(cookies)[1]["bytes"]).auth_redirect.url == "/"


def test_somebody_without_an_address_is_shown_the_subject_to_enter() -> None:
    answer = ask("/", user_cookies(user_claims(role=None, email=None, sub="AbC-17")))
    assert "sub:AbC-17=clinician@Organisation" in answer.text and "Your sign-in states no role." in answer.text


def test_a_name_is_shown_as_text() -> None:
    answer = ask("/", user_cookies(user_claims(role="surgeon", email="<script>alert(1)</script>")))
    assert "&lt;script&gt;" in answer.text and "<script" not in answer.text


def test_who_is_signed_in_does_not_sign_in_again() -> None:
    for path in ("/auth/login", "/oauth2callback?code=1&state=2"):
        answer = ask(path, user_cookies(user_claims()))
        assert (answer.status_code, answer.headers["location"]) == (302, "/")


def test_without_sign_in_in_the_settings_the_gate_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with asking_for_sign_in(tmp_path, monkeypatch, AUTH="none"):
        assert ask("/").content == BEHIND and connect() == [{"type": "websocket.accept"}]


def test_a_sign_in_that_failed_is_told_and_writes_nothing_of_it_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = ask("/oauth2callback?error=%1b%5b2Jcleared%0aforged+line&error_description=%1b%5b31mred")
    assert answer.status_code == 401 and wording.REFUSED in answer.text
    assert "\x1b" not in caplog.text and "\nforged" not in caplog.text and "cleared" in caplog.text


@pytest.mark.usefixtures("below_a_path")
def test_below_a_base_path_all_is_the_same() -> None:
    assert ask("/lesions/_stcore/health").content == BEHIND
    assert 'href="/lesions/auth/login"' in ask("/lesions/").text
    assert b"provider=" in ask("/lesions/auth/login").content
    assert ask("/lesions/review", user_cookies(user_claims())).content == BEHIND
    assert ask("/lesions/oauth2callback?code=1", user_cookies(user_claims())).headers["location"] == "/lesions/"
    for path in ("/", "/lesionsx/_stcore/health", "/lesions/lesions/_stcore/health", "/lesions/media/x"):
        assert ask(path).status_code == 401, path


# --- Sign-out --------------------------------------------------------------------------------------------------------


def test_sign_out_ends_every_copy_of_the_cookie_and_no_other_sign_in() -> None:
    claims, elsewhere = user_claims(), user_claims(nonce="on another computer")
    assert is_let_in(claims) and is_let_in(elsewhere)
    assert ask("/auth/logout", user_cookies(claims)).content == BEHIND
    assert not is_let_in(claims) and is_let_in(elsewhere)
    assert wording.EXPIRED in ask("/", user_cookies(claims)).text
    entries = stores.case_log().audit_entries(Actor("test", "North Clinic", "admin"), 10)
    assert [(entry.action, entry.actor) for entry in entries] == [("sign-out", "ben@clinic.org")]


def test_sign_out_is_recorded_once() -> None:
    claims = user_claims()
    for _ in range(3):
        ask("/auth/logout", user_cookies(claims))
    assert len(stores.case_log().audit_entries(Actor("test", "North Clinic", "admin"), 10)) == 1


def test_without_the_case_log_a_sign_in_ends_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise CaseLogUnavailable("expected a database, received none; start it")

    claims = user_claims()
    monkeypatch.setattr(CaseLog, "end_sign_in", away)
    monkeypatch.setattr(CaseLog, "is_sign_in_ended", away)
    assert is_let_in(claims)
    ask("/auth/logout", user_cookies(claims))
    assert not is_let_in(claims)
