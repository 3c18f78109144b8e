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


def test_history_begins_with_that_of_the_artifact_s_network(tmp_path: Path) -> None:
    from model.training.history import epochs_by_phase, history_of

    artifact = tmp_path / "artifact"
    artifact.mkdir()
    rows = {"epoch": [1, 1, 2], "phase": ["head", "head", "full resolution"], "fold": [2, 3, 3]}
    pd.DataFrame(rows).to_csv(artifact / "history.csv", index=False)
    run = write_run(tmp_path / "run", str(artifact), ["full resolution"])
    assert list(history_of(run)["phase"]) == ["head", "full resolution", "full resolution"]
    assert epochs_by_phase(run) == {"head": 1, "full resolution": 2}


def test_artifact_that_runs_went_on_from_is_not_written_over(tmp_path: Path) -> None:
    from model.training.export.artifact_writer import export
    from model.training.recipe import RunMismatch
    from tests.support.tiny_dataset import write_tiny_dataset

    artifact = tmp_path / "artifact"
    artifact.mkdir()
    run = write_run(tmp_path / "run", str(artifact), ["full resolution"])
    with pytest.raises(RunMismatch, match="give another --output"):
        export([run], artifact, "skin", "1", write_tiny_dataset(tmp_path / "dataset"), None)
    assert list(artifact.iterdir()) == []


def test_mean_with_the_earlier_network_by_hand() -> None:
    import keras
    import numpy as np

    from model.training.averaging import average_with

    def network(weight: float, bias: float) -> keras.Model:
        built = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        built.set_weights([np.array([[weight]]), np.array([bias])])
        return built

    trained, earlier = network(4.0, 0.0), network(0.0, 8.0)
    average_with(trained, earlier, 0.25)
    assert [float(weight.squeeze()) for weight in trained.get_weights()] == [3.0, 2.0]
    assert [float(weight.squeeze()) for weight in earlier.get_weights()] == [0.0, 8.0]


def test_share_of_no_earlier_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from model.train import main

    assert main(["--init", "none", "--init-share", "0.5", "--run", str(tmp_path / "run")]) == 2
    assert "an earlier run or an artifact to keep a share of, received init none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
