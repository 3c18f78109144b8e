"""Times as the reader's clock shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from dashboard.shell import times

# One in the morning in London, the evening before in New York.
AT = datetime(2026, 5, 3, 1, 5, 7, tzinfo=UTC)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> None:
    _browser_says(monkeypatch, "America/New_York")


def _browser_says(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.setattr(times, "get_script_run_ctx", lambda **_: object())
    monkeypatch.setattr(times.st, "context", SimpleNamespace(timezone=name))


def test_without_a_browser_utc_is_named() -> None:
    assert times.zone() is UTC
    assert times.shown_time(AT) == "3 May 2026, 01:05 UTC"
    assert (times.shown_day(AT), times.zone_name()) == ("3 May 2026", "UTC")


def test_times_and_days_are_those_of_the_browser(new_york: None) -> None:
    assert times.shown_time(AT) == "2 May 2026, 21:05"
    assert (times.shown_day(AT), times.day_of(AT)) == ("2 May 2026", date(2026, 5, 2))
    assert (times.to_the_second(AT), times.zone_name()) == ("2026-05-02 21:05:07", "America/New York")
    assert times.start_of(date(2026, 5, 2)) == datetime(2026, 5, 2, 4, tzinfo=UTC)
    before, today, after = now(), times.today(), now()
    assert before <= today <= after


def now() -> date:
    return datetime.now(ZoneInfo("America/New_York")).date()


def test_paper_is_in_utc_whatever_the_browser_says(new_york: None) -> None:
    assert times.utc_time(AT) == "3 May 2026, 01:05 UTC"


@pytest.mark.parametrize("name", [None, "", "Nowhere/Never", "../../etc/passwd"])
def test_a_zone_that_is_not_known_is_utc(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    _browser_says(monkeypatch, name)
    assert times.shown_time(AT) == "3 May 2026, 01:05 UTC"
