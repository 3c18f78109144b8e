"""Processes are killed while they save and delete cases, disks fill up and servers go away: nothing is half done."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.engine.default import DefaultDialect

from data.cases.case import LOCAL_ACTOR, Case
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, CaseNotFound
from data.cases.queries import CaseQuery
from data.cases.storage import StorageUnavailable, open_image_store
from tests.support.servers.case_saver import Order, draft_of, image_of, open_log
from tests.support.servers.ports import free_port
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.s3_server", "tests.support.servers.postgres_server")

# On S3 the database is SQLite: what differs from a folder is the image store. During deletes there are a tenth of them.
KILLS = {"sqlite": 200, "postgresql": 200, "s3": 30}
OPENING_KILLS = 20
# A child is killed during one of its first calls or a little later: a save takes 5 to 50 ms, as the disk is busy.
MOST_CALLS = 2
LONGEST_LIFE = 0.03


@dataclass
class Story:
    """What the killed processes had begun, and what they had been told was done."""

    begun: set[UUID] = field(default_factory=set)
    done: set[UUID] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    @property
    def interrupted(self) -> set[UUID]:
        return self.begun - self.done

    def add(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word == "begin":
            self.begun.add(UUID(rest))
        elif word == "done":
            self.done.add(UUID(rest))
        elif word == "failed":
            self.failures.append(rest)


class Victims:
    """The process of `case_saver.py`, whose children are killed one after the other."""

    def __init__(self) -> None:
        script = Path(__file__).resolve().parents[2] / "support" / "servers" / "case_saver.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def kill(self, order: Order, calls: int, life: float) -> Story:
        """What one child did that was killed so many seconds after it began its `calls`-th call, or its start for 0."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asdict(order)) + "\n")
        self.process.stdin.flush()
        story, pid = Story(), int(self._line().removeprefix("started "))
        while len(story.begun) < calls and not story.failures:
            story.add(self._line())
        time.sleep(life)
        os.kill(pid, signal.SIGKILL)
        while (line := self._line()) != "ended":
            story.add(line)
        return story

    def failure(self, order: Order) -> str:
        """Why one child could not do as ordered."""
        story = self.kill(order, calls=1_000_000, life=0.0)
        assert story.failures
        return story.failures[0]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the process that forks has died"
        return line.strip()


@pytest.fixture(scope="module")
def victims(aws_credentials: None) -> Iterator[Victims]:
    victims = Victims()
    yield victims
    victims.close()


@dataclass(frozen=True)
class Place:
    """Where a test saves, and how many kills it takes there."""

    order: Order
    kills: int


@pytest.fixture(params=["sqlite", "postgresql", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kills = KILLS[request.param]
    if request.param == "postgresql":
        return Place(Order(request.getfixturevalue("postgres_url"), str(tmp_path / "images")), kills)
    order = Order(f"sqlite:///{tmp_path}/cases.db", str(tmp_path / "images"))
    if request.param == "s3":
        url = request.getfixturevalue("moto_url")
        order = replace(order, location=f"s3://{make_bucket(url)}/clinic", endpoint_url=url)
    return Place(order, kills)


def chance() -> random.Random:
    return random.Random(7)


def life(dice: random.Random) -> float:
    return dice.uniform(0, LONGEST_LIFE)


def saved_cases(log: CaseLog) -> dict[UUID, Case]:
    return {case.case_id: case for case in log.cases(CaseQuery(), LOCAL_ACTOR)}


def stored_keys(order: Order) -> set[str]:
    store = open_image_store(order.location, order.endpoint_url)
    return set(store.keys(datetime.now(UTC) + timedelta(minutes=1)))


def wait_for_the_dead(order: Order) -> None:
    """Until PostgreSQL has noticed that the killed processes are gone: a commit on its way may still arrive."""
    if order.database_url.startswith("sqlite"):
        return
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    with psycopg.connect(order.database_url, autocommit=True) as connection:
        while connection.execute(statement).fetchone() != (0,):
            time.sleep(0.01)


def assert_nothing_half_done(order: Order, log: CaseLog) -> set[UUID]:
    """Every row has its image, every other image is swept, every row its one entry in a whole chain; the saved ids."""
    cases = saved_cases(log)
    for case_id, case in cases.items():
        assert log.image(case, LOCAL_ACTOR) == image_of(case_id).content
        assert case.patient.reference == draft_of(case_id).patient.reference
    keys = {case.image_key for case in cases.values()}
    log.sweep(timedelta(0), most=None)
    assert stored_keys(order) == keys
    entries = log.audit_entries(LOCAL_ACTOR, limit=100_000)
    saves = [entry.case_id for entry in entries if entry.action == "save"]
    deletes = [entry.case_id for entry in entries if entry.action == "delete"]
    assert sorted(saves) == sorted([*cases, *deletes])
    assert log.verify(LOCAL_ACTOR).fault is None
    return set(cases)


def test_kills_during_saves_lose_nothing_and_leave_nothing_half(victims: Victims, place: Place) -> None:
    dice, begun, done, interrupted = chance(), set(), set(), []
    for _ in range(place.kills):
        # Half of those who were cut short press "Save" again.
        again = tuple(str(case_id) for case_id in interrupted if dice.random() < 0.5)
        story = victims.kill(replace(place.order, saves=again), dice.randint(1, MOST_CALLS), life(dice))
        assert story.failures == []
        begun, done, interrupted = begun | story.begun, done | story.done, sorted(story.begun - story.done)
    wait_for_the_dead(place.order)
    log = open_log(place.order)
    saved = assert_nothing_half_done(place.order, log)
    assert done <= saved <= begun
    assert done, "every process was killed before it could save"
    assert begun - done, "no process was killed while it saved"
    log.close()


def test_kills_during_deletes_leave_nothing_half(victims: Victims, place: Place) -> None:
    dice, begun, done = chance(), set(), set()
    log = open_log(place.order)
    kept = [uuid4() for _ in range(3)]
    for case_id in kept:
        log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    for _ in range(place.kills // 10):
        case_ids = [uuid4() for _ in range(3)]
        for case_id in case_ids:
            log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
        order = replace(place.order, deletes=tuple(str(case_id) for case_id in case_ids))
        story = victims.kill(order, dice.randint(2, len(case_ids)), life(dice))
        assert story.failures == []
        kept += [case_id for case_id in case_ids if case_id not in story.begun]
        begun, done = begun | story.begun, done | story.done
    log.close()
    wait_for_the_dead(place.order)
    saved = assert_nothing_half_done(place.order, log)
    assert set(kept) <= saved <= set(kept) | (begun - done)
    assert done
    log.close()


def test_kills_while_the_log_is_made_leave_one_that_opens(victims: Victims, database_url: str, tmp_path: Path) -> None:
    dice, order = chance(), Order(database_url, str(tmp_path / "images"))
    for _ in range(OPENING_KILLS):
        victims.kill(order, calls=0, life=dice.uniform(0, 2 * LONGEST_LIFE))
    wait_for_the_dead(order)
    log, case_id = open_log(order), uuid4()
    log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    assert case_id in assert_nothing_half_done(order, log)
    log.close()


def test_full_disk_of_images_saves_nothing(victims: Victims, postgres_url: str, tmp_path: Path) -> None:
    order, case_id = Order(postgres_url, str(tmp_path / "images")), uuid4()
    assert len(image_of(case_id).content) > 8000
    failure = victims.failure(replace(order, saves=(str(case_id),), max_file_bytes=8000))
    assert failure.startswith("StorageUnavailable expected to write images in the folder")
    assert "check the disk's free space" in failure
    assert list((tmp_path / "images").iterdir()) == []
    log = open_log(order)
    assert assert_nothing_half_done(order, log) == set()
    log.close()


def test_full_disk_of_the_database_loses_nothing(victims: Victims, tmp_path: Path) -> None:
    order = Order(f"sqlite:///{tmp_path}/cases.db", str(tmp_path / "images"))
    open_log(order).close()
    # Room for the image and for SQLite's index of the log of changes (32 KiB), not for many changes.
    story = victims.kill(replace(order, max_file_bytes=100_000), calls=1_000_000, life=0.0)
    assert story.failures[0].startswith("CaseLogUnavailable expected the case log's database to answer, received")
    assert "has space" in story.failures[0]
    assert len(story.interrupted) == 1
    log = open_log(order)
    assert assert_nothing_half_done(order, log) == story.done
    again = story.interrupted.pop()
    log.save(draft_of(again), image_of(again), LOCAL_ACTOR)
    assert again in assert_nothing_half_done(order, log)
    log.close()


def test_database_away_is_told_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://doctor:s3cr3t@127.0.0.1:{free_port()}/cases"
    with pytest.raises(CaseLogUnavailable, match="expected the case log's database to answer") as raised:
        open_log(Order(url, str(tmp_path)))
    assert "s3cr3t" not in str(raised.value)


def test_case_is_saved_once_the_database_is_back(postgres_url: str, postgres_socket: Path, tmp_path: Path) -> None:
    order, case_id = Order(postgres_url, str(tmp_path / "images")), uuid4()
    log = open_log(order)
    with psycopg.connect(host=str(postgres_socket), user="postgres", dbname="postgres", autocommit=True) as admin:
        name = postgres_url.partition("@/")[2].partition("?")[0]
        admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        with pytest.raises(CaseLogUnavailable, match="then try again"):
            log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
        admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    assert assert_nothing_half_done(order, log) == {case_id}
    log.close()


@pytest.mark.parametrize("is_kept", [True, False], ids=["answer lost", "commit lost"])
def test_unknown_outcome_of_a_save_never_costs_the_image(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    order, case_id = Order(database_url, str(tmp_path / "images")), uuid4()
    log, commit = open_log(order), DefaultDialect.do_commit

    def lose(dialect: Any, connection: Any) -> None:
        if is_kept:
            commit(dialect, connection)
        raise dialect.loaded_dbapi.OperationalError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(DefaultDialect, "do_commit", lose)
        with pytest.raises(CaseLogUnavailable):
            log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    assert len(stored_keys(order)) == 1
    assert saved_cases(log).keys() == ({case_id} if is_kept else set())
    log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    assert assert_nothing_half_done(order, log) == {case_id}
    log.close()


def test_store_away_keeps_nothing_of_a_save_and_the_row_of_no_delete(moto_url: str, tmp_path: Path) -> None:
    order = Order(f"sqlite:///{tmp_path}/cases.db", f"s3://{make_bucket(moto_url)}/clinic", moto_url)
    log = open_log(order)
    away = open_log(replace(order, endpoint_url=f"http://127.0.0.1:{free_port()}"))
    kept, deleted, case_id = uuid4(), uuid4(), uuid4()
    for saved in (kept, deleted):
        log.save(draft_of(saved), image_of(saved), LOCAL_ACTOR)
    with pytest.raises(StorageUnavailable, match="EndpointConnectionError"):
        away.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
    away.delete(deleted, LOCAL_ACTOR)
    with pytest.raises(CaseNotFound):
        log.case(deleted, LOCAL_ACTOR)
    assert len(stored_keys(order)) == 2
    assert assert_nothing_half_done(order, log) == {kept}
    log.close()
    away.close()
