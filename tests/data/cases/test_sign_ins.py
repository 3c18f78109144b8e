"""Sign-ins that were ended before their time: known to every process, asked for sparingly, forgotten in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, open_case_log
from data.cases.sign_ins import ASK_AGAIN_SECONDS, LEAVE_ALONE_SECONDS, EndedSignIns
from data.cases.storage import open_image_store

pytest_plugins = ("tests.support.servers.postgres_server",)

ONE, OTHER = "1" * 64, "2" * 64


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(database_url: str, tmp_path: Path) -> Iterator[CaseLog]:
    opened = open_case_log(database_url, open_image_store(str(tmp_path)), b"k" * 32)
    yield opened
    opened.close()


def later(seconds: float = 3600.0) -> float:
    return time.time() + seconds


def test_an_ended_sign_in_is_known_here_at_once_and_elsewhere_a_second_later(log: CaseLog) -> None:
    clock = Clock()
    here, elsewhere = EndedSignIns(lambda: log, clock), EndedSignIns(lambda: log, clock)
    assert not here.is_ended(ONE) and not elsewhere.is_ended(ONE)
    here.end(ONE, later())
    assert here.is_ended(ONE) and not here.is_ended(OTHER)
    clock.now += ASK_AGAIN_SECONDS
    assert elsewhere.is_ended(ONE) and not elsewhere.is_ended(OTHER)


def test_to_end_twice_changes_nothing(log: CaseLog) -> None:
    sign_ins = EndedSignIns(lambda: log)
    for _ in range(2):
        sign_ins.end(ONE, later())
    assert EndedSignIns(lambda: log).is_ended(ONE)


def test_what_would_have_ended_by_itself_is_forgotten(log: CaseLog) -> None:
    sign_ins = EndedSignIns(lambda: log)
    sign_ins.end(ONE, later(-10))
    sign_ins.end(OTHER, 1e300)  # a token may say so
    assert log.forget_ended_sign_ins() == 1
    assert not log.is_sign_in_ended(ONE) and log.is_sign_in_ended(OTHER)


def test_a_log_that_does_not_answer_is_left_alone_for_a_while_and_keeps_nobody_out(log: CaseLog) -> None:
    clock, asked, is_away = Clock(), [], True

    def opened() -> CaseLog:
        asked.append(clock.now)
        if is_away:
            raise CaseLogUnavailable("expected a database, received none; start it")
        return log

    sign_ins = EndedSignIns(opened, clock)
    with pytest.raises(CaseLogUnavailable):
        sign_ins.end(ONE, later())
    assert [sign_ins.is_ended(ONE), sign_ins.is_ended(OTHER), sign_ins.is_ended(OTHER)] == [True, False, False]
    assert len(asked) == 2
    log.end_sign_in(OTHER, datetime.now(UTC) + timedelta(hours=1))
    is_away = False
    clock.now += LEAVE_ALONE_SECONDS
    assert sign_ins.is_ended(OTHER)
