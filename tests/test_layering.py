"""The house: what lives in which room, and that imports point down. Walks the source, so a lazy import counts as well.

`pages -> dashboard -> model -> data`, and inside each package down the floors of `FLOORS`: a room may use itself and
rooms of lower floors, never one beside or above it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("data", "model", "dashboard", "pages")
# Rooms of each package, a floor a line, top to bottom. "" is the package's own modules, which are commands.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "data": (
        ("",),
        ("cases", "synthetic"),
        ("datasets",),
        ("tasks",),
    ),
    "model": (
        ("",),
        ("studies", "baselines"),
        ("training", "server", "remote", "batch"),
        ("analysis",),
        ("evaluation", "explain"),
        ("inference",),
        ("networks", "measures", "images"),
    ),
    "dashboard": (
        ("",),
        ("cases", "review", "use", "evaluation", "dataset"),
        ("reports", "access", "serving"),
        ("answer", "doors"),
        ("shell",),
        ("resources",),
    ),
    "pages": (("",),),
}
# Modules that lie among the commands and that every floor may use.
GROUND = {"model.arguments", "model.connections", "model.settings", "dashboard.settings"}
FORBIDDEN = {
    "data": {"model", "dashboard", "pages", "streamlit", "tensorflow", "keras", "tf_keras_vis"},
    "model": {"dashboard", "pages", "streamlit"},
    "dashboard": {"pages", "tensorflow", "keras", "tf_keras_vis"},
    "pages": {"pages", "model", "data", "tensorflow", "keras", "tf_keras_vis", "pandas", "plotly", "numpy"},
}
# Where a file a step is the framework's rule, and where there is one file a page.
UNCOUNTED = {"data/cases/migrations", "data/cases/migrations/versions", "pages"}
FEWEST_FILES, MOST_FILES = 3, 15
# Modules that load TensorFlow or Keras when imported: networks, training and export, nothing the dashboard may touch.
TENSORFLOW_MODULES = {
    "model.networks.architecture",
    "model.networks.backbones",
    "model.networks.dilation",
    "model.networks.ensemble",
    "model.networks.features",
    "model.networks.folding",
    "model.networks.losses",
    "model.networks.randomisation",
    "model.training.averaging",
    "model.training.batches",
    "model.training.checkpoints",
    "model.training.phases",
    "model.training.run",
    "model.training.teachers",
    "model.training.validation",
    "model.training.export.artifact_writer",
    "model.training.export.limits",
    "model.training.export.scoring",
    "model.training.export.sections",
    "model.training.export.serving_file",
    "model.studies.ablation",
    "model.baselines.entry",
    "model.train",
    "model.export",
    "model.tabulate",
    "model.reproduce",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))}
MODULES = {name: path for name, path in SOURCES.items() if path.name != "__init__.py"}


@cache
def imported_names(path: Path, only_top_level: bool = False) -> frozenset[str]:
    """Dotted names a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_top_level else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def imported_modules(name: str) -> set[str]:
    """Modules of the project that a module imports."""
    return (imported_names(MODULES[name]) & MODULES.keys()) - {name}


def room_of(name: str) -> str:
    """`inference` of `model.inference.artifact`; nothing for a package's own modules."""
    return name.split(".")[1] if name.count(".") > 1 else ""


def arrows_up(modules: Mapping[str, set[str]], package: str) -> Iterator[str]:
    """Imports inside a package that do not point to a lower floor.

    Args:
        modules: names of modules to the names of modules that they import.
    """
    floor = {room: number for number, rooms in enumerate(FLOORS[package]) for room in rooms}
    for name, imported in modules.items():
        for other in imported - GROUND:
            if name.split(".")[0] == other.split(".")[0] == package and room_of(name) != room_of(other):
                if floor[room_of(other)] <= floor[room_of(name)]:
                    yield f"{name} -> {other}"


def test_every_room_stands_in_the_table() -> None:
    for package in LAYERS:
        rooms = {room_of(name) for name in MODULES if name.split(".")[0] == package}
        assert rooms == {room for floor in FLOORS[package] for room in floor}


def test_architecture_tells_of_every_room_on_its_floor() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = re.findall(rf"^\| ({'|'.join(LAYERS)}) \| (\d) \| (\w+) \| \S.* \|$", text, flags=re.MULTILINE)
    rooms = {
        (package, str(number), room or "commands")
        for package in LAYERS
        for number, floor in enumerate(FLOORS[package], start=1)
        for room in floor
    }
    assert set(told) == rooms and len(told) == len(rooms)
    assert [name for name in GROUND if f"`{name}`" not in text] == []


@pytest.mark.parametrize("package", LAYERS)
def test_imports_inside_a_package_point_down(package: str) -> None:
    assert list(arrows_up({name: imported_modules(name) for name in MODULES}, package)) == []


def test_an_arrow_up_and_one_sideways_are_found() -> None:
    assert list(arrows_up({"model.measures.metrics": {"model.inference.artifact"}}, "model"))
    assert list(arrows_up({"dashboard.review.facts": {"dashboard.use.widgets"}}, "dashboard"))
    assert not list(arrows_up({"model.inference.artifact": {"model.measures.metrics"}}, "model"))


def test_no_imports_go_in_a_circle() -> None:
    sorter = TopologicalSorter({name: imported_modules(name) for name in MODULES})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", SOURCES)
def test_layer_imports_nothing_above_it(name: str) -> None:
    packages = {imported.split(".")[0] for imported in imported_names(SOURCES[name])}
    assert not packages & FORBIDDEN[name.split(".")[0]]


def test_measures_know_no_task() -> None:
    knowing = [name for name in MODULES if room_of(name) == "measures" and "data" in _packages(name)]
    assert knowing == []


def _packages(name: str) -> set[str]:
    return {imported.split(".")[0] for imported in imported_names(MODULES[name])}


def folders() -> list[Path]:
    return sorted({path.parent for path in SOURCES.values()})


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_room_has_a_handful_of_files_and_says_what_lives_there(folder: Path) -> None:
    if folder.relative_to(ROOT).as_posix() not in UNCOUNTED:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert (FEWEST_FILES - 1) <= len(files) <= MOST_FILES
    if folder.name != "pages":
        body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


def test_tests_mirror_the_tree() -> None:
    elsewhere = {"support", "browser", "servers", "environments", "files", "whole", "pages", "deploy"}
    for folder in {path.parent for path in (ROOT / "tests").rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder
        if folder.name not in elsewhere | {"tests"}:
            assert (ROOT / folder.relative_to(ROOT / "tests")).is_dir(), folder


def test_tests_share_helpers_by_the_support_folder_only() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        borrowed = {name for name in imported_names(path) if name.startswith("tests.")}
        assert all(name.startswith("tests.support") for name in borrowed), path


def test_collecting_the_tests_loads_no_tensorflow() -> None:
    # Every process of the tests reads every file first, and pages are slow where Keras is loaded.
    for path in (ROOT / "tests").rglob("*.py"):
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8"):
            continue  # a program, which runs in a process of its own
        names = imported_names(path, only_top_level=True)
        assert not names & TENSORFLOW_MODULES, path
        assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras", "tf_keras_vis"}, path


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("dashboard.")])
def test_dashboard_never_imports_a_module_that_loads_tensorflow(name: str) -> None:
    assert not imported_names(MODULES[name]) & TENSORFLOW_MODULES


def test_only_listed_model_modules_import_tensorflow_on_import() -> None:
    loading = {name for name in MODULES if name.startswith("model.") and _loads_keras(name)}
    assert loading == TENSORFLOW_MODULES


@cache
def _loads_keras(name: str) -> bool:
    names = imported_names(MODULES[name], only_top_level=True)
    if {imported.split(".")[0] for imported in names} & {"tensorflow", "keras"}:
        return True
    return any(_loads_keras(other) for other in names & MODULES.keys() if other != name)


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for name, path in MODULES.items()
        if name.split(".")[0] in ("dashboard", "pages")
        and ("os.environ" in path.read_text() or "getenv" in path.read_text())
    }
    assert readers == {"dashboard/settings.py"}


def test_only_resources_caches() -> None:
    caching = [name for name, path in MODULES.items() if "st.cache_" in path.read_text(encoding="utf-8")]
    assert caching and {(name.split(".")[0], room_of(name)) for name in caching} == {("dashboard", "resources")}


def test_dashboard_process_loads_no_tensorflow() -> None:
    code = (
        "import sys; import dashboard.resources.stores, dashboard.resources.trained; "
        "import dashboard.review.widgets, dashboard.evaluation.model_card; "
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True).returncode == 0
