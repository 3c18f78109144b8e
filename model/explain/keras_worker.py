"""The child process that holds Keras and tf-keras-vis, and its client.

The dashboard's own process must never import TensorFlow: Streamlit would then clear Keras' session after every click
of every user. So tf-keras-vis runs in a child that is started on first use, kept, and started again if it dies.

Messages are a 4-byte length and an .npz archive, both ways, over the child's standard input and output: no pickle, no
port, and the child ends when its parent does, because its input closes.
"""

from __future__ import annotations

import importlib.util
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from model.images.rejection import RgbImage

# Score-CAM masks the input once for every channel of the last activation (1,280); the 64 channels that vary most give
# nearly the same map in a twentieth of the time (Faster Score-CAM, tf-keras-vis `max_N`).
SCORE_CAM_CHANNELS = 64
SALIENCY_SAMPLES = 16
METHODS: tuple[str, ...] = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "SmoothGrad saliency")
TIMEOUT_SECONDS = 180.0

_ROOT = Path(__file__).resolve().parents[2]


def is_installed() -> bool:
    """Whether what the child needs is there; the container image without TensorFlow leaves it out. Loads none of it."""
    return all(importlib.util.find_spec(name) is not None for name in ("tensorflow", "keras", "tf_keras_vis"))


class WorkerFailed(Exception):
    """The child process died, took too long, or could not compute the map; the rest of the dashboard goes on."""


class KerasWorker:
    """Client of one child process; calls from several threads wait for each other."""

    def __init__(self, keras_path: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._keras_path = keras_path
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running child, or None before first use and after its death."""
        is_running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and is_running else None

    def heatmap(self, method: str, network_input: RgbImage, class_index: int) -> NDArray[np.float32]:
        """One tf-keras-vis map, (h, w); see `heatmaps`."""
        return self.heatmaps(method, network_input, [class_index])[0]

    def heatmaps(self, method: str, network_input: RgbImage, class_indices: Sequence[int]) -> NDArray[np.float32]:
        """Compute the tf-keras-vis maps of some classes, together in less time than one after the other.

        The first call takes several seconds, since TensorFlow has to load.

        Args:
            method: one of `METHODS`.
            network_input: (height, width, 3) uint8 RGB 0-255.
            class_indices: N positions in the order of the classes.

        Returns:
            (N, h, w) float32 >= 0, not normalised: (12, 16) for the CAM methods, input size for saliency.

        Raises:
            ValueError: unknown method.
            WorkerFailed: see the class.
        """
        if method not in METHODS:
            raise ValueError(f"expected one of {', '.join(METHODS)}, received {method!r}")
        with self._lock:
            process = self._running()
            # Killing the child makes the read below end: a pipe has no time limit of its own.
            watchdog = threading.Timer(self._timeout, process.kill)
            watchdog.start()
            try:
                _write(
                    cast(IO[bytes], process.stdin),
                    method=np.array(method),
                    image=network_input,
                    class_indices=np.array(class_indices),
                )
                answer = _read(cast(IO[bytes], process.stdout))
            except (BrokenPipeError, EOFError) as error:
                self.close()
                raise WorkerFailed(
                    f"expected a heatmap within {self._timeout:.0f} s, but the process that computes it ended before; "
                    "it may lack memory (it needs about 1.3 GB) or a writable temporary folder"
                ) from error
            finally:
                watchdog.cancel()
        if "error" in answer:
            raise WorkerFailed(f"tf-keras-vis could not compute {method}: {answer['error']}")
        return answer["heatmaps"].astype(np.float32)

    def close(self) -> None:
        """End the child process; the next call starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "model.explain.keras_worker", str(self._keras_path.resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=_ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"},
            )
        return self._process


def _write(pipe: IO[bytes], **arrays: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    pipe.write(struct.pack("<I", buffer.tell()) + buffer.getvalue())
    pipe.flush()


def _read(pipe: IO[bytes]) -> dict[str, np.ndarray]:
    header = pipe.read(4)
    if len(header) < 4:
        raise EOFError("the pipe was closed")
    size = struct.unpack("<I", header)[0]
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError("the pipe was closed within a message")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def build_methods(keras_path: Path) -> dict[str, Callable[[np.ndarray, Sequence[int]], np.ndarray]]:
    """tf-keras-vis' methods on one network, by the names in `METHODS`; loads TensorFlow.

    Each takes a (1, H, W, 3) float32 image 0-255 and N class indices and returns (N, h, w) maps.
    """
    import keras
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    from model.networks.architecture import EVIDENCE_LAYER, classifier_of

    network = classifier_of(keras.models.load_model(keras_path, compile=False))
    # Without these two, tf-keras-vis walks back from the named layer to the last convolution, before batch norm and
    # activation, and its maps differ by up to a factor of two.
    last_activation = {"penultimate_layer": EVIDENCE_LAYER, "seek_penultimate_conv_layer": False}
    plain = {"expand_cam": False, "normalize_cam": False}

    def of_classes(method: Callable[..., np.ndarray], **options: object) -> Callable[..., np.ndarray]:
        # Given an image a class, the method computes all of them in one pass.
        return lambda image, indices: method(
            CategoricalScore(list(indices)), np.repeat(image, len(indices), axis=0), **options
        )

    return {
        "Grad-CAM": of_classes(Gradcam(network), **last_activation, **plain),
        "Grad-CAM++": of_classes(GradcamPlusPlus(network), **last_activation, **plain),
        "Score-CAM": of_classes(Scorecam(network), max_N=SCORE_CAM_CHANNELS, **last_activation, **plain),
        "SmoothGrad saliency": of_classes(
            Saliency(network), smooth_samples=SALIENCY_SAMPLES, smooth_noise=0.1, normalize_map=False
        ),
    }


def serve(keras_path: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the input closes."""
    methods = build_methods(keras_path)
    while True:
        try:
            request = _read(requests)
        except EOFError:
            return
        image = request["image"][np.newaxis].astype(np.float32)
        try:
            indices = [int(index) for index in request["class_indices"]]
            heatmaps = np.asarray(methods[str(request["method"])](image, indices))
        # Whatever TensorFlow or tf-keras-vis raises is told to the client; the process stays for the next request.
        except Exception as error:
            _write(answers, error=np.array(f"{type(error).__name__}: {error}"))
            continue
        _write(answers, heatmaps=np.maximum(heatmaps, 0).astype(np.float32))


def main() -> None:
    # tf-keras-vis hands Keras a list where the network has one input; it works, and Keras warns at every call.
    warnings.filterwarnings("ignore", message="The structure of `inputs`")
    # TensorFlow prints to standard output now and then; the messages need it for themselves.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(Path(sys.argv[1]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
