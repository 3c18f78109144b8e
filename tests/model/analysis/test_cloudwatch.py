"""What CloudWatch reads of a log line, against its specification."""

from __future__ import annotations

import json
import logging

import pytest

from data.tasks.skin import SKIN
from model.analysis.cloudwatch import embedded_metrics
from model.analysis.log_lines import JsonFormatter
from model.server.request_log import LOGGER
from tests.support.server import black_image, open_app, predict, sample

ANSWERED = {
    "route": "/v1/predict",
    "status": 200,
    "images": 2,
    "predictions": {"mel": 1},
    "refusals": {"too_dark": 1},
    "ood_scores": [0.9, 1.5],
    "ms": {"wait": 1.0, "network": 20.0, "total": 30.0},
}


def test_every_metric_is_a_member_of_the_line() -> None:
    line = ANSWERED | embedded_metrics(ANSWERED, SKIN.codes, 1_700_000_000_000)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"]["Timestamp"] == 1_700_000_000_000
    assert directive["Dimensions"] == [["route"], []]
    assert len(directive["Metrics"]) <= 100
    for metric in directive["Metrics"]:
        values = line[metric["Name"]]
        assert all(isinstance(value, int | float) for value in (values if isinstance(values, list) else [values]))
    for dimension in directive["Dimensions"][0]:
        assert isinstance(line[dimension], str)


def test_values_are_those_of_the_request() -> None:
    metrics = embedded_metrics(ANSWERED, SKIN.codes, 0)
    assert (metrics["latency"], metrics["network_time"]) == (30.0, 20.0)
    assert (metrics["images"], metrics["errors"], metrics["refusals"]) == (2, 0, 1)
    assert {dx: metrics[f"predicted_{dx}"] for dx in SKIN.codes} == dict.fromkeys(SKIN.codes, 0) | {"mel": 1}
    assert metrics["ood_distance"] == [0.9, 1.5]


def test_request_without_images_has_no_classes_or_distances() -> None:
    nothing = {"predictions": {}, "refusals": {}, "ood_scores": [], "images": 0, "status": 503}
    metrics = embedded_metrics(ANSWERED | nothing, (), 0)
    assert metrics["errors"] == 1
    assert "ood_distance" not in metrics and "predicted_nv" not in metrics


def test_lines_of_the_server_hold_them_where_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    app = open_app()
    predict(app, sample())
    predict(app, black_image())
    records = [record for record in caplog.records if record.name == LOGGER.name]
    answered, refused = (json.loads(JsonFormatter(has_metrics=True).format(record)) for record in records)
    assert sum(answered[f"predicted_{dx}"] for dx in SKIN.codes) == 1 and len(answered["ood_distance"]) == 1
    assert (refused["refusals"], "predicted_nv" in refused) == (1, False)
    assert "_aws" not in json.loads(JsonFormatter().format(records[0]))
