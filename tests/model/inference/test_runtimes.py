"""The exported file against Keras, and its single-pass maps against tf-keras-vis, on the committed weights."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.explain.keras_worker import METHODS, KerasWorker, WorkerFailed
from model.images.decoding import decode_image
from model.images.framing import to_network_input
from model.images.rejection import RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.classifier import NetworkOutput
from model.inference.runtimes import OUTPUTS, LiteRTClassifier

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "sample"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@pytest.fixture(scope="module")
def worker(artifact: Artifact) -> Iterator[KerasWorker]:
    client = KerasWorker(artifact.keras_path)
    yield client
    client.close()


@pytest.fixture(scope="module")
def inputs(artifact: Artifact) -> list[RgbImage]:
    paths = sorted(SAMPLES.glob("*.jpg"))[:3]
    return [to_network_input(decode_image(path.read_bytes()), artifact.height, artifact.width)[0] for path in paths]


class KerasClassifier:
    """What LiteRT is compared with: an artifact's Keras file as it is exported for serving. Loads TensorFlow."""

    def __init__(self, artifact: Artifact) -> None:
        import keras

        from model.networks.architecture import build_serving_network

        network = keras.models.load_model(artifact.keras_path, compile=False)
        self._serving = build_serving_network(network, artifact.height, artifact.width)

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        """The same as `LiteRTClassifier.forward`."""
        outputs = self._serving.predict_on_batch(network_input[np.newaxis].astype(np.float32))
        return NetworkOutput(**{name: np.asarray(outputs[name])[0] for name in OUTPUTS if name in outputs})


def min_max(heatmap: np.ndarray) -> np.ndarray:
    """tf-keras-vis' normalisation."""
    return (heatmap - heatmap.min()) / max(heatmap.max() - heatmap.min(), 1e-12)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("default")  # TensorFlow's own deprecations
def test_litert_equals_keras(artifact: Artifact, inputs: list[RgbImage]) -> None:
    litert, reference = LiteRTClassifier(artifact), KerasClassifier(artifact)
    for image in inputs:
        ours, theirs = litert.forward(image), reference.forward(image)
        for name in OUTPUTS:
            # Maps reach 30, logits 10: beside the 1e-3, a ten-thousandth of the value.
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(ours.logits, theirs.logits, rtol=0, atol=1e-3)


def test_maps_add_up_to_the_logits(artifact: Artifact, inputs: list[RgbImage]) -> None:
    litert = LiteRTClassifier(artifact)
    answers = [litert.forward(image) for image in inputs]
    rests = [answer.logits - answer.maps.mean(axis=(0, 1)) for answer in answers]
    # What is left is the class's bias: the same for every image.
    np.testing.assert_allclose(rests[1:], [rests[0]] * (len(rests) - 1), atol=1e-3)
    for answer in answers:
        np.testing.assert_allclose(answer.logits, answer.member_logits.mean(axis=0), atol=1e-3)
        assert answer.lesion.shape == answer.maps.shape[:2]
        assert answer.lesion.min() >= 0 and answer.lesion.max() <= 1


@pytest.mark.tensorflow
def test_single_pass_maps_equal_tf_keras_vis_gradcam(
    artifact: Artifact, worker: KerasWorker, inputs: list[RgbImage]
) -> None:
    litert = LiteRTClassifier(artifact)
    compared = 0
    for image in inputs:
        maps = np.maximum(litert.forward(image).maps, 0)
        present = [class_index for class_index in range(len(SKIN.codes)) if maps[..., class_index].max() > 0]
        references = worker.heatmaps("Grad-CAM", image, present)
        for class_index, reference in zip(present, references, strict=True):
            difference = np.abs(min_max(maps[..., class_index]) - min_max(reference)).max()
            assert difference < 1e-3
            compared += 1
    assert compared >= len(inputs)


@pytest.mark.tensorflow
def test_every_method_answers_with_a_map_of_its_own(worker: KerasWorker, inputs: list[RgbImage]) -> None:
    maps = {method: worker.heatmap(method, inputs[0], 5) for method in METHODS}
    for method in ("Grad-CAM", "Grad-CAM++", "Score-CAM"):
        assert maps[method].shape == (12, 16)
    assert maps["SmoothGrad saliency"].shape == (192, 256)
    for heatmap in maps.values():
        assert np.isfinite(heatmap).all() and heatmap.min() >= 0 and heatmap.dtype == np.float32
    assert np.abs(min_max(maps["Grad-CAM"]) - min_max(maps["Score-CAM"])).max() > 1e-3


@pytest.mark.tensorflow
def test_worker_starts_again_after_its_death(worker: KerasWorker, inputs: list[RgbImage]) -> None:
    before = worker.heatmap("Grad-CAM", inputs[0], 5)
    first_pid = worker.pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    while worker.pid is not None:
        time.sleep(0.01)
    np.testing.assert_allclose(worker.heatmap("Grad-CAM", inputs[0], 5), before, atol=1e-5)
    assert worker.pid not in (None, first_pid)


def test_worker_that_takes_too_long_is_ended(artifact: Artifact, inputs: list[RgbImage]) -> None:
    impatient = KerasWorker(artifact.keras_path, timeout_seconds=0.2)
    with pytest.raises(WorkerFailed, match="within 0 s"):
        impatient.heatmap("Grad-CAM", inputs[0], 5)
    assert impatient.pid is None


def test_unknown_method_is_refused_before_a_process_starts(artifact: Artifact, inputs: list[RgbImage]) -> None:
    client = KerasWorker(artifact.keras_path)
    with pytest.raises(ValueError, match="expected one of"):
        client.heatmap("Eye-CAM", inputs[0], 5)
    assert client.pid is None


def test_forward_wants_the_network_s_input_size(artifact: Artifact) -> None:
    litert = LiteRTClassifier(artifact)
    with pytest.raises(ValueError, match="to_network_input"):
        litert.forward(np.zeros((10, 10, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        litert.forward(np.zeros((192, 256, 3), dtype=np.float32))  # type: ignore[arg-type]


def test_threads_do_not_mix_up_answers(artifact: Artifact, inputs: list[RgbImage]) -> None:
    litert = LiteRTClassifier(artifact)
    expected = [litert.forward(image).logits.copy() for image in inputs]
    answers: dict[int, list[np.ndarray]] = {position: [] for position in range(len(inputs))}

    def ask(position: int) -> None:
        answers[position].extend(litert.forward(inputs[position]).logits for _ in range(5))

    threads = [threading.Thread(target=ask, args=(position,)) for position in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for position, logits in answers.items():
        assert len(logits) == 5
        for one in logits:
            np.testing.assert_array_equal(one, expected[position])
