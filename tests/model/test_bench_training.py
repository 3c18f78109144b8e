"""The training benchmark writes what a training took and gave; how fast anything is, no test may ask."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from data.datasets.ham10000 import load_metadata
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

OPTIONS = ("--backbone", "tiny", "--init", "none", "--batch-size", "8", "--height", "64", "--width", "64")


class _InThisProcess:
    """A pool of the process that it is made in, where the quick backbone is known."""

    def __init__(self, workers: int, mp_context: object) -> None:
        self.answer: object = None

    def __enter__(self) -> _InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, action, *arguments):  # type: ignore[no-untyped-def]
        self.answer = action(*arguments)
        return self

    def result(self) -> object:
        return self.answer


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    from model.networks.backbones import BACKBONES
    from tests.support.quick_training import TINY, untraced

    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        patch.setattr("model.bench_training.ProcessPoolExecutor", _InThisProcess)
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"), has_masks=False)


def test_each_size_is_a_row_with_its_machine(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from model.bench_training import main
    from model.training.recipe import read_run, select_rows

    kept: list[tuple[pd.DataFrame, object]] = []
    monkeypatch.setattr("model.bench_training._cost", _noting(kept))
    output = tmp_path / "training.csv"
    told = ["--dataset", str(dataset), *OPTIONS, "--output", str(output)]
    assert main([*told, "--images", "14"]) == 0
    assert main([*told, "--images", "all", "--instance", "ml.c7i.4xlarge", "--price-per-hour", "0.86"]) == 0
    rows = pd.read_csv(output, keep_default_na=False)
    assert list(rows["images"]) == ["14", "all"] and list(rows["instance"]) == ["", "ml.c7i.4xlarge"]
    assert list(rows["price_per_hour"]) == ["", "0.86"]
    for (history, folder), row in zip(kept, rows.to_dict("records"), strict=True):
        recipe = read_run(folder)  # type: ignore[arg-type]
        training, validation = select_rows(load_metadata(dataset), recipe)
        assert (row["training_images"], row["validation_images"]) == (len(training), len(validation))
        assert row["validation_lesions"] == validation["lesion_id"].nunique()
        last = history.iloc[-1]
        assert (row["epochs"], row["height"], row["seconds_an_epoch"]) == (2, 64, last["seconds"])
        # Measured anew from the network that was kept: it is the one that was validated.
        assert row["balanced_accuracy"] == pytest.approx(last["val_balanced_accuracy"], abs=5e-5)
        assert row["macro_auroc"] == pytest.approx(last["val_auc"], abs=5e-5)
        assert row["balanced_accuracy_low"] <= row["balanced_accuracy"] <= row["balanced_accuracy_high"]
        assert row["images_per_second"] == pytest.approx(len(training) / max(last["seconds"], 0.1), abs=0.01)
        share = last["processor_seconds"] / max(last["seconds"], 0.1) / row["cores"]
        assert row["processor_share"] == pytest.approx(share, abs=1e-3)
        assert row["peak_memory_mb"] > 100 and row["cores"] >= 1 and "tensorflow" in row["libraries"]
    written = output.read_text()
    assert str(tmp_path) not in written and str(dataset) not in written and socket.gethostname() not in written
    assert "14 images, 64 x 64 px" in capsys.readouterr().out


def _noting(kept: list[tuple[pd.DataFrame, object]]):  # type: ignore[no-untyped-def]
    """The measurement itself, which also keeps the run: the benchmark's own is gone when it ends."""
    import shutil

    from model import bench_training

    measure = bench_training._cost

    def noted(recipe, folder, history, peak):  # type: ignore[no-untyped-def]
        copied = folder.parent.with_name(f"{folder.parent.name}_kept")
        shutil.copytree(folder, copied)
        kept.append((history, copied))
        return measure(recipe, folder, history, peak)

    return noted


def test_rows_are_added_below_those_that_are_there(tmp_path: Path) -> None:
    from model.bench_training import append

    path = tmp_path / "results" / "training.csv"
    append({"images": "200", "seconds_an_epoch": 1.5, "price_per_hour": None}, path)
    first = path.read_text().splitlines()
    append({"images": "all", "seconds_an_epoch": 2.25, "price_per_hour": 0.5}, path)
    assert path.read_text().splitlines() == [*first, "all,2.25,0.5"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--dataset", "nowhere"), "expected HAM10000_metadata.csv"),
        (("--init", "nowhere.npz"), "received nowhere.npz"),
    ],
)
def test_what_cannot_be_trained_is_said_and_writes_nothing(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: str
) -> None:
    from model.bench_training import main

    output = tmp_path / "training.csv"
    told = ["--dataset", str(dataset), "--backbone", "mobilenet_v2", "--images", "14", "--output", str(output)]
    assert main([*told, *options]) == 2
    assert expected in capsys.readouterr().err and not output.exists()
