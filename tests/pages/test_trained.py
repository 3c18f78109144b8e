"""What was trained here, on the Evaluation page: the table of models and what training costs, under AppTest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.evaluation.trained import wording
from dashboard.evaluation.trained.charts import areas, speeds
from dashboard.evaluation.trained.models import frame
from dashboard.resources import models, trained
from data.tasks.skin import SKIN
from model.evaluation.model_table import ModelRow, ResultsError, read_reported, read_table, row_of_artifact
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict
from model.evaluation.training_costs import TrainingCost, read_costs
from model.measures.intervals import Estimate
from tests.support.dashboard import TIMEOUT, environment, made_up_predictions, shown_text, write_artifact

COSTS = """\
utc,training_images,validation_images,task,backbone,height,width,seconds_an_epoch,images_per_second,processor_share,\
peak_memory_mb,balanced_accuracy,balanced_accuracy_low,balanced_accuracy_high,macro_auroc,macro_auroc_low,\
macro_auroc_high,load_before,cpu,cores,gpu,instance,libraries,price_per_hour
2026-11-30T05:00,2000,500,skin,mobilenet_v2,96,128,40.0,50.0,0.9,1800.0,0.5,0.4,0.6,0.8,0.7,0.9,8.0,Slow 1,2,,,\
"Python 3.11, keras 3",
2026-11-30T06:00,2000,500,skin,mobilenet_v2,96,128,18.0,111.1,0.9,1800.0,0.5,0.4,0.6,0.8,,,0.0,Fast 9,16,Card 7,\
ml.g5.xlarge,"Python 3.11, keras 3",1.40
"""


def entry(name: str, kind: str, **changes: Any) -> dict[str, Any]:
    """A model as `model.tabulate` writes it, of the made-up predictions."""
    cohort = cohort_of(made_up_predictions(), SKIN)
    return {
        "name": name,
        "kind": kind,
        "init": "none",
        "task": "skin",
        "classes": list(SKIN.codes),
        "height": 64,
        "width": 96,
        "metrics": evaluation_to_dict(evaluate(cohort)),
        "operating_points": [asdict(point) for point in choose_operating_points(cohort, cohort)],
        "parameters": 2_300_000,
        "counted": "weights",
        "file_bytes": 4_600_000,
        "milliseconds": {"median": 3.25, "low": 3.0, "high": 3.5},
        "trained_on": {"part": "training", "images": 6781, "lesions": 5000},
        "epochs": 4,
        "minutes": 12.34,
        "processor_minutes": 6.7,
        **changes,
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "models"
    for one in (
        entry("mobilenet", "mobilenet_v2", init="mobilenet_v2.weights.h5"),
        entry("question", "xception_small", task="skin_malignant", classes=["not_malignant", "is_malignant"]),
        entry("trees", "xgboost on pixels", counted="nodes", parameters=45_300, epochs=150, height=28, width=28),
    ):
        (folder / one["name"]).mkdir(parents=True)
        (folder / one["name"] / "model.json").write_text(json.dumps(one))
    return folder


@pytest.fixture
def page(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Made-up results and a made-up artifact."""
    (results.parent / "training.csv").write_text(COSTS)
    monkeypatch.setattr(trained, "read_table", lambda: read_table(results))
    monkeypatch.setattr(trained, "read_costs", lambda: read_costs(results.parent / "training.csv"))
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path / "artifact")):
        yield monkeypatch


def _models() -> None:
    from dashboard.evaluation.trained import models
    from dashboard.shell.widgets import explained_errors

    with explained_errors():
        models.section()


def _costs() -> None:
    from dashboard.evaluation.trained import costs
    from dashboard.shell.widgets import explained_errors

    with explained_errors():
        costs.section()


def run(script) -> AppTest:  # type: ignore[no-untyped-def]
    page = AppTest.from_function(script, default_timeout=TIMEOUT).run()
    assert not page.exception
    return page


def test_models_stand_beside_the_served_one(page: pytest.MonkeyPatch, results: Path) -> None:
    text = shown_text(run(_models))
    served = models.artifact()
    for shown in (
        f"{served.name} {served.version}",
        "mobilenet_v2",
        "xception_small, 2 classes",
        "ImageNet weights",
        "random weights",
        "no network",
        "45 k nodes",
        "2.3 M",
        "4.6",
        "12.3 (6.7)",
        "6,781 images, 150 rounds, 28 x 28 px",
        "chosen for 95 %",
    ):
        assert shown in text, shown
    # Value, interval and n of a rate stand together.
    point = read_table(results)[0].points[0]
    assert f"n = {point.sensitivity.n}" in text
    # What others report is said to be a citation.
    assert "Citations, not measurements" in text and "report of a seed system" in text
    reported = read_reported()
    assert reported and all(figure.source and figure.value for figure in reported)


def test_without_models_the_command_is_named(page: pytest.MonkeyPatch) -> None:
    page.setattr(trained, "read_table", lambda: ())
    assert "model.tabulate" in run(_models).info[0].value


def test_models_of_another_task_are_left_out(page: pytest.MonkeyPatch, results: Path) -> None:
    stored = json.loads((results / "trees" / "model.json").read_text())
    (results / "trees" / "model.json").write_text(json.dumps({**stored, "task": "retina"}))
    text = shown_text(run(_models))
    assert "45 k nodes" not in text and "xception_small, 2 classes" in text
    page.setattr(trained, "read_costs", lambda: tuple(replace(cost, task="retina") for cost in read_costs_of(results)))
    assert run(_costs).info[0].value == wording.NO_COSTS


def read_costs_of(results: Path) -> tuple[TrainingCost, ...]:
    return read_costs(results.parent / "training.csv")


def test_damaged_table_is_said_in_its_place(page: pytest.MonkeyPatch, results: Path) -> None:
    (results / "trees" / "model.json").write_text("{")
    shown = run(_models)
    assert "A table of results cannot be read" in shown.error[0].value and "model.json" in shown.error[0].value


def test_costs_tell_own_machine_from_cloud_and_print_the_price(page: pytest.MonkeyPatch) -> None:
    text = shown_text(run(_costs))
    # 18 s of an hour at 1.40.
    for shown in ("Slow 1, 2 cores", "ml.g5.xlarge: Fast 9, 16 cores, Card 7", "US$ 0.0070 (US$ 1.40 an hour)"):
        assert shown in text, shown
    assert "90 % of 2" in text and "1,800 MiB" in text and "n = 500" in text
    assert wording.NO_CLOUD not in text


def test_costs_without_a_cloud_say_so(page: pytest.MonkeyPatch, results: Path) -> None:
    own = "\n".join(COSTS.splitlines()[:2])
    (results.parent / "training.csv").write_text(own + "\n")
    assert wording.NO_CLOUD in shown_text(run(_costs))
    page.setattr(trained, "read_costs", lambda: ())
    trained.training_costs.clear()  # type: ignore[attr-defined]
    assert "model.bench_training" in run(_costs).info[0].value


def test_damaged_costs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("utc,images\n2026,200\n")
    with pytest.raises(ResultsError, match=r"training\.csv: expected what model.bench_training writes"):
        read_costs(tmp_path / "training.csv")
    assert read_costs(tmp_path / "none.csv") == ()


def test_charts_draw_every_model_and_both_kinds_of_machine(results: Path, tmp_path: Path) -> None:
    rows = read_table(results)
    rows = (replace(rows[0], positive_auroc=Estimate(0.9, 0.85, 0.93)), *rows[1:])
    figure = areas(rows, [row.name for row in rows], 1, "AUROC")
    assert [trace.x[0] for trace in figure.data] == [row.positive_auroc.value for row in rows]
    bars = [(trace.error_x.arrayminus[0], trace.error_x.array[0]) for trace in figure.data]
    # The made-up lesions are too few for an interval of an area.
    assert bars[0] == pytest.approx((0.05, 0.03)) and bars[1:] == [(0, 0), (0, 0)]
    (tmp_path / "training.csv").write_text(COSTS)
    costs: tuple[TrainingCost, ...] = read_costs(tmp_path / "training.csv")
    drawn = speeds(costs, "own", "cloud")
    assert [(trace.name, trace.x[0], trace.y[0]) for trace in drawn.data] == [("own", 2000, 50), ("cloud", 2000, 111.1)]
    assert [cost.cost_an_epoch for cost in costs if cost.is_cloud] == pytest.approx([1.40 * 18 / 3600])


def test_downloaded_table_holds_every_figure(results: Path, tmp_path: Path) -> None:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path / "artifact")),
    ):
        served: ModelRow = row_of_artifact(models.artifact(), minutes=3.0)
    table = frame([served, *read_table(results)])
    assert list(table["minutes"]) == [3.0, 12.34, 12.34, 12.34]
    assert table["positive_auroc"].notna().all() and table["milliseconds"].isna().tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert {"sensitivity_95_sensitivity", "sensitivity_90_specificity_high"} <= set(table.columns)
