"""The network of an artifact run elsewhere, behind `Classifier`: its input goes out as PNG, a forward pass comes back.

What comes back is believed only if it fits the artifact that lies here: name, version and SHA-256 of the weights, the
shapes, and probabilities that follow from the logits. Calibration, quality gate and heatmaps are then computed here, as
for a network in this process. `model.remote.endpoints` holds the places it can run.
"""

from __future__ import annotations

import io
import random
import time
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from PIL import Image

from model.analysis.answers import Answer, AnswerMalformed, model_facts, network_output, read_answer
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import NetworkOutput
from model.remote.failures import RemoteMismatch, RemoteUnavailable, TransientFailure

# Vertex AI takes 1.5 MB a request, the least of all; base64 adds a third. Our input of 192 x 256 has 147 kB as pixels.
MAX_INPUT_BYTES = 1_000_000
# Lambda gives at most 6 MB; our forward pass has about 50 kB.
MAX_ANSWER_BYTES = 6_000_000
# Float32 over two calibrations; another order of the classes is off by tenths.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Patience:
    """How long a remote classifier is waited for; seconds.

    Attributes:
        connect: for a connection.
        answer: for one answer, from the request's first byte to the answer's last. A Lambda function that starts takes
            3.5 s. An attempt that takes longer is not repeated: what is slow would only get slower.
        attempts: how often it is asked while it fails otherwise.
        pause: before the second attempt, doubled before each further one, and drawn between half of it and all.
        longest_pause: what a server may ask to wait for; more ends the attempts.
        rest: after the last failed attempt nobody asks again for so long.
    """

    connect: float = 3
    answer: float = 15
    attempts: int = 3
    pause: float = 0.3
    longest_pause: float = 5
    rest: float = 10


class Endpoint(Protocol):
    """A place where the network runs. `name` is for the screen; it holds no secret."""

    name: str

    def ask(self, png: bytes) -> bytes:
        """One attempt: the JSON of an answer of /v1/predict with heatmap=maps to a prepared image.

        Raises:
            TransientFailure: another attempt may help.
            RemoteUnavailable: it would not.
            AnswerMalformed: what came is no answer.
        """
        ...


class RemoteClassifier:
    """The network of `artifact` at an endpoint. Safe in threads: nothing is shared but the time of the last failure."""

    def __init__(self, artifact: Artifact, endpoint: Endpoint, patience: Patience | None = None) -> None:
        """Connects to nothing yet; raises ValueError where the network's input cannot be sent."""
        size = artifact.height * artifact.width * 3
        if size > MAX_INPUT_BYTES:
            raise ValueError(f"expected an input of at most {MAX_INPUT_BYTES} bytes, received {size}; run it here")
        self.artifact = artifact
        self.endpoint = endpoint
        self._patience = patience or Patience()
        self._widths = _widths(artifact)
        self._rests_until = 0.0

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        """As `Classifier.forward`, over the network.

        Raises:
            RemoteUnavailable: no answer after all attempts, or within the rest after them.
            RemoteMismatch: an answer of another model, or one that contradicts itself.
        """
        png = as_png(network_input, self.artifact)
        left = self._rests_until - time.monotonic()
        if left > 0:
            raise RemoteUnavailable(
                f"expected an answer from {self.endpoint.name}, it has just failed; try again in {left:.0f} s"
            )
        try:
            answer = read_answer(self._ask(png), self.artifact.task)
            check_model(answer, self.artifact)
            output = network_output(answer, self.artifact.task)
            check_output(answer, output, self.artifact, self._widths)
        except AnswerMalformed as error:
            raise RemoteMismatch(f"{self.endpoint.name}: {error}") from error
        return output

    def _ask(self, png: bytes) -> bytes:
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return self.endpoint.ask(png)
            except TransientFailure as failure:
                pause = max(failure.pause, self._pause_after(attempt))
                if attempt == self._patience.attempts or pause > self._patience.longest_pause:
                    self._give_up(attempt, failure)
            time.sleep(pause)
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _pause_after(self, attempt: int) -> float:
        """Not the same for all, so that those who failed together do not come back together."""
        return self._patience.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1)

    def _give_up(self, attempts: int, failure: TransientFailure) -> NoReturn:
        self._rests_until = time.monotonic() + self._patience.rest
        raise RemoteUnavailable(
            f"expected an answer from {self.endpoint.name}, received none in {attempts} attempts (last: {failure}); "
            "try again later"
        ) from failure


def as_png(network_input: RgbImage, artifact: Artifact) -> bytes:
    """The network's input without loss; raises ValueError for another shape or type."""
    expected = (artifact.height, artifact.width, 3)
    if network_input.shape != expected or network_input.dtype != np.uint8:
        raise ValueError(
            f"expected {expected} uint8 RGB, received {network_input.shape} {network_input.dtype}; "
            "use model.images.decoding.to_network_input"
        )
    file = io.BytesIO()
    Image.fromarray(network_input).save(file, "PNG")
    return file.getvalue()


def check_model(answer: Answer, artifact: Artifact) -> None:
    """Whether the model that answered is the one that lies here; raises AnswerMalformed."""
    expected = model_facts(artifact)
    if answer.model != expected:
        raise AnswerMalformed(
            f"expected {expected.name} {expected.version} with weights {expected.weights_sha256[:12]}, received an "
            "answer of another model; put the same weights folder here and there"
        )


def check_output(answer: Answer, output: NetworkOutput, artifact: Artifact, widths: tuple[int, int]) -> None:
    """Whether a forward pass fits the artifact and what the same answer says of it.

    The answer names each class beside its probability, so classes in another order show. A refused image has no
    probabilities to compare.

    Args:
        answer, output: from one response.
        artifact: of this machine.
        widths: of embedding and texture.

    Raises:
        AnswerMalformed: it does not.
    """
    received = (output.embedding.size, output.texture.size)
    if received != widths:
        raise AnswerMalformed(f"expected embedding and texture of {widths} numbers, received {received}")
    if not np.allclose(output.member_logits.mean(axis=0), output.logits, atol=1e-3):
        raise AnswerMalformed("expected logits that are the mean of the members', received others")
    if answer.probabilities is None:
        return
    codes = artifact.task.codes
    if tuple(answer.probabilities) != codes:
        raise AnswerMalformed(f"expected the classes {', '.join(codes)} in this order, received others")
    expected = artifact.calibration.probabilities(output.logits.astype(np.float64))
    if not np.allclose(list(answer.probabilities.values()), expected, rtol=0, atol=_TOLERANCE):
        raise AnswerMalformed("expected probabilities that follow from the logits, received others")


def _widths(artifact: Artifact) -> tuple[int, int]:
    """Numbers in an embedding and in a texture, as the files that are compared with them have."""
    with np.load(artifact.neighbours_path) as neighbours, np.load(artifact.gate_path) as gate:
        return neighbours["mean"].size, gate["mean"].size
