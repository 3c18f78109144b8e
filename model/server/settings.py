"""The settings of the API: the only place in it that looks at the environment."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from model.inference.artifact import DEFAULT_ARTIFACT

_ROOT = Path(__file__).resolve().parents[2]
# A shorter token can be guessed; `openssl rand -hex 16` gives 32 characters.
MIN_TOKEN_LENGTH = 20


class ServerSettingsError(Exception):
    """A setting with a value that cannot be used; the message names the variable and what to do."""


@dataclass(frozen=True)
class ServerSettings:
    """How the API serves. Each field's metadata holds its environment variable and one line on it.

    Attributes:
        token_hashes: SHA-256 of each token; the tokens themselves are not kept.
        vertex_health_route, vertex_predict_route: set by Vertex AI in its containers; None elsewhere.
    """

    model_dir: Path = field(
        default=DEFAULT_ARTIFACT,
        metadata={"variable": "MODEL_DIR", "help": "Folder of the model's weights and manifest."},
    )
    port: int = field(default=8080, metadata={"variable": "PORT", "help": "Port of the API; `--port` overrides it."})
    token_hashes: tuple[bytes, ...] = field(
        default=(),
        metadata={"variable": "API_TOKENS", "help": "Bearer tokens that may use the API, separated by commas."},
    )
    oidc_issuer: str | None = field(
        default=None,
        metadata={"variable": "API_OIDC_ISSUER", "help": "Issuer whose JWTs may use the API, instead of tokens."},
    )
    oidc_audience: str | None = field(
        default=None,
        metadata={"variable": "API_OIDC_AUDIENCE", "help": "Audience (or client) those JWTs must be made for."},
    )
    is_anonymous_allowed: bool = field(
        default=False,
        metadata={
            "variable": "ALLOW_ANONYMOUS",
            "help": "`1` serves the API to anyone beyond this machine without tokens.",
        },
    )
    rate_per_minute: int = field(
        default=600,
        metadata={"variable": "API_RATE_PER_MINUTE", "help": "Images a client may send in a minute; `0`: no limit."},
    )
    max_waiting: int = field(
        default=512,
        metadata={"variable": "API_MAX_WAITING", "help": "Requests held at once; more are asked to come back."},
    )
    time_limit_seconds: int = field(
        default=30,
        metadata={"variable": "API_TIME_LIMIT_SECONDS", "help": "Longest time from a whole request to its answer."},
    )
    workers: int = field(
        default=0,
        metadata={"variable": "API_WORKERS", "help": "Networks that run at once; `0`: one a processor core."},
    )
    has_cloudwatch_metrics: bool = field(
        default=False,
        metadata={
            "variable": "API_CLOUDWATCH_METRICS",
            "help": "`1` adds metrics in CloudWatch's embedded format to each request's log line.",
        },
    )
    vertex_health_route: str | None = field(
        default=None, metadata={"variable": "AIP_HEALTH_ROUTE", "help": "Set by Vertex AI."}
    )
    vertex_predict_route: str | None = field(
        default=None, metadata={"variable": "AIP_PREDICT_ROUTE", "help": "Set by Vertex AI."}
    )

    @property
    def is_open(self) -> bool:
        """Whether the API asks nobody who they are."""
        return not self.token_hashes and self.oidc_issuer is None


def server_settings() -> ServerSettings:
    """The settings of this process; raises ServerSettingsError like `read_server_settings`."""
    return read_server_settings(os.environ)


def read_server_settings(environ: Mapping[str, str]) -> ServerSettings:
    """Settings from environment variables; an unset or empty variable means the default.

    Args:
        environ: variable names and values.

    Raises:
        ServerSettingsError: a number out of range, a token that is too short, an issuer without audience or without
            https, tokens and issuer at once.
    """
    values = {name: value.strip() for name, value in environ.items() if value.strip()}
    settings = ServerSettings(
        model_dir=_ROOT / Path(values.get("MODEL_DIR", str(DEFAULT_ARTIFACT))).expanduser(),
        # Vertex AI names the port in a variable of its own.
        port=_whole_number(values, "AIP_HTTP_PORT", _whole_number(values, "PORT", 8080, 1), 1),
        token_hashes=tuple(_token_hash(token.strip()) for token in values.get("API_TOKENS", "").split(",") if token),
        oidc_issuer=values.get("API_OIDC_ISSUER"),
        oidc_audience=values.get("API_OIDC_AUDIENCE"),
        is_anonymous_allowed=values.get("ALLOW_ANONYMOUS") == "1",
        rate_per_minute=_whole_number(values, "API_RATE_PER_MINUTE", 600, 0),
        max_waiting=_whole_number(values, "API_MAX_WAITING", 512, 1),
        time_limit_seconds=_whole_number(values, "API_TIME_LIMIT_SECONDS", 30, 1),
        workers=_whole_number(values, "API_WORKERS", 0, 0),
        has_cloudwatch_metrics=values.get("API_CLOUDWATCH_METRICS") == "1",
        vertex_health_route=values.get("AIP_HEALTH_ROUTE"),
        vertex_predict_route=values.get("AIP_PREDICT_ROUTE"),
    )
    _check_authorization(settings)
    return settings


def check_address(settings: ServerSettings, address: str) -> None:
    """Whether the API may listen on an address without asking for tokens.

    Raises:
        ServerSettingsError: an address that others can reach, and neither tokens nor issuer nor ALLOW_ANONYMOUS.
    """
    if settings.is_open and not settings.is_anonymous_allowed and not _is_loopback(address):
        raise ServerSettingsError(
            f"expected API_TOKENS or API_OIDC_ISSUER for an address that others can reach, received {address} without; "
            "set one, or ALLOW_ANONYMOUS=1 where something in front of the API decides who may call"
        )


def hash_token(token: str) -> bytes:
    """SHA-256 of a token; long random tokens need no slower hash."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def is_safe_address(url: str) -> bool:
    """Whether nobody on the way can change what is fetched from an address: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _token_hash(token: str) -> bytes:
    if len(token) < MIN_TOKEN_LENGTH:
        raise ServerSettingsError(
            f"API_TOKENS: expected tokens of at least {MIN_TOKEN_LENGTH} characters, received a shorter one; "
            "make one with: openssl rand -hex 16"
        )
    return hash_token(token)


def _check_authorization(settings: ServerSettings) -> None:
    if settings.oidc_issuer is None:
        return
    if settings.token_hashes:
        raise ServerSettingsError("expected API_TOKENS or API_OIDC_ISSUER, received both; unset one")
    if settings.oidc_audience is None:
        raise ServerSettingsError(
            "API_OIDC_AUDIENCE: expected the audience of the issuer's tokens, received none; "
            "set it, or any token of the issuer would do"
        )
    if not is_safe_address(settings.oidc_issuer):
        raise ServerSettingsError("API_OIDC_ISSUER: expected an https address; keys fetched without it can be swapped")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _whole_number(values: Mapping[str, str], variable: str, default: int, minimum: int) -> int:
    value = values.get(variable)
    if value is None:
        return default
    if not value.isdecimal() or int(value) < minimum:
        raise ServerSettingsError(
            f"{variable}: expected a whole number of at least {minimum}, received {value!r}; correct it or unset it"
        )
    return int(value)
