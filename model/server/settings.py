"""The settings of the API: the only place in it that looks at the environment."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from model.settings import Port, ProgramSettings, Switch, UnusableSetting, is_loopback, whole_number

# A shorter token can be guessed; `openssl rand -hex 16` gives 32 characters.
MIN_TOKEN_LENGTH = 20


class ServerSettingsError(UnusableSetting):
    """A setting of the API with a value that cannot be used."""


def hash_token(token: str) -> bytes:
    """SHA-256 of a token; long random tokens need no slower hash."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def _token_hashes(value: object) -> object:
    if not isinstance(value, str):
        return value
    tokens = [token.strip() for token in value.split(",") if token.strip()]
    if any(len(token) < MIN_TOKEN_LENGTH for token in tokens):
        raise ValueError(
            f"expected tokens of at least {MIN_TOKEN_LENGTH} characters, received a shorter one; "
            "make one with: openssl rand -hex 16"
        )
    return tuple(hash_token(token) for token in tokens)


def _base_path(value: object) -> object:
    if not isinstance(value, str):
        return value
    path = value.rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError(f"expected a path such as /lesions, received {value!r}; correct it or unset it")
    return path


def _addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    addresses = tuple(address.strip() for address in value.split(",") if address.strip())
    for address in addresses:
        try:
            ip_network(address)
        except ValueError as error:
            raise ValueError(f"expected addresses such as 10.0.0.5 or 10.0.0.0/16, received {address!r}") from error
    return addresses


class ServerSettings(ProgramSettings):
    """How the API serves.

    Attributes:
        token_hashes: SHA-256 of each token; the tokens themselves are not kept.
        vertex_port, vertex_health_route, vertex_predict_route: set by Vertex AI in its containers; None elsewhere.
    """

    error: ClassVar[type[UnusableSetting]] = ServerSettingsError

    port: Port = Field(8080, validation_alias="PORT", description="Port of the API; `--port` overrides it.")
    token_hashes: Annotated[tuple[bytes, ...], BeforeValidator(_token_hashes)] = Field(
        (), validation_alias="API_TOKENS", description="Bearer tokens that may use the API, separated by commas."
    )
    oidc_issuer: str | None = Field(
        None, validation_alias="API_OIDC_ISSUER", description="Issuer whose JWTs may use the API, instead of tokens."
    )
    oidc_audience: str | None = Field(
        None, validation_alias="API_OIDC_AUDIENCE", description="Audience (or client) those JWTs must be made for."
    )
    allow_anonymous: Switch = Field(
        False,
        validation_alias="ALLOW_ANONYMOUS",
        description="`1` serves the API to anyone beyond this machine without tokens.",
    )
    base_path: Annotated[str, BeforeValidator(_base_path)] = Field(
        "",
        validation_alias="API_BASE_PATH",
        description="Path before the routes, such as `/lesions`, where a proxy or a domain has one.",
    )
    proxies: Annotated[tuple[str, ...], BeforeValidator(_addresses)] = Field(
        (),
        validation_alias="API_PROXIES",
        description="Addresses or networks of proxies whose `X-Forwarded-For` says who asks, separated by commas.",
    )
    rate_per_minute: Annotated[int, whole_number(0)] = Field(
        600,
        validation_alias="API_RATE_PER_MINUTE",
        description="Images a client may send in a minute; `0`: no limit.",
    )
    max_waiting: Annotated[int, whole_number(1)] = Field(
        512, validation_alias="API_MAX_WAITING", description="Requests held at once; more are asked to come back."
    )
    time_limit_seconds: Annotated[int, whole_number(1)] = Field(
        30, validation_alias="API_TIME_LIMIT_SECONDS", description="Longest time from a whole request to its answer."
    )
    workers: Annotated[int, whole_number(0)] = Field(
        0, validation_alias="API_WORKERS", description="Networks that run at once; `0`: one a processor core."
    )
    has_cloudwatch_metrics: Switch = Field(
        False,
        validation_alias="API_CLOUDWATCH_METRICS",
        description="`1` adds metrics in CloudWatch's embedded format to each request's log line.",
    )
    vertex_port: Port | None = Field(
        None, validation_alias="AIP_HTTP_PORT", description="Set by Vertex AI; comes before `PORT`."
    )
    vertex_health_route: str | None = Field(None, validation_alias="AIP_HEALTH_ROUTE", description="Set by Vertex AI.")
    vertex_predict_route: str | None = Field(
        None, validation_alias="AIP_PREDICT_ROUTE", description="Set by Vertex AI."
    )

    @property
    def is_open(self) -> bool:
        """Whether the API asks nobody who they are."""
        return not self.token_hashes and self.oidc_issuer is None

    @model_validator(mode="after")
    def _check_authorization(self) -> Self:
        if self.oidc_issuer is None:
            return self
        if self.token_hashes:
            raise ValueError("expected API_TOKENS or API_OIDC_ISSUER, received both; unset one")
        if self.oidc_audience is None:
            raise ValueError(
                "API_OIDC_AUDIENCE: expected the audience of the issuer's tokens, received none; "
                "set it, or any token of the issuer would do"
            )
        if not is_safe_address(self.oidc_issuer):
            raise ValueError(
                f"API_OIDC_ISSUER: expected an https address, received {self.oidc_issuer!r}; "
                "correct it, since keys fetched without https can be swapped"
            )
        return self


def server_settings() -> ServerSettings:
    """The settings of this process; raises ServerSettingsError like `read_server_settings`."""
    return read_server_settings(os.environ)


def read_server_settings(environ: Mapping[str, str]) -> ServerSettings:
    """Settings from environment variables; an unset or empty variable means the default.

    Args:
        environ: variable names and values.

    Raises:
        ServerSettingsError: a number out of range, a base path or an address of a proxy that is none, a switch that is
            neither 0 nor 1, a token that is too short, an issuer without audience or without https, tokens and issuer
            at once.
    """
    return ServerSettings.read(environ)


def check_address(settings: ServerSettings, address: str) -> None:
    """Whether the API may listen on an address without asking for tokens.

    Raises:
        ServerSettingsError: an address that others can reach, and neither tokens nor issuer nor ALLOW_ANONYMOUS.
    """
    if settings.is_open and not settings.allow_anonymous and not is_loopback(address):
        raise ServerSettingsError(
            f"expected API_TOKENS or API_OIDC_ISSUER for an address that others can reach, received {address} without; "
            "set one, or ALLOW_ANONYMOUS=1 where something in front of the API decides who may call"
        )


def is_safe_address(url: str) -> bool:
    """Whether nobody on the way can change what is fetched from an address: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
