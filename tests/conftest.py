"""The order of the tests, how several processes share them, and fixtures that several files use."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.support.browser import evidence

ROOT = Path(__file__).resolve().parents[1]
# Where a test says nothing else, a server may take longer than httpx's 5 seconds: other work may share the processors.
httpx._config.DEFAULT_TIMEOUT_CONFIG.read = 60
# Containers, nginx with its processes, load: each wants the machine for itself, and the supervisors of two would choose
# their ports from one range. One process of the tests begins with them, one after the other, while others do the rest.
HEAVY = (
    "tests/whole/test_container.py",
    "tests/dashboard/serving/test_serve_saves.py",
    "tests/dashboard/serving/test_serve.py",
    "tests/dashboard/serving/test_serve_hang.py",
    "tests/dashboard/test_bench_load.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes the whole machine, then all that has to do with Streamlit, then Keras, then the rest of the model.

    Where Keras is loaded Streamlit clears its session after every run of a page, so pages come before it; and training,
    the longest of the rest, should not be what is left to one process in the end.
    """
    with_keras = {item.path for item in items if item.get_closest_marker("tensorflow")}

    def place(item: pytest.Item) -> int:
        file = item.path.relative_to(ROOT).as_posix()
        if file in HEAVY:
            return HEAVY.index(file) - len(HEAVY)
        return 1 if item.path in with_keras else 2 if file.startswith("tests/model/") else 0

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process, and so do all heavy ones; the processes take them in the order above."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "heavy" if file in HEAVY else file

    config.option.loadscopereorder = False
    return Files(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails in a browser tells what the page showed."""
    report = yield
    if report.failed and (said := evidence.of_failure()):
        report.sections.append(("the page", said))
    if report.when == "teardown":
        evidence.forget()
    return report


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Data that lie beside the repository and are never part of it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data folder {folder}")
    return folder


@pytest.fixture(scope="session")
def ham10000_folder(shared_folder: Path) -> Path:
    """The whole of HAM10000, at reduced size."""
    folder = shared_folder / "ham10000"
    if not folder.is_dir():
        pytest.skip(f"needs HAM10000 in {folder}")
    return folder


@pytest.fixture
def tiny_metadata() -> pd.DataFrame:
    """Ten made-up images of eight lesions: two lesions have two images, one age is missing."""
    rows = [
        ("HAM_1", "ISIC_01", "nv", "histo", 40.0, "male", "back"),
        ("HAM_1", "ISIC_02", "nv", "histo", 40.0, "male", "back"),
        ("HAM_2", "ISIC_03", "nv", "follow_up", None, "unknown", "unknown"),
        ("HAM_3", "ISIC_04", "mel", "histo", 60.0, "female", "face"),
        ("HAM_4", "ISIC_05", "bcc", "histo", 75.0, "male", "face"),
        ("HAM_5", "ISIC_06", "bkl", "consensus", 65.0, "female", "back"),
        ("HAM_5", "ISIC_07", "bkl", "consensus", 70.0, "female", "back"),
        ("HAM_6", "ISIC_08", "akiec", "histo", 80.0, "male", "scalp"),
        ("HAM_7", "ISIC_09", "df", "histo", 35.0, "female", "lower extremity"),
        ("HAM_8", "ISIC_10", "vasc", "confocal", 5.0, "male", "chest"),
    ]
    columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    return pd.DataFrame(rows, columns=columns).astype({"age": "float64"})
