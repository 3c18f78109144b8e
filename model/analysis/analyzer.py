"""One image in, one frozen `Analysis` out: what the Review page shows, the command line writes and the tests check."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.analysis.quality import Quality, assess, load_gate
from model.explain.maps import Explanation, explain
from model.explain.stability import heatmap_stability
from model.images.decoding import decode_image
from model.images.framing import Framing, to_network_input
from model.images.rejection import MAX_BYTES, RgbImage
from model.inference.classifier import Classifier, NetworkOutput, Prediction, predict
from model.inference.clinical import NO_FACTS, NO_TERMS, ClinicalFacts

if TYPE_CHECKING:  # imports pandas, which the API does without
    from model.explain.neighbours import Neighbour, NeighbourIndex


@dataclass(frozen=True)
class Analysis:
    """Everything the model says about one image, with its evidence.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright, as decoded from the upload; reduced to at most 2,048 px a side, since
            sessions keep it and a screen shows no more. The network saw the original.
        image_sha256: of the uploaded bytes, hexadecimal.
        network_input: (height, width, 3) uint8 RGB, what the network saw.
        quality: sharpness, exposure, distance from the training images.
        prediction: calibrated probabilities; None where `quality.refusal` is set, since a refused image gets no label.
        explanation: heatmaps of all classes; None likewise.
        output: the forward pass they come from; None likewise.
        runtime_ms: wall time from bytes to result, milliseconds.
    """

    image: RgbImage
    image_sha256: str
    network_input: RgbImage
    quality: Quality
    prediction: Prediction | None
    explanation: Explanation | None
    output: NetworkOutput | None
    runtime_ms: float


MAX_KEPT_SIDE = 2048
SIMILAR_CASES = 6


class Analyzer:
    """Runs uploads through decoding, preprocessing, the network, the quality gate, calibration and heatmaps."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.artifact = classifier.artifact
        self._gate = load_gate(self.artifact.gate_path)

    def run(self, content: bytes, max_bytes: int = MAX_BYTES) -> Analysis:
        """Analyse the bytes of an uploaded image.

        Raises:
            ImageRejected: the bytes are not a usable image file (see `model.images.decoding.decode_image`). An image
                that can be read but not judged is no exception: it comes back without prediction.
        """
        started = time.perf_counter()
        image = decode_image(content, max_bytes)
        network_input, framing = to_network_input(image, self.artifact.height, self.artifact.width)
        output = self.classifier.forward(network_input)
        ood_score = float(self._gate.score(output.texture[None])[0])
        quality = assess(network_input, ood_score, self.artifact.quality)
        is_refused = quality.refusal is not None
        return Analysis(
            image=reduced(image),
            image_sha256=hashlib.sha256(content).hexdigest(),
            network_input=network_input,
            quality=quality,
            prediction=None if is_refused else predict(output, self.artifact),
            explanation=None if is_refused else self._explained(output, framing.scaled(MAX_KEPT_SIDE)),
            output=None if is_refused else output,
            runtime_ms=(time.perf_counter() - started) * 1000,
        )

    def _explained(self, output: NetworkOutput, framing: Framing) -> Explanation:
        return explain(output.maps, self.artifact.task.codes, framing, self.artifact.min_peak)

    def with_facts(self, analysis: Analysis, facts: ClinicalFacts) -> Analysis:
        """An analysis of this model's as if these facts had come with the image.

        Returns:
            The same analysis where they change nothing: a refused image, a model without terms, facts it has already.
        """
        if analysis.prediction is None or analysis.output is None or self.artifact.clinical == NO_TERMS:
            return analysis
        if analysis.prediction.facts == facts:
            return analysis
        return replace(analysis, prediction=predict(analysis.output, self.artifact, facts))

    def probabilities(self, image: RgbImage, facts: ClinicalFacts = NO_FACTS) -> NDArray[np.float64]:
        """Calibrated probabilities, (C,) float64, of an (H, W, 3) uint8 RGB image, without asking the quality gate.

        For what is drawn onto an image that was answered (`model.explain.stress`); an upload goes through `run`.
        """
        network_input, _ = to_network_input(image, self.artifact.height, self.artifact.width)
        return predict(self.classifier.forward(network_input), self.artifact, facts).probabilities

    def similar_cases(self, output: NetworkOutput, count: int = SIMILAR_CASES) -> tuple[Neighbour, ...]:
        """The training lesions most like an answered image, nearest first."""
        return self._neighbours.nearest(output.embedding, count)

    def stability(self, analysis: Analysis, dx: str) -> float:
        """How alike a class's heatmap stays when the image is shifted a little; see `model.explain.stability`."""
        if analysis.output is None:
            raise ValueError("expected an answered image")
        index = self.artifact.task.index(dx)
        return heatmap_stability(self.classifier, analysis.network_input, analysis.output.maps, index)

    @cached_property
    def _neighbours(self) -> NeighbourIndex:
        """Loaded when first asked for: the first answer should not wait for it."""
        from model.explain.neighbours import load_index

        return load_index(self.artifact.neighbours_path, self.artifact.task.codes)


def reduced(image: RgbImage) -> RgbImage:
    """An image scaled down to at most `MAX_KEPT_SIDE` pixels a side; a smaller one as it is."""
    if max(image.shape[:2]) <= MAX_KEPT_SIDE:
        return image
    factor = MAX_KEPT_SIDE / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
