"""The robustness study on made-up answers worked out by hand, a made-up network and dataset, and the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import model.studies.robustness
from data.datasets.ham10000 import DatasetError
from data.datasets.splits import SPLIT_SEED, locked_test_files
from data.tasks.skin import SKIN
from model.images.decoding import decode_image
from model.images.framing import to_network_input
from model.images.perturbations import PERTURBATIONS
from model.images.rejection import RgbImage
from model.inference.artifact import MANIFEST_FILE, Artifact, ArtifactMismatch, load_artifact
from model.inference.classifier import NetworkOutput
from model.measures.intervals import Estimate
from model.studies.robustness import (
    answers_of,
    draw_images,
    first_images,
    format_report,
    logits_of_image,
    logits_of_images,
    main,
    study_to_dict,
    summarise,
)
from tests.support.dashboard import write_artifact
from tests.support.tiny_dataset import write_tiny_dataset

MEL, NV = SKIN.codes.index("mel"), SKIN.codes.index("nv")
NOTHING = Estimate(0.0, 0.0, 0.0)


class FakeClassifier:
    """Takes a dark image for a melanoma; keeps what it was shown."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.shown: list[RgbImage] = []

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        self.shown.append(network_input.copy())
        logits = np.zeros(7, dtype=np.float32)
        logits[MEL] = (170 - network_input.mean()) / 10
        nothing = np.zeros(1, dtype=np.float32)
        return NetworkOutput(logits, logits[np.newaxis], nothing, nothing, np.zeros((12, 16, 7), np.float32), nothing)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """Uniform class shares; p(malignant) of 0.25 and more is flagged."""
    folder = write_artifact(tmp_path / "artifact")
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps({**manifest, "split": {**manifest["split"], "seed": SPLIT_SEED}}))
    return load_artifact(folder)


def lesions_of(dx: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"lesion_id": [f"L{number}" for number in range(len(dx))], "dx": dx})


def logits_from(p_gravest: Sequence[float], changed: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    """(N, 1 + P, 7) logits of images that are melanoma or nevus, the same under all but the `changed` perturbations."""
    columns = [p_gravest, *(changed.get(one.key, p_gravest) for one in PERTURBATIONS)]
    probabilities = np.full((len(p_gravest), len(columns), 7), 1e-12)
    probabilities[..., MEL] = np.transpose(columns)
    probabilities[..., NV] = 1 - probabilities[..., MEL]
    return np.log(probabilities)


def values(estimates: object) -> dict[str, float]:
    return {field.name: getattr(estimates, field.name).value for field in fields(estimates)}  # type: ignore[arg-type]


def test_answers_follow_calibration_decision_and_default_operating_point(artifact: Artifact) -> None:
    answers = answers_of(logits_from([0.75, 0.3, 0.2], {})[:, 0], artifact)
    assert answers.p_positive == pytest.approx([0.75, 0.3, 0.2])
    assert answers.p_gravest == pytest.approx([0.75, 0.3, 0.2])
    assert answers.dx_predicted.tolist() == [MEL, NV, NV]
    assert answers.is_flagged.tolist() == [True, True, False]


def test_study_by_hand(artifact: Artifact) -> None:
    lesions = lesions_of(["mel", "mel", "nv", "nv"])
    logits = logits_from([0.9, 0.1, 0.2, 0.6], {"ink": [0.1, 0.3, 0.2, 0.1], "squashed": [0.9, 0.9, 0.2, 0.1]})
    study = summarise(lesions, logits, artifact, locked_lesions=9)
    assert (study.images, study.lesions, study.locked_lesions) == (4, 4, 9)
    assert (study.operating_point, study.threshold) == ("sensitivity_95", 0.25)
    # As they are: the first melanoma and the last nevus are taken for melanoma. 0.9 leads 0.2 and 0.6, 0.1 neither.
    assert values(study.unperturbed) == {
        "balanced_accuracy": 0.5,
        "gravest_auroc": 0.5,
        "positive_auroc": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
    }
    effects = {effect.key: effect for effect in study.perturbations}
    assert list(effects) == [one.key for one in PERTURBATIONS]
    # Ink: flags leave the first and the last and reach the second (0.3); the classes of the first and the last change.
    ink = effects["ink"]
    assert (ink.name, ink.kind) == ("Surgical ink beside the lesion", "artefact")
    assert (ink.decision_flips.value, ink.class_changes.value) == (0.75, 0.5)
    assert ink.balanced_accuracy_difference.value == 0  # no melanoma and both nevi, instead of one each
    # 0.3 leads 0.2 and 0.1; 0.1 ties with 0.1: 2.5 of 4.
    assert values(ink.metrics) == {
        "balanced_accuracy": 0.5,
        "gravest_auroc": 0.625,
        "positive_auroc": 0.625,
        "sensitivity": 0.5,
        "specificity": 1.0,
    }
    # Both of two: the exact bound, 0.025 to the power of a half.
    assert ink.metrics.specificity == Estimate(1.0, pytest.approx(0.158, abs=1e-3), 1.0)
    squashed = effects["squashed"]
    assert (squashed.decision_flips.value, squashed.class_changes.value) == (0.5, 0.5)
    difference = squashed.balanced_accuracy_difference
    assert difference.value == 0.5
    assert difference.low <= 0.5 <= difference.high <= 1 and difference.low >= 0
    assert values(squashed.metrics) == dict.fromkeys(values(squashed.metrics), 1.0)
    assert effects["hair"].balanced_accuracy_difference == NOTHING
    assert effects["hair"].metrics == study.unperturbed
    # None of four lesions: up to 1 - 0.025 to the power of a quarter.
    assert effects["hair"].decision_flips == Estimate(0.0, 0.0, pytest.approx(0.602, abs=1e-3))


def test_difference_is_paired(artifact: Artifact) -> None:
    # Each class is found in every second lesion, and under blur in one more: by itself each balanced accuracy varies
    # from one bootstrap sample to the next, but their difference is never below 0.
    dx = ["mel", "nv"] * 10
    before = [0.9 if dx[number] == "mel" and number % 4 else 0.1 for number in range(20)]
    after = [0.9 if dx[number] == "mel" and number else p for number, p in enumerate(before)]
    study = summarise(lesions_of(dx), logits_from(before, {"blur": after}), artifact, 20)
    blur = next(effect for effect in study.perturbations if effect.key == "blur")
    # Five of ten melanomas before, nine after.
    assert blur.balanced_accuracy_difference.value == pytest.approx(0.2)
    assert 0 <= blur.balanced_accuracy_difference.low < 0.2 < blur.balanced_accuracy_difference.high
    assert study.unperturbed.balanced_accuracy.low < 0.7 < study.unperturbed.balanced_accuracy.high


def test_group_without_images_cannot_be_said(artifact: Artifact) -> None:
    study = summarise(lesions_of(["nv", "nv"]), logits_from([0.1, 0.9], {}), artifact, 2)
    assert math.isnan(study.unperturbed.sensitivity.value)
    assert math.isnan(study.unperturbed.gravest_auroc.value)
    assert study.unperturbed.specificity.value == 0.5
    stored = study_to_dict(study, SKIN)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert stored["unperturbed"]["sensitivity"] == {"value": None, "low": None, "high": None}
    line = next(one for one in format_report(stored, "skin", SKIN).splitlines() if one.startswith("unperturbed"))
    # The sensitivity and both areas.
    assert line.split().count("-") == 3


def test_section_says_what_was_measured_and_on_what(artifact: Artifact) -> None:
    stored = study_to_dict(summarise(lesions_of(["mel", "nv"]), logits_from([0.9, 0.1], {}), artifact, 5), SKIN)
    told = {name: stored[name] for name in ("data", "split", "drawn", "images", "lesions", "locked_lesions", "seed")}
    assert told == {
        "data": "HAM10000",
        "split": "locked test",
        "drawn": "one image a lesion, the first in the metadata",
        "images": 2,
        "lesions": 2,
        "locked_lesions": 5,
        "seed": 1,
    }
    row = stored["perturbations"][0]
    assert (row["key"], row["kind"], row["balanced_accuracy_difference"]["value"]) == ("ink", "artefact", 0.0)
    assert row["metrics"]["sensitivity"]["value"] == 1.0


def test_report_tells_on_what_and_has_a_line_a_perturbation(artifact: Artifact) -> None:
    study = summarise(lesions_of(["mel", "nv"]), logits_from([0.9, 0.1], {}), artifact, 2)
    printed = format_report(study_to_dict(study, SKIN), "skin 1.0", SKIN).splitlines()
    assert printed[0] == (
        "skin 1.0: robustness on 2 of 2 locked test lesions, one image each; threshold 0.2500 (sensitivity_95)"
    )
    assert all(any(line.startswith(one.name) for line in printed) for one in PERTURBATIONS)


def test_one_image_a_lesion_the_first(dataset: Path) -> None:
    files = locked_test_files(dataset, SPLIT_SEED, SKIN.codes)
    lesions = first_images(files)
    # Two locked lesions a class; every third lesion of the dataset has two images, numbered 0 and 1 at the end.
    assert len(lesions) == 14 < len(files)
    assert lesions["lesion_id"].is_unique
    assert lesions["image_id"].str.endswith("0").all()
    assert lesions["dx"].tolist() == [dx for dx in SKIN.codes for _ in range(2)]


def test_smaller_study_is_a_fixed_draw(dataset: Path) -> None:
    lesions = first_images(locked_test_files(dataset, SPLIT_SEED, SKIN.codes))
    drawn = draw_images(lesions, 5)
    pd.testing.assert_frame_equal(drawn, draw_images(lesions, 5))
    assert len(drawn) == 5 and drawn["lesion_id"].is_unique
    # Not the first five: the table is sorted by class.
    assert drawn["dx"].nunique() > 2
    assert drawn["image_id"].is_monotonic_increasing
    pd.testing.assert_frame_equal(draw_images(lesions, None), lesions)
    pd.testing.assert_frame_equal(draw_images(lesions, 14), lesions)
    pd.testing.assert_frame_equal(draw_images(lesions, 99), lesions)


def test_network_sees_the_file_and_then_each_perturbation_of_it(dataset: Path, artifact: Artifact) -> None:
    classifier = FakeClassifier(artifact)
    path = locked_test_files(dataset, SPLIT_SEED, SKIN.codes)["path"].iloc[0]
    logits = logits_of_image(path, 3, classifier)
    assert logits.shape == (1 + len(PERTURBATIONS), 7) and logits.dtype == np.float64
    image = decode_image(path.read_bytes())
    expected = [image, *(one.apply(image, 3) for one in PERTURBATIONS)]
    for shown, one in zip(classifier.shown, expected, strict=True):
        np.testing.assert_array_equal(shown, to_network_input(one, 192, 256)[0])
    np.testing.assert_allclose(logits[:, MEL], [(170 - shown.mean()) / 10 for shown in classifier.shown], rtol=1e-5)


def test_file_that_cannot_be_decoded_is_named(tmp_path: Path, artifact: Artifact) -> None:
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(DatasetError, match=r"ISIC_1\.jpg: expected .*received a PDF document"):
        logits_of_image(path, 0, FakeClassifier(artifact))


def test_error_in_another_process_comes_back_as_itself(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatch, match=r"expected manifest\.json in .*none"):
        logits_of_images([tmp_path / "ISIC_1.jpg"], tmp_path / "none", processes=2)


def run(monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path) -> int:
    monkeypatch.setattr(
        model.studies.robustness, "classifier_of_process", lambda folder: FakeClassifier(load_artifact(folder))
    )
    numbers = ["--images", "3", "--processes", "1"]
    return main(["--artifact", str(artifact.folder), "--dataset", str(dataset), *numbers])


def test_command_line_writes_the_section_and_prints_it(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, artifact, dataset) == 0
    section = load_artifact(artifact.folder).manifest["robustness"]
    assert (section["images"], section["locked_lesions"]) == (3, 14)
    assert [row["key"] for row in section["perturbations"]] == [one.key for one in PERTURBATIONS]
    printed = capsys.readouterr().out
    assert printed.startswith("made-up 0.1: robustness on 3 of 14 locked test lesions")
    assert printed.rstrip() == format_report(section, "made-up 0.1", SKIN)


def test_folder_that_is_no_artifact_or_no_dataset_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch,
    artifact: Artifact,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (artifact.folder / MANIFEST_FILE).read_bytes()
    assert main(["--artifact", str(tmp_path / "none"), "--dataset", str(dataset)]) == 2
    assert "expected manifest.json" in capsys.readouterr().err
    assert run(monkeypatch, artifact, tmp_path) == 2
    assert "expected HAM10000_metadata.csv" in capsys.readouterr().err
    assert (artifact.folder / MANIFEST_FILE).read_bytes() == before


@pytest.mark.parametrize("wrong", [["--images", "0"], ["--processes", "none"]])
def test_wrong_numbers_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err
