"""Both images, built and run for real: user, read-only root, health, websocket, upload, memory limit, SIGTERM."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from data.tasks.known import DEFAULT_TASK, TASKS
from model.inference.artifact import WEIGHTS
from tests.support.server import ROOT, half_sent, sample, wait_until_held
from tests.support.servers.container_base import ensure_base
from tests.support.servers.ports import free_port
from tests.support.session import reaches_own_read

pytestmark = pytest.mark.container

PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
PATIENCE_SECONDS = 120  # other work may share the processors
# What pip needs on this machine to reach a package index; mounted while it runs, so that nothing stays in the image.
PIP_FILES = ("/etc/ssl/certs", "/etc/pip.conf", "/root/.config/pip", "/opt/pypi", "/opt/pypi-more", "/opt/wheels")
# crun fails where cgroups v1 and v2 are mixed, and podman's own limits may be more than is permitted here.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


@dataclass(frozen=True)
class Podman:
    """podman with our configuration."""

    configuration: Path

    def run(self, *arguments: str, is_checked: bool = True) -> subprocess.CompletedProcess[str]:
        """Its answer; stdout and stderr together."""
        return subprocess.run(
            ["podman", *arguments],
            env=os.environ | {"CONTAINERS_CONF": str(self.configuration)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=is_checked,
        )  # fmt: skip


@dataclass(frozen=True)
class Container:
    """A running container and where it answers."""

    podman: Podman
    name: str
    address: str

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        return self.podman.run("exec", self.name, *command, is_checked=False)

    def log(self) -> str:
        return self.podman.run("logs", self.name).stdout

    def state(self, what: str) -> str:
        return self.podman.run("inspect", "--format", f"{{{{.{what}}}}}", self.name).stdout.strip()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.state("State.Running") == "true":
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)
        return int(self.state("State.ExitCode"))

    def wait_until_healthy(self) -> None:
        """Until the image's own health check, run inside, says so."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.podman.run("healthcheck", "run", self.name, is_checked=False).returncode != 0:
            assert time.monotonic() < until and self.state("State.Running") == "true", self.log()
            time.sleep(0.3)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    missing = [program for program in PROGRAMS if shutil.which(program, path="/usr/bin:/usr/sbin") is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (apt-get install)")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make the base image")
    configuration = tmp_path_factory.mktemp("podman") / "containers.conf"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    try:
        ensure_base()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs a registry or Debian's mirror for the base image: {error}")
    return Podman(configuration)


def built(podman: Podman, target: str, task: str = DEFAULT_TASK) -> str:
    """The image of a target, built now; layers that have not changed are kept from the last time."""
    name = f"localhost/lesionlens-test:{target}-{task}"
    mounts = [f"--volume={path}:{path}:ro" for path in PIP_FILES if Path(path).exists()]
    subprocess.run(
        [
            "buildah", "bud", "--quiet", "--isolation=chroot", "--format=docker", "--layers", "--pull-never",
            *mounts, f"--build-arg=TASK={task}", f"--target={target}", f"--tag={name}", ".",
        ],
        cwd=ROOT, env=os.environ | {"CONTAINERS_CONF": str(podman.configuration)}, check=True,
    )  # fmt: skip
    return name


@pytest.fixture(scope="module")
def api(podman: Podman) -> str:
    return built(podman, "api")


@pytest.fixture(scope="module")
def dashboard(podman: Podman) -> str:
    return built(podman, "dashboard")


@pytest.fixture(scope="module")
def slim(podman: Podman) -> str:
    return built(podman, "dashboard-slim")


@contextmanager
def running(podman: Podman, image: str, *options: str, command: str | None = None) -> Iterator[Container]:
    """A container as a careful host runs it: read-only root, no capabilities, limits; healthy."""
    port = free_port()
    name = f"lesionlens-test-{port}"
    # The host's network, so that no bridge has to be made.
    limits = ("--memory=1g", "--pids-limit=256", "--network=host", "--cap-drop=all", "--security-opt=no-new-privileges")
    places = ("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,mode=1777")
    variables = (f"--env=PORT={port}", "--env=ALLOW_ANONYMOUS=1")
    arguments = [*limits, *places, *variables, *options, image, *([command] if command else [])]
    podman.run("run", "--detach", f"--name={name}", *arguments)
    container = Container(podman, name, f"http://127.0.0.1:{port}")
    try:
        container.wait_until_healthy()
        yield container
    finally:
        podman.run("rm", "--force", "--volumes", "--time=0", name)


def assert_confined(container: Container) -> None:
    """Nobody's user, nothing to write to but the scratch folder, no installer."""
    assert container.execute("id", "-u").stdout.strip() == "10001"
    assert container.execute("touch", "/tmp/scratch").returncode == 0
    refused = container.execute("touch", "/app/model/new")
    assert refused.returncode != 0 and "Read-only file system" in refused.stdout
    assert container.execute("python", "-m", "pip").returncode != 0


def test_api_answers_from_a_read_only_root(podman: Podman, api: str) -> None:
    with running(podman, api) as container:
        assert_confined(container)
        assert httpx.get(f"{container.address}/readyz").json()["name"] == "skin"
        answer = httpx.post(
            f"{container.address}/v1/predict", content=sample(), headers={"content-type": "image/jpeg"}, timeout=60
        )
        assert answer.json()["prediction"] == "mel"
        assert container.execute("python", "-c", "import tensorflow").returncode != 0


@pytest.mark.parametrize("task", [task for task in TASKS if (WEIGHTS / task).is_dir()])
def test_api_carries_the_model_of_its_task_alone(podman: Podman, task: str) -> None:
    with running(podman, built(podman, "api", task)) as container:
        assert httpx.get(f"{container.address}/readyz").json()["name"] == task
        assert container.execute("ls", "model/weights").stdout.split() == [task]


def test_api_finishes_what_runs_when_it_is_told_to_end(podman: Podman, api: str) -> None:
    content = sample()
    with running(podman, api) as container:
        connection = half_sent(container.address, content)
        wait_until_held(container.address)
        podman.run("kill", "--signal=TERM", container.name)
        connection.sendall(content[1000:])
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        connection.close()
        assert received.startswith(b"HTTP/1.1 200")
        assert container.wait() == 0


def test_api_starts_as_sagemaker_starts_it(podman: Podman, api: str) -> None:
    with running(podman, api, command="serve") as container:
        assert httpx.get(f"{container.address}/ping").status_code == 200


def test_memory_limit_ends_the_container_and_not_the_host(podman: Podman, api: str) -> None:
    greedy = ["python", "-c", "b'x' * 500_000_000"]
    ended = podman.run("run", "--rm", "--network=host", "--memory=200m", api, *greedy, is_checked=False)
    assert ended.returncode == 128 + signal.SIGKILL, ended.stdout


@pytest.mark.parametrize(("target", "advice"), [("api", "API_TOKENS"), ("dashboard", "AUTH")])
def test_nobody_is_let_in_without_a_setting_that_says_so(
    podman: Podman, target: str, advice: str, request: pytest.FixtureRequest
) -> None:
    ended = podman.run("run", "--rm", "--network=host", request.getfixturevalue(target), is_checked=False)
    assert ended.returncode == 2
    assert advice in ended.stdout and "Traceback" not in ended.stdout


def test_slim_dashboard_has_no_tensorflow_and_knows_it(podman: Podman, slim: str) -> None:
    code = (
        "import importlib.util as i; from model.explain.keras_worker import is_installed; "
        "print(is_installed(), *map(i.find_spec, ('tensorflow', 'keras', 'tf_keras_vis')))"
    )
    said = podman.run("run", "--rm", "--network=host", slim, "python", "-c", code).stdout
    assert said.split()[-4:] == ["False", "None", "None", "None"]
    # Bytes of all layers, unpacked; 2.3 GB with TensorFlow.
    assert int(podman.run("image", "inspect", "--format", "{{.Size}}", slim).stdout) < 1_300_000_000


@pytest.mark.parametrize("target", ["dashboard", "slim"])
def test_dashboard_takes_an_upload_and_ends(podman: Podman, target: str, request: pytest.FixtureRequest) -> None:
    with running(podman, request.getfixturevalue(target), "--volume=/app/data/local") as container:
        assert_confined(container)
        assert httpx.get(f"{container.address}/healthz", timeout=60).json() == {"model": "ok", "case log": "ok"}
        assert asyncio.run(reaches_own_read(container.address, PATIENCE_SECONDS))
        podman.run("kill", "--signal=TERM", container.name)
        assert container.wait() == 0
        log = container.log()
        assert "Traceback" not in log and '"level": "error"' not in log
