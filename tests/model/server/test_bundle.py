"""The folder for Lambda: what serving reads, what it needs installed, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.tasks.known import TASKS
from model.inference.artifact import DEFAULT_ARTIFACT, SERVING_FILES, ArtifactMismatch, load_artifact
from model.server import bundle
from model.server.bundle import MAX_BYTES, build, copy_artifact, copy_code, main, remove_unused, size_of
from tests.support.dashboard import write_artifact
from tests.support.server import ROOT

# What Lambda does: its folder alone on the path, an event, an answer.
CALL = """
import base64, json, sys
sys.path.insert(0, sys.argv[1])
from model.server.aws_lambda import handler
http = {"method": "POST", "path": "/v1/predict", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": ""}
event = {"version": "2.0", "rawPath": "/v1/predict", "rawQueryString": "", "headers": {"content-type": "image/jpeg"},
         "requestContext": {"http": http, "stage": "$default"}, "isBase64Encoded": True,
         "body": base64.b64encode(open(sys.argv[2], "rb").read()).decode()}
response = handler(event, None)
assert response["statusCode"] == 200, response
assert json.loads(response["body"])["prediction"] == "mel"
assert all(module.__file__.startswith(sys.argv[1]) for name, module in sys.modules.items() if name.startswith("model."))
"""


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(";")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {package.partition("[")[0].strip().lower(): version.strip() for package, version in pairs}


def test_shared_pins_are_the_dashboard_s() -> None:
    api, dashboard = pins("requirements-api.txt"), pins("requirements.txt")
    shared = api.keys() & dashboard.keys()
    assert shared >= {"numpy", "pillow", "ai-edge-litert", "pydicom"}
    assert {name: api[name] for name in shared} == {name: dashboard[name] for name in shared}


def test_no_heavy_package_is_required() -> None:
    assert not pins("requirements-api.txt").keys() & {"tensorflow", "keras", "pandas", "scipy", "streamlit", "boto3"}


def test_artifact_is_copied_without_what_serving_does_not_read(tmp_path: Path) -> None:
    copy_artifact(DEFAULT_ARTIFACT, tmp_path / "skin")
    assert {path.name for path in (tmp_path / "skin").iterdir()} == {"manifest.json", *SERVING_FILES}
    original, copied = load_artifact(DEFAULT_ARTIFACT), load_artifact(tmp_path / "skin")
    assert copied.weights_sha256 == original.weights_sha256
    assert {**copied.manifest, "files": None} == {**original.manifest, "files": None}


def test_code_is_copied_without_pages_and_tests(tmp_path: Path) -> None:
    copy_code(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "data"}
    assert (tmp_path / "model" / "server" / "aws_lambda.py").is_file()


def test_unused_parts_are_removed(tmp_path: Path) -> None:
    for name in ("numpy/tests/test_a.py", "numpy/core.py", "numpy/core.pyi", "bin/uvicorn", "ai_edge_litert/tools/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    remove_unused(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["core.py"]
    assert size_of(tmp_path) == 5


def test_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["--output", str(tmp_path)]) == 2
    assert "expected a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_bad_artifact_is_not_bundled(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatch):
        build(tmp_path / "bundle", tmp_path)
    assert main(["--output", str(tmp_path / "bundle"), "--artifact", str(tmp_path)]) == 2


@pytest.mark.parametrize("task", TASKS)
def test_bundle_carries_the_model_of_one_task(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "install", lambda target: None)
    folder = write_artifact(tmp_path / task, task=TASKS[task], name=task)
    assert main(["--output", str(tmp_path / "bundle"), "--artifact", str(folder)]) == 0
    assert [path.name for path in (tmp_path / "bundle/model/weights").iterdir()] == [task]
    assert load_artifact(tmp_path / "bundle/model/weights" / task).task == TASKS[task]


@pytest.mark.skipif("CI" not in os.environ, reason="installs from the package index, half a minute; set CI=1")
def test_bundle_is_small_and_answers_on_its_own(tmp_path: Path) -> None:
    assert build(tmp_path / "bundle", DEFAULT_ARTIFACT) <= MAX_BYTES
    subprocess.run(
        # Isolated, and without the packages installed here.
        [sys.executable, "-I", "-S", "-c", CALL, tmp_path / "bundle", ROOT / "data" / "sample" / "synthetic_mel_1.jpg"],
        env={"ALLOW_ANONYMOUS": "1"},
        check=True,
    )
    assert json.loads((tmp_path / "bundle/model/weights/skin/manifest.json").read_text())["name"] == "skin"
