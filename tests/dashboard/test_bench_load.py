"""The load measurement: its figures worked out by hand, and users who meet a server that fails."""

from __future__ import annotations

import asyncio
import http.server
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from dashboard.bench_load import (
    Load,
    alone,
    api_load,
    arithmetic,
    compared,
    dashboard_load,
    descendants,
    main,
    memory_and_descriptors,
    processor_seconds,
    unlike_any,
)
from dashboard.review.decision_wording import OWN_READ_HEADING
from dashboard.review.wording import INTENDED_USE_BUTTON, OPEN_HEADING
from dashboard.serving.streamlit_session import SessionFailed, StreamlitSession
from tests.support.server import running_server, sample
from tests.support.servers.ports import free_port

pytest_plugins = ("tests.support.servers.browser_server",)


def test_row_holds_percentiles_rate_and_errors() -> None:
    samples = [float(value) for value in range(101)]
    load = Load(4, samples, seconds=10.0, processor_seconds=20.2, memory=1234.4, descriptors=56)
    load.errors["status 503"] = 2
    assert load.row() == "| 4 | 101 | 10.1 | 50 | 95 | 99 | 0.200 | 2 status 503 | 1,234 | 56 |"


def test_row_without_any_answer_has_no_percentiles() -> None:
    assert Load(4).row() == "| 4 | 0 | 0.0 | - | - | - | - | 0 | 0 | 0 |"


def test_cost_of_an_answer_is_compared_where_both_are_known() -> None:
    page, api = Load(10, [1.0] * 4, processor_seconds=1.0), Load(5, [1.0] * 10, processor_seconds=1.0)
    assert compared(page, api) == (
        "An answer of the dashboard took 0.250 processor seconds with 10 users, one of the API 0.100 with 5: 2.5 times "
        "as much."
    )
    assert compared(page, Load(5, [1.0])) == compared(Load(10), api) == ""


def test_processor_time_is_that_of_a_process_and_of_its_ended_children() -> None:
    work = "import time\nwhile time.process_time() < 0.5: pass"
    code = "import subprocess, sys; {}; print(1, flush=True); input()"
    child = code.format(f"subprocess.run([sys.executable, '-c', {work!r}], check=True)")
    busy = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert busy.stdout is not None
    busy.stdout.readline()
    used = processor_seconds([busy.pid])
    busy.communicate(b"\n")
    assert used >= 0.5
    assert processor_seconds([busy.pid]) == 0


def test_arithmetic_within_what_the_cores_can_do() -> None:
    # 2 cores x 1000 / 50 ms = 40 a second; 20 users / (5 s + 0.05 s) = 4 a second.
    text = arithmetic(50.0, 2, 20, 5.0)
    assert "2 cores could give 40 answers a second" in text
    assert text.endswith("20 users who pause 5 s ask for 4 a second.")


def test_arithmetic_beyond_it_says_how_long_they_wait() -> None:
    # 500 users / 40 a second = one turn in 12.5 s, of which 5 s are their own pause.
    assert arithmetic(50.0, 2, 500, 5.0).endswith("about 7.5 s an answer.")


def test_every_upload_is_a_file_of_its_own_with_the_same_image() -> None:
    first, second = unlike_any(sample()), unlike_any(sample())
    assert first != second
    pictures = [Image.open(io.BytesIO(one)).tobytes() for one in (first, sample())]
    assert pictures[0] == pictures[1]


def test_children_of_children_count() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    found = descendants(parent.pid)
    parent.communicate(b"\n")
    assert found[0] == parent.pid and len(found) == 2


def test_own_memory_and_descriptors_are_counted_and_a_dead_process_is_not() -> None:
    memory, descriptors = memory_and_descriptors([os.getpid()])
    assert memory > 10 and descriptors >= 3
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert memory_and_descriptors([ended.pid]) == (0.0, 0)


# --- Servers that fail -----------------------------------------------------------------------------------------------


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers 503 to everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(503)

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def broken_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_failing_api_is_counted_by_status() -> None:
    with broken_server() as address:
        load = asyncio.run(api_load(address, 2, 0.2, 0.1, sample(), None, None))
        assert set(load.errors) == {"status 503"} and not load.milliseconds
        with pytest.raises(SessionFailed, match="expected answers of the API"):
            asyncio.run(alone(address, sample(), None))


def test_failing_dashboard_is_counted_for_each_user() -> None:
    with broken_server() as address:
        load = asyncio.run(dashboard_load(address, 3, 100, sample(), None))
    assert load.errors == {"status 503": 3} and not load.milliseconds


def test_server_that_is_away_ends_it_with_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert main(["--url", address, "--users", "2", "--only", "dashboard"]) == 1
    assert "2 ConnectError" in capsys.readouterr().out


def test_session_must_be_opened_first() -> None:
    async def draw() -> None:
        await StreamlitSession("http://127.0.0.1:1", 1).draw()

    with pytest.raises(SessionFailed, match="call open first"):
        asyncio.run(draw())


# --- Real servers ----------------------------------------------------------------------------------------------------


def test_real_api_answers_its_users(capsys: pytest.CaptureFixture[str]) -> None:
    with running_server(API_WORKERS="1", API_RATE_PER_MINUTE="0") as (process, address):
        command = ["--url", address, "--users", "2", "--only", "api", "--seconds", "0.5", "--pause", "0.2"]
        assert main([*command, "--supervisor", str(process.pid)]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("| 2 |"))
    assert row.split("|")[8].strip() == "0"
    assert float(row.split("|")[7]) > 0
    assert "One answer alone takes" in out


def test_real_session_uploads_and_a_missing_widget_is_told(address: str) -> None:
    async def use() -> None:
        session = StreamlitSession(address, 60)
        await session.open()
        try:
            with pytest.raises(SessionFailed, match="expected a widget 'No such button', the page has"):
                await session.click("No such button")
            await session.click(INTENDED_USE_BUTTON)
            await session.upload("Dermoscopic images", "lesion.jpg", sample())
            # The image joined a page that stands: nothing around it is sent again.
            assert session.shows(OWN_READ_HEADING) and not session.shows(OPEN_HEADING)
        finally:
            await session.close()

    asyncio.run(use())
