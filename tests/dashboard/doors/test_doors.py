"""The doors of a running dashboard with sign-in: websocket, uploads, media, metrics and pages, as an attacker tries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboard.doors import wording
from dashboard.doors.uploads import MOST_BYTES
from dashboard.serving.streamlit_session import FINISHED, StreamlitSession
from tests.support.case_log import SAMPLE
from tests.support.servers.oidc_provider import (
    COOKIE_SECRET,
    ORGANISATION_CLAIM,
    ROLE_CLAIM,
    Dashboard,
    Provider,
    running_dashboard,
)
from tests.support.servers.signed_in import user_claims, user_cookies

PATIENCE = 60.0  # seconds; machines under test are slow, and nothing here measures time
LARGE = 20 * 2**20


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    # The provider is asked for nothing: these are signed in already.
    with running_dashboard(tmp_path_factory.mktemp("dashboard"), Provider("http://127.0.0.1:9")) as running:
        yield running


def cookies_of(dashboard: Dashboard, **changed: Any) -> dict[str, str]:
    given = {"origin": dashboard.url, ROLE_CLAIM: "clinician", ORGANISATION_CLAIM: "Clinic"}
    return user_cookies(user_claims(**given | changed), COOKIE_SECRET)


async def opened(dashboard: Dashboard, cookies: dict[str, str]) -> StreamlitSession:
    session = StreamlitSession(dashboard.url, PATIENCE, cookies)
    await session.open()
    return session


def test_without_a_cookie_there_is_no_session_and_no_upload(dashboard: Dashboard) -> None:
    async def knock(**headers: str) -> int:
        stream = dashboard.url.replace("http", "ws") + "/_stcore/stream"
        try:
            async with connect(stream, additional_headers=headers):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(knock()) == 403
    forged = user_cookies(user_claims(origin=dashboard.url), secret="d" * 64)
    assert asyncio.run(knock(Cookie="; ".join(f"{name}={value}" for name, value in forged.items()))) == 403
    for method, path in (
        ("PUT", "/_stcore/upload_file/session/file"),
        ("DELETE", "/_stcore/upload_file/session/file"),
        ("GET", "/media/0123.png"),
        ("GET", "/_stcore/metrics"),
        ("GET", "/_stcore/host-config"),
        ("GET", "/_stcore/agent/openapi.json"),
        ("POST", "/_stcore/agent/interact"),
        ("GET", "/static/js/index.js"),
    ):
        assert httpx.request(method, f"{dashboard.url}{path}").status_code == 401, path
    page = httpx.get(f"{dashboard.url}/cases")
    assert page.status_code == 401 and wording.WELCOME in page.text
    assert "script-src" in page.headers["content-security-policy"] and "<script" not in page.text
    assert httpx.get(f"{dashboard.url}/_stcore/health").text == "ok"
    assert "Traceback" not in dashboard.log.read_text()


def test_a_session_holds_so_much_and_forgets_it_at_its_end(dashboard: Dashboard) -> None:
    cookies = cookies_of(dashboard)

    def held() -> bool:
        metrics = httpx.get(f"{dashboard.url}/_stcore/metrics", cookies=cookies, timeout=PATIENCE).text
        return "UploadedFileManager" in metrics

    async def fill() -> list[int]:
        session = await opened(dashboard, cookies)
        statuses = []
        while 413 not in statuses:
            urls = await session._upload_urls("lesion.jpg")
            token = session._http.cookies.get("_streamlit_xsrf") or ""
            answer = await session._http.put(
                urls.upload_url,
                files={urls.file_id: ("lesion.jpg", bytes(LARGE - 1000))},
                headers={"X-Xsrftoken": token},
            )
            statuses.append(answer.status_code)
        assert await asyncio.to_thread(held)
        await session.close()
        return statuses

    assert asyncio.run(fill()) == [204] * (MOST_BYTES // LARGE) + [413]

    async def wait() -> None:
        while await asyncio.to_thread(held):  # figures are kept for five seconds
            await asyncio.sleep(0.5)

    asyncio.run(asyncio.wait_for(wait(), PATIENCE))


def test_an_upload_beyond_the_limit_is_refused_wherever_the_program_was_started(dashboard: Dashboard) -> None:
    async def run() -> None:
        session = await opened(dashboard, cookies_of(dashboard))
        urls = await session._upload_urls("lesion.jpg")
        token = session._http.cookies.get("_streamlit_xsrf") or ""
        answer = await session._http.put(
            urls.upload_url, files={urls.file_id: ("lesion.jpg", bytes(LARGE + 1))}, headers={"X-Xsrftoken": token}
        )
        assert answer.status_code == 413
        await session.close()

    asyncio.run(run())
    assert not (dashboard.folder / ".streamlit" / "config.toml").exists()


@pytest.mark.parametrize(("role", "first"), [("clinician", "review"), ("researcher", "dataset"), ("admin", "review")])
def test_the_first_page_is_found_by_its_own_name_too(dashboard: Dashboard, role: str, first: str) -> None:
    async def run() -> None:
        session = await opened(dashboard, cookies_of(dashboard, **{ROLE_CLAIM: role}))
        for name in (first, "about"):
            message = BackMsg()
            message.rerun_script.page_name = name
            session._seen.clear()
            await session._connection.send(message.SerializeToString())
            await session._read_until(lambda sent: sent.script_finished in FINISHED, "script_finished")
            kinds = {ForwardMsg.FromString(sent).WhichOneof("type") for sent in session._seen}
            assert "page_not_found" not in kinds
            assert session.shows(name.capitalize())
        await session.close()

    asyncio.run(run())


def test_below_a_base_path_everything_works(tmp_path: Path) -> None:
    with running_dashboard(tmp_path, Provider("http://127.0.0.1:9"), "/lesions") as dashboard:
        root = dashboard.url.removesuffix("/lesions")
        cookies = cookies_of(dashboard, origin=root)
        page = httpx.get(f"{dashboard.url}/")
        assert page.status_code == 401 and 'href="/lesions/auth/login"' in page.text
        assert httpx.get(f"{root}/").status_code == 401
        for path in ("/healthz", "/lesions/healthz", "/lesions/_stcore/health"):
            assert httpx.get(f"{root}{path}", timeout=PATIENCE).status_code == 200, path
        html = httpx.get(f"{dashboard.url}/", cookies=cookies).text
        script = next(iter(re.findall(r"static/js/index\.[\w-]+\.js", html)))
        answer = httpx.get(f"{dashboard.url}/{script}", cookies=cookies, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200 and answer.headers["content-encoding"] == "gzip"

        async def run() -> None:
            session = await opened(dashboard, cookies)
            await session.click("I have read this")
            await session.upload("Dermoscopic", "lesion.jpg", SAMPLE.read_bytes())
            await session.close()

        asyncio.run(run())


def test_sign_out_ends_open_tabs_and_copied_cookies(dashboard: Dashboard) -> None:
    cookies = cookies_of(dashboard, nonce="another")

    async def run() -> None:
        tab = await opened(dashboard, cookies)
        assert tab.shows("ben@clinic.org")
        with httpx.Client(cookies=cookies) as other_tab:
            assert other_tab.get(f"{dashboard.url}/").status_code == 200
            other_tab.get(f"{dashboard.url}/auth/logout")
        await tab.draw()
        assert tab.shows("Your sign-in has ended") and not tab.shows("ben@clinic.org")
        await tab.close()

    asyncio.run(run())
    answer = httpx.get(f"{dashboard.url}/", cookies=cookies)
    assert answer.status_code == 401 and wording.EXPIRED in answer.text
