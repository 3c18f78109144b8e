"""The hint that a refused image is one for another task: the skin networks under two names, one of which refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.resources import answers
from dashboard.review import wording
from dashboard.review.inputs import OPEN_AS
from data.tasks.known import TASKS
from data.tasks.skin import SKIN
from model.images.dicom import OPHTHALMIC_8_BIT
from model.inference.artifact import DEFAULT_ARTIFACT, MANIFEST_FILE, write_section
from model.server.bundle import copy_artifact
from tests.support.dashboard import environment
from tests.support.dicom import dicom_file
from tests.support.review import SAMPLE, open_sample, opened_page, shown, upload

OTHER = replace(SKIN, key="other", name="Other lesions", dicom_kinds=(OPHTHALMIC_8_BIT,))
HINT = "This looks like an image for the other task, **Other lesions**"
NEVER, ALWAYS = 0.0, 1e9


def write_model(folder: Path, task: str, max_ood_score: float) -> Path:
    copy_artifact(DEFAULT_ARTIFACT, folder)
    stated = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    limits = {**stated["quality"]["limits"], "max_ood_score": max_ood_score, "edge_ood_score": max_ood_score}
    write_section(folder, "quality", {**stated["quality"], "limits": limits})
    write_section(folder, "task", task)
    return folder


@pytest.fixture(autouse=True)
def two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TASKS, "retina")
    monkeypatch.setitem(TASKS, OTHER.key, OTHER)


def page_with(
    monkeypatch: pytest.MonkeyPatch, folder: Path, own: float, other: float, task: str, content: bytes
) -> Iterator[str]:
    """What Review shows of a file where a model of this task lies beside the one of the settings."""
    write_model(folder / "b", task, other)
    with environment(monkeypatch, MODEL_DIR=write_model(folder / "a", SKIN.key, own)):
        page = upload(opened_page(), ("x.jpg", content))
        assert not page.exception and not page.error
        yield shown(page)


@pytest.mark.parametrize(
    ("own", "other", "task", "is_said"),
    [
        (NEVER, ALWAYS, "other", True),
        (NEVER, NEVER, "other", False),
        (NEVER, ALWAYS, "skin", False),
    ],
    ids=["the other answers", "both refuse", "the other is of the same task"],
)
def test_refused_image_is_said_to_be_for_the_task_whose_model_answers_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: float, other: float, task: str, is_said: bool
) -> None:
    (text,) = page_with(monkeypatch, tmp_path, own, other, task, SAMPLE.read_bytes())
    assert "Not answered" in text and (HINT in text) == is_said


def test_refused_image_goes_over_to_the_other_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_model(tmp_path / "b", "other", ALWAYS)
    with environment(monkeypatch, MODEL_DIR=write_model(tmp_path / "a", SKIN.key, NEVER)):
        page = upload(opened_page(), ("x.jpg", SAMPLE.read_bytes()))
        page.button(key=OPEN_AS).click().run()
        assert not page.exception and not page.error
        text = shown(page)
        assert "sharp enough" in text and "Not answered" not in text and HINT not in text
        assert page.query_params["task"] == "other"
        (held,) = page.session_state["review_uploads"]
        assert (held.task, held.name) == ("other", "x.jpg")


def test_answered_image_asks_no_other_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(content: bytes, content_sha256: str) -> None:
        raise AssertionError("expected no question")

    monkeypatch.setattr(answers, "artifact_that_answers", fail)
    (text,) = page_with(monkeypatch, tmp_path, ALWAYS, ALWAYS, "other", SAMPLE.read_bytes())
    assert HINT not in text and "Not answered" not in text


def test_dicom_file_of_the_other_task_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = dicom_file(SOPClassUID=OPHTHALMIC_8_BIT)
    (text,) = page_with(monkeypatch, tmp_path, ALWAYS, ALWAYS, "other", content)
    assert "This DICOM file shows what another model judges." in text and HINT in text


def test_a_refused_sample_is_said_to_be_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=write_model(tmp_path / "model", SKIN.key, NEVER)):
        refused = shown(open_sample(opened_page(), "nv"))
        uploaded = shown(upload(opened_page(), ("x.jpg", SAMPLE.read_bytes())))
    said = SKIN.worded(wording.REFUSED_SAMPLE)
    assert said in refused and said not in uploaded
