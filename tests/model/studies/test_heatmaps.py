"""The heatmap study on a made-up dataset and network: which images, which maps, which means, what is written."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import model.studies.heatmaps
from dashboard.evaluation.studies.heatmap_wording import heatmap_meaning
from dashboard.evaluation.studies.trust_tables import heatmap_differences
from data.datasets.ham10000 import load_metadata
from data.datasets.splits import split_by_lesion
from data.tasks.skin import SKIN
from model.explain.faithfulness import IOU_THRESHOLDS, centred_gaussian, random_map
from model.explain.keras_worker import WorkerFailed
from model.explain.stability import NOISE_LEVELS, NOISE_SAMPLES
from model.images.rejection import RgbImage
from model.inference.artifact import MANIFEST_FILE, OUT_OF_FOLD_FILE, Artifact, load_artifact, sha256_of
from model.inference.calibration import Calibration
from model.inference.classifier import NetworkOutput
from model.measures.intervals import Estimate
from model.studies.heatmap_randomisation import RandomisedMap, Similarity
from model.studies.heatmap_summary import (
    GRAD_CAM,
    MEASURES,
    NOISE,
    PREDICTED_LESION,
    SPOT,
    HeatmapMeasures,
    Place,
    format_report,
    mean_estimate,
    study_to_dict,
    summarise,
)
from model.studies.heatmaps import main, measure_image, own_map
from model.studies.held_out import STUDY_SEED, HeldOutNetwork, StudyImage, draw_images, load_input
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
def artifact(dataset: Path, tmp_path: Path) -> Artifact:
    """Its out-of-fold predictions are of the made-up dataset, whose locked lesions it does not name."""
    folder = write_artifact(tmp_path / "artifact")
    metadata = load_metadata(dataset)
    parts = split_by_lesion(metadata)
    rows = metadata[parts.isin(("fold0", "fold1"))].assign(fold=parts.str.removeprefix("fold"))
    rows.to_csv(folder / OUT_OF_FOLD_FILE, index=False)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"][OUT_OF_FOLD_FILE]["sha256"] = sha256_of(folder / OUT_OF_FOLD_FILE)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return load_artifact(folder)


@pytest.fixture
def classifier(artifact: Artifact) -> FakeClassifier:
    return FakeClassifier(artifact)


@pytest.fixture
def image(artifact: Artifact) -> StudyImage:
    return draw_images(artifact, 1)[0]


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
    place = Place(energy, points, overlaps)
    return HeatmapMeasures(method, f"I{number}", f"L{number}", not math.isnan(energy), place, *areas)


def test_maps_are_what_their_names_say(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    network_input = load_input(dataset, image.image_id, 192, 256)
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
        measure_image(image, dataset, classifier, [method], False)


def test_measures_of_one_image(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    grad_cam, lesion, spot = measure_image(image, dataset, classifier, [GRAD_CAM, PREDICTED_LESION, SPOT], False)
    assert (grad_cam.method, grad_cam.image_id, grad_cam.lesion_id) == (GRAD_CAM, image.image_id, image.lesion_id)
    assert grad_cam.place is not None and lesion.place is not None and spot.place is not None
    assert grad_cam.place.points_inside and grad_cam.has_evidence
    assert grad_cam.place.energy_inside > spot.place.energy_inside
    assert lesion.place.ious.max() > 0.8
    assert math.isnan(grad_cam.insertion) and math.isnan(grad_cam.deletion) and math.isnan(grad_cam.noise_change)
    assert classifier.passes == 1


def test_score_follows_the_map_that_made_it(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    grad_cam, noise = measure_image(image, dataset, classifier, [GRAD_CAM, NOISE], True)
    assert 0 <= grad_cam.deletion < grad_cam.insertion <= 1
    assert grad_cam.insertion - grad_cam.deletion > noise.insertion - noise.deletion
    assert classifier.passes == 1 + 2 * 2 * 17 + 1 + NOISE_SAMPLES
    # The map is made of the image's own pixels, so noise moves it, a little; only the network's map is asked for that.
    assert 0 < grad_cam.noise_change < 0.1 and math.isnan(noise.noise_change)


def test_network_that_finds_no_lesion_has_no_map_of_it(
    classifier: FakeClassifier, dataset: Path, image: StudyImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = classifier.forward
    monkeypatch.setattr(classifier, "forward", lambda shown: replace(forward(shown), lesion=None))
    (grad_cam,) = measure_image(image, dataset, classifier, [GRAD_CAM, PREDICTED_LESION], False)
    assert grad_cam.method == GRAD_CAM


def test_map_is_that_of_the_decided_class(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    # Almost all of this population are melanomas, so that a probability of melanoma below its share speaks for others:
    # the decision is the first of the other six, for which nothing speaks.
    prior = tuple(0.9999 if index == MEL else 0.0001 / 6 for index in range(7))
    artifact = replace(classifier.artifact, calibration=Calibration(1000.0, (0.0,) * 7, "melanomas", prior))
    (grad_cam,) = measure_image(image, dataset, FakeClassifier(artifact), [GRAD_CAM], False)
    assert grad_cam.place is not None and not grad_cam.has_evidence
    assert math.isnan(grad_cam.place.energy_inside) and not grad_cam.place.points_inside


def test_keras_methods_come_from_the_worker(classifier: FakeClassifier, dataset: Path, image: StudyImage) -> None:
    worker = FakeWorker(Path())
    (score_cam,) = measure_image(image, dataset, classifier, ["Score-CAM"], False, worker)  # type: ignore[arg-type]
    assert worker.calls == [("Score-CAM", MEL)]
    assert score_cam.place is not None
    assert score_cam.place.energy_inside == 0 and not score_cam.place.points_inside  # the corner is skin


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


def test_change_under_noise_is_a_mean_over_the_maps_that_show_something() -> None:
    changes = (0.25, 0.75, math.nan)
    measured = [replace(measures(GRAD_CAM, number, 0.5), noise_change=one) for number, one in enumerate(changes)]
    noise = summarise(measured).noise
    assert noise is not None and (noise.images, noise.samples, noise.levels) == (2, NOISE_SAMPLES, NOISE_LEVELS)
    assert noise.change == Estimate(0.5, 0.25, 0.75)


def test_one_lesion_is_too_few() -> None:
    with pytest.raises(ValueError, match="expected overlaps of at least one image"):
        summarise([measures(SPOT, 0, 0.5)])


def test_study_as_json() -> None:
    stored = study_to_dict(summarise([measures(SPOT, 0, 0.5), measures(SPOT, 1, 0.25)]), SKIN)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert (stored["data"], stored["split"], stored["images"]) == ("HAM10000", "out of fold", 2)
    assert stored["noise"] is None  # not measured
    (spot,) = stored["methods"]
    assert spot["measures"]["energy_inside"] == {"value": 0.375, "low": 0.25, "high": 0.5}
    assert spot["measures"]["insertion"] == {"value": None, "low": None, "high": None}


def test_without_masks_all_but_the_place_is_measured(
    classifier: FakeClassifier, dataset: Path, image: StudyImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = classifier.artifact.task
    unmasked = replace(task, dataset=replace(task.dataset, name="Orchard", has_masks=False))
    classifier.artifact = replace(classifier.artifact, task=unmasked)
    monkeypatch.delattr(model.studies.heatmaps, "load_mask")
    measured = measure_image(image, dataset, classifier, [GRAD_CAM, SPOT], True)
    assert [one.place for one in measured] == [None, None]
    others = [replace(one, image_id="another", lesion_id="another") for one in measured]
    study = summarise([*measured, *others])
    (grad_cam, _), (pair,) = study.methods, study.comparisons
    assert (grad_cam.images, grad_cam.without_evidence, grad_cam.faithfulness_images) == (2, 0, 2)
    for result in (grad_cam, pair):
        assert math.isnan(result.measures.energy_inside.value)
        assert math.isnan(result.measures.pointing.value) and math.isnan(result.measures.iou.value)
        assert math.isfinite(result.measures.faithfulness.value)
    stored = study_to_dict(study, unmasked)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored and stored["data"] == "Orchard"
    assert "Where they lie is not measured: Orchard has no masks." in format_report(study, "toy", unmasked)
    differences = heatmap_differences(stored)
    meaning = heatmap_meaning(unmasked, differences, GRAD_CAM, SPOT)
    assert "whether it lies where it should was not measured" in meaning and "nan" not in meaning


def run(monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, fails: bool = False) -> int:
    def worker(keras_path: Path) -> FakeWorker:
        assert keras_path in {Path("0.keras"), Path("1.keras")}
        made = FakeWorker(keras_path)
        made.fails = fails
        workers.append(made)
        return made

    def classifier_of(folder: Path, serving_file: Path) -> FakeClassifier:
        answered.append(serving_file)
        return FakeClassifier(load_artifact(folder))

    def randomised(images, dataset, artifact, networks):  # type: ignore[no-untyped-def]
        return [RandomisedMap(one.lesion_id, "output", 0.0, True, Similarity(0.5, 0.625, 0.75)) for one in images]

    workers: list[FakeWorker] = []
    answered: list[Path] = []
    monkeypatch.setattr(model.studies.heatmaps, "classifier_of_process", classifier_of)
    monkeypatch.setattr(model.studies.heatmaps, "KerasWorker", worker)
    monkeypatch.setattr(
        model.studies.heatmaps,
        "write_networks",
        lambda artifact, folds, folder: {
            fold: HeldOutNetwork(Path(f"{fold}.tflite"), Path(f"{fold}.keras")) for fold in folds
        },
    )
    monkeypatch.setattr(model.studies.heatmaps, "measure_randomised", randomised)
    numbers = ["--images", "7", "--faithfulness-images", "2", "--randomised-images", "4", "--keras-images", "3"]
    methods = ["--processes", "1", "--methods", GRAD_CAM, "Score-CAM", SPOT, NOISE]
    code = main(["--artifact", str(artifact.folder), "--dataset", str(dataset), *numbers, *methods])
    assert all(one.is_closed for one in workers)
    # Each image by the network that was not trained on its fold.
    for image, serving_file in zip(draw_images(artifact, 7), answered, strict=False):
        assert serving_file == Path(f"{image.fold}.tflite")
    return code


def test_command_line_writes_the_section_and_prints_it(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, artifact, dataset) == 0
    section = load_artifact(artifact.folder).manifest["heatmaps"]
    counts = {one["method"]: (one["images"], one["faithfulness_images"]) for one in section["methods"]}
    assert counts[GRAD_CAM] == counts[SPOT] == counts[NOISE] == (7, 2)
    assert counts["Score-CAM"][0] == 3
    assert {one["other"]: one["images"] for one in section["comparisons"]} == {SPOT: 7, NOISE: 7, "Score-CAM": 3}
    assert section["noise"]["images"] == 2
    assert section["randomisation"]["images"] == 4
    (stage,) = section["randomisation"]["stages"]
    assert (stage["part"], stage["absolute_rank_correlation"]["value"]) == ("output", 0.625)
    printed = capsys.readouterr().out
    energy = section["methods"][0]["measures"]["energy_inside"]
    assert f"{energy['value']:.3f} ({energy['low']:.3f} to {energy['high']:.3f})" in printed
    assert "Grad-CAM minus Centred Gaussian" in printed
    assert "Score-CAM (0 without evidence)" in printed
    assert "Network randomised, 4 images" in printed and "0.625 (0.625 to 0.625)" in printed


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
    assert re.search(r"expected ISIC_\d+\.jpg in .*python -m data\.download", capsys.readouterr().err)
