"""What strangers can cause at any rate fills no log."""

from __future__ import annotations

import logging

import pytest

from model.analysis.log_lines import SeldomLines, TextFormatter, log_to_stdout


def test_lines_of_one_place_are_few_a_minute_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    logger = logging.getLogger("of a server")
    logger.addFilter(SeldomLines(most=2, seconds=60, clock=lambda: now))
    for minute in range(2):
        now = 60.0 * minute
        for number in range(5):
            logger.warning("no request from %d", number)
    logger.warning("something else")
    assert caplog.messages == [
        "no request from 0",
        "no request from 1",
        "no request from 0 (and 3 more like it before)",
        "no request from 1",
        "something else",
    ]


def test_lines_of_the_server_are_limited_once_however_often_the_log_is_configured() -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        for _ in range(2):
            log_to_stdout(TextFormatter())
    finally:
        root.handlers[:], root.level = handlers, level
    for name in ("uvicorn.error", "asyncio"):
        filters = logging.getLogger(name).filters
        assert [type(one) for one in filters] == [SeldomLines]
        filters.clear()
