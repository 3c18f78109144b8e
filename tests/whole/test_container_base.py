"""Making the base image of the containers, with programs that only pretend: what it leaves open, and where it fails."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.servers.container_base import ensure_base

PROGRAMS = {
    # Nothing is here and nothing can be pulled, so that the base has to be made.
    "podman": 'case "$1" in import) {importing} ;; *) exit 1 ;; esac',
    # More than a pipe holds, so that tar must be read to its end, or told to end.
    "debootstrap": 'mkdir -p "$4" && head -c 1000000 /dev/zero > "$4/system"',
    "chroot": "exit 0",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder with the programs, first on the path; the parameter is what `podman import` does."""
    for name, body in PROGRAMS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body.replace('{importing}', request.param)}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("programs", ['cat > "$(dirname "$0")/imported"'], indirect=True)
def test_first_base_is_imported_whole_and_leaves_no_pipe_open(programs: Path) -> None:
    ensure_base()
    assert (programs / "imported").stat().st_size > 1_000_000
    # An open pipe would warn here, and warnings are errors.
    gc.collect()


@pytest.mark.parametrize("programs", ["exit 3"], indirect=True)
def test_import_that_fails_is_told_and_does_not_hang(programs: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="podman"):
        ensure_base()
    gc.collect()
