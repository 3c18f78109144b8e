"""The CloudFormation templates: what cfn-lint sees, what it misses, and that each check can fail."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy import DEPLOY, TEMPLATES, of_type, templates
from tests.support.deploy_checks import (
    Templates,
    attribute_keys,
    buckets,
    containers,
    deployments,
    function,
    hardening,
    imports,
    lasting,
    listeners,
    logs,
    open_ports,
    permissions,
    plain_secrets,
    ports,
    roles,
    routes,
    scaling,
    service_containers,
    stop_timeouts,
    target_types,
    variables,
    websockets,
)


def _set(path: str, value: Any) -> Callable[[Templates], None]:
    """A change of one value; numbers in the path count entries of a list."""

    def change(all_templates: Templates) -> None:
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split("/")]
        place: Any = all_templates
        for part in parents:
            place = place[part]
        place[last] = value

    return change


_BALANCER = "load_balancer/Resources"
_TASK = "services/Resources/{}Task/Properties/ContainerDefinitions/{}"
_DASHBOARD, _API, _PREPARE = _TASK.format("Dashboard", 1), _TASK.format("Api", 0), _TASK.format("Dashboard", 0)
_POLICY = "services/Resources/DashboardRole/Properties/Policies/0/PolicyDocument/Statement"
_WORLD = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}
CHECKS: list[tuple[Callable[[Templates], list[str]], list[Callable[[Templates], None]]]] = [
    (stop_timeouts, [_set(f"{_DASHBOARD}/StopTimeout", 300), _set(f"{_API}/StopTimeout", 2)]),
    (target_types, [_set(f"{_BALANCER}/ApiTargets/Properties/TargetType", "instance")]),
    (
        attribute_keys,
        [_set(f"{_BALANCER}/DashboardTargets/Properties/TargetGroupAttributes/0/Key", "stickyness.enabled")],
    ),
    (
        websockets,
        [
            _set(f"{_BALANCER}/LoadBalancer/Properties/LoadBalancerAttributes/0/Value", "4001"),
            _set(f"{_BALANCER}/LoadBalancer/Properties/LoadBalancerAttributes/0/Value", "60"),
            _set(f"{_BALANCER}/DashboardTargets/Properties/TargetGroupAttributes/0/Value", "false"),
        ],
    ),
    (
        ports,
        [
            _set(f"{_API}/PortMappings/0/ContainerPort", 8000),
            _set(f"{_API}/Environment/0/Value", "8501"),
            _set("services/Resources/ApiService/Properties/LoadBalancers/0/ContainerPort", 80),
            _set(f"{_BALANCER}/ApiTargets/Properties/Port", 80),
            _set("network/Resources/ApiSecurityGroup/Properties/SecurityGroupIngress/0/ToPort", 9000),
        ],
    ),
    (
        service_containers,
        [_set("services/Resources/ApiService/Properties/LoadBalancers/0/ContainerName", "dashboard")],
    ),
    (
        permissions,
        [
            _set(f"{_POLICY}/0/Action", "s3:*"),
            _set(f"{_POLICY}/0/Resource", "*"),
            _set(f"{_POLICY}/1/Condition", {}),
        ],
    ),
    (roles, [_set("services/Resources/ApiTask/Properties/TaskRoleArn", "arn:aws:iam::1:role/any")]),
    (
        plain_secrets,
        [
            _set(f"{_DASHBOARD}/Environment/0", {"Name": "DATABASE_URL", "Value": "postgresql://..."}),
            _set("serverless/Resources/Function/Properties/Environment/Variables/API_TOKENS", "a-token"),
        ],
    ),
    (
        variables,
        [
            _set(f"{_DASHBOARD}/Environment/0/Name", "DATABASE"),
            _set(f"{_API}/Environment/0/Name", "AUTH"),  # a setting of the dashboard alone
            _set("serverless/Resources/Function/Properties/Environment/Variables/WORKERS", "1"),
        ],
    ),
    (
        open_ports,
        [
            _set("network/Resources/DatabaseSecurityGroup/Properties/SecurityGroupIngress/0", _WORLD),
            _set("network/Resources/LoadBalancerSecurityGroup/Properties/SecurityGroupIngress/0/FromPort", 22),
        ],
    ),
    (
        buckets,
        [
            _set("data/Resources/Bucket/Properties/PublicAccessBlockConfiguration/BlockPublicAcls", False),
            _set("data/Resources/BucketPolicy/Properties/PolicyDocument/Statement", []),
            _set("serverless/Resources/Uploads/Properties", {}),
        ],
    ),
    (
        lasting,
        [
            _set("data/Resources/CaseKey/DeletionPolicy", "Delete"),
            _set("data/Resources/Database/Properties/PubliclyAccessible", True),
            _set("data/Resources/Bucket/Properties/VersioningConfiguration/Status", "Suspended"),
        ],
    ),
    (
        hardening,
        [
            _set(f"{_API}/ReadonlyRootFilesystem", False),
            _set(f"{_DASHBOARD}/User", "0"),
            _set(f"{_PREPARE}/PortMappings", [{"ContainerPort": 8080}]),
        ],
    ),
    (
        deployments,
        [_set("services/Resources/ApiService/Properties/DeploymentConfiguration/MinimumHealthyPercent", 0)],
    ),
    (logs, [_set("services/Resources/ApiLog/Properties", {})]),
    (listeners, [_set(f"{_BALANCER}/PlainListener/Properties/DefaultActions/0/Type", "forward")]),
    (
        scaling,
        [_set("services/Resources/ApiByRequests/Properties/ScalingTargetId/Ref", "DashboardCapacity")],
    ),
    (imports, [_set("data/Outputs/CaseKey/Export/Name/Fn::Sub", "${Application}-Key")]),
    (
        function,
        [
            _set("serverless/Resources/Function/Properties/Runtime", "python3.11"),
            _set("serverless/Resources/Function/Properties/Timeout", 25),
        ],
    ),
    (
        routes,
        [
            _set("serverless/Resources/AnyRoute/Properties/AuthorizationType", "NONE"),
            _set("serverless/Resources/Permission/Properties/SourceArn", "*"),
        ],
    ),
]


@pytest.mark.parametrize("check", [check for check, _ in CHECKS], ids=lambda check: check.__name__)
def test_templates_pass(check: Callable[[Templates], list[str]]) -> None:
    assert check(templates()) == []


@pytest.mark.parametrize(
    ("check", "change"),
    [
        pytest.param(check, change, id=f"{check.__name__}-{number}")
        for check, changes in CHECKS
        for number, change in enumerate(changes)
    ],
)
def test_a_changed_template_fails(check: Callable[[Templates], list[str]], change: Callable[[Templates], None]) -> None:
    changed = templates()
    change(changed)
    assert check(changed) != []


def test_every_template_is_checked() -> None:
    assert {path.stem for path in (DEPLOY / "aws").glob("*.yaml")} == set(TEMPLATES)


def _cfn_lint(*paths: Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: warnings of its dependencies would be errors here.
    command = [Path(sys.executable).with_name("cfn-lint"), "--format", "parseable", *paths]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cfn_lint_finds_nothing() -> None:
    done = _cfn_lint(*sorted((DEPLOY / "aws").glob("*.yaml")))
    assert (done.returncode, done.stdout) == (0, "")


def test_cfn_lint_would_find_a_fault(tmp_path: Path) -> None:
    template = tmp_path / "data.yaml"
    text = (DEPLOY / "aws" / "data.yaml").read_text("utf-8")
    template.write_text(text.replace("StorageEncrypted: true", "StorageEncripted: true"), encoding="utf-8")
    done = _cfn_lint(template)
    assert done.returncode != 0
    assert "StorageEncripted" in done.stdout


def test_preparation_writes_the_sign_in_settings_for_everyone_to_read(tmp_path: Path) -> None:
    [prepare] = [one for one in containers(templates()) if one["Name"] == "prepare"]
    python, flag, program = prepare["Command"]
    assert (python, flag) == ("python", "-c")
    assert prepare["MountPoints"][0]["ContainerPath"] == "/tmp"
    settings = '[auth]\nclient_id = "a"\n'
    subprocess.run(
        [sys.executable, "-c", program.replace("/tmp", str(tmp_path))], env={"SECRETS_TOML": settings}, check=True
    )
    written = tmp_path / ".streamlit" / "secrets.toml"
    assert written.read_text("utf-8") == settings
    assert written.stat().st_mode & 0o004
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


def test_sign_in_settings_are_whole() -> None:
    [text, _] = templates()["sign_in"]["Resources"]["SecretsToml"]["Properties"]["SecretString"]["Fn::Sub"]
    auth = tomllib.loads(text)["auth"]
    assert set(auth) == {"redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url"}
    [callback] = templates()["sign_in"]["Resources"]["DashboardClient"]["Properties"]["CallbackURLs"]
    assert auth["redirect_uri"] == callback["Fn::Sub"]


def test_groups_of_the_user_pool_are_the_roles() -> None:
    from data.cases.case import ROLES

    groups = [group["GroupName"] for _, group in of_type(templates(), "AWS::Cognito::UserPoolGroup")]
    assert sorted(groups) == sorted(ROLES)
