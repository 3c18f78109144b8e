"""The dashboard's log: JSON where a setting says so, one line an analysed image, and nothing that names anybody."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from dashboard.review.wording import INTENDED_USE_BUTTON
from dashboard.serving.streamlit_session import StreamlitSession
from dashboard.settings import SettingsError, read_settings
from data.tasks.skin import SKIN
from tests.support.server import ROOT, black_image, sample
from tests.support.servers.ports import free_port
from tests.support.servers.serve import PATIENCE_SECONDS, answers, wait_until

FIELDS = {
    "time", "level", "event", "request_id", "model_name", "model_version", "reason", "images", "predictions",
    "refusals", "ood_scores", "ms", "route", "status",
}  # fmt: skip
REDRAWS = 3


def test_setting_chooses_the_format() -> None:
    assert [read_settings(given).json_logs for given in ({}, {"JSON_LOGS": "1"})] == [False, True]
    with pytest.raises(SettingsError, match="JSON_LOGS: expected 0 or 1"):
        read_settings({"JSON_LOGS": "yes"})


def test_containers_of_the_dashboard_write_json() -> None:
    stages = re.split(r"^FROM \S+ AS ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert [stage.split()[0] for stage in stages if "JSON_LOGS=1" in stage] == ["dashboard-runtime"]


# --- Everybody's lines -----------------------------------------------------------------------------------------------

# Each of these writes in a way of its own where nobody stops it.
EVERYBODY = """
import logging, sys, warnings
from streamlit import config
from streamlit.error_util import handle_uncaught_app_exception
from streamlit.logger import get_logger
from uvicorn import Config
from dashboard.serving.logs import JSON_OPTIONS, configure_logging
from dashboard.settings import Settings

configure_logging(Settings(json_logs=bool(int(sys.argv[1]))))
config.get_config_options(force_reparse=True, options_from_flags=JSON_OPTIONS if int(sys.argv[1]) else {})
Config("made:up", access_log=False, use_colors=False)
logging.getLogger("dashboard.made_up").info("ours", extra={"fields": {"images": 1}})
logging.getLogger("streamlit").warning("of old")
get_logger("streamlit.made_up").warning("of a module loaded later")
logging.getLogger("uvicorn.error").error("of uvicorn")
logging.getLogger("uvicorn.error").info('192.0.2.7:1234 - "WebSocket /_stcore/stream?patient=mueller" [accepted]')
warnings.warn("of a library")
try:
    raise ValueError("mueller.jpg")
except ValueError as error:
    handle_uncaught_app_exception(error)
"""


def written(is_json: bool) -> str:
    """What a process writes in which everybody has something to say; standard error is empty where it is JSON."""
    ran = subprocess.run(
        [sys.executable, "-c", EVERYBODY, str(int(is_json))], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not (is_json and ran.stderr), ran.stderr
    return ran.stdout


def test_everybody_s_lines_are_json_and_name_nobody() -> None:
    text = written(is_json=True)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines[:4]] == ["ours", "of old", "of a module loaded later", "of uvicorn"]
    assert (lines[0]["level"], lines[0]["images"]) == ("info", 1)
    assert "of a library" in lines[4]["event"]
    assert [line["error"] for line in lines if "error" in line] == ["ValueError"]
    assert "mueller" not in text and "192.0.2.7" not in text


def test_on_a_laptop_a_line_is_text_with_its_fields() -> None:
    assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ ours images=1\n", written(is_json=False))


# --- Analysed images -------------------------------------------------------------------------------------------------


async def uploads_and_redraws(address: str) -> None:
    session = StreamlitSession(address, PATIENCE_SECONDS)
    await session.open()
    await session.click(INTENDED_USE_BUTTON)
    for content in (sample(), black_image(), b"no image"):
        await session.upload("Dermoscopic images", "mueller.jpg", content)
        for _ in range(REDRAWS):
            await session.draw()
    await session.close()


def lines_of_a_dashboard(folder: Path) -> list[dict[str, Any]]:
    """What a dashboard writes to standard output while a user uploads three images, a line each."""
    port, log = free_port(), folder / "log"
    store = {
        "DATABASE_URL": f"sqlite:///{folder}/cases.db",
        "IMAGE_STORE": str(folder / "images"),
        "CASE_KEY": "k" * 32,
        "JSON_LOGS": "1",
        "CLOUDWATCH_METRICS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.server", "--port", str(port)],
            cwd=ROOT, env=os.environ | store, stdout=output, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"), log)
        asyncio.run(uploads_and_redraws(f"http://127.0.0.1:{port}"))
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_upload_has_one_line_whatever_is_drawn_again(tmp_path: Path) -> None:
    lines = lines_of_a_dashboard(tmp_path)
    answered, dark, rejected = (line for line in lines if line["event"] == "analysis")
    metrics = {"_aws", "latency", "errors", *(f"predicted_{dx}" for dx in SKIN.codes), "ood_distance"}
    assert set(answered) == FIELDS | metrics
    assert set(dark) == FIELDS | {"_aws", "latency", "errors", "ood_distance"}
    assert set(rejected) == FIELDS | {"_aws", "latency", "errors"}
    assert (answered["predicted_mel"], answered["predicted_nv"], answered["errors"]) == (1, 0, 0)
    assert answered["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "LesionLens"
    # CloudWatch counts refusals; the reason stands beside.
    told = [(line["predictions"], line["refusals"], line["reason"]) for line in (answered, dark, rejected)]
    assert told == [({"mel": 1}, 0, None), ({}, 1, "too_dark"), ({}, 1, "not_an_image")]
    assert rejected["ood_scores"] == []
    assert len(answered["ood_scores"]) == len(dark["ood_scores"]) == 1
    assert answered["model_name"] == "skin" and answered["ms"]["total"] > 0
    assert len({uuid.UUID(line["request_id"]) for line in (answered, dark, rejected)}) == 3
    assert "mueller" not in json.dumps(lines) and "127.0.0.1" not in json.dumps(lines)
