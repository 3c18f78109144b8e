"""The server: headers, cookies, the refusal to serve strangers without sign-in, health, and its end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from dashboard.resources import stores
from dashboard.server import HEADERS, HEALTH_CHECK, RefuseStrangers, SecureResponses, _works, health, main
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog
from data.cases.orphans import TooManyOrphans
from tests.support.browser.chromium import launched_chromium, opened_page, visit
from tests.support.case_log import case_log_of
from tests.support.dashboard import environment, write_artifact
from tests.support.servers.misbehaving import SilentDatabase
from tests.support.servers.oidc_provider import Dashboard, running_laptop

pytest_plugins = ("tests.support.servers.postgres_server",)

ROOT = Path(__file__).resolve().parents[2]


def cookie_setter(request: object) -> Response:
    answer = Response("made up")
    answer.set_cookie("first", "1", httponly=True)
    answer.set_cookie("second", "2", secure=True)
    return answer


def get(url: str, client: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """The answer of a server that listens on the address in the URL, with our middleware, to who asks from `client`."""
    app = Starlette(
        routes=[Route("/healthz", health), Route("/{path:path}", cookie_setter)],
        middleware=[Middleware(SecureResponses), Middleware(RefuseStrangers)],
    )

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(client, 1))) as asking:
            return await asking.get(url, headers=headers)

    return asyncio.run(ask())


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a dashboard without sign-in, with a made-up model and an empty log."""
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=write_artifact(tmp_path / "model")):
        yield "http://127.0.0.1"


def test_every_answer_has_the_headers(laptop: str) -> None:
    answer = get(f"{laptop}/anything")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in answer.headers
    assert "'unsafe-eval'" not in HEADERS["Content-Security-Policy"]
    assert "cache-control" not in answer.headers


def test_images_stay_in_no_cache(laptop: str) -> None:
    assert get(f"{laptop}/media/abc.png").headers["cache-control"] == "no-store"


def test_cookies_are_left_alone_without_https(laptop: str) -> None:
    assert "Secure" not in get(laptop).headers.get_list("set-cookie")[0]


@pytest.mark.parametrize("forwarded", ["https", "https, http"])
def test_behind_https_cookies_are_secure_and_browsers_stay(laptop: str, forwarded: str) -> None:
    answer = get(laptop, **{"X-Forwarded-Proto": forwarded})
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.count("Secure") for cookie in cookies] == [1, 1]
    assert cookies[0].startswith("first=1;") and "HttpOnly" in cookies[0]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_strangers_are_refused_without_sign_in(laptop: str) -> None:
    answer = get("http://192.0.2.1/healthz")
    assert answer.status_code == 403
    assert "expected oidc to listen on 192.0.2.1" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("address", ["http://127.0.0.1", "http://[::1]", "http://localhost"])
def test_this_computer_is_answered(laptop: str, address: str) -> None:
    assert get(address).status_code == 200


def test_strangers_are_answered_where_a_setting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(monkeypatch, ALLOW_ANONYMOUS="1"):  # type: ignore[arg-type]
        assert get("http://192.0.2.1").status_code == 200


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("192.0.2.1", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 404),  # through a proxy, which anybody may use
    ],
)
def test_metrics_are_for_this_computer(
    monkeypatch: pytest.MonkeyPatch, client: str, headers: dict[str, str], status: int
) -> None:
    with environment(monkeypatch, ALLOW_ANONYMOUS="1"):  # type: ignore[arg-type]
        assert get("http://192.0.2.9/_stcore/metrics", client, **headers).status_code == status
        assert get("http://192.0.2.9/", client, **headers).status_code == 200


# --- Health ----------------------------------------------------------------------------------------------------------


def test_healthy_where_model_and_case_log_answer(laptop: str) -> None:
    answer = get(f"{laptop}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"model": "ok", "case log": "ok"})


def test_unhealthy_without_the_case_log(laptop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> int:
        raise CaseLogUnavailable("expected a database, received none; start it")

    monkeypatch.setattr(CaseLog, "count", away)
    answer = get(f"{laptop}/healthz")
    assert (answer.status_code, answer.json()) == (503, {"model": "ok", "case log": "unavailable"})


def test_unhealthy_soon_where_the_case_log_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, postgres_socket: Path
) -> None:
    monkeypatch.setattr("dashboard.server.HEALTH_SECONDS", 0.2)  # below every limit of the database itself
    silent = SilentDatabase(postgres_socket)
    where = {"DATABASE_URL": silent.url(postgres_url), "MODEL_DIR": write_artifact(tmp_path / "model")}
    with case_log_of(tmp_path, monkeypatch, **where):
        stores.case_log().record_sign_in(HEALTH_CHECK)
        silent.is_silent.set()
        answer = get("http://127.0.0.1/healthz")
        silent.is_silent.clear()
    silent.close()
    assert (answer.status_code, answer.json()["case log"]) == (503, "unavailable")


@pytest.mark.parametrize(
    "error", [KeyError("LastModified"), TooManyOrphans("expected"), CaseLogUnavailable("expected")]
)
def test_threads_that_go_on_for_ever_outlive_any_error(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise error

    assert not _works("sweep of the case log", fail)
    assert "sweep of the case log" in caplog.text and "LastModified" not in caplog.text


def test_unhealthy_without_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=tmp_path):
        answer = get("http://127.0.0.1/healthz")
    assert (answer.status_code, answer.json()) == (503, {"model": "unavailable", "case log": "ok"})


# --- Start and end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "lesionlens.clinic.org"])
def test_other_addresses_are_refused_without_sign_in(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with environment(monkeypatch):
        assert main(["--address", address]) == 2
    assert f"AUTH: expected oidc to listen on {address}, received none" in capsys.readouterr().err


def test_wrong_settings_are_told_before_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with environment(monkeypatch, READ_FIRST="maybe"):  # type: ignore[arg-type]
        assert main([]) == 2
    assert "READ_FIRST: expected 0 or 1" in capsys.readouterr().err


def test_streamlit_run_shows_the_refusal_instead_of_pages(tmp_path: Path) -> None:
    # The script itself, without a server: what every session of `streamlit run --server.address 0.0.0.0` gets.
    code = (
        "from streamlit import config; from streamlit.testing.v1 import AppTest; "
        "config.set_option('server.address', '0.0.0.0'); "
        "app = AppTest.from_file('dashboard/app.py', default_timeout=60).run(); "
        "print([error.value for error in app.error], [title.value for title in app.title])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "AUTH: expected oidc to listen on 0.0.0.0" in shown
    assert shown.rstrip().endswith("[]")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_in_order(tmp_path: Path, ending: signal.Signals) -> None:
    with running_laptop(tmp_path) as (dashboard, process):
        assert httpx.get(f"{dashboard.url}/healthz", timeout=60).json() == {"model": "ok", "case log": "ok"}
        process.send_signal(ending)
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in dashboard.log.read_text()


# --- In a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_policy_lets_review_and_the_other_pages_work(tmp_path: Path) -> None:
    refused: list[str] = []
    with launched_chromium() as browser, opened_page(browser) as page, running_laptop(tmp_path) as (dashboard, _):
        page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
        open_sample(page, dashboard)
        expect(page.locator(".frame .heat")).to_have_js_property("complete", True)
        assert page.locator(".frame .heat").evaluate("image => image.naturalWidth") > 0
        for address, title in (("dataset", "Dataset"), ("evaluation", "Evaluation"), ("cases", "Cases")):
            visit(page, f"{dashboard.url}/{address}")
            expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
        page.wait_for_load_state("networkidle")
    assert refused == []


def open_sample(page: Page, dashboard: Dashboard) -> None:
    visit(page, dashboard.url)
    page.get_by_role("button", name="I have read this").click()
    page.get_by_role("button", name="nv", exact=True).click()
    expect(page.locator(".viewer")).to_be_visible()
