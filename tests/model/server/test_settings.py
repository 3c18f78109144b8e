"""Settings of the API: what is unset has a default, what is wrong is named, and nobody is let in by accident."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from model.inference.artifact import DEFAULT_ARTIFACT
from model.server.settings import (
    ServerSettings,
    ServerSettingsError,
    check_address,
    hash_token,
    is_safe_address,
    read_server_settings,
)
from model.settings import variables_of
from tests.support.server import TOKEN

ISSUER = {"API_OIDC_ISSUER": "https://id.example", "API_OIDC_AUDIENCE": "lesionlens"}


def test_nothing_set_means_the_defaults() -> None:
    assert read_server_settings({}) == ServerSettings()
    assert read_server_settings({"API_TOKENS": " ", "PORT": ""}) == ServerSettings()
    assert ServerSettings().is_open


def test_every_setting_has_a_variable_and_a_line() -> None:
    assert len(variables_of(ServerSettings)) == len(ServerSettings.model_fields)
    assert all(line.endswith(".") for line in variables_of(ServerSettings).values())


def test_values_are_read(tmp_path: Path) -> None:
    settings = read_server_settings(
        {
            "MODEL_DIR": str(tmp_path),
            "PORT": "9000",
            "API_RATE_PER_MINUTE": "0",
            "API_MAX_WAITING": "7",
            "API_TIME_LIMIT_SECONDS": "8",
            "API_WORKERS": "3",
            "ALLOW_ANONYMOUS": "1",
            "API_BASE_PATH": "/lesions/",
            "API_PROXIES": "10.0.0.5, 10.1.0.0/16",
            **ISSUER,
        }
    )
    assert settings == ServerSettings(
        model_dir=tmp_path,
        port=9000,
        rate_per_minute=0,
        max_waiting=7,
        time_limit_seconds=8,
        workers=3,
        allow_anonymous=True,
        base_path="/lesions",
        proxies=("10.0.0.5", "10.1.0.0/16"),
        oidc_issuer="https://id.example",
        oidc_audience="lesionlens",
    )
    assert not settings.is_open


def test_relative_folder_counts_from_the_repository() -> None:
    assert read_server_settings({"MODEL_DIR": "model/weights/skin"}).model_dir == DEFAULT_ARTIFACT


def test_vertex_names_its_port_and_routes() -> None:
    environ = {"PORT": "1", "AIP_HTTP_PORT": "8081", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"}
    settings = read_server_settings(environ)
    assert (settings.vertex_port, settings.vertex_health_route, settings.vertex_predict_route) == (8081, "/h", "/p")


def test_tokens_are_kept_as_hashes_only() -> None:
    settings = read_server_settings({"API_TOKENS": f"{TOKEN}, {TOKEN[::-1]},"})
    assert settings.token_hashes == (hash_token(TOKEN), hash_token(TOKEN[::-1]))
    assert TOKEN not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PORT": "eighty"}, "PORT: expected a number from 1 to 65535, received 'eighty'"),
        ({"PORT": "65536"}, "PORT: expected a number from 1 to 65535"),
        ({"AIP_HTTP_PORT": "0"}, "AIP_HTTP_PORT: expected a number from 1 to 65535"),
        ({"ALLOW_ANONYMOUS": "true"}, "ALLOW_ANONYMOUS: expected 0 or 1, received 'true'"),
        ({"API_CLOUDWATCH_METRICS": "yes"}, "API_CLOUDWATCH_METRICS: expected 0 or 1"),
        ({"API_MAX_WAITING": "-1"}, "API_MAX_WAITING"),
        ({"API_TIME_LIMIT_SECONDS": "0"}, "API_TIME_LIMIT_SECONDS"),
        ({"API_BASE_PATH": "lesions"}, "API_BASE_PATH: expected a path such as /lesions"),
        ({"API_BASE_PATH": "/a b"}, "API_BASE_PATH: expected a path"),
        ({"API_PROXIES": "10.0.0.1,proxy"}, "API_PROXIES: expected addresses such as .* received 'proxy'"),
        ({"API_TOKENS": "short"}, "API_TOKENS: expected tokens of at least 20 characters"),
        ({"API_OIDC_ISSUER": "https://id.example"}, "API_OIDC_AUDIENCE: expected the audience"),
        ({**ISSUER, "API_OIDC_ISSUER": "http://id.example"}, "API_OIDC_ISSUER: expected an https address"),
        ({**ISSUER, "API_TOKENS": TOKEN}, "received both; unset one"),
    ],
)
def test_wrong_value_names_its_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ServerSettingsError, match=message):
        read_server_settings(environ)


def test_short_token_is_not_repeated() -> None:
    environ = {"API_TOKENS": "hunter2"}
    with pytest.raises(ServerSettingsError) as error:
        read_server_settings(environ)
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "api.example"])
def test_open_api_serves_this_machine_only(address: str) -> None:
    with pytest.raises(ServerSettingsError, match="ALLOW_ANONYMOUS=1"):
        check_address(ServerSettings(), address)
    check_address(ServerSettings(allow_anonymous=True), address)
    check_address(ServerSettings(token_hashes=(hash_token(TOKEN),)), address)
    check_address(read_server_settings(ISSUER), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_no_token(address: str) -> None:
    check_address(ServerSettings(), address)


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://id.example/a", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost", True),
        ("http://id.example", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_keys_are_fetched_over_https_or_from_this_machine(url: str, is_safe: bool) -> None:
    assert is_safe_address(url) is is_safe
