"""The Lambda bundle in AWS's runtime interface emulator, on this machine, with the Python that runs the tests.

    python -m tests.support.servers.lambda_emulator --task retina     # prints where it listens, until it is interrupted

A test file asks for `invoke` by `pytest_plugins = ("tests.support.servers.lambda_emulator",)`. PYTEST_DONT_REWRITE,
for there is no assertion here.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from model.arguments import add_artifact
from model.inference.artifact import DEFAULT_ARTIFACT
from model.server.bundle import build
from tests.support.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "requirements-lambda-emulator.txt"
SAM = "aws-sam-cli==1.170.0"
EMULATOR = "samcli/local/rapid/aws-lambda-rie-x86_64"
SETTINGS = {"ALLOW_ANONYMOUS": "1", "API_WORKERS": "1", "API_RATE_PER_MINUTE": "0", "AWS_LAMBDA_FUNCTION_TIMEOUT": "29"}
# Lambda's start: the bundle first, then the runtime, and nothing that is installed here.
START = (
    "import sys; sys.path[:0] = sys.argv[1:]; from awslambdaric.__main__ import main; "
    "main(['', 'model.server.aws_lambda.handler'])"
)

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def invoke(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Invoke]:
    """Sends an event to the function; skips where the emulator cannot be had, but fails there in CI."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("needs Linux on x86_64")
    folder = tmp_path_factory.mktemp("lambda")
    try:
        _prepare(folder, DEFAULT_ARTIFACT)
    except (OSError, subprocess.SubprocessError) as error:
        message = f"needs the Lambda emulator and the bundle's packages, which cannot be installed: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with _running(folder, DEFAULT_ARTIFACT) as url:
        yield lambda event: _invoke(url, event)


def _prepare(folder: Path, artifact: Path) -> None:
    _fetch(folder)
    build(folder / "bundle", artifact)


@contextmanager
def _running(folder: Path, artifact: Path) -> Iterator[str]:
    """Where the function is invoked; it starts at the first event."""
    port = free_port()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    python = [sys.executable, "-I", "-S", "-c", START, str(folder / "bundle"), str(folder / "runtime")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(folder / EMULATOR), *addresses, *python],
            cwd=folder / "bundle",
            env=SETTINGS | {"MODEL_DIR": f"model/weights/{artifact.name}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        finally:
            # With the function's process; there is nothing to end gently.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)


def _fetch(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheels = ["--quiet", "--only-binary", ":all:", "--no-deps"]
    for command in (
        ["download", *wheels, "--dest", str(folder), SAM],
        ["install", *wheels, "--target", str(folder / "runtime"), "--requirement", str(REQUIREMENTS)],
    ):
        subprocess.run([*pip, *command], check=True, timeout=300, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("aws_sam_cli-*.whl"))) as wheel:
        Path(wheel.extract(EMULATOR, folder)).chmod(0o755)


def _invoke(url: str, event: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        try:
            return json.loads(httpx.post(url, json=event, timeout=60).content)
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    add_artifact(parser)
    artifact = parser.parse_args().artifact
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name), artifact)
        with _running(Path(name), artifact) as url, suppress(KeyboardInterrupt):
            print(url, flush=True)
            signal.pause()


if __name__ == "__main__":
    main()
