"""Streamlit's options are ours wherever the program is started, unless somebody states others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVER = """
import json
from dashboard import server
server.app.run = lambda config: print(json.dumps(config))
server.main([])
"""
SCRIPT = """
import json
from streamlit import config
from dashboard.serving import options
options.state()
names = ("server.maxUploadSize", "client.showErrorDetails", "server.address", "theme.dark.sidebar.backgroundColor")
print(json.dumps({name: config.get_option(name) for name in names}))
"""


def said(code: str, folder: Path) -> dict[str, Any]:
    """What a program prints that is started in a folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_started_from_another_folder_the_server_has_our_options(tmp_path: Path) -> None:
    options = said(SERVER, tmp_path)
    assert (options["server.maxUploadSize"], options["client.showErrorDetails"]) == (20, "none")
    assert options["server.fileWatcherType"] == "none" and options["runner.postScriptGC"] is False
    assert options["browser.gatherUsageStats"] is False and options["theme.light.primaryColor"] == "#1f6f8b"


def test_what_somebody_states_comes_first(tmp_path: Path) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("[server]\nmaxUploadSize = 7\n")
    options = said(SERVER, tmp_path)
    assert "server.maxUploadSize" not in options
    assert options["client.showErrorDetails"] == "none"


def test_a_script_that_streamlit_runs_has_them_but_for_the_address(tmp_path: Path) -> None:
    options = said(SCRIPT, tmp_path)
    assert options == {
        "server.maxUploadSize": 20,
        "client.showErrorDetails": "none",
        "server.address": None,  # it listens everywhere, which the dashboard must know to refuse
        "theme.dark.sidebar.backgroundColor": "#1a2024",
    }


@pytest.mark.parametrize("forged", ["\x1b[2J\x1b[31mall is well", "one\nERROR: two", "\x07\x9b2J\u2028"])
def test_nothing_in_a_line_of_the_log_moves_the_cursor(forged: str, tmp_path: Path) -> None:
    code = (
        "import logging, sys; from dashboard.serving.logs import configure_logging; "
        "from dashboard.settings import Settings; configure_logging(Settings()); "
        "from streamlit.logger import get_logger; get_logger('streamlit.x').error('received %s', sys.argv[1]); "
        "logging.getLogger('dashboard').warning('received %s', sys.argv[1])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, forged]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line.count("received") for line in lines] == [1, 1]
    assert all(repr(forged)[1:-1] in line and line.isprintable() for line in lines)
