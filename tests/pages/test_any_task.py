"""Pages of a task that no page was written for, and the choice between models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access import task_choice
from dashboard.evaluation.studies import trust_wording
from dashboard.resources import models, samples
from dashboard.shell.formats import RESEARCH_USE
from data.datasets.ham10000 import METADATA_FILE
from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.inference.artifact import LITERT_FILE, MANIFEST_FILE
from tests.support.case_log import case_log_of
from tests.support.dashboard import (
    EXPORTED_STUDIES,
    ROOT,
    TIMEOUT,
    environment,
    run_evaluation,
    run_page,
    shown_text,
    write_artifact,
    write_dataset,
)
from tests.support.toy_task import TOY

# What only skin says; "lesion" stands in the program's name and in that of a column as well.
FOREIGN = re.compile(
    r"(?<!Lesion)lesions?\b(?!_id)|skin|diagnos|malignan|benign|melanoma|HAM10000|seven|dermoscop|\bnv\b", re.IGNORECASE
)


# What each task says and the other must not; the licence of skin's weights stands in the repository for both.
WORDS_OF = {
    SKIN.key: FOREIGN,
    RETINA.key: re.compile(r"\beyes?\b|retin|fundus|APTOS|ophthalmo|referable|vision|\bdr\d\b", re.IGNORECASE),
}


@pytest.fixture(autouse=True)
def toy_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "toy", TOY)


@pytest.fixture
def toy_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    folder = write_artifact(tmp_path / "toy", ["conformal"], TOY, "toy")
    with environment(monkeypatch, MODEL_DIR=folder):
        yield folder


def foreign_words(page: AppTest, foreign: re.Pattern[str] = FOREIGN) -> set[str]:
    """Words of another task in what a page draws: texts, labels, tooltips and figures."""
    drawn = shown_text(page).replace(RESEARCH_USE, "").replace("**Not for** diagnosis", "")
    parts = [
        str(element.proto) for kind in ("plotly_chart", "metric", "selectbox", "slider") for element in page.get(kind)
    ]
    return {found.group() for found in foreign.finditer("\n".join([drawn, *parts]))}


@pytest.mark.parametrize("task", [SKIN, RETINA], ids=[SKIN.key, RETINA.key])
def test_every_page_of_a_task_speaks_of_it_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: Task) -> None:
    (foreign,) = (pattern for key, pattern in WORDS_OF.items() if key != task.key)
    folder = write_artifact(tmp_path / task.key, EXPORTED_STUDIES, task, task.key)
    with case_log_of(tmp_path, monkeypatch, MODEL_DIR=folder):
        sections = run_evaluation()
        pages = sections | {name: run_page(name) for name in ("dataset", "about", "use")}
    for name, page in pages.items():
        assert not page.exception and not page.error, name
        assert foreign_words(page, foreign) == set(), name
    asked = [task.asking(question) for question in task.questions]
    metrics = [metric.label for metric in sections["summary"].metric]
    assert [one.worded("{Positive} AUROC") in metrics for one in asked] == [True] * len(asked)
    curves, offered = sections["discrimination"].pills, sections["decisions"].selectbox(key="evaluation_question")
    assert curves[0].options[: len(asked)] == [question.positive for question in task.questions]
    assert offered.options[: len(asked)] == [one.worded("{Positive} against {negative}") for one in asked]
    calibration = shown_text(sections["calibration"])
    assert all(one.worded("{Positive} against {negative}") in calibration for one in asked)
    assert len(pages["about"].dataframe[1].value) == len(asked)
    assert ("weighted kappa" in shown_text(sections["errors"]).lower()) == task.is_ordinal


def test_a_further_question_starts_at_its_own_operating_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path, task=RETINA)):
        page = run_page("evaluation", section="decisions", decision="vision_threatening")
        assert page.selectbox(key="evaluation_question").value == "vision_threatening"
        assert page.slider(key="evaluation_threshold").value == 0.25
        # Six eyes a grade, every second with two images: 18 images of the two gravest grades.
        text = shown_text(page)
        assert "of 18 vision-threatening" in text and "of 27 not vision-threatening" in text
        assert "p(dr4) + p(dr3)" in page.slider(key="evaluation_threshold").proto.help


def test_where_nothing_is_known_of_the_images_there_are_no_subgroups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = write_artifact(tmp_path, task=RETINA) / MANIFEST_FILE
    stored = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(stored | {"subgroups": []}), encoding="utf-8")
    with environment(monkeypatch, MODEL_DIR=tmp_path):
        page, about = run_page("evaluation", section="subgroups"), run_page("about")
    assert "Subgroups" not in [tab.label for tab in page.tabs] and not page.exception
    assert RETINA.worded(trust_wording.NO_GROUPS) in shown_text(about)


def test_evaluation_speaks_of_the_task_at_hand(toy_model: Path) -> None:
    sections = run_evaluation()
    for section in sections.values():
        assert not section.exception and not section.error
        assert "locked test leaves of Orchard, 27 images, 18 leaves" in shown_text(section)
        assert foreign_words(section) == set()
    metrics = [metric.label for metric in sections["summary"].metric]
    assert "Weighted kappa" in metrics and "Blighted AUROC" in metrics
    assert all(one.colour in shown_text(sections["discrimination"]) for one in TOY.classes)
    assert "neighbours of the most likely grade" in shown_text(sections["calibration"])
    page = sections["decisions"]
    assert page.selectbox(key="evaluation_question").options == [
        "Blighted against sound",
        *(f"{one.code} · {one.name}" for one in TOY.classes),
    ]
    page.selectbox(key="evaluation_question").select("high").run()
    assert "of 9 high" in shown_text(page) and not page.exception


def test_missing_sections_are_said_and_facts_that_are_never_taken(toy_model: Path) -> None:
    text = "\n".join(map(shown_text, run_evaluation().values()))
    assert (
        "nothing that is known of the patient moves the probabilities of the grades" in " ".join(text.split()).lower()
    )
    assert "model.studies.clinical" not in text
    studies = [key for key in trust_wording.STUDIES if key not in ("conformal", "clinical")]
    assert text.count("Not measured for this model yet") == len(studies)


def test_every_study_of_another_task_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    studies = [*EXPORTED_STUDIES, "robustness", "gate", "heatmaps"]
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path / "toy", studies, TOY, "toy")):
        sections = run_evaluation()
        about = run_page("about")
    assert not any(page.exception for page in (*sections.values(), about))
    assert "Wholly blighted AUROC" in shown_text(sections["robustness"])
    assert "n = 40 (20 / 15)" in shown_text(sections["subgroups"])
    assert [foreign_words(page) for page in sections.values()] == [set()] * len(sections)
    assert "least for wholly blighted, 68 % (58 to 78 %, n = 9)" in shown_text(about)


def test_about_tells_a_card_of_the_task_at_hand(toy_model: Path) -> None:
    page = run_page("about")
    assert not page.exception and not page.error
    text = shown_text(page)
    assert "27 images of 18 leaves" in text
    assert page.dataframe[0].value["Metric"].tolist()[:2] == [
        "Balanced accuracy (mean sensitivity of the three classes)",
        "Quadratic weighted kappa (0 is chance)",
    ]
    assert page.dataframe[2].value["Grade"].tolist() == [TOY.titled(code) for code in TOY.codes]
    assert "trained on Orchard, which is under a licence of its own" in " ".join(text.split())


def test_dataset_without_counts_says_which_setting_brings_them(toy_model: Path) -> None:
    page = run_page("dataset")
    assert not page.exception and not page.error
    info = page.info[0].value
    assert "No counts of Orchard come with LesionLens" in info and "`DATASET_DIR`" in info
    assert METADATA_FILE in info and "low, middle, high" in info
    assert not page.get("plotly_chart")


def test_unreadable_dataset_promises_no_counts_where_none_come_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, folder = write_artifact(tmp_path / "toy", ["conformal"], TOY, "toy"), tmp_path / "dataset"
    folder.mkdir()
    (folder / METADATA_FILE).write_text("image_id,dx\nO_1,low\n", encoding="utf-8")
    with environment(monkeypatch, MODEL_DIR=model, DATASET_DIR=folder):
        page = run_page("dataset")
    message = page.error[0].value
    assert "The dataset folder cannot be read" in message and "missing lesion_id" in message
    assert "come with LesionLens" not in message and not page.exception
    assert "No counts of Orchard come with LesionLens" in page.info[0].value


def test_dataset_folder_of_the_task_s_codes_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "toy", ["conformal"], TOY, "toy")
    dataset = write_dataset(tmp_path / "data", 6, ("low", "high"))
    with environment(monkeypatch, MODEL_DIR=model, DATASET_DIR=dataset):
        page = run_page("dataset")
        assert not page.exception and not page.error
        text = shown_text(page)
        assert "6 images · 3 leaves" in text and "Blighted share of images" in text
        assert len(page.get("plotly_chart")) == 8 and len(page.get("image")) == 5
        assert page.multiselect(key="dataset_dx").options == [f"{one.code} · {one.name}" for one in TOY.classes]
        assert foreign_words(page) == set()


def test_samples_are_those_of_the_task(toy_model: Path) -> None:
    assert samples.of_task().empty


# --- Several models --------------------------------------------------------------------------------------------------


def dashboard(page: str = "evaluation", **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=TIMEOUT)
    app.switch_page(f"../pages/{page}.py")
    app.query_params.update({"section": "decisions"} | address)
    return app.run()


def choices(app: AppTest) -> dict[str, list[str]]:
    """What there is to choose from beside the page's own fields."""
    named = (task_choice.TASK_LABEL, task_choice.MODEL_LABEL)
    fields = [*app.get("button_group"), *app.selectbox]
    return {field.label: list(field.options) for field in fields if field.label in named}


def choose(app: AppTest, label: str, option: str) -> AppTest:
    field = next(field for field in (*app.get("button_group"), *app.selectbox) if field.label == label)
    return field.set_value(option).run()


def test_one_model_is_no_choice(toy_model: Path) -> None:
    app = dashboard()
    assert not app.exception and choices(app) == {}


@pytest.fixture
def two_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    own = write_artifact(tmp_path / "b")
    write_artifact(tmp_path / "a", ["conformal"], TOY, "toy")
    with environment(monkeypatch, MODEL_DIR=own, DATABASE_URL=f"sqlite:///{tmp_path / 'cases.db'}"):
        yield


def test_a_task_is_chosen_once_for_all_pages(two_tasks: None) -> None:
    app = dashboard()
    assert choices(app) == {"Task": ["Skin lesions", "Leaves"]} and "task" not in app.query_params
    assert "locked test lesions of HAM10000" in shown_text(app)
    app.selectbox(key="evaluation_question").select("mel").run()
    app.slider(key="evaluation_threshold").set_value(0.9).run()
    assert app.query_params["decision"] == "mel"

    choose(app, "Task", "toy")
    assert not app.exception and not app.error
    assert "locked test leaves of Orchard" in shown_text(app)
    assert app.selectbox(key="evaluation_question").value == "blighted"
    assert app.slider(key="evaluation_threshold").value == 0.25
    assert app.query_params == {"section": "decisions", "task": "toy"}, "what was chosen of skin is gone"

    app.switch_page("../pages/dataset.py").run()
    assert "No counts of Orchard" in app.info[0].value and app.query_params["task"] == "toy"
    choose(app, "Task", "skin")
    assert "10,015 images" in shown_text(app) and not app.exception
    assert app.query_params["task"] == "skin", "so that the way back and forth leads to each"


def test_an_address_names_its_task(two_tasks: None) -> None:
    app = dashboard(task="toy")
    assert "locked test leaves of Orchard" in shown_text(app) and not app.info
    app.query_params["task"] = "skin"
    assert "HAM10000" in shown_text(app.run())


def test_a_task_that_no_model_is_of_is_said(two_tasks: None) -> None:
    app = dashboard(task="<i>feet</i>")
    assert "locked test lesions of HAM10000" in shown_text(app) and not app.exception
    (message,) = [info.value for info in app.info]
    assert "which no model here is of. **Skin lesions** is shown" in message and "<i>" not in message
    choose(app, "Task", "toy")
    assert not app.info and "Orchard" in shown_text(app)


def test_sessions_choose_for_themselves(two_tasks: None) -> None:
    first, second = dashboard(), dashboard()
    choose(first, "Task", "toy")
    assert "Orchard" in shown_text(first)
    assert "HAM10000" in shown_text(second.run())


def test_links_keep_the_task_that_is_not_the_first(two_tasks: None) -> None:
    assert "task=" not in links(dashboard("dataset"))
    write_dataset_link = links(dashboard(task="toy", dx="low"))
    assert "dx=low" in write_dataset_link and "task=toy" in write_dataset_link


def links(app: AppTest) -> str:
    return " ".join(link.proto.query_string for link in app.get("page_link"))


def test_a_task_may_have_several_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, other = write_artifact(tmp_path / "b"), write_artifact(tmp_path / "a", name="other")
    write_artifact(tmp_path / "c", ["conformal"], TOY, "toy")
    with environment(monkeypatch, MODEL_DIR=own):
        app = dashboard()
        assert choices(app) == {"Task": ["Skin lesions", "Leaves"], "Model": ["made-up 0.1", "other 0.1"]}
        app.slider(key="evaluation_threshold").set_value(0.9).run()
        choose(app, "Model", str(other))
        assert "Model **other 0.1**" in shown_text(app) and not app.exception
        choose(app, "Task", "toy")
        assert choices(app) == {"Task": ["Skin lesions", "Leaves"]} and "Model **toy 0.1**" in shown_text(app)
        choose(app, "Task", "skin")
        assert "Model **made-up 0.1**" in shown_text(app)


def test_weights_that_cannot_be_used_are_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, altered = write_artifact(tmp_path / "b"), write_artifact(tmp_path / "a", ["conformal"], TOY, "toy")
    (altered / LITERT_FILE).write_bytes(b"other")
    with environment(monkeypatch, MODEL_DIR=own):
        app = dashboard()
        assert choices(app) == {} and not app.exception
        assert models.artifacts() == (models.artifact(),)


def test_where_something_else_runs_the_network_there_is_no_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = write_artifact(tmp_path / "b")
    write_artifact(tmp_path / "a", ["conformal"], TOY, "toy")
    with environment(monkeypatch, MODEL_DIR=own, CLASSIFIER="https://model.example"):
        assert [artifact.folder for artifact in models.artifacts()] == [own]


def test_where_the_model_of_the_settings_is_broken_no_other_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = write_artifact(tmp_path / "c")
    for name in ("a", "b"):
        write_artifact(tmp_path / name, ["conformal"], TOY, name)
    (own / LITERT_FILE).write_bytes(b"other")
    with environment(monkeypatch, MODEL_DIR=own):
        app = dashboard(task="toy")
        assert choices(app) == {}
        assert "has changed since it was exported" in app.error[0].value
        assert [task.key for task in models.tasks()] == ["skin"]


# --- Datasets --------------------------------------------------------------------------------------------------------


def test_each_task_has_its_own_dataset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = write_artifact(tmp_path / "b")
    write_artifact(tmp_path / "a", ["conformal"], TOY, "toy")
    leaves = write_dataset(tmp_path / "leaves", 6, ("low", "high"))
    with environment(monkeypatch, MODEL_DIR=own, DATASET_DIR=f"toy={leaves}"):
        app = dashboard("dataset")
        assert "10,015 images" in shown_text(app) and "6 images" not in shown_text(app)
        choose(app, "Task", "toy")
        assert "6 images · 3 leaves" in shown_text(app) and not app.exception and not app.error


def test_a_dataset_without_a_task_is_that_of_the_model_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = write_artifact(tmp_path / "a", ["conformal"], TOY, "toy")
    write_artifact(tmp_path / "b")
    leaves = write_dataset(tmp_path / "leaves", 6, ("low", "high"))
    with environment(monkeypatch, MODEL_DIR=own, DATASET_DIR=leaves):
        app = dashboard("dataset")
        assert choices(app) == {"Task": ["Leaves", "Skin lesions"]}
        assert "6 images · 3 leaves" in shown_text(app)
        choose(app, "Task", "skin")
        assert "10,015 images" in shown_text(app) and not app.exception and not app.error
