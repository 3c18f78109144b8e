"""A batch with facts on a real Ray cluster of two workers on this machine, one of which is killed in the middle."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from model.predict import main
from tests.support.artifacts import artifact_with_terms

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"
IMAGES = 24
TEST_SECONDS = 240  # other work may share the processors
# The cluster runs in a process of its own: Ray leaves threads and warnings behind. `dying_score` kills the worker it
# runs in, once, after some images of its task are done.
SCRIPT = """
import os, signal, sys
from pathlib import Path
import ray
import model.batch.cluster, model.predict
from model.batch.rows import score_in_process

flag, pids = Path(sys.argv[1]), Path(sys.argv[2])

def dying_score(artifact_folder, source, heatmap, facts):
    row = score_in_process(artifact_folder, source, heatmap, facts)
    (pids / f"{os.getpid()}-{source.stem}").touch()
    if source.stem == "10" and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return row

model.predict.score_in_process = dying_score
model.batch.cluster.TASK_IMAGES = 4
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
sys.exit(model.predict.main(sys.argv[3:]))
"""


def test_worker_that_is_killed_costs_no_row_and_doubles_none(tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        message = "needs Ray: pip install -r requirements-ray.txt"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder, flag, done, output = (tmp_path / name for name in ("in", "killed", "done", "out.csv"))
    folder.mkdir()
    done.mkdir()
    for number in range(IMAGES):
        (folder / f"{number:02}.jpg").write_bytes(SAMPLE.read_bytes())
    facts = tmp_path / "facts.csv"
    facts.write_text("image,age,site\n01.jpg,80,\n02.jpg,,back\n03.jpg,80,back\n")
    command = [
        sys.executable, "-c", SCRIPT, flag, done, folder, "--engine", "ray", "--output", output,
        "--artifact", artifact_with_terms(tmp_path / "skin"), "--facts", facts,
    ]  # fmt: skip
    environ = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=TEST_SECONDS,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert flag.exists()
    with output.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"{number:02}.jpg" for number in range(IMAGES)]
    groups = Counter(json.dumps({**row, "image": "", "runtime_ms": ""}) for row in rows)
    # All show one image; the facts of three of them differ.
    assert sorted(groups.values()) == [1, 1, 1, IMAGES - 3]
    # The image at which a worker was killed was scored by that one and by another.
    assert len({path.name.partition("-")[0] for path in done.glob("*-10")}) == 2


def test_without_ray_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    assert main([str(SAMPLE), "--engine", "ray", "--output", str(tmp_path / "out.csv")]) == 2
    assert "requirements-ray.txt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
