"""What the exporter tells of a network's past. The export as a whole is tested with the training it ends."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


def write_run(folder: Path, init: str, phases: list[str]) -> Path:
    from model.train import build_parser, recipe_from
    from model.training.recipe import RUN_FILE
    from model.training.run import HISTORY_FILE

    folder.mkdir()
    recipe = recipe_from(build_parser().parse_args(["--init", init, "--validation-fold", "3"]))
    (folder / RUN_FILE).write_text(json.dumps({"recipe": asdict(recipe)}))
    pd.DataFrame({"epoch": range(1, len(phases) + 1), "phase": phases}).to_csv(folder / HISTORY_FILE, index=False)
    return folder


def test_history_tells_of_the_runs_a_network_comes_from(tmp_path: Path) -> None:
    from model.training.history import history_of, lineage, write_history

    first = write_run(tmp_path / "first", "imagenet", ["head", "low resolution"])
    second = write_run(tmp_path / "second", str(first), ["full resolution"])
    third = write_run(tmp_path / "third", str(second), ["full resolution"])
    assert lineage(third) == [first, second, third]
    assert lineage(first) == [first]
    history = history_of(third)
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert list(history["phase"]) == ["head", "low resolution", "full resolution", "full resolution"]
    write_history([third], tmp_path / "history.csv")
    assert list(pd.read_csv(tmp_path / "history.csv")["fold"]) == [3] * 4
