"""The settings of the dashboard: the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """A setting with a value that cannot be used; the message names the variable, what was expected and what to do."""


@dataclass(frozen=True)
class Settings:
    """Where the dashboard finds things. Each field's metadata holds its environment variable and one line on it."""

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


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables; an unset or empty variable means the default.

    Relative folders count from the repository root, so that they do not depend on where the program was started.

    Args:
        environ: variable names and values, `os.environ` in the program.

    Raises:
        SettingsError: a folder that does not exist.
    """
    defaults = Settings()
    return Settings(
        model_dir=_folder(environ, "MODEL_DIR") or defaults.model_dir,
        dataset_dir=_folder(environ, "DATASET_DIR") or defaults.dataset_dir,
    )


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call; raises SettingsError like `read_settings`."""
    return read_settings(os.environ)


def _folder(environ: Mapping[str, str], variable: str) -> Path | None:
    value = environ.get(variable, "").strip()
    if not value:
        return None
    folder = (ROOT / Path(value).expanduser()).resolve()
    if not folder.is_dir():
        raise SettingsError(f"{variable}: expected an existing folder, received {value!r}; correct it or unset it")
    return folder
