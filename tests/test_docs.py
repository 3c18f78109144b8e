"""The README names every setting, make target, page, folder and command, and its figures are the manifest's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dashboard.shell.settings import Settings
from model.server.settings import ServerSettings
from model.settings import variables_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MANIFEST = json.loads((ROOT / "model" / "weights" / "skin" / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("variable", "line"), [*variables_of(Settings).items(), *variables_of(ServerSettings).items()])
def test_every_setting_is_in_the_table_with_its_line(variable: str, line: str) -> None:
    rows = [row for row in README.splitlines() if row.startswith(f"| `{variable}`")]
    assert any(line in row for row in rows)


def test_every_make_target_is_named() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert len(targets) > 10
    missing = [target for target in targets if f"`{target}`" not in README and f"make {target}" not in README]
    assert not missing


def test_every_page_is_named() -> None:
    for path in (ROOT / "pages").glob("*.py"):
        assert f"| {path.stem.capitalize()} |" in README


def test_every_command_line_stage_is_documented() -> None:
    documents = README + (ROOT / "Makefile").read_text()
    stages = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for package in ("model", "data")
        for path in (ROOT / package).rglob("*.py")
        if all(word in path.read_text(encoding="utf-8") for word in ("ArgumentParser(", "__main__"))
    ]
    assert len(stages) >= 7
    assert [stage for stage in stages if stage not in documents] == []


def test_tree_ends_the_readme_and_names_what_is_there() -> None:
    tree = README.rstrip().removesuffix("```").rsplit("```", 1)[1]
    named = [line.split()[0].rstrip("/") for line in tree.strip().splitlines()]
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(named)


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ("balanced accuracy", "balanced_accuracy"),
        ("AUROC, mean of seven classes", "macro_auroc"),
        ("AUROC, malignant against benign", "malignant_auroc"),
        ("expected calibration error", "calibration_error"),
    ],
)
def test_figures_are_the_manifest_s(row: str, metric: str) -> None:
    both = (MANIFEST["metrics"][metric], MANIFEST["clinical"]["measured"]["with_facts"][metric])
    cells = [f"{stored['value']:.3f} ({stored['low']:.3f} to {stored['high']:.3f})" for stored in both]
    assert f"| {row} | {cells[0]} | {cells[1]} |" in README


def test_test_set_size_is_the_manifest_s() -> None:
    metrics = MANIFEST["metrics"]
    assert f"({metrics['images']:,} images of {metrics['lesions']:,} lesions, split by lesion" in README


def test_local_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
