"""Users save cases while the processes are replaced: what was acknowledged is kept, nothing else is there by half."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
from websockets.exceptions import WebSocketException

from dashboard.serving.streamlit_session import SessionFailed
from data.cases.case import LOCAL_ACTOR
from data.cases.log import open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import open_image_store
from tests.support.case_log import KEY
from tests.support.servers.serve import PATIENCE_SECONDS, Running, errors_beside, is_alive, running_serve, wait_until
from tests.support.session import READ, answered_session, save

USERS = 6
REPLACEMENTS = 2
# A save takes a tenth of what a user does here; so often at most until a replacement has met one.
MOST_REPLACEMENTS = 8
# What a user meets whose process is being replaced.
CUT_OFF = (SessionFailed, WebSocketException, httpx.HTTPError, OSError)


class Users:
    """Users who save one case after the other until they are told to stop.

    Attributes:
        begun: names of the images whose saving was asked for; each has its own.
        acknowledged: case ids that users were shown, by name.
        interrupted: names of those who were cut off before they were shown one.
    """

    def __init__(self, address: str) -> None:
        self.begun: set[str] = set()
        self.acknowledged: dict[str, UUID] = {}
        self.interrupted: set[str] = set()
        self._address = address
        self._is_over = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._work()))
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    async def _work(self) -> None:
        await asyncio.gather(*(self._user() for _ in range(USERS)))

    async def _user(self) -> None:
        while not self._is_over.is_set():
            name = f"{uuid4()}.jpg"
            try:
                await self._save_one(name)
            except CUT_OFF:
                self.interrupted |= self.begun & {name}
                await asyncio.sleep(0.1)

    async def _save_one(self, name: str) -> None:
        session = await answered_session(self._address, PATIENCE_SECONDS, name)
        try:
            self.begun.add(name)
            self.acknowledged[name] = await save(session)
        finally:
            await session.close()


def replace_all(running: Running) -> None:
    """Ask for new processes and wait until the old ones are gone."""
    before = running.processes()
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not any(is_alive(process_id) for process_id in before.values()), running.log)


def test_replacement_loses_no_acknowledged_case_and_leaves_none_half_saved(tmp_path: Path) -> None:
    with running_serve(tmp_path, JSON_LOGS="1") as running:
        users, replacements = Users(running.address), 0
        with users.at_work():
            wait_until(lambda: bool(users.acknowledged), running.log)
            while replacements < REPLACEMENTS or not users.interrupted:
                assert replacements < MOST_REPLACEMENTS, "no replacement met a user who was saving"
                replace_all(running)
                replacements += 1
            before = len(users.acknowledged)
            wait_until(lambda: len(users.acknowledged) > before, running.log)
        check_case_log(running, users)
    check_lines(running.log.read_text(), users)
    errors = errors_beside(running.log).read_text()
    assert "Traceback" not in errors and not [name for name in users.begun if name in errors]


def check_case_log(running: Running, users: Users) -> None:
    """What was acknowledged is there, and what is there is whole."""
    log = open_case_log(running.store[0], open_image_store(running.store[1]), KEY.encode())
    saved = {case.captured_name: case for case in log.cases(CaseQuery(), LOCAL_ACTOR)}
    assert users.acknowledged.items() <= {name: case.case_id for name, case in saved.items()}.items()
    assert set(saved) <= set(users.acknowledged) | users.interrupted == users.begun
    for case in saved.values():
        assert log.image(case, LOCAL_ACTOR)  # raises where it is missing or altered
        assert (case.own_read, case.decision.dx, case.decision.plan) == (READ, READ.dx, READ.plan)
        assert case.result.prediction == "mel" and case.result.evidence
    entries = log.audit_entries(LOCAL_ACTOR, limit=100_000)
    assert Counter(entry.case_id for entry in entries if entry.action == "save") == Counter(
        case.case_id for case in saved.values()
    )
    assert log.verify(LOCAL_ACTOR).fault is None
    log.close()


def check_lines(text: str, users: Users) -> None:
    """Every process wrote JSON, none a name, and no save failed for another reason than the end of its process."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"analysis", "request"} < {line["event"] for line in lines}
    assert len([line for line in lines if " starts as process " in line["event"]]) >= 3 * (1 + REPLACEMENTS)
    assert not [line for line in lines if line["level"] == "error" or "not saved" in line["event"]]
    assert not [name for name in users.begun if name in text]
