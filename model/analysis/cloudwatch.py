"""CloudWatch's embedded metric format: what a log line must hold for CloudWatch to make metrics of it by itself.

Source:
    Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "LesionLens"
MAX_VALUES = 100  # of one metric in one line, by the specification


def embedded_metrics(fields: Mapping[str, Any], classes: Sequence[str], milliseconds: int) -> dict[str, Any]:
    """Members to add to a request's log line.

    Args:
        fields: what is logged of a request, or of an upload to the dashboard, whose route is `dashboard`.
        classes: codes of the classes, each of which gets a count; none where no image was answered.
        milliseconds: when, since 1970 UTC.

    Returns:
        `_aws` and the values it names: latency in milliseconds, whole and by stage; images, errors (5xx) and refusals;
        images by predicted class; distances from the training images. By route, and over all routes.
    """
    stages = {"latency" if stage == "total" else f"{stage}_time": value for stage, value in fields["ms"].items()}
    counts = {
        "images": fields["images"],
        "errors": int(fields["status"] >= 500),
        "refusals": sum(fields["refusals"].values()),
        **{f"predicted_{dx}": fields["predictions"].get(dx, 0) for dx in classes},
    }
    distances = {"ood_distance": fields["ood_scores"][:MAX_VALUES]} if fields["ood_scores"] else {}
    metrics = [
        *({"Name": name, "Unit": "Milliseconds"} for name in stages),
        *({"Name": name, "Unit": "Count"} for name in counts),
        *({"Name": name, "Unit": "None"} for name in distances),
    ]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["route"], []], "Metrics": metrics}
    return {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}, **stages, **counts, **distances}
