"""Environments besides `.venv`, for programs whose pins differ from ours: made on first use, and kept."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INSTALL_SECONDS = 900


def python_of(name: str) -> Path:
    """The interpreter of `.venv-<name>`, which holds what `requirements-<name>.txt` lists.

    Skips the test where that cannot be installed, but fails it in CI.
    """
    folder, requirements = ROOT / f".venv-{name}", ROOT / f"requirements-{name}.txt"
    folder.mkdir(exist_ok=True)
    # Several processes of the tests may want it at once: the first one makes it, the others wait.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _install(folder, requirements)
        except (OSError, subprocess.SubprocessError) as error:
            message = f"needs {folder}, which cannot be installed: {error}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
    return folder / "bin" / "python"


def _install(folder: Path, requirements: Path) -> None:
    installed = folder / "installed"
    if installed.exists() and installed.stat().st_mtime >= requirements.stat().st_mtime:
        return
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    installed.touch()


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS, capture_output=True)
