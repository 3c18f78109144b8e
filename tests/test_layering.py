"""Imports point one way: pages -> dashboard -> model -> data. Walks the source, so a lazy import counts as well."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("data", "model", "dashboard", "pages")
FORBIDDEN = {
    "data": {"model", "dashboard", "pages", "streamlit", "tensorflow", "keras", "tf_keras_vis"},
    "model": {"dashboard", "pages", "streamlit"},
    "dashboard": {"pages", "tensorflow", "keras", "tf_keras_vis"},
    "pages": {"pages", "model", "data", "tensorflow", "keras", "tf_keras_vis", "pandas", "plotly", "numpy"},
}
SOURCES = [(layer, path) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
# Modules that load TensorFlow when imported: training, export, and nothing the dashboard may touch.
TENSORFLOW_MODULES = {
    "model.architecture",
    "model.losses",
    "model.training_data",
    "model.train",
    "model.export",
    "model.ablation",
}


def imported_names(path: Path, only_top_level: bool = False) -> set[str]:
    """Dotted names a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_top_level else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_layer_has_sources() -> None:
    assert {layer for layer, _ in SOURCES} == set(LAYERS)


@pytest.mark.parametrize(("layer", "path"), SOURCES, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_layer_imports_nothing_above_it(layer: str, path: Path) -> None:
    packages = {name.split(".")[0] for name in imported_names(path)}
    assert not packages & FORBIDDEN[layer]


@pytest.mark.parametrize("path", [path for layer, path in SOURCES if layer == "dashboard"], ids=lambda path: path.stem)
def test_dashboard_never_imports_a_module_that_loads_tensorflow(path: Path) -> None:
    assert not imported_names(path) & TENSORFLOW_MODULES


def test_only_listed_model_modules_import_tensorflow_on_import() -> None:
    loading = {
        f"model.{path.stem}"
        for layer, path in SOURCES
        if layer == "model"
        and {name.split(".")[0] for name in imported_names(path, only_top_level=True)} & {"tensorflow", "keras"}
    }
    assert loading == TENSORFLOW_MODULES


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.name
        for layer, path in SOURCES
        if layer in ("dashboard", "pages") and ("os.environ" in path.read_text() or "getenv" in path.read_text())
    }
    assert readers == {"settings.py"}


def test_only_resources_caches() -> None:
    caching = {path.name for _, path in SOURCES if "st.cache_" in path.read_text(encoding="utf-8")}
    assert caching == {"resources.py"}


def test_dashboard_process_loads_no_tensorflow() -> None:
    code = (
        "import sys; import dashboard.resources, dashboard.review_widgets, dashboard.model_card; "
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True).returncode == 0
