"""Training in seconds, for tests that are not about a network: a backbone of two convolutions, and steps untraced.

    python -m tests.support.quick_training CHECKPOINTS OPTIONS

is `model.train OPTIONS` with that backbone in the table, killed when so many checkpoints are whole and the next one is
about to take the place of the last. Only import it where Keras may be loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from model.networks.backbones import BACKBONES, Backbone
from model.train import main as train
from model.training.checkpoints import STATE_FILE


def _two_convolutions(rescaled: keras.KerasTensor, init: str | None) -> keras.Model:
    values = rescaled
    for name, channels in (("early", 8), ("late", 16)):
        values = keras.layers.Conv2D(channels, 5, strides=4, padding="same", use_bias=False, name=name)(values)
        values = keras.layers.BatchNormalization(name=f"{name}_norm")(values)
        values = keras.layers.ReLU(name=f"{name}_out")(values)
    return keras.Model(keras.utils.get_source_inputs(values), values, name="tiny")


TINY = Backbone(
    name="tiny",
    build=_two_convolutions,
    scale=1 / 255,
    offset=0.0,
    texture_layers=("early_out",),
    fine_layer="late_out",
    middle_resolution_from="early",
    full_resolution_from="late",
    stride=16,
    # Keras does not save what a dropout layer would draw next: without one, a resumed run ends exactly as a whole one.
    dropout=0.0,
)


@contextmanager
def untraced() -> Iterator[None]:
    """Runs what is trained step by step: tracing a network into a graph takes longer than its few steps do."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def main(whole_checkpoints: int, *options: str) -> int:
    BACKBONES[TINY.name] = TINY
    replace, replaced = Path.replace, 0

    def replace_or_die(path: Path, target: Path) -> Path:
        nonlocal replaced
        if target.name == STATE_FILE:
            if replaced == whole_checkpoints:
                os.kill(os.getpid(), signal.SIGKILL)
            replaced += 1
        return replace(path, target)

    Path.replace = replace_or_die  # type: ignore[method-assign]
    with untraced():
        return train(options)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
