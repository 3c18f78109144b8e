"""What a page showed when a test of it failed: where it was, what it said, what its console and its server said.

A failure that comes once in a thousand runs is understood from this, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).resolve().parents[3] / "build" / "failed"
MOST_LINES = 20
MOST_LETTERS = 300
SHOWN = """() => [document.querySelector("[data-testid=stApp]")?.dataset.testScriptState,
  ...[...document.querySelectorAll("h1, [data-testid=stAlert], [data-testid=stFileChip]")].map(one => one.innerText)]"""

_open: list[Page] = []
_told: list[str] = []


@contextmanager
def of_page(page: Page) -> Iterator[None]:
    """Tell of the page where the block fails, or where a test fails before the block ends."""
    _open.append(page)
    try:
        yield
    except Exception:
        _told.append(told(page))
        raise
    finally:
        _open.remove(page)


def of_failure() -> str:
    """What is told of the pages of the test that has just failed; empty where it had none."""
    return "\n".join([*_told, *map(told, _open)])


def forget() -> None:
    """Drop what was told of a test that has ended."""
    _told.clear()


def told(page: Page) -> str:
    """A few lines on a page, and where its picture lies."""
    try:
        # Unlike evaluate, it gives up where the page hangs.
        lines = [page.url, *map(str, page.wait_for_function(SHOWN, timeout=10_000).json_value())]
        lines += [f"console: {one.type}: {one.text}" for one in page.console_messages() if one.type != "log"]
        lines += [f"error: {one}" for one in page.page_errors()]
        lines += [failed for one in page.requests() if (failed := _failed(one))]
        PICTURES.mkdir(parents=True, exist_ok=True)
        picture = PICTURES / f"{uuid4().hex[:8]}.png"
        page.screenshot(path=picture, timeout=10_000)
        lines.append(str(picture))
    except Exception as error:  # whatever it is, the test's own failure is what counts
        lines = [f"nothing to be had of the page: {error}"]
    short = [" ".join(line.split())[:MOST_LETTERS] for line in lines]
    return "\n".join([*short[:2], *short[2:][-MOST_LINES:]])


def _failed(request) -> str:  # type: ignore[no-untyped-def]
    answer = request.existing_response
    status = answer.status if answer else 0
    if status < 400 and not request.failure:
        return ""
    return f"request: {request.method} {request.url}: {request.failure or status}"
