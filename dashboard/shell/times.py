"""Times as the reader's clock shows them: the browser states its time zone, and UTC is named where it states none."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def zone() -> tzinfo:
    """The time zone of this session's browser; UTC outside a session, and where the browser states none known here."""
    name = st.context.timezone if get_script_run_ctx(suppress_warning=True) else None
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def zone_name() -> str:
    """What times are stated in, for the heading of a column: `America/New York`, `UTC`."""
    return str(zone()).replace("_", " ")


def today() -> date:
    """The day that it is for the reader."""
    return datetime.now(zone()).date()


def day_of(at: datetime) -> date:
    """The reader's day of an aware time."""
    return at.astimezone(zone()).date()


def start_of(day: date) -> datetime:
    """When a day of the reader's begins."""
    return datetime.combine(day, time.min, zone())


def days_ago(days: int) -> datetime:
    """When the reader's day so many days ago began; the same for a whole day, so that a list keeps its place."""
    return start_of(today() - timedelta(days=days))


def shown_date(day: date) -> str:
    """`21 Nov 2026`."""
    return f"{day.day} {day:%b %Y}"


def shown_day(at: datetime) -> str:
    """The reader's day of an aware time: `21 Nov 2026`."""
    return shown_date(day_of(at))


def shown_time(at: datetime) -> str:
    """An aware time by the reader's clock: `21 Nov 2026, 09:05`, or `21 Nov 2026, 14:05 UTC`."""
    return utc_time(at) if zone() is UTC else _clock(at.astimezone(zone()))


def utc_time(at: datetime) -> str:
    """An aware time for paper, which is read elsewhere: `21 Nov 2026, 14:05 UTC`."""
    return f"{_clock(at.astimezone(UTC))} UTC"


def _clock(at: datetime) -> str:
    return f"{shown_date(at.date())}, {at:%H:%M}"


def to_the_second(at: datetime) -> str:
    """An aware time of a list whose heading names the zone: `2026-11-21 09:05:07`."""
    return f"{at.astimezone(zone()):%Y-%m-%d %H:%M:%S}"
