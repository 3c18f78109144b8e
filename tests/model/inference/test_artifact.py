"""A made-up weights folder: it loads whole, and every way of being wrong is refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.images.framing import Preparation, to_network_input
from model.inference.artifact import (
    DEFAULT_ARTIFACT,
    ArtifactMismatch,
    QualityLimits,
    load_artifact,
    sha256_of,
    write_section,
)
from model.inference.calibration import Calibration
from model.inference.clinical import PatientFacts
from model.inference.conformal import ConformalSets
from model.inference.manifest import SCHEMA_VERSION
from model.inference.measured import GroupRate, MeasuredRate, OperatingPoint
from tests.support.files.fundus import fundus

FILES = (
    "model.tflite",
    "model.keras",
    "gate.npz",
    "neighbours.npz",
    "history.csv",
    "out_of_fold_predictions.csv",
    "test_predictions.csv",
)
PRIOR = [0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.1]
Change = Callable[[dict[str, Any]], object]


def rate(value: float | None) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "n": 0 if value is None else 40}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A valid weights folder whose files hold their own names."""
    for name in FILES:
        (tmp_path / name).write_bytes(name.encode())
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": "made-up",
        "version": "9.1",
        "classes": list(SKIN.codes),
        "input": {"height": 192, "width": 256},
        "calibration": {"temperature": 1.5, "offsets": [0, 1, 2, 3, 4, 5, 6], "population": "nobody", "prior": PRIOR},
        "operating_points": [
            {
                "name": "sensitivity_95",
                "threshold": 0.2,
                "target_sensitivity": 0.95,
                "sensitivity": rate(0.94),
                "specificity": rate(0.7),
                "ppv": rate(0.5),
                "npv": rate(None),
            }
        ],
        "conformal": {"sets": {"method": "class-conditional", "level": 0.9, "thresholds": [0.1] * 7}},
        "evidence": {"min_peak": 0.25},
        "quality": {
            "limits": {
                "min_sharpness": 1,
                "min_brightness": 2,
                "max_brightness": 3,
                "min_contrast": 4,
                "max_ood_score": 5,
            }
        },
        "files": {name: {"sha256": sha256_of(tmp_path / name)} for name in FILES},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return tmp_path


def change_manifest(folder: Path, change: Change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    # NIST FIPS 180-2, appendix B.1.
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_valid_folder_loads(folder: Path) -> None:
    artifact = load_artifact(folder)
    assert (artifact.name, artifact.version, artifact.height, artifact.width) == ("made-up", "9.1", 192, 256)
    assert artifact.calibration == Calibration(1.5, (0, 1, 2, 3, 4, 5, 6), "nobody", tuple(PRIOR))
    assert artifact.conformal == ConformalSets("class-conditional", 0.9, (0.1,) * 7, SKIN.positives, 0.2)
    assert artifact.min_peak == 0.25
    assert artifact.quality == QualityLimits(1, 2, 3, 4, 5)
    assert artifact.weights_sha256 == sha256_of(folder / "model.tflite")
    assert artifact.manifest["files"].keys() == set(FILES)
    paths = (
        artifact.litert_path,
        artifact.keras_path,
        artifact.gate_path,
        artifact.neighbours_path,
        artifact.history_path,
        artifact.out_of_fold_path,
        artifact.test_predictions_path,
    )
    assert [path.read_text() for path in paths] == list(FILES)


def test_rate_that_cannot_be_said_is_nan(folder: Path) -> None:
    (point,) = load_artifact(folder).operating_points
    assert isinstance(point, OperatingPoint)
    assert (point.name, point.threshold, point.target_sensitivity) == ("sensitivity_95", 0.2, 0.95)
    assert point.sensitivity == MeasuredRate(0.94, 0.94, 0.94, 40)
    assert math.isnan(point.npv.value) and math.isnan(point.npv.low) and math.isnan(point.npv.high)
    assert point.npv.n == 0


def test_section_of_a_study_is_written_beside_the_others(folder: Path) -> None:
    before = load_artifact(folder).manifest
    write_section(folder, "robustness", {"images": 3, "rows": [0.5, None]})
    assert load_artifact(folder).manifest == {**before, "robustness": {"images": 3, "rows": [0.5, None]}}
    write_section(folder, "robustness", [])
    assert load_artifact(folder).manifest["robustness"] == []
    assert sorted(path.name for path in folder.iterdir()) == sorted((*FILES, "manifest.json"))
    with pytest.raises(ValueError):
        write_section(folder, "robustness", float("nan"))
    assert load_artifact(folder).manifest["robustness"] == []


def test_committed_weights_load() -> None:
    artifact = load_artifact(DEFAULT_ARTIFACT)
    assert (artifact.height, artifact.width) == (192, 256)
    assert sum(artifact.calibration.prior) == pytest.approx(1)
    assert artifact.operating_points


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused_by_file_name(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ArtifactMismatch, match=rf"{name} has changed since it was exported .* restore it"):
        load_artifact(folder)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactMismatch, match=rf"expected {name} in .*, found none; restore it or export"):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["model.tflite", "gate.npz"])
def test_serving_file_that_nobody_vouches_for_is_refused(folder: Path, name: str) -> None:
    change_manifest(folder, lambda manifest: manifest["files"].pop(name))
    with pytest.raises(ArtifactMismatch, match=rf"expected the SHA-256 of {name} in .*manifest.json, found none"):
        load_artifact(folder)


def test_missing_manifest_and_missing_folder_are_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    for place in (folder, folder / "nowhere"):
        with pytest.raises(ArtifactMismatch, match=r"expected manifest.json in .*, found none; run: make train"):
            load_artifact(place)


def test_classes_in_another_order_are_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest["classes"].reverse())
    with pytest.raises(ArtifactMismatch, match=r"expected classes akiec, .*, received vasc, nv, .*another order"):
        load_artifact(folder)


def test_fewer_classes_are_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest["classes"].remove("df"))
    with pytest.raises(ArtifactMismatch, match="received akiec, bcc, bkl, mel, nv, vasc; these weights were made for"):
        load_artifact(folder)


def test_another_schema_is_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest.update(schema_version=1))
    with pytest.raises(ArtifactMismatch, match="expected manifest schema 3, received 1; export the model again"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "JSONDecodeError"),
        (b"", "JSONDecodeError"),
        (b"\xff\xfe{}", "UnicodeDecodeError"),
        (b"{}", "KeyError: 'schema_version'"),
        (b"[]", "TypeError"),
        (b"null", "TypeError"),
    ],
)
def test_broken_manifest_is_refused(folder: Path, content: bytes, named: str) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactMismatch) as caught:
        load_artifact(folder)
    assert named in str(caught.value)
    assert f"expected a manifest of schema 3 in {folder / 'manifest.json'}" in str(caught.value)
    assert "restore the file or export the model again" in str(caught.value)


def test_images_are_prepared_as_the_manifest_says_and_framed_alone_where_it_says_nothing(folder: Path) -> None:
    image = fundus()
    framed, _ = load_artifact(folder).network_input(image)
    np.testing.assert_array_equal(framed, to_network_input(image, 192, 256)[0])
    wanted = Preparation("circle", "equalised")
    change_manifest(folder, lambda manifest: manifest["input"].update(asdict(wanted)))
    artifact = load_artifact(folder)
    assert artifact.preparation == wanted
    np.testing.assert_array_equal(artifact.network_input(image)[0], to_network_input(image, 192, 256, wanted)[0])


@pytest.mark.parametrize("key", ["name", "version", "input", "calibration", "operating_points", "quality", "files"])
def test_missing_key_is_refused_by_name(folder: Path, key: str) -> None:
    change_manifest(folder, lambda manifest: manifest.pop(key))
    with pytest.raises(ArtifactMismatch, match=rf"\({key}: field required\)"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda manifest: manifest["input"].pop("width"), "input.width: field required"),
        (lambda manifest: manifest["input"].update(width="wide"), "input.width: input should be a valid integer"),
        (
            lambda manifest: manifest["input"].update(crop="square"),
            "input.crop: input should be 'none', 'circle' or 'band'",
        ),
        (
            lambda manifest: manifest["calibration"].update(temperature="warm"),
            "calibration.temperature: input should be a valid number",
        ),
        (lambda manifest: manifest["calibration"].update(prior=[1.0]), "expected 7 numbers, one a class, received 1"),
        (lambda manifest: manifest["calibration"]["offsets"].pop(), "expected 7 numbers, one a class, received 6"),
        (lambda manifest: manifest["quality"]["limits"].pop("min_contrast"), "TypeError"),
        (lambda manifest: manifest["operating_points"][0].pop("ppv"), "operating_points.0.ppv: field required"),
        (
            lambda manifest: manifest.update(files=["model.tflite", "gate.npz", "neighbours.npz"]),
            "files: input should be a valid",
        ),
        (lambda manifest: manifest.update(classes=None), "classes: input should be a valid tuple"),
    ],
)
def test_manifest_with_a_wrong_value_is_refused(folder: Path, change: Change, named: str) -> None:
    change_manifest(folder, change)
    with pytest.raises(ArtifactMismatch) as caught:
        load_artifact(folder)
    assert named in str(caught.value)


def test_file_that_may_not_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("model.inference.artifact.sha256_of", refuse)
    with pytest.raises(ArtifactMismatch, match=r"PermissionError: .*model.tflite"):
        load_artifact(folder)


def test_loading_writes_nothing(folder: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    load_artifact(folder)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_manifest_from_before_there_were_tasks_is_of_skin_and_renamed(folder: Path) -> None:
    rate = {"value": 0.9, "low": 0.8, "high": 1.0}

    def as_schema_2(manifest: dict[str, Any]) -> None:
        manifest.pop("task", None)
        manifest |= {
            "schema_version": 2,
            "metrics": {"malignant_auroc": rate},
            "subgroups": [{"malignant_lesions": 3, "benign_lesions": 4}],
            "robustness": {"unperturbed": {"melanoma_auroc": rate}},
            "reliability": {"malignant": {"images": [1]}},
        }

    change_manifest(folder, as_schema_2)
    artifact = load_artifact(folder)
    assert artifact.task is SKIN
    assert artifact.manifest["metrics"] == {"positive_auroc": rate}
    assert artifact.manifest["subgroups"] == [{"positive_lesions": 3, "negative_lesions": 4}]
    assert artifact.manifest["robustness"]["unperturbed"] == {"gravest_auroc": rate}
    assert artifact.manifest["reliability"] == {"positive": {"images": [1]}}


def test_unknown_task_is_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest.update(task="teeth"))
    with pytest.raises(ArtifactMismatch, match="expected a task of skin, retina, received 'teeth'"):
        load_artifact(folder)


# --- Groups of patients -----------------------------------------------------------------------------------------------


def test_group_s_own_sensitivity_the_lower_of_age_and_site() -> None:
    artifact = load_artifact(DEFAULT_ARTIFACT)
    point = artifact.operating_points[0]

    def group(attribute: str, name: str, value: float | None) -> dict[str, Any]:
        rate = {"value": value, "low": value, "high": value}
        return {"attribute": attribute, "group": name, "positive_lesions": 20, "sensitivity": rate}

    measured = replace(
        artifact,
        manifest={
            "subgroups": [
                group("age", "30 to 44", 0.9),
                group("age", "unknown", 0.1),
                group("site", "back", 0.8),
                group("site", "ear", None),
                group("site", "unknown", 0.1),
            ]
        },
    )

    def found(age: float | None, site: str, threshold: float = point.threshold) -> GroupRate | None:
        return measured.group_sensitivity(point.name, threshold, PatientFacts(age, site))

    back = GroupRate(0.8, 0.8, 0.8, attribute="site", group="back", lesions=20)
    assert found(None, "back") == back
    assert found(44.9, "back") == back, "the lower one is said"
    young = found(30, "ear")
    assert young is not None and (young.attribute, young.group, young.value) == ("age", "30 to 44", 0.9)
    for age, site in ((None, "unknown"), (29.9, "ear"), (45, "unknown")):
        assert found(age, site) is None, "nothing is measured of these"
    assert found(None, "back", threshold=0.5) is None, "subgroups were measured at the default threshold alone"
