"""The dashboard as `make run` starts it, with a case log of its own, and headless Chromium to look at it.

A test file asks for the fixtures by `pytest_plugins = ("browser_server",)`. PYTEST_DONT_REWRITE, for there is no
assertion here but one.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard import decision_wording, review_wording

ROOT = Path(__file__).resolve().parents[1]
REAL_IMAGE = ROOT.parent / "shared" / "ham10000" / "full_size_samples" / "ISIC_0024386.jpg"
SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"
PATIENCE = 60_000  # milliseconds; machines under test are slow, and nothing here measures time


# Not for the whole session: while Playwright runs, this thread has an event loop, which others want to start.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("expected Chromium for the browser tests, found none; .ci/run installs it")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        # The camera test photographs what this camera shows: a moving test picture.
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        launched = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard in a process of its own, as `make run` starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    log = folder / "log"
    kept = {
        "DATABASE_URL": f"sqlite:///{folder / 'cases.sqlite'}",
        "IMAGE_STORE": str(folder / "images"),
        "CASE_KEY": "a key for tests, thirty-two characters or more",
    }
    command = [sys.executable, "-m", "dashboard.server", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **kept}
        )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    pytest.fail(f"the server did not become healthy: {log.read_text()}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        yield opened


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, permissions=["camera"]
    ) as context:
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        yield opened


def open_review(page: Page, address: str) -> None:
    """The Review page behind its gate."""
    page.goto(address)
    page.get_by_role("button", name=review_wording.INTENDED_USE_BUTTON).click()
    expect(page.locator("[data-testid=stFileUploader]")).to_be_visible()


def choose_files(page: Page, *files: Path) -> None:
    """Give images to the uploader."""
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files([str(file) for file in files])


def read_first(page: Page, name: str = "Melanocytic nevus", certainty: str = "Sure", plan: str = "Follow-up") -> None:
    """Fill in the own read and ask for the answer, and wait for it."""
    page.locator("[data-testid=stRadio]").get_by_text(name, exact=False).click()
    for word in (certainty, plan):
        page.get_by_role("radio", name=word, exact=True).or_(page.get_by_role("button", name=word, exact=True)).click()
    page.get_by_role("button", name=decision_wording.SHOW_ANSWER).click()
    wait_for_answer(page)


def wait_for_answer(page: Page) -> None:
    """Until probabilities and viewer are drawn."""
    expect(page.get_by_role("meter")).to_have_count(9, timeout=PATIENCE)
    expect(page.locator(".viewer")).to_be_visible(timeout=PATIENCE)
