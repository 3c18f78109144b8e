"""What Prometheus reads: counts and times that add up to the requests made."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.server import black_image, predict, sample, send


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """After three answers, a refusal, and a file that is no image."""
    app = create_app(ServerSettings(rate_per_minute=0, workers=1))
    for content in (sample(), sample(), sample("synthetic_nv_1.jpg"), black_image(), b"no image"):
        predict(app, content)
    send(app, "GET", "/nowhere")
    return app


@pytest.fixture
def samples(app: FastAPI) -> dict[tuple[str, ...], float]:
    """Values by name and labels' values, in the order of the labels' names."""
    response = send(app, "GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_predictions_and_refusals_are_counted(samples: dict[tuple[str, ...], float]) -> None:
    assert samples["lesionlens_predictions_total", "mel"] == 2
    assert samples["lesionlens_predictions_total", "nv"] == 1
    assert samples["lesionlens_refusals_total", "too_dark"] == 1
    assert samples["lesionlens_refusals_total", "not_an_image"] == 1


def test_requests_and_problems_are_counted(samples: dict[tuple[str, ...], float]) -> None:
    assert samples["lesionlens_requests_total", "/v1/predict", "200"] == 4
    assert samples["lesionlens_requests_total", "/v1/predict", "422"] == 1
    assert samples["lesionlens_requests_total", "unmatched", "404"] == 1
    assert samples["lesionlens_problems_total", "not_an_image"] == 1
    assert ("lesionlens_problems_total", "too_dark") not in samples


def test_times_are_measured_by_stage(samples: dict[tuple[str, ...], float]) -> None:
    for stage in ("wait", "image", "network", "answer"):
        assert samples["lesionlens_stage_seconds_count", stage] == 4
    assert samples["lesionlens_request_seconds_count", "/v1/predict"] == 5
    assert samples["lesionlens_request_seconds_sum", "/v1/predict"] > samples["lesionlens_stage_seconds_sum", "network"]


def test_distance_from_the_training_images_is_measured(samples: dict[tuple[str, ...], float]) -> None:
    assert samples["lesionlens_ood_score_count",] == 4
    # The black image lies far out, the drawings do not.
    assert samples["lesionlens_ood_score_bucket", "50.0"] <= 4
    assert samples["lesionlens_ood_score_bucket", "2.0"] >= 3


def test_model_load_and_process_are_shown(samples: dict[tuple[str, ...], float]) -> None:
    assert samples["lesionlens_model_ready",] == 1
    assert samples["lesionlens_requests_in_flight",] == 1  # this one
    assert [key[1] for key in samples if key[0] == "lesionlens_model_info"] == ["skin"]
    assert samples["process_resident_memory_bytes",] > 0
