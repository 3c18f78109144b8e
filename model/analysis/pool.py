"""Analyses that arrive together: one network a core, first come first served.

LiteRT's interpreters serve one thread at a time and let the others run meanwhile, so each worker thread owns one; what
comes before (decoding) and after (overlay) runs in the same thread, since more threads than cores would only make
every answer later. Images are not joined into batches: the exported network takes one at a time.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from model.analysis.analyzer import Analysis, Analyzer
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import Classifier, NetworkOutput
from model.inference.clinical import NO_FACTS, ClinicalFacts
from model.inference.runtimes import LiteRTClassifier

Value = TypeVar("Value")
Finish = Callable[[Analysis, NetworkOutput], Value]


@dataclass(frozen=True)
class StageSeconds:
    """Where the time of one analysis went, seconds.

    Attributes:
        wait: in the queue.
        image: decoding, preprocessing, quality gate, calibration.
        network: the forward pass.
        answer: what the caller makes of it: overlay, encoding.
    """

    wait: float
    image: float
    network: float
    answer: float


@dataclass(frozen=True)
class Finished(Generic[Value]):
    """An analysis, what the caller made of it in the worker, and the time it took."""

    analysis: Analysis
    value: Value
    seconds: StageSeconds


class AnalyzerPool:
    """`workers` networks of one artifact in as many threads, behind one queue."""

    def __init__(
        self,
        artifact: Artifact,
        workers: int,
        make_classifier: Callable[[Artifact], Classifier] = LiteRTClassifier,
    ) -> None:
        self.artifact = artifact
        self.workers = workers
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(workers):
            self._idle.put(_Worker(make_classifier(artifact)))
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="analyzer")

    def submit(self, content: bytes, finish: Finish[Value], facts: ClinicalFacts = NO_FACTS) -> Future[Finished[Value]]:
        """Queue the bytes of an uploaded image.

        Args:
            content: of a file, see `model.images.decoding.decode_image`.
            finish: called in the worker with the analysis and its forward pass, also where the image is refused.
            facts: what is known of the patient.

        Returns:
            What comes of it; raises `ImageRejected` where the bytes cannot be read. Cancelling it before its turn
            takes it out of the queue.
        """
        return self._executor.submit(self._run, content, finish, facts, time.perf_counter())

    def close(self) -> None:
        """Drop what waits; what runs is finished."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, content: bytes, finish: Finish[Value], facts: ClinicalFacts, submitted: float) -> Finished[Value]:
        wait = time.perf_counter() - submitted
        worker = self._idle.get()
        try:
            return worker.run(content, finish, facts, wait)
        finally:
            self._idle.put(worker)


class _Worker:
    """One analyzer and its network; keeps the last forward pass, which a refused analysis does not hold."""

    def __init__(self, classifier: Classifier) -> None:
        self.artifact = classifier.artifact
        self._classifier = classifier
        # The first pass lays out LiteRT's memory; no user should wait for that.
        self.forward(np.zeros((self.artifact.height, self.artifact.width, 3), dtype=np.uint8))
        self._analyzer = Analyzer(self)

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        """As the analyzer's classifier: the network's pass, timed and kept."""
        started = time.perf_counter()
        self._output = self._classifier.forward(network_input)
        self._network_seconds = time.perf_counter() - started
        return self._output

    def run(self, content: bytes, finish: Finish[Value], facts: ClinicalFacts, wait: float) -> Finished[Value]:
        started = time.perf_counter()
        analysis = self._analyzer.with_facts(self._analyzer.run(content), facts)
        analysed = time.perf_counter()
        value = finish(analysis, self._output)
        answered = time.perf_counter()
        image = analysed - started - self._network_seconds
        return Finished(analysis, value, StageSeconds(wait, image, self._network_seconds, answered - analysed))
