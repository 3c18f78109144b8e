"""Rate and room: a bucket a client that fills evenly, and so many requests and bytes at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model.server import limits as server_limits
from model.server.limits import MAX_HELD_BYTES, Admission, RateLimit, held_bytes
from model.server.problems import Problem


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(limit: RateLimit, client: str, most: int = 100) -> int:
    """How many images the client gets through in one moment."""
    for count in range(most):
        try:
            limit.take(client)
        except Problem:
            return count
    return most


def test_bucket_holds_a_minute_s_worth_and_fills_evenly(clock: Clock) -> None:
    limit = RateLimit(6, clock)
    assert taken(limit, "a") == 6
    clock.seconds = 9.9
    assert taken(limit, "a") == 0
    clock.seconds = 20  # one in 10 s
    assert taken(limit, "a") == 2
    clock.seconds = 1000
    assert taken(limit, "a") == 6


def test_clients_have_buckets_of_their_own(clock: Clock) -> None:
    limit = RateLimit(2, clock)
    assert (taken(limit, "a"), taken(limit, "b")) == (2, 2)


def test_refusal_says_when_to_come_back(clock: Clock) -> None:
    limit = RateLimit(6, clock)
    taken(limit, "a")
    clock.seconds = 4
    with pytest.raises(Problem) as refused:
        limit.take("a")
    assert (refused.value.reason, refused.value.status) == ("rate_limited", 429)
    assert refused.value.headers == {"Retry-After": "6"}


def test_batch_goes_into_debt_that_the_next_request_waits_for(clock: Clock) -> None:
    limit = RateLimit(6, clock)
    limit.charge("a", 8)
    clock.seconds = 29
    assert taken(limit, "a") == 0
    clock.seconds = 30  # two of debt and one more, a sixth of a minute each
    assert taken(limit, "a") == 1


def test_zero_means_no_limit(clock: Clock) -> None:
    assert taken(RateLimit(0, clock), "a") == 100


def test_clients_remembered_are_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_limits, "MAX_CLIENTS", 2)
    limit = RateLimit(1, clock)
    for client in "abc":
        limit.take(client)
    assert taken(limit, "a") == 1  # forgotten, the longest quiet
    assert taken(limit, "c") == 0


def test_room_is_given_back_whatever_happens() -> None:
    admission = Admission(max_requests=1, max_bytes=100)
    with pytest.raises(ZeroDivisionError), admission.held() as hold:
        hold.add(100)
        hold.end()
        raise ZeroDivisionError
    with admission.held() as hold:
        hold.add(100)
        hold.end()


def assert_overloaded(refused: pytest.ExceptionInfo[Problem]) -> None:
    assert (refused.value.reason, refused.value.status) == ("overloaded", 503)
    assert refused.value.headers == {"Retry-After": "1"}


def test_too_many_whole_requests_come_back_later() -> None:
    admission = Admission(max_requests=1, max_bytes=1000)
    with admission.held() as first, admission.held() as second:
        first.end()
        with pytest.raises(Problem) as refused:
            second.end()
        assert_overloaded(refused)
        with pytest.raises(Problem) as refused, admission.held():
            pass
        assert_overloaded(refused)
    with admission.held() as hold:
        hold.end()


def test_more_bytes_than_fit_come_back_later() -> None:
    admission = Admission(max_requests=5, max_bytes=100)
    with admission.held() as first, admission.held() as second:
        first.add(60)
        second.add(40)
        with pytest.raises(Problem) as refused:
            second.add(1)
        assert_overloaded(refused)
    with admission.held() as hold:
        hold.add(100)


def test_a_small_container_holds_a_quarter_of_its_memory(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{1024**3}\n")
    assert held_bytes([tmp_path / "none", limit]) == 256 * 1024**2


@pytest.mark.parametrize("unlimited", ["max\n", str(2**63 - 4096), ""])
def test_without_a_limit_the_machine_s_memory_counts(tmp_path: Path, unlimited: str) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(unlimited)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert held_bytes([limit]) == min(MAX_HELD_BYTES, int(memory * 0.25))
