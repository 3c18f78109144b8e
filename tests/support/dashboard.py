"""Made-up artifact and dataset folders for tests of the dashboard, and a way to read what a page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dashboard.access import redraw
from dashboard.evaluation.sections import SECTIONS
from dashboard.settings import Settings, settings
from data.datasets.ham10000 import METADATA_FILE
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict
from model.inference.artifact import (
    GATE_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    LITERT_FILE,
    MANIFEST_FILE,
    NEIGHBOURS_FILE,
    OUT_OF_FOLD_FILE,
    TEST_PREDICTIONS_FILE,
    sha256_of,
)
from model.inference.clinical import AGE_KNOTS
from model.inference.manifest import SCHEMA_VERSION
from model.settings import variables_of
from model.training.export.card import card_of

ROOT = Path(__file__).resolve().parents[2]
LESIONS_PER_CLASS = 6
# Sections of the manifest that an export writes, and those of studies that are run on an artifact.
EXPORTED_STUDIES = ("reliability", "conformal", "subgroups", "retrieval")
LATER_STUDIES = ("clinical", "robustness", "gate", "external", "heatmaps")
TIMEOUT = 60  # seconds; other work may share the processors
# What Streamlit must be told of a provider of sign-ins.
SIGN_IN_SECRETS: dict[str, str] = {
    "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
    "cookie_secret": "c" * 32,
    "client_id": "lesionlens",
    "client_secret": "made up",
    "server_metadata_url": "http://127.0.0.1/.well-known/openid-configuration",
}


@pytest.fixture(scope="session", autouse=True)
def packages_scanned_once() -> Iterator[None]:
    """Streamlit looks through every installed package for components at each new AppTest; it finds the same each time.

    A second of processor time for each of them. The conftest.py of a folder of tests asks for it by importing it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def steps_draw_the_whole_page() -> Iterator[None]:
    """AppTest knows only what was drawn last, so that a step which draws a part would hide the rest from it.

    tests/pages/test_review_cost.py and the tests with a browser draw parts.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redraw, "part", lambda *fragments: redraw.whole())
        yield


def made_up_predictions(task: Task = SKIN, seed: int = 0) -> pd.DataFrame:
    """Test predictions of six lesions a class, every second one with two images, better than chance."""
    generator = np.random.default_rng(seed)
    rows = []
    for index, dx in enumerate(task.codes):
        for lesion in range(LESIONS_PER_CLASS):
            for view in range(1 + lesion % 2):
                logits = generator.normal(0, 1, len(task.codes))
                logits[index] += 1.5
                probabilities = np.exp(logits) / np.exp(logits).sum()
                rows.append(
                    {
                        "image_id": f"ISIC_{index}{lesion}{view}",
                        "lesion_id": f"HAM_{index}{lesion}",
                        "dx": dx,
                        "dx_type": "histo",
                        "age": 40.0 + 5 * index if lesion else np.nan,
                        "sex": ("female", "male", "unknown")[lesion % 3],
                        "localization": ("back", "face", "trunk")[lesion % 3],
                        **dict(zip(task.codes, probabilities, strict=True)),
                        "prediction": task.codes[int(probabilities.argmax())],
                    }
                )
    return pd.DataFrame(rows)


def made_up_history() -> pd.DataFrame:
    """Two networks of four epochs in two phases."""
    epochs = np.arange(1, 5)
    columns = {
        "epoch": epochs,
        "phase": ["head", "low resolution", "low resolution", "low resolution"],
        "height": [192, 144, 144, 144],
        "width": [256, 192, 192, 192],
    }
    measures = ("loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "val_balanced_accuracy")
    one = pd.DataFrame(columns | {name: 1 / epochs for name in measures}).assign(learning_rate=1e-3, seconds=1.0)
    return pd.concat([one.assign(fold=0), one.assign(fold=1)])


def made_up_estimate(value: float | None, half_width: float = 0.1) -> dict[str, float | None]:
    """An estimate as the manifest holds it; None cannot be said."""
    if value is None:
        return dict.fromkeys(("value", "low", "high"))
    return {"value": value, "low": value - half_width, "high": value + half_width}


def made_up_rate(value: float, n: int) -> dict[str, float]:
    """A share with its interval and n."""
    return {**made_up_estimate(value), "n": n}


def made_up_sets(coverage: float, task: Task = SKIN) -> dict[str, Any]:
    """What prediction sets were measured to do: the gravest class is covered least, `df` of skin has no images."""
    by_dx = {dx: None if dx == "df" else coverage for dx in task.codes} | {task.gravest: coverage - 0.2}
    return {
        "images": 63,
        "lesions": 42,
        "coverage": made_up_estimate(coverage),
        "mean_size": made_up_estimate(1.5),
        "coverage_by_dx": [
            {
                "dx": dx,
                "images": 9 if value else 0,
                "lesions": 6 if value else 0,
                "coverage": made_up_estimate(value),
                "mean_size": 1.25 if value else None,
            }
            for dx, value in by_dx.items()
        ],
        "size_shares": [0.5, 0.5, *[0.0] * (len(task.codes) - 2)],
    }


def made_up_subgroup(attribute: str, group: str, value: float | None, positive_lesions: int = 20) -> dict[str, Any]:
    """A subgroup whose rates are all `value`; None is one that is too small."""
    counts = {"images": 40, "lesions": positive_lesions + 15, "negative_lesions": 15, "classes": 7}
    rates = ("balanced_accuracy", "positive_auroc", "sensitivity", "specificity")
    return {
        "attribute": attribute,
        "group": group,
        "positive_lesions": positive_lesions,
        "is_too_small": value is None,
        **counts,
        **{rate: made_up_estimate(value) for rate in rates},
    }


def made_up_calibration_error(value: float) -> dict[str, float | None]:
    """A calibration error, which has no interval, beside what a perfectly calibrated model would show."""
    return {"value": value, "low": None, "high": None, "chance_median": 0.05, "chance_high": 0.08}


def made_up_gain() -> dict[str, Any]:
    """The same images without and with age and site: 1.5 points more of everything, of which two were paired."""
    names = ("balanced_accuracy", "macro_auroc", "positive_auroc", "accuracy", "calibration_error")
    return {
        "images": 63,
        "lesions": 42,
        "image_alone": dict.fromkeys(names, made_up_estimate(0.7))
        | {"calibration_error": made_up_calibration_error(0.04)}
        | {"sets": {"coverage": made_up_estimate(0.88), "mean_size": made_up_estimate(1.5)}},
        "with_facts": dict.fromkeys(names, made_up_estimate(0.715))
        | {"calibration_error": made_up_calibration_error(0.03)}
        | {"sets": {"coverage": made_up_estimate(0.9), "mean_size": made_up_estimate(1.4)}},
        "gain": dict.fromkeys(names[:2], made_up_estimate(0.015, 0.01)),
    }


def made_up_studies(task: Task = SKIN) -> dict[str, Any]:
    """The sections of a manifest that the studies write."""
    classes = len(task.codes)
    ways = ("contiguous-class-conditional", "contiguous") if task.is_ordinal else ("class-conditional", "adaptive")
    bins = {"stated": [None, 0.4, 0.8], "observed": [None, 0.5, 0.7], "images": [0, 20, 43]}
    measures = ("energy_inside", "pointing", "iou", "insertion", "deletion", "faithfulness")
    robustness_metrics = ("balanced_accuracy", "gravest_auroc", "positive_auroc", "sensitivity", "specificity")
    methods = [
        {"method": method, "images": 8, "without_evidence": number, "faithfulness_images": 4}
        | {"iou_thresholds": [0.2, 0.3], "measures": dict.fromkeys(measures, made_up_estimate(0.5))}
        for number, method in enumerate(("Grad-CAM", "Centred Gaussian"))
    ]
    difference = dict.fromkeys(measures, made_up_estimate(0.05)) | {"iou": made_up_estimate(0.25)}
    stages = [("output", 0.0, 0.7), ("head", 0.0, 0.3), ("backbone", 0.5, 0.2), ("backbone", 1.0, 0.05)]
    alike = ("rank_correlation", "absolute_rank_correlation", "correlation")
    return {
        "reliability": {"top_class": bins, "positive": bins},
        "conformal": {
            "chosen_on": {"part": "out of fold", "images": 120, "lesions": 80},
            "sets": {"method": ways[0], "level": 0.9, "thresholds": [0.1] * classes},
            "tried_out_of_fold": {
                way: made_up_sets(coverage, task) for way, coverage in zip(ways, (0.89, 0.85), strict=False)
            },
            "measured": made_up_sets(0.88, task),
        },
        "clinical": {
            "terms": {"age": [[0.0] * classes] * len(AGE_KNOTS), "site": {"face": [1.0] + [0.0] * (classes - 1)}},
            "known": {"age": 60, "site": 63},
            "out_of_fold": made_up_gain(),
            "measured": made_up_gain(),
        },
        "subgroups": [
            made_up_subgroup("age", "under 30", None, positive_lesions=2),
            made_up_subgroup("age", "30 to 44", 0.7),
            made_up_subgroup("sex", "female", 0.8),
            made_up_subgroup("site", "face", 0.6),
            made_up_subgroup("dx_type", "histo", 0.75),
        ],
        "heatmaps": {
            "images": 8,
            "lesions": 8,
            "methods": methods,
            "comparisons": [
                {"method": "Grad-CAM", "other": "Centred Gaussian", "images": 8, "faithfulness_images": 4}
                | {"measures": difference}
            ],
            "split": "out of fold",
            "noise": {"images": 8, "samples": 10, "levels": 5, "change": made_up_estimate(0.06, 0.02)},
            "randomisation": {
                "images": 7,
                "stages": [
                    {"part": part, "backbone_share": share, "without_evidence": 1}
                    | dict.fromkeys(alike, made_up_estimate(value))
                    for part, share, value in stages
                ],
            },
        },
        "robustness": {
            "images": 42,
            "lesions": 42,
            "threshold": 0.25,
            "unperturbed": dict.fromkeys(robustness_metrics, made_up_estimate(0.8)),
            "perturbations": [
                {"key": key, "name": name, "kind": kind, "decision_flips": made_up_estimate(flips, 0.01)}
                | {"class_changes": made_up_estimate(0.2), "balanced_accuracy_difference": made_up_estimate(-0.1)}
                | {"metrics": dict.fromkeys(robustness_metrics, made_up_estimate(0.8 - accuracy_lost))}
                for key, name, kind, flips, accuracy_lost in (
                    ("hair", "Dark hair", "artefact", 0.05, 0.3),
                    ("jpeg", "Strong JPEG (quality 20)", "acquisition", 0.1, 0.1),
                )
            ],
        },
        "gate": {
            "sources": [
                {"source": source, "should_be_refused": is_outside, "images": 40}
                | {"refused": made_up_estimate(share, 0.01), "out_of_distribution": made_up_estimate(share, 0.01)}
                for source, is_outside, share in (("locked test", False, 0.03), ("photographs", True, 0.98))
            ],
        },
        "external": [
            {
                "name": "A clinic by the sea",
                "model": "made-up 1.0",
                "images": 60,
                "lesions": 50,
                "refused": [{"dx": "all", "refused": made_up_rate(0.05, 60)}],
                "gravest_auroc": made_up_estimate(0.7),
                "gravest_auroc_with_refused": made_up_estimate(0.72),
                "positive_auroc": made_up_estimate(0.71),
                "positive_auroc_with_refused": made_up_estimate(0.73),
                "calibration_error": made_up_calibration_error(0.06),
                "sets": {"level": 0.9, "coverage": [{"dx": task.gravest, "coverage": made_up_rate(0.79, 20)}]},
                "points": [
                    {
                        "name": "sensitivity_95",
                        "threshold": 0.25,
                        "outcomes": {
                            kind: {
                                "flagged": made_up_rate(flagged, n),
                                "not_flagged": made_up_rate(0.9 - flagged, n),
                                "not_answered": made_up_rate(0.1, n),
                            }
                            for kind, flagged, n in (("gravest", 0.77, 20), ("negative", 0.44, 40))
                        },
                    }
                ],
            }
        ],
        "retrieval": {
            "count": 10,
            "index": {"part": "training", "images": 100, "lesions": 90},
            "images": 63,
            "lesions": 42,
            "macro": made_up_estimate(0.4),
            "macro_chance": 1 / classes,
            "per_class": [
                {"dx": dx, "images": 9, "lesions": 6, "precision": made_up_estimate(0.4), "chance": 1 / classes}
                for dx in task.codes
            ],
        },
    }


def write_artifact(
    folder: Path, studies: Sequence[str] = EXPORTED_STUDIES, task: Task = SKIN, name: str = "made-up"
) -> Path:
    """A folder that `load_artifact` accepts; its networks are empty files that nothing on these pages opens.

    Args:
        folder: where.
        studies: sections of `made_up_studies` that its manifest holds; it cannot be loaded without `conformal`.
        task: one of `TASKS`.
        name: of the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classes = len(task.codes)
    made_up_predictions(task).to_csv(folder / TEST_PREDICTIONS_FILE, index=False)
    made_up_history().to_csv(folder / HISTORY_FILE, index=False)
    made_up_predictions(task).assign(fold=0).to_csv(folder / OUT_OF_FOLD_FILE, index=False)
    for file in (LITERT_FILE, KERAS_FILE, GATE_FILE, NEIGHBOURS_FILE):
        (folder / file).write_bytes(b"")
    files = (
        LITERT_FILE,
        KERAS_FILE,
        GATE_FILE,
        NEIGHBOURS_FILE,
        HISTORY_FILE,
        OUT_OF_FOLD_FILE,
        TEST_PREDICTIONS_FILE,
    )
    rate = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 20}
    part = {"part": "out of fold", "images": 120, "lesions": 80}
    points = [
        {"name": "sensitivity_95", "threshold": 0.25, "target_sensitivity": 0.95}
        | dict.fromkeys(("sensitivity", "specificity", "ppv", "npv"), rate)
    ]
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "task": task.key,
        "name": name,
        "version": "0.1",
        "classes": list(task.codes),
        "input": {"height": 192, "width": 256},
        "created": {"utc": "2026-01-01T00:00:00+00:00", "command": "python -m model.export", "commit": "0" * 40},
        "training": {
            "data": "made-up images",
            "recipe": {
                "init": "none",
                "sampling": "sqrt",
                "averaged_epochs": 3,
                "seed": 1,
                "lesion_weight": 0.5,
                "map_weight": 0.25,
            },
            "training": {"part": "training", "images": 100, "lesions": 90},
            "epochs_by_fold": {fold: {"head": 1, "low resolution": 3} for fold in ("0", "1")},
            "source_pixels": [600, 450],
        },
        "model_card": asdict(card_of(task)),
        "decision": "argmax of probability / prior",
        "calibration": {
            "temperature": 1.0,
            "offsets": [0.0] * classes,
            "population": "nobody",
            "prior": [1 / classes] * classes,
        }
        | {"chosen_on": part},
        "operating_points": points,
        "further_questions": [{"question": question.key, "operating_points": points} for question in task.further],
        "network": {"backbone": "lesion_mobilenet_v2", "members": 2, "views": 1, "parameters": 1000, "outputs": {}},
        "split": {"by": "lesion_id", "seed": 7, "test_share": 0.15, "folds": 5, "out_of_fold": [0, 1]},
        "evidence": {"min_peak": 0.1},
        "metrics": {"data": "made-up data", "split": "locked test"}
        | evaluation_to_dict(evaluate(cohort_of(made_up_predictions(task), task), resamples=20)),
        "quality": {
            "gate_acceptance": 0.97,
            "limits": {
                "min_sharpness": 1.0,
                "min_brightness": 1.0,
                "max_brightness": 250.0,
                "min_contrast": 1.0,
                "max_ood_score": 10.0,
            },
        },
        "files": {file: {"sha256": sha256_of(folder / file), "bytes": 0} for file in files},
    }
    sections = {key: section for key, section in made_up_studies(task).items() if key in studies}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest | sections), encoding="utf-8")
    return folder


def write_dataset(folder: Path, images: int = 30, codes: tuple[str, str] = ("mel", "nv")) -> Path:
    """A HAM10000-shaped folder of small grey images, half of each code in their order; the last file is missing."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    ids = [f"ISIC_{number:07d}" for number in range(images)]
    for image_id in ids[:-1]:
        Image.new("RGB", (96, 72), (120, 110, 100)).save(folder / "images" / f"{image_id}.jpg")
    pd.DataFrame(
        {
            "lesion_id": [f"HAM_{number // 2:07d}" for number in range(images)],
            "image_id": ids,
            "dx": [codes[0]] * (images // 2) + [codes[1]] * (images - images // 2),
            "dx_type": "histo",
            "age": 50.0,
            "sex": "female",
            "localization": "back",
        }
    ).to_csv(folder / METADATA_FILE, index=False)
    return folder


@contextmanager
def environment(monkeypatch: pytest.MonkeyPatch, **variables: Path | str) -> Iterator[None]:
    """Settings from these variables alone, and empty caches before and after."""
    for name in variables_of(Settings):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    _forget()
    yield
    _forget()


def _forget() -> None:
    settings.cache_clear()
    st.cache_resource.clear()


def table_of(page: AppTest) -> dict[str, Any] | None:
    """What the table of images on a page is drawn of (`dashboard.answer.image_table`); None where there is none."""
    drawn = [one.proto for one in page.get("bidi_component") if "image_table" in one.proto.component_name]
    table: dict[str, Any] | None = json.loads(drawn[0].json) if drawn else None
    return table


def cells_of(page: AppTest, column: str) -> list[list[str]]:
    """The lines of a column of that table, from its first row."""
    table = table_of(page)
    assert table is not None
    index = [one["name"] for one in table["columns"]].index(column)
    return [row["cells"][index]["lines"] for row in table["rows"]]


def run_page(name: str, **address: str) -> AppTest:
    """A page after its first run, by choice with parameters in its address."""
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=TIMEOUT)
    page.query_params.update(address)
    return page.run()


def run_evaluation() -> dict[str, AppTest]:
    """Every section of the Evaluation page after its first run, by its key."""
    return {section.key: run_page("evaluation", section=section.key) for section in SECTIONS}


def shown_text(page: AppTest) -> str:
    """All text of a page: markup, captions, messages."""
    html = [element.proto.body for element in page.get("html")]
    rest = [str(element.value) for kind in ("title", "markdown", "caption", "error") for element in page.get(kind)]
    return "\n".join(html + rest)
