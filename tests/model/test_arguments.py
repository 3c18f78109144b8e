"""Command-line arguments that several stages share."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from data.tasks.known import TASKS
from data.tasks.task import Task
from model.arguments import add_artifact, add_dataset, sample_of, whole_number
from model.inference.artifact import DEFAULT_ARTIFACT


def test_whole_number_from_its_minimum_on(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=whole_number(2))
    assert parser.parse_args(["--images", "2"]).images == 2
    for text, message in (("1", "at least 2, received 1"), ("many", "invalid whole number value: 'many'")):
        with pytest.raises(SystemExit):
            parser.parse_args(["--images", text])
        assert message in capsys.readouterr().err


def artifact_of(*words: str) -> Path:
    parser = argparse.ArgumentParser()
    add_artifact(parser)
    artifact: Path = parser.parse_args(words).artifact
    return artifact


@pytest.mark.parametrize("task", TASKS)
def test_task_is_short_for_its_folder(task: str) -> None:
    assert artifact_of("--task", task) == DEFAULT_ARTIFACT.parent / task


def test_artifact_is_a_folder_and_skin_without_one(tmp_path: Path) -> None:
    assert artifact_of("--artifact", str(tmp_path)) == tmp_path
    assert artifact_of() == DEFAULT_ARTIFACT == DEFAULT_ARTIFACT.parent / "skin"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "heart"), "expected a task of skin, retina, received 'heart'"),
        (("--task", "retina", "--artifact", "folder"), "not allowed with"),
    ],
)
def test_other_task_or_both_are_refused(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        artifact_of(*words)
    assert message in capsys.readouterr().err


def test_dataset_is_the_task_s_unless_named() -> None:
    parser = argparse.ArgumentParser()
    add_dataset(parser)
    assert parser.parse_args([]).dataset is None
    assert parser.parse_args(["--dataset", "elsewhere"]).dataset == Path("elsewhere")
    folders = {task.key: task.dataset.folder for task in TASKS.values()}
    assert folders == {"skin": Path("data/raw/ham10000"), "retina": Path("data/raw/aptos2019")}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_sample(task: Task) -> None:
    assert sample_of(task).is_file()
