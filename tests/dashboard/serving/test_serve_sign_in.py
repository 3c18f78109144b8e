"""Sign-in behind nginx with two dashboards: a user of hundreds of groups gets in, a sign-out holds in both of them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboard.doors import wording
from dashboard.serving.streamlit_session import StreamlitSession
from tests.support.servers.oidc_provider import (
    ORGANISATION_CLAIM,
    ROLE_CLAIM,
    SIGN_IN,
    USER_COOKIE,
    Provider,
    running_provider,
    sign_in,
    write_secrets,
)
from tests.support.servers.ports import free_port
from tests.support.servers.serve import COOKIE, PATIENCE_SECONDS, Running, running_serve

# As Entra has them: nothing that could be compressed.
GROUPS = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(500)]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as running:
        claims = {ROLE_CLAIM: "researcher", ORGANISATION_CLAIM: "Clinic"}
        running.add_user("many", email="many@clinic.org", email_verified=True, groups=GROUPS, **claims)
        running.add_user("few", email="few@clinic.org", email_verified=True, **claims)
        yield running


@pytest.fixture(scope="module")
def serve(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    write_secrets(folder, f"http://127.0.0.1:{port}", provider)
    # Streamlit looks for secrets at home as well.
    with running_serve(folder, port, HOME=str(folder), **SIGN_IN) as running:
        yield running


def cookies_of(serve: Running, subject: str) -> dict[str, str]:
    """What a browser keeps that has just signed in."""
    with httpx.Client(timeout=PATIENCE_SECONDS) as client:
        answer = sign_in(client, serve.address, subject)
        assert answer.status_code == 302 and answer.cookies.get(USER_COOKIE)
        return {cookie.name: cookie.value or "" for cookie in client.cookies.jar if not cookie.name == COOKIE}


def status(serve: Running, cookies: dict[str, str], process: int, path: str = "/") -> int:
    given = cookies | {COOKIE: f"dashboard{process}"}
    return httpx.get(f"{serve.address}{path}", cookies=given, timeout=PATIENCE_SECONDS).status_code


def test_strangers_reach_nothing_behind_nginx(serve: Running) -> None:
    async def knock() -> int:
        try:
            async with connect(serve.address.replace("http", "ws") + "/_stcore/stream"):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    page = httpx.get(f"{serve.address}/cases")
    assert page.status_code == 401 and wording.WELCOME in page.text
    assert asyncio.run(knock()) == 403
    assert httpx.put(f"{serve.address}/_stcore/upload_file/session/file").status_code == 401


def test_a_user_of_hundreds_of_groups_gets_in_and_nobody_else_is_held_up(serve: Running) -> None:
    many, few = cookies_of(serve, "many"), cookies_of(serve, "few")
    assert sum(map(len, many.values())) > 16_000

    async def look(cookies: dict[str, str], name: str) -> None:
        session = StreamlitSession(serve.address, PATIENCE_SECONDS, cookies)
        await session.open()
        assert session.shows(name)
        await session.close()

    for _ in range(2):  # once with each process
        asyncio.run(look(many, "many@clinic.org"))
        asyncio.run(look(few, "few@clinic.org"))


def test_a_sign_out_holds_in_the_other_process(serve: Running) -> None:
    cookies = cookies_of(serve, "few")
    assert [status(serve, cookies, process) for process in (1, 2)] == [200, 200]
    assert status(serve, cookies, 1, "/auth/logout") == 302
    assert status(serve, cookies, 1) == 401
    until = time.monotonic() + PATIENCE_SECONDS
    while status(serve, cookies, 2) != 401:
        assert time.monotonic() < until
