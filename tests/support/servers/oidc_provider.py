"""The dashboard and a real OpenID Connect provider, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
from joserfc import jwk, jwt

from dashboard.settings import Settings
from model.settings import variables_of
from tests.support.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
COOKIE_SECRET = "c" * 64
CASE_KEY = "k" * 64
ROLE_CLAIM, ORGANISATION_CLAIM = "lesionlens_role", "lesionlens_organisation"
SIGN_IN = {"AUTH": "oidc", "AUTH_ROLE_CLAIM": ROLE_CLAIM, "AUTH_ORGANISATION_CLAIM": ORGANISATION_CLAIM}
USER_COOKIE = "_streamlit_user"
PATIENCE = 180.0  # seconds; machines under test are slow, and nothing here measures time


@dataclass(frozen=True)
class Provider:
    """A running provider: its address without slash at the end."""

    url: str

    def add_user(self, subject: str, **claims: object) -> str:
        """Let the provider say this of a subject; gives the subject."""
        httpx.put(f"{self.url}/users/{subject}", json=claims).raise_for_status()
        return subject


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard: its address, and the folder with its log, database and images."""

    url: str
    folder: Path

    @property
    def log(self) -> Path:
        """What the process wrote."""
        return self.folder / "log"

    @property
    def database_url(self) -> str:
        """Of its case log."""
        return f"sqlite:///{self.folder / 'cases.db'}"


@contextmanager
def running_provider(folder: Path, token_seconds: int = 3600) -> Iterator[Provider]:
    """The provider; its id tokens hold for `token_seconds`, which may be negative."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock"]
    command += ["--port", str(port), "--token-max-age", str(token_seconds)]
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / f"provider{port}.log", f"{url}/.well-known/openid-configuration"):
        yield Provider(url)


@contextmanager
def running_dashboard(folder: Path, provider: Provider, base: str = "") -> Iterator[Dashboard]:
    """The dashboard with sign-in by the provider, maybe below a base path (`/lesions`)."""
    started = _new_dashboard(folder, base)
    write_secrets(started.folder, started.url, provider)
    if base:
        (started.folder / ".streamlit" / "config.toml").write_text(f'[server]\nbaseUrlPath = "{base}"\n')
    with _serving(started, CASE_KEY=CASE_KEY, **SIGN_IN):
        yield started


def write_secrets(folder: Path, url: str, provider: Provider) -> None:
    """What Streamlit must know of the provider for a dashboard at this address, where it looks for it in a folder."""
    (folder / ".streamlit").mkdir(exist_ok=True)
    (folder / ".streamlit" / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{url}/oauth2callback"\ncookie_secret = "{COOKIE_SECRET}"\n'
        f'client_id = "lesionlens"\nclient_secret = "made up"\n'
        f'server_metadata_url = "{provider.url}/.well-known/openid-configuration"\n'
    )


@contextmanager
def running_laptop(folder: Path, **variables: str) -> Iterator[tuple[Dashboard, subprocess.Popen[bytes]]]:
    """The dashboard without sign-in, with further settings, and its process."""
    started = _new_dashboard(folder)
    with _serving(started, CASE_KEY=CASE_KEY, **variables) as process:
        yield started, process


def _new_dashboard(folder: Path, base: str = "") -> Dashboard:
    port = free_port()
    new = Dashboard(f"http://127.0.0.1:{port}{base}", folder / f"dashboard{port}")
    new.folder.mkdir(parents=True)
    return new


@contextmanager
def _serving(new: Dashboard, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    # As `make run` starts it, but from the folder that holds its secrets.
    command = [sys.executable, "-m", "dashboard.server", "--port", str(urlsplit(new.url).port)]
    store = {"DATABASE_URL": new.database_url, "IMAGE_STORE": str(new.folder / "images"), "PYTHONPATH": str(ROOT)}
    with _running(command, new.log, f"{new.url}/_stcore/health", **store, **variables) as process:
        yield process


def sign_in(client: httpx.Client, dashboard: str, subject: str, **changed: str) -> httpx.Response:
    """Walk the code flow like a browser; gives the dashboard's answer to the code, redirects not followed.

    Args:
        client: keeps the cookies.
        dashboard: its address.
        subject: who says yes on the provider's form.
        changed: parameters of the request to the provider that are altered on the way, as an attacker would.
    """
    key = jwk.OctKey.import_key(COOKIE_SECRET)
    ticket = jwt.encode({"alg": "HS256"}, {"provider": "default", "exp": int(time.time()) + 60}, key)
    asked = client.get(f"{dashboard}/auth/login", params={"provider": ticket})
    form = _altered(asked.headers["location"], changed)
    assert "sub" in re.findall(r'name="(\w+)"', client.get(form).text)
    allowed = client.post(form, data={"sub": subject})
    return client.get(allowed.headers["location"])


def _altered(url: str, changed: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    parameters = {name: values[0] for name, values in parse_qs(parts.query).items()} | dict(changed)
    return urlunsplit(parts._replace(query=urlencode(parameters)))


@contextmanager
def _running(command: list[str], log: Path, health: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    settings = variables_of(Settings)
    environment = {name: value for name, value in os.environ.items() if name not in settings} | variables
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(process, log, health)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _wait_until_healthy(process: subprocess.Popen[bytes], log: Path, url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer: {log.read_text()}")
