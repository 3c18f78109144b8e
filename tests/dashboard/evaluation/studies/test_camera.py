"""What the camera gives away is said of a model that crops to its field, and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.evaluation.studies.camera import HEADING, camera_found
from data.tasks.known import TASKS
from data.tasks.task import Task
from model.inference.artifact import load_artifact, write_section
from tests.support.dashboard import environment, made_up_estimate, run_page, shown_text, write_artifact

INPUT = {"height": 192, "width": 256, "crop": "band"}


def clue(key: str, kappa: float | None, auroc: float) -> dict[str, object]:
    measured = {"balanced_accuracy": made_up_estimate(0.3), "positive_auroc": made_up_estimate(auroc, 0.02)}
    return {
        "key": key,
        "images": 40,
        "weighted_kappa": None if kappa is None else made_up_estimate(kappa, 0.02),
        **measured,
    }


def section(task: Task) -> dict[str, object]:
    told = {"field": (0.7, 0.9), "file_size": (0.2, 0.6), "circle": (0.65, 0.88), "band": (0.1, 0.52)}
    clues = [clue(key, kappa if task.is_ordinal else None, auroc) for key, (kappa, auroc) in told.items()]
    networks = [clue("whole", 0.8 if task.is_ordinal else None, 0.95) | {"images": 12}]
    return {"images": 40, "lesions": 40, "crop": "band", "clues": clues, "networks": networks}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_sentence_has_the_field_and_what_the_model_s_own_crop_leaves(tmp_path: Path, task: Task) -> None:
    folder = write_artifact(tmp_path, task=task)
    write_section(folder, "input", INPUT)
    text = camera_found(load_artifact(folder), section(task))
    before, after, size = text.split(" From ")
    assert "90 % (88 to 92 %)" in before or "0.90 (0.88 to 0.92)" in before
    assert "0.52" in after or "52 %" in after
    assert "0.60" in size or "60 %" in size
    assert "The networks themselves, out of fold: where the whole field is seen" in size and "n = 12" in size
    assert ("Weighted kappa" in text) == task.is_ordinal and f"{task.words.images} out of fold, n = 40" in before


def test_page_says_it_of_a_cropping_model_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "retina", task=TASKS["retina"])
    with environment(monkeypatch, MODEL_DIR=folder):
        assert HEADING not in [one.value for one in run_page("evaluation", section="robustness").header]
    write_section(folder, "input", INPUT)
    with environment(monkeypatch, MODEL_DIR=folder):
        assert "model.studies.shortcut" in shown_text(run_page("evaluation", section="robustness"))
    write_section(folder, "shortcut", section(TASKS["retina"]))
    with environment(monkeypatch, MODEL_DIR=folder):
        page = run_page("evaluation", section="robustness")
    assert not page.exception and HEADING in [one.value for one in page.header]
    assert "From where the field lies in the file: Weighted kappa 0.70" in shown_text(page)
