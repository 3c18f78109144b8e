"""Types of command-line arguments that several stages share, and the arguments that name a model or a dataset."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from data.tasks.known import TASKS
from data.tasks.task import Task
from model.inference.artifact import DEFAULT_ARTIFACT, WEIGHTS

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "sample"


def whole_number(minimum: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `minimum`."""

    def parse(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, received {number}")
        return number

    # argparse names the type in its message for text that is no number.
    parse.__name__ = "whole number"
    return parse


def add_artifact(parser: argparse.ArgumentParser) -> None:
    """Take `--artifact FOLDER`, or `--task KEY` for the folder of that task; both set `artifact`, a `Path`."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder; default: model/weights/skin"
    )
    either.add_argument(
        "--task",
        dest="artifact",
        type=_artifact_of,
        default=argparse.SUPPRESS,
        metavar="TASK",
        help=f"short for model/weights/TASK: {', '.join(TASKS)}",
    )


def _artifact_of(task: str) -> Path:
    if task not in TASKS:
        raise argparse.ArgumentTypeError(f"expected a task of {', '.join(TASKS)}, received {task!r}")
    return WEIGHTS / task


def add_dataset(parser: argparse.ArgumentParser, given: Path | None = None) -> None:
    """Take `--dataset FOLDER`, shaped like HAM10000; without it `given`, and None stands for the task's
    `dataset.folder`."""
    folders = ", ".join(f"{task.dataset.folder} ({task.key})" for task in TASKS.values())
    parser.add_argument("--dataset", type=Path, default=given, help=f"folder shaped like HAM10000; default: {folders}")


def sample_of(task: Task) -> Path:
    """The drawn image of the task's commonest class, for commands that need any image of the kind."""
    return SAMPLES / f"synthetic_{task.dataset.commonest}_1.jpg"
