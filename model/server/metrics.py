"""What Prometheus reads of the API: how long, how many, which classes, how far from the training images."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from model.analysis.analyzer import Analysis
from model.inference.artifact import Artifact

MEDIA_TYPE = CONTENT_TYPE_LATEST
# Milliseconds for one network, seconds where hundreds wait.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.255, 0.5, 1, 2.5, 5, 10, 30)
# About 1 for an image like the training images; the committed gate refuses above 2.1.
_OOD_SCORES = (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 5, 10, 50)


class ServerMetrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "lesionlens_requests", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "lesionlens_request_seconds", "Whole request.", ("route",), registry=self.registry, buckets=_SECONDS
        )
        self.stage_seconds = Histogram(
            "lesionlens_stage_seconds",
            "One stage of one image: wait in the queue, image, network, answer.",
            ("stage",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.predictions = Counter(
            "lesionlens_predictions", "Images answered, by predicted class.", ("dx",), registry=self.registry
        )
        self.refusals = Counter(
            "lesionlens_refusals",
            "Images that cannot be judged or read, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.problems = Counter(
            "lesionlens_problems", "Errors told to callers, by reason.", ("reason",), registry=self.registry
        )
        self.ood_score = Histogram(
            "lesionlens_ood_score",
            "Distance of an image from the training images.",
            registry=self.registry,
            buckets=_OOD_SCORES,
        )
        self.in_flight = Gauge("lesionlens_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.is_ready = Gauge("lesionlens_model_ready", "1 where the model can answer.", registry=self.registry)
        self.model = Gauge(
            "lesionlens_model_info",
            "The model that answers.",
            ("name", "version", "weights_sha256"),
            registry=self.registry,
        )

    def set_model(self, artifact: Artifact) -> None:
        self.model.labels(artifact.name, artifact.version, artifact.weights_sha256).set(1)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        self.requests.labels(route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def observe_stages(self, seconds: Mapping[str, float]) -> None:
        for stage, value in seconds.items():
            self.stage_seconds.labels(stage).observe(value)

    def observe_analysis(self, analysis: Analysis) -> None:
        """Count the class, or the reason of a refusal, and where the image lies."""
        self.ood_score.observe(analysis.quality.ood_score)
        if analysis.answer is not None:
            self.predictions.labels(analysis.answer.prediction.dx).inc()
        elif analysis.quality.refusal is not None:
            self.refusals.labels(analysis.quality.refusal).inc()

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)
