"""One upload in, one `Analysis` out, with a made-up network behind it."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.tasks.known import TASKS
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.analysis.analyzer import Analyzer, check_kind
from model.analysis.quality import Gate
from model.images.decoding import decode_image, open_image
from model.images.dicom import OPHTHALMIC_8_BIT, SECONDARY_CAPTURE, VL_PHOTOGRAPHIC
from model.images.framing import to_network_input
from model.images.rejection import ImageRejected, RgbImage
from model.inference.artifact import GATE_FILE, Artifact, QualityLimits
from model.inference.calibration import Calibration
from model.inference.classifier import NetworkOutput
from model.inference.conformal import ConformalSets
from tests.support.dicom import dicom_file

UNIFORM = (1 / 7,) * 7
ANY_CLASS = ConformalSets("class-conditional", 0.9, (0.2,) * 7)
LIMITS = QualityLimits(min_sharpness=3, min_brightness=50, max_brightness=230, min_contrast=4, max_ood_score=2)


class FakeClassifier:
    """Answers with melanoma for a reddish image and a nevus for any other; keeps what it was shown."""

    def __init__(self, artifact: Artifact, texture: tuple[float, float] = (0.0, 0.0)) -> None:
        self.artifact = artifact
        self.texture = np.array(texture, dtype=np.float32)
        self.shown: list[RgbImage] = []

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        self.shown.append(network_input.copy())
        red, green, _ = network_input.reshape(-1, 3).mean(axis=0)
        logits, maps = np.zeros(7, dtype=np.float32), np.zeros((6, 8, 7), dtype=np.float32)
        logits[SKIN.codes.index("mel" if red > green else "nv")] = np.log(4)
        maps[0, 7, SKIN.codes.index("mel")] = 5
        for array in (logits, maps):
            array.setflags(write=False)  # a runtime's buffers are not ours to write to
        embedding, lesion = np.zeros(4, dtype=np.float32), np.ones((6, 8), dtype=np.float32)
        return NetworkOutput(logits, logits[np.newaxis], embedding, self.texture, maps, lesion)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    # Two independent values around 0 with deviation 1: the score is (x^2 + y^2) / 2.
    gate = Gate(np.zeros(2), np.ones(2), np.eye(2))
    gate.save(tmp_path / GATE_FILE)
    calibration = Calibration(1.0, (0.0,) * 7, "nobody", UNIFORM)
    return Artifact(tmp_path, "made-up", "9.1", 192, 256, calibration, (), ANY_CLASS, 0.0, LIMITS, "ab12", {}, SKIN)


def png(image: RgbImage) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def sharp_image(red: int = 180, height: int = 90, width: int = 120) -> RgbImage:
    """Squares of 10 pixels in two tones, sharp and of middling brightness."""
    bright = np.indices((height, width)).sum(axis=0) // 10 % 2 == 0
    return np.where(bright[..., np.newaxis], (red, 130, 110), (red - 60, 70, 60)).astype(np.uint8)


def test_usable_image_gets_everything(artifact: Artifact) -> None:
    classifier = FakeClassifier(artifact, texture=(1.0, 1.0))
    content = png(sharp_image())
    analysis = Analyzer(classifier).run(content)
    np.testing.assert_array_equal(analysis.image, sharp_image())
    assert analysis.image_sha256 == hashlib.sha256(content).hexdigest()
    assert analysis.quality.issues == ()
    assert analysis.quality.ood_score == pytest.approx(1.0)
    # Logits log 4 and six zeros: 4 / 10.
    assert analysis.answered.prediction.dx == "mel"
    assert analysis.answered.prediction.probabilities[SKIN.codes.index("mel")] == pytest.approx(0.4)
    assert analysis.answered.prediction.weights_sha256 == "ab12"
    assert analysis.answered.explanation.heatmap("mel")[0, 7] == 1
    assert not analysis.answered.explanation.has_evidence("nv")
    assert (analysis.answered.explanation.framing.image_height, analysis.answered.explanation.framing.image_width) == (
        90,
        120,
    )
    assert 0 < analysis.runtime_ms < 60_000


def test_network_sees_what_preprocessing_makes_of_the_upload(artifact: Artifact) -> None:
    classifier = FakeClassifier(artifact)
    content = png(sharp_image(height=120, width=90))
    analysis = Analyzer(classifier).run(content)
    expected, framing = to_network_input(decode_image(content), 192, 256)
    (shown,) = classifier.shown
    np.testing.assert_array_equal(shown, expected)
    # And it is handed on as it was, by the network, the quality measures and the heatmaps.
    np.testing.assert_array_equal(analysis.network_input, expected)
    np.testing.assert_array_equal(analysis.image, decode_image(content))
    assert analysis.answered.explanation.framing == framing
    assert framing.is_turned


@pytest.mark.parametrize(
    ("image", "texture", "refusal"),
    [
        (np.zeros((90, 120, 3), dtype=np.uint8), (0.0, 0.0), "too_dark"),
        (np.full((90, 120, 3), 255, dtype=np.uint8), (0.0, 0.0), "too_bright"),
        (np.full((90, 120, 3), 128, dtype=np.uint8), (0.0, 0.0), "no_contrast"),
        (sharp_image(), (0.0, 2.1), "out_of_distribution"),  # 4.41 / 2 > 2
        (sharp_image(), (float("nan"), 0.0), "out_of_distribution"),
    ],
)
def test_refused_image_has_no_answer(
    artifact: Artifact, image: RgbImage, texture: tuple[float, float], refusal: str
) -> None:
    content = png(image)
    analysis = Analyzer(FakeClassifier(artifact, texture)).run(content)
    assert analysis.quality.refusal == refusal
    assert analysis.answer is None
    with pytest.raises(ValueError, match="expected an answered image, received a refused one"):
        _ = analysis.answered
    # What is needed to say why remains.
    np.testing.assert_array_equal(analysis.image, image)
    assert analysis.image_sha256 == hashlib.sha256(content).hexdigest()


def test_blurred_image_is_answered_with_a_warning(artifact: Artifact) -> None:
    slope = np.linspace(60, 200, 120)[np.newaxis, :, np.newaxis] * np.ones((90, 1, 3))
    analysis = Analyzer(FakeClassifier(artifact)).run(png(slope.astype(np.uint8)))
    assert analysis.quality.issues == ("blurred",)
    assert analysis.answer is not None


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"%PDF-1.7", "not_an_image")])
def test_unreadable_upload_never_reaches_the_network(artifact: Artifact, content: bytes, reason: str) -> None:
    classifier = FakeClassifier(artifact)
    with pytest.raises(ImageRejected) as caught:
        Analyzer(classifier).run(content)
    assert caught.value.reason == reason
    assert classifier.shown == []


def test_analysing_writes_no_file(artifact: Artifact) -> None:
    analyzer = Analyzer(FakeClassifier(artifact))
    before = {path: path.read_bytes() for path in artifact.folder.rglob("*")}
    analyzer.run(png(sharp_image()))
    assert {path: path.read_bytes() for path in artifact.folder.rglob("*")} == before


def test_one_analyzer_serves_many_threads(artifact: Artifact) -> None:
    analyzer = Analyzer(FakeClassifier(artifact))
    # Alternately reddish (mel) and greenish (nv), each of its own size.
    uploads = [png(sharp_image(180 if n % 2 else 90, 90 + n, 120 + n)) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        analyses = list(pool.map(analyzer.run, uploads))
    for n, (content, analysis) in enumerate(zip(uploads, analyses, strict=True)):
        assert analysis.image_sha256 == hashlib.sha256(content).hexdigest()
        assert analysis.image.shape == (90 + n, 120 + n, 3)
        assert analysis.answered.prediction.dx == ("mel" if n % 2 else "nv")


def kinds(task: Task, is_own: bool) -> list[str]:
    """What DICOM objects are of a task's images, or of another's."""
    return [kind for one in TASKS.values() if (one is task) == is_own for kind in one.dicom_kinds]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_dicom_file_of_another_task_is_refused_with_the_name_of_that_task(task: Task) -> None:
    assert kinds(task, is_own=False) and kinds(task, is_own=True)
    for kind in kinds(task, is_own=False):
        other = next(one for one in TASKS.values() if kind in one.dicom_kinds)
        with pytest.raises(ImageRejected) as caught:
            check_kind(open_image(dicom_file(SOPClassUID=kind)), task)
        assert caught.value.reason == "other_task"
        text = str(caught.value)
        assert f"expected {task.words.images}, received {other.words.images}" in text and repr(other.name) in text


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_dicom_file_that_may_show_anything_is_of_every_task(task: Task) -> None:
    for kind in (*kinds(task, is_own=True), VL_PHOTOGRAPHIC, SECONDARY_CAPTURE):
        check_kind(open_image(dicom_file(SOPClassUID=kind)), task)
    check_kind(open_image(png(np.full((80, 80, 3), 90, dtype=np.uint8))), task)


def test_no_network_is_asked_of_another_task_s_image(artifact: Artifact) -> None:
    classifier = FakeClassifier(artifact)
    with pytest.raises(ImageRejected, match="Ophthalmic Photography 8 Bit"):
        Analyzer(classifier).run(dicom_file(SOPClassUID=OPHTHALMIC_8_BIT))
    assert not classifier.shown
    assert Analyzer(classifier).run(dicom_file(SOPClassUID=VL_PHOTOGRAPHIC)).answer is not None
