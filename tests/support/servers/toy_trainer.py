"""Trains and exports a model of the made-up task with a tiny network, in a process of its own, which loads Keras.

    python -m tests.support.servers.toy_trainer DATASET OUTPUT

Adding the task and the backbone takes an entry in a table each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras

from data.tasks.known import TASKS
from model.export import main as export
from model.networks.backbones import BACKBONES, Backbone
from model.train import main as train
from tests.support.toy_task import TOY

IMAGES = 24
HEIGHT, WIDTH = 96, 128


def tiny(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    """Two convolutions at stride 4 each."""
    values = rescaled
    for name, channels in (("early", 8), ("late", 16)):
        values = keras.layers.Conv2D(channels, 5, strides=4, padding="same", activation="relu", name=name)(values)
    return keras.Model(keras.utils.get_source_inputs(values), values, name="tiny")


def main(dataset: str, output: str) -> int:
    TASKS[TOY.key] = TOY
    BACKBONES["tiny"] = Backbone("tiny", tiny, 1 / 255, 0.0, ("early",), "late", "early", "late", stride=16)
    run = str(Path(output).with_name("run"))
    options = ["--task", TOY.key, "--backbone", "tiny", "--no-lesion-branch", "--init", "none", "--limit", str(IMAGES)]
    options += ["--height", str(HEIGHT), "--width", str(WIDTH), "--batch-size", "8", "--head-epochs", "0"]
    options += ["--low-resolution-epochs", "0", "--middle-resolution-epochs", "0", "--full-resolution-epochs", "2"]
    return train(["--dataset", dataset, "--run", run, *options]) or export(["--run", run, "--output", output])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
