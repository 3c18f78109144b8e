"""Streamlit's options as this program wants them, wherever it is started: those of `.streamlit/config.toml`.

Streamlit itself looks for that file in the folder that it is started from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from streamlit import config

from dashboard.settings import ROOT

FILE = ROOT / ".streamlit" / "config.toml"
# Read when the server starts, so that it would be wrong to state them later: nobody listens elsewhere for it.
AT_START = {"server.address", "server.headless", "server.fileWatcherType"}


def unstated() -> dict[str, Any]:
    """The options of our file that neither another file nor a flag has set."""
    with FILE.open("rb") as file:
        wanted = dict(_flat(tomllib.load(file)))
    options = config.get_config_options()
    return {
        name: value for name, value in wanted.items() if options[name].where_defined == options[name].DEFAULT_DEFINITION
    }


@cache
def state() -> None:
    """Set them, once a process, for a script that another server than ours runs."""
    for name, value in unstated().items():
        if name not in AT_START:
            config.set_option(name, value)


def _flat(sections: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sections.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
