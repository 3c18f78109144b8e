"""Real S3 servers on this machine, as fixtures: nothing here leaves it.

`moto_url` is moto's server, which knows the API but takes any signature. `localstack_url` is LocalStack, which checks
the signature and the expiry of presigned URLs; its pins differ from ours, so it has an environment of its own, made on
first use. A test file asks for them by `pytest_plugins = ("tests.support.servers.s3_server",)`, and may import the
functions as well: PYTEST_DONT_REWRITE, for there is no assertion here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from tests.support.environments.made_on_use import python_of
from tests.support.servers.ports import free_port

START_SECONDS = 60
# The secret is what LocalStack checks signatures against. None of these opens anything outside the tests.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_FOREIGN = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    """Made-up credentials, and none of the machine's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        for name in _FOREIGN:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def moto_url(aws_credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of moto's server."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _server(command, {}, tmp_path_factory.mktemp("moto")):
        yield _when_ready(f"http://127.0.0.1:{port}", "/moto-api/")


@pytest.fixture(scope="session")
def localstack_url(aws_credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of LocalStack; skips where it cannot be installed, but fails there in CI."""
    python = python_of("localstack")
    folder = tmp_path_factory.mktemp("localstack")
    port = free_port()
    settings = {
        "SERVICES": "s3",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(folder),
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
    }
    with _server([str(python), "-m", "localstack.runtime.main"], settings, folder):
        yield _when_ready(f"http://127.0.0.1:{port}", "/_localstack/health")


def make_bucket(url: str) -> str:
    """A fresh, empty bucket on a server; its name."""
    bucket = f"lesions-{uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
    return bucket


@contextmanager
def _server(command: Sequence[str], settings: Mapping[str, str], folder: Path) -> Iterator[None]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log, cwd=folder)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _when_ready(url: str, path: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url + path, timeout=5):
                return url
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
