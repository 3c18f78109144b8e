"""Trains and exports a model of the made-up task with a tiny network, in a process of its own, which loads Keras.

    python -m tests.support.servers.toy_trainer DATASET OUTPUT

Adding the task and the backbone takes an entry in a table each.
"""

from __future__ import annotations

import sys
from pathlib import Path

from data.tasks.known import TASKS
from model.export import main as export
from model.networks.backbones import BACKBONES
from model.train import main as train
from tests.support.quick_training import TINY
from tests.support.toy_task import TOY

IMAGES = 24
HEIGHT, WIDTH = 96, 128


def main(dataset: str, output: str) -> int:
    TASKS[TOY.key] = TOY
    BACKBONES[TINY.name] = TINY
    run = str(Path(output).with_name("run"))
    options = [
        "--task",
        TOY.key,
        "--backbone",
        TINY.name,
        "--no-lesion-branch",
        "--init",
        "none",
        "--limit",
        str(IMAGES),
    ]
    options += ["--height", str(HEIGHT), "--width", str(WIDTH), "--batch-size", "8", "--head-epochs", "0"]
    options += ["--low-resolution-epochs", "0", "--middle-resolution-epochs", "0", "--full-resolution-epochs", "2"]
    return train(["--dataset", dataset, "--run", run, *options]) or export(["--run", run, "--output", output])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
