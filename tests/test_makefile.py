"""`make TARGET TASK=...` runs the commands of that task on its own images and weights."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from data.tasks.known import TASKS

ROOT = Path(__file__).resolve().parents[1]
DATASETS = {key: task.dataset.folder.name for key, task in TASKS.items()}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def commands(target: str, *variables: str) -> list[str]:
    """The lines that make would run of our own modules."""
    words = ["make", "--dry-run", "--always-make", target, *variables]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "python -m model." in line]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("target", ["train", "export", "studies", "evaluate", "bench", "reproduce"])
def test_target_is_about_the_task_alone(target: str, task: str) -> None:
    lines = commands(target, f"TASK={task}")
    measured = [line for line in lines if "model.train" not in line]
    assert measured and all(f"model/weights/{task}" in line for line in measured)
    trained = [line for line in lines if "model.train" in line]
    assert bool(trained) == (target == "train")
    given = [line.split("--dataset ")[1].split()[0] for line in lines if "--dataset" in line]
    assert all(Path(folder).name == DATASETS[task] for folder in given)


def test_skin_is_the_default() -> None:
    assert commands("studies") == commands("studies", "TASK=skin")


def test_output_and_dataset_can_be_named() -> None:
    lines = commands("studies", "TASK=retina", "OUTPUT=build/mine", "DATASET=build/images", "OUTSIDE=build/cats")
    assert "--artifact build/mine --dataset build/images --outside build/cats" in lines[0]
    assert all("model/weights" not in line and "data/raw" not in line for line in lines)
