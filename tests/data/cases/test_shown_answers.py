"""Who has seen the answer to which file: kept for each user by a keyed hash, on SQLite and on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from data.cases.case import Actor
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.rules import NotAllowed
from data.cases.storage import open_image_store
from tests.support.case_log import made_up_draft, made_up_image

pytest_plugins = ("tests.support.servers.postgres_server",)

KEY = b"0123456789abcdef0123456789abcdef"
ANNA, BEN = Actor("anna@north.org", "North", "clinician"), Actor("ben@north.org", "North", "clinician")
SVEN = Actor("anna@north.org", "South", "clinician")
FILE, OTHER = (hashlib.sha256(content).hexdigest() for content in (b"lesion", b"another lesion"))


def opened(url: str, folder: Path) -> CaseLog:
    return open_case_log(url, open_image_store(str(folder / "images")), KEY)


@pytest.fixture
def log(database_url: str, tmp_path: Path) -> Iterator[CaseLog]:
    log = opened(database_url, tmp_path)
    yield log
    log.close()


def test_shown_answer_is_known_of_this_user_and_this_file_alone_and_by_every_process(
    log: CaseLog, database_url: str, tmp_path: Path
) -> None:
    assert not log.was_answer_shown(FILE, ANNA)
    assert [log.note_answer_shown(FILE, ANNA) for _ in range(2)] == [False, True]
    assert not log.was_answer_shown(OTHER, ANNA)
    assert not log.was_answer_shown(FILE, BEN) and not log.was_answer_shown(FILE, SVEN)
    other_process = opened(database_url, tmp_path)
    assert other_process.was_answer_shown(FILE, ANNA) and other_process.note_answer_shown(FILE, ANNA)
    other_process.close()


def test_nothing_of_the_file_is_kept_and_nothing_enters_the_trail(log: CaseLog) -> None:
    entries = log.verify(Actor("root", "North", "admin")).entries
    log.note_answer_shown(FILE, ANNA)
    with log._database.reading() as session:
        ((organisation, actor, hashed, _),) = session.execute(text("SELECT * FROM shown_answers")).all()
    assert (organisation, actor) == ("North", "anna@north.org")
    assert len(hashed) == 64 and hashed != FILE
    assert log.verify(Actor("root", "North", "admin")).entries == entries


def test_saving_a_case_or_opening_it_shows_its_answer(log: CaseLog) -> None:
    case = log.save(replace(made_up_draft(), content_sha256=FILE), made_up_image(), ANNA)
    assert log.was_answer_shown(FILE, ANNA) and not log.was_answer_shown(FILE, BEN)
    log.case(case.case_id, BEN)
    assert log.was_answer_shown(FILE, BEN)


def test_read_is_kept_as_informed(log: CaseLog) -> None:
    draft = made_up_draft()
    assert draft.own_read is not None
    informed = replace(draft, own_read=replace(draft.own_read, is_informed=True))
    case = log.save(informed, made_up_image(), ANNA)
    assert log.case(case.case_id, ANNA).own_read == informed.own_read
    assert [summary.own_is_informed for summary in log.find(CaseQuery(), ANNA)] == [True]


def test_cases_are_found_by_their_file_within_the_organisation(log: CaseLog) -> None:
    cases = [
        log.save(replace(made_up_draft(seed), content_sha256=sha256), made_up_image(seed), who)
        for seed, (sha256, who) in enumerate([(FILE, ANNA), (OTHER, ANNA), ("", ANNA), (FILE, BEN), (FILE, SVEN)])
    ]
    found = log.find(CaseQuery(content_sha256=FILE), ANNA)
    assert [summary.case_id for summary in found] == [cases[3].case_id, cases[0].case_id]


def test_shown_answers_go_after_a_year(log: CaseLog) -> None:
    log.note_answer_shown(FILE, ANNA)
    assert log.forget_shown_answers() == 0 and log.was_answer_shown(FILE, ANNA)
    assert log.forget_shown_answers(timedelta(0)) == 1 and not log.was_answer_shown(FILE, ANNA)


def test_researcher_sees_no_answers_of_images(log: CaseLog) -> None:
    for ask in (log.was_answer_shown, log.note_answer_shown):
        with pytest.raises(NotAllowed):
            ask(FILE, Actor("rita@north.org", "North", "researcher"))
