"""Checkpoints of a run, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from model.training.recipe import NETWORK_FILE, RunMismatch

STATE_FILE = "state.json"


@dataclass
class Progress:
    """Where a run is: the next batch to train, and the finished epochs' rows of history."""

    epoch: int
    step: int
    history: list[dict[str, Any]]


class Checkpoints:
    """Saves and restores a run: network with optimizer state, the next step, and history so far."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder = folder
        self._seconds = minutes * 60
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self._seconds

    def save(self, network: keras.Model, progress: Progress) -> None:
        """Write a checkpoint so that a kill at any moment leaves the old one or the new one whole."""
        name = f"checkpoint-{progress.epoch:03d}-{progress.step:05d}.keras"
        network.save(self._folder / name)
        temporary = self._folder / f"{STATE_FILE}.tmp"
        temporary.write_text(json.dumps({"checkpoint": name, **asdict(progress)}))
        temporary.replace(self._folder / STATE_FILE)
        for old in self._folder.glob("checkpoint-*.keras"):
            if old.name != name:
                old.unlink()
        self._saved_at = time.monotonic()

    def restore(self) -> tuple[keras.Model, Progress] | None:
        """The last checkpoint, or None where the run was killed before its first."""
        state_path = self._folder / STATE_FILE
        if not state_path.is_file():
            return None
        state = json.loads(state_path.read_text())
        network = keras.models.load_model(self._folder / state["checkpoint"])
        return network, Progress(state["epoch"], state["step"], state["history"])


def finished_network(run: Path) -> keras.Model:
    """The network that a run ended with, for any input size.

    Raises:
        RunMismatch: the run has not been trained to its end.
    """
    if not (run / NETWORK_FILE).is_file():
        raise RunMismatch(f"expected {NETWORK_FILE} in {run}, found none: finish the run (model.train --resume) first")
    return keras.models.load_model(run / NETWORK_FILE, compile=False)
