"""Analyses that arrive together: one network a core, first come first served.

LiteRT's interpreters serve one thread at a time and let the others run meanwhile, so each worker thread owns one; what
comes before (decoding) and after (overlay) runs in the same thread, since more threads than cores would only make
every answer later. Images are not joined into batches: the exported network takes one at a time.

What is not surely cheap to decode waits in a queue of its own, and comes to the networks as pixels: files that cost
seconds keep nobody else waiting.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from model.analysis.analyzer import Analysis, Analyzer, check_kind
from model.images.decoder import MAX_SECONDS
from model.images.decoding import open_image
from model.images.ordinary import is_ordinary
from model.images.reading import OpenedImage
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import Classifier
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.runtimes import LiteRTClassifier

Value = TypeVar("Value")
Finish = Callable[[Analysis], Value]


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


@dataclass(frozen=True)
class _Asked(Generic[Value]):
    """What was asked for, see `AnalyzerPool.submit`, and when by `time.perf_counter`."""

    content: bytes
    finish: Finish[Value]
    facts: PatientFacts
    is_prepared: bool
    submitted: float


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
        self._idle: queue.SimpleQueue[Analyzer] = queue.SimpleQueue()
        for _ in range(workers):
            self._idle.put(Analyzer(_warm(make_classifier(artifact))))
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="analyzer")
        self._unusual = ThreadPoolExecutor(1, thread_name_prefix="unusual")

    def submit(
        self,
        content: bytes,
        finish: Finish[Value],
        facts: PatientFacts = NO_FACTS,
        seconds: float = MAX_SECONDS,
        is_prepared: bool = False,
    ) -> Future[Finished[Value]]:
        """Queue the bytes of an uploaded image.

        Args:
            content: of a file, see `model.images.decoding.decode_image`.
            finish: called in the worker with the analysis, also where the image is refused.
            facts: what is known of the patient.
            seconds: after so many by the clock the decoding of an unusual file is ended, whether it had begun or not.
            is_prepared: see `model.inference.artifact.Artifact.network_input`.

        Returns:
            What comes of it; raises `ImageRejected` where the bytes cannot be read. Cancelling it before its turn
            takes it out of the queue.
        """
        asked = _Asked(content, finish, facts, is_prepared, time.perf_counter())
        if is_ordinary(content):
            return self._executor.submit(self._run, asked)
        return self._unusual.submit(self._run_unusual, asked, asked.submitted + seconds)

    def prepare(self, content: bytes, seconds: float = MAX_SECONDS) -> Future[RgbImage]:
        """Queue the bytes of an image for what the network would be shown of it, without asking the network.

        Args:
            content, seconds: as for `submit`.

        Returns:
            (height, width, 3) uint8 RGB; raises `ImageRejected` as `submit` does.
        """
        submitted = time.perf_counter()
        executor = self._executor if is_ordinary(content) else self._unusual
        return executor.submit(self._prepared, content, submitted + seconds)

    def _prepared(self, content: bytes, until: float) -> RgbImage:
        opened = open_image(content, seconds=max(0.0, until - time.perf_counter()))
        check_kind(opened, self.artifact.task)
        return self.artifact.network_input(opened.image)[0]

    def close(self) -> None:
        """Drop what waits; what runs is finished."""
        for executor in (self._unusual, self._executor):
            executor.shutdown(wait=False, cancel_futures=True)

    def _run_unusual(self, asked: _Asked[Value], until: float) -> Finished[Value]:
        started = time.perf_counter()
        # Whoever asked is answered by then.
        opened = open_image(asked.content, seconds=max(0.0, until - started))
        decoding = time.perf_counter() - started
        return self._executor.submit(self._run, asked, opened, decoding).result()

    def _run(self, asked: _Asked[Value], opened: OpenedImage | None = None, decoding: float = 0.0) -> Finished[Value]:
        wait = time.perf_counter() - asked.submitted - decoding
        analyzer = self._idle.get()
        try:
            started = time.perf_counter() - decoding
            image = opened or open_image(asked.content)
            analysis = analyzer.analyse(image, asked.content, started, asked.is_prepared)
            analysis = analyzer.with_facts(analysis, asked.facts)
            analysed = time.perf_counter()
            value = asked.finish(analysis)
            answered = time.perf_counter()
        finally:
            self._idle.put(analyzer)
        network = analysis.network_ms / 1000
        return Finished(analysis, value, StageSeconds(wait, analysed - started - network, network, answered - analysed))


def _warm(classifier: Classifier) -> Classifier:
    """A classifier after a first pass, which lays out LiteRT's memory; no user should wait for that."""
    classifier.forward(np.zeros((classifier.artifact.height, classifier.artifact.width, 3), dtype=np.uint8))
    return classifier
