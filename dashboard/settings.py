"""The settings of the dashboard: the only reader of the environment and of Streamlit's secrets."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import streamlit as st
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from data.cases.case import ROLES, Actor
from data.cases.database import sqlite_file
from data.cases.keys import MIN_KEY_CHARACTERS
from data.cases.stores.s3 import ENCRYPTIONS
from data.tasks.known import TASKS
from model.settings import ROOT, Port, ProgramSettings, Switch, UnusableSetting, is_loopback

# What the dashboard makes on this computer where no setting says otherwise; git ignores it.
LOCAL = ROOT / "data" / "local"
WAYS_TO_SIGN_IN = ("none", "oidc")
# The network in this process; anything else names an endpoint, see `model.remote.endpoints`.
LOCAL_CLASSIFIER = "litert"
# Key of a dataset that belongs to no task by name: it is that of the model of the settings.
OF_MODEL = ""
# Before the name of a user whom no address names, but the provider's own word for them.
SUBJECT = "sub:"
_USER = re.compile(rf"\s*(?P<name>\S.*?)\s*=\s*(?P<role>{'|'.join(ROLES)})\s*@\s*(?P<organisation>\S.*?)\s*")
# Names may hold commas and equal signs, as those of directories do: `cn=doctors,ou=groups=clinician, ...`.
_ROLE_NAME = re.compile(rf"([^,].*?)=({'|'.join(ROLES)})\s*(?:,|$)")
_SIGN_IN_SECRETS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


class SettingsError(UnusableSetting):
    """A setting of the dashboard with a value that cannot be used."""


def _classifier(location: str) -> str:
    if location == LOCAL_CLASSIFIER:
        return location
    # Here, since most dashboards never need what it loads.
    from model.remote.endpoints import open_endpoint

    try:
        open_endpoint(location)
    except ValueError as error:
        raise ValueError(f"expected {LOCAL_CLASSIFIER}, or an endpoint: {error}") from None
    return location


def _database_url(url: str) -> str:
    sqlite_file(url)
    return url


def _image_store(location: str) -> str:
    if re.match("s3://[^/]", location):
        return location
    if "://" in location:
        raise ValueError(f"expected a folder or s3://bucket/prefix, received {location!r}; correct it or unset it")
    return str((ROOT / Path(location).expanduser()).resolve())


def _datasets(locations: object) -> object:
    """A place by its task's key; one that stands alone by `OF_MODEL`."""
    if not isinstance(locations, str):
        return locations
    # Names of folders may hold commas and equal signs.
    parts = re.split(rf"(?:^|,)\s*({'|'.join(TASKS)})=", locations)
    if len(parts) == 1:
        return {OF_MODEL: _dataset(locations)}
    places = {key: _dataset(place) for key, place in zip(parts[1::2], map(str.strip, parts[2::2]), strict=True)}
    if parts[0].strip() or "" in parts[2::2] or len(places) < len(parts) // 2:
        raise ValueError(
            f"expected one folder, or task=folder, ... with tasks of {', '.join(TASKS)}, each once, received "
            f"{locations!r}; correct it or unset it"
        )
    return places


def _dataset(location: str) -> Path | str:
    return location if re.match("s3://[^/]", location) else ROOT / Path(location).expanduser()


def _encryption(encryption: str) -> str:
    if encryption not in ENCRYPTIONS:
        raise ValueError(f"expected {', '.join(ENCRYPTIONS)}, received {encryption!r}; correct it or unset it")
    return encryption


def _auth(auth: str) -> str:
    if auth not in WAYS_TO_SIGN_IN:
        raise ValueError(f"expected {' or '.join(WAYS_TO_SIGN_IN)}, received {auth!r}; correct it or unset it")
    return auth


def _users(users: object) -> object:
    return tuple(_user(entry) for entry in users.split(",") if entry.strip()) if isinstance(users, str) else users


def _user(entry: str) -> Actor:
    found = _USER.fullmatch(entry)
    if found is None:
        raise ValueError(
            f"expected name=role@organisation with a role of {', '.join(ROLES)}, received {entry.strip()!r}; correct it"
        )
    return Actor(comparable(found["name"]), found["organisation"], found["role"])


def comparable(name: str) -> str:
    """A name as the list of users is searched: addresses in any case, subjects (`sub:...`) as they are."""
    return name if name.startswith(SUBJECT) else name.casefold()


def _role_names(names: object) -> object:
    if not isinstance(names, str):
        return names
    found = {name.strip(): role for name, role in _ROLE_NAME.findall(names)}
    if _ROLE_NAME.sub("", names).strip() or "" in found:
        raise ValueError(f"expected name=role, ... with a role of {', '.join(ROLES)}, received {names!r}; correct it")
    return found


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(f"expected an existing folder, received {str(folder)!r}; correct it or unset it")
    return folder.resolve()


def _long_enough(key: bytes) -> bytes:
    if len(key) < MIN_KEY_CHARACTERS:
        raise ValueError(
            f"expected a secret of at least {MIN_KEY_CHARACTERS} characters, received {len(key)}; "
            "make one with: openssl rand -hex 32"
        )
    return key


class Settings(ProgramSettings):
    """How this dashboard runs."""

    error: ClassVar[type[UnusableSetting]] = SettingsError

    dataset_dir: Annotated[dict[str, Path | str], BeforeValidator(_datasets)] = Field(
        {},
        validation_alias="DATASET_DIR",
        description="Metadata and images of the model's dataset: a folder or `s3://bucket/prefix`; of several tasks "
        "`skin=folder, retina=s3://bucket/prefix`. Without it Dataset shows the committed counts.",
    )
    classifier: Annotated[str, AfterValidator(_classifier)] = Field(
        LOCAL_CLASSIFIER,
        validation_alias="CLASSIFIER",
        description="What runs the model: `litert` here, or elsewhere `https://host`, `sagemaker:endpoint`, "
        "`vertex:project/location/endpoint`, `lambda:function`.",
    )
    classifier_token: str | None = Field(
        None,
        repr=False,
        validation_alias="CLASSIFIER_TOKEN",
        description="Bearer token for a classifier elsewhere; AWS and machines on Google Cloud need none.",
    )
    # Holds a password.
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        f"sqlite:///{LOCAL / 'cases.db'}",
        repr=False,
        validation_alias="DATABASE_URL",
        description="Where saved cases are kept: `sqlite:////path/file` or `postgresql://user:password@host/database`.",
    )
    image_store: Annotated[str, AfterValidator(_image_store)] = Field(
        str(LOCAL / "images"),
        validation_alias="IMAGE_STORE",
        description="Where images of saved cases are kept: a folder or `s3://bucket/prefix`.",
    )
    image_store_endpoint: str | None = Field(
        None,
        validation_alias="IMAGE_STORE_ENDPOINT",
        description="URL of an S3-compatible store, such as `https://storage.googleapis.com`; AWS without it.",
    )
    image_store_encryption: Annotated[str, AfterValidator(_encryption)] = Field(
        "AES256",
        validation_alias="IMAGE_STORE_ENCRYPTION",
        description="Encryption that uploads to S3 ask for: `AES256`, `aws:kms`, or `none` (MinIO without KMS).",
    )
    is_read_first: Switch = Field(
        True,
        validation_alias="READ_FIRST",
        description="`1`: the own read comes before the model's answer; `0`: it may be skipped.",
    )
    port: Port = Field(
        8501,
        validation_alias="PORT",
        description="Where `python -m dashboard.server` listens; `--port` comes before it.",
    )
    json_logs: Switch = Field(
        False,
        validation_alias="JSON_LOGS",
        description="`1` writes the dashboard's log as lines of JSON, as the API's always is; `0` as text.",
    )
    cloudwatch_metrics: Switch = Field(
        False,
        validation_alias="CLOUDWATCH_METRICS",
        description="`1` adds metrics in CloudWatch's embedded format to the JSON line of each image analysed.",
    )
    auth: Annotated[str, AfterValidator(_auth)] = Field(
        "none",
        validation_alias="AUTH",
        description="`oidc` for sign-in by an OpenID Connect provider, `none` for a laptop.",
    )
    allow_anonymous: Switch = Field(
        False,
        validation_alias="ALLOW_ANONYMOUS",
        description="`1` lets everyone in who reaches this computer, without sign-in.",
    )
    auth_role_claim: str | None = Field(
        None,
        validation_alias="AUTH_ROLE_CLAIM",
        description="Claim of the id token with the role (`clinician`, `researcher` or `admin`), or a list with one; "
        "`realm_access.roles` for one inside another.",
    )
    auth_role_names: Annotated[dict[str, str], BeforeValidator(_role_names)] = Field(
        {},
        validation_alias="AUTH_ROLE_NAMES",
        description="What the provider calls the roles, and then no other names count: "
        "`/lesionlens/doctors=clinician, ...`.",
    )
    auth_organisation_claim: str | None = Field(
        None,
        validation_alias="AUTH_ORGANISATION_CLAIM",
        description="Claim of the id token that names the organisation: a text, a list or a map of one; "
        "`iss` where all users belong to one.",
    )
    auth_identity_claim: str | None = Field(
        None,
        validation_alias="AUTH_IDENTITY_CLAIM",
        description="Claim of the id token that names the user, such as `preferred_username`; else the e-mail address "
        "that the provider vouches for, or `sub`.",
    )
    auth_users: Annotated[tuple[Actor, ...], BeforeValidator(_users)] = Field(
        (),
        repr=False,
        validation_alias="AUTH_USERS",
        description="Users and their roles, before any claim: `anna@clinic.org=clinician@Clinic, sub:17=admin@Clinic`.",
    )
    case_key: Annotated[bytes, AfterValidator(_long_enough)] | None = Field(
        None,
        repr=False,
        validation_alias="CASE_KEY",
        description="Secret of 32 characters or more behind patient search and audit trail; only `rekey` changes it.",
    )

    is_case_log_read_only: Switch = Field(
        False,
        validation_alias="CASE_LOG_READ_ONLY",
        description="`1` opens the case log for reading only, without its key, where CASE_KEY is lost.",
    )

    @field_validator("model_dir")
    @classmethod
    def _existing_model(cls, folder: Path) -> Path:
        return _existing(folder)

    @field_validator("dataset_dir")
    @classmethod
    def _existing_datasets(cls, places: dict[str, Path | str]) -> dict[str, Path | str]:
        return {key: _existing(place) if isinstance(place, Path) else place for key, place in places.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_shared = self.auth == "oidc" or not self.database_url.startswith("sqlite")
        if is_shared and self.case_key is None and not self.is_case_log_read_only:
            raise ValueError("CASE_KEY: expected a secret with AUTH=oidc or PostgreSQL, received none; set CASE_KEY")
        if self.auth == "oidc" and not self.auth_users and self.auth_role_claim is None:
            raise ValueError("AUTH_USERS: expected users or AUTH_ROLE_CLAIM with AUTH=oidc, received none; set one")
        if self.auth_role_claim is not None and self.auth_organisation_claim is None:
            raise ValueError(
                "AUTH_ORGANISATION_CLAIM: expected a claim beside AUTH_ROLE_CLAIM, received none; "
                "set it, to iss where all users belong to one organisation"
            )
        return self


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables; an unset or empty variable means the default.

    Relative folders count from the repository root, so that they do not depend on where the program was started.

    Args:
        environ: variable names and values, `os.environ` in the program.

    Raises:
        SettingsError: a value that cannot be used, or two that do not go together.
    """
    return Settings.read(environ)


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
    if settings.auth == "none" and not settings.allow_anonymous and not is_loopback(address or "0.0.0.0"):
        raise SettingsError(
            f"AUTH: expected oidc to listen on {address or 'every address'}, received none, so anyone who reaches this "
            "computer could read its cases; listen on 127.0.0.1, set AUTH=oidc, or set ALLOW_ANONYMOUS=1"
        )


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
    return _check_length(key, str(path))


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


def _check_sign_in_secrets(auth: Mapping[str, Any]) -> None:
    missing = [name for name in _SIGN_IN_SECRETS if not auth.get(name)]
    if missing:
        raise SettingsError(
            f"AUTH: expected {', '.join(_SIGN_IN_SECRETS)} under [auth] in .streamlit/secrets.toml with AUTH=oidc, "
            f"received no {', '.join(missing)}; add them"
        )
    _check_length(str(auth["cookie_secret"]).encode(), "cookie_secret under [auth]")


def _check_length(key: bytes, where: str) -> bytes:
    try:
        return _long_enough(key)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
