"""The whole way on a made-up dataset: committed figures are confirmed, and an altered one is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from data.datasets.ham10000 import count_images_and_lesions, load_metadata
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

BRIEF = ("--backbone", "tiny", "--init", "none", "--limit", "28")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    from model.networks.backbones import BACKBONES
    from tests.support.quick_training import TINY, untraced

    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        yield


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, its counts, an artifact and a table of one model."""
    from model import reproduce
    from model.tabulate import main as tabulate
    from model.train_trees import main as grow

    root = tmp_path_factory.mktemp("committed")
    dataset = write_tiny_dataset(root / "dataset", has_masks=False)
    count_images_and_lesions(load_metadata(dataset)).to_csv(root / "counts.csv", index=False)
    list(reproduce.check_brief_training(dataset, BRIEF, root))
    told = ["--dataset", str(dataset), "--rounds", "2", "--run", str(root / "trees")]
    assert grow(told) == 0
    assert tabulate(["--run", str(root / "trees"), "--output", str(root / "models")]) == 0
    return root


def go(root: Path, *options: str) -> int:
    from model.reproduce import main

    places = {"dataset": "dataset", "counts": "counts.csv", "artifact": "artifact", "models": "models"}
    told = [word for name, place in places.items() for word in (f"--{name}", str(root / place))]
    return main([*told, *BRIEF, *options])


def test_what_is_committed_is_confirmed(committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(committed, "--output", str(tmp_path / "checks.csv")) == 0
    checks = pd.read_csv(tmp_path / "checks.csv")
    assert checks["confirmed"].all()
    assert list(checks["step"].unique()) == [
        "dataset",
        "split",
        "evaluation",
        "scoring",
        "brief training",
        "model trees",
    ]
    figures = checks.set_index(["step", "figure"])["now"]
    assert figures["dataset", "images"] == 84 and figures["dataset", "images of mel"] == 12
    predictions = pd.read_csv(committed / "artifact" / "test_predictions.csv")
    assert figures["split", "locked images among the committed ones"] == len(predictions)
    assert figures["scoring", "images scored again"] == len(predictions)
    printed = capsys.readouterr().out
    assert f"{len(checks)} of {len(checks)} figures confirmed" in printed and " NO" not in printed


def test_altered_figures_are_found(committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(committed, tmp_path / "altered"))
    _alter(root / "artifact" / "manifest.json", 0.01)
    _alter(root / "models" / "trees" / "model.json", -0.002)
    counts = pd.read_csv(root / "counts.csv")
    counts.loc[counts.index[counts["dx"] == "df"][0], "images"] += 1
    counts.to_csv(root / "counts.csv", index=False)
    assert go(root, "--no-scoring", "--output", str(tmp_path / "checks.csv")) == 1
    wrong = pd.read_csv(tmp_path / "checks.csv").query("not confirmed").set_index(["step", "figure"])["difference"]
    expected = {
        ("dataset", "images"): -1,
        ("dataset", "images of df"): -1,
        ("evaluation", "balanced accuracy"): -0.01,
        ("model trees", "balanced accuracy"): 0.002,
    }
    assert wrong.to_dict() == pytest.approx(expected)
    assert " NO" in capsys.readouterr().out


def _alter(path: Path, by: float) -> None:
    stored = json.loads(path.read_text())
    stored["metrics"]["balanced_accuracy"]["value"] += by
    path.write_text(json.dumps(stored))


def test_a_step_that_cannot_be_taken_is_said(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(committed, "--no-scoring", "--validation-fold", "0", "--init", "nowhere.npz", "--backbone", "vgg16") == 2
    assert "training ended with an error" in capsys.readouterr().err
    assert go(committed, "--dataset", "nowhere") == 2
    assert "expected HAM10000_metadata.csv" in capsys.readouterr().err
