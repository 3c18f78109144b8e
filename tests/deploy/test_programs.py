"""What deploy/ takes for granted of the programs: addresses, metrics, log lines, the image; and its README."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import Metric

from dashboard.settings import check_address as check_dashboard_address
from dashboard.settings import read_settings
from data.tasks.known import TASKS
from model.inference.artifact import WEIGHTS
from model.server.metrics import ServerMetrics
from model.server.settings import check_address as check_api_address
from model.server.settings import read_server_settings
from tests.support.deploy import DEPLOY, STACKS, all_of, cloud_run, of_type, templates
from tests.support.server import black_image, open_app, sample, send

DASHBOARD_FILE = DEPLOY / "grafana" / "api.json"
DOCKERFILE = (DEPLOY.parent / "Dockerfile").read_text("utf-8")
README = (DEPLOY / "README.md").read_text("utf-8")
# For values that only a cloud knows.
STAND_INS = {
    "DATABASE_URL": "postgresql://user:password@host:5432/lesionlens?sslmode=require",
    "CASE_KEY": "k" * 64,
    "AUTH_USERS": "anna@clinic.org=clinician@Clinic",
    "API_TOKENS": "t" * 40,
}


def _series(metric: Metric) -> set[str]:
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
    return {metric.name + ending for ending in endings}


def unknown_metrics(grafana: dict[str, Any]) -> set[str]:
    """Names in queries that the API does not serve."""
    served = {name for metric in ServerMetrics().registry.collect() for name in _series(metric)}
    queries = " ".join(all_of(grafana, "expr"))
    return set(re.findall(r"\b(?:lesionlens|process)_\w+", queries)) - served


def test_grafana_asks_for_metrics_that_the_api_serves() -> None:
    grafana = json.loads(DASHBOARD_FILE.read_text("utf-8"))
    assert unknown_metrics(grafana) == set()
    assert all(list(all_of(panel, "expr")) for panel in grafana["panels"])


def test_a_metric_that_nobody_serves_is_found() -> None:
    text = DASHBOARD_FILE.read_text("utf-8").replace("lesionlens_refusals_total", "lesionlens_refusals")
    assert unknown_metrics(json.loads(text)) == {"lesionlens_refusals"}


def test_grafana_knows_no_green_and_no_one_s_data_source() -> None:
    grafana = json.loads(DASHBOARD_FILE.read_text("utf-8"))
    assert "green" not in json.dumps(grafana)
    assert {source["uid"] for source in all_of(grafana["panels"], "datasource")} == {"${datasource}"}


def _log_line(caplog: pytest.LogCaptureFixture, image: bytes) -> dict[str, Any]:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="lesionlens.api"):
        send(open_app(), "POST", "/v1/predict", content=image, headers={"Content-Type": "image/png"})
    [record] = [record for record in caplog.records if record.getMessage() == "request"]
    return {"event": record.getMessage(), **record.fields}  # type: ignore[attr-defined]


def test_alarms_read_what_the_log_holds(caplog: pytest.LogCaptureFixture) -> None:
    answered, refused = _log_line(caplog, sample()), _log_line(caplog, black_image())
    resources = templates()["alarms"]["Resources"]
    filters = {
        name: one["Properties"]["FilterPattern"] for name, one in resources.items() if "MetricFilter" in one["Type"]
    }
    assert {field for pattern in filters.values() for field in re.findall(r"\$\.(\w+)", pattern)} <= set(answered)
    assert '$.route = "/v1/predict"' in filters["RequestTime"]
    assert (answered["route"], answered["status"], answered["images"], answered["reason"]) == (
        "/v1/predict",
        200,
        1,
        None,
    )
    assert (refused["status"], refused["images"], refused["reason"]) == (200, 1, "too_dark")
    [transformation] = resources["RequestTime"]["Properties"]["MetricTransformations"]
    assert transformation["MetricValue"] == "$.ms.total"
    assert isinstance(answered["ms"]["total"], float)


def test_alarms_look_at_metrics_that_the_filters_make() -> None:
    all_templates = templates()
    filters = of_type(all_templates, "AWS::Logs::MetricFilter")
    made = {one["MetricTransformations"][0]["MetricName"] for _, one in filters}
    alarms = dict(of_type(all_templates, "AWS::CloudWatch::Alarm"))
    own = {one["MetricName"] for one in alarms.values() if one.get("Namespace") == {"Ref": "Application"}}
    own |= {metric["MetricName"] for metric in all_of(alarms["ManyRefusals"], "Metric")}
    assert own <= made
    assert all(one["AlarmActions"] == [{"Ref": "Mail"}] for one in alarms.values())


def test_addresses_of_the_api_exist() -> None:
    known = set(open_app().openapi()["paths"]) | {"/openapi.json"}
    resources = templates()["load_balancer"]["Resources"]
    asked = {resources["ApiTargets"]["Properties"]["HealthCheckPath"]}
    asked |= {probe["path"] for probe in all_of(cloud_run("api"), "httpGet")}
    [rule] = all_of(resources["ApiRule"], "Values")
    asked |= {pattern for pattern in rule if "*" not in pattern}
    assert asked <= known
    assert {path for path in known if path.startswith("/v1/")} and "/v1/*" in rule


def test_address_of_the_dashboard_s_health_is_the_image_s() -> None:
    resources = templates()["load_balancer"]["Resources"]
    asked = {probe["path"] for probe in all_of(cloud_run("dashboard"), "httpGet")}
    asked.add(resources["DashboardTargets"]["Properties"]["HealthCheckPath"])
    assert asked == {"/_stcore/health"}  # any mistyped address would answer 200 as well
    assert "/_stcore/health" in DOCKERFILE


def test_image_is_as_the_templates_take_it() -> None:
    assert "HOME=/tmp" in DOCKERFILE
    assert "PORT=8080" in DOCKERFILE
    stages = dict(re.findall(r"^FROM \S+ AS ([\w-]+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, flags=re.MULTILINE | re.DOTALL))
    for target in ("dashboard", "dashboard-slim", "api"):
        assert "USER 10001" in stages[target], target
    # The container `prepare` gives another command; a training job is started by its service, with arguments.
    assert [name for name, stage in stages.items() if "ENTRYPOINT" in stage] == ["train"]


def test_which_model_an_image_carries_is_an_argument_of_its_build() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS ([\w-]+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, flags=re.MULTILINE | re.DOTALL))
    for name in ("build-api", "api", "dashboard-runtime"):
        assert "ARG TASK=skin" in stages[name], name
    assert "model/weights/$TASK" in stages["build-api"] and "weights/skin" not in DOCKERFILE
    for name in ("api", "dashboard-runtime"):
        variables = dict(re.findall(r"(\w+)=(\S+)", "".join(re.findall(r"^ENV (.*)$", stages[name], re.MULTILINE))))
        for task in TASKS:
            folder = variables["MODEL_DIR"].replace("$TASK", task)
            assert read_server_settings({"MODEL_DIR": folder}).model_dir == WEIGHTS / task


def test_function_finds_the_model_of_its_task() -> None:
    serverless = templates()["serverless"]
    assert serverless["Parameters"]["Task"]["AllowedValues"] == list(TASKS)
    variables = serverless["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["MODEL_DIR"] == {"Fn::Sub": "model/weights/${Task}"}


def test_readme_makes_the_stacks_in_order() -> None:
    made = re.findall(r"^deploy (\w+)", README, flags=re.MULTILINE)
    assert made == list(STACKS)


def test_readme_gives_every_parameter_that_has_no_default() -> None:
    for name, template in templates().items():
        needed = {key for key, parameter in template["Parameters"].items() if "Default" not in parameter}
        assert [key for key in needed if f"{key}=" not in README] == [], name


def test_readme_names_files_that_exist() -> None:
    named = set(re.findall(r"(?<![\w/$])(?:deploy|data)/[\w/.]+\.\w+", README))
    assert len(named) >= 4
    assert [path for path in named if not (DEPLOY.parent / path).is_file()] == []


def _environment_of_ecs(name: str) -> dict[str, str]:
    """What a container is started with, values that only AWS knows replaced."""
    services = templates()["services"]
    defaults = {key: one["Default"] for key, one in services["Parameters"].items() if "Default" in one}
    [container] = [one for list_ in all_of(services, "ContainerDefinitions") for one in list_ if one["Name"] == name]
    given = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    plain = {
        key: value if isinstance(value, str) else defaults.get(value.get("Ref", ""), "s3://bucket/cases")
        for key, value in given.items()
    }
    return plain | {entry["Name"]: STAND_INS[entry["Name"]] for entry in container["Secrets"]}


def _environment_of_cloud_run(name: str) -> dict[str, str]:
    [container] = cloud_run(name)["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", STAND_INS.get(entry["name"], "x")) for entry in container["env"]}


@pytest.mark.parametrize("environment", [_environment_of_ecs, _environment_of_cloud_run])
def test_programs_start_with_what_the_templates_give_them(environment: Callable[[str], dict[str, str]]) -> None:
    dashboard = read_settings(environment("dashboard"))
    check_dashboard_address(dashboard, "0.0.0.0")
    assert dashboard.image_store.startswith("s3://") and dashboard.database_url.startswith("postgresql://")
    check_api_address(read_server_settings(environment("api")), "0.0.0.0")


def test_function_starts_with_what_the_template_gives_it() -> None:
    [(_, function)] = of_type(templates(), "AWS::Lambda::Function")
    check_api_address(
        read_server_settings({key: str(value) for key, value in function["Environment"]["Variables"].items()}),
        "0.0.0.0",
    )
