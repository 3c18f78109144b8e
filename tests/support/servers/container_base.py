"""A stand-in for the Dockerfile's base image, where no registry of images is reachable: Debian's own Python.

    python tests/support/servers/container_base.py

The Dockerfile names python:3.11-slim-bookworm. Where that image is neither here nor to be had, debootstrap installs
the same Debian with its Python 3.11, and podman keeps the result under that name on this machine. For tests only: it
is never pushed, and `podman rmi` removes it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

BASE = "docker.io/library/python:3.11-slim-bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
PULL_SECONDS = 300


def ensure_base() -> None:
    """The base image is on this machine, pulled or made; takes minutes where it has to be made. Needs root.

    Raises:
        subprocess.CalledProcessError: Debian's mirror cannot be reached either.
    """
    if _succeeds("podman", "image", "exists", BASE) or _succeeds("podman", "pull", "--quiet", BASE):
        return
    with tempfile.TemporaryDirectory(prefix="lesionlens-base-") as folder:
        _make(Path(folder) / "root")


def _make(root: Path) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), MIRROR)
    # The official image has its Python in /usr/local, with an installer beside it.
    _run("chroot", str(root), "python3", "-m", "venv", "/usr/local")
    archive = ["tar", "--directory", str(root), "--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists", "-c", "."]
    # The block closes our end of the pipe: open, it is a ResourceWarning later on, and tar waits for ever where podman
    # has ended early.
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as files:
        subprocess.run(
            ["podman", "import", "--quiet", "--change", 'CMD ["python3"]', "-", BASE],
            stdin=files.stdout, check=True, capture_output=True,
        )  # fmt: skip
    if files.returncode != 0:
        raise RuntimeError("expected tar to read the whole system, it did not; try again")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=PULL_SECONDS).returncode == 0


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(ensure_base())
