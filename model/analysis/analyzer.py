"""One image in, one frozen `Analysis` out: what the Review page shows, the command line writes and the tests check."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.tasks.known import TASKS
from data.tasks.task import Task
from model.analysis.quality import Quality, assess, load_gate
from model.explain.maps import Explanation, explain
from model.explain.stability import heatmap_stability
from model.images.decoding import open_image
from model.images.dicom import DicomFacts, kind_name
from model.images.framing import AS_FRAMED, Framing
from model.images.reading import OpenedImage
from model.images.rejection import MAX_BYTES, OTHER_TASK, ImageRejected, Remark, RgbImage
from model.inference.classifier import Classifier, NetworkOutput, Prediction, predict
from model.inference.clinical import NO_FACTS, NO_TERMS, PatientFacts

if TYPE_CHECKING:  # imports pandas, which the API does without
    from model.explain.neighbours import Neighbour, NeighbourIndex


@dataclass(frozen=True)
class ModelAnswer:
    """What the model says of an image that it answers: calibrated probabilities, and heatmaps of all classes."""

    prediction: Prediction
    explanation: Explanation


@dataclass(frozen=True)
class Analysis:
    """One image, what was measured on it, and what the model says of it.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright, as decoded from the upload; reduced to at most 2,048 px a side, since
            sessions keep it and a screen shows no more. The network saw the original.
        original_size: width and height of the upload, upright, pixels.
        image_sha256: of the uploaded bytes, hexadecimal.
        network_input: (height, width, 3) uint8 RGB, what the network saw.
        quality: sharpness, exposure, distance from the training images.
        output: the forward pass, of a refused image as well; what is shown of it is the answer alone.
        answer: None where `quality.refusal` is set, since a refused image gets no label.
        runtime_ms: wall time from bytes to result, milliseconds.
        network_ms: the forward pass's part of it; NaN where it was not kept, as of a saved case.
        dicom: what the upload says of the patient; None where it is no DICOM file.
        remarks: what a reader should know of how the upload was read.
        prepared_at: where on `image` the network input lies, where more was done to it than framing; None otherwise.
    """

    image: RgbImage
    original_size: tuple[int, int]
    image_sha256: str
    network_input: RgbImage
    quality: Quality
    output: NetworkOutput
    answer: ModelAnswer | None
    runtime_ms: float
    network_ms: float = math.nan
    dicom: DicomFacts | None = None
    remarks: tuple[Remark, ...] = ()
    prepared_at: Framing | None = None

    @property
    def answered(self) -> ModelAnswer:
        """The answer, for what makes sense with one alone; raises ValueError for a refused image."""
        if self.answer is None:
            raise ValueError("expected an answered image, received a refused one; look at `answer` first")
        return self.answer


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
            ImageRejected: the bytes are not a usable image file (see `model.images.decoding.open_image`). An image
                that can be read but not judged is no exception: it comes back without answer. Or a DICOM file of
                another task's images, `other_task`.
        """
        started = time.perf_counter()
        return self.analyse(open_image(content, max_bytes), content, started)

    def analyse(self, opened: OpenedImage, content: bytes, started: float, is_prepared: bool = False) -> Analysis:
        """Analyse an upload that is decoded already.

        Args:
            opened: the upload, decoded.
            content: its bytes.
            started: when `time.perf_counter` began to count for it.
            is_prepared: see `Artifact.network_input`.

        Raises:
            ImageRejected: `other_task`.
        """
        check_kind(opened, self.artifact.task)
        image = opened.image
        network_input, framing = self.artifact.network_input(image, is_prepared)
        forward_started = time.perf_counter()
        output = self.classifier.forward(network_input)
        network_ms = (time.perf_counter() - forward_started) * 1000
        ood_score = float(self._gate.score(output.texture[None])[0])
        quality = assess(network_input, ood_score, self.artifact.quality)
        shown = framing.scaled(MAX_KEPT_SIDE)
        answer = None if quality.refusal else self._answer(output, shown)
        return Analysis(
            image=reduced(image),
            original_size=(image.shape[1], image.shape[0]),
            image_sha256=hashlib.sha256(content).hexdigest(),
            network_input=network_input,
            quality=quality,
            output=output,
            answer=answer,
            runtime_ms=(time.perf_counter() - started) * 1000,
            network_ms=network_ms,
            dicom=opened.dicom,
            remarks=opened.remarks,
            prepared_at=None if is_prepared or self.artifact.preparation == AS_FRAMED else shown,
        )

    def _answer(self, output: NetworkOutput, framing: Framing) -> ModelAnswer:
        explanation = explain(output.maps, self.artifact.task.codes, framing, self.artifact.min_peak)
        return ModelAnswer(predict(output, self.artifact), explanation)

    def with_facts(self, analysis: Analysis, facts: PatientFacts) -> Analysis:
        """An analysis of this model's as if these facts had come with the image.

        Returns:
            The same analysis where they change nothing: a refused image, a model without terms, facts it has already.
        """
        answer = analysis.answer
        if answer is None or self.artifact.clinical == NO_TERMS or answer.prediction.facts == facts:
            return analysis
        return replace(analysis, answer=replace(answer, prediction=predict(analysis.output, self.artifact, facts)))

    def probabilities(self, image: RgbImage, facts: PatientFacts = NO_FACTS) -> NDArray[np.float64]:
        """Calibrated probabilities, (C,) float64, of an (H, W, 3) uint8 RGB image, without asking the quality gate.

        For what is drawn onto an image that was answered (`model.explain.stress`); an upload goes through `run`.
        """
        network_input, _ = self.artifact.network_input(image)
        return predict(self.classifier.forward(network_input), self.artifact, facts).probabilities

    def similar_cases(self, output: NetworkOutput, count: int = SIMILAR_CASES) -> tuple[Neighbour, ...]:
        """The training lesions most like an answered image, nearest first."""
        return self._neighbours.nearest(output.embedding, count)

    def stability(self, analysis: Analysis, dx: str) -> float:
        """How alike a class's heatmap stays when the image is shifted a little; see `model.explain.stability`."""
        index = self.artifact.task.index(dx)
        return heatmap_stability(self.classifier, analysis.network_input, analysis.output.maps, index)

    @cached_property
    def _neighbours(self) -> NeighbourIndex:
        """Loaded when first asked for: the first answer should not wait for it."""
        from model.explain.neighbours import load_index

        return load_index(self.artifact.neighbours_path, self.artifact.task.codes)


def check_kind(opened: OpenedImage, task: Task) -> None:
    """Whether a file may show what a task is about; raises ImageRejected `other_task` where it says not."""
    kind = opened.dicom.kind if opened.dicom is not None else ""
    other = next((one for one in TASKS.values() if kind in one.dicom_kinds), task)
    if other.key != task.key and kind not in task.dicom_kinds:
        raise ImageRejected(
            OTHER_TASK,
            f"expected {task.words.images}, received {other.words.images} (DICOM, {kind_name(kind)}); "
            f"ask a model of the task {other.name!r}",
        )


def reduced(image: RgbImage) -> RgbImage:
    """An image scaled down to at most `MAX_KEPT_SIDE` pixels a side; a smaller one as it is."""
    if max(image.shape[:2]) <= MAX_KEPT_SIDE:
        return image
    factor = MAX_KEPT_SIDE / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
