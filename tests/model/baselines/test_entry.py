"""A finished run as a row of the table of models: every figure is that of the predictions beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import load_metadata
from data.datasets.splits import split_by_lesion
from data.tasks.skin import SKIN
from data.tasks.task import Task, asked_alone
from model.evaluation.model_table import ResultsError, read_row, read_table
from model.evaluation.predictions import cohort_of, load_predictions
from model.evaluation.results import evaluate
from model.measures.shares import BinaryThresholds
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

NETWORK = ("--backbone", "tiny", "--init", "none", "--no-lesion-branch", "--batch-size", "8", "--limit", "32")
NETWORK += ("--height", "64", "--width", "64", "--low-resolution", "1", "--head-epochs", "0")
NETWORK += ("--low-resolution-epochs", "2", "--middle-resolution-epochs", "0", "--full-resolution-epochs", "0")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"), has_masks=False)


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network of seven classes, one of the question alone, and trees."""
    from model.networks.backbones import BACKBONES
    from model.train import main as train
    from model.train_trees import main as grow
    from tests.support.quick_training import TINY, untraced

    folder = tmp_path_factory.mktemp("runs")
    told = ["--dataset", str(dataset), "--run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, TINY.name, TINY)
        with untraced():
            assert train([*told, str(folder / "network"), *NETWORK]) == 0
            assert train([*told, str(folder / "question"), *NETWORK, "--question-alone"]) == 0
        assert grow([*told, str(folder / "trees"), "--rounds", "3", "--depth", "3"]) == 0
        yield folder


@pytest.fixture(scope="module")
def table(dataset: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from model.tabulate import main

    folder = tmp_path_factory.mktemp("results") / "models"
    assert (
        main(["--run", *(str(runs / name) for name in ("network", "question", "trees")), "--output", str(folder)]) == 0
    )
    return folder


@pytest.mark.parametrize(
    ("name", "task"),
    [("network", SKIN), ("question", asked_alone(SKIN)), ("trees", SKIN)],
    ids=lambda value: str(value)[:9],
)
def test_figures_are_those_of_the_locked_predictions(
    dataset: Path, runs: Path, table: Path, name: str, task: Task
) -> None:
    stored = json.loads((table / name / "model.json").read_text())
    predictions = load_predictions(table / name / "test_predictions.csv", task)
    metadata = load_metadata(dataset)
    assert set(predictions["image_id"]) == set(metadata["image_id"][split_by_lesion(metadata) == "test"])
    cohort, row = cohort_of(predictions, task), read_row(table / name)
    again = evaluate(cohort)
    for measure in ("balanced_accuracy", "macro_auroc", "positive_auroc"):
        np.testing.assert_allclose(
            list(vars(getattr(row, measure)).values()), list(vars(getattr(again, measure)).values())
        )
    assert (row.classes, row.images, row.lesions) == (len(task.codes), again.images, again.lesions)
    thresholds = BinaryThresholds(cohort.is_positive, cohort.p_positive, cohort.lesion_ids)
    assert [point.target_sensitivity for point in row.points] == [0.95, 0.90]
    for point in row.points:
        measured = thresholds.at(point.threshold)
        assert (point.sensitivity.value, point.specificity.value) == pytest.approx(
            (measured.sensitivity.value, measured.specificity.value)
        )
        assert point.sensitivity.n == cohort.is_positive.sum()
    history = pd.read_csv(runs / name / "history.csv")
    pd.testing.assert_frame_equal(pd.read_csv(table / name / "history.csv"), history)
    assert row.epochs == len(history)
    assert row.minutes == pytest.approx(history["seconds"].sum() / 60, abs=0.0051)  # stated to a hundredth
    assert row.milliseconds > 0 and stored["milliseconds"]["low"] <= row.milliseconds
    written = (table / name / "model.json").read_text()
    assert str(dataset.parent) not in written and str(runs) not in written


def test_thresholds_are_chosen_where_nothing_was_trained_or_locked(dataset: Path, runs: Path, table: Path) -> None:
    from model.baselines.entry import open_run
    from model.inference.calibration import Calibration
    from model.measures.metrics import positive_probability, threshold_for_sensitivity
    from model.training.recipe import select_rows

    stored = json.loads((table / "trees" / "model.json").read_text())
    finished = open_run(runs / "trees", runs)
    _, held_out = select_rows(load_metadata(dataset), finished.recipe)
    calibration = Calibration(**{**stored["calibration"], "offsets": tuple(stored["calibration"]["offsets"])})
    probabilities = calibration.probabilities(finished.logits(held_out, "again")).round(7)
    is_malignant = held_out["dx"].isin(SKIN.question.positives).to_numpy()
    for point in stored["operating_points"]:
        score = positive_probability(probabilities, SKIN.positives)
        chosen = threshold_for_sensitivity(is_malignant, score, point["target_sensitivity"])
        assert point["threshold"] == pytest.approx(chosen, abs=1e-6)
    assert stored["chosen_on"]["images"] == len(held_out)


def test_size_and_parameters_are_those_of_the_files(runs: Path, table: Path) -> None:
    from model.baselines.trees import read_trees

    trees, network = read_row(table / "trees"), read_row(table / "network")
    assert (trees.counted, trees.kind) == ("nodes", "xgboost on pixels")
    # A node is a line of xgboost's own text.
    dumped = read_trees(runs / "trees").booster.get_dump()
    assert trees.parameters == sum(len(tree.strip().splitlines()) for tree in dumped) and len(dumped) == 3 * 7
    assert trees.file_bytes == (runs / "trees" / "trees.ubj").stat().st_size
    # 5 x 5 convolutions of 8 and 16 channels with batch norm, and the dense layer.
    assert network.parameters == 5 * 5 * 3 * 8 + 5 * 5 * 8 * 16 + 16 * 7 + 7 + folded(8) + folded(16)
    assert network.file_bytes == (table / "network" / "network.tflite").stat().st_size  # below 3 MB: kept


def folded(channels: int) -> int:
    """What is left of a batch norm that was folded into its convolution: a bias a channel."""
    return channels


def test_table_is_sorted_and_a_damaged_row_is_named(table: Path, tmp_path: Path) -> None:
    rows = read_table(table)
    assert {row.name for row in rows} == {"network", "question", "trees"}
    areas = [row.positive_auroc.value for row in rows]
    assert areas == sorted(areas, reverse=True)
    assert read_table(tmp_path / "nowhere") == ()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text('{"name": "broken"}')
    with pytest.raises(ResultsError, match=r"model.json: expected what model.tabulate writes.*metrics"):
        read_table(tmp_path)


def test_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from model.tabulate import main

    assert main(["--run", str(tmp_path), "--output", str(tmp_path / "models")]) == 2
    assert "expected run.json of model.train" in capsys.readouterr().err and not (tmp_path / "models").exists()


def test_recipe_in_the_table_is_the_run_s(runs: Path, table: Path) -> None:
    from model.training.recipe import read_run

    stored = json.loads((table / "network" / "model.json").read_text())["recipe"]
    recipe = json.loads(json.dumps(asdict(read_run(runs / "network"))))
    assert {name for name, value in recipe.items() if stored[name] != value} == {"dataset"}
