"""Settings, and the contrast of the theme in .streamlit/config.toml."""

from __future__ import annotations

import os
import re
import tomllib
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
from pydantic import ValidationError
from streamlit.runtime.secrets import Secrets

from dashboard.settings import (
    OF_MODEL,
    ROOT,
    Settings,
    SettingsError,
    case_key,
    check_address,
    is_sign_in_over_https,
    local_key,
    read_settings,
    settings,
)
from data.cases.case import Actor
from model.settings import UnusableSetting, variables_of
from tests.support.dashboard import SIGN_IN_SECRETS, environment

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
KEY = "0123456789abcdef0123456789abcdef"
ANNA = Actor("anna@clinic.org", "Clinic", "clinician")
TEXT, CONTROL = 4.5, 3.0  # WCAG 2.2, success criteria 1.4.3 and 1.4.11


def test_defaults_need_no_environment() -> None:
    read = read_settings({})
    assert read.model_dir == ROOT / "model" / "weights" / "skin"
    assert read.dataset_dir == {}
    assert read_settings({"MODEL_DIR": "", "DATASET_DIR": "  "}) == read


def test_folders_are_read(tmp_path: Path) -> None:
    read = read_settings({"MODEL_DIR": str(tmp_path), "DATASET_DIR": str(tmp_path)})
    assert read == Settings(model_dir=tmp_path.resolve(), dataset_dir={OF_MODEL: tmp_path.resolve()})


def test_a_laptop_keeps_its_cases_in_the_ignored_folder() -> None:
    read = read_settings({})
    assert read.database_url == f"sqlite:///{ROOT}/data/local/cases.db"
    assert read.image_store == f"{ROOT}/data/local/images"
    assert "/data/local/" in (ROOT / ".gitignore").read_text().splitlines()
    assert (read.auth, read.allow_anonymous, read.is_read_first) == ("none", False, True)


def test_everything_is_read() -> None:
    read = read_settings(
        {
            "DATABASE_URL": "postgresql://anna:hush@db/cases",
            "IMAGE_STORE": "s3://bucket/cases",
            "IMAGE_STORE_ENDPOINT": "https://storage.googleapis.com",
            "IMAGE_STORE_ENCRYPTION": "none",
            "READ_FIRST": "0",
            "PORT": "8600",
            "AUTH": "oidc",
            "ALLOW_ANONYMOUS": "1",
            "AUTH_ROLE_CLAIM": "role",
            "AUTH_ORGANISATION_CLAIM": "iss",
            "AUTH_USERS": "Anna@Clinic.org=clinician@Clinic, ben@clinic.org = admin @ North Clinic, sub:aB==admin@C=D,",
            "AUTH_ROLE_NAMES": "cn=doctors,ou=groups=clinician, /it = boss=admin,",
            "AUTH_IDENTITY_CLAIM": "upn",
            "CASE_KEY": KEY,
        }
    )
    assert read.database_url == "postgresql://anna:hush@db/cases"
    assert (read.image_store, read.image_store_endpoint) == (
        "s3://bucket/cases",
        "https://storage.googleapis.com",
    )
    assert read.image_store_encryption == "none"
    assert (read.is_read_first, read.port, read.auth, read.allow_anonymous) == (
        False,
        8600,
        "oidc",
        True,
    )
    assert (read.auth_role_claim, read.auth_organisation_claim) == ("role", "iss")
    assert read.auth_users == (
        ANNA,
        Actor("ben@clinic.org", "North Clinic", "admin"),
        Actor("sub:aB=", "C=D", "admin"),
    )
    assert read.auth_role_names == {"cn=doctors,ou=groups": "clinician", "/it = boss": "admin"}
    assert read.auth_identity_claim == "upn"
    assert read.case_key == KEY.encode()


def test_lost_key_is_not_asked_for() -> None:
    read = read_settings({"DATABASE_URL": "postgresql://db/cases", "CASE_LOG_READ_ONLY": "1"})
    assert read.is_case_log_read_only and read.case_key is None


def test_no_secret_and_no_user_can_slip_into_a_log() -> None:
    users = {"AUTH_USERS": "anna@clinic.org=clinician@Clinic"}
    shown = repr(read_settings({"DATABASE_URL": "postgresql://anna:hush@db/cases", "CASE_KEY": KEY} | users))
    assert "hush" not in shown and KEY not in shown and "anna" not in shown


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DATABASE_URL": "mysql://anna:hush@db/cases"}, "DATABASE_URL: expected sqlite.* received mysql"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL: expected sqlite"),
        ({"IMAGE_STORE": "gs://bucket"}, "IMAGE_STORE: expected a folder or s3://bucket/prefix"),
        ({"IMAGE_STORE": "s3://"}, "IMAGE_STORE: expected a folder or s3://bucket/prefix"),
        ({"IMAGE_STORE_ENCRYPTION": "AES"}, "IMAGE_STORE_ENCRYPTION: expected AES256, aws:kms, none, received 'AES'"),
        ({"READ_FIRST": "yes"}, "READ_FIRST: expected 0 or 1, received 'yes'"),
        ({"ALLOW_ANONYMOUS": "true"}, "ALLOW_ANONYMOUS: expected 0 or 1"),
        ({"PORT": "0"}, "PORT: expected a number from 1 to 65535, received '0'"),
        ({"PORT": "http"}, "PORT: expected a number"),
        ({"AUTH": "basic"}, "AUTH: expected none or oidc, received 'basic'"),
        ({"AUTH_USERS": "anna@clinic.org"}, "AUTH_USERS: expected name=role@organisation"),
        ({"AUTH_USERS": "anna@clinic.org=surgeon@Clinic"}, "AUTH_USERS: .* role of clinician, researcher, admin"),
        ({"AUTH_USERS": "anna@clinic.org=admin"}, "AUTH_USERS: expected name=role@organisation"),
        ({"AUTH_ROLE_NAMES": "doctors=surgeon"}, "AUTH_ROLE_NAMES: expected name=role"),
        ({"AUTH_ROLE_NAMES": "a=admin, doctors"}, "AUTH_ROLE_NAMES: expected name=role"),
        ({"AUTH_ROLE_NAMES": "=admin"}, "AUTH_ROLE_NAMES: expected name=role"),
        ({"CASE_KEY": "short"}, "CASE_KEY: expected a secret of at least 32 characters, received 5"),
        ({"DATABASE_URL": "postgresql://db/cases"}, "CASE_KEY: expected a secret with AUTH=oidc or PostgreSQL"),
        ({"AUTH": "oidc", "AUTH_USERS": "a=admin@b"}, "CASE_KEY: expected a secret with AUTH=oidc or PostgreSQL"),
        ({"AUTH": "oidc", "CASE_KEY": "k" * 32}, "AUTH_USERS: expected users or AUTH_ROLE_CLAIM"),
        ({"AUTH_ROLE_CLAIM": "role"}, "AUTH_ORGANISATION_CLAIM: expected a claim beside AUTH_ROLE_CLAIM"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_no_password_shown(variables: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        read_settings(variables)
    assert isinstance(raised.value, UnusableSetting)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


# --- Key -------------------------------------------------------------------------------------------------------------


def test_a_laptop_makes_its_key_once_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "local" / "case_key"
    key = local_key(path)
    assert local_key(path) == key
    assert len(key) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(local_key, [tmp_path / "case_key"] * 32))) == 1


def test_a_key_that_cannot_be_kept_or_was_cut_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SettingsError, match="CASE_KEY: expected a folder to keep a key in"):
        local_key(tmp_path / "file" / "case_key")
    (tmp_path / "case_key").write_text("cut")
    with pytest.raises(SettingsError, match=r"case_key: expected a secret of at least 32 characters, received 3"):
        local_key(tmp_path / "case_key")


def test_the_key_of_the_settings_comes_before_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(monkeypatch, CASE_KEY=KEY):  # type: ignore[arg-type]
        assert case_key() == KEY.encode()


# --- Address and sign-in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_computer_needs_no_sign_in(address: str) -> None:
    check_address(Settings(), address)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.0.2.1", "localhost.example.org"])
def test_other_addresses_need_sign_in_or_a_setting(address: str | None) -> None:
    with pytest.raises(SettingsError, match=r"AUTH: expected oidc to listen on .*; listen on 127\.0\.0\.1"):
        check_address(Settings(), address)
    check_address(Settings(auth="oidc", auth_users=(ANNA,), case_key=KEY.encode()), address)
    check_address(Settings(allow_anonymous=True), address)


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ({}, "received no redirect_uri, cookie_secret, client_id, client_secret, server_metadata_url"),
        ({"client_secret": ""}, "received no client_secret; add them"),
        ({"cookie_secret": "short"}, "cookie_secret under .auth.: expected a secret of at least 32 characters"),
    ],
)
def test_sign_in_needs_its_secrets(monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str], message: str) -> None:
    given = {"auth": SIGN_IN_SECRETS | secrets} if secrets else {"other": "1"}
    monkeypatch.setattr(st, "secrets", secrets_of(given))
    with environment(monkeypatch, AUTH="oidc", AUTH_USERS="a=admin@b", CASE_KEY=KEY):  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match=message) as raised:
            settings()
    assert "made up" not in str(raised.value)


@pytest.mark.parametrize(("start", "is_https"), [("https", True), ("http", False)])
def test_https_is_known_by_the_address_of_the_sign_in(
    monkeypatch: pytest.MonkeyPatch, start: str, is_https: bool
) -> None:
    address = {"redirect_uri": f"{start}://lesionlens.clinic.org/oauth2callback"}
    monkeypatch.setattr(st, "secrets", secrets_of({"auth": SIGN_IN_SECRETS | address}))
    assert is_sign_in_over_https() is is_https


def secrets_of(values: dict[str, object]) -> Secrets:
    """Streamlit's secrets as if they had been read from a file."""
    secrets = Secrets()
    secrets._secrets = values  # type: ignore[assignment]
    return secrets


def test_relative_folders_count_from_the_root() -> None:
    assert read_settings({"DATASET_DIR": "data"}).dataset_dir == {OF_MODEL: ROOT / "data"}


@pytest.mark.parametrize("variable", ["MODEL_DIR", "DATASET_DIR"])
def test_a_missing_folder_is_named(variable: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=f"{variable}: expected an existing folder, received .*nowhere"):
        read_settings({variable: missing})


def test_a_dataset_may_lie_in_a_bucket() -> None:
    assert read_settings({"DATASET_DIR": "s3://bucket/ham"}).dataset_dir == {OF_MODEL: "s3://bucket/ham"}
    with pytest.raises(SettingsError, match="DATASET_DIR: expected an existing folder"):
        read_settings({"DATASET_DIR": "s3:///ham"})


def test_each_task_may_have_a_dataset(tmp_path: Path) -> None:
    odd = tmp_path / "a,b=c"
    odd.mkdir()
    read = read_settings({"DATASET_DIR": f"skin={odd}, retina=s3://bucket/eyes"})
    assert read.dataset_dir == {"skin": odd, "retina": "s3://bucket/eyes"}
    assert read_settings({"DATASET_DIR": f"retina={tmp_path}"}).dataset_dir == {"retina": tmp_path}
    assert read_settings({"DATASET_DIR": str(odd)}).dataset_dir == {OF_MODEL: odd}, "no task is named"


@pytest.mark.parametrize("value", ["data,retina=data", "retina=data,retina=data", "skin=,retina=data"])
def test_datasets_of_tasks_are_named_once_each(value: str) -> None:
    with pytest.raises(SettingsError, match=r"DATASET_DIR: expected one folder, or task=folder, .*skin, retina"):
        read_settings({"DATASET_DIR": value})


def test_a_missing_folder_of_a_task_is_named() -> None:
    with pytest.raises(SettingsError, match=r"DATASET_DIR: expected an existing folder, received .*nowhere"):
        read_settings({"DATASET_DIR": "skin=data,retina=nowhere"})


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="MODEL_DIR"):
        read_settings({"MODEL_DIR": str(file)})


def test_every_setting_is_documented() -> None:
    assert list(variables_of(Settings)) == [name.upper().removeprefix("IS_") for name in Settings.model_fields]
    assert all(line.endswith(".") for line in variables_of(Settings).values())


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().dataset_dir = {}  # type: ignore[misc]


def test_only_reading_looks_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8600")
    assert (Settings().port, read_settings({}).port, read_settings(os.environ).port) == (8501, 8501, 8600)


def test_server_options_that_speed_and_privacy_rest_on() -> None:
    assert CONFIG["server"]["fileWatcherType"] == "none"
    assert CONFIG["runner"]["postScriptGC"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["maxUploadSize"] == 20
    assert CONFIG["server"]["address"] == "127.0.0.1"


def test_theme_loads_nothing_from_elsewhere() -> None:
    assert "http" not in str(CONFIG["theme"])


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("surface", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("textColor", TEXT),
        ("linkColor", TEXT),
        ("grayColor", TEXT),
        ("orangeColor", TEXT),
        ("redColor", TEXT),
        ("primaryColor", TEXT),
    ],
)
def test_theme_meets_wcag_aa(mode: str, surface: str, name: str, least: float) -> None:
    theme = CONFIG["theme"][mode]
    assert contrast(theme[name], theme[surface]) >= least


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_white_marks_on_the_accent_can_be_seen(mode: str) -> None:
    assert contrast("#ffffff", CONFIG["theme"][mode]["primaryColor"]) >= CONTROL


def test_white_text_on_buttons_and_tags_can_be_read() -> None:
    button = CONFIG["theme"]["light"]["primaryColor"]
    assert f"background-color: {button} !important" in (ROOT / "dashboard" / "assets" / "style.css").read_text()
    assert contrast("#ffffff", button) >= TEXT
    assert contrast(button, CONFIG["theme"]["dark"]["backgroundColor"]) >= CONTROL


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("surface", ["backgroundColor", "secondaryBackgroundColor"])
def test_focus_can_be_seen(mode: str, surface: str) -> None:
    style = (ROOT / "dashboard" / "assets" / "style.css").read_text()
    (focus,) = re.findall(r":focus-visible \{ outline: 2px solid (#\w{6}) !important", style)
    assert contrast(focus, CONFIG["theme"][mode][surface]) >= CONTROL


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two `#rrggbb` colours, 1 to 21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_of_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
