"""Analyses that arrive together: the same answers as one by one, in turn, and one network a thread."""

from __future__ import annotations

import io
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.analysis import pool as pool_module
from model.analysis.analyzer import Analysis, Analyzer
from model.analysis.pool import AnalyzerPool
from model.images.decoding import open_image
from model.images.reading import OpenedImage
from model.images.rejection import ImageRejected, RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.classifier import NetworkOutput
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.runtimes import LiteRTClassifier
from tests.support.artifacts import artifact_with_terms
from tests.support.server import ROOT, black_image, sample

WAIT = 30  # seconds, for what takes milliseconds


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


def output_of(analysis: Analysis) -> NetworkOutput:
    return analysis.output


class Guarded:
    """The committed network, held up until told; notes whether two threads were ever in one network."""

    entered = threading.Semaphore(0)
    allowed = threading.Event()
    is_shared = False

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._classifier = LiteRTClassifier(artifact)
        self._lock = threading.Lock()
        self._passes = 0

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        if not self._lock.acquire(blocking=False):
            Guarded.is_shared = True
        try:
            self._passes += 1
            if self._passes > 1:  # the first is the pool's own
                Guarded.entered.release()
                assert Guarded.allowed.wait(WAIT)
            return self._classifier.forward(network_input)
        finally:
            self._lock.release()


@pytest.fixture
def guarded(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> type[Guarded]:
    monkeypatch.setattr(Guarded, "entered", threading.Semaphore(0))
    monkeypatch.setattr(Guarded, "allowed", threading.Event())
    monkeypatch.setattr(Guarded, "is_shared", False)
    return Guarded


def test_parallel_answers_are_those_given_one_by_one(artifact: Artifact) -> None:
    contents = [path.read_bytes() for path in sorted((ROOT / "data" / "sample").glob("*.jpg"))][:6] * 3
    analyzer = Analyzer(LiteRTClassifier(artifact))
    expected = [analyzer.run(content) for content in contents[:6]] * 3
    pool = AnalyzerPool(artifact, workers=3)
    received = [future.result(WAIT) for future in [pool.submit(content, output_of) for content in contents]]
    pool.close()
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_array_equal(
            one.answered.prediction.probabilities, other.analysis.answered.prediction.probabilities
        )
        assert one.image_sha256 == other.analysis.image_sha256
        assert one.output is not None
        np.testing.assert_array_equal(one.output.maps, other.value.maps)


def test_as_many_run_at_once_as_there_are_networks(artifact: Artifact, guarded: type[Guarded]) -> None:
    pool = AnalyzerPool(artifact, 2, guarded)
    futures = [pool.submit(sample(), output_of) for _ in range(5)]
    assert guarded.entered.acquire(timeout=WAIT) and guarded.entered.acquire(timeout=WAIT)
    # Both networks are held up, so a third could only come through one of them.
    assert not guarded.entered.acquire(timeout=0.2)
    guarded.allowed.set()
    assert len([future.result(WAIT) for future in futures]) == 5
    assert not guarded.is_shared
    pool.close()


def test_first_come_is_first_served(artifact: Artifact) -> None:
    pool = AnalyzerPool(artifact, 1)
    order: list[int] = []
    futures = [pool.submit(sample(), lambda analysis, i=i: order.append(i)) for i in range(6)]
    for future in futures:
        future.result(WAIT)
    pool.close()
    assert order == list(range(6))


def test_what_waits_can_be_cancelled(artifact: Artifact, guarded: type[Guarded]) -> None:
    pool = AnalyzerPool(artifact, 1, guarded)
    running, waiting = pool.submit(sample(), output_of), pool.submit(sample(), output_of)
    assert guarded.entered.acquire(timeout=WAIT)
    assert waiting.cancel() and not running.cancel()
    guarded.allowed.set()
    assert running.result(WAIT).analysis.answer is not None
    pool.close()


def test_closing_finishes_what_runs_and_drops_what_waits(artifact: Artifact, guarded: type[Guarded]) -> None:
    pool = AnalyzerPool(artifact, 1, guarded)
    running, waiting = pool.submit(sample(), output_of), pool.submit(sample(), output_of)
    assert guarded.entered.acquire(timeout=WAIT)
    pool.close()
    guarded.allowed.set()
    assert running.result(WAIT).analysis.answer is not None
    with pytest.raises(CancelledError):
        waiting.result(WAIT)


def test_bad_file_is_the_caller_s_error_and_leaves_the_network_to_others(artifact: Artifact) -> None:
    pool = AnalyzerPool(artifact, 1)
    bad, good = pool.submit(b"no image", output_of), pool.submit(sample(), output_of)
    with pytest.raises(ImageRejected):
        bad.result(WAIT)
    assert good.result(WAIT).analysis.answer is not None
    pool.close()


def test_refused_image_comes_with_its_forward_pass(artifact: Artifact) -> None:
    pool = AnalyzerPool(artifact, 1)
    finished = pool.submit(black_image(), output_of).result(WAIT)
    pool.close()
    assert finished.analysis.answer is None
    assert finished.value.maps.shape[-1] == 7


def test_facts_belong_to_the_image_they_came_with(tmp_path: Path) -> None:
    artifact = load_artifact(artifact_with_terms(tmp_path / "skin"))
    pool = AnalyzerPool(artifact, 1)
    facts = [PatientFacts(site="back"), NO_FACTS, PatientFacts(80)]
    finished = [future.result(WAIT) for future in [pool.submit(sample(), output_of, one) for one in facts]]
    pool.close()
    analyzer = Analyzer(LiteRTClassifier(artifact))
    for one, stated in zip(finished, facts, strict=True):
        expected = analyzer.with_facts(analyzer.run(sample()), stated).answered.prediction
        np.testing.assert_array_equal(one.analysis.answered.prediction.probabilities, expected.probabilities)
        assert one.analysis.answered.prediction.facts == stated
    predicted = [one.analysis.answered.prediction.dx for one in finished]
    assert predicted == ["bcc", "mel", "mel"]


def test_stages_are_measured(artifact: Artifact) -> None:
    pool = AnalyzerPool(artifact, 1)
    finished = pool.submit(sample(), output_of).result(WAIT)
    pool.close()
    seconds = finished.seconds
    assert seconds.wait >= 0 and seconds.image > 0 and seconds.network > 0 and seconds.answer >= 0
    # The analysis itself is decoding, network and judging.
    assert (seconds.image + seconds.network) * 1000 >= finished.analysis.runtime_ms


def test_what_is_costly_to_decode_keeps_nobody_else_waiting(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many files that never end as there are networks, and one more: ordinary images are answered meanwhile."""
    may_end = threading.Event()

    def opened(content: bytes, **arguments: float) -> OpenedImage:
        if content.startswith(b"II"):
            assert may_end.wait(WAIT)
        return open_image(content)

    monkeypatch.setattr(pool_module, "open_image", opened)
    file = io.BytesIO()
    Image.open(io.BytesIO(sample())).save(file, "TIFF")
    pool = AnalyzerPool(artifact, 2)
    unusual = [pool.submit(file.getvalue(), output_of) for _ in range(3)]
    ordinary = pool.submit(sample(), output_of).result(WAIT).analysis
    assert not any(future.done() for future in unusual)
    may_end.set()
    for future in unusual:
        answered = future.result(WAIT).analysis.answered.prediction
        np.testing.assert_array_equal(answered.probabilities, ordinary.answered.prediction.probabilities)
    pool.close()


def test_decoding_ends_with_the_time_of_the_answer(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []

    def opened(content: bytes, seconds: float) -> OpenedImage:
        left.append(seconds)
        raise ImageRejected("too_costly", "expected an image that takes less")

    monkeypatch.setattr(pool_module, "open_image", opened)
    pool = AnalyzerPool(artifact, 1)
    for seconds in (7.0, 0.0):
        with pytest.raises(ImageRejected):
            pool.submit(b"II*\0", output_of, seconds=seconds).result(WAIT)
    pool.close()
    assert 0 < left[0] <= 7 and left[1] == 0
