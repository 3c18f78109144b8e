"""Training jobs of SageMaker and Vertex AI, in folders laid out as those services do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from model.training.cloud import Places, hyperparameters, places_of
from model.training.environment import _cpu, environment_of, instance_of
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

OPTIONS = {
    "backbone": "tiny",
    "init": "none",
    "limit": "14",
    "batch-size": "7",
    "height": "64",
    "width": "64",
    "head-epochs": "0",
    "low-resolution-epochs": "2",
    "middle-resolution-epochs": "0",
    "full-resolution-epochs": "0",
}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    from model.networks.backbones import BACKBONES
    from tests.support.quick_training import TINY, untraced

    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        yield


def start(root: Path, variables: Mapping[str, str], *words: str) -> int:
    """`model.train` on a machine whose file system begins at `root`."""
    from model.train import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.train.places_of", lambda _: places_of(variables, root))
        patch.setattr("model.train.hyperparameters", partial(hyperparameters, root))
        return main(list(words))


def test_sagemaker_job_reads_its_channel_and_leaves_its_model(tmp_path: Path) -> None:
    ml = tmp_path / "opt" / "ml"
    write_tiny_dataset(ml / "input" / "data" / "training", has_masks=False)
    (ml / "input" / "config").mkdir()
    # SageMaker writes every value as text; its own toolkit adds names of its own.
    given = {**OPTIONS, "no-lesion-branch": "", "sagemaker_region": "eu-central-1"}
    (ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(given))
    # Without the toolkit's variables, by the folders alone; `train` is what a container is started with.
    assert start(tmp_path, {}, "train") == 0
    assert {path.name for path in (ml / "model").iterdir()} == {"network.keras", "history.csv", "run.json"}
    assert len(pd.read_csv(ml / "model" / "history.csv")) == 2
    assert list((ml / "checkpoints").glob("checkpoint-*.keras"))
    # An interrupted job is started anew with its checkpoints put back, and goes on.
    shutil.rmtree(ml / "model")
    assert start(tmp_path, {}, "train") == 0
    assert (ml / "model" / "network.keras").is_file()


def test_sagemaker_s_variables_go_before_its_folders(tmp_path: Path) -> None:
    variables = {"SM_CHANNEL_TRAINING": "/data/channel", "SM_MODEL_DIR": "/data/model"}
    places = places_of(variables, tmp_path)
    assert places == Places(Path("/data/channel"), tmp_path / "opt/ml/checkpoints", Path("/data/model"))


def test_vertex_job_reads_and_writes_its_buckets(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "gcs" / "clinic" / "ham10000", has_masks=False)
    variables = {
        "AIP_TRAINING_DATA_URI": "gs://clinic/ham10000",
        "AIP_MODEL_DIR": "gs://clinic/jobs/7/model/",
        "AIP_CHECKPOINT_DIR": "gs://clinic/jobs/7/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": "gs://clinic/jobs/7/logs/",
    }
    words = [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
    assert start(tmp_path, variables, *words) == 0
    job = tmp_path / "gcs" / "clinic" / "jobs" / "7"
    assert {path.name for path in (job / "model").iterdir()} == {"network.keras", "history.csv", "run.json"}
    assert list((job / "checkpoints").glob("checkpoint-*.keras"))
    history = pd.read_csv(job / "model" / "history.csv")
    assert logged(job / "logs" / "train", "epoch_loss") == pytest.approx(list(history["loss"]))
    assert logged(job / "logs" / "validation", "epoch_auc") == pytest.approx(list(history["val_auc"]))


def logged(folder: Path, name: str) -> list[float]:
    """The values of a scalar in TensorBoard's logs, by step from 0."""
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    values: dict[int, float] = {}
    for file in sorted(folder.iterdir()):
        events = EventAccumulator(str(file), size_guidance={TENSORS: 0}).Reload()
        if name in events.Tags()["tensors"]:
            values |= {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
    assert sorted(values) == list(range(len(values)))
    return [values[step] for step in sorted(values)]


def test_a_machine_of_one_s_own_has_no_such_places(tmp_path: Path) -> None:
    assert places_of({}, tmp_path) == Places() and hyperparameters(tmp_path) == []
    assert instance_of({}, tmp_path) == ""


def test_logs_without_the_package_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("model.train.find_spec", lambda name: None)
    assert start(tmp_path, {}, "--tensorboard", str(tmp_path / "logs")) == 2
    assert "requirements-training.txt" in capsys.readouterr().err


def test_instance_is_what_sagemaker_says(tmp_path: Path) -> None:
    config = tmp_path / "opt" / "ml" / "input" / "config"
    config.mkdir(parents=True)
    (config / "resourceconfig.json").write_text(json.dumps({"current_instance_type": "ml.m5.xlarge"}))
    assert instance_of({}, tmp_path) == "ml.m5.xlarge"
    assert instance_of({"SM_CURRENT_INSTANCE_TYPE": "ml.g5.xlarge"}, tmp_path) == "ml.g5.xlarge"


def test_environment_names_machine_and_libraries() -> None:
    text = "processor\t: 0\nmodel name\t: Made-up 3000\nprocessor\t: 1\nmodel name\t: Made-up 3000\n"
    assert _cpu(text) == "Made-up 3000" and _cpu("Hardware: none") == ""
    found = environment_of("ml.m5.xlarge")
    assert found.cpu and found.cores >= 1 and found.instance == "ml.m5.xlarge"
    assert found.libraries.startswith("Python 3.") and "keras 3." in found.libraries
