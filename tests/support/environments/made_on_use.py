"""Environments besides `.venv`, for programs whose pins differ from ours: made on first use, kept for every clone."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lesionlens" / "environments"
INSTALL_SECONDS = 900


def python_of(name: str) -> Path:
    """The interpreter of an environment in `KEPT` that holds what `requirements-<name>.txt` lists.

    Its folder is named after the list and this Python, so that clones with the same list share it. Skips the test where
    it cannot be installed, but fails it in CI.
    """
    requirements = ROOT / f"requirements-{name}.txt"
    made_of = f"{sys.version} {requirements.read_text()}"
    folder = KEPT / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
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
    if installed.exists():
        return
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    installed.touch()


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS, capture_output=True)
