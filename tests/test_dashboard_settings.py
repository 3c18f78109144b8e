"""Settings, and the contrast of the theme in .streamlit/config.toml."""

from __future__ import annotations

import tomllib
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from dashboard.settings import ROOT, Settings, SettingsError, read_settings

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
TEXT, CONTROL = 4.5, 3.0  # WCAG 2.2, success criteria 1.4.3 and 1.4.11


def test_defaults_need_no_environment() -> None:
    settings = read_settings({})
    assert settings.model_dir == ROOT / "model" / "weights" / "skin"
    assert settings.dataset_dir is None
    assert read_settings({"MODEL_DIR": "", "DATASET_DIR": "  "}) == settings


def test_folders_are_read(tmp_path: Path) -> None:
    settings = read_settings({"MODEL_DIR": str(tmp_path), "DATASET_DIR": str(tmp_path)})
    assert settings == Settings(tmp_path.resolve(), tmp_path.resolve())


def test_relative_folders_count_from_the_root() -> None:
    assert read_settings({"DATASET_DIR": "data"}).dataset_dir == ROOT / "data"


@pytest.mark.parametrize("variable", ["MODEL_DIR", "DATASET_DIR"])
def test_a_missing_folder_is_named(variable: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=f"{variable}: expected an existing folder, received .*nowhere"):
        read_settings({variable: missing})


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="MODEL_DIR"):
        read_settings({"MODEL_DIR": str(file)})


def test_every_setting_is_documented() -> None:
    for field in fields(Settings):
        assert field.metadata["variable"] == field.name.upper().removeprefix("IS_")
        assert field.metadata["help"].endswith(".")


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().dataset_dir = Path()  # type: ignore[misc]


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
