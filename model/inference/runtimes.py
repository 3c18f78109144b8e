"""The runtime behind `Classifier` on this machine: LiteRT."""

from __future__ import annotations

import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from model.images.rejection import RgbImage
from model.inference.artifact import SIGNATURE, Artifact
from model.inference.classifier import NetworkOutput

OUTPUTS: tuple[str, ...] = tuple(field.name for field in fields(NetworkOutput))


class LiteRTClassifier:
    """The exported network on the CPU through LiteRT: no TensorFlow in the process, about 3 ms an image on one core.

    One interpreter, used by one thread at a time: waiting a few milliseconds costs less than an interpreter a session.

    Args:
        artifact: gives classes, input size and calibration.
        threads: of the interpreter.
        serving_file: other weights for them, such as one member's; the artifact's own where None.
    """

    def __init__(self, artifact: Artifact, threads: int = 1, serving_file: Path | None = None) -> None:
        self.artifact = artifact
        self._lock = threading.Lock()
        self._runner = _signature_runner(serving_file or artifact.litert_path, threads)

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        batch = _as_batch(network_input, self.artifact)
        with self._lock:
            outputs = self._runner(image=batch)
        return NetworkOutput(**{name: outputs[name][0] for name in OUTPUTS if name in outputs})


def _signature_runner(path: Path, threads: int):  # type: ignore[no-untyped-def]  # LiteRT names no public type for it
    return Interpreter(model_path=str(path), num_threads=threads).get_signature_runner(SIGNATURE)


def _as_batch(network_input: RgbImage, artifact: Artifact) -> np.ndarray:
    expected = (artifact.height, artifact.width, 3)
    if network_input.shape != expected or network_input.dtype != np.uint8:
        raise ValueError(
            f"expected {expected} uint8 RGB, received {network_input.shape} {network_input.dtype}; "
            "use model.images.decoding.to_network_input"
        )
    return network_input[np.newaxis].astype(np.float32)
