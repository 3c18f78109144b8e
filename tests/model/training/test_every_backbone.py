"""Every backbone from training to the file that is served, with the lesion branch and without."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from model.inference.artifact import load_artifact
from model.inference.runtimes import LiteRTClassifier
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

HEIGHT, WIDTH = 96, 128
NAMES = (
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "inception_v3",
    "vgg16",
    "densenet121",
    "xception_small",
)
needs_time = pytest.mark.skipif(
    os.environ.get("EVERY_BACKBONE") != "1", reason="the other half of the pairs; set EVERY_BACKBONE=1"
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"))


def test_each_backbone_is_tried_here() -> None:
    from model.networks.backbones import BACKBONES

    assert set(BACKBONES) == set(NAMES)


# Each backbone always, every second one with the branch; the other pairs on request.
CASES = [
    pytest.param(
        name,
        has_branch,
        marks=() if has_branch == bool(number % 2) else needs_time,
        id=f"{name}-{'lesion' if has_branch else 'plain'}",
    )
    for number, name in enumerate(NAMES)
    for has_branch in (True, False)
]


@pytest.mark.parametrize(("name", "has_branch"), CASES)
def test_backbone_is_trained_exported_and_served(dataset: Path, tmp_path: Path, name: str, has_branch: bool) -> None:
    import keras

    from model.export import main as export_main
    from model.networks.architecture import build_serving_network
    from model.train import main as train_main
    from tests.support.quick_training import untraced

    run, output = str(tmp_path / "run"), tmp_path / "artifact"
    options = ["--backbone", name, "--lesion-branch" if has_branch else "--no-lesion-branch", "--init", "none"]
    options += ["--limit", "14", "--batch-size", "14", "--height", str(HEIGHT), "--width", str(WIDTH)]
    options += ["--head-epochs", "0", "--low-resolution-epochs", "1", "--middle-resolution-epochs", "0"]
    with untraced():
        assert train_main(["--dataset", str(dataset), "--run", run, *options, "--full-resolution-epochs", "0"]) == 0
    assert export_main(["--run", run, "--output", str(output)]) == 0

    artifact = load_artifact(output)
    assert artifact.manifest["task"] == "skin"
    assert artifact.manifest["network"]["member_backbones"] == [f"lesion_{name}" if has_branch else name]
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    served = LiteRTClassifier(artifact).forward(image)
    network = keras.models.load_model(artifact.keras_path, compile=False)
    expected = build_serving_network(network, HEIGHT, WIDTH)(image[np.newaxis].astype(np.float32), training=False)
    assert ("lesion" in expected) == has_branch
    for part, values in expected.items():
        values = np.asarray(values)[0]
        assert np.isfinite(values).all() and np.abs(values).max() > 0
        # Half precision has eleven bits; norms that are not folded are rounded by LiteRT alone.
        np.testing.assert_allclose(getattr(served, part), values, rtol=2e-3, atol=2e-3 * np.abs(values).max())
