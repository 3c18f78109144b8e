"""Boosted trees on the lesions of a run: what they are shown, what they learn and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import load_metadata
from data.datasets.splits import split_by_lesion
from data.tasks.skin import SKIN
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"), has_masks=False)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A frozen network of two convolutions takes the place of MobileNetV2."""
    from model.networks.backbones import BACKBONES
    from tests.support.quick_training import TINY

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, TINY.name, TINY)
        patch.setattr("model.baselines.trees.EMBEDDER", TINY.name)
        yield


def grow(dataset: Path, run: Path, *options: str) -> int:
    from model.train_trees import main

    return main(["--dataset", str(dataset), "--run", str(run), "--rounds", "4", "--depth", "3", *options])


def test_rare_classes_count_as_much_as_a_sampler_would_draw_them() -> None:
    from model.baselines.trees import image_weights

    # 16 images of class 5, 4 of class 4, 1 of class 0. Square roots 4, 2, 1: shares 4/7, 2/7, 1/7 instead of 16/21,
    # 4/21, 1/21.
    classes = np.repeat([5, 4, 0], [16, 4, 1])
    weights = image_weights(classes, "sqrt", 7)
    np.testing.assert_allclose(weights, np.repeat([0.75, 1.5, 3.0], [16, 4, 1]))
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(image_weights(classes, "natural", 7), 1)
    np.testing.assert_allclose(image_weights(classes, "balanced", 7), np.repeat([21 / 48, 21 / 12, 7], [16, 4, 1]))


@pytest.mark.parametrize("features", ["pixels", "embeddings"])
def test_trees_answer_as_their_history_says(dataset: Path, tmp_path: Path, features: str) -> None:
    from model.baselines.trees import read_trees
    from model.training.recipe import class_indices, select_rows

    size = () if features == "pixels" else ("--height", "64", "--width", "64", "--init", "none")
    assert grow(dataset, tmp_path / "run", "--features", features, *size) == 0
    trees, history = read_trees(tmp_path / "run"), pd.read_csv(tmp_path / "run" / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3, 4] and history["loss"].is_monotonic_decreasing
    metadata = load_metadata(dataset)
    _, validation = select_rows(metadata, trees.recipe)
    assert not set(validation["image_id"]) & set(metadata["image_id"][split_by_lesion(metadata) == "test"])
    logits = trees.logits(validation, "validation")
    assert logits.shape == (len(validation), 7)
    is_right = logits.argmax(axis=1) == class_indices(validation, SKIN.codes)
    assert is_right.mean() == pytest.approx(history["val_accuracy"].iloc[-1], abs=1e-6)
    # One image at a time, as it is timed, gives the same.
    from model.training.batches import load_images

    image = load_images(dataset, [validation["image_id"].iloc[0]], trees.recipe.height, trees.recipe.width)[0]
    np.testing.assert_allclose(np.ravel(trees.answer(image)()), logits[0], rtol=1e-4, atol=1e-5)


def test_embeddings_are_the_frozen_network_s(dataset: Path, tmp_path: Path) -> None:
    from model.baselines.trees import _embedder_of, read_trees

    options = ("--features", "embeddings", "--height", "64", "--width", "64", "--init", "none")
    assert grow(dataset, tmp_path / "run", *options) == 0
    embedder = read_trees(tmp_path / "run").embedder
    assert embedder is not None
    embedding = _embedder_of(embedder, threads=1)(np.full((1, 64, 64, 3), 128, np.uint8))
    assert embedding.shape == (16,) and (embedding >= 0).all()  # the channels of its last ReLU


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--dataset", "nowhere"), "expected HAM10000_metadata.csv"),
        (("--features", "embeddings", "--height", "64", "--width", "64", "--init", "x.h5"), "x.h5"),
    ],
)
def test_what_cannot_be_grown_is_said(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.baselines.trees.EMBEDDER", "mobilenet_v2")
        assert grow(dataset, tmp_path / "run", *options) == 2
    assert expected in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_trees_are_not_written_over(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grow(dataset, tmp_path / "run", "--limit", "14") == 0
    assert grow(dataset, tmp_path / "run", "--limit", "14") == 2
    assert "already holds trees" in capsys.readouterr().err
