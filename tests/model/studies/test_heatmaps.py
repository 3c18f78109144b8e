"""The heatmap study on a made-up dataset and network: which images, which maps, which means, what is written."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import model.studies.heatmaps
from data.datasets.ham10000 import DatasetError, image_path, load_metadata, mask_path
from data.datasets.splits import SPLIT_SEED, TEST, split_by_lesion
from data.tasks.skin import SKIN
from model.explain.faithfulness import IOU_THRESHOLDS, centred_gaussian, random_map
from model.explain.keras_worker import WorkerFailed
from model.images.rejection import RgbImage
from model.inference.artifact import MANIFEST_FILE, Artifact, load_artifact
from model.inference.calibration import Calibration
from model.inference.classifier import NetworkOutput
from model.measures.intervals import Estimate
from model.studies.heatmap_summary import (
    GRAD_CAM,
    MEASURES,
    NOISE,
    PREDICTED_LESION,
    SPOT,
    STUDY_SEED,
    HeatmapMeasures,
    mean_estimate,
    study_to_dict,
    summarise,
)
from model.studies.heatmaps import StudyImage, draw_images, load_pair, main, measure_image, own_map
from tests.support.dashboard import write_artifact
from tests.support.tiny_dataset import write_tiny_dataset

MEL, NV = SKIN.codes.index("mel"), SKIN.codes.index("nv")
UNIFORM = (1 / 7,) * 7


class FakeClassifier:
    """Takes what is dark for a lesion and, the more of it there is, for a melanoma; a nevus has evidence nowhere."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.passes = 0

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        self.passes += 1
        darkness = np.maximum(150 - network_input[..., 1].astype(np.float32), 0) / 150
        cells = darkness.reshape(12, 16, 16, 16).mean(axis=(1, 3))
        maps = np.full((12, 16, 7), -1, dtype=np.float32)
        maps[..., MEL] = cells
        logits = np.zeros(7, dtype=np.float32)
        logits[MEL] = 100 * cells.mean()
        return NetworkOutput(logits, logits[np.newaxis], logits, logits, maps, (cells > 0.1).astype(np.float32))


class FakeWorker:
    """A process with Keras that answers with one hot cell at the top left."""

    calls: list[tuple[str, int]]

    def __init__(self, keras_path: Path) -> None:
        self.calls = []
        self.is_closed = False
        self.fails = False

    def heatmap(self, method: str, network_input: RgbImage, class_index: int) -> np.ndarray:
        if self.fails:
            raise WorkerFailed("out of memory")
        self.calls.append((method, class_index))
        cells = np.zeros((12, 16), dtype=np.float32)
        cells[0, 0] = 1
        return cells

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    folder = write_artifact(tmp_path / "artifact")
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps({**manifest, "split": {**manifest["split"], "seed": SPLIT_SEED}}))
    return load_artifact(folder)


@pytest.fixture
def classifier(artifact: Artifact) -> FakeClassifier:
    return FakeClassifier(artifact)


@pytest.fixture
def image(dataset: Path) -> StudyImage:
    return draw_images(load_metadata(dataset), SPLIT_SEED, 1, 0)[0]


def measures(
    method: str,
    number: int,
    energy: float,
    points: bool = True,
    ious: tuple[float, float] = (0.5, 0.25),
    areas: tuple[float, float] = (math.nan, math.nan),
) -> HeatmapMeasures:
    """Of one image a lesion; the overlaps stand at the two lowest thresholds, at the others it is 0."""
    overlaps = np.zeros(len(IOU_THRESHOLDS))
    overlaps[:2] = ious
    return HeatmapMeasures(method, f"I{number}", f"L{number}", energy, points, overlaps, *areas)


def test_draw_takes_one_image_of_each_locked_lesion_the_classes_in_turn(dataset: Path) -> None:
    metadata = load_metadata(dataset)
    drawn = draw_images(metadata, SPLIT_SEED, 100, 0)
    rows = metadata.assign(part=split_by_lesion(metadata)).set_index("image_id")
    # Nine lesions a class, 15 % rounded up: two of each.
    assert [rows.at[one.image_id, "dx"] for one in drawn] == [*SKIN.codes, *SKIN.codes]
    assert all(rows.at[one.image_id, "part"] == TEST for one in drawn)
    assert all(rows.at[one.image_id, "lesion_id"] == one.lesion_id for one in drawn)
    assert len({one.lesion_id for one in drawn}) == 14
    assert [one.number for one in drawn] == list(range(14))


def test_smaller_draw_is_the_first_part_of_a_larger_one(dataset: Path) -> None:
    metadata = load_metadata(dataset)
    few, many = draw_images(metadata, SPLIT_SEED, 5, 3), draw_images(metadata, SPLIT_SEED, 14, 3)
    assert few == many[:5]
    assert [one.with_faithfulness for one in many] == [True] * 3 + [False] * 11
    assert draw_images(metadata.iloc[::-1], SPLIT_SEED, 14, 3) == many


def test_class_whose_lesions_are_used_up_is_passed_over() -> None:
    # 15 % of three and of twenty lesions, rounded up, are one and three test lesions.
    dx = ["df"] * 3 + ["nv"] * 20
    names = [f"{number:02d}" for number in range(len(dx))]
    metadata = pd.DataFrame({"lesion_id": names, "image_id": names, "dx": dx})
    drawn = draw_images(metadata, SPLIT_SEED, 100, 0)
    assert [dx[int(one.image_id)] for one in drawn] == ["df", "nv", "nv", "nv"]


def test_mask_lies_on_its_image(dataset: Path, image: StudyImage) -> None:
    network_input, mask = load_pair(dataset, image.image_id, 192, 256)
    assert network_input.shape == (192, 256, 3) and network_input.dtype == np.uint8
    assert mask.shape == (192, 256) and mask.dtype == bool
    # The lesion of the made-up images has half the green of the skin.
    assert network_input[..., 1][mask].mean() < 100 < 170 < network_input[..., 1][~mask].mean()


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (mask_path, r"expected .*\.jpg in .*python -m data\.download$"),
        (image_path, "the lesion mask of .*--part masks$"),
    ],
)
def test_missing_file_is_named(dataset: Path, tmp_path: Path, kept, message: str) -> None:  # type: ignore[no-untyped-def]
    path = kept(dataset, "ISIC_0000")
    copy = tmp_path / path.relative_to(dataset)
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=message):
        load_pair(tmp_path, "ISIC_0000", 192, 256)


def test_maps_are_what_their_names_say(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    network_input, _ = load_pair(dataset, image.image_id, 192, 256)
    output = classifier.forward(network_input)
    artifact = classifier.artifact

    def map_of(method: str, class_index: int = MEL, number: int = 4) -> np.ndarray:
        return own_map(method, output, class_index, number, artifact)

    centre_of_cells = (slice(8, None, 16), slice(8, None, 16))
    assert np.corrcoef(map_of(GRAD_CAM)[centre_of_cells].ravel(), output.maps[..., MEL].ravel())[0, 1] > 0.99
    assert not map_of(GRAD_CAM, NV).any()  # signed maps: what speaks against a class is no evidence
    assert np.corrcoef(map_of(PREDICTED_LESION)[centre_of_cells].ravel(), output.lesion.ravel())[0, 1] > 0.95
    np.testing.assert_array_equal(map_of(SPOT), centred_gaussian(192, 256))
    np.testing.assert_array_equal(map_of(NOISE), random_map(192, 256, np.random.default_rng([STUDY_SEED, 4])))
    assert not np.array_equal(map_of(NOISE), map_of(NOISE, number=5))


@pytest.mark.parametrize("method", ["Eigen-CAM", "Score-CAM"])
def test_unknown_method_or_one_without_its_worker_is_refused(
    classifier: FakeClassifier, dataset: Path, image: StudyImage, method: str
) -> None:
    with pytest.raises(ValueError, match=f"received '{method}'"):
        measure_image(image, dataset, classifier, [method])


def test_measures_of_one_image(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    grad_cam, lesion, spot = measure_image(image, dataset, classifier, [GRAD_CAM, PREDICTED_LESION, SPOT])
    assert (grad_cam.method, grad_cam.image_id, grad_cam.lesion_id) == (GRAD_CAM, image.image_id, image.lesion_id)
    assert grad_cam.points_inside
    assert grad_cam.energy_inside > spot.energy_inside
    assert lesion.ious.max() > 0.8
    assert math.isnan(grad_cam.insertion) and math.isnan(grad_cam.deletion)
    assert classifier.passes == 1


def test_score_follows_the_map_that_made_it(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    grad_cam, noise = measure_image(replace(image, with_faithfulness=True), dataset, classifier, [GRAD_CAM, NOISE])
    assert 0 <= grad_cam.deletion < grad_cam.insertion <= 1
    assert grad_cam.insertion - grad_cam.deletion > noise.insertion - noise.deletion
    assert classifier.passes == 1 + 2 * 2 * 17


def test_map_is_that_of_the_decided_class(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    # Almost all of this population are melanomas, so that a probability of melanoma below its share speaks for others:
    # the decision is the first of the other six, for which nothing speaks.
    prior = tuple(0.9999 if index == MEL else 0.0001 / 6 for index in range(7))
    artifact = replace(classifier.artifact, calibration=Calibration(1000.0, (0.0,) * 7, "melanomas", prior))
    (grad_cam,) = measure_image(image, dataset, FakeClassifier(artifact), [GRAD_CAM])
    assert math.isnan(grad_cam.energy_inside) and not grad_cam.points_inside


def test_keras_methods_come_from_the_worker(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    worker = FakeWorker(Path())
    (score_cam,) = measure_image(image, dataset, classifier, ["Score-CAM"], worker)  # type: ignore[arg-type]
    assert worker.calls == [("Score-CAM", MEL)]
    assert score_cam.energy_inside == 0 and not score_cam.points_inside  # the corner is skin


def test_mean_leaves_out_what_cannot_be_said() -> None:
    weights = np.array([[2, 0], [0, 2], [1, 1]], dtype=np.float32)
    # Bootstrap means 1, 3 and 2: the bounds lie a twentieth of the way from the lowest and the highest to the middle.
    assert mean_estimate(np.array([1.0, 3.0]), weights) == Estimate(2.0, pytest.approx(1.05), pytest.approx(2.95))
    assert mean_estimate(np.array([1.0, np.nan]), weights) == Estimate(1.0, 1.0, 1.0)
    nothing = mean_estimate(np.array([np.nan, np.nan]), weights)
    assert math.isnan(nothing.value) and math.isnan(nothing.low) and math.isnan(nothing.high)


def test_summary_by_hand() -> None:
    study = summarise(
        [
            measures(GRAD_CAM, 0, 0.25, areas=(0.75, 0.25)),
            measures(GRAD_CAM, 1, 0.5, points=False, areas=(0.5, 0.5)),
            measures(GRAD_CAM, 2, math.nan, points=False, ious=(0.0, 0.0)),
            measures(GRAD_CAM, 3, 0.75),
            measures(SPOT, 0, 0.5, areas=(0.25, 0.25)),
            measures(SPOT, 1, 0.25, areas=(0.5, 0.75)),
        ]
    )
    assert (study.images, study.lesions) == (4, 4)
    grad_cam, spot = study.methods
    assert (grad_cam.method, grad_cam.images, grad_cam.without_evidence, grad_cam.faithfulness_images) == (
        GRAD_CAM,
        4,
        1,
        2,
    )
    assert grad_cam.iou_thresholds == (IOU_THRESHOLDS[0], IOU_THRESHOLDS[0])
    means = {name: getattr(grad_cam.measures, name).value for name in MEASURES}
    assert means == pytest.approx(
        {
            "energy_inside": 0.5,  # of three
            "pointing": 0.5,  # of four: no evidence is a miss
            "iou": 0.375,
            "insertion": 0.625,
            "deletion": 0.375,
            "faithfulness": 0.25,
        }
    )
    assert grad_cam.measures.faithfulness.low == 0 and grad_cam.measures.faithfulness.high == 0.5
    # Two of two are inside, and the bound is the exact one: 0.025 to the power of a half.
    assert spot.measures.pointing == Estimate(1.0, pytest.approx(0.158, abs=0.001), 1.0)


def test_comparison_is_paired_on_the_images_of_both() -> None:
    (comparison,) = summarise(
        [
            measures(GRAD_CAM, 2, 0.0, points=False),
            measures(GRAD_CAM, 1, 0.75, points=False, areas=(0.5, 0.25)),
            measures(GRAD_CAM, 0, 0.5, areas=(0.75, 0.25)),
            measures(SPOT, 0, 0.25, areas=(0.25, 0.5)),
            measures(SPOT, 1, math.nan),
        ]
    ).comparisons
    assert (comparison.method, comparison.other) == (GRAD_CAM, SPOT)
    assert (comparison.images, comparison.faithfulness_images) == (2, 1)
    assert comparison.measures.energy_inside == Estimate(0.25, 0.25, 0.25)  # the other pair is no pair
    assert comparison.measures.pointing.value == -0.5
    assert comparison.measures.iou.value == 0
    assert comparison.measures.insertion.value == 0.5
    assert comparison.measures.deletion.value == -0.25
    assert comparison.measures.faithfulness.value == 0.75


def test_without_grad_cam_nothing_is_compared() -> None:
    study = summarise(
        [measures(SPOT, 0, 0.5), measures(SPOT, 1, 0.5), measures(NOISE, 0, 0.5), measures(NOISE, 1, 0.5)]
    )
    assert [one.method for one in study.methods] == [SPOT, NOISE]
    assert study.comparisons == ()


def test_one_lesion_is_too_few() -> None:
    with pytest.raises(ValueError, match="expected overlaps of at least one image"):
        summarise([measures(SPOT, 0, 0.5)])


def test_study_as_json() -> None:
    stored = study_to_dict(summarise([measures(SPOT, 0, 0.5), measures(SPOT, 1, 0.25)]))
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert (stored["data"], stored["split"], stored["images"]) == ("HAM10000", "locked test", 2)
    (spot,) = stored["methods"]
    assert spot["measures"]["energy_inside"] == {"value": 0.375, "low": 0.25, "high": 0.5}
    assert spot["measures"]["insertion"] == {"value": None, "low": None, "high": None}


def run(monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, fails: bool = False) -> int:
    def worker(keras_path: Path) -> FakeWorker:
        assert keras_path == artifact.keras_path
        made = FakeWorker(keras_path)
        made.fails = fails
        workers.append(made)
        return made

    workers: list[FakeWorker] = []
    monkeypatch.setattr(
        model.studies.heatmaps, "classifier_of_process", lambda folder: FakeClassifier(load_artifact(folder))
    )
    monkeypatch.setattr(model.studies.heatmaps, "KerasWorker", worker)
    numbers = ["--images", "7", "--faithfulness-images", "2", "--keras-images", "3", "--processes", "1"]
    methods = ["--methods", GRAD_CAM, "Score-CAM", SPOT, NOISE]
    code = main(["--artifact", str(artifact.folder), "--dataset", str(dataset), *numbers, *methods])
    assert all(one.is_closed for one in workers)
    return code


def test_command_line_writes_the_section_and_prints_it(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, artifact, dataset) == 0
    section = load_artifact(artifact.folder).manifest["heatmaps"]
    counts = {one["method"]: (one["images"], one["faithfulness_images"]) for one in section["methods"]}
    assert counts == {GRAD_CAM: (7, 2), SPOT: (7, 2), NOISE: (7, 2), "Score-CAM": (3, 2)}
    assert {one["other"]: one["images"] for one in section["comparisons"]} == {SPOT: 7, NOISE: 7, "Score-CAM": 3}
    printed = capsys.readouterr().out
    energy = section["methods"][0]["measures"]["energy_inside"]
    assert f"{energy['value']:.3f} ({energy['low']:.3f} to {energy['high']:.3f})" in printed
    assert "Grad-CAM minus Centred Gaussian" in printed
    assert "Score-CAM (0 without evidence)" in printed


def test_failing_worker_is_closed_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, artifact, dataset, fails=True) == 2
    assert "out of memory" in capsys.readouterr().err
    assert "heatmaps" not in load_artifact(artifact.folder).manifest


def test_folder_that_is_no_artifact_or_no_dataset_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch,
    artifact: Artifact,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--artifact", str(tmp_path / "none"), "--dataset", str(dataset)]) == 2
    assert "expected manifest.json" in capsys.readouterr().err
    assert run(monkeypatch, artifact, tmp_path) == 2
    assert "expected HAM10000_metadata.csv" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--images", "1"], ["--methods", "Eigen-CAM"], ["--processes", "0"]])
def test_wrong_arguments_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err
