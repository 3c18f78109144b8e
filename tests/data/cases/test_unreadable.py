"""One row that cannot be read is told as such, and takes no other case along."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from data.cases.case import LOCAL_ACTOR
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import open_image_store
from data.cases.tables import CaseUnreadable
from tests.support.case_log import made_up_draft, made_up_image

KEY = b"0123456789abcdef0123456789abcdef"
# As SQLite keeps them: nothing of the column's type, or no class of the task.
VALUES = {
    "saved_at": "yesterday",
    "lesion_id": "none",
    "dx": "melanom",
    "prediction": "melanom",
    "biopsy_dx": "melanom",
    "own_dx": "melanom",
}
OF_THE_CASE_ALONE = {"probabilities": "none", "biopsy_reported_on": "none"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CaseLog]:
    log = open_case_log(f"sqlite:///{tmp_path}/cases.db", open_image_store(str(tmp_path / "images")), KEY)
    with contextlib.closing(log):
        yield log


def broken(log: CaseLog, column: str, value: str) -> tuple[UUID, list[UUID]]:
    """The case with a value that is none, and the others, newest first."""
    first, second, third = (
        log.save(made_up_draft(seed), made_up_image(seed), LOCAL_ACTOR).case_id for seed in range(3)
    )
    with log._database.writing() as session:
        session.execute(text("UPDATE cases SET biopsy_dx = 'mel' WHERE case_id = :id"), {"id": second.hex})
        statement = text(f"UPDATE cases SET {column} = :value WHERE case_id = :id")
        session.execute(statement, {"value": value, "id": second.hex})
    return second, [third, first]


@pytest.mark.parametrize(("column", "value"), VALUES.items())
def test_list_leaves_it_out_and_says_so(log: CaseLog, column: str, value: str) -> None:
    case_id, others = broken(log, column, value)
    assert [line.case_id for line in log.find(CaseQuery(), LOCAL_ACTOR)] == others
    assert log.unreadable(CaseQuery(), LOCAL_ACTOR) == [case_id]
    assert log.count(CaseQuery(), LOCAL_ACTOR) == 3


@pytest.mark.parametrize(("column", "value"), (VALUES | OF_THE_CASE_ALONE).items())
def test_whole_cases_leave_it_out_where_they_are_told_to(log: CaseLog, column: str, value: str) -> None:
    case_id, others = broken(log, column, value)
    unreadable: list[UUID] = []
    cases = list(log.cases(CaseQuery(is_descending=False), LOCAL_ACTOR, unreadable))
    assert ([case.case_id for case in cases], unreadable) == (others[::-1], [case_id])
    with pytest.raises(CaseUnreadable):
        list(log.cases(CaseQuery(), LOCAL_ACTOR))
    with pytest.raises(CaseUnreadable):
        log.case(case_id, LOCAL_ACTOR)
    assert log.case(others[0], LOCAL_ACTOR).case_id == others[0]


def test_readable_list_has_none(log: CaseLog) -> None:
    broken(log, "note", "another")
    assert len(log.find(CaseQuery(), LOCAL_ACTOR)) == 3 and log.unreadable(CaseQuery(), LOCAL_ACTOR) == []
