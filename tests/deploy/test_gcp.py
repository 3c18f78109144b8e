"""The Cloud Run services: Google's own schema, what it leaves open, and that each check can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.deploy import (
    API_VARIABLES,
    DASHBOARD_VARIABLES,
    DEPLOY,
    OTHER_VARIABLES,
    SECRET_VARIABLES,
    Template,
    cloud_run,
)

NAMES = ("dashboard", "api")
# Any annotation is accepted by the schema, and a misspelt one is without effect.
# Source: cloud.google.com/run/docs/reference/yaml/v1
SERVICE_ANNOTATIONS = {"run.googleapis.com/ingress"}
REVISION_ANNOTATIONS = {
    "autoscaling.knative.dev/maxScale",
    "autoscaling.knative.dev/minScale",
    "run.googleapis.com/cloudsql-instances",
    "run.googleapis.com/cpu-throttling",
    "run.googleapis.com/execution-environment",
    "run.googleapis.com/sessionAffinity",
    "run.googleapis.com/startup-cpu-boost",
}


@cache
def _validator() -> Draft202012Validator:
    """Of a Service, made of the discovery document that Google ships; unknown fields are errors."""
    document = json.loads(files("googleapiclient").joinpath("discovery_cache/documents/run.v1.json").read_text("utf-8"))
    return Draft202012Validator({"$ref": "#/$defs/Service", "$defs": _strict(document["schemas"])})


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if schema.get("type") == "object" and "properties" in schema:
        strict["additionalProperties"] = False
    return strict


def container(service: Template) -> dict[str, Any]:
    [only] = service["spec"]["template"]["spec"]["containers"]
    return only


def schema(service: Template) -> list[str]:
    return [error.json_path for error in _validator().iter_errors(service)]


def annotations(service: Template) -> list[str]:
    of_service = service["metadata"]["annotations"]
    of_revision = service["spec"]["template"]["metadata"]["annotations"]
    unknown = (set(of_service) - SERVICE_ANNOTATIONS) | (set(of_revision) - REVISION_ANNOTATIONS)
    return sorted(unknown) + [key for key, value in of_revision.items() if not isinstance(value, str)]


def variables(service: Template) -> list[str]:
    """Each is a setting of the program it is given to; secrets come from Secret Manager."""
    known = DASHBOARD_VARIABLES if container(service)["name"] == "dashboard" else API_VARIABLES
    entries = container(service)["env"]
    unknown = {entry["name"] for entry in entries} - known - set(OTHER_VARIABLES)
    return sorted(unknown) + [
        entry["name"] for entry in entries if "value" in entry and entry["name"] in SECRET_VARIABLES
    ]


def ports(service: Template) -> list[str]:
    """Cloud Run tells the program its port; probes ask the same."""
    [port] = container(service)["ports"]
    probes = [container(service)[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe")]
    return [] if {port["containerPort"], *probes} == {8080} else ["port"]


def probes(service: Template) -> list[str]:
    """Source: schema of Probe: the time-out is no longer than the period; a start may take 240 s in all."""
    faults = [
        probe
        for probe in ("startupProbe", "livenessProbe")
        if container(service)[probe]["timeoutSeconds"] > container(service)[probe]["periodSeconds"]
    ]
    startup = container(service)["startupProbe"]
    return faults + ["start"] * (startup["periodSeconds"] * startup["failureThreshold"] > 240)


def start(service: Template) -> list[str]:
    """Nobody waits for a first start, and starts are quick."""
    found = service["spec"]["template"]["metadata"]["annotations"]
    is_warm = int(found.get("autoscaling.knative.dev/minScale", "0")) >= 1
    return [] if is_warm and found.get("run.googleapis.com/startup-cpu-boost") == "true" else ["start"]


def volumes(service: Template) -> list[str]:
    spec = service["spec"]["template"]["spec"]
    mounted = {mount["name"] for mount in container(service).get("volumeMounts", ())}
    return sorted(mounted ^ {volume["name"] for volume in spec.get("volumes", ())})


def websockets(service: Template) -> list[str]:
    """A page stays connected for an hour, with its own instance, whose processor is never taken away."""
    template = service["spec"]["template"]
    found = template["metadata"]["annotations"]
    is_sticky = found.get("run.googleapis.com/sessionAffinity") == "true"
    is_awake = found.get("run.googleapis.com/cpu-throttling") == "false"
    return [] if is_sticky and is_awake and template["spec"]["timeoutSeconds"] == 3600 else ["websockets"]


def _set(*path: str | int, value: Any) -> Callable[[Template], None]:
    def change(service: Template) -> None:
        place: Any = service
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


_SPEC = ("spec", "template", "spec")
_CONTAINER = (*_SPEC, "containers", 0)
_ANNOTATIONS = ("spec", "template", "metadata", "annotations")
Check = Callable[[Template], list[str]]
CHECKS: list[tuple[Check, list[Callable[[Template], None]]]] = [
    (
        schema,
        [
            _set(*_SPEC, "timeoutSecond", value=3600),
            _set(*_SPEC, "timeoutSeconds", value="an hour"),
            _set(*_CONTAINER, "startupProbe", "httpGet", "paths", value="/"),
        ],
    ),
    (annotations, [_set(*_ANNOTATIONS, "run.googleapis.com/session-affinity", value="true")]),
    (annotations, [_set(*_ANNOTATIONS, "autoscaling.knative.dev/minScale", value=1)]),
    (variables, [_set(*_CONTAINER, "env", 0, value={"name": "CASE_KEY", "value": "k"})]),
    (variables, [_set(*_CONTAINER, "env", 0, value={"name": "DATABASE", "value": "k"})]),
    (ports, [_set(*_CONTAINER, "startupProbe", "httpGet", "port", value=8501)]),
    (probes, [_set(*_CONTAINER, "livenessProbe", "timeoutSeconds", value=60)]),
    (probes, [_set(*_CONTAINER, "startupProbe", "failureThreshold", value=1000)]),
    (start, [_set(*_ANNOTATIONS, "autoscaling.knative.dev/minScale", value="0")]),
    (volumes, [_set(*_SPEC, "volumes", value=[{"name": "other"}])]),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", dict.fromkeys(check for check, _ in CHECKS), ids=lambda check: check.__name__)
def test_services_pass(check: Check, name: str) -> None:
    assert check(cloud_run(name)) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("check", "change"), [(check, change) for check, changes in CHECKS for change in changes])
def test_a_changed_service_fails(check: Check, change: Callable[[Template], None], name: str) -> None:
    changed = cloud_run(name)
    change(changed)
    assert check(changed) != []


def test_websockets_stay() -> None:
    assert websockets(cloud_run("dashboard")) == []


@pytest.mark.parametrize(
    "change",
    [
        _set(*_SPEC, "timeoutSeconds", value=300),
        _set(*_ANNOTATIONS, "run.googleapis.com/sessionAffinity", value="false"),
        _set(*_ANNOTATIONS, "run.googleapis.com/cpu-throttling", value="true"),
    ],
)
def test_websockets_would_end(change: Callable[[Template], None]) -> None:
    changed = cloud_run("dashboard")
    change(changed)
    assert websockets(changed) != []


def test_every_service_is_checked() -> None:
    assert {path.stem for path in (DEPLOY / "gcp").glob("*.yaml")} == set(NAMES)


def test_dashboard_reaches_its_database_and_bucket() -> None:
    spec = cloud_run("dashboard")["spec"]["template"]
    plain = {entry["name"]: entry.get("value") for entry in container(cloud_run("dashboard"))["env"]}
    assert plain["IMAGE_STORE"] == "s3://PROJECT-lesionlens/cases"
    assert plain["IMAGE_STORE_ENDPOINT"] == "https://storage.googleapis.com"
    assert spec["metadata"]["annotations"]["run.googleapis.com/cloudsql-instances"] == "PROJECT:REGION:lesionlens"
