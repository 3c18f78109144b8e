"""The files of deploy/ in tests: read as plain data, with the variables that the programs know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashboard.settings import Settings
from model.server.settings import ServerSettings
from model.settings import variables_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# In the order in which they are created.
STACKS = ("network", "data", "sign_in", "load_balancer", "services", "alarms")
TEMPLATES = (*STACKS, "serverless")
# Variables of the dashboard and the API by target, and those that others read.
DASHBOARD_VARIABLES = frozenset(variables_of(Settings))
API_VARIABLES = frozenset(variables_of(ServerSettings))
OTHER_VARIABLES = {
    "AWS_DEFAULT_REGION": "boto3",
    "AWS_ACCESS_KEY_ID": "boto3, for the S3-compatible store of Google",
    "AWS_SECRET_ACCESS_KEY": "boto3, for the S3-compatible store of Google",
    "SECRETS_TOML": "the container `prepare`, which writes it to a file",
    "UPLOAD_STORE": "deploy/lambda/uploads.py",
}
# Whoever reads one of these can open the database, forge a sign-in or use the API.
SECRET_VARIABLES = frozenset(
    {"DATABASE_URL", "CASE_KEY", "API_TOKENS", "SECRETS_TOML", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
)

Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` becomes {"Ref": "x"}, `!Sub x` {"Fn::Sub": "x"}."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def templates() -> dict[str, Template]:
    """A fresh copy of every CloudFormation template, by name."""
    return deepcopy(_read_templates())


@cache
def _read_templates() -> dict[str, Template]:
    return {name: yaml.load((DEPLOY / "aws" / f"{name}.yaml").read_text("utf-8"), _Loader) for name in TEMPLATES}


def of_type(all_templates: Mapping[str, Template], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and properties of all resources of a type, such as `AWS::S3::Bucket`."""
    for template in all_templates.values():
        for name, resource in template["Resources"].items():
            if resource["Type"] == kind:
                yield name, resource.get("Properties", {})


def all_of(value: Any, key: str) -> Iterator[Any]:
    """The values of a key, however deep it lies."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from all_of(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from all_of(inner, key)


def cloud_run(name: str) -> Template:
    """A fresh copy of a Cloud Run service, `dashboard` or `api`."""
    return yaml.safe_load((DEPLOY / "gcp" / f"{name}.yaml").read_text("utf-8"))
