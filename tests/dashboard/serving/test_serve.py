"""nginx before several dashboards and one API: who answers whom, deaths, replacement one by one, and the end."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from dashboard.serve import check, main
from dashboard.serving.gateway import processes_configuration
from dashboard.serving.supervisor import BackOff, Server, Service, raise_descriptor_limit
from dashboard.serving.supervisor import free_port as port_of_range
from dashboard.settings import SettingsError
from data.cases.case import LOCAL_ACTOR
from data.cases.log import open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import open_image_store
from tests.support.case_log import KEY, made_up_draft, made_up_image
from tests.support.dashboard import environment
from tests.support.server import sample
from tests.support.servers.ports import free_port
from tests.support.servers.serve import (
    COOKIE,
    PATIENCE_SECONDS,
    Running,
    answers,
    is_alive,
    needs_nginx,
    running_serve,
    told,
    wait_until,
)
from tests.support.session import reaches_own_read

# --- Parts -----------------------------------------------------------------------------------------------------------


def test_configuration_has_a_stand_in_for_each_dashboard() -> None:
    text = processes_configuration({"dashboard1": 20000, "dashboard2": 20003}, api_port=20001)
    groups = dict(re.findall(r"upstream (\w+) \{\n(.*?)\n\}", text, flags=re.DOTALL))
    lines = {name: [line.strip() for line in body.splitlines()] for name, body in groups.items()}
    assert lines == {
        "dashboards": ["server 127.0.0.1:20000 max_fails=0;", "server 127.0.0.1:20003 max_fails=0;"],
        "dashboard1": ["server 127.0.0.1:20000 max_fails=0;", "server 127.0.0.1:20003 max_fails=0 backup;"],
        "dashboard2": ["server 127.0.0.1:20003 max_fails=0;", "server 127.0.0.1:20000 max_fails=0 backup;"],
        "api": ["server 127.0.0.1:20001;", "keepalive 32;"],
    }
    assert '"~127.0.0.1:20003$" dashboard2;' in text


def test_no_dashboard_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected at least one dashboard"):
        processes_configuration({}, api_port=20001)


def test_pauses_double_until_one_lives_long() -> None:
    back_off = BackOff()
    pauses = []
    for lived in (1, 1, 1, 1, 1, 1, 1, 1, 40, 1):
        back_off.died(lived, now=100.0)
        pauses.append(back_off.pause)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.5, 1]
    assert back_off.not_before == 101.0


def dead_server() -> Server:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    return Server(process, 1, started=10.0)


def test_dead_process_is_started_again_after_its_pause() -> None:
    service = Service("api", "model.server", "/healthz", serving=dead_server())
    assert not service.is_to_start(now=11.0)
    service.bury(now=11.0)
    assert service.serving is None
    assert [service.is_to_start(now) for now in (11.4, 11.6)] == [False, True]


def test_process_that_does_not_listen_does_not_answer() -> None:
    assert not dead_server().answers("/healthz")


def test_port_of_nobody_is_taken() -> None:
    first = port_of_range(set())
    assert port_of_range({first}) > first


def test_port_range_that_is_taken_is_told() -> None:
    with pytest.raises(OSError, match="expected a free port from 20000 to 20999"):
        port_of_range(set(range(20000, 21000)))


def test_descriptor_limit_is_raised_as_far_as_permitted() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_descriptor_limit() >= min(20_000, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_without_sign_in_only_this_machine_is_served(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with environment(monkeypatch):
        assert main(["--address", "0.0.0.0"]) == 2
    assert "AUTH: expected oidc to listen on 0.0.0.0" in capsys.readouterr().err


def test_no_dashboards_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--dashboards", "0"])
    assert "expected at least one dashboard, received 0" in capsys.readouterr().err


def test_port_in_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nginx()
    with environment(monkeypatch), socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SettingsError, match="set another by --port"):
            check("127.0.0.1", other.getsockname()[1])


def test_missing_nginx_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.serving.gateway.shutil.which", lambda *_, **__: None)
    with environment(monkeypatch), pytest.raises(SettingsError, match="apt-get install"):
        check("127.0.0.1", free_port())


# --- The whole -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_serve(tmp_path_factory.mktemp("serve")) as started:
        yield started


def predict(address: str) -> httpx.Response:
    return httpx.post(
        f"{address}/v1/predict", content=sample(), headers={"content-type": "image/jpeg"}, timeout=PATIENCE_SECONDS
    )


def test_browsers_go_to_the_dashboards_in_turn_and_stay(running: Running) -> None:
    assert {running.cookie() for _ in range(4)} == {"dashboard1", "dashboard2"}
    assert [running.cookie(**{COOKIE: "dashboard2"}) for _ in range(3)] == [None] * 3
    assert running.cookie(**{COOKIE: "no such process"}) in ("dashboard1", "dashboard2")


def test_cookie_is_for_https_where_the_browser_speaks_it(running: Running) -> None:
    answer = httpx.get(f"{running.address}/", headers={"X-Forwarded-Proto": "https"})
    [cookie] = [one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE)]
    assert cookie.endswith("HttpOnly; SameSite=Lax; Secure")


def test_api_answers_beside_the_dashboards(running: Running) -> None:
    assert predict(running.address).json()["prediction"] == "mel"
    assert httpx.get(f"{running.address}/readyz").json()["name"] == "skin"
    assert "lesionlens_requests_in_flight" in httpx.get(f"{running.address}/metrics").text
    assert httpx.get(f"{running.address}/_stcore/metrics").status_code == 404


def test_session_uploads_through_nginx_to_the_process_that_holds_it(running: Running) -> None:
    # Of four, some go to each dashboard; at the wrong one an upload is refused.
    assert [asyncio.run(reaches_own_read(running.address, PATIENCE_SECONDS)) for _ in range(4)] == [True] * 4


@pytest.mark.parametrize("accepted, encoding", [("br", "br"), ("gzip", "gzip"), ("identity", None)])
def test_scripts_come_through_nginx_as_they_are_sent(running: Running, accepted: str, encoding: str | None) -> None:
    script = re.findall(r'src="\./(static/js/[^"]+)"', httpx.get(running.address).text)[0]
    answers = [httpx.get(f"{running.address}/{script}", headers={"Accept-Encoding": accepted}) for _ in range(2)]
    # From two dashboards, which agree on the entity tag.
    assert len({answer.cookies[COOKIE] for answer in answers}) == 2
    assert len({answer.headers["etag"] for answer in answers}) == 1
    for answer in answers:
        assert answer.headers.get("content-encoding") == encoding
        assert {"public", "immutable", "max-age=31536000"} == set(answer.headers["cache-control"].split(", "))
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-security-policy"]
    again = httpx.get(
        f"{running.address}/{script}",
        headers={"Accept-Encoding": accepted, "If-None-Match": answers[0].headers["etag"]},
    )
    assert again.status_code == 304


def test_too_large_a_body_is_the_api_s_to_refuse(running: Running) -> None:
    answer = httpx.post(f"{running.address}/v1/predict", content=bytes(40_000_000), timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_process_that_dies_is_started_again_and_another_stands_in(running: Running) -> None:
    before = running.processes()
    os.kill(before["dashboard2"], signal.SIGKILL)
    assert running.cookie(**{COOKIE: "dashboard2"}) in ("dashboard1", None)  # None: it is back already
    wait_until(lambda: running.processes()["dashboard2"] != before["dashboard2"], running.log)
    wait_until(lambda: running.cookie(**{COOKIE: "dashboard2"}) is None, running.log)
    assert running.processes() == before | {"dashboard2": running.processes()["dashboard2"]}


def test_replacement_one_by_one_fails_no_request_and_loses_no_case(running: Running) -> None:
    log = open_case_log(running.store[0], open_image_store(running.store[1]), KEY.encode())
    before, is_over = running.processes(), threading.Event()
    statuses: list[int] = []
    saved: list[UUID] = []

    def use() -> None:
        while not is_over.is_set():
            statuses.append(httpx.get(f"{running.address}/healthz", timeout=PATIENCE_SECONDS).status_code)
            statuses.append(predict(running.address).status_code)
            saved.append(log.save(made_up_draft(len(saved)), made_up_image(), LOCAL_ACTOR).case_id)

    user = threading.Thread(target=use)
    user.start()
    try:
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not any(is_alive(process_id) for process_id in before.values()), running.log)
    finally:
        is_over.set()
        user.join()
    assert set(statuses) == {200} and len(saved) > 2
    assert log.count(CaseQuery(), LOCAL_ACTOR) == len(saved)
    assert all(log.case(case_id, LOCAL_ACTOR).case_id == case_id for case_id in saved)


def test_end_leaves_nobody_behind(running: Running) -> None:
    processes = running.processes()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert not [name for name, process_id in processes.items() if is_alive(process_id)]
    assert not answers(f"{running.address}/_stcore/health")
    assert "Traceback" not in told(running.log)


# --- Below a path -----------------------------------------------------------------------------------------------------


def test_folder_it_is_started_in_may_put_it_below_a_path(tmp_path: Path) -> None:
    with running_serve(tmp_path, base_path="lesions") as running:
        assert running.address.endswith("/lesions")
        assert httpx.get(f"{running.address}/healthz").status_code == 200
        assert asyncio.run(reaches_own_read(running.address, PATIENCE_SECONDS))
