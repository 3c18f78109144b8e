"""A made-up task of three ordered grades, from training to every page: no room knows the task that it serves."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.resources import models, stores
from dashboard.review import decision_wording
from data.cases.case import LOCAL_ACTOR
from data.tasks.known import TASKS
from model.analysis.analyzer import Analyzer
from model.analysis.answers import network_output, read_answer
from model.analysis.case_record import recorded_analysis
from model.batch.table import columns_of
from model.evaluate import main as evaluate
from model.inference.artifact import Artifact, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.predict import main as predict
from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.case_log import case_log_of
from tests.support.dashboard import run_evaluation, run_page, shown_text
from tests.support.review import button, give_own_read, opened_page, upload
from tests.support.server import send
from tests.support.tiny_dataset import write_tiny_dataset
from tests.support.toy_task import TOY

ROOT = Path(__file__).resolve().parents[2]
# Nouns of skin, which nothing that is drawn of leaves may say. Names of files, formats and the program are no nouns.
SKIN_WORDS = ("lesion", "dermo", "derma", "melan", "nev", "malignan", "benign", "HAM10000", "skin")


@pytest.fixture(scope="module", autouse=True)
def _task() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, TOY.key, TOY)
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("leaves"), codes=TOY.codes, has_masks=False)


@pytest.fixture(scope="module")
def artifact(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Trained on 24 images, without lesion branch."""
    output = tmp_path_factory.mktemp("weights") / "leaves"
    command = [sys.executable, "-m", "tests.support.servers.toy_trainer", str(dataset), str(output)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return load_artifact(output)


@pytest.fixture(scope="module")
def images(dataset: Path) -> list[Path]:
    """Six images that the quality gate lets pass: it was fitted on their like."""
    return sorted((dataset / "HAM10000_images_part_1").glob("*.jpg"))[::6][:6]


@pytest.fixture(scope="module")
def dashboard(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("log")
    with pytest.MonkeyPatch.context() as patch, case_log_of(folder, patch, MODEL_DIR=artifact.folder):
        yield


def test_artifact_knows_its_task_and_finds_no_lesion(artifact: Artifact) -> None:
    assert artifact.task is TOY
    assert artifact.manifest["classes"] == list(TOY.codes)
    assert artifact.conformal.method == "contiguous-class-conditional" and len(artifact.conformal.thresholds) == 3
    output = LiteRTClassifier(artifact).forward(np.zeros((artifact.height, artifact.width, 3), np.uint8))
    assert output.lesion is None and output.logits.shape == (3,) and output.maps.shape[-1] == 3


def test_predict_writes_a_column_a_grade(artifact: Artifact, images: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    assert predict([*map(str, images), "--artifact", str(artifact.folder), "--output", str(output)]) in (0, 1)
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(images) and tuple(rows[0]) == columns_of(TOY)
    assert "p_blighted" in rows[0]
    answered = [row for row in rows if row["quality"] == "ok"]
    assert answered
    for row in answered:
        low, middle, high = (float(row[code]) for code in TOY.codes)
        assert low + middle + high == pytest.approx(1, abs=1e-5)
        assert float(row["p_blighted"]) == pytest.approx(middle + high, abs=1e-5)
        # The grade nearest to the expected one, and a set without gaps.
        assert row["prediction"] == TOY.codes[int(np.floor(middle + 2 * high + 0.5))]
        held = sorted(TOY.index(code) for code in row["conformal_set"].split("|"))
        assert held == list(range(held[0], held[-1] + 1))


def test_evaluate_prints_what_grades_are_measured_by(artifact: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["--artifact", str(artifact.folder), "--resamples", "20"]) == 0
    printed = capsys.readouterr().out
    assert "weighted kappa" in printed and "blighted auroc" in printed
    assert ("Blighted against sound" in printed and "of 7 leaves" in printed) or "leaves" in printed
    assert not [word for word in SKIN_WORDS if word in printed]


def test_api_answers_in_the_task_s_names(artifact: Artifact, images: list[Path]) -> None:
    app = create_app(ServerSettings(model_dir=artifact.folder, rate_per_minute=0, workers=1))
    content = {"content": images[0].read_bytes(), "headers": {"content-type": "image/jpeg"}}
    response = send(app, "POST", "/v1/predict?heatmap=maps", **content)
    assert response.status_code == 200
    answer = response.json()
    assert "p_malignant" not in answer and "p_blighted" in answer and "member_p_blighted" in answer
    output = network_output(read_answer(response.content, TOY), TOY)
    assert output.lesion is None and output.maps.shape[-1] == 3
    document = send(app, "GET", "/openapi.json").json()
    assert "p_blighted" in document["components"]["schemas"]["Answer"]["properties"]
    assert "three grades of Orchard" in document["info"]["description"]
    app.state.service.close()


def answered_review(images: list[Path]) -> AppTest:
    """The Review page with the answer to the first image that is not refused."""
    for path in images:
        page = upload(opened_page(), (path.name, path.read_bytes()))
        if page.radio:
            return give_own_read(page, "middle", "sure", "follow-up")
    pytest.fail("expected an image that the quality gate lets pass, all were refused")


def test_case_is_saved_and_opened_again(dashboard: None, images: list[Path]) -> None:
    page = answered_review(images)
    assert not page.exception
    text = shown_text(page)
    assert "Blighted" in text and "Sound" in text
    button(page, decision_wording.SAVE).click().run()
    assert not page.exception
    (case_id,) = page.session_state["review_case_ids"].values()
    log = stores.case_log()
    case = log.case(UUID(str(case_id)), LOCAL_ACTOR)
    assert case.task is TOY and case.decision.dx in TOY.codes
    assert sum(case.result.probabilities) == pytest.approx(1)
    assert log.verify(LOCAL_ACTOR).fault is None
    shown = recorded_analysis(case, log.image(case, LOCAL_ACTOR))
    again = Analyzer(LiteRTClassifier(models.artifact())).run(log.image(case, LOCAL_ACTOR))
    assert shown.answered.prediction.task is TOY
    assert shown.answered.prediction.probabilities == pytest.approx(again.answered.prediction.probabilities, abs=1e-6)


@pytest.mark.parametrize("name", ["review", "cases", "use", "dataset", "evaluation", "about", "audit"])
def test_every_page_is_drawn_without_a_word_of_skin(dashboard: None, images: list[Path], name: str) -> None:
    for page in run_evaluation().values() if name == "evaluation" else [run_page(name)]:
        assert not page.exception
        text = shown_text(page)
        for name_of_ours in ("LesionLens", "lesionlens", "lesion_id"):
            text = text.replace(name_of_ours, "")
        said = [word for word in SKIN_WORDS if word in text]
        assert said == []


def test_open_case_is_drawn(dashboard: None, images: list[Path]) -> None:
    log = stores.case_log()
    from data.cases.queries import CaseQuery

    found = log.find(CaseQuery(), LOCAL_ACTOR)
    if not found:
        test_case_is_saved_and_opened_again(dashboard, images)
        found = log.find(CaseQuery(), LOCAL_ACTOR)
    page = AppTest.from_file(str(ROOT / "pages" / "cases.py"), default_timeout=120)
    page.query_params["case"] = str(found[0].case_id)
    page.run()
    assert not page.exception
    text = shown_text(page)
    assert TOY.titled("middle") in text and "blighted" in text.lower()


def test_dataset_page_shows_a_folder_of_the_task(
    dashboard: None, dataset: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=artifact.folder, DATASET_DIR=dataset):
        page = AppTest.from_file(str(ROOT / "pages" / "dataset.py"), default_timeout=120).run()
        assert not page.exception
        rows = pd.read_csv(dataset / "HAM10000_metadata.csv")
        assert f"{len(rows):,} images" in shown_text(page)
