"""The settings of the dashboard: the only reader of the environment and of Streamlit's secrets."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import streamlit as st

from data.cases.case import ROLES, Actor
from data.cases.database import sqlite_file

ROOT = Path(__file__).resolve().parents[2]
# What the dashboard makes on this computer where no setting says otherwise; git ignores it.
LOCAL = ROOT / "data" / "local"
WAYS_TO_SIGN_IN = ("none", "oidc")
# The network in this process; anything else names an endpoint, see `model.remote.endpoints`.
LOCAL_CLASSIFIER = "litert"
# 32 characters of hexadecimal are 128 bits; whoever guesses a key can forge what it protects.
MIN_KEY_CHARACTERS = 32
_SIGN_IN_SECRETS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


class SettingsError(Exception):
    """A setting with a value that cannot be used; the message names the variable, what was expected and what to do."""


@dataclass(frozen=True)
class Settings:
    """How this dashboard runs. Each field's metadata holds its environment variable and one line on it."""

    model_dir: Path = field(
        default=ROOT / "model" / "weights" / "skin",
        metadata={"variable": "MODEL_DIR", "help": "Folder of the model's weights and manifest."},
    )
    dataset_dir: Path | None = field(
        default=None,
        metadata={
            "variable": "DATASET_DIR",
            "help": "HAM10000 folder with metadata and images; without it the Dataset page shows the committed counts.",
        },
    )
    classifier: str = field(
        default=LOCAL_CLASSIFIER,
        metadata={
            "variable": "CLASSIFIER",
            "help": "What runs the model: `litert` here, or elsewhere `https://host`, `sagemaker:endpoint`, "
            "`vertex:project/location/endpoint`, `lambda:function`.",
        },
    )
    classifier_token: str | None = field(
        default=None,
        repr=False,
        metadata={
            "variable": "CLASSIFIER_TOKEN",
            "help": "Bearer token for a classifier elsewhere; AWS and machines on Google Cloud need none.",
        },
    )
    # Holds a password.
    database_url: str = field(
        default=f"sqlite:///{LOCAL / 'cases.db'}",
        repr=False,
        metadata={
            "variable": "DATABASE_URL",
            "help": "Where saved cases are kept: `sqlite:////path/file` or `postgresql://user:password@host/database`.",
        },
    )
    image_store: str = field(
        default=str(LOCAL / "images"),
        metadata={
            "variable": "IMAGE_STORE",
            "help": "Where images of saved cases are kept: a folder or `s3://bucket/prefix`.",
        },
    )
    image_store_endpoint: str | None = field(
        default=None,
        metadata={
            "variable": "IMAGE_STORE_ENDPOINT",
            "help": "URL of an S3-compatible store, such as `https://storage.googleapis.com`; AWS without it.",
        },
    )
    is_read_first: bool = field(
        default=True,
        metadata={
            "variable": "READ_FIRST",
            "help": "`1`: the own read comes before the model's answer; `0`: it may be skipped.",
        },
    )
    port: int = field(
        default=8501,
        metadata={"variable": "PORT", "help": "Where `python -m dashboard.server` listens; `--port` comes before it."},
    )
    json_logs: bool = field(
        default=False,
        metadata={
            "variable": "JSON_LOGS",
            "help": "`1` writes the dashboard's log as lines of JSON, as the API's always is; `0` as text.",
        },
    )
    cloudwatch_metrics: bool = field(
        default=False,
        metadata={
            "variable": "CLOUDWATCH_METRICS",
            "help": "`1` adds metrics in CloudWatch's embedded format to the JSON line of each image analysed.",
        },
    )
    auth: str = field(
        default="none",
        metadata={"variable": "AUTH", "help": "`oidc` for sign-in by an OpenID Connect provider, `none` for a laptop."},
    )
    allow_anonymous: bool = field(
        default=False,
        metadata={
            "variable": "ALLOW_ANONYMOUS",
            "help": "`1` lets everyone in who reaches this computer, without sign-in.",
        },
    )
    auth_role_claim: str | None = field(
        default=None,
        metadata={
            "variable": "AUTH_ROLE_CLAIM",
            "help": "Claim of the id token with the role (`clinician`, `researcher` or `admin`), or a list with one.",
        },
    )
    auth_organisation_claim: str | None = field(
        default=None,
        metadata={
            "variable": "AUTH_ORGANISATION_CLAIM",
            "help": "Claim of the id token that names the organisation; `iss` where all users belong to one.",
        },
    )
    auth_users: tuple[Actor, ...] = field(
        default=(),
        repr=False,
        metadata={
            "variable": "AUTH_USERS",
            "help": "Users and their roles, before any claim: `anna@clinic.org=clinician@Clinic, ...`.",
        },
    )
    case_key: bytes | None = field(
        default=None,
        repr=False,
        metadata={
            "variable": "CASE_KEY",
            "help": "Secret of 32 characters or more behind the patient search and the audit trail; never change it.",
        },
    )


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables; an unset or empty variable means the default.

    Relative folders count from the repository root, so that they do not depend on where the program was started.

    Args:
        environ: variable names and values, `os.environ` in the program.

    Raises:
        SettingsError: a value that cannot be used, or two that do not go together.
    """
    values = {name: value.strip() for name, value in environ.items() if value.strip()}
    defaults = Settings()
    return _consistent(
        Settings(
            model_dir=_folder(values, "MODEL_DIR") or defaults.model_dir,
            classifier=_classifier(values) or defaults.classifier,
            classifier_token=values.get("CLASSIFIER_TOKEN"),
            dataset_dir=_folder(values, "DATASET_DIR"),
            database_url=_database_url(values) or defaults.database_url,
            image_store=_image_store(values) or defaults.image_store,
            image_store_endpoint=values.get("IMAGE_STORE_ENDPOINT"),
            is_read_first=_switch(values, "READ_FIRST", defaults.is_read_first),
            port=_port(values) or defaults.port,
            json_logs=_switch(values, "JSON_LOGS", defaults.json_logs),
            cloudwatch_metrics=_switch(values, "CLOUDWATCH_METRICS", defaults.cloudwatch_metrics),
            auth=_auth(values) or defaults.auth,
            allow_anonymous=_switch(values, "ALLOW_ANONYMOUS", defaults.allow_anonymous),
            auth_role_claim=values.get("AUTH_ROLE_CLAIM"),
            auth_organisation_claim=values.get("AUTH_ORGANISATION_CLAIM"),
            auth_users=tuple(_user(entry) for entry in values.get("AUTH_USERS", "").split(",") if entry.strip()),
            case_key=_key(values),
        )
    )


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call; raises SettingsError like `read_settings`.

    Top-level entries of `.streamlit/secrets.toml` count as environment variables (Streamlit sets them).
    """
    has_secrets = st.secrets.load_if_toml_exists()
    read = read_settings(os.environ)
    if read.auth == "oidc":
        _check_sign_in_secrets(st.secrets.get("auth", {}) if has_secrets else {})
    return read


def is_sign_in_over_https() -> bool:
    """Whether browsers come back from the sign-in by https, whatever the hop to this process is."""
    auth = st.secrets.get("auth", {}) if st.secrets.load_if_toml_exists() else {}
    return str(auth.get("redirect_uri", "")).startswith("https://")


def check_address(settings: Settings, address: str | None) -> None:
    """Refuse to serve without sign-in to more than this computer.

    Args:
        settings: of this process.
        address: where the server listens; None or empty means everywhere, as for Streamlit.

    Raises:
        SettingsError: anyone on the network could open cases, and no setting says that this is meant.
    """
    if settings.auth == "none" and not settings.allow_anonymous and not _is_loopback(address or "0.0.0.0"):
        raise SettingsError(
            f"AUTH: expected oidc to listen on {address or 'every address'}, received none, so anyone who reaches this "
            "computer could read its cases; listen on 127.0.0.1, set AUTH=oidc, or set ALLOW_ANONYMOUS=1"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def case_key() -> bytes:
    """The key of the case log: CASE_KEY, or a random one that this computer keeps in `data/local/case_key`.

    Raises:
        SettingsError: the local key can neither be read nor written.
    """
    return settings().case_key or local_key(LOCAL / "case_key")


def local_key(path: Path) -> bytes:
    """The key in a file, made at the first call; only this user may read it.

    Two processes that make it at the same time end up with the same key: a finished file is linked into place.

    Raises:
        SettingsError: the folder cannot be written, or the file cannot be read or is too short.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"CASE_KEY: expected a folder to keep a key in, received {error}; set CASE_KEY") from error
    return _long_enough(key, str(path))


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(MIN_KEY_CHARACTERS))
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink(missing_ok=True)


def _consistent(read: Settings) -> Settings:
    is_shared = read.auth == "oidc" or not read.database_url.startswith("sqlite")
    if is_shared and read.case_key is None:
        raise SettingsError("CASE_KEY: expected a secret with AUTH=oidc or PostgreSQL, received none; set CASE_KEY")
    if read.auth == "oidc" and not read.auth_users and read.auth_role_claim is None:
        raise SettingsError("AUTH_USERS: expected users or AUTH_ROLE_CLAIM with AUTH=oidc, received none; set one")
    if read.auth_role_claim is not None and read.auth_organisation_claim is None:
        raise SettingsError(
            "AUTH_ORGANISATION_CLAIM: expected a claim beside AUTH_ROLE_CLAIM, received none; "
            "set it, to iss where all users belong to one organisation"
        )
    return read


def _check_sign_in_secrets(auth: Mapping[str, Any]) -> None:
    missing = [name for name in _SIGN_IN_SECRETS if not auth.get(name)]
    if missing:
        raise SettingsError(
            f"AUTH: expected {', '.join(_SIGN_IN_SECRETS)} under [auth] in .streamlit/secrets.toml with AUTH=oidc, "
            f"received no {', '.join(missing)}; add them"
        )
    _long_enough(str(auth["cookie_secret"]).encode(), "cookie_secret under [auth]")


def _folder(values: Mapping[str, str], variable: str) -> Path | None:
    if variable not in values:
        return None
    folder = (ROOT / Path(values[variable]).expanduser()).resolve()
    if not folder.is_dir():
        raise SettingsError(
            f"{variable}: expected an existing folder, received {values[variable]!r}; correct it or unset it"
        )
    return folder


def _classifier(values: Mapping[str, str]) -> str | None:
    location = values.get("CLASSIFIER")
    if location is None or location == LOCAL_CLASSIFIER:
        return location
    # Here, since most dashboards never need what it loads.
    from model.remote.endpoints import open_endpoint

    try:
        open_endpoint(location)
    except ValueError as error:
        raise SettingsError(f"CLASSIFIER: expected {LOCAL_CLASSIFIER}, or an endpoint: {error}") from None
    return location


def _database_url(values: Mapping[str, str]) -> str | None:
    url = values.get("DATABASE_URL")
    if url is None:
        return None
    try:
        sqlite_file(url)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    return url


def _image_store(values: Mapping[str, str]) -> str | None:
    location = values.get("IMAGE_STORE")
    if location is None or re.match("s3://[^/]", location):
        return location
    if "://" in location:
        raise SettingsError(
            f"IMAGE_STORE: expected a folder or s3://bucket/prefix, received {location!r}; correct it or unset it"
        )
    return str((ROOT / Path(location).expanduser()).resolve())


def _switch(values: Mapping[str, str], variable: str, default: bool) -> bool:
    value = values.get(variable, str(int(default)))
    if value not in ("0", "1"):
        raise SettingsError(f"{variable}: expected 0 or 1, received {value!r}; correct it or unset it")
    return value == "1"


def _port(values: Mapping[str, str]) -> int | None:
    port = values.get("PORT")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(f"PORT: expected a number from 1 to 65535, received {port!r}; correct it or unset it")
    return None if port is None else int(port)


def _auth(values: Mapping[str, str]) -> str | None:
    auth = values.get("AUTH")
    if auth is not None and auth not in WAYS_TO_SIGN_IN:
        raise SettingsError(f"AUTH: expected {' or '.join(WAYS_TO_SIGN_IN)}, received {auth!r}; correct it or unset it")
    return auth


def _user(entry: str) -> Actor:
    name, _, place = entry.strip().partition("=")
    role, _, organisation = place.partition("@")
    user = Actor(name.strip().casefold(), organisation.strip(), role.strip())
    if not user.name or not user.organisation or user.role not in ROLES:
        raise SettingsError(
            f"AUTH_USERS: expected name=role@organisation with a role of {', '.join(ROLES)}, "
            f"received {entry.strip()!r}; correct it"
        )
    return user


def _key(values: Mapping[str, str]) -> bytes | None:
    key = values.get("CASE_KEY")
    return None if key is None else _long_enough(key.encode(), "CASE_KEY")


def _long_enough(key: bytes, where: str) -> bytes:
    if len(key) < MIN_KEY_CHARACTERS:
        raise SettingsError(
            f"{where}: expected a secret of at least {MIN_KEY_CHARACTERS} characters, received {len(key)}; "
            "make one with: openssl rand -hex 32"
        )
    return key
