"""The benchmark measures what it says; how fast anything is, no test may ask."""

from __future__ import annotations

import numpy as np
import pytest

from data.tasks.known import TASKS
from model.arguments import sample_of
from model.bench import Figure, measure, measure_first_prediction, measure_serving, print_table
from model.inference.artifact import WEIGHTS, Artifact, load_artifact


@pytest.fixture(scope="module", params=[task for task in TASKS if (WEIGHTS / task).is_dir()])
def artifact(request: pytest.FixtureRequest) -> Artifact:
    return load_artifact(WEIGHTS / request.param)


def test_median_and_quartiles_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Five runs of 1, 2, 3, 4 and 100 ms: the slow one moves neither median nor quartiles.
    clock = iter(np.cumsum([0, 0.001, 0, 0.002, 0, 0.003, 0, 0.004, 0, 0.100]))
    monkeypatch.setattr("model.bench.time.perf_counter", lambda: float(next(clock)))
    calls: list[int] = []
    figure = measure("name", lambda: calls.append(1), 5, "method")
    assert (figure.low, figure.median, figure.high) == pytest.approx((2, 3, 4))
    assert len(calls) == 6  # one more, which is not counted


def test_every_serving_step_is_measured(artifact: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    figures = measure_serving(artifact, sample_of(artifact.task).read_bytes(), runs=2)
    assert [figure.name for figure in figures] == [
        "decode",
        "decode, as TIFF",
        "preprocess",
        "whole answer, all networks, all heatmaps",
        "similar cases",
        "overlay",
        "bytes to analysis",
    ]
    assert all(figure.runs == 2 and 0 < figure.low <= figure.median <= figure.high for figure in figures)
    print_table(figures)
    assert "LiteRT, 1 thread" in capsys.readouterr().out


def test_first_prediction_runs_in_fresh_processes_without_tensorflow(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.bench.START_RUNS", 1)
    figure = measure_first_prediction(artifact, sample_of(artifact.task))
    assert isinstance(figure, Figure) and figure.runs == 1
