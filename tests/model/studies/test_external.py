"""A labelled folder measured by the command, from its files to a model that is served; the committed entry."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from data.datasets.ham10000 import image_path, load_metadata
from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.inference.measured import ExternalResult, MeasuredRate, Outcome
from model.inference.runtimes import LiteRTClassifier
from model.studies.external import main

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)
SAMPLES = Path(__file__).resolve().parents[3] / "data" / "sample"
MEL, NV, BKL = (SKIN.index(dx) for dx in ("mel", "nv", "bkl"))


def test_command_keeps_an_entry_in_the_artifact_and_replaces_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = tmp_path / "skin", sorted(SAMPLES.glob("*.jpg"))[:3]
    shutil.copytree(DEFAULT_ARTIFACT, folder)
    rows = [{"image_id": path.name, "dx": dx} for path, dx in zip(images, ("mel", "nv", "bkl"), strict=True)]
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    options = ["--artifact", str(folder), "--images", str(SAMPLES), "--labels", str(tmp_path / "labels.csv")]
    for _ in range(2):
        assert main([*options, "--name", "A clinic", "--processes", "1"]) == 0
    out = capsys.readouterr().out
    assert "A clinic, 3 images" in out and "sensitivity_95: malignant" in out
    artifact = load_artifact(folder)
    assert [one["name"] for one in artifact.manifest["external"]].count("A clinic") == 1
    assert main([*options, "--name", "Another", "--processes", "1", "--dry-run"]) == 0
    assert load_artifact(folder).manifest == artifact.manifest
    assert main([*options[:-1], str(tmp_path / "none.csv"), "--name", "A clinic"]) == 2
    assert "could not read it" in capsys.readouterr().err


def test_labelled_folder_becomes_a_model_that_is_served(
    tmp_path: Path, ham10000_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = load_metadata(ham10000_folder, SKIN.codes).drop_duplicates("lesion_id").sort_values("image_id")
    is_positive = rows["dx"].isin(SKIN.question.positives)
    rows = pd.concat([rows[is_positive].head(26), rows[~is_positive].head(26)])
    folder = tmp_path / "photos"
    folder.mkdir()
    for image_id in rows["image_id"]:
        (folder / f"{image_id}.jpg").symlink_to(image_path(ham10000_folder, image_id))
    rows.rename(columns={"image_id": "image"})[["image", "dx"]].to_csv(tmp_path / "labels.csv", sep=";", index=False)
    (folder / f"{rows['image_id'].iloc[0]}.jpg").unlink()
    (folder / f"{rows['image_id'].iloc[0]}.jpg").write_bytes(b"no image")
    options = ["--images", str(folder), "--labels", str(tmp_path / "labels.csv"), "--name", "Our clinic", "--dry-run"]
    files = ["--output", str(tmp_path / "ours"), "--predictions", str(tmp_path / "said.csv")]
    assert main([*options, *files, "--processes", "1"]) == 0
    printed = capsys.readouterr()
    assert f"{rows['image_id'].iloc[0]}.jpg: no answer (unreadable)" in printed.err
    assert "Next to the locked test" in printed.out and "Recalibration: fitted on" in printed.out
    said = pd.read_csv(tmp_path / "said.csv")
    assert len(said) == len(rows) and said["quality"][0] == "unreadable" and set(said["half"]) == {"fitted", "measured"}
    derived = load_artifact(tmp_path / "ours")
    assert derived.version.endswith(", Our clinic")
    # Folders of this machine stay out of what is published.
    assert str(tmp_path) not in json.dumps(derived.manifest)
    analysis = Analyzer(LiteRTClassifier(derived)).run((folder / f"{rows['image_id'].iloc[1]}.jpg").read_bytes())
    assert analysis.answered.prediction.model_version == derived.version
    assert main([*options, *files, "--processes", "1"]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err


def test_too_few_images_make_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = sorted(SAMPLES.glob("*.jpg"))[0].name
    (tmp_path / "labels.csv").write_text(f"image_id,dx\n{name},mel\n")
    options = ["--images", str(SAMPLES), "--labels", str(tmp_path / "labels.csv"), "--name", "Our clinic", "--dry-run"]
    assert main([*options, "--processes", "1", "--output", str(tmp_path / "ours")]) == 2
    printed = capsys.readouterr()
    assert "No recalibration: expected at least 10" in printed.out and "expected at least 10" in printed.err
    assert not (tmp_path / "ours").exists()


def test_worst_other_clinic_is_the_one_that_is_told() -> None:
    point = ARTIFACT.operating_points[0]

    def result(source: str, flagged: float, n: int) -> ExternalResult:
        rates = (MeasuredRate(share, 0.0, 1.0, n) for share in (flagged, 1 - flagged, 0.0))
        return ExternalResult(source, point.name, point.threshold, {"gravest": Outcome(*rates)})

    several = replace(ARTIFACT, external=(result("a", 0.8, 50), result("b", 0.6, 40), result("no melanoma", 0.0, 0)))
    told = several.elsewhere(point.name, point.threshold)
    assert told is not None and told.source == "b"
    assert several.elsewhere(point.name, point.threshold / 2) is None
    assert replace(ARTIFACT, external=()).elsewhere(point.name, point.threshold) is None


def test_committed_entry_is_of_the_committed_weights_and_the_locked_part() -> None:
    parts = pd.read_csv(Path(__file__).resolve().parents[3] / "data" / "isic2017_parts.csv")
    (entry,) = ARTIFACT.manifest["external"]
    assert entry["weights_sha256"] == ARTIFACT.weights_sha256
    assert entry["images"] == (parts["part"] == "locked").sum()
    assert entry["points"][0]["outcomes"]["gravest"]["flagged"]["n"] == 123
