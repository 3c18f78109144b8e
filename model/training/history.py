"""What a run's folder tells of its past: the runs it goes on from, and the epochs of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from model.inference.artifact import HISTORY_FILE
from model.training.recipe import RUN_FILE, read_run


def write_history(runs: Sequence[Path], path: Path) -> None:
    """The histories of all runs in one table, with the fold each was not trained on."""
    histories = [history_of(run).assign(fold=read_run(run).validation_fold) for run in runs]
    pd.concat(histories).to_csv(path, index=False)


def history_of(run: Path) -> pd.DataFrame:
    """A run's history, after that of the earlier runs, or the artifact's network, it went on from; epochs are numbered
    through."""
    runs = lineage(run)
    first = read_run(runs[0])
    start = Path(first.init) / HISTORY_FILE
    of_artifact = [pd.read_csv(start).query(f"fold == {first.validation_fold}")] if start.is_file() else []
    history = pd.concat([*of_artifact, *(pd.read_csv(part / HISTORY_FILE) for part in runs)], ignore_index=True)
    return history.assign(epoch=range(1, len(history) + 1))


def lineage(run: Path) -> list[Path]:
    """The runs a network comes from, the first one first, the run itself last."""
    start = Path(read_run(run).init)
    return [*(lineage(start) if (start / RUN_FILE).is_file() else []), run]


def epochs_by_phase(run: Path) -> dict[str, int]:
    """How many epochs a run and those before it spent in each phase, in order."""
    phases = history_of(run)["phase"].value_counts(sort=False)
    return {str(phase): int(count) for phase, count in phases.items()}
