"""The documents name every setting, make target, page, command, room and file, and nothing that does not exist."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from dashboard.access.sign_in import PAGES
from dashboard.settings import Settings
from model.evaluation.report import estimate_text
from model.inference.manifest import upgraded
from model.server.settings import ServerSettings
from model.settings import variables_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WEIGHTS = ROOT / "model" / "weights"
MANIFEST, EYES = (
    upgraded(json.loads((WEIGHTS / task / "manifest.json").read_text(encoding="utf-8"))) for task in ("skin", "retina")
)
PACKAGES = ("dashboard", "model", "data", "pages", "tests")
# The changelog tells of names that are gone, so it is held to its links alone.
CHANGELOG = ROOT / "CHANGELOG.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "README.md", *(ROOT / "docs").glob("*.md")]
# What exists where the program has been set up and has run, and not in the repository.
MADE_LATER = ("data/raw", "data/local", ".streamlit/secrets.toml")


def parametrize_documents(*more: Path) -> pytest.MarkDecorator:
    documents = sorted([*DOCUMENTS, *more])
    return pytest.mark.parametrize("document", documents, ids=lambda path: path.relative_to(ROOT).as_posix())


# --- What must be named ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "line"), [*variables_of(Settings).items(), *variables_of(ServerSettings).items()])
def test_every_setting_is_in_the_table_with_its_line(variable: str, line: str) -> None:
    rows = [row for row in SETTINGS.splitlines() if row.startswith(f"| `{variable}`")]
    assert any(line in row for row in rows)


def test_every_make_target_is_named() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert len(targets) > 10
    commands = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert [target for target in targets if f"`{target}`" not in commands and f"`make {target}`" not in commands] == []


def test_every_page_is_named() -> None:
    assert {path.stem for path in (ROOT / "pages").glob("*.py")} == set(PAGES)
    for title, _ in PAGES.values():
        assert f"| {title} |" in README


def test_every_command_line_stage_is_documented() -> None:
    documents = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    stages = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for package in ("dashboard", "model", "data")
        for path in (ROOT / package).rglob("*.py")
        if all(word in path.read_text(encoding="utf-8") for word in ("ArgumentParser(", "__main__"))
    ]
    assert len(stages) >= 15
    assert [stage for stage in stages if f"python -m {stage}" not in documents] == []


def test_every_document_is_named_where_newcomers_begin() -> None:
    linked = {(ROOT / target).resolve() for target in local_links(README)}
    assert [path for path in DOCUMENTS if path not in linked and path.name != "README.md"] == []


def test_tree_of_the_architecture_names_what_is_there() -> None:
    tree = next(block for block in re.findall(r"```\n(.*?)```", ARCHITECTURE, flags=re.DOTALL) if "dashboard/" in block)
    named = [line.split()[0].rstrip("/") for line in tree.strip().splitlines()]
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(named)


def test_every_file_and_section_of_the_artifact_is_in_the_architecture() -> None:
    files = {"manifest.json", *MANIFEST["files"]}
    assert {file for file in files if f"| `{file}` |" not in ARCHITECTURE} == set()
    assert {section for section in MANIFEST if f"`{section}`" not in ARCHITECTURE} == set()


# --- Figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ("balanced accuracy", "balanced_accuracy"),
        ("AUROC, mean of seven classes", "macro_auroc"),
        ("AUROC, malignant against benign", "positive_auroc"),
        ("expected calibration error", "calibration_error"),
    ],
)
def test_figures_are_the_manifest_s(row: str, metric: str) -> None:
    both = (MANIFEST["metrics"][metric], MANIFEST["clinical"]["measured"]["with_facts"][metric])
    cells = [estimate_text(stored) for stored in both]
    assert f"| {row} | {cells[0]} | {cells[1]} |" in README


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ("quadratic weighted kappa", "weighted_kappa"),
        ("AUROC, referable against not", "positive_auroc"),
        ("balanced accuracy", "balanced_accuracy"),
    ],
)
def test_figures_of_the_second_task_are_its_manifest_s(row: str, metric: str) -> None:
    assert f"| {row} | {estimate_text(EYES['metrics'][metric])} |" in README


def test_test_set_sizes_are_the_manifests() -> None:
    lesions, eyes = MANIFEST["metrics"], EYES["metrics"]
    assert f"({lesions['images']:,} images of {lesions['lesions']:,} lesions, split by lesion" in README
    assert f"({eyes['images']:,} images of {eyes['lesions']:,} eyes; grades 0 to 4)" in README


# --- What is named must be there -------------------------------------------------------------------------------------


def local_links(text: str) -> list[str]:
    """Targets of links to files, with their anchors."""
    return re.findall(r"\]\((?!https?:)([^)]+)\)", text)


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@parametrize_documents(CHANGELOG)
def test_local_links_lead_somewhere(document: Path) -> None:
    for link in local_links(document.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@cache
def names_in(path: Path) -> dict[str, set[str]]:
    """Top-level names of a module, each with the names in its body: fields, methods."""
    found: dict[str, set[str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = set().union(*map(assigned, node.body)) if isinstance(node, ast.ClassDef) else set()
        found |= dict.fromkeys(assigned(node), inner)
    return found


def assigned(node: ast.stmt) -> set[str]:
    """The names that a statement defines, imports or assigns."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def is_there(dotted: str) -> bool:
    """Whether `model.inference.artifact.Artifact.name` and the like exist: packages, a module, a name, a name in it."""
    parts = dotted.removesuffix("()").split(".")
    place = ROOT
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return (place / "__init__.py").exists() or place.parent == ROOT
    module = place / f"{parts.pop(0)}.py"
    if not module.exists() or len(parts) > 2:
        return False
    names = names_in(module)
    return not parts or (parts[0] in names and (len(parts) == 1 or parts[1] in names[parts[0]]))


def code_spans(text: str) -> list[str]:
    """What stands in backticks within a line, blocks apart."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@parametrize_documents()
def test_modules_and_functions_in_backticks_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    dotted = [span for span in code_spans(text) if re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+(\(\))?", span)]
    # `model.keras` and the like are files of the artifact.
    dotted = [span for span in dotted if span not in MANIFEST["files"]]
    dotted += re.findall(rf"python -m ((?:{'|'.join(PACKAGES)})[\w.]*\w)", text)
    assert [span for span in dotted if not is_there(span)] == []


@parametrize_documents()
def test_paths_in_backticks_exist(document: Path) -> None:
    spans = [
        span for span in code_spans(document.read_text(encoding="utf-8")) if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span)
    ]
    here = {path.name for path in ROOT.iterdir()}
    paths = [
        span
        for span in spans
        if "/" in span and (span.split("/")[0] in here or re.search(r"\.(py|md|toml|yaml|json|txt)$", span))
    ]
    paths = [path for path in paths if not path.startswith(MADE_LATER)]
    assert [path for path in paths if not (ROOT / path).exists() and not (document.parent / path).exists()] == []


def test_what_is_not_there_is_found() -> None:
    assert (
        is_there("model.inference.artifact.Artifact.folder") and is_there("model.studies") and is_there("data.case_log")
    )
    for wrong in ("model.nothing", "model.inference.artifact.nothing", "model.inference.artifact.Artifact.nothing"):
        assert not is_there(wrong)
    assert "how-to-add" in anchors("## How to add\n") and "a-b" not in anchors("a b\n")
